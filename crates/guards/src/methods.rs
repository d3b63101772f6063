//! The region forms as methods of a token.

use crate::{AtMostApcLevel, CriticalRegion, GuardedRegion};

/// [`critical`](crate::critical), [`guarded`](crate::guarded) and the guards, where a method reads better
/// than a function. Every token has it.
///
/// ```
/// use apclab_guards::{Passive, Regions, apcs_disabled};
///
/// // SAFETY: this thread runs at PASSIVE_LEVEL, and no other token of it exists.
/// let mut irql = unsafe { Passive::assume() };
/// assert!(irql.critical(|irql, _region| apcs_disabled(irql)));
/// let region = irql.enter_guarded();
/// region.leave();
/// ```
pub trait Regions: AtMostApcLevel + Sized {
    /// Calls `f` inside a critical region. The region is left however `f` ends.
    #[inline]
    #[cfg_attr(feature = "debug", track_caller)]
    fn critical<R>(&mut self, f: impl FnOnce(&mut Self, &CriticalRegion) -> R) -> R {
        crate::critical(self, f)
    }

    /// Calls `f` inside a guarded region. The region is left however `f` ends.
    #[inline]
    #[cfg_attr(feature = "debug", track_caller)]
    fn guarded<R>(&mut self, f: impl FnOnce(&mut Self, &GuardedRegion) -> R) -> R {
        crate::guarded(self, f)
    }

    /// Enters a critical region; dropping the guard leaves it.
    #[inline]
    #[cfg_attr(feature = "debug", track_caller)]
    fn enter_critical(&self) -> CriticalRegion {
        CriticalRegion::enter(self)
    }

    /// Enters a guarded region; dropping the guard leaves it.
    #[inline]
    #[cfg_attr(feature = "debug", track_caller)]
    fn enter_guarded(&self) -> GuardedRegion {
        GuardedRegion::enter(self)
    }
}

impl<L: AtMostApcLevel> Regions for L {}
