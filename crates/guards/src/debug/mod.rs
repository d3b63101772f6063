//! Where regions were entered and locks acquired (feature `debug`).
//!
//! Each has a slot in a table of this module until it is left or released. When the thread's [`Passive`] token
//! goes, what is still in the table was forgotten, and is reported with the place that opened it. So are
//! mistakes in the order of things: a region that is left while the thread has none of its kind open, or
//! under a lock that needs it; a lock that is acquired with APCs enabled, or that the thread waits for while
//! it holds it. The kernel's debugger shows the reports; on the model `testing::mistakes` has them. Each is
//! made before the call that the kernel would stop at.
//!
//! The table has room for 256 at a time; those beyond it are not recorded.
//!
//! [`Passive`]: crate::Passive

mod mistake;
mod table;

pub use mistake::{LockKind, Mistake, Place};

use core::panic::Location;

use crate::{RegionKind, backend};
use table::Opened;

/// Where a guard's region or lock was opened, where that is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin(Option<Place>);

impl Origin {
    pub(crate) const UNKNOWN: Self = Self(None);
}

/// A region was entered.
#[track_caller]
pub(crate) fn entered(kind: RegionKind) -> Origin {
    let place = Location::caller();
    table::note(Opened::Region(kind), place);
    Origin(Some(place))
}

/// A region is about to be left.
pub(crate) fn leaves(kind: RegionKind, origin: Origin) -> Origin {
    let Some((slot, place)) = table::newest(Opened::Region(kind), origin.0) else {
        return origin;
    };
    slot.clear();
    Origin(Some(place))
}

/// A region was left.
pub(crate) fn left(origin: Origin) {
    if !backend::normal_apcs_enabled() {
        return;
    }
    for (slot, acquired) in table::mine() {
        if let Opened::Lock(lock @ (LockKind::Resource | LockKind::PushLock), _) = slot.opened() {
            backend::report(&Mistake::LeftUnderALock {
                lock,
                acquired,
                entered: origin.0,
            });
        }
    }
}

/// A region is taken up whose guard was forgotten.
#[track_caller]
pub(crate) fn taken_up(kind: RegionKind) -> Origin {
    let newest = table::newest(Opened::Region(kind), None);
    if newest.is_none() && table::complete() {
        backend::report(&Mistake::LeftWithoutEntering(kind, Location::caller()));
    }
    Origin(newest.map(|(_, place)| place))
}

/// A lock is about to be acquired; `waits` where a thread that holds it would wait for itself.
#[track_caller]
pub(crate) fn acquires<L>(kind: LockKind, lock: &L, waits: bool) {
    let again = Location::caller();
    let needs_region = matches!(kind, LockKind::Resource | LockKind::PushLock);
    if needs_region && backend::normal_apcs_enabled() {
        backend::report(&Mistake::AcquiredWithApcsEnabled(kind, again));
    }
    if waits && let Some((_, acquired)) = table::newest(of(kind, lock), None) {
        backend::report(&Mistake::WaitsForItself {
            lock: kind,
            acquired,
            again,
        });
    }
}

/// A lock was acquired.
#[track_caller]
pub(crate) fn acquired<L>(kind: LockKind, lock: &L) -> Origin {
    let place = Location::caller();
    table::note(of(kind, lock), place);
    Origin(Some(place))
}

/// A lock is about to be released once.
pub(crate) fn releases<L>(kind: LockKind, lock: &L, origin: Origin) {
    if let Some((slot, _)) = table::newest(of(kind, lock), origin.0) {
        slot.clear();
    }
}

/// All that the thread has of a lock is about to be another's.
pub(crate) fn hands_over<L>(kind: LockKind, lock: &L) {
    for (slot, _) in table::mine() {
        if slot.opened() == of(kind, lock) {
            slot.clear();
        }
    }
}

/// The calling thread's token goes: what is open now is never left or released.
pub(crate) fn activation_ends() {
    for (slot, place) in table::mine() {
        backend::report(&match slot.opened() {
            Opened::Region(kind) => Mistake::NeverLeft(kind, place),
            Opened::Lock(kind, _) => Mistake::NeverReleased(kind, place),
        });
        slot.clear();
    }
}

fn of<L>(kind: LockKind, lock: &L) -> Opened {
    Opened::Lock(kind, core::ptr::from_ref(lock).addr())
}
