//! Executive resources (ERESOURCE): shared and exclusive, recursive, with an owner for each share.
//!
//! Documentation says when an acquire is met at once, and promises no order among those that
//! wait. So in `Documented` whoever is eligible may get a resource that has become free, whether
//! it waits or comes by. In `Nt52` an exclusive release lets all waiting sharers in, a shared one
//! the first that waits for exclusive (docs/semantics.md, section 3).

mod ask;
mod order;
mod owner;
mod wrong;

use super::blocked::LockHolder;
use super::bugcheck::RESOURCE_NOT_OWNED;
use super::lock::{Acquired, Claim, LockId};
use super::{APC_LEVEL, BugCheck, Kernel, Mutant, PASSIVE_LEVEL, ResourceId, ThreadId};

/// The four ways to acquire a resource.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ResourceMode {
    /// `ExAcquireResourceExclusiveLite`.
    Exclusive,
    /// `ExAcquireResourceSharedLite`: a thread that has it already passes those that wait for
    /// exclusive, a new one queues behind them.
    Shared,
    /// `ExAcquireSharedStarveExclusive`: passes those that wait for exclusive.
    SharedStarveExclusive,
    /// `ExAcquireSharedWaitForExclusive`: queues behind those that wait for exclusive, even when
    /// the thread has the resource already, which then waits for itself.
    SharedWaitForExclusive,
}

