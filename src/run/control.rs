//! What may end a run early: cancelling, from any thread and up to DISPATCH_LEVEL.

use core::sync::atomic::{AtomicBool, Ordering};

use apclab_guards::AtMostApcLevel;
use apclab_protocol::status::NtStatus;

use crate::nt::event::{Event, Events, NOTIFICATION, Waited, wait};

const STOP: usize = 0;
const CALLBACK_RAN: usize = 1;
const CLOSED: usize = 2;

/// Shared by the run, its request and the session.
pub(crate) struct Control {
    cancelled: AtomicBool,
    events: Events,
}

impl Control {
    /// A run that nobody has cancelled.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    pub(crate) fn try_new() -> Result<Self, NtStatus> {
        Ok(Self {
            cancelled: AtomicBool::new(false),
            events: Events::try_new(3, |_| NOTIFICATION)?,
        })
    }

    /// Signaled when the lanes shall give their iteration up: cancelled, or one of them timed out.
    pub(crate) fn stop(&self) -> Option<&Event> {
        self.events.get(STOP)
    }

    /// Whether the run was cancelled.
    pub(crate) fn cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    /// Cancels the run. IRQL <= DISPATCH_LEVEL.
    pub(crate) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
        self.halt_iteration();
    }

    /// Makes all lanes give the iteration up.
    pub(crate) fn halt_iteration(&self) {
        if let Some(stop) = self.stop() {
            stop.set();
        }
    }

    /// Before the next iteration: takes `halt_iteration` back, but never a cancelling.
    pub(crate) fn rearm(&self) {
        if let Some(stop) = self.stop() {
            stop.reset();
        }
        // A cancelling between the reset and here has set the flag first.
        if self.cancelled() {
            self.halt_iteration();
        }
    }

    /// Signaled when no lane executes any further step.
    pub(crate) fn closed(&self) -> Option<&Event> {
        self.events.get(CLOSED)
    }

    /// The request's cancel callback says that it has come to its end.
    pub(crate) fn callback_ran(&self) {
        if let Some(ran) = self.events.get(CALLBACK_RAN) {
            ran.set();
        }
    }

    /// Waits until the request's cancel callback has come to its end. The framework calls it at once
    /// when it has said that it will.
    pub(crate) fn await_callback(&self, irql: &impl AtMostApcLevel) {
        const SLICE_MS: u32 = 1000;
        if let Some(ran) = self.events.get(CALLBACK_RAN) {
            while wait(ran, SLICE_MS, irql) == Waited::TimedOut {}
        }
    }
}
