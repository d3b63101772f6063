//! The model's executive resources and push locks.

use apclab_model::kernel::{
    Acquired, Kernel, PushLockId, PushLockMode, ResourceId, ResourceMode,
    ResourceOwner as OwnerInModel,
};

use super::machine::{acquire, call};
use super::name::Name;
use crate::backend::memory::NotMade;
use crate::backend::{EnterMode, Mode, ResourceOwner};

fn of_model(mode: Mode) -> ResourceMode {
    match mode {
        Mode::Exclusive => ResourceMode::Exclusive,
        Mode::Shared => ResourceMode::Shared,
        Mode::SharedStarveExclusive => ResourceMode::SharedStarveExclusive,
        Mode::SharedWaitForExclusive => ResourceMode::SharedWaitForExclusive,
    }
}

/// `ERESOURCE`.
#[derive(Debug)]
pub(crate) struct Resource(Name<ResourceId>);

impl Resource {
    pub(crate) const fn blank() -> Self {
        Self(Name::none())
    }

    #[allow(clippy::unnecessary_wraps, reason = "the kernel's may refuse")]
    pub(crate) fn initialise(&self) -> Result<(), NotMade> {
        self.0.create(Kernel::create_resource);
        Ok(())
    }

    pub(crate) fn acquire(&self, mode: Mode) {
        acquire(|kernel, thread| {
            kernel.acquire_resource(thread, self.0.get(), of_model(mode), true)
        });
    }

    pub(crate) fn try_acquire(&self, mode: Mode) -> bool {
        let acquired = call(|kernel, thread| {
            kernel.acquire_resource(thread, self.0.get(), of_model(mode), false)
        });
        acquired == Acquired::Now
    }

    pub(crate) fn enter_and_acquire(&self, mode: EnterMode) {
        acquire(|kernel, thread| {
            kernel.enter_and_acquire_resource(thread, self.0.get(), of_model(mode.into()))
        });
    }

    pub(crate) unsafe fn release(&self) {
        call(|kernel, thread| kernel.release_resource(thread, self.0.get()));
    }

    pub(crate) unsafe fn release_and_leave(&self) {
        call(|kernel, thread| kernel.release_resource_and_leave(thread, self.0.get()));
    }

    pub(crate) unsafe fn convert(&self) {
        call(|kernel, thread| kernel.convert_resource(thread, self.0.get()));
    }

    pub(crate) unsafe fn reinitialize(&self) {
        call(|kernel, thread| kernel.reinitialize_resource(thread, self.0.get()));
    }

    pub(crate) unsafe fn set_owner(&self, owner: &ResourceOwner) {
        let owner = owner.pointer() as u64;
        call(|kernel, thread| kernel.set_resource_owner(thread, self.0.get(), owner));
    }

    pub(crate) unsafe fn release_for(&self, owner: &ResourceOwner) {
        let owner = OwnerInModel::Pointer(owner.pointer() as u64);
        call(|kernel, thread| kernel.release_resource_for(thread, self.0.get(), owner));
    }

    pub(crate) fn acquired_exclusive(&self) -> bool {
        call(|kernel, thread| Ok(kernel.resource_acquired_exclusive(thread, self.0.get())))
    }

    pub(crate) fn acquired_count(&self) -> u32 {
        call(|kernel, thread| Ok(kernel.resource_acquired_shared(thread, self.0.get())))
    }

    pub(crate) fn exclusive_waiters(&self) -> u32 {
        call(|kernel, _| Ok(kernel.exclusive_waiters(self.0.get())))
    }

    pub(crate) fn shared_waiters(&self) -> u32 {
        call(|kernel, _| Ok(kernel.shared_waiters(self.0.get())))
    }
}

/// `EX_PUSH_LOCK`.
#[derive(Debug)]
pub(crate) struct PushLock(Name<PushLockId>);

impl PushLock {
    pub(crate) const fn blank() -> Self {
        Self(Name::none())
    }

    #[allow(clippy::unnecessary_wraps, reason = "the kernel's may refuse")]
    pub(crate) fn initialise(&self) -> Result<(), NotMade> {
        self.0.create(Kernel::create_push_lock);
        Ok(())
    }

    pub(crate) fn acquire_exclusive(&self) {
        self.acquire(PushLockMode::Exclusive);
    }

    pub(crate) fn acquire_shared(&self) {
        self.acquire(PushLockMode::Shared);
    }

    pub(crate) unsafe fn release_exclusive(&self) {
        self.release(PushLockMode::Exclusive);
    }

    pub(crate) unsafe fn release_shared(&self) {
        self.release(PushLockMode::Shared);
    }

    fn acquire(&self, mode: PushLockMode) {
        acquire(|kernel, thread| kernel.acquire_push_lock(thread, self.0.get(), mode));
    }

    fn release(&self, mode: PushLockMode) {
        call(|kernel, thread| kernel.release_push_lock(thread, self.0.get(), mode));
    }
}
