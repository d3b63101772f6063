//! Who may have a resource, at once or after a wait.

use super::{Hold, ResourceMode, ResourceOwner};
use crate::kernel::lock::LockId;
use crate::kernel::{Kernel, ResourceId, ThreadId};

impl Kernel {
    /// Whether a thread that has not waited gets the resource at once: the rules on the pages of
    /// the four routines.
    pub(in crate::kernel) fn resource_open(
        &self,
        t: ThreadId,
        r: ResourceId,
        mode: ResourceMode,
    ) -> bool {
        let resource = self.resources.get(r.0);
        let owner = ResourceOwner::Thread(t);
        if let Some(mutant) = self.mutant
            && let Some(open) = self.resource_open_in_mutant(owner, r, mode, mutant)
        {
            return open;
        }
        if resource.exclusive.is_some() {
            return resource.exclusively(owner);
        }
        let queue = || self.waits_for_exclusive(r);
        match mode {
            _ if resource.free() => true,
            ResourceMode::Exclusive => false,
            ResourceMode::Shared => resource.share(owner).is_some() || !queue(),
            ResourceMode::SharedStarveExclusive => true,
            ResourceMode::SharedWaitForExclusive => !queue(),
        }
    }

    /// Whether a thread that waits may get the resource: a sharer not before those that wait for
    /// exclusive, unless the resource has become free or shared since.
    pub(in crate::kernel) fn resource_open_to_waiter(
        &self,
        t: ThreadId,
        r: ResourceId,
        exclusive: bool,
        behind: bool,
    ) -> bool {
        let resource = self.resources.get(r.0);
        let owner = ResourceOwner::Thread(t);
        if let Some(mutant) = self.mutant
            && let Some(open) = self.resource_open_to_waiter_in_mutant(owner, r, exclusive, mutant)
        {
            return open;
        }
        if resource.exclusive.is_some() {
            return resource.exclusively(owner);
        }
        let queue = || behind && self.waits_for_exclusive(r);
        resource.free() || (!exclusive && !queue())
    }

    /// Whether somebody waits for exclusive.
    pub(super) fn waits_for_exclusive(&self, r: ResourceId) -> bool {
        self.count_claims(LockId::Resource(r), true) > 0
    }

    pub(in crate::kernel) fn give_resource(&mut self, t: ThreadId, r: ResourceId, exclusive: bool) {
        let owner = ResourceOwner::Thread(t);
        let resource = self.resources.get_mut(r.0);
        match &mut resource.exclusive {
            Some(hold) if hold.owner == owner => hold.count += 1,
            None if exclusive => resource.exclusive = Some(Hold { owner, count: 1 }),
            _ => resource.add_share(owner, 1),
        }
    }
}
