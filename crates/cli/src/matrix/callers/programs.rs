//! The programs that measure the rows of threads of user mode.

use apclab_protocol::build::ProgramBuf;
use apclab_protocol::program::{Apc, ApcKind, Event, EventKind, LockKind, Observed};
use apclab_protocol::step::{Mode, Step, WaitMode};

use super::{DEFERRED, LOST, NOW, Region, Row, Wait, Word, user_word};

/// The lane whose thread the APC is for.
const TARGET: u8 = 0;

/// Set when the target is about to wait.
const READY: u8 = 0;
/// What the target waits for.
const GO: u8 = 1;
/// Set when the target goes on.
const PAST: u8 = 2;

const MUTEX: u8 = 0;
const FAST: u8 = 1;
const RESOURCE: u8 = 2;

/// The time-out of a wait that is expected to end otherwise, in milliseconds.
const LONG: u32 = 200;
/// How long an alertable wait is left alone for an APC that may end it, in milliseconds.
const SHORT: u32 = 5;

/// Registers of the target.
const ENDED: u8 = 0;
const THEN: u8 = 1;
const AT_END: u8 = 2;
/// A register whose value nobody wants.
const UNUSED: u8 = 9;

/// A program, and what its outcomes say.
pub(super) struct Shape {
    pub(super) program: ProgramBuf,
    /// What an outcome says. Its first value is that of [`ENDED`].
    pub(super) word: fn(&[i64]) -> Option<Word>,
    /// What an iteration says that does not come to its end, if it may be so.
    pub(super) stuck: Option<Word>,
    /// Whether the wait has a time-out: an iteration in which that passes says nothing.
    pub(super) timed: bool,
    /// Whether the APC comes from another thread, so that it is chance whether it arrives in time.
    pub(super) chance: bool,
}

fn call(inside: &[Step]) -> Vec<Step> {
    let length = u32::try_from(inside.len()).unwrap_or(u32::MAX);
    [&[Step::Call { length }], inside, &[Step::End]].concat()
}

/// What is entered, and what leaves it.
fn region(region: Region) -> (Vec<Step>, Vec<Step>) {
    let acquire = |lock| Step::Acquire {
        lock,
        mode: Mode::Exclusive,
    };
    let release = |lock| Step::Release { lock };
    match region {
        Region::None => (vec![], vec![]),
        Region::Critical => (vec![Step::EnterCritical], vec![Step::LeaveCritical]),
        Region::Guarded => (vec![Step::EnterGuarded], vec![Step::LeaveGuarded]),
        Region::ApcLevel => (vec![Step::RaiseApc], vec![Step::Lower]),
        Region::FastMutex => (vec![acquire(FAST)], vec![release(FAST)]),
        Region::Mutex => (vec![acquire(MUTEX)], vec![release(MUTEX)]),
        Region::Resource => (
            vec![Step::EnterCritical, acquire(RESOURCE)],
            vec![release(RESOURCE), Step::LeaveCritical],
        ),
    }
}

/// The wait of a row; in a row that has none, the thread waits all the same for what another thread does
/// to it.
fn wait(row: &Row) -> Step {
    match row.wait.mode() {
        Some(mode) => Step::WaitAs {
            event: GO,
            to: ENDED,
            milliseconds: LONG,
            mode,
        },
        None => Step::Wait { event: GO },
    }
}

fn await_ready() -> Vec<Step> {
    call(&[Step::Wait { event: READY }])
}

fn program(
    row: &Row,
    apc: Option<ApcKind>,
    lanes: [Vec<Step>; 2],
    observed: Vec<Observed>,
) -> ProgramBuf {
    let event = Event {
        kind: EventKind::Notification,
        signaled: false,
    };
    let apcs = apc.map(|kind| Apc { kind, lane: TARGET });
    let locks = match row.region {
        Region::Mutex => vec![LockKind::Mutex],
        Region::FastMutex => vec![LockKind::Mutex, LockKind::FastMutex],
        Region::Resource => vec![LockKind::Mutex, LockKind::FastMutex, LockKind::Resource],
        _ => vec![],
    };
    ProgramBuf {
        events: vec![event; 3],
        apcs: apcs.into_iter().collect(),
        locks,
        observed,
        lanes: lanes.into(),
        callers: vec![true; 2],
        ..ProgramBuf::default()
    }
}

