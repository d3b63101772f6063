//! KEVENTs, and waits that always have a deadline.

use alloc::vec::Vec;
use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::ptr::NonNull;

use apclab_guards::{AtMostApcLevel, StopEvent};
use apclab_protocol::status::{NtStatus, TIMEOUT};
use apclab_protocol::step::WaitMode;
use wdk_sys::{
    _EVENT_TYPE::{NotificationEvent, SynchronizationEvent},
    _KWAIT_REASON::{Executive, UserRequest},
    _MODE::{KernelMode, UserMode},
    _WAIT_TYPE::WaitAny,
    EVENT_TYPE, KEVENT, LARGE_INTEGER, ntddk,
};

use super::memory::try_vec;

/// 100 ns units of a millisecond, the unit of NT's time-outs.
const UNITS_PER_MS: i64 = 10_000;

/// `STATUS_USER_APC`: a user APC ended the wait, or the thread is terminating.
const USER_APC: NtStatus = 0xC0;
/// `STATUS_ALERTED`: the thread was alerted.
const ALERTED: NtStatus = 0x101;

/// A dispatcher event inside an [`Events`], which never moves.
pub(crate) struct Event {
    event: UnsafeCell<KEVENT>,
}

// SAFETY: after its initialisation the kernel alone touches the event, under its own lock.
unsafe impl Send for Event {}
// SAFETY: as above.
unsafe impl Sync for Event {}

/// Events in nonpaged memory of their own.
pub(crate) struct Events {
    events: Vec<Event>,
}

/// How an event begins.
#[derive(Clone, Copy)]
pub(crate) struct Initial {
    /// Whether it resets itself when it has released one waiter.
    pub(crate) synchronization: bool,
    /// Whether it begins signaled.
    pub(crate) signaled: bool,
}

/// Stays signaled until it is cleared.
pub(crate) const NOTIFICATION: Initial = Initial {
    synchronization: false,
    signaled: false,
};
/// Releases one waiter and resets itself.
pub(crate) const SYNCHRONIZATION: Initial = Initial {
    synchronization: true,
    signaled: false,
};

impl Events {
    /// Initialises `len` events in place.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    pub(crate) fn try_new(
        len: usize,
        initial: impl Fn(usize) -> Initial,
    ) -> Result<Self, NtStatus> {
        let events = try_vec(len, |_| Event {
            event: UnsafeCell::new(KEVENT::default()),
        })?;
        for (index, event) in events.iter().enumerate() {
            let Initial {
                synchronization,
                signaled,
            } = initial(index);
            let kind: EVENT_TYPE = if synchronization {
                SynchronizationEvent
            } else {
                NotificationEvent
            };
            // SAFETY: the event is in nonpaged memory that neither moves nor is shared yet.
            unsafe { ntddk::KeInitializeEvent(event.event.get(), kind, signaled.into()) };
        }
        Ok(Self { events })
    }

    /// One of the events.
    pub(crate) fn get(&self, index: usize) -> Option<&Event> {
        self.events.get(index)
    }
}

impl Event {
    /// `KeSetEvent`, without a boost and without a wait to follow. IRQL <= DISPATCH_LEVEL.
    pub(crate) fn set(&self) {
        // SAFETY: the event is initialised and nonpaged; `Wait` is FALSE, so that the caller's IRQL
        // may be up to DISPATCH_LEVEL.
        unsafe { ntddk::KeSetEvent(self.event.get(), 0, 0) };
    }

    /// `KeResetEvent`. IRQL <= DISPATCH_LEVEL.
    pub(crate) fn reset(&self) {
        // SAFETY: the event is initialised and nonpaged.
        unsafe { ntddk::KeResetEvent(self.event.get()) };
    }

    fn object(&self) -> *mut c_void {
        self.event.get().cast()
    }
}

