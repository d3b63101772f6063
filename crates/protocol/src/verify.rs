//! What may run in ring 0.
//!
//! The verifier trusts nobody: it looks at the bytes that will be executed, on every lane and in
//! every APC's body, before anything runs. What it accepts leaves each thread with the counters, the
//! IRQL and the locks it began with, also when the run is cancelled at any step.

mod callers;
mod locks;
mod scopes;
mod uses;
mod walk;

#[cfg(doc)]
use crate::limits;
use crate::program::{ApcKind, LockKind, Place, Program};
use crate::step::Step;
use uses::Uses;
use walk::Walk;

/// Why a program is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Reason {
    /// A leave, lower, release or end without anything open that it would end.
    NothingToLeave = 100,
    /// A leave, lower, release or end that would end another scope than the innermost open one.
    NotInnermost = 101,
    /// The lane or body ends with something still open.
    LeftOpen = 102,
    /// More regions open at the same time than [`limits::NESTING`].
    TooDeep = 103,
    /// A raise at APC_LEVEL.
    RaisedTwice = 104,
    /// A barrier, or a wait that has to end by itself, at APC_LEVEL: the lane would hold up the APCs
    /// that others wait for.
    BlocksAtApcLevel = 105,
    /// The lanes have different numbers of barriers.
    UnequalBarriers = 106,
    /// The program queues APCs, and `KeInitializeApc` or `KeInsertQueueApc` was not found.
    NoApcRoutines = 107,
    /// A lock that the lane holds is acquired again, and is not recursive.
    HeldAlready = 108,
    /// A lock is acquired without a time-out while one of the same or of a higher index is held: two
    /// lanes could wait for each other.
    LockOrder = 109,
    /// More locks, raises and blocks open at the same time than [`limits::SCOPES`].
    TooManyScopes = 110,
    /// A block ends with other regions open, or other locks held, than it began with.
    UnbalancedBlock = 111,
    /// The lane executes more steps than [`limits::EXECUTED_STEPS`].
    TooLong = 112,
    /// A step that an APC's body may not have: it could block, or change the IRQL.
    NotInABody = 113,
    /// An APC's body queues an APC that is declared no later: bodies could queue each other for ever.
    QueuesBackwards = 114,
    /// A resource or a push lock is acquired, held on or released where normal kernel APCs are
    /// enabled.
    NeedsRegion = 115,
    /// An acquire that waits for the lane itself: exclusive, or shared behind those that wait for
    /// exclusive, of a resource that the lane shares.
    WaitsForItself = 116,
    /// A convert of a resource that the lane does not hold exclusively.
    NotExclusive = 117,
    /// A reinitialise of a resource that is held, or that another lane names.
    InUse = 118,
    /// A wait for a resource that some lane hands over: no lane might be left that releases it.
    HandedOver = 119,
    /// A lane hands a resource over for the second time.
    HandedOverTwice = 120,
    /// The program says that it may deadlock, and nothing here would end a deadlock.
    MayDeadlock = 121,
    /// The program acquires a push lock, and its routines were not found.
    NoPushLocks = 122,
    /// A step of kernel mode outside of every `call` of a caller lane.
    NeedsCall = 123,
    /// A step of user mode inside a `call`.
    UserModeOnly = 124,
    /// A step that only a caller lane may have.
    CallerOnly = 125,
    /// A step after an alertable wait, in the same `call`, that could keep the thread from returning to
    /// user mode.
    AfterAlertableWait = 126,
    /// A step that a `call` may not have: the run may end while the thread is suspended in it.
    NotInACall = 127,
    /// A lane starts the request of a completion for the second time.
    StartedTwice = 128,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 29] = [
        Self::NothingToLeave,
        Self::NotInnermost,
        Self::LeftOpen,
        Self::TooDeep,
        Self::RaisedTwice,
        Self::BlocksAtApcLevel,
        Self::UnequalBarriers,
        Self::NoApcRoutines,
        Self::HeldAlready,
        Self::LockOrder,
        Self::TooManyScopes,
        Self::UnbalancedBlock,
        Self::TooLong,
        Self::NotInABody,
        Self::QueuesBackwards,
        Self::NeedsRegion,
        Self::WaitsForItself,
        Self::NotExclusive,
        Self::InUse,
        Self::HandedOver,
        Self::HandedOverTwice,
        Self::MayDeadlock,
        Self::NoPushLocks,
        Self::NeedsCall,
        Self::UserModeOnly,
        Self::CallerOnly,
        Self::AfterAlertableWait,
        Self::NotInACall,
        Self::StartedTwice,
    ];

    /// The word by which litmus files and reports name the reason.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NothingToLeave => "nothing-to-leave",
            Self::NotInnermost => "not-innermost",
            Self::LeftOpen => "left-open",
            Self::TooDeep => "too-deep",
            Self::RaisedTwice => "raised-twice",
            Self::BlocksAtApcLevel => "blocks-at-apc-level",
            Self::UnequalBarriers => "unequal-barriers",
            Self::NoApcRoutines => "no-apc-routines",
            Self::HeldAlready => "held-already",
            Self::LockOrder => "lock-order",
            Self::TooManyScopes => "too-many-scopes",
            Self::UnbalancedBlock => "unbalanced-block",
            Self::TooLong => "too-long",
            Self::NotInABody => "not-in-a-body",
            Self::QueuesBackwards => "queues-backwards",
            Self::NeedsRegion => "needs-region",
            Self::WaitsForItself => "waits-for-itself",
            Self::NotExclusive => "not-exclusive",
            Self::InUse => "in-use",
            Self::HandedOver => "handed-over",
            Self::HandedOverTwice => "handed-over-twice",
            Self::MayDeadlock => "may-deadlock",
            Self::NoPushLocks => "no-push-locks",
            Self::NeedsCall => "needs-call",
            Self::UserModeOnly => "user-mode-only",
            Self::CallerOnly => "caller-only",
            Self::AfterAlertableWait => "after-alertable-wait",
            Self::NotInACall => "not-in-a-call",
            Self::StartedTwice => "started-twice",
        }
    }

    /// A sentence for people.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::NothingToLeave => "nothing is open that this step could leave",
            Self::NotInnermost => "this step leaves another scope than the innermost open one",
            Self::LeftOpen => "the steps end with this scope still open",
            Self::TooDeep => "more than 1024 regions are open here",
            Self::RaisedTwice => "the IRQL is APC_LEVEL already; raise only at PASSIVE_LEVEL",
            Self::BlocksAtApcLevel => "a lane may not wait or meet others at APC_LEVEL",
            Self::UnequalBarriers => "every lane must have the same number of barriers",
            Self::NoApcRoutines => {
                "this kernel does not offer KeInitializeApc and KeInsertQueueApc, so no APC can be queued"
            }
            Self::HeldAlready => "the lane holds this lock already, and it is not recursive",
            Self::LockOrder => {
                "locks that are waited for without a time-out are acquired in the order of their declarations"
            }
            Self::TooManyScopes => "more than 8 locks, raises and blocks are open here",
            Self::UnbalancedBlock => {
                "the block ends with other regions or locks than it began with"
            }
            Self::TooLong => "the lane executes more than 1000000 steps in one iteration",
            Self::NotInABody => {
                "an APC's body neither blocks nor takes locks nor changes the IRQL nor repeats"
            }
            Self::QueuesBackwards => {
                "an APC's body queues only APCs that are declared after its own"
            }
            Self::NeedsRegion => {
                "a resource or push lock is acquired, held and released only with normal kernel APCs disabled: in a region, at APC_LEVEL, or owning a mutex"
            }
            Self::WaitsForItself => {
                "the lane shares this resource, and would wait for its own release"
            }
            Self::NotExclusive => "the lane does not hold this resource exclusively",
            Self::InUse => {
                "a resource is reinitialised only while it is free, and by the only lane that names it"
            }
            Self::HandedOver => {
                "a resource that a lane hands over can only be tried: nobody might release it"
            }
            Self::HandedOverTwice => "a lane hands a resource over once in an iteration",
            Self::MayDeadlock => {
                "the test may deadlock, and nothing ends a deadlock here; on a device run it polled"
            }
            Self::NoPushLocks => "this kernel does not offer the routines of push locks",
            Self::NeedsCall => {
                "a caller lane executes this step in kernel mode: it stands in a `call` block"
            }
            Self::UserModeOnly => {
                "this step is one of user mode, and stands outside of every `call`"
            }
            Self::CallerOnly => "only a caller lane has this step",
            Self::AfterAlertableWait => {
                "after an alertable wait a call only leaves, releases and asks: a user APC may have to be delivered"
            }
            Self::NotInACall => {
                "a call hands nothing over and queues no kernel APC: the run may end while its thread is suspended"
            }
            Self::StartedTwice => "a lane starts a request once in an iteration",
        }
    }

    /// The reason with that number.
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|reason| *reason as u32 == number)
    }

    /// The reason with that [`name`](Self::name).
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }
}

