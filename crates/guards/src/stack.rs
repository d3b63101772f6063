//! Regions nested to a depth that is known only at run time.

use core::mem;

use crate::{AnyProof, AtMostApcLevel, CriticalRegion, GuardedRegion, OneThread};

/// Which region a [`RegionStack`] holds open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegionKind {
    /// A critical region.
    Critical,
    /// A guarded region.
    Guarded,
}

/// Storage for one open region. Plain data: what it says matters only to the stack that borrows it.
#[derive(Clone, Copy, Debug)]
pub struct Slot(RegionKind);

impl Slot {
    /// A slot that nobody uses yet.
    pub const EMPTY: Self = Self(RegionKind::Critical);
}

/// The stack has no slot left; the region was not entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// Regions that the calling thread is in, innermost last. Dropping the stack leaves them all,
/// innermost first.
///
/// The storage is the caller's, so that nesting costs neither kernel stack nor an allocation.
/// Forgetting a stack leaks its regions, as forgetting a guard does.
#[derive(Debug)]
#[must_use = "the regions are left at once when the stack is unused"]
pub struct RegionStack<'s> {
    slots: &'s mut [Slot],
    depth: usize,
    _one_thread: OneThread,
}

impl<'s> RegionStack<'s> {
    /// An empty stack. It holds as many regions as there are slots.
    pub const fn new(slots: &'s mut [Slot]) -> Self {
        Self {
            slots,
            depth: 0,
            _one_thread: OneThread::HERE,
        }
    }

    /// Enters a region and keeps it open. IRQL <= APC_LEVEL, which the token shows.
    ///
    /// # Errors
    /// [`Full`]: every slot is in use. No region was entered.
    #[cfg_attr(feature = "debug", track_caller)]
    pub fn enter(&mut self, kind: RegionKind, irql: &impl AtMostApcLevel) -> Result<(), Full> {
        let slot = self.slots.get_mut(self.depth).ok_or(Full)?;
        // The guard is taken up again in `leave`.
        match kind {
            RegionKind::Critical => mem::forget(CriticalRegion::enter(irql)),
            RegionKind::Guarded => mem::forget(GuardedRegion::enter(irql)),
        }
        *slot = Slot(kind);
        self.depth += 1;
        Ok(())
    }

    /// Leaves the innermost region and says which it was; `None` when no region is open.
    ///
    /// APCs that it deferred run before this returns, if nothing else defers them.
    pub fn leave(&mut self) -> Option<RegionKind> {
        let top = self.depth.checked_sub(1)?;
        let Slot(kind) = *self.slots.get(top)?;
        self.depth = top;
        match kind {
            RegionKind::Critical => CriticalRegion::kept().leave(),
            RegionKind::Guarded => GuardedRegion::kept().leave(),
        }
        Some(kind)
    }

    /// The innermost open region.
    pub fn innermost(&self) -> Option<RegionKind> {
        self.slots
            .get(self.depth.checked_sub(1)?)
            .map(|slot| slot.0)
    }

    /// How many regions are open.
    pub const fn depth(&self) -> usize {
        self.depth
    }

    /// The proof that an open region keeps normal kernel APCs out; `None` when no region is open.
    /// While it is borrowed no region can be left.
    pub fn proof(&self) -> Option<&AnyProof> {
        (self.depth > 0).then(|| AnyProof::as_long_as(self))
    }

    /// The unused slots, for a stack inside this one: within a raise, say, where this one cannot go.
    pub fn spare(&mut self) -> &mut [Slot] {
        self.slots.get_mut(self.depth..).unwrap_or_default()
    }

    /// The proof and the unused slots, apart: for a stack inside this one under a lock that this one's
    /// regions protect. While either is borrowed no region of this stack can be left.
    pub fn parts(&mut self) -> (Option<&AnyProof>, &mut [Slot]) {
        let open = self.depth > 0;
        let (used, spare) = self.slots.split_at_mut(self.depth);
        (open.then(|| AnyProof::as_long_as(used)), spare)
    }
}

impl Drop for RegionStack<'_> {
    fn drop(&mut self) {
        while self.leave().is_some() {}
    }
}
