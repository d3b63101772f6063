//! The rows of the matrix: contexts, and what the documentation says of each (docs/semantics.md,
//! sections 1 and 2). This table is all that is written by hand; everything else is measured.

use apclab_protocol::program::{ApcKind, LockKind};
use apclab_protocol::step::{Mode, Step};

/// When an APC runs that is queued in a context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// By the point that the row describes.
    Now,
    /// Later.
    Deferred,
}

/// What a predicate answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    True,
    False,
    /// The sources contradict each other: it is measured and never judged.
    Measure,
}

/// What the documentation says of a context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Documented {
    pub(super) special: Delivery,
    pub(super) normal: Delivery,
    pub(super) apcs_disabled: Answer,
    pub(super) all_apcs_disabled: Answer,
    pub(super) irql: u8,
}

/// A context and how a lane gets there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) context: &'static str,
    /// Steps ahead of the queueing.
    pub(super) before: &'static [Step],
    /// Whether another lane queues the APC while this one waits. Then a queued APC that may run now
    /// need not do so in every iteration: the wait may be over first.
    pub(super) waits: bool,
    /// Steps between the queueing and the question whether the APC has run.
    pub(super) between: &'static [Step],
    /// Steps that end what is still open.
    pub(super) rest: &'static [Step],
    /// The kind of the APC in whose routine it all happens, if not in the lane itself.
    pub(super) inside: Option<ApcKind>,
    pub(super) documented: Documented,
}

impl Row {
    /// Whether something ends between the first question and the last, so that what was deferred must
    /// have run by then.
    pub(super) fn ends(&self) -> bool {
        !self.rest.is_empty() || self.inside.is_some()
    }

    /// The locks that the steps name.
    pub(super) fn locks(&self) -> &'static [LockKind] {
        let steps = [self.before, self.between, self.rest];
        let acquired = steps.iter().flat_map(|steps| steps.iter());
        let acquired = acquired.filter_map(|step| match step {
            Step::Acquire { lock, .. } | Step::EnterAcquire { lock, .. } => Some(*lock),
            _ => None,
        });
        match acquired.max() {
            None => &[],
            Some(PUSH_LOCK) => &LOCKS_AND_PUSH_LOCK,
            Some(_) => &LOCKS,
        }
    }
}

/// The locks of the programs that have any.
const LOCKS: [LockKind; 4] = [
    LockKind::FastMutex,
    LockKind::GuardedMutex,
    LockKind::Mutex,
    LockKind::Resource,
];
/// The same with a push lock, which not every kernel has.
const LOCKS_AND_PUSH_LOCK: [LockKind; 5] = [
    LockKind::FastMutex,
    LockKind::GuardedMutex,
    LockKind::Mutex,
    LockKind::Resource,
    LockKind::PushLock,
];
const FAST: u8 = 0;
const GUARDED_MUTEX: u8 = 1;
const MUTEX: u8 = 2;
const RESOURCE: u8 = 3;
const PUSH_LOCK: u8 = 4;

const fn acquire(lock: u8) -> Step {
    Step::Acquire {
        lock,
        mode: Mode::Exclusive,
    }
}

const fn share(lock: u8) -> Step {
    Step::Acquire {
        lock,
        mode: Mode::Shared,
    }
}

const fn release(lock: u8) -> Step {
    Step::Release { lock }
}

use Answer::{False, Measure, True};
use Delivery::{Deferred, Now};
use Step::{EnterCritical, EnterGuarded, LeaveCritical, LeaveGuarded, Lower, RaiseApc};

const fn documented(
    special: Delivery,
    normal: Delivery,
    apcs_disabled: Answer,
    all_apcs_disabled: Answer,
    irql: u8,
) -> Documented {
    Documented {
        special,
        normal,
        apcs_disabled,
        all_apcs_disabled,
        irql,
    }
}

const fn inside(
    context: &'static str,
    before: &'static [Step],
    rest: &'static [Step],
    documented: Documented,
) -> Row {
    Row {
        context,
        before,
        waits: false,
        between: &[],
        rest,
        inside: None,
        documented,
    }
}

const fn in_routine(context: &'static str, kind: ApcKind, documented: Documented) -> Row {
    Row {
        inside: Some(kind),
        ..inside(context, &[], &[], documented)
    }
}

const fn waiting(
    context: &'static str,
    before: &'static [Step],
    rest: &'static [Step],
    documented: Documented,
) -> Row {
    Row {
        waits: true,
        ..inside(context, before, rest, documented)
    }
}

const fn after(
    context: &'static str,
    before: &'static [Step],
    between: &'static [Step],
    rest: &'static [Step],
    documented: Documented,
) -> Row {
    Row {
        between,
        ..inside(context, before, rest, documented)
    }
}

const PLAIN: Documented = documented(Now, Now, False, False, 0);
const CRITICAL: Documented = documented(Now, Deferred, True, False, 0);
const GUARDED: Documented = documented(Deferred, Deferred, Measure, True, 0);
const BOTH: Documented = documented(Deferred, Deferred, True, True, 0);
const APC_LEVEL: Documented = documented(Deferred, Deferred, False, True, 1);
/// No APC-disable counter says that a normal APC is in progress.
const IN_NORMAL: Documented = documented(Now, Deferred, False, False, 0);

