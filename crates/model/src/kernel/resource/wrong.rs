//! Who may have a resource in the machines that get one fact about it wrong.

use super::{ResourceMode, ResourceOwner};
use crate::kernel::{Kernel, Mutant, ResourceId};

impl Kernel {
    /// Where one of the rules on the pages is wrong, what it says instead.
    pub(super) fn resource_open_in_mutant(
        &self,
        owner: ResourceOwner,
        r: ResourceId,
        mode: ResourceMode,
        mutant: Mutant,
    ) -> Option<bool> {
        let resource = self.resources.get(r.0);
        let has_it = resource.exclusively(owner);
        let sharers = !resource.shared.is_empty();
        let sharer = resource.share(owner).is_some();
        let exclusive = mode == ResourceMode::Exclusive;
        match mutant {
            Mutant::ResourceExcludes if resource.exclusive.is_some() => Some(true),
            Mutant::ResourceShares if sharers && !sharer => Some(false),
            Mutant::ResourceSharersExclude if sharers && !sharer && exclusive => Some(true),
            Mutant::ResourceExclusiveRecursive if has_it && exclusive => Some(false),
            Mutant::ResourceSharedRecursive if sharer && !exclusive => Some(false),
            Mutant::ResourceOwnerShares if has_it && !exclusive => Some(false),
            Mutant::ResourceSharedQueues if sharers && mode == ResourceMode::Shared => Some(true),
            Mutant::ResourceWaitQueues
                if sharers && mode == ResourceMode::SharedWaitForExclusive =>
            {
                Some(true)
            }
            Mutant::ResourceSharerPasses if sharer && mode == ResourceMode::Shared => {
                Some(!self.waits_for_exclusive(r))
            }
            Mutant::ResourceStarvePasses
                if sharers && mode == ResourceMode::SharedStarveExclusive =>
            {
                Some(!self.waits_for_exclusive(r))
            }
            _ => None,
        }
    }

    /// Where one of the rules for waiters is wrong, what it says instead.
    pub(super) fn resource_open_to_waiter_in_mutant(
        &self,
        owner: ResourceOwner,
        r: ResourceId,
        exclusive: bool,
        mutant: Mutant,
    ) -> Option<bool> {
        let resource = self.resources.get(r.0);
        let has_it = resource.exclusively(owner);
        let sharer = resource.share(owner).is_some();
        let sharers = !resource.shared.is_empty();
        match mutant {
            Mutant::ResourceReleaseWakes => Some(false),
            Mutant::ResourceExclusiveRecursive | Mutant::ResourceOwnerShares if has_it => {
                Some(false)
            }
            Mutant::ResourceSharedRecursive if sharer => Some(false),
            Mutant::ResourceUpgradeDeadlocks if exclusive => resource.only_shared_by(owner),
            Mutant::ResourceShares | Mutant::ResourceConvertAdmits if sharers && !sharer => {
                Some(false)
            }
            Mutant::ResourceConvertHoldsOff if exclusive && sharers && !sharer => Some(true),
            _ => None,
        }
    }
}
