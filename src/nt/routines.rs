//! Routines that are exported but undocumented, looked up at run time.
//!
//! Without them the driver loads, says so in the reply to QUERY, and refuses programs that queue
//! APCs, acquire push locks, or may deadlock. The signatures are those of every NT kernel since 5.0 (docs/semantics.md, section 2).

use core::ffi::c_void;

use apclab_guards::{Passive, find_push_locks};
use apclab_protocol::message::{self, routines};
use apclab_protocol::verify::Machine;
use wdk_sys::{
    BOOLEAN, CCHAR, KAPC, KPRIORITY, KPROCESSOR_MODE, PKTHREAD, PVOID, UNICODE_STRING, ntddk,
};

/// A normal routine: runs at PASSIVE_LEVEL with the APC's context and two arguments.
pub(crate) type NormalRoutine = unsafe extern "C" fn(PVOID, PVOID, PVOID);
/// A kernel routine: runs at APC_LEVEL, and may replace what the normal routine is given.
pub(crate) type KernelRoutine =
    unsafe extern "C" fn(*mut KAPC, *mut Option<NormalRoutine>, *mut PVOID, *mut PVOID, *mut PVOID);
/// A rundown routine: runs when the thread ends before the APC could be delivered.
pub(crate) type RundownRoutine = unsafe extern "C" fn(*mut KAPC);

type InitializeApc = unsafe extern "C" fn(
    *mut KAPC,
    PKTHREAD,
    CCHAR,
    KernelRoutine,
    Option<RundownRoutine>,
    Option<NormalRoutine>,
    KPROCESSOR_MODE,
    PVOID,
);
type InsertQueueApc = unsafe extern "C" fn(*mut KAPC, PVOID, PVOID, KPRIORITY) -> BOOLEAN;

/// `KeInitializeApc` and `KeInsertQueueApc`, both found.
#[derive(Clone, Copy)]
pub(crate) struct ApcRoutines {
    /// `KeInitializeApc`.
    pub(crate) initialize: InitializeApc,
    /// `KeInsertQueueApc`.
    pub(crate) insert: InsertQueueApc,
}

/// What was found.
#[derive(Clone, Copy)]
pub(crate) struct Found {
    /// Bits of [`apclab_protocol::message::routines`].
    pub(crate) bits: u32,
    /// Both APC routines, when both were found.
    pub(crate) apc: Option<ApcRoutines>,
}

impl Found {
    /// What the verifier has to know of this machine.
    pub(crate) const fn machine(&self) -> Machine {
        Machine {
            apc_routines: self.apc.is_some(),
            ends_deadlocks: self.bits & routines::DEADLOCKS_END != 0,
            push_locks: self.bits & routines::PUSH_LOCKS != 0,
        }
    }
}

/// Writes an ASCII name as UTF-16 with its terminator; the rest stays zero.
const fn wide<const N: usize>(name: &[u8]) -> [u16; N] {
    let mut units = [0; N];
    let mut index = 0;
    while index < name.len() {
        units[index] = name[index] as u16;
        index += 1;
    }
    units
}

const NAME_UNITS: usize = 20;
const INITIALIZE_APC: [u16; NAME_UNITS] = wide(b"KeInitializeApc");
const INSERT_QUEUE_APC: [u16; NAME_UNITS] = wide(b"KeInsertQueueApc");
const DEADLOCKS_END: [u16; NAME_UNITS] = wide(message::DEADLOCKS_END.as_bytes());

/// The address of an exported routine, or null. IRQL: PASSIVE_LEVEL.
fn address(mut name: [u16; NAME_UNITS], units: u16) -> *mut c_void {
    let mut name = UNICODE_STRING {
        Length: units.saturating_mul(2),
        MaximumLength: units.saturating_add(1).saturating_mul(2),
        Buffer: name.as_mut_ptr(),
    };
    // SAFETY: the string is well formed and lives across the call; DriverEntry's callees are at
    // PASSIVE_LEVEL.
    unsafe { ntddk::MmGetSystemRoutineAddress(&raw mut name) }
}

/// Looks the optional routines up. IRQL: PASSIVE_LEVEL.
pub(crate) fn find(irql: &Passive) -> Found {
    let initialize = address(INITIALIZE_APC, 15);
    let insert = address(INSERT_QUEUE_APC, 16);
    // Never called, and exported by no Windows kernel: that it is there is all it says.
    let deadlocks_end = address(DEADLOCKS_END, 18);
    let mut bits = 0;
    if !initialize.is_null() {
        bits |= routines::INITIALIZE_APC;
    }
    if !insert.is_null() {
        bits |= routines::INSERT_QUEUE_APC;
    }
    if find_push_locks(irql) {
        bits |= routines::PUSH_LOCKS;
    }
    if !deadlocks_end.is_null() {
        bits |= routines::DEADLOCKS_END;
    }
    let apc = (bits & routines::APC == routines::APC).then(|| ApcRoutines {
        // SAFETY: the kernel's export of that name has this signature.
        initialize: unsafe { core::mem::transmute::<*mut c_void, InitializeApc>(initialize) },
        // SAFETY: as above.
        insert: unsafe { core::mem::transmute::<*mut c_void, InsertQueueApc>(insert) },
    });
    Found { bits, apc }
}