/// Every context that programs can get to.
pub(super) const ROWS: [Row; 34] = [
    inside("plain code, PASSIVE_LEVEL", &[], &[], PLAIN),
    inside(
        "critical region",
        &[EnterCritical],
        &[LeaveCritical],
        CRITICAL,
    ),
    inside("guarded region", &[EnterGuarded], &[LeaveGuarded], GUARDED),
    inside(
        "critical region in a guarded one",
        &[EnterGuarded, EnterCritical],
        &[LeaveCritical, LeaveGuarded],
        BOTH,
    ),
    inside(
        "guarded region in a critical one",
        &[EnterCritical, EnterGuarded],
        &[LeaveGuarded, LeaveCritical],
        BOTH,
    ),
    inside("IRQL APC_LEVEL", &[RaiseApc], &[Lower], APC_LEVEL),
    inside(
        "fast mutex held",
        &[acquire(FAST)],
        &[release(FAST)],
        APC_LEVEL,
    ),
    inside(
        "guarded mutex held",
        &[acquire(GUARDED_MUTEX)],
        &[release(GUARDED_MUTEX)],
        APC_LEVEL,
    ),
    inside(
        "owning a KMUTEX",
        &[acquire(MUTEX)],
        &[release(MUTEX)],
        CRITICAL,
    ),
    inside(
        "owning a KMUTEX recursively",
        &[acquire(MUTEX), acquire(MUTEX)],
        &[release(MUTEX), release(MUTEX)],
        CRITICAL,
    ),
    // The caller must have entered a region ahead of these, and the lock adds nothing to it.
    inside(
        "resource held exclusively in a critical region",
        &[EnterCritical, acquire(RESOURCE)],
        &[release(RESOURCE), LeaveCritical],
        CRITICAL,
    ),
    inside(
        "resource shared in a critical region",
        &[EnterCritical, share(RESOURCE)],
        &[release(RESOURCE), LeaveCritical],
        CRITICAL,
    ),
    inside(
        "resource held exclusively in a guarded region",
        &[EnterGuarded, acquire(RESOURCE)],
        &[release(RESOURCE), LeaveGuarded],
        GUARDED,
    ),
    inside(
        "resource held after entering and acquiring in one call",
        &[Step::EnterAcquire {
            lock: RESOURCE,
            mode: Mode::Exclusive,
        }],
        &[Step::ReleaseLeave { lock: RESOURCE }],
        CRITICAL,
    ),
    inside(
        "push lock held exclusively in a critical region",
        &[EnterCritical, acquire(PUSH_LOCK)],
        &[release(PUSH_LOCK), LeaveCritical],
        CRITICAL,
    ),
    inside(
        "push lock shared in a critical region",
        &[EnterCritical, share(PUSH_LOCK)],
        &[release(PUSH_LOCK), LeaveCritical],
        CRITICAL,
    ),
    inside(
        "push lock held exclusively in a guarded region",
        &[EnterGuarded, acquire(PUSH_LOCK)],
        &[release(PUSH_LOCK), LeaveGuarded],
        GUARDED,
    ),
    in_routine("in a normal APC's routine", ApcKind::Normal, IN_NORMAL),
    in_routine("in a special APC's routine", ApcKind::Special, APC_LEVEL),
    waiting("waiting in plain code", &[], &[], PLAIN),
    waiting(
        "waiting as owner of a KMUTEX",
        &[acquire(MUTEX)],
        &[release(MUTEX)],
        CRITICAL,
    ),
    waiting(
        "waiting in a critical region",
        &[EnterCritical],
        &[LeaveCritical],
        CRITICAL,
    ),
    waiting(
        "waiting in a guarded region",
        &[EnterGuarded],
        &[LeaveGuarded],
        GUARDED,
    ),
    after(
        "inner of two critical regions left",
        &[EnterCritical, EnterCritical],
        &[LeaveCritical],
        &[LeaveCritical],
        CRITICAL,
    ),
    after(
        "outermost critical region left",
        &[EnterCritical, EnterCritical],
        &[LeaveCritical, LeaveCritical],
        &[],
        PLAIN,
    ),
    after(
        "inner of two guarded regions left",
        &[EnterGuarded, EnterGuarded],
        &[LeaveGuarded],
        &[LeaveGuarded],
        GUARDED,
    ),
    after(
        "outermost guarded region left",
        &[EnterGuarded, EnterGuarded],
        &[LeaveGuarded, LeaveGuarded],
        &[],
        PLAIN,
    ),
    after(
        "guarded region left in a critical one",
        &[EnterCritical, EnterGuarded],
        &[LeaveGuarded],
        &[LeaveCritical],
        CRITICAL,
    ),
    after(
        "critical region left in a guarded one",
        &[EnterGuarded, EnterCritical],
        &[LeaveCritical],
        &[LeaveGuarded],
        GUARDED,
    ),
    after(
        "IRQL lowered in plain code",
        &[RaiseApc],
        &[Lower],
        &[],
        PLAIN,
    ),
    after(
        "IRQL lowered in a critical region",
        &[EnterCritical, RaiseApc],
        &[Lower],
        &[LeaveCritical],
        CRITICAL,
    ),
    after(
        "inner of two acquires of a KMUTEX released",
        &[acquire(MUTEX), acquire(MUTEX)],
        &[release(MUTEX)],
        &[release(MUTEX)],
        CRITICAL,
    ),
    after(
        "resource released in a critical region",
        &[EnterCritical, acquire(RESOURCE)],
        &[release(RESOURCE)],
        &[LeaveCritical],
        CRITICAL,
    ),
    after(
        "resource released and region left in one call",
        &[Step::EnterAcquire {
            lock: RESOURCE,
            mode: Mode::Exclusive,
        }],
        &[Step::ReleaseLeave { lock: RESOURCE }],
        &[],
        PLAIN,
    ),
];
