//! What a thread may ask about a resource.

use super::ResourceOwner;
use crate::kernel::lock::LockId;
use crate::kernel::{Kernel, Mutant, ResourceId, ThreadId};

impl Kernel {
    /// `ExIsResourceAcquiredExclusiveLite`.
    pub fn resource_acquired_exclusive(&self, t: ThreadId, r: ResourceId) -> bool {
        let (resource, owner) = (self.resources.get(r.0), ResourceOwner::Thread(t));
        match self.mutant {
            Some(Mutant::ResourceAsksExclusive) => resource.held_by(owner),
            Some(Mutant::ResourceAsksInApcs) if self.running(t).is_some() => false,
            _ => resource.exclusively(owner),
        }
    }

    /// `ExIsResourceAcquiredSharedLite`: how often the thread has acquired it, in either mode.
    pub fn resource_acquired_shared(&self, t: ThreadId, r: ResourceId) -> u32 {
        let count = self.resource_count(r, ResourceOwner::Thread(t));
        match self.mutant {
            Some(Mutant::ResourceAsksCount) => count.min(1),
            Some(Mutant::ResourceAsksInApcs) if self.running(t).is_some() => 0,
            _ => count,
        }
    }

    /// How often the resource is held in the name of the owner, in either mode: by how many releases
    /// it is given back.
    pub fn resource_count(&self, r: ResourceId, owner: ResourceOwner) -> u32 {
        let resource = self.resources.get(r.0);
        let mut holds = resource.exclusive.iter().chain(&resource.shared);
        let hold = holds.find(|hold| hold.owner == owner);
        hold.map_or(0, |hold| hold.count)
    }

    /// `ExGetExclusiveWaiterCount`: how many threads wait for exclusive. An estimate on a target.
    pub fn exclusive_waiters(&self, r: ResourceId) -> u32 {
        match self.mutant {
            Some(Mutant::ResourceAsksExclusiveWaiters) => 0,
            _ => self.count_claims(LockId::Resource(r), true),
        }
    }

    /// `ExGetSharedWaiterCount`: how many threads wait for shared. An estimate on a target.
    pub fn shared_waiters(&self, r: ResourceId) -> u32 {
        match self.mutant {
            Some(Mutant::ResourceAsksSharedWaiters) => 0,
            _ => self.count_claims(LockId::Resource(r), false),
        }
    }
}
