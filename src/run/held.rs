//! The requests that completions stand for: each is held until the program queues its completion, or until
//! the iteration ends.
//!
//! A request may be completed by any lane, an APC's body too, while others look whether it was cancelled:
//! each is under a spin lock, which keeps an APC from interrupting who is inside. Whoever takes the request
//! out owns it, and completes it outside of the lock.

use alloc::vec::Vec;

use apclab_protocol::program::ApcKind;
use apclab_protocol::status::{
    CANCELLED, IN_USE, INVALID_PARAMETER, NtStatus, OUT_OF_SEQUENCE, SUCCESS,
};

use super::program::Loaded;
use crate::nt::memory::try_vec;
use crate::nt::spin_lock::SpinLock;
use crate::nt::user_event::UserEvent;
use crate::wdm::irp::Irp;

/// The request of one completion.
struct Place {
    irp: Option<Irp>,
    /// The event of the request: there as soon as it was started, for as long as the run.
    event: Option<UserEvent>,
    /// The iteration has ended: nothing is held any more.
    closed: bool,
}

/// The requests of all completions of a run.
pub(crate) struct Held {
    /// For each APC of the program, which may be no completion.
    completions: Vec<Option<SpinLock<Place>>>,
}

impl Held {
    /// Nothing held yet.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    pub(crate) fn try_new(program: &Loaded) -> Result<Self, NtStatus> {
        let completions = try_vec(program.apcs.len(), |index| {
            let apc = program.apcs.get(index)?;
            (apc.kind == ApcKind::Completion).then(|| {
                SpinLock::new(Place {
                    irp: None,
                    event: None,
                    closed: false,
                })
            })
        })?;
        Ok(Self { completions })
    }

    fn get(&self, apc: u8) -> Option<&SpinLock<Place>> {
        self.completions.get(usize::from(apc))?.as_ref()
    }

    /// Holds a request; it is marked pending. It cannot come too late: the lock orders it before the
    /// closing, which then completes it, or after, when it is refused.
    ///
    /// # Errors
    /// [`INVALID_PARAMETER`] for an APC that is no completion, [`IN_USE`] when its request was started
    /// already in this iteration, [`OUT_OF_SEQUENCE`] when the iteration has ended. The request is given back.
    pub(crate) fn hold(&self, apc: u8, irp: Irp, event: UserEvent) -> Result<(), (Irp, NtStatus)> {
        let Some(completion) = self.get(apc) else {
            return Err((irp, INVALID_PARAMETER));
        };
        // What is refused leaves the lock before it is dropped.
        let refused = completion.with(|place| {
            if place.closed {
                return Some((irp, event, OUT_OF_SEQUENCE));
            }
            if place.event.is_some() {
                return Some((irp, event, IN_USE));
            }
            // Ahead of everybody who might complete it.
            irp.mark_pending();
            place.irp = Some(irp);
            place.event = Some(event);
            None
        });
        match refused {
            None => Ok(()),
            Some((irp, event, status)) => {
                drop(event);
                Err((irp, status))
            }
        }
    }

    /// Completes the request of a completion; `false` when none is held, `None` when the APC is no
    /// completion.
    pub(crate) fn complete(&self, apc: u8) -> Option<bool> {
        let irp = self.get(apc)?.with(|place| place.irp.take());
        Some(irp.is_some_and(|irp| {
            irp.complete(SUCCESS, 0);
            true
        }))
    }

    /// Whether the event of a completion's request is signaled; `None` when the APC is no completion.
    pub(crate) fn ran(&self, apc: u8) -> Option<bool> {
        let signaled = |place: &mut Place| place.event.as_ref().is_some_and(UserEvent::signaled);
        Some(self.get(apc)?.with(signaled))
    }

    fn any(&self, wanted: impl Fn(&Irp) -> bool) -> bool {
        let mut places = self.completions.iter().flatten();
        places.any(|place| place.with(|place| place.irp.as_ref().is_some_and(&wanted)))
    }

    /// Whether a request that is held was cancelled, or its thread is terminating.
    pub(crate) fn abandoned(&self) -> bool {
        self.any(|irp| irp.abandoned())
    }

    /// Whether a request is held that came through a file object.
    pub(crate) fn through(&self, file: usize) -> bool {
        self.any(|irp| irp.file() == file)
    }

    /// Completes what is held, and holds nothing any more.
    pub(crate) fn close(&self) {
        for completion in self.completions.iter().flatten() {
            let irp = completion.with(|place| {
                place.closed = true;
                place.irp.take()
            });
            if let Some(irp) = irp {
                irp.complete(CANCELLED, 0);
            }
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.close();
    }
}
