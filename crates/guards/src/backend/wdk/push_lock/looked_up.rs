//! The routines, looked up once.

use core::ffi::c_void;
use core::mem;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use wdk_sys::{UNICODE_STRING, ntddk};

use crate::Passive;

type Initialize = unsafe extern "C" fn(*mut usize);
type Act = unsafe extern "C" fn(*mut usize, u32);

/// A routine of the kernel, by its name in UTF-16.
struct Routine {
    address: AtomicPtr<c_void>,
    name: &'static [u16],
}

const fn wide<const N: usize>(name: &[u8; N]) -> [u16; N] {
    let mut units = [0; N];
    let mut index = 0;
    while index < N {
        units[index] = name[index] as u16;
        index += 1;
    }
    units
}

impl Routine {
    const fn new(name: &'static [u16]) -> Self {
        Self {
            address: AtomicPtr::new(null_mut()),
            name,
        }
    }

    /// Looks it up; `false` when the kernel does not export it. IRQL: PASSIVE_LEVEL.
    fn find(&self) -> bool {
        let bytes = u16::try_from(self.name.len() * 2).unwrap_or(0);
        let mut name = UNICODE_STRING {
            Length: bytes,
            MaximumLength: bytes,
            Buffer: self.name.as_ptr().cast_mut(),
        };
        // SAFETY: the string is well formed and lives across the call, which only reads it; the one
        // caller holds a token of PASSIVE_LEVEL.
        let address = unsafe { ntddk::MmGetSystemRoutineAddress(&raw mut name) };
        self.address.store(address, Ordering::Relaxed);
        !address.is_null()
    }

    fn address(&self) -> *mut c_void {
        self.address.load(Ordering::Relaxed)
    }
}

macro_rules! routine {
    ($name:ident, $text:literal) => {
        static $name: Routine = Routine::new(&wide($text));
    };
}

routine!(INITIALIZE, b"ExInitializePushLock");
routine!(ACQUIRE_EXCLUSIVE, b"ExAcquirePushLockExclusiveEx");
routine!(ACQUIRE_SHARED, b"ExAcquirePushLockSharedEx");
routine!(RELEASE_EXCLUSIVE, b"ExReleasePushLockExclusiveEx");
routine!(RELEASE_SHARED, b"ExReleasePushLockSharedEx");

static FOUND: AtomicBool = AtomicBool::new(false);

/// Looks the routines of push locks up (`MmGetSystemRoutineAddress`); whether all are there. Before
/// that, and without them, no push lock can be made: [`NotMade::NoRoutine`](crate::NotMade::NoRoutine).
///
/// IRQL: PASSIVE_LEVEL, which the token shows. The best place is `DriverEntry`.
pub fn find_push_locks(_irql: &Passive) -> bool {
    let routines = [
        &INITIALIZE,
        &ACQUIRE_EXCLUSIVE,
        &ACQUIRE_SHARED,
        &RELEASE_EXCLUSIVE,
        &RELEASE_SHARED,
    ];
    let found = routines.iter().all(|routine| routine.find());
    FOUND.store(found, Ordering::Release);
    found
}

/// Whether all were found. Whoever sees it sees the addresses too.
pub(super) fn found() -> bool {
    FOUND.load(Ordering::Acquire)
}

/// `ExInitializePushLock`.
///
/// # Safety
/// [`found`] has been true, and the word is nonpaged, at its place and not shared yet.
pub(super) unsafe fn initialize(lock: *mut usize) {
    // SAFETY: not null, since all were found; the export of that name has this signature.
    let routine = unsafe { mem::transmute::<*mut c_void, Initialize>(INITIALIZE.address()) };
    // SAFETY: the caller's guarantee.
    unsafe { routine(lock) };
}

macro_rules! act {
    ($name:ident, $routine:ident) => {
        /// The routine of that name.
        ///
        /// # Safety
        /// The push lock is initialised, which says that all were found; and as the routine's page
        /// has it.
        #[inline]
        pub(super) unsafe fn $name(lock: *mut usize, flags: u32) {
            // SAFETY: not null, since all were found; the export of that name has this signature.
            let routine = unsafe { mem::transmute::<*mut c_void, Act>($routine.address()) };
            // SAFETY: the caller's guarantee.
            unsafe { routine(lock, flags) };
        }
    };
}

act!(acquire_exclusive, ACQUIRE_EXCLUSIVE);
act!(acquire_shared, ACQUIRE_SHARED);
act!(release_exclusive, RELEASE_EXCLUSIVE);
act!(release_shared, RELEASE_SHARED);
