//! Release for an owner, who need not be the thread that releases, and hand-over.

use super::ResourceOwner;
use crate::kernel::bugcheck::{
    KERNEL_AUTO_BOOST_INVALID_LOCK_RELEASE, RESOURCE_NOT_OWNED, RESOURCE_OWNER_POINTER_INVALID,
};
use crate::kernel::lock::LockId;
use crate::kernel::{BugCheck, DISPATCH_LEVEL, Kernel, Mutant, ResourceId, ThreadId};

impl Kernel {
    /// `ExReleaseResourceForThreadLite`, called by thread `t` for `owner`: the only release after
    /// a hand-over.
    ///
    /// # Errors
    ///
    /// As [`Kernel::release_resource`]; 0x162 when another thread owns it that has not handed it
    /// over. What was handed over may be released with APCs enabled: the thread that releases it
    /// is in no danger of being suspended as its owner.
    pub fn release_resource_for(
        &mut self,
        t: ThreadId,
        r: ResourceId,
        owner: ResourceOwner,
    ) -> Result<(), BugCheck> {
        self.resource_irql(t, DISPATCH_LEVEL, "A routine that releases a resource")?;
        if owner == ResourceOwner::Thread(t) {
            self.normal_apcs_disabled(t, 0x38, "A resource was released")?;
        }
        self.check_resource_owner(r, owner, "released")?;
        if owner != ResourceOwner::Thread(t) && matches!(owner, ResourceOwner::Thread(_)) {
            let reason = "A resource was released for a thread that has not handed it over.";
            return Err(BugCheck::new(
                KERNEL_AUTO_BOOST_INVALID_LOCK_RELEASE,
                [0; 4],
                reason,
            ));
        }
        self.release_once(t, r, owner);
        Ok(())
    }

    fn release_once(&mut self, t: ThreadId, r: ResourceId, owner: ResourceOwner) {
        let resource = self.resources.get_mut(r.0);
        let exclusive = resource.exclusively(owner);
        let released = |count| match (self.mutant, owner) {
            (Some(Mutant::ResourceReleasesEach), ResourceOwner::Thread(_))
            | (Some(Mutant::ResourceHandOverCount), ResourceOwner::Pointer(_)) => count,
            (Some(Mutant::ResourceReleaseFor), ResourceOwner::Pointer(_)) => 0,
            _ => 1,
        };
        let mut holds = resource.exclusive.iter_mut().chain(&mut resource.shared);
        if let Some(hold) = holds.find(|hold| hold.owner == owner) {
            hold.count -= released(hold.count);
        }
        resource.exclusive.take_if(|hold| hold.count == 0);
        resource.shared.retain(|hold| hold.count > 0);
        if resource.free() {
            let lock = LockId::Resource(r);
            self.forget_order(lock);
            self.hand_over(lock, |claim| claim.exclusive() != exclusive);
        }
        if self.gets_wrong(Mutant::ResourceKeepsRegions) {
            self.force_everything(t);
        }
    }

    /// What the mutant of `resource-releases-first` does: it leaves, and releases when what the leave
    /// lets run has run. Until then it has to be called again.
    pub(super) fn leave_and_release_resource(
        &mut self,
        t: ThreadId,
        r: ResourceId,
    ) -> Result<(), BugCheck> {
        if self.counters(t).kernel != 0 {
            self.leave_critical(t)?;
            if self.forced(t) {
                return Ok(());
            }
        }
        self.release_once(t, r, ResourceOwner::Thread(t));
        Ok(())
    }

    /// `ExSetResourceOwnerPointer`: what the thread holds belongs to `pointer` from now on, with
    /// its count, and only [`Kernel::release_resource_for`] releases it.
    ///
    /// # Errors
    ///
    /// 0x132 RESOURCE_OWNER_POINTER_INVALID when the two low bits of `pointer` are not set (page
    /// of `ExSetResourceOwnerPointer`); 0xE3 when the thread does not own the resource.
    pub fn set_resource_owner(
        &mut self,
        t: ThreadId,
        r: ResourceId,
        pointer: u64,
    ) -> Result<(), BugCheck> {
        if pointer & 3 != 3 {
            let reason = "A resource was handed over to a pointer without its two low bits set.";
            return Err(BugCheck::new(
                RESOURCE_OWNER_POINTER_INVALID,
                [0, 0, 0, pointer],
                reason,
            ));
        }
        let owner = ResourceOwner::Thread(t);
        self.check_resource_owner(r, owner, "handed over")?;
        let resource = self.resources.get_mut(r.0);
        if self.mutant == Some(Mutant::ResourceHandOver) {
            resource.exclusive.take_if(|hold| hold.owner == owner);
            resource.shared.retain(|hold| hold.owner != owner);
            return Ok(());
        }
        let heir = ResourceOwner::Pointer(pointer);
        match &mut resource.exclusive {
            Some(hold) => hold.owner = heir,
            None => {
                if let Some(at) = resource.shared.iter().position(|hold| hold.owner == owner) {
                    let hold = resource.shared.remove(at);
                    resource.add_share(heir, hold.count);
                }
            }
        }
        Ok(())
    }

    fn check_resource_owner(
        &self,
        r: ResourceId,
        owner: ResourceOwner,
        what: &str,
    ) -> Result<(), BugCheck> {
        if self.resources.get(r.0).held_by(owner) {
            return Ok(());
        }
        let reason = format!("A resource was {what} that its alleged owner does not own.");
        Err(BugCheck::new(RESOURCE_NOT_OWNED, [0; 4], reason))
    }
}