/// A refused program: where, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The lane or the body.
    pub place: Place,
    /// The step there, counted from 0; the number of steps when the end is at fault.
    pub step: u32,
    /// The rule that it breaks.
    pub reason: Reason,
}

/// What is known of a program that was accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// The most regions that any lane has open at the same time.
    pub nesting: usize,
    /// Whether any lane or body queues an APC object of the driver's.
    pub queues_apcs: bool,
}

fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// Whether a step acquires a push lock.
fn pushes(program: &Program<'_>, step: Step) -> bool {
    matches!(step, Step::Acquire { lock, .. } if program.lock(lock.into()) == Some(LockKind::PushLock))
}

/// Whether a step queues an APC object of the driver's.
fn queues_apc(program: &Program<'_>, step: Step) -> bool {
    let kind = |apc: u8| program.apc(apc.into()).map(|apc| apc.kind);
    matches!(step, Step::Queue { apc, .. } if kind(apc).is_some_and(ApcKind::of_driver))
}

/// Whether a step's wait has no end in a program that may deadlock. Polling ends every wait but that
/// for a push lock, which cannot be tried.
fn blocks_for_ever(program: &Program<'_>, step: Step) -> bool {
    let (Step::Acquire { lock, .. } | Step::EnterAcquire { lock, .. }) = step else {
        return false;
    };
    let kind = program.lock(lock.into());
    let polled = program.polled() && kind != Some(LockKind::PushLock);
    let ended = kind.is_some_and(|kind| kind.untimed() && !kind.user());
    program.may_deadlock() && !polled && ended
}

