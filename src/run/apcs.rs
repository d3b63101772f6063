//! The KAPCs of a run.
//!
//! A KAPC is linked into its thread's queue by the kernel, so it lives in the run's nonpaged memory
//! and does not move. Each successful insert is counted until the APC has run (or was run down), and
//! no lane ends before its count is zero: neither the memory nor the code of a queued APC can go.
//!
//! An APC routine is a signal handler: it interrupts its lane anywhere, so it takes no lock and never
//! waits. Atomics and `KeSetEvent` are all that it uses.
#![allow(
    unsafe_code,
    reason = "the kernel calls APC routines with raw pointers"
)]

use alloc::vec::Vec;
use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use apclab_guards::{ApcLevel, AtMostApcLevel, Passive};
use apclab_protocol::program::ApcKind;
use apclab_protocol::status::NtStatus;
use apclab_protocol::trace::{Kind, NO_STEP};
use wdk_sys::{_MODE::KernelMode, KAPC, PKTHREAD, PVOID};

use super::body;
use super::program::Loaded;
use super::state::{Run, counters};
use super::trace::What;
use crate::nt::event::{Events, SYNCHRONIZATION, wait};
use crate::nt::routines::{ApcRoutines, NormalRoutine};

/// `OriginalApcEnvironment`: the process that the thread belongs to.
const ORIGINAL_ENVIRONMENT: i8 = 0;

/// How long a lane sleeps before it looks again whether its APCs have run.
const DRAIN_SLICE_MS: u32 = 100;

/// One APC object. The KAPC is first, so that its address is the object's.
#[repr(C)]
struct Object {
    kapc: UnsafeCell<KAPC>,
    kind: ApcKind,
    lane: u8,
    index: u8,
    ran: AtomicU32,
    /// The run that the object is part of.
    run: AtomicPtr<Run>,
}

// SAFETY: after its initialisation the kernel alone touches the KAPC, under the lock of its thread's
// APC queue; the rest is atomic or constant.
unsafe impl Sync for Object {}
// SAFETY: as above.
unsafe impl Send for Object {}

/// All APC objects of a run.
pub(crate) struct Apcs {
    objects: Vec<Object>,
    routines: Option<ApcRoutines>,
    /// For each lane: APCs inserted that have not run yet.
    pending: Vec<AtomicU32>,
    /// For each lane: signaled when one of its APCs has run.
    ran: Events,
}

impl Apcs {
    /// The objects that a program declares, not yet bound to threads.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    pub(crate) fn try_new(program: &Loaded) -> Result<Self, NtStatus> {
        let mut objects = Vec::new();
        objects
            .try_reserve_exact(program.apcs.len())
            .map_err(|_| apclab_protocol::status::INSUFFICIENT_RESOURCES)?;
        objects.extend(program.apcs.iter().zip(0_u8..).map(|(apc, index)| Object {
            kapc: UnsafeCell::new(KAPC::default()),
            kind: apc.kind,
            lane: apc.lane,
            index,
            ran: AtomicU32::new(0),
            run: AtomicPtr::new(null_mut()),
        }));
        let lanes = program.lanes.len();
        Ok(Self {
            objects,
            routines: None,
            pending: counters(lanes)?,
            ran: Events::try_new(lanes, |_| SYNCHRONIZATION)?,
        })
    }

    /// Gives the objects the routines that queue them. Before any lane begins.
    pub(crate) fn set_routines(&mut self, routines: Option<ApcRoutines>) {
        self.routines = routines;
    }

    /// Initialises the KAPCs for the lanes' threads (`KeInitializeApc`).
    ///
    /// # Safety
    /// `run` holds these objects and does not move; each thread object stays referenced until its
    /// lane has ended; no lane has begun.
    pub(crate) unsafe fn bind(&self, run: &Run, thread: impl Fn(usize) -> PKTHREAD) {
        let Some(routines) = self.routines else {
            return;
        };
        for object in &self.objects {
            // Of the others the object is the kernel's: the I/O manager queues it, or user mode has it queued.
            if !object.kind.of_driver() {
                continue;
            }
            object
                .run
                .store((&raw const *run).cast_mut(), Ordering::Release);
            let context = (&raw const *object).cast_mut().cast::<c_void>();
            let normal: Option<NormalRoutine> = match object.kind {
                ApcKind::Normal => Some(normal_routine),
                _ => None,
            };
            #[allow(clippy::cast_possible_truncation, reason = "KernelMode is 0")]
            // SAFETY: the KAPC is nonpaged, does not move and is not queued; the thread is referenced
            // by the caller's contract; the routines are this module's and outlive every insert.
            unsafe {
                (routines.initialize)(
                    object.kapc.get(),
                    thread(object.lane.into()),
                    ORIGINAL_ENVIRONMENT,
                    kernel_routine,
                    Some(rundown_routine),
                    normal,
                    KernelMode as i8,
                    context,
                );
            }
        }
    }

    /// Queues an APC to its lane (`KeInsertQueueApc`). `false`: it is queued already, or its thread
    /// takes no more.
    pub(crate) fn insert(&self, apc: usize, _irql: &impl AtMostApcLevel) -> bool {
        let (Some(routines), Some(object)) = (self.routines, self.objects.get(apc)) else {
            return false;
        };
        let Some(pending) = self.pending.get(usize::from(object.lane)) else {
            return false;
        };
        if !object.kind.of_driver() {
            return false;
        }
        // Counted first: it may run before the call returns.
        pending.fetch_add(1, Ordering::AcqRel);
        // SAFETY: the KAPC was initialised in `bind`; it, its thread and its routines outlive the
        // insert because no lane ends while its count is not zero. IRQL <= APC_LEVEL by the token.
        let inserted = unsafe { (routines.insert)(object.kapc.get(), null_mut(), null_mut(), 0) };
        if inserted == 0 {
            pending.fetch_sub(1, Ordering::AcqRel);
        }
        inserted != 0
    }

    /// How often an APC has run in this iteration.
    pub(crate) fn ran(&self, apc: usize) -> u32 {
        self.objects
            .get(apc)
            .map_or(0, |object| object.ran.load(Ordering::Acquire))
    }

    /// Lets the calling lane's APCs in until none is queued. Nobody inserts any more, and the lane is
    /// outside every region, so each is delivered, in this wait at the latest.
    pub(crate) fn drain(&self, lane: usize, irql: &Passive) {
        let (Some(pending), Some(ran)) = (self.pending.get(lane), self.ran.get(lane)) else {
            return;
        };
        while pending.load(Ordering::Acquire) != 0 {
            wait(ran, DRAIN_SLICE_MS, irql);
        }
    }

    /// Forgets how often each has run.
    pub(crate) fn reset_counts(&self) {
        for object in &self.objects {
            object.ran.store(0, Ordering::Release);
        }
    }

    fn one_less(&self, lane: usize) {
        if let Some(pending) = self.pending.get(lane) {
            pending.fetch_sub(1, Ordering::AcqRel);
        }
        if let Some(ran) = self.ran.get(lane) {
            ran.set();
        }
    }
}

