//! The table of what is open, in every thread.
#![allow(unsafe_code, reason = "reads a place back from an atomic pointer")]

use core::panic::Location;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicUsize, Ordering};

use super::{LockKind, Place};
use crate::{RegionKind, backend};

/// What a slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opened {
    Region(RegionKind),
    /// A lock, by its address.
    Lock(LockKind, usize),
}

impl Opened {
    const fn code(self) -> (u8, usize) {
        match self {
            Self::Region(RegionKind::Critical) => (0, 0),
            Self::Region(RegionKind::Guarded) => (1, 0),
            Self::Lock(LockKind::Mutex, address) => (2, address),
            Self::Lock(LockKind::KMutex, address) => (3, address),
            Self::Lock(LockKind::Resource, address) => (4, address),
            Self::Lock(LockKind::PushLock, address) => (5, address),
        }
    }

    const fn of(code: u8, address: usize) -> Self {
        match code {
            0 => Self::Region(RegionKind::Critical),
            1 => Self::Region(RegionKind::Guarded),
            2 => Self::Lock(LockKind::Mutex, address),
            3 => Self::Lock(LockKind::KMutex, address),
            4 => Self::Lock(LockKind::Resource, address),
            _ => Self::Lock(LockKind::PushLock, address),
        }
    }
}

pub(super) struct Slot {
    /// 0: the slot is free.
    thread: AtomicUsize,
    code: AtomicU8,
    address: AtomicUsize,
    /// Grows with each slot that is filled.
    order: AtomicUsize,
    /// Null until the slot is filled.
    place: AtomicPtr<Location<'static>>,
}

static SLOTS: [Slot; 256] = [const {
    Slot {
        thread: AtomicUsize::new(0),
        code: AtomicU8::new(0),
        address: AtomicUsize::new(0),
        order: AtomicUsize::new(0),
        place: AtomicPtr::new(null_mut()),
    }
}; 256];
static ORDER: AtomicUsize = AtomicUsize::new(0);
/// Set for good once something found no slot: what is missing from the table proves nothing then.
static OVERFLOWED: AtomicBool = AtomicBool::new(false);

impl Slot {
    pub(super) fn opened(&self) -> Opened {
        Opened::of(
            self.code.load(Ordering::Relaxed),
            self.address.load(Ordering::Relaxed),
        )
    }

    pub(super) fn place(&self) -> Option<Place> {
        // SAFETY: the pointer is null, or was made from a reference to a constant of the program.
        unsafe { self.place.load(Ordering::Relaxed).as_ref() }
    }

    pub(super) fn clear(&self) {
        self.place.store(null_mut(), Ordering::Relaxed);
        self.thread.store(0, Ordering::Release);
    }
}

/// The filled slots of the calling thread. Nobody else changes them; an APC routine that interrupts the
/// thread clears what it fills.
pub(super) fn mine() -> impl Iterator<Item = (&'static Slot, Place)> {
    let thread = backend::current_thread();
    SLOTS
        .iter()
        .filter(move |slot| slot.thread.load(Ordering::Acquire) == thread)
        .filter_map(|slot| Some((slot, slot.place()?)))
}

/// The newest of the calling thread's, of those that were opened at this place if it is known.
pub(super) fn newest(opened: Opened, at: Option<Place>) -> Option<(&'static Slot, Place)> {
    mine()
        .filter(|(slot, _)| slot.opened() == opened)
        .filter(|(_, place)| at.is_none_or(|at| at == *place))
        .max_by_key(|(slot, _)| slot.order.load(Ordering::Relaxed))
}

/// Fills a slot.
pub(super) fn note(opened: Opened, place: Place) {
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
    let (code, address) = opened.code();
    slot.code.store(code, Ordering::Relaxed);
    slot.address.store(address, Ordering::Relaxed);
    slot.order
        .store(ORDER.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
    slot.place
        .store(core::ptr::from_ref(place).cast_mut(), Ordering::Release);
}

/// Whether everything that is open is in the table.
pub(super) fn complete() -> bool {
    !OVERFLOWED.load(Ordering::Relaxed)
}
