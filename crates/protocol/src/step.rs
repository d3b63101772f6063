//! The steps of a lane, 16 bytes each.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 1 | operation, [`Op`] |
//! | 1 | 1 | destination register, or [`NO_REGISTER`] |
//! | 2 | 1 | index of the variable, event, APC or lock, or 0 |
//! | 3 | 1 | source register, [`Mode`], [`WaitMode`], or lane, as the operation has it; or [`NO_REGISTER`] |
//! | 4 | 4 | steps in the block that the step begins, or 0 |
//! | 8 | 8 | constant, signed; a time-out in milliseconds; a count |

mod encoding;

#[cfg(doc)]
use crate::limits;

/// Size of an encoded step in bytes.
pub const STEP_SIZE: usize = 16;

/// "No register" in the register fields of an encoded step.
pub const NO_REGISTER: u8 = 0xFF;

/// A register of the executing lane, below [`limits::REGISTERS`].
pub type Register = u8;

/// How a resource or a push lock is acquired. Every other lock is acquired exclusively.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Mode {
    /// `ExAcquireResourceExclusiveLite`, `ExAcquirePushLockExclusive`.
    #[default]
    Exclusive = 0,
    /// `ExAcquireResourceSharedLite`, `ExAcquirePushLockShared`.
    Shared = 1,
    /// `ExAcquireSharedStarveExclusive`: passes those that wait for exclusive.
    SharedStarveExclusive = 2,
    /// `ExAcquireSharedWaitForExclusive`: queues behind those that wait for exclusive.
    SharedWaitForExclusive = 3,
}

impl Mode {
    /// Every mode.
    pub const ALL: [Self; 4] = [
        Self::Exclusive,
        Self::Shared,
        Self::SharedStarveExclusive,
        Self::SharedWaitForExclusive,
    ];

    fn from_number(number: u8) -> Result<Self, BadStep> {
        let known = Self::ALL.into_iter().find(|mode| *mode as u8 == number);
        known.ok_or(BadStep::Mode)
    }
}

/// How a caller lane waits in kernel mode: what may end its wait besides the object.
///
/// A wait that is neither alertable nor in user mode is [`Step::WaitFor`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum WaitMode {
    /// `WaitMode` UserMode, `Alertable` FALSE: ends when the thread is terminated.
    User = 1,
    /// `WaitMode` KernelMode, `Alertable` TRUE.
    KernelAlertable = 2,
    /// `WaitMode` UserMode, `Alertable` TRUE: ends when a user APC is there.
    UserAlertable = 3,
}

impl WaitMode {
    /// Every mode.
    pub const ALL: [Self; 3] = [Self::User, Self::KernelAlertable, Self::UserAlertable];

    /// Whether `WaitMode` is UserMode.
    pub const fn user(self) -> bool {
        !matches!(self, Self::KernelAlertable)
    }

    /// Whether `Alertable` is TRUE.
    pub const fn alertable(self) -> bool {
        !matches!(self, Self::User)
    }

    fn from_number(number: u8) -> Result<Self, BadStep> {
        let known = Self::ALL.into_iter().find(|mode| *mode as u8 == number);
        known.ok_or(BadStep::Mode)
    }
}

/// What a wait or a sleep that has an answer writes into its register.
pub mod answer {
    /// The time-out passed.
    pub const TIMED_OUT: i64 = 0;
    /// The object was signaled.
    pub const SIGNALED: i64 = 1;
    /// A user APC ended it: `STATUS_USER_APC`, or `WAIT_IO_COMPLETION` in user mode.
    pub const USER_APC: i64 = 2;
    /// It was alerted: `STATUS_ALERTED`.
    pub const ALERTED: i64 = 3;
}