/// In whose name a resource is held.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ResourceOwner {
    /// The thread that acquired it.
    Thread(ThreadId),
    /// The owner pointer that took the thread's place (`ExSetResourceOwnerPointer`).
    Pointer(u64),
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Resource {
    exclusive: Option<Hold>,
    /// Sorted by owner, so that equal machines compare equal.
    shared: Vec<Hold>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Hold {
    owner: ResourceOwner,
    count: u32,
}

impl Resource {
    fn free(&self) -> bool {
        self.exclusive.is_none() && self.shared.is_empty()
    }

    fn exclusively(&self, owner: ResourceOwner) -> bool {
        self.exclusive
            .as_ref()
            .is_some_and(|hold| hold.owner == owner)
    }

    fn share(&self, owner: ResourceOwner) -> Option<&Hold> {
        self.shared.iter().find(|hold| hold.owner == owner)
    }

    fn held_by(&self, owner: ResourceOwner) -> bool {
        self.exclusively(owner) || self.share(owner).is_some()
    }

    /// `Some(true)` when the owner shares it alone.
    fn only_shared_by(&self, owner: ResourceOwner) -> Option<bool> {
        let alone = self.exclusive.is_none() && self.shared.iter().all(|hold| hold.owner == owner);
        (alone && !self.shared.is_empty()).then_some(true)
    }

    /// How often the thread has it, exclusively and shared.
    pub(super) fn holds(&self, t: ThreadId) -> (u32, u32) {
        let owner = ResourceOwner::Thread(t);
        let exclusive = self.exclusive.iter().find(|hold| hold.owner == owner);
        let count = |hold: Option<&Hold>| hold.map_or(0, |hold| hold.count);
        (count(exclusive), count(self.share(owner)))
    }

    pub(super) fn permute(&mut self, of: impl Fn(ThreadId) -> ThreadId) {
        for hold in self.exclusive.iter_mut().chain(&mut self.shared) {
            if let ResourceOwner::Thread(t) = &mut hold.owner {
                *t = of(*t);
            }
        }
        self.shared.sort_by_key(|hold| hold.owner);
    }

    fn add_share(&mut self, owner: ResourceOwner, count: u32) {
        match self.shared.binary_search_by_key(&owner, |hold| hold.owner) {
            Ok(at) => self.shared[at].count += count,
            Err(at) => self.shared.insert(at, Hold { owner, count }),
        }
    }
}

impl Kernel {
    /// `ExInitializeResourceLite`.
    pub fn create_resource(&mut self) -> ResourceId {
        ResourceId(self.resources.insert(Resource {
            exclusive: None,
            shared: Vec::new(),
        }))
    }

    /// `ExDeleteResourceLite`, called by thread `t`.
    ///
    /// # Errors
    ///
    /// 0xC4/0x20007 (rule IrqlExApcLte3) above APC_LEVEL; 0x139 with parameter 1 = 3 while the
    /// resource is held or waited for. No page names a bug check for the latter.
    pub fn delete_resource(&mut self, t: ThreadId, r: ResourceId) -> Result<(), BugCheck> {
        self.resource_irql(t, APC_LEVEL, "ExDeleteResourceLite")?;
        if let Some(use_) = self.resource_in_use(r) {
            return Err(BugCheck::freed_in_use(format!(
                "A resource was deleted while a thread {use_} it."
            )));
        }
        self.resources.remove(r.0);
        Ok(())
    }

    /// `ExReinitializeResourceLite`, called by thread `t`.
    ///
    /// # Errors
    ///
    /// 0xC4/0x20007 above APC_LEVEL; 0xC4/0xD0 while the resource is held or waited for
    /// (docs/semantics.md, section 4).
    pub fn reinitialize_resource(&mut self, t: ThreadId, r: ResourceId) -> Result<(), BugCheck> {
        self.resource_irql(t, APC_LEVEL, "ExReinitializeResourceLite")?;
        if let Some(use_) = self.resource_in_use(r) {
            let reason = format!("A resource was reinitialised while a thread {use_} it.");
            return Err(BugCheck::verifier(0xD0, [0; 3], reason));
        }
        if self.gets_wrong(Mutant::ResourceReinitialize) {
            let (owner, count) = (ResourceOwner::Pointer(0), 1);
            self.resources.get_mut(r.0).exclusive = Some(Hold { owner, count });
        }
        Ok(())
    }

    /// Acquires the resource; `wait` is the routine's parameter `Wait`.
    ///
    /// Every mode counts as one more exclusive acquire in the thread that has it exclusively. A
    /// thread that has it shared and waits for exclusive waits for itself, for ever.
    ///
    /// # Errors
    ///
    /// 0xC4/0x20007 (rule IrqlExApcLte3) above APC_LEVEL; 0xC4/0x37 when normal kernel APCs are
    /// enabled in the thread (page of bug check 0xC4).
    ///
    /// # Panics
    ///
    /// When the thread waits already or has ended.
    pub fn acquire_resource(
        &mut self,
        t: ThreadId,
        r: ResourceId,
        mode: ResourceMode,
        wait: bool,
    ) -> Result<Acquired, BugCheck> {
        let most = if self.gets_wrong(Mutant::ResourceApcLevel) {
            PASSIVE_LEVEL
        } else {
            APC_LEVEL
        };
        self.resource_irql(t, most, "A routine that acquires a resource")?;
        self.normal_apcs_disabled(t, 0x37, "A resource was acquired")?;
        let claim = Claim::Resource {
            resource: r,
            mode,
            behind: mode != ResourceMode::SharedStarveExclusive,
        };
        if !wait && self.gets_wrong(Mutant::ResourceTry) {
            return Ok(Acquired::Refused);
        }
        if !wait && claim.exclusive() && self.gets_wrong(Mutant::ResourceUpgradeFails) {
            let resource = self.resources.get(r.0);
            if resource.only_shared_by(ResourceOwner::Thread(t)).is_some() {
                self.give(t, claim);
                return Ok(Acquired::Now);
            }
        }
        Ok(self.acquire(t, claim, wait))
    }

    /// `ExEnterCriticalRegionAndAcquireResourceExclusive`, `…ResourceShared` and
    /// `…SharedWaitForExclusive`: enters a critical region, then acquires the resource and waits.
    /// (There is no such routine that starves exclusive.)
    ///
    /// # Errors
    ///
    /// As [`Kernel::enter_critical`].
    ///
    /// # Panics
    ///
    /// As [`Kernel::acquire_resource`].
    pub fn enter_and_acquire_resource(
        &mut self,
        t: ThreadId,
        r: ResourceId,
        mode: ResourceMode,
    ) -> Result<Acquired, BugCheck> {
        if !self.gets_wrong(Mutant::ResourceEnterAcquire) {
            self.enter_critical(t)?;
        }
        self.acquire_resource(t, r, mode, true)
    }

    /// `ExReleaseResourceLite`: one release for each acquire.
    ///
    /// # Errors
    ///
    /// 0xC4/0x20007 above DISPATCH_LEVEL; 0xC4/0x38 when normal kernel APCs are enabled in the
    /// thread; 0xE3 RESOURCE_NOT_OWNED when the thread does not own it, also after it has handed
    /// it over.
    pub fn release_resource(&mut self, t: ThreadId, r: ResourceId) -> Result<(), BugCheck> {
        self.release_resource_for(t, r, ResourceOwner::Thread(t))
    }

    /// `ExReleaseResourceAndLeaveCriticalRegion`: releases the resource, then leaves.
    ///
    /// # Errors
    ///
    /// As [`Kernel::release_resource`] and [`Kernel::leave_critical`].
    pub fn release_resource_and_leave(
        &mut self,
        t: ThreadId,
        r: ResourceId,
    ) -> Result<(), BugCheck> {
        self.resource_irql(t, APC_LEVEL, "ExReleaseResourceAndLeaveCriticalRegion")?;
        if self.gets_wrong(Mutant::ResourceReleasesFirst) {
            return self.leave_and_release_resource(t, r);
        }
        self.release_resource(t, r)?;
        if self.gets_wrong(Mutant::ResourceEnterAcquire) {
            return Ok(());
        }
        self.leave_critical(t)
    }

    /// `ExConvertExclusiveToSharedLite`: the thread keeps its count, and waiting sharers may come
    /// in.
    ///
    /// # Errors
    ///
    /// 0xC4/0x20007 above APC_LEVEL; 0xE3 when the thread does not own the resource exclusively
    /// (no page names a bug check for that).
    pub fn convert_resource(&mut self, t: ThreadId, r: ResourceId) -> Result<(), BugCheck> {
        self.resource_irql(t, APC_LEVEL, "ExConvertExclusiveToSharedLite")?;
        let resource = self.resources.get_mut(r.0);
        let owner = ResourceOwner::Thread(t);
        let Some(mut hold) = resource.exclusive.take_if(|hold| hold.owner == owner) else {
            let reason = "A resource was converted by a thread that does not own it exclusively.";
            return Err(BugCheck::new(RESOURCE_NOT_OWNED, [0; 4], reason));
        };
        if self.mutant == Some(Mutant::ResourceConvertKeeps) {
            hold.count = 1;
        }
        resource.shared.push(hold);
        self.forget_order(LockId::Resource(r));
        self.hand_over(LockId::Resource(r), |claim| !claim.exclusive());
        Ok(())
    }

    /// Everybody who holds the resource.
    pub(super) fn resource_holders(&self, r: ResourceId) -> Vec<LockHolder> {
        let resource = self.resources.get(r.0);
        let holder = |hold: &Hold, exclusive| LockHolder {
            owner: hold.owner,
            exclusive,
            count: hold.count,
        };
        let exclusive = resource.exclusive.iter().map(|hold| holder(hold, true));
        let shared = resource.shared.iter().map(|hold| holder(hold, false));
        exclusive.chain(shared).collect()
    }

    /// Whether the thread owns a resource.
    pub(super) fn owns_resource(&self, t: ThreadId) -> bool {
        let owner = ResourceOwner::Thread(t);
        self.resources
            .iter()
            .any(|(_, resource)| resource.held_by(owner))
    }

    fn resource_in_use(&self, r: ResourceId) -> Option<&'static str> {
        if !self.resources.get(r.0).free() {
            Some("held")
        } else if self.awaited(LockId::Resource(r)) {
            Some("waited for")
        } else {
            None
        }
    }

    fn resource_irql(&self, t: ThreadId, most: u8, routine: &str) -> Result<(), BugCheck> {
        let irql = self.thread(t).irql;
        if irql <= most {
            return Ok(());
        }
        let reason = format!("{routine} was called at IRQL {irql}.");
        Err(BugCheck::verifier(IRQL_EX_APC_LTE3, [0; 3], reason))
    }
}

/// The Driver Verifier rule that bounds the IRQL of the resource routines.
pub(super) const IRQL_EX_APC_LTE3: u64 = 0x20007;

#[cfg(test)]
mod tests;
