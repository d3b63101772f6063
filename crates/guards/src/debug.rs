//! Where regions were entered (feature `debug`).
//!
//! Each entered region has a slot in a table of this module until it is left. When the thread's [`Passive`]
//! token goes, what is still in the table was forgotten, and is reported with the place that entered it.
//! So is a region that is taken up (`Region::assume_entered`) while the thread has none of its kind open.
//! The kernel's debugger shows the reports; on the model `testing::mistakes` has them.
//!
//! The table has room for 256 regions at a time; those beyond it are not recorded.
//!
//! [`Passive`]: crate::Passive
#![allow(unsafe_code, reason = "reads a place back from an atomic pointer")]

use core::ffi::CStr;
use core::fmt;
use core::panic::Location;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};

use crate::{RegionKind, backend};

/// A mistake with the place that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// The thread's token went while a region was open that was entered here.
    NeverLeft(RegionKind, &'static Location<'static>),
    /// A region was left here although the thread has none of the kind open.
    LeftWithoutEntering(RegionKind, &'static Location<'static>),
}

impl Mistake {
    /// What happened, and where.
    pub(crate) const fn parts(&self) -> (&'static CStr, &'static Location<'static>) {
        match *self {
            Self::NeverLeft(RegionKind::Critical, place) => (
                c"a critical region is never left that was entered at",
                place,
            ),
            Self::NeverLeft(RegionKind::Guarded, place) => {
                (c"a guarded region is never left that was entered at", place)
            }
            Self::LeftWithoutEntering(_, place) => {
                (c"a region is left that the thread is not in, at", place)
            }
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, place) = self.parts();
        write!(f, "{} {place}", what.to_str().unwrap_or_default())
    }
}

struct Slot {
    /// 0: the slot is free.
    thread: AtomicUsize,
    guarded: AtomicBool,
    /// Grows with each region that is entered.
    order: AtomicUsize,
    /// Null until the slot is filled.
    place: AtomicPtr<Location<'static>>,
}

static SLOTS: [Slot; 256] = [const {
    Slot {
        thread: AtomicUsize::new(0),
        guarded: AtomicBool::new(false),
        order: AtomicUsize::new(0),
        place: AtomicPtr::new(null_mut()),
    }
}; 256];
static ORDER: AtomicUsize = AtomicUsize::new(0);
/// Set for good once a region found no slot: what is missing from the table proves nothing then.
static OVERFLOWED: AtomicBool = AtomicBool::new(false);

impl Slot {
    fn kind(&self) -> RegionKind {
        if self.guarded.load(Ordering::Relaxed) {
            RegionKind::Guarded
        } else {
            RegionKind::Critical
        }
    }

    fn place(&self) -> Option<&'static Location<'static>> {
        // SAFETY: the pointer is null, or was made from a reference to a constant of the program.
        unsafe { self.place.load(Ordering::Relaxed).as_ref() }
    }

    fn clear(&self) {
        self.place.store(null_mut(), Ordering::Relaxed);
        self.thread.store(0, Ordering::Release);
    }
}

/// The filled slots of the calling thread. Nobody else changes them; an APC routine that interrupts the
/// thread clears what it fills.
fn mine() -> impl Iterator<Item = &'static Slot> {
    let thread = backend::current_thread();
    SLOTS
        .iter()
        .filter(move |slot| slot.thread.load(Ordering::Acquire) == thread)
        .filter(|slot| slot.place().is_some())
}

fn newest(kind: RegionKind, place: Option<&'static Location<'static>>) -> Option<&'static Slot> {
    mine()
        .filter(|slot| slot.kind() == kind)
        .filter(|slot| place.is_none() || slot.place() == place)
        .max_by_key(|slot| slot.order.load(Ordering::Relaxed))
}

/// A region was entered at this place.
pub(crate) fn entered(kind: RegionKind, place: &'static Location<'static>) {
    let thread = backend::current_thread();
    let claimed = SLOTS.iter().find(|slot| {
        slot.thread
            .compare_exchange(0, thread, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    });
    let Some(slot) = claimed else {
        OVERFLOWED.store(true, Ordering::Relaxed);
        return;
    };
    slot.guarded
        .store(kind == RegionKind::Guarded, Ordering::Relaxed);
    slot.order
        .store(ORDER.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
    slot.place
        .store(core::ptr::from_ref(place).cast_mut(), Ordering::Release);
}

/// A region that was entered at this place, or at one that is not known, is left.
pub(crate) fn left(kind: RegionKind, place: Option<&'static Location<'static>>) {
    if let Some(slot) = newest(kind, place) {
        slot.clear();
    }
}

/// A region is taken up whose guard was forgotten.
pub(crate) fn taken_up(kind: RegionKind, by: &'static Location<'static>) {
    if newest(kind, None).is_none() && !OVERFLOWED.load(Ordering::Relaxed) {
        backend::report(&Mistake::LeftWithoutEntering(kind, by));
    }
}

/// The calling thread's token goes: what is open now is never left.
pub(crate) fn activation_ends() {
    for slot in mine() {
        if let Some(place) = slot.place() {
            backend::report(&Mistake::NeverLeft(slot.kind(), place));
        }
        slot.clear();
    }
}