/// One step of a lane. Indices point into the program's tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// `KeEnterCriticalRegion`.
    EnterCritical,
    /// `KeLeaveCriticalRegion`.
    LeaveCritical,
    /// `KeEnterGuardedRegion`.
    EnterGuarded,
    /// `KeLeaveGuardedRegion`.
    LeaveGuarded,
    /// Raises the IRQL to APC_LEVEL; the scope ends at [`Step::Lower`].
    RaiseApc,
    /// Lowers the IRQL to what it was before [`Step::RaiseApc`].
    Lower,
    /// `KeAreApcsDisabled`: 1 or 0.
    ApcsDisabled {
        /// Where the answer goes.
        to: Register,
    },
    /// `KeAreAllApcsDisabled`: 1 or 0.
    AllApcsDisabled {
        /// Where the answer goes.
        to: Register,
    },
    /// `KeGetCurrentIrql`.
    Irql {
        /// Where the answer goes.
        to: Register,
    },
    /// Queues an APC; 1 when that was done, 0 when it was refused. A kernel APC: `KeInsertQueueApc`.
    /// A user APC: `QueueUserAPC`, `QueueUserAPC2`. A completion: the held request is completed; 0
    /// when none is held.
    Queue {
        /// Which APC.
        apc: u8,
        /// Where the answer goes, if anybody wants it.
        to: Option<Register>,
    },
    /// How often an APC has run in this iteration. A normal APC has run once its normal routine has, a
    /// completion (once an iteration) when the event of its request has been signaled.
    Ran {
        /// Which APC.
        apc: u8,
        /// Where the count goes.
        to: Register,
    },
    /// `KeSetEvent`.
    Set {
        /// Which event.
        event: u8,
    },
    /// `KeResetEvent`.
    Reset {
        /// Which event.
        event: u8,
    },
    /// `KeWaitForMultipleObjects` on the event and on the run's cancellation: kernel mode, not
    /// alertable, with the run's wait deadline.
    Wait {
        /// Which event.
        event: u8,
    },
    /// Like [`Step::Wait`], with a time-out of its own that is a result and no failure.
    WaitFor {
        /// Which event.
        event: u8,
        /// 1 when the event was signaled, 0 when the time-out passed.
        to: Register,
        /// The time-out in milliseconds; 0 only looks.
        milliseconds: u32,
    },
    /// Waits until every lane has come to its barrier of the same number.
    Barrier,
    /// `ExAcquireFastMutex`, `KeAcquireGuardedMutex`, a wait for a KMUTEX with the run's wait
    /// deadline, an acquire of a resource with `Wait` TRUE, an acquire of a push lock, or (in user
    /// mode) `EnterCriticalSection`.
    Acquire {
        /// Which lock.
        lock: u8,
        /// How.
        mode: Mode,
    },
    /// `ExReleaseFastMutex`, `KeReleaseGuardedMutex`, `KeReleaseMutex`, `ExReleaseResourceLite`, the
    /// release of a push lock, or (in user mode) `LeaveCriticalSection`.
    Release {
        /// Which lock.
        lock: u8,
    },
    /// `ExTryToAcquireFastMutex`, `KeTryToAcquireGuardedMutex`, a wait for a KMUTEX with a time-out
    /// of its own, an acquire of a resource with `Wait` FALSE, or (in user mode)
    /// `TryEnterCriticalSection`. The block that follows, up to its
    /// [`Step::End`], runs only with the lock, and releases it.
    Try {
        /// Which lock.
        lock: u8,
        /// How.
        mode: Mode,
        /// 1 when it was acquired, 0 when not.
        to: Register,
        /// The time-out in milliseconds; 0 for anything but a KMUTEX.
        milliseconds: u32,
        /// Steps in the block, its end not counted.
        length: u32,
    },
    /// Executes the block that follows, up to its [`Step::End`], so many times.
    Repeat {
        /// How many times, 1 to [`limits::ROUNDS`].
        count: u32,
        /// Steps in the block, its end not counted.
        length: u32,
    },
    /// Ends the block of a [`Step::Try`], [`Step::Repeat`] or [`Step::Call`].
    End,
    /// `ExEnterCriticalRegionAndAcquireResourceExclusive`,
    /// `ExEnterCriticalRegionAndAcquireResourceShared` or
    /// `ExEnterCriticalRegionAndAcquireSharedWaitForExclusive`.
    EnterAcquire {
        /// Which resource.
        lock: u8,
        /// How; there is no form that starves those that wait for exclusive.
        mode: Mode,
    },
    /// `ExReleaseResourceAndLeaveCriticalRegion`.
    ReleaseLeave {
        /// Which resource.
        lock: u8,
    },
    /// `ExConvertExclusiveToSharedLite`.
    Convert {
        /// Which resource.
        lock: u8,
    },
    /// `ExReinitializeResourceLite`.
    Reinitialize {
        /// Which resource.
        lock: u8,
    },
    /// `ExIsResourceAcquiredExclusiveLite`: 1 or 0.
    AcquiredExclusive {
        /// Which resource.
        lock: u8,
        /// Where the answer goes.
        to: Register,
    },
    /// `ExIsResourceAcquiredSharedLite`: how often the thread holds the resource, in either mode.
    AcquiredShared {
        /// Which resource.
        lock: u8,
        /// Where the count goes.
        to: Register,
    },
    /// `ExGetExclusiveWaiterCount`, an estimate.
    ExclusiveWaiters {
        /// Which resource.
        lock: u8,
        /// Where the count goes.
        to: Register,
    },
    /// `ExGetSharedWaiterCount`, an estimate.
    SharedWaiters {
        /// Which resource.
        lock: u8,
        /// Where the count goes.
        to: Register,
    },
    /// `ExSetResourceOwnerPointer`: what the lane holds of the resource belongs to nobody's thread
    /// from now on, and whoever executes [`Step::ReleaseFor`] releases it. What nobody has released
    /// is released when the iteration's lanes have ended.
    HandOver {
        /// Which resource.
        lock: u8,
    },
    /// `ExReleaseResourceForThreadLite`: releases once what a lane has handed over.
    ReleaseFor {
        /// Which resource.
        lock: u8,
        /// The lane that has handed it over.
        lane: u8,
        /// 1 when there was something to release, 0 when not (nothing was called then).
        to: Register,
    },
    /// `KeWaitForMultipleObjects` on the event and on the run's cancellation, in a caller lane.
    WaitAs {
        /// Which event.
        event: u8,
        /// [`answer`]: how the wait ended.
        to: Register,
        /// The time-out in milliseconds.
        milliseconds: u32,
        /// What else may end it.
        mode: WaitMode,
    },
    /// In a caller lane: executes the block that follows, up to its [`Step::End`], in kernel mode, as
    /// one system call. Everything else in such a lane is executed in user mode.
    Call {
        /// Steps in the block, its end not counted.
        length: u32,
    },
    /// In user mode: `SleepEx`.
    Sleep {
        /// How long, in milliseconds, 0 to [`limits::SLEEP_MS`].
        milliseconds: u32,
        /// Whether user APCs may run in it, and end it.
        alertable: bool,
        /// [`answer`]: how it ended.
        to: Register,
    },
    /// In user mode: starts the overlapped request whose completion the APC is, which the driver
    /// holds until somebody queues the APC.
    Start {
        /// Which completion; one of this lane.
        apc: u8,
    },
    /// In user mode: `SuspendThread`.
    Suspend {
        /// The caller lane that is suspended.
        lane: u8,
        /// Where its previous suspend count goes, if anybody wants it.
        to: Option<Register>,
    },
    /// In user mode: `ResumeThread`.
    Resume {
        /// The caller lane that is resumed.
        lane: u8,
        /// Where its previous suspend count goes, if anybody wants it.
        to: Option<Register>,
    },
    /// Stores a value in a variable (sequentially consistent).
    Store {
        /// Which variable.
        variable: u8,
        /// Added to the constant, if given. The sum wraps.
        from: Option<Register>,
        /// The constant.
        constant: i64,
    },
    /// Loads a variable (sequentially consistent).
    Load {
        /// Which variable.
        variable: u8,
        /// Where the value goes.
        to: Register,
    },
}

