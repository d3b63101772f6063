//! What a simulated machine is started with.

use std::path::PathBuf;
use std::time::Duration;

use apclab_model::kernel::{Baseline, Profile};

use crate::Schedule;

/// The configuration of one simulated machine.
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own, with a name"
)]
#[derive(Clone, Debug)]
pub struct Options {
    /// The driver's image file, a kernel-mode PE32+ for x64.
    pub driver: PathBuf,
    /// Whether `MmGetSystemRoutineAddress` finds `KeInitializeApc` and `KeInsertQueueApc`.
    pub kernel_apc_routines: bool,
    /// Whether `MmGetSystemRoutineAddress` finds `ApclabDeadlocksEnd`, which no NT kernel has: the
    /// driver then runs programs that may deadlock. The machine ends a deadlock in any case
    /// ([`HostError::Deadlock`](crate::HostError::Deadlock)).
    pub ends_deadlocks: bool,
    /// Whether `MmGetSystemRoutineAddress` finds the routines of push locks, as kernels since Windows 10
    /// 1809 have them.
    pub push_locks: bool,
    /// Whether the machine has special user APCs, as Windows 11 has (`QueueUserAPC2`).
    pub special_user_apcs: bool,
    /// The APC-disable counters that a thread created by the driver starts with.
    pub baseline: Baseline,
    /// Which of the model's two profiles the kernel follows.
    pub profile: Profile,
    /// How long a call of this interface waits for the driver before it reports
    /// [`HostError::NoAnswer`](crate::HostError::NoAnswer).
    pub answer_deadline: Duration,
    /// Whether `EvtRequestCancel` is called at `DISPATCH_LEVEL`, the highest level that its
    /// reference page allows, instead of `APC_LEVEL`.
    pub cancel_at_dispatch: bool,
    /// Makes the n-th fallible call of the driver (counted from 0) fail, and no other. A call is
    /// fallible when the function can fail for lack of resources or by another thread's doing:
    /// pool allocations, the creation of threads and of framework objects, the reference to a new
    /// thread, `WdfRequestMarkCancelableEx`. [`Host::fallible_calls`](crate::Host::fallible_calls)
    /// counts them.
    pub fail: Option<u64>,
    /// How the machine's threads take turns.
    pub schedule: Schedule,
    /// In a machine that is scheduled: how long a time-out may be that can be over whenever the
    /// machine makes a choice. A longer one is over only when nothing else can happen. For
    /// time-outs that a test is about, as opposed to those that keep it from hanging. Between two
    /// scheduling points of a thread this happens once at most.
    pub short_timeout: Duration,
    /// Whether `DbgPrint` also prints to the standard error stream.
    pub echo: bool,
}

impl Options {
    /// The defaults for the driver image `driver`: the NT 5.2 profile, all routines
    /// found, a baseline of zero, 30 seconds to answer, all threads at the same time.
    pub fn new(driver: impl Into<PathBuf>) -> Self {
        Self {
            driver: driver.into(),
            kernel_apc_routines: true,
            ends_deadlocks: true,
            push_locks: true,
            special_user_apcs: true,
            baseline: Baseline::default(),
            profile: Profile::Nt52,
            answer_deadline: Duration::from_secs(30),
            cancel_at_dispatch: true,
            fail: None,
            schedule: Schedule::Free,
            short_timeout: Duration::ZERO,
            echo: false,
        }
    }
}
