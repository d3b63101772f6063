//! What the module `debug` is without the feature: nothing.

use crate::RegionKind;

/// Without the feature nobody asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin;

impl Origin {
    pub(crate) const UNKNOWN: Self = Self;
}

#[derive(Clone, Copy)]
pub(crate) enum LockKind {
    Mutex,
    KMutex,
    Resource,
    PushLock,
}

#[inline]
pub(crate) const fn entered(_kind: RegionKind) -> Origin {
    Origin
}

#[inline]
pub(crate) const fn leaves(_kind: RegionKind, origin: Origin) -> Origin {
    origin
}

#[inline]
pub(crate) const fn left(_origin: Origin) {}

#[inline]
pub(crate) const fn taken_up(_kind: RegionKind) -> Origin {
    Origin
}

#[inline]
pub(crate) const fn acquires<L>(_kind: LockKind, _lock: &L, _waits: bool) {}

#[inline]
pub(crate) const fn acquired<L>(_kind: LockKind, _lock: &L) -> Origin {
    Origin
}

#[inline]
pub(crate) const fn releases<L>(_kind: LockKind, _lock: &L, _origin: Origin) {}

#[inline]
pub(crate) const fn hands_over<L>(_kind: LockKind, _lock: &L) {}