impl Object {
    fn note(&self, run: &Run, irql: &impl AtMostApcLevel, kind: Kind) {
        let what = What {
            kind,
            step: NO_STEP,
            apc: self.index,
            value: 0,
        };
        run.trace.write(self.lane.into(), irql, what);
    }

    /// Does the APC's work: it has run from here on, then its body is executed.
    fn work(&self, run: &Run, irql: &impl AtMostApcLevel) {
        self.ran.fetch_add(1, Ordering::AcqRel);
        body::execute(run, self.lane.into(), self.index, irql);
        run.apcs.one_less(self.lane.into());
    }
}

/// The object that an APC routine was called for, and its run.
///
/// # Safety
/// `object` is the address of an [`Object`] that was bound to a run and is counted as pending, which
/// keeps both alive for the routine.
unsafe fn found<'a>(object: *const c_void) -> Option<(&'a Object, &'a Run)> {
    // SAFETY: by the contract of this function.
    let object = unsafe { object.cast::<Object>().as_ref() }?;
    // SAFETY: the run holds the object, and lives as long.
    let run = unsafe { object.run.load(Ordering::Acquire).as_ref() }?;
    Some((object, run))
}

/// Runs at APC_LEVEL in the lane's thread: a special APC's whole work, a normal one's first half.
unsafe extern "C" fn kernel_routine(
    kapc: *mut KAPC,
    _normal: *mut Option<NormalRoutine>,
    _context: *mut PVOID,
    _argument1: *mut PVOID,
    _argument2: *mut PVOID,
) {
    // SAFETY: the KAPC is the first field of its object, which is bound and pending.
    let Some((object, run)) = (unsafe { found(kapc.cast()) }) else {
        return;
    };
    // SAFETY: the kernel calls kernel routines at APC_LEVEL; this is the activation's only token.
    let irql = unsafe { ApcLevel::assume() };
    object.note(run, &irql, Kind::KernelRoutine);
    if object.kind == ApcKind::Special {
        object.work(run, &irql);
    }
}

/// Runs at PASSIVE_LEVEL in the lane's thread: a normal APC's work.
unsafe extern "C" fn normal_routine(context: PVOID, _argument1: PVOID, _argument2: PVOID) {
    // SAFETY: the context is the object, which is bound and pending.
    let Some((object, run)) = (unsafe { found(context) }) else {
        return;
    };
    // SAFETY: the kernel calls normal routines at PASSIVE_LEVEL; this is the activation's only token.
    let irql = unsafe { Passive::assume() };
    object.note(run, &irql, Kind::NormalRoutine);
    object.work(run, &irql);
}

/// The lane's thread ended first. Lanes drain before they end, so this is for the kernel's sake.
unsafe extern "C" fn rundown_routine(kapc: *mut KAPC) {
    // SAFETY: the KAPC is the first field of its object, which is bound and pending.
    if let Some((object, run)) = unsafe { found(kapc.cast()) } {
        run.apcs.one_less(object.lane.into());
    }
}
