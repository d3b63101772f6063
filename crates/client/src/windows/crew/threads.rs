//! What Windows does with threads: user APCs, suspension, sleep.
#![allow(unsafe_code, reason = "the routines of threads")]

use std::os::windows::io::{AsRawHandle, OwnedHandle};
use std::sync::atomic::{AtomicU32, Ordering};

use apclab_protocol::step::answer;
use windows_sys::Win32::Foundation::{HANDLE, WAIT_IO_COMPLETION};
use windows_sys::Win32::System::Threading::{QueueUserAPC, ResumeThread, SleepEx, SuspendThread};

use crate::windows::library::routine;
use crate::windows::{Win32Error, check};

/// `QueueUserAPC2` (its reference page).
type QueueUserApc2 = unsafe extern "system" fn(
    routine: Option<unsafe extern "system" fn(usize)>,
    thread: HANDLE,
    data: usize,
    flags: i32,
) -> i32;

/// QUEUE_USER_APC_FLAGS_SPECIAL_USER_APC.
const SPECIAL: i32 = 1;

/// What `SuspendThread` and `ResumeThread` give when they fail.
const FAILED: u32 = u32::MAX;

/// The routine that queues special user APCs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SpecialUserApcs(QueueUserApc2);

impl SpecialUserApcs {
    /// The routine, where this Windows has it: Windows 11, and some builds before.
    pub(crate) fn find() -> Option<Self> {
        const NAME: &std::ffi::CStr = c"QueueUserAPC2";
        let found = routine("kernelbase.dll", NAME).or_else(|| routine("kernel32.dll", NAME))?;
        // SAFETY: the routine of that name has this type.
        Some(Self(unsafe {
            std::mem::transmute::<unsafe extern "system" fn() -> isize, QueueUserApc2>(found)
        }))
    }
}

/// The routine of every user APC: counts. It may interrupt its thread at any instruction, also in the
/// middle of an allocation, and so does nothing else.
unsafe extern "system" fn count(counter: usize) {
    let counter = std::ptr::with_exposed_provenance::<AtomicU32>(counter);
    // SAFETY: who queued the APC keeps the counter where it is until the APC has run or its thread has
    // ended.
    unsafe { &*counter }.fetch_add(1, Ordering::SeqCst);
}

/// Queues a user APC that counts.
///
/// # Errors
/// [`Win32Error`]: the thread has ended, or there is no memory.
///
/// # Safety
/// The counter stays where it is until the APC has run or the thread has ended.
pub(super) unsafe fn queue(
    thread: &OwnedHandle,
    counter: &AtomicU32,
    special: Option<SpecialUserApcs>,
) -> Result<(), Win32Error> {
    let (thread, counter) = (thread.as_raw_handle(), std::ptr::from_ref(counter));
    let counter = counter.expose_provenance();
    match special {
        None => {
            // SAFETY: the handle is open, and the routine lives as long as the program; the caller keeps
            // the counter.
            let queued = unsafe { QueueUserAPC(Some(count), thread, counter) };
            if queued == 0 {
                Err(Win32Error::last())
            } else {
                Ok(())
            }
        }
        Some(SpecialUserApcs(queue)) => {
            // SAFETY: as above.
            check(unsafe { queue(Some(count), thread, counter, SPECIAL) })
        }
    }
}

/// Suspends a thread; gives its previous suspend count.
///
/// # Errors
/// [`Win32Error`]: it has ended, or its count is at its limit.
pub(super) fn suspend(thread: &OwnedHandle) -> Result<u32, Win32Error> {
    // SAFETY: the handle is open. Our own threads can be suspended anywhere: whoever resumes them in the
    // end takes no lock and allocates nothing before.
    previous(unsafe { SuspendThread(thread.as_raw_handle()) })
}

/// Resumes a thread; gives its previous suspend count.
///
/// # Errors
/// [`Win32Error`]: the system refuses.
pub(super) fn resume(thread: &OwnedHandle) -> Result<u32, Win32Error> {
    // SAFETY: the handle is open.
    previous(unsafe { ResumeThread(thread.as_raw_handle()) })
}

fn previous(count: u32) -> Result<u32, Win32Error> {
    if count == FAILED {
        Err(Win32Error::last())
    } else {
        Ok(count)
    }
}

/// Sleeps; gives a value of [`answer`].
pub(super) fn sleep(milliseconds: u32, alertable: bool) -> i64 {
    // SAFETY: the routine has no requirements.
    match unsafe { SleepEx(milliseconds, alertable.into()) } {
        WAIT_IO_COMPLETION => answer::USER_APC,
        _ => answer::TIMED_OUT,
    }
}
