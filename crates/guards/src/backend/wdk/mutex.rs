//! Fast, guarded and kernel mutexes of the real kernel.

use core::ptr::null_mut;

use wdk_sys::{
    _EVENT_TYPE::SynchronizationEvent, _KWAIT_REASON::Executive, _MODE::KernelMode,
    _WAIT_TYPE::WaitAny, FAST_MUTEX, KGUARDED_MUTEX, KMUTEX, LARGE_INTEGER, ntddk,
};

use super::bytes::Bytes;
use crate::backend::exclusive::{Exclusive, Object};
use crate::backend::memory::NotMade;
use crate::backend::recursive::Recursive;
use crate::backend::{StopEvent, Wait, Waited};

/// `Count` of a FAST_MUTEX that nobody owns: FM_LOCK_BIT.
const UNOWNED: i32 = 1;

/// STATUS_WAIT_0, and STATUS_ABANDONED_WAIT_0: the owner's thread ended, and the waiter owns it now.
const FIRST: [i32; 2] = [0x00, 0x80];
/// STATUS_WAIT_0 + 1.
const SECOND: i32 = 0x01;

/// `FAST_MUTEX`.
#[derive(Debug)]
pub struct FastMutex(Bytes<FAST_MUTEX>);

// SAFETY: the initialised structure says that nobody owns the mutex; its routines synchronise.
unsafe impl Object for FastMutex {
    #[allow(
        clippy::declare_interior_mutable_const,
        reason = "a value to move into place"
    )]
    const BLANK: Self = Self(Bytes::zero());

    fn initialise(&self) -> Result<(), NotMade> {
        let mutex = self.0.get();
        // What ExInitializeFastMutex does, which is inline in wdm.h: the rest of the structure is
        // zero already (`Owner`, `Contention`, `OldIrql`).
        // SAFETY: the structure is at its place and not shared yet.
        let count = unsafe { &raw mut (*mutex).Count };
        // SAFETY: as above.
        unsafe { count.write(UNOWNED) };
        // SAFETY: as above.
        let event = unsafe { &raw mut (*mutex).Event };
        // SAFETY: the event is nonpaged and does not move.
        unsafe { ntddk::KeInitializeEvent(event, SynchronizationEvent, 0) };
        Ok(())
    }
}

// SAFETY: a fast mutex has one owner; by its page the owner deadlocks when it acquires it again.
unsafe impl Exclusive for FastMutex {
    #[inline]
    fn acquire(&self) {
        // SAFETY: initialised, nonpaged; callers hold a witness of IRQL <= APC_LEVEL.
        unsafe { ntddk::ExAcquireFastMutex(self.0.get()) };
    }

    #[inline]
    fn try_acquire(&self) -> bool {
        // SAFETY: initialised, nonpaged; callers hold a witness of IRQL <= APC_LEVEL.
        let acquired = unsafe { ntddk::ExTryToAcquireFastMutex(self.0.get()) };
        acquired != 0
    }

    #[inline]
    unsafe fn release(&self) {
        // SAFETY: the caller owns it, at the APC_LEVEL to which the acquire raised.
        unsafe { ntddk::ExReleaseFastMutex(self.0.get()) };
    }
}

/// `KGUARDED_MUTEX`.
#[derive(Debug)]
pub struct GuardedMutex(Bytes<KGUARDED_MUTEX>);

// SAFETY: the initialised structure says that nobody owns the mutex; its routines synchronise.
unsafe impl Object for GuardedMutex {
    #[allow(
        clippy::declare_interior_mutable_const,
        reason = "a value to move into place"
    )]
    const BLANK: Self = Self(Bytes::zero());

    fn initialise(&self) -> Result<(), NotMade> {
        // SAFETY: the structure is nonpaged, at its place and not shared yet.
        unsafe { ntddk::KeInitializeGuardedMutex(self.0.get()) };
        Ok(())
    }
}

// SAFETY: a guarded mutex has one owner; by its page the owner deadlocks when it acquires it again.
unsafe impl Exclusive for GuardedMutex {
    #[inline]
    fn acquire(&self) {
        // SAFETY: initialised, nonpaged; callers hold a witness of IRQL <= APC_LEVEL.
        unsafe { ntddk::KeAcquireGuardedMutex(self.0.get()) };
    }

    #[inline]
    fn try_acquire(&self) -> bool {
        // SAFETY: initialised, nonpaged; callers hold a witness of IRQL <= APC_LEVEL.
        let acquired = unsafe { ntddk::KeTryToAcquireGuardedMutex(self.0.get()) };
        acquired != 0
    }

    #[inline]
    unsafe fn release(&self) {
        // SAFETY: the caller owns it, at the APC_LEVEL to which the acquire raised.
        unsafe { ntddk::KeReleaseGuardedMutex(self.0.get()) };
    }
}

/// `KMUTEX`.
#[derive(Debug)]
pub(crate) struct KernelMutex(Bytes<KMUTEX>);

// SAFETY: the initialised mutex is signaled: nobody owns it; its routines synchronise.
unsafe impl Object for KernelMutex {
    #[allow(
        clippy::declare_interior_mutable_const,
        reason = "a value to move into place"
    )]
    const BLANK: Self = Self(Bytes::zero());

    fn initialise(&self) -> Result<(), NotMade> {
        // SAFETY: the structure is nonpaged, at its place and not shared yet. The level is reserved.
        unsafe { ntddk::KeInitializeMutex(self.0.get(), 0) };
        Ok(())
    }
}

// SAFETY: a KMUTEX has one owner, which may acquire it again.
unsafe impl Recursive for KernelMutex {
    #[inline]
    fn wait<S: StopEvent>(&self, wait: Wait<'_, S>) -> Waited {
        let mut timeout = LARGE_INTEGER {
            QuadPart: wait.relative().unwrap_or(0),
        };
        let timeout = if wait.relative().is_some() {
            &raw mut timeout
        } else {
            null_mut()
        };
        #[allow(clippy::cast_possible_truncation, reason = "KernelMode is 0")]
        let mode = KernelMode as i8;
        let status = if let Wait::MillisecondsOr(_, stop) = wait {
            let mut objects = [self.0.get().cast(), stop.object().as_ptr()];
            // SAFETY: both objects outlive the wait, callers hold a witness of IRQL <= APC_LEVEL,
            // and two objects need no wait blocks of the caller's.
            unsafe {
                ntddk::KeWaitForMultipleObjects(
                    2,
                    objects.as_mut_ptr(),
                    WaitAny,
                    Executive,
                    mode,
                    0,
                    timeout,
                    null_mut(),
                )
            }
        } else {
            // SAFETY: the mutex outlives the wait, and callers hold a witness of IRQL <= APC_LEVEL.
            unsafe {
                ntddk::KeWaitForSingleObject(self.0.get().cast(), Executive, mode, 0, timeout)
            }
        };
        match status {
            status if FIRST.contains(&status) => Waited::Acquired,
            SECOND => Waited::Stopped,
            _ => Waited::TimedOut,
        }
    }

    #[inline]
    unsafe fn release(&self) {
        // SAFETY: the caller's thread owns the mutex, so that this raises no exception.
        unsafe { ntddk::KeReleaseMutex(self.0.get(), 0) };
    }
}