const fn of_target(register: u8) -> Observed {
    Observed::Register {
        lane: TARGET,
        register,
    }
}

fn answers() -> Vec<Observed> {
    [ENDED, THEN, AT_END].map(of_target).into()
}

fn timed(row: &Row) -> bool {
    row.wait.mode().is_some()
}

/// Whether the completion of the thread's own request ran by the point of the row, or later.
pub(super) fn completion(row: &Row) -> Shape {
    let (before, rest) = region(row.region);
    let asked = |to| Step::Ran { apc: 0, to };
    let complete = Step::Queue { apc: 0, to: None };
    let start = vec![Step::Start { apc: 0 }];
    let ends = call(&[asked(AT_END)]);
    // What another thread completes need not have arrived by any moment of this one's own.
    let later = |outcome: &[i64]| match outcome {
        [_, 1, 1] => Some(NOW),
        [_, 0, _] => Some(DEFERRED),
        _ => None,
    };
    let at_once = |outcome: &[i64]| match outcome {
        [_, 1, 1] => Some(NOW),
        [_, 0, 1] => Some(DEFERRED),
        [_, 0, 0] => Some(LOST),
        _ => None,
    };
    let chance = row.wait != Wait::Nothing;
    let middle = if chance {
        [Step::Set { event: READY }, wait(row), asked(THEN)].to_vec()
    } else {
        [complete, asked(THEN)].to_vec()
    };
    let inside = [before, middle, rest].concat();
    let target = [start, call(&inside), ends].concat();
    let other = if chance {
        call(&[
            Step::Wait { event: READY },
            complete,
            Step::Set { event: GO },
        ])
    } else {
        Vec::new()
    };
    let lanes = [target, other];
    Shape {
        program: program(row, Some(ApcKind::Completion), lanes, answers()),
        word: if chance { later } else { at_once },
        stuck: None,
        timed: timed(row),
        chance,
    }
}

/// Whether a thread that is suspended in its wait goes on in the region, or stops at once: then the other
/// lane waits for it until the iteration is given up.
pub(super) fn suspension(row: &Row) -> Option<Shape> {
    if !row.region.waits() {
        return None;
    }
    let (before, rest) = region(row.region);
    // After an alertable wait a call only closes and sets.
    let inside = [
        &before[..],
        &[
            Step::Set { event: READY },
            wait(row),
            Step::Set { event: PAST },
        ],
        &rest,
    ];
    let target = call(&inside.concat());
    let lane = TARGET;
    let other = [
        await_ready(),
        vec![Step::Suspend { lane, to: None }],
        // Without an end where the target has stopped: it is resumed after that.
        call(&[Step::Set { event: GO }, Step::Wait { event: PAST }]),
        vec![Step::Resume { lane, to: None }],
    ];
    let observed = vec![of_target(ENDED)];
    Some(Shape {
        program: program(row, None, [target, other.concat()], observed),
        word: |outcome| matches!(outcome, [_]).then_some(DEFERRED),
        stuck: Some(NOW),
        timed: timed(row),
        chance: true,
    })
}

/// What becomes of a user APC that another thread queues while this one waits, or is in kernel code.
pub(super) fn user_apc(row: &Row, kind: ApcKind) -> Option<Shape> {
    if !row.region.waits() {
        return None;
    }
    let (before, rest) = region(row.region);
    let inside = [&before[..], &[Step::Set { event: READY }, wait(row)], &rest];
    let asked = |to| vec![Step::Ran { apc: 0, to }];
    let look = vec![Step::Sleep {
        milliseconds: 0,
        alertable: true,
        to: UNUSED,
    }];
    let target = [call(&inside.concat()), asked(THEN), look, asked(AT_END)].concat();
    let alertable = row.wait.mode().is_some_and(WaitMode::alertable);
    let mut other = [await_ready(), vec![Step::Queue { apc: 0, to: None }]].concat();
    // An alertable wait is left alone for a while, so that the APC can end it.
    if alertable {
        other.push(Step::Sleep {
            milliseconds: SHORT,
            alertable: false,
            to: UNUSED,
        });
    }
    other.extend(call(&[Step::Set { event: GO }]));
    Some(Shape {
        program: program(row, Some(kind), [target, other], answers()),
        word: |outcome| match outcome {
            [ended, ran, later] => user_word(*ended, *ran, *later),
            _ => None,
        },
        stuck: None,
        timed: timed(row),
        chance: true,
    })
}
