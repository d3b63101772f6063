//! What is reported.

use core::ffi::CStr;
use core::fmt;
use core::panic::Location;

use crate::RegionKind;

/// A line of the code that uses the guards.
pub type Place = &'static Location<'static>;

/// Which lock a mistake was made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockKind {
    /// A fast or a guarded mutex.
    Mutex,
    /// A KMUTEX.
    KMutex,
    /// An ERESOURCE.
    Resource,
    /// A push lock.
    PushLock,
}

/// A mistake with the places that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mistake {
    /// The thread's token went while a region was open that was entered here.
    NeverLeft(RegionKind, Place),
    /// The thread's token went while the thread held a lock that it acquired here.
    NeverReleased(LockKind, Place),
    /// A region was left here although the thread has none of the kind open.
    LeftWithoutEntering(RegionKind, Place),
    /// The last thing that kept normal kernel APCs out went while the thread held a lock that needs it.
    LeftUnderALock {
        /// The lock.
        lock: LockKind,
        /// Where it was acquired.
        acquired: Place,
        /// Where the region was entered that was left too early, as far as it is known.
        entered: Option<Place>,
    },
    /// A lock that needs normal kernel APCs disabled was acquired here with the APCs enabled.
    AcquiredWithApcsEnabled(LockKind, Place),
    /// A thread began to wait for a lock that it holds, for ever.
    WaitsForItself {
        /// The lock.
        lock: LockKind,
        /// Where the thread acquired it.
        acquired: Place,
        /// Where it did so again.
        again: Place,
    },
}

/// A part of a report: a sentence that a place ends.
pub(crate) type Part = (&'static CStr, Place);

impl Mistake {
    /// What happened where, and what else belongs to it.
    pub(crate) const fn parts(&self) -> (Part, Option<Part>) {
        match *self {
            Self::NeverLeft(RegionKind::Critical, place) => (
                (
                    c"a critical region is never left that was entered at",
                    place,
                ),
                None,
            ),
            Self::NeverLeft(RegionKind::Guarded, place) => (
                (c"a guarded region is never left that was entered at", place),
                None,
            ),
            Self::NeverReleased(lock, place) => ((never_released(lock), place), None),
            Self::LeftWithoutEntering(_, place) => (
                (c"a region is left that the thread is not in, at", place),
                None,
            ),
            Self::LeftUnderALock {
                acquired, entered, ..
            } => (
                (
                    c"normal kernel APCs are enabled under a lock that was acquired at",
                    acquired,
                ),
                match entered {
                    Some(place) => Some((c"the region was left that was entered at", place)),
                    None => None,
                },
            ),
            Self::AcquiredWithApcsEnabled(_, place) => (
                (
                    c"a lock is acquired with normal kernel APCs enabled at",
                    place,
                ),
                None,
            ),
            Self::WaitsForItself {
                acquired, again, ..
            } => (
                (
                    c"a thread waits for ever for a lock that it holds, at",
                    again,
                ),
                Some((c"it acquired the lock at", acquired)),
            ),
        }
    }
}

const fn never_released(lock: LockKind) -> &'static CStr {
    match lock {
        LockKind::Mutex | LockKind::KMutex => c"a mutex is never released that was acquired at",
        LockKind::Resource => c"a resource is never released that was acquired at",
        LockKind::PushLock => c"a push lock is never released that was acquired at",
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |(what, _): &Part| what.to_str().unwrap_or_default();
        let (first, second) = self.parts();
        write!(f, "{} {}", text(&first), first.1)?;
        match second {
            Some(second) => write!(f, "; {} {}", text(&second), second.1),
            None => Ok(()),
        }
    }
}
