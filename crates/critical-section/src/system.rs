//! The system's object in an allocation that it never leaves, and the calls on it.
#![allow(
    unsafe_code,
    reason = "the one place that calls the system's routines for critical sections"
)]

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

use windows_sys::Win32::Foundation::GetLastError;
use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleW, GetProcAddress};
use windows_sys::Win32::System::Threading::{
    CRITICAL_SECTION, DeleteCriticalSection, EnterCriticalSection, InitializeCriticalSection,
    InitializeCriticalSectionAndSpinCount, LeaveCriticalSection, SetCriticalSectionSpinCount,
    TryEnterCriticalSection,
};
use windows_sys::Win32::System::WindowsProgramming::CRITICAL_SECTION_NO_DEBUG_INFO;
use windows_sys::core::{BOOL, w};

use crate::error::InitError;
use crate::options::Options;

/// Where the object lies. The system writes to it through shared references, from any thread.
type Storage = UnsafeCell<MaybeUninit<CRITICAL_SECTION>>;

type InitializeEx =
    unsafe extern "system" fn(section: *mut CRITICAL_SECTION, spin_count: u32, flags: u32) -> BOOL;

/// An initialized critical section of the system. It has no `Drop`: one that is not given to
/// [`System::delete`] stays where it is for ever, so a thread that still owns it harms nobody.
#[derive(Debug)]
pub(crate) struct System {
    storage: NonNull<Storage>,
}

// SAFETY: the system's routines may be called from every thread; what only the owner may call is `unsafe`.
// The allocation belongs to no thread.
unsafe impl Send for System {}
// SAFETY: as above; the object is made to be entered by several threads at a time.
unsafe impl Sync for System {}

impl System {
    /// Allocates and initializes.
    pub(crate) fn new(options: Options) -> Result<Self, InitError> {
        let storage = Box::new(Storage::new(MaybeUninit::zeroed()));
        let section = storage.get().cast::<CRITICAL_SECTION>();
        if options.has_no_debug_info() {
            let initialize = initialize_ex().ok_or(InitError::NotSupported)?;
            let spin_count = options.get_spin_count().unwrap_or(0);
            // SAFETY: the memory is large enough, aligned, and not yet used for anything. It does not move:
            // below, the box becomes a pointer, and `delete` alone frees it.
            let done = unsafe { initialize(section, spin_count, CRITICAL_SECTION_NO_DEBUG_INFO) };
            succeeded(done)?;
        } else if let Some(spin_count) = options.get_spin_count() {
            // SAFETY: as above.
            let done = unsafe { InitializeCriticalSectionAndSpinCount(section, spin_count) };
            succeeded(done)?;
        } else {
            // SAFETY: as above.
            unsafe { InitializeCriticalSection(section) };
        }
        let storage = NonNull::from(Box::leak(storage));
        Ok(Self { storage })
    }

    /// EnterCriticalSection.
    pub(crate) fn enter(&self) {
        // SAFETY: the object is initialized, and is not deleted while it is borrowed.
        unsafe { EnterCriticalSection(self.pointer()) };
    }

    /// TryEnterCriticalSection: whether this thread now owns the object, once more perhaps.
    pub(crate) fn try_enter(&self) -> bool {
        // SAFETY: as in `enter`.
        let entered = unsafe { TryEnterCriticalSection(self.pointer()) };
        entered != 0
    }

    /// LeaveCriticalSection.
    ///
    /// # Safety
    ///
    /// The calling thread owns the object, and this is one of as many calls as it has entered.
    pub(crate) unsafe fn leave(&self) {
        // SAFETY: the object is initialized, and the caller guarantees the rest.
        unsafe { LeaveCriticalSection(self.pointer()) };
    }

    /// SetCriticalSectionSpinCount, which returns the count that there was.
    pub(crate) fn set_spin_count(&self, count: u32) -> u32 {
        // SAFETY: as in `enter`; the routine may be called while threads use the object.
        unsafe { SetCriticalSectionSpinCount(self.pointer(), count) }
    }

    /// DeleteCriticalSection, and frees the memory.
    ///
    /// # Safety
    ///
    /// No thread owns the object.
    pub(crate) unsafe fn delete(self) {
        // SAFETY: the object is initialized. It is this function's, so no thread waits for it or is about to
        // enter, and the caller guarantees that none owns it.
        unsafe { DeleteCriticalSection(self.pointer()) };
        // SAFETY: `new` made the pointer from a box of this type, and nothing else frees it.
        let storage = unsafe { Box::from_raw(self.storage.as_ptr()) };
        drop(storage);
    }

    /// Where the object lies.
    #[cfg(test)]
    pub(crate) fn address(&self) -> *const u8 {
        self.pointer().cast_const().cast()
    }

    fn pointer(&self) -> *mut CRITICAL_SECTION {
        // An `UnsafeCell` has its content at its own address.
        self.storage.as_ptr().cast()
    }
}

/// The Boolean result of a routine that sets the thread's last error.
fn succeeded(done: BOOL) -> Result<(), InitError> {
    if done != 0 {
        return Ok(());
    }
    // SAFETY: the routine reads the thread's own last error.
    Err(InitError::System(unsafe { GetLastError() }))
}

/// InitializeCriticalSectionEx, where the system has it. A program that imported it would not start elsewhere.
fn initialize_ex() -> Option<InitializeEx> {
    // SAFETY: the name ends with a null character. The module of every process is never unloaded.
    let module = unsafe { GetModuleHandleW(w!("kernel32.dll")) };
    if module.is_null() {
        return None;
    }
    let name = c"InitializeCriticalSectionEx";
    // SAFETY: the module is loaded, and the name ends with a null character.
    let routine = unsafe { GetProcAddress(module, name.as_ptr().cast()) }?;
    // SAFETY: this is the routine's signature on its reference page.
    Some(unsafe {
        std::mem::transmute::<unsafe extern "system" fn() -> isize, InitializeEx>(routine)
    })
}