/// What the machine offers on which a program would run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// The kernel offers `KeInitializeApc` and `KeInsertQueueApc`.
    pub apc_routines: bool,
    /// Threads that wait for each other for ever are noticed, and stopped.
    pub ends_deadlocks: bool,
    /// The kernel offers the routines of push locks.
    pub push_locks: bool,
}

impl Machine {
    /// One that refuses nothing for want of something.
    pub const COMPLETE: Self = Self {
        apc_routines: true,
        ends_deadlocks: true,
        push_locks: true,
    };
}

/// Decides whether a program may run.
///
/// # Errors
/// [`Refusal`]: the first lane or body, and the first step there, that breaks a rule, and the rule.
pub fn verify(program: &Program<'_>, machine: Machine) -> Result<Verified, Refusal> {
    let mut verified = Verified::default();
    let uses = Uses::of(program);
    let mut barriers = None;
    for place in program.places() {
        let refuse = |step: usize, reason| Refusal {
            place,
            step: number(step),
            reason,
        };
        let mut walk = Walk::new(program, &uses, place);
        for (index, step) in program.steps(place).enumerate() {
            walk.step(index, step)
                .map_err(|reason| refuse(index, reason))?;
            if pushes(program, step) && !machine.push_locks {
                return Err(refuse(index, Reason::NoPushLocks));
            }
            if blocks_for_ever(program, step) && !machine.ends_deadlocks {
                return Err(refuse(index, Reason::MayDeadlock));
            }
            if queues_apc(program, step) {
                if !machine.apc_routines {
                    return Err(refuse(index, Reason::NoApcRoutines));
                }
                verified.queues_apcs = true;
            }
        }
        let end = program.len(place);
        walk.finish().map_err(|reason| refuse(end, reason))?;
        if let Place::Lane(_) = place
            && *barriers.get_or_insert(walk.barriers()) != walk.barriers()
        {
            return Err(refuse(end, Reason::UnequalBarriers));
        }
        verified.nesting = verified.nesting.max(walk.deepest());
    }
    Ok(verified)
}
