//! A second thread beside the one of a request.
#![allow(unsafe_code, reason = "makes a system thread, and events")]

use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::mem::MaybeUninit;
use core::ptr::{NonNull, null_mut};

use apclab_guards::{AtMostApcLevel, Passive, StopEvent};
use wdk_sys::{
    _EVENT_TYPE::NotificationEvent, _KWAIT_REASON::Executive, _MODE::KernelMode, HANDLE, KEVENT,
    LARGE_INTEGER, OBJ_KERNEL_HANDLE, OBJECT_ATTRIBUTES, THREAD_ALL_ACCESS, ntddk,
};

use crate::state::holds;

/// An event in the image's data, which is not paged.
pub(crate) struct Event(UnsafeCell<MaybeUninit<KEVENT>>);

// SAFETY: the kernel's routines for an event may be called from any thread.
unsafe impl Sync for Event {}

/// An event that was initialised.
#[derive(Clone, Copy)]
pub(crate) struct Ready(&'static Event);

// SAFETY: the event is a static, and `begin` has initialised it.
unsafe impl StopEvent for Ready {
    fn object(&self) -> NonNull<c_void> {
        // SAFETY: the address of a static is not null.
        unsafe { NonNull::new_unchecked(self.0.0.get().cast()) }
    }
}

impl Event {
    pub(crate) const fn new() -> Self {
        Self(UnsafeCell::new(MaybeUninit::zeroed()))
    }

    /// Initialises it for one exercise: one request at a time is sent to this driver, and an exercise's
    /// threads have ended when it has.
    pub(crate) fn begin(&'static self, signaled: bool) -> Ready {
        // SAFETY: the static is nonpaged, and nobody waits for it yet.
        unsafe {
            ntddk::KeInitializeEvent(self.0.get().cast(), NotificationEvent, signaled.into());
        };
        Ready(self)
    }
}

impl Ready {
    pub(crate) fn set(self) {
        // SAFETY: initialised, and this does not wait afterwards.
        let _ = unsafe { ntddk::KeSetEvent(self.object().cast().as_ptr(), 0, 0) };
    }

    /// Waits ten seconds at most.
    pub(crate) fn wait(self, _irql: &impl AtMostApcLevel) -> Option<()> {
        let mut timeout = LARGE_INTEGER {
            QuadPart: -100_000_000,
        };
        #[allow(clippy::cast_possible_truncation, reason = "KernelMode is 0")]
        // SAFETY: initialised, a static; the token shows an IRQL that allows a wait.
        let status = unsafe {
            ntddk::KeWaitForSingleObject(
                self.object().as_ptr(),
                Executive,
                KernelMode as i8,
                0,
                &raw mut timeout,
            )
        };
        holds(status == 0)
    }
}

type Main<'a> = &'a (dyn Fn(&mut Passive) -> Option<()> + Sync);

/// What the second thread is told, and where it says how it went.
struct Start<'a> {
    main: Main<'a>,
    passed: UnsafeCell<bool>,
}

/// Where the kernel starts the thread.
unsafe extern "C" fn trampoline(context: *mut c_void) {
    // SAFETY: `beside` waits for the thread's end, and looks at the record only then.
    let start = unsafe { &*context.cast::<Start<'_>>() };
    // SAFETY: a system thread begins at PASSIVE_LEVEL; this is its only token.
    let mut irql = unsafe { Passive::assume() };
    let passed = (start.main)(&mut irql).is_some();
    // SAFETY: as above: nobody else looks.
    unsafe { start.passed.get().write(passed) };
}

/// Runs `other` on a thread of its own and `here` on this one. Both have ended when it returns.
pub(crate) fn beside(
    irql: &mut Passive,
    other: Main<'_>,
    here: impl FnOnce(&mut Passive) -> Option<()>,
) -> Option<()> {
    let start = Start {
        main: other,
        passed: UnsafeCell::new(false),
    };
    #[allow(
        clippy::cast_possible_truncation,
        reason = "the structure has 48 bytes"
    )]
    let mut attributes = OBJECT_ATTRIBUTES {
        Length: size_of::<OBJECT_ATTRIBUTES>() as u32,
        RootDirectory: null_mut(),
        ObjectName: null_mut(),
        Attributes: OBJ_KERNEL_HANDLE,
        SecurityDescriptor: null_mut(),
        SecurityQualityOfService: null_mut(),
    };
    let mut handle: HANDLE = null_mut();
    // SAFETY: the out-pointer is to a local, the record outlives the thread, and the token shows
    // PASSIVE_LEVEL.
    let status = unsafe {
        ntddk::PsCreateSystemThread(
            &raw mut handle,
            THREAD_ALL_ACCESS,
            &raw mut attributes,
            null_mut(),
            null_mut(),
            Some(trampoline),
            (&raw const start).cast_mut().cast(),
        )
    };
    holds(status >= 0)?;
    let passed = here(irql);
    // A wait without a time-out: the thread's own waits have one, and its record is on this stack.
    // SAFETY: the handle is a kernel handle of this function's.
    let _ = unsafe { ntddk::ZwWaitForSingleObject(handle, 0, null_mut()) };
    // SAFETY: as above, closed once.
    let _ = unsafe { ntddk::ZwClose(handle) };
    passed?;
    holds(start.passed.into_inner())
}