/// Numbers of the operations in an encoded step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(
    missing_docs,
    reason = "each is described at the Step of the same name"
)]
pub enum Op {
    EnterCritical = 1,
    LeaveCritical = 2,
    EnterGuarded = 3,
    LeaveGuarded = 4,
    RaiseApc = 5,
    Lower = 6,
    ApcsDisabled = 7,
    AllApcsDisabled = 8,
    Irql = 9,
    Queue = 10,
    Ran = 11,
    Set = 12,
    Reset = 13,
    Wait = 14,
    Barrier = 15,
    Store = 16,
    Load = 17,
    WaitFor = 18,
    Acquire = 19,
    Release = 20,
    Try = 21,
    Repeat = 22,
    End = 23,
    EnterAcquire = 24,
    ReleaseLeave = 25,
    Convert = 26,
    Reinitialize = 27,
    AcquiredExclusive = 28,
    AcquiredShared = 29,
    ExclusiveWaiters = 30,
    SharedWaiters = 31,
    HandOver = 32,
    ReleaseFor = 33,
    WaitAs = 34,
    Call = 35,
    Sleep = 36,
    Start = 37,
    Suspend = 38,
    Resume = 39,
}

impl Op {
    /// Every operation.
    pub const ALL: [Self; 39] = [
        Self::EnterCritical,
        Self::LeaveCritical,
        Self::EnterGuarded,
        Self::LeaveGuarded,
        Self::RaiseApc,
        Self::Lower,
        Self::ApcsDisabled,
        Self::AllApcsDisabled,
        Self::Irql,
        Self::Queue,
        Self::Ran,
        Self::Set,
        Self::Reset,
        Self::Wait,
        Self::Barrier,
        Self::Store,
        Self::Load,
        Self::WaitFor,
        Self::Acquire,
        Self::Release,
        Self::Try,
        Self::Repeat,
        Self::End,
        Self::EnterAcquire,
        Self::ReleaseLeave,
        Self::Convert,
        Self::Reinitialize,
        Self::AcquiredExclusive,
        Self::AcquiredShared,
        Self::ExclusiveWaiters,
        Self::SharedWaiters,
        Self::HandOver,
        Self::ReleaseFor,
        Self::WaitAs,
        Self::Call,
        Self::Sleep,
        Self::Start,
        Self::Suspend,
        Self::Resume,
    ];

    fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|op| *op as u8 == number)
    }
}

/// Why 16 bytes are no step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadStep {
    /// The operation's number is unknown.
    Operation,
    /// A register is missing, or its number is too large.
    Register,
    /// A field that this operation does not use is not zero (or not [`NO_REGISTER`]).
    Unused,
    /// A time-out or a count is out of its range.
    Range,
    /// The mode of an acquire or of a wait is unknown.
    Mode,
    /// A lane is at or above [`limits::LANES`].
    Lane,
}

impl Step {
    /// The lock that the step is about.
    pub const fn lock(self) -> Option<u8> {
        match self {
            Self::Acquire { lock, .. }
            | Self::Release { lock }
            | Self::Try { lock, .. }
            | Self::EnterAcquire { lock, .. }
            | Self::ReleaseLeave { lock }
            | Self::Convert { lock }
            | Self::Reinitialize { lock }
            | Self::AcquiredExclusive { lock, .. }
            | Self::AcquiredShared { lock, .. }
            | Self::ExclusiveWaiters { lock, .. }
            | Self::SharedWaiters { lock, .. }
            | Self::HandOver { lock }
            | Self::ReleaseFor { lock, .. } => Some(lock),
            _ => None,
        }
    }

    /// Steps in the block that the step begins, its end not counted; `None` when it begins none.
    pub const fn block(self) -> Option<u32> {
        match self {
            Self::Try { length, .. } | Self::Repeat { length, .. } | Self::Call { length } => {
                Some(length)
            }
            _ => None,
        }
    }

    /// The APC that the step is about.
    pub const fn apc(self) -> Option<u8> {
        match self {
            Self::Queue { apc, .. } | Self::Ran { apc, .. } | Self::Start { apc } => Some(apc),
            _ => None,
        }
    }
}