// SAFETY: the event was initialised in place, in nonpaged memory that lives as long as `self` does.
unsafe impl StopEvent for Event {
    fn object(&self) -> NonNull<c_void> {
        NonNull::from(&self.event).cast()
    }
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waited {
    /// The event was signaled.
    First,
    /// The second event was signaled, and the first was not.
    Second,
    /// Neither was, in time.
    TimedOut,
}

fn relative(milliseconds: u32) -> LARGE_INTEGER {
    // At most 2^32 ms: the product cannot overflow 63 bits. Negative means relative to now.
    LARGE_INTEGER {
        QuadPart: -(i64::from(milliseconds) * UNITS_PER_MS),
    }
}

/// Sleeps (`KeDelayExecutionThread`): kernel mode, not alertable.
pub(crate) fn delay(milliseconds: u32, _irql: &impl AtMostApcLevel) {
    let mut interval = relative(milliseconds);
    #[allow(clippy::cast_possible_truncation, reason = "KernelMode is 0")]
    // SAFETY: the interval is a local, and the token shows IRQL <= APC_LEVEL. It says nothing but success.
    let _ = unsafe { ntddk::KeDelayExecutionThread(KernelMode as i8, 0, &raw mut interval) };
}

/// Waits for one event: kernel mode, not alertable, so that kernel APCs run inside the wait.
pub(crate) fn wait(event: &Event, milliseconds: u32, _irql: &impl AtMostApcLevel) -> Waited {
    let mut timeout = relative(milliseconds);
    #[allow(clippy::cast_possible_truncation, reason = "KernelMode is 0")]
    // SAFETY: the event outlives the wait, and the token shows IRQL <= APC_LEVEL.
    let status = unsafe {
        ntddk::KeWaitForSingleObject(
            event.object(),
            Executive,
            KernelMode as i8,
            0,
            &raw mut timeout,
        )
    };
    if status == TIMEOUT {
        Waited::TimedOut
    } else {
        Waited::First
    }
}

/// Waits for either of two events, the first preferred. As [`wait`] otherwise.
pub(crate) fn wait_either(
    first: &Event,
    second: &Event,
    milliseconds: u32,
    _irql: &impl AtMostApcLevel,
) -> Waited {
    let mut timeout = relative(milliseconds);
    let mut objects = [first.object(), second.object()];
    #[allow(clippy::cast_possible_truncation, reason = "KernelMode is 0")]
    // SAFETY: both events outlive the wait, the token shows IRQL <= APC_LEVEL, and two objects need
    // no wait blocks of the caller's.
    let status = unsafe {
        ntddk::KeWaitForMultipleObjects(
            2,
            objects.as_mut_ptr(),
            WaitAny,
            Executive,
            KernelMode as i8,
            0,
            &raw mut timeout,
            core::ptr::null_mut(),
        )
    };
    match status {
        0 => Waited::First,
        1 => Waited::Second,
        _ => Waited::TimedOut,
    }
}

/// How a wait of a caller's thread ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WaitedAs {
    /// The event was signaled.
    Signaled,
    /// The second event was signaled, and the first was not.
    Stopped,
    /// Neither was, in time.
    TimedOut,
    /// A user APC is to be delivered, or the thread is terminating.
    UserApc,
    /// The thread was alerted.
    Alerted,
}

/// Waits for either of two events, the first preferred, on behalf of user mode or alertably.
///
/// A wait in UserMode lets the stack be swapped out: both events are in nonpaged memory, as every event
/// here is, and the time-out is captured before the wait.
pub(crate) fn wait_as(
    first: &Event,
    second: &Event,
    milliseconds: u32,
    mode: WaitMode,
    _irql: &impl AtMostApcLevel,
) -> WaitedAs {
    let mut timeout = relative(milliseconds);
    let mut objects = [first.object(), second.object()];
    let (wait_mode, reason) = if mode.user() {
        (UserMode, UserRequest)
    } else {
        (KernelMode, Executive)
    };
    #[allow(
        clippy::cast_possible_truncation,
        reason = "processor modes are 0 and 1"
    )]
    // SAFETY: both events outlive the wait, the token shows IRQL <= APC_LEVEL, and two objects need
    // no wait blocks of the caller's.
    let status = unsafe {
        ntddk::KeWaitForMultipleObjects(
            2,
            objects.as_mut_ptr(),
            WaitAny,
            reason,
            wait_mode as i8,
            mode.alertable().into(),
            &raw mut timeout,
            core::ptr::null_mut(),
        )
    };
    match status {
        0 => WaitedAs::Signaled,
        1 => WaitedAs::Stopped,
        USER_APC => WaitedAs::UserApc,
        ALERTED => WaitedAs::Alerted,
        _ => WaitedAs::TimedOut,
    }
}
