//! Executive resources of the real kernel.

use wdk_sys::{ERESOURCE, ntddk};

use super::bytes::Bytes;
use crate::backend::memory::NotMade;
use crate::backend::{EnterMode, Mode, ResourceOwner};

/// The bug check of a resource that is dropped where it must not be: `ERES`, not one of Windows's.
/// Parameter 1: 1 the IRQL is above APC_LEVEL, 2 the calling thread owns it. Parameter 2: the
/// resource's address. Parameter 3: the IRQL. Parameter 4: how often the thread owns it.
const DROPPED_RESOURCE: u32 = u32::from_be_bytes(*b"ERES");

/// `ERESOURCE`.
#[derive(Debug)]
pub(crate) struct Resource(Bytes<ERESOURCE>);

impl Resource {
    pub(crate) const fn blank() -> Self {
        Self(Bytes::zero())
    }

    pub(crate) fn initialise(&self) -> Result<(), NotMade> {
        // SAFETY: the structure is nonpaged, at its place and not shared yet.
        let status = unsafe { ntddk::ExInitializeResourceLite(self.0.get()) };
        if status < 0 {
            return Err(NotMade::Refused(status));
        }
        Ok(())
    }

    #[inline]
    pub(crate) fn acquire(&self, mode: Mode) {
        // With `Wait` TRUE the routines always give TRUE.
        self.call(mode, 1);
    }

    #[inline]
    pub(crate) fn try_acquire(&self, mode: Mode) -> bool {
        self.call(mode, 0)
    }

    #[inline]
    fn call(&self, mode: Mode, wait: u8) -> bool {
        let resource = self.0.get();
        let acquired = match mode {
            // SAFETY: initialised; callers hold witnesses of IRQL <= APC_LEVEL and of disabled APCs.
            Mode::Exclusive => unsafe { ntddk::ExAcquireResourceExclusiveLite(resource, wait) },
            // SAFETY: as above.
            Mode::Shared => unsafe { ntddk::ExAcquireResourceSharedLite(resource, wait) },
            // SAFETY: as above.
            Mode::SharedStarveExclusive => unsafe {
                ntddk::ExAcquireSharedStarveExclusive(resource, wait)
            },
            // SAFETY: as above.
            Mode::SharedWaitForExclusive => unsafe {
                ntddk::ExAcquireSharedWaitForExclusive(resource, wait)
            },
        };
        acquired != 0
    }

    #[inline]
    pub(crate) fn enter_and_acquire(&self, mode: EnterMode) {
        let resource = self.0.get();
        // The pointers that the routines give are to be ignored.
        match mode {
            // SAFETY: initialised; callers hold a witness of IRQL <= APC_LEVEL.
            EnterMode::Exclusive => unsafe {
                ntddk::ExEnterCriticalRegionAndAcquireResourceExclusive(resource);
            },
            // SAFETY: as above.
            EnterMode::Shared => unsafe {
                ntddk::ExEnterCriticalRegionAndAcquireResourceShared(resource);
            },
            // SAFETY: as above.
            EnterMode::SharedWaitForExclusive => unsafe {
                ntddk::ExEnterCriticalRegionAndAcquireSharedWaitForExclusive(resource);
            },
        }
    }

    #[inline]
    pub(crate) unsafe fn release(&self) {
        // SAFETY: the caller's thread owns it and its APCs are disabled.
        unsafe { ntddk::ExReleaseResourceLite(self.0.get()) };
    }

    #[inline]
    pub(crate) unsafe fn release_and_leave(&self) {
        // SAFETY: the caller's thread owns it and entered the region with it.
        unsafe { ntddk::ExReleaseResourceAndLeaveCriticalRegion(self.0.get()) };
    }

    #[inline]
    pub(crate) unsafe fn convert(&self) {
        // SAFETY: the caller's thread owns it exclusively.
        unsafe { ntddk::ExConvertExclusiveToSharedLite(self.0.get()) };
    }

    pub(crate) unsafe fn reinitialize(&self) {
        // The page has one answer, STATUS_SUCCESS.
        // SAFETY: initialised; the caller says that nobody has it or waits for it.
        let _ = unsafe { ntddk::ExReinitializeResourceLite(self.0.get()) };
    }

    pub(crate) unsafe fn set_owner(&self, owner: &ResourceOwner) {
        let owner = core::ptr::without_provenance_mut(owner.pointer());
        // SAFETY: the caller's thread owns it, and the owner's word stays; its low bits are set.
        unsafe { ntddk::ExSetResourceOwnerPointer(self.0.get(), owner) };
    }

    pub(crate) unsafe fn release_for(&self, owner: &ResourceOwner) {
        let owner = owner.pointer() as u64;
        // SAFETY: the caller says that it was handed over to this owner, once more than released.
        unsafe { ntddk::ExReleaseResourceForThreadLite(self.0.get(), owner) };
    }

    #[inline]
    pub(crate) fn acquired_exclusive(&self) -> bool {
        // SAFETY: initialised; the routine may be called at IRQL <= DISPATCH_LEVEL.
        let answer = unsafe { ntddk::ExIsResourceAcquiredExclusiveLite(self.0.get()) };
        answer != 0
    }

    #[inline]
    pub(crate) fn acquired_count(&self) -> u32 {
        // SAFETY: initialised; the routine may be called at IRQL <= DISPATCH_LEVEL.
        unsafe { ntddk::ExIsResourceAcquiredSharedLite(self.0.get()) }
    }

    pub(crate) fn exclusive_waiters(&self) -> u32 {
        // SAFETY: initialised; the routine may be called at IRQL <= DISPATCH_LEVEL.
        unsafe { ntddk::ExGetExclusiveWaiterCount(self.0.get()) }
    }

    pub(crate) fn shared_waiters(&self) -> u32 {
        // SAFETY: initialised; the routine may be called at IRQL <= DISPATCH_LEVEL.
        unsafe { ntddk::ExGetSharedWaiterCount(self.0.get()) }
    }
}

impl Drop for Resource {
    fn drop(&mut self) {
        let address = self.0.get();
        let irql = super::current_irql();
        let owned = self.acquired_count();
        if u32::from(irql) > wdk_sys::APC_LEVEL || owned > 0 {
            let why = if owned > 0 { 2 } else { 1 };
            // SAFETY: stops the system: deleting it would corrupt the kernel's list of resources.
            unsafe {
                ntddk::KeBugCheckEx(
                    DROPPED_RESOURCE,
                    why,
                    address.addr() as u64,
                    irql.into(),
                    owned.into(),
                );
            }
        }
        // The page has one failure, which this is not: a resource that is none.
        // SAFETY: initialised, borrowed by nobody, at IRQL <= APC_LEVEL as checked above.
        let _ = unsafe { ntddk::ExDeleteResourceLite(address) };
    }
}
