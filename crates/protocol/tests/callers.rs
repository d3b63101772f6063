//! What the parser and the verifier say of caller lanes: user mode, kernel mode, and the border
//! between.

use apclab_protocol::build::ProgramBuf;
use apclab_protocol::limits;
use apclab_protocol::program::{
    Apc, ApcKind, Event, EventKind, HEAD_SIZE, LockKind, Malformation, Malformed, Place, Program,
    flags,
};
use apclab_protocol::step::{Mode, Step, WaitMode};
use apclab_protocol::verify::{Machine, Reason, Refusal, Verified, verify};
use proptest::prelude::*;

use Step::{EnterCritical, EnterGuarded, LeaveCritical, LeaveGuarded};

const USER: u8 = 0;
const SPECIAL_USER: u8 = 1;
const COMPLETION: u8 = 2;
const KERNEL: u8 = 3;

const SECTION: u8 = 0;
const OTHER_SECTION: u8 = 1;
const FAST: u8 = 2;
const RESOURCE: u8 = 3;

const CALLER: u8 = 0;
const SYSTEM: u8 = 1;

fn program(caller: Vec<Step>) -> ProgramBuf {
    let apc = |kind, lane| Apc { kind, lane };
    ProgramBuf {
        events: vec![Event {
            kind: EventKind::Notification,
            signaled: false,
        }],
        apcs: vec![
            apc(ApcKind::User, CALLER),
            apc(ApcKind::SpecialUser, CALLER),
            apc(ApcKind::Completion, CALLER),
            apc(ApcKind::Normal, SYSTEM),
        ],
        locks: vec![
            LockKind::CriticalSection,
            LockKind::CriticalSection,
            LockKind::FastMutex,
            LockKind::Resource,
        ],
        lanes: vec![caller, vec![]],
        callers: vec![true],
        ..ProgramBuf::default()
    }
}

fn judge(program: &ProgramBuf) -> Result<Verified, Refusal> {
    let bytes = program.encode();
    let program = Program::parse(&bytes).expect("well formed");
    verify(&program, Machine::COMPLETE)
}

/// What is said of a caller lane with these steps.
fn caller(steps: Vec<Step>) -> Result<(), (u32, Reason)> {
    judge(&program(steps))
        .map(drop)
        .map_err(|refusal| (refusal.step, refusal.reason))
}

fn call(inside: Vec<Step>) -> Vec<Step> {
    let length = u32::try_from(inside.len()).unwrap();
    [vec![Step::Call { length }], inside, vec![Step::End]].concat()
}

fn repeat(inside: Vec<Step>) -> Vec<Step> {
    let length = u32::try_from(inside.len()).unwrap();
    let begin = Step::Repeat { count: 2, length };
    [vec![begin], inside, vec![Step::End]].concat()
}

const fn acquire(lock: u8) -> Step {
    Step::Acquire {
        lock,
        mode: Mode::Exclusive,
    }
}

const fn release(lock: u8) -> Step {
    Step::Release { lock }
}

const fn queue(apc: u8) -> Step {
    Step::Queue { apc, to: None }
}

const fn ran(apc: u8) -> Step {
    Step::Ran { apc, to: 1 }
}

const fn wait(mode: WaitMode) -> Step {
    Step::WaitAs {
        event: 0,
        to: 0,
        milliseconds: 10,
        mode,
    }
}

const SLEEP: Step = Step::Sleep {
    milliseconds: 1,
    alertable: true,
    to: 0,
};
const SUSPEND: Step = Step::Suspend {
    lane: CALLER,
    to: None,
};
const RESUME: Step = Step::Resume {
    lane: CALLER,
    to: Some(3),
};
const IRQL: Step = Step::Irql { to: 4 };

#[test]
fn user_mode_and_kernel_mode_are_kept_apart() {
    let of_user_mode = [
        vec![SLEEP],
        vec![Step::Start { apc: COMPLETION }],
        vec![SUSPEND],
        vec![RESUME],
        vec![queue(USER)],
        vec![queue(SPECIAL_USER)],
        vec![ran(USER)],
        vec![acquire(SECTION), release(SECTION)],
        call(vec![]),
    ];
    for steps in of_user_mode {
        assert_eq!(caller(steps.clone()), Ok(()), "{steps:?}");
        assert_eq!(caller(repeat(call(vec![]))), Ok(()));
        let inside = call(steps.clone());
        assert_eq!(caller(inside), Err((1, Reason::UserModeOnly)), "{steps:?}");
        let mut elsewhere = program(vec![]);
        elsewhere.lanes[1].clone_from(&steps);
        // To start a request is for the lane of its completion alone, as a matter of form.
        if !matches!(steps[0], Step::Start { .. }) {
            let refusal = judge(&elsewhere).unwrap_err();
            assert_eq!(refusal.place, Place::Lane(SYSTEM));
            assert_eq!(
                (refusal.step, refusal.reason),
                (0, Reason::CallerOnly),
                "{steps:?}"
            );
        }
    }
    let of_kernel_mode = [
        vec![EnterCritical, LeaveCritical],
        vec![IRQL],
        vec![wait(WaitMode::User)],
        vec![Step::Set { event: 0 }],
        vec![queue(COMPLETION)],
        vec![ran(COMPLETION)],
        vec![acquire(FAST), release(FAST)],
        vec![
            EnterCritical,
            acquire(RESOURCE),
            release(RESOURCE),
            LeaveCritical,
        ],
    ];
    for steps in of_kernel_mode {
        assert_eq!(caller(call(steps.clone())), Ok(()), "{steps:?}");
        assert_eq!(
            caller(steps.clone()),
            Err((0, Reason::NeedsCall)),
            "{steps:?}"
        );
        let mut elsewhere = program(vec![]);
        elsewhere.lanes[1].clone_from(&steps);
        let waits = matches!(steps[0], Step::WaitAs { .. });
        assert_eq!(judge(&elsewhere).is_err(), waits, "{steps:?}");
    }
    let mut body = program(vec![]);
    body.bodies = vec![vec![], vec![], vec![], vec![queue(USER)]];
    let reason = judge(&body).map_err(|refusal| refusal.reason);
    assert_eq!(reason, Err(Reason::QueuesBackwards));
    body.bodies = vec![vec![], vec![], vec![], vec![SLEEP]];
    let reason = judge(&body).map_err(|refusal| refusal.reason);
    assert_eq!(reason, Err(Reason::NotInABody));
    body.bodies = vec![vec![], vec![], vec![], vec![ran(COMPLETION)]];
    assert!(judge(&body).is_ok());
}

#[test]
fn each_call_leaves_nothing_open() {
    let open = call(vec![EnterCritical]);
    assert_eq!(caller(open), Err((2, Reason::NotInnermost)));
    let split = [call(vec![EnterGuarded]), call(vec![LeaveGuarded])].concat();
    assert_eq!(caller(split), Err((2, Reason::NotInnermost)));
    let nested = call(call(vec![]));
    assert_eq!(caller(nested), Err((1, Reason::UserModeOnly)));
    let missing = [vec![Step::Call { length: 5 }], vec![Step::End]].concat();
    let bytes = program(missing).encode();
    assert_eq!(
        Program::parse(&bytes).unwrap_err().what,
        Malformation::Length
    );
}

#[test]
fn after_an_alertable_wait_a_call_only_closes() {
    for mode in WaitMode::ALL {
        let then =
            |steps: Vec<Step>| caller(call([vec![EnterCritical, wait(mode)], steps].concat()));
        assert_eq!(then(vec![LeaveCritical, ran(COMPLETION), IRQL]), Ok(()));
        let expected = if mode.alertable() {
            Err((3, Reason::AfterAlertableWait))
        } else {
            Ok(())
        };
        assert_eq!(then(vec![wait(mode), LeaveCritical]), expected);
        assert_eq!(
            then(vec![EnterGuarded, LeaveGuarded, LeaveCritical]),
            expected
        );
        assert_eq!(then(vec![queue(COMPLETION), LeaveCritical]), expected);
        let expected = expected.map_err(|(_, reason)| (2, reason));
        assert_eq!(caller(call(repeat(vec![wait(mode)]))), expected);
        // The next call begins afresh.
        assert_eq!(caller(repeat(call(vec![wait(mode)]))), Ok(()));
        assert_eq!(
            caller([call(vec![wait(mode)]), call(vec![wait(mode)])].concat()),
            Ok(())
        );
        let raised = call(vec![Step::RaiseApc, wait(mode), Step::Lower]);
        assert_eq!(caller(raised), Err((2, Reason::BlocksAtApcLevel)));
    }
}

#[test]
fn nothing_in_a_call_outlives_the_run() {
    assert_eq!(
        caller(call(vec![queue(KERNEL)])),
        Err((1, Reason::NotInACall))
    );
    let hand_over = call(vec![
        EnterCritical,
        acquire(RESOURCE),
        Step::HandOver { lock: RESOURCE },
        LeaveCritical,
    ]);
    // The acquire comes first: what somebody hands over can only be tried.
    assert_eq!(caller(hand_over), Err((2, Reason::HandedOver)));
    let mut tried = program(call(vec![
        EnterCritical,
        Step::Try {
            lock: RESOURCE,
            mode: Mode::Exclusive,
            to: 0,
            milliseconds: 0,
            length: 1,
        },
        Step::HandOver { lock: RESOURCE },
        Step::End,
        LeaveCritical,
    ]));
    let refusal = judge(&tried).unwrap_err();
    assert_eq!((refusal.step, refusal.reason), (3, Reason::NotInACall));
    tried.callers.clear();
    tried.apcs.truncate(0);
    tried.lanes[0].remove(0);
    tried.lanes[0].pop();
    assert!(judge(&tried).is_ok(), "no caller lane any more");
}

#[test]
fn a_request_is_started_once() {
    let start = Step::Start { apc: COMPLETION };
    assert_eq!(caller(vec![start, start]), Err((1, Reason::StartedTwice)));
    assert_eq!(caller(repeat(vec![start])), Err((1, Reason::StartedTwice)));
    for (lane, apc) in [(1, COMPLETION), (0, USER), (0, 4)] {
        let mut wrong = program(vec![]);
        wrong.lanes[lane] = vec![Step::Start { apc }];
        let bytes = wrong.encode();
        assert_eq!(
            Program::parse(&bytes).unwrap_err().what,
            Malformation::Index
        );
    }
}

#[test]
fn critical_sections_are_recursive_and_keep_their_order() {
    let nested = |outer, inner| {
        caller(vec![
            acquire(outer),
            acquire(inner),
            release(inner),
            release(outer),
        ])
    };
    assert_eq!(nested(SECTION, SECTION), Ok(()));
    assert_eq!(nested(SECTION, OTHER_SECTION), Ok(()));
    assert_eq!(nested(OTHER_SECTION, SECTION), Err((1, Reason::LockOrder)));
    let around = [
        vec![acquire(SECTION)],
        call(vec![acquire(FAST), release(FAST)]),
        vec![release(SECTION)],
    ]
    .concat();
    assert_eq!(caller(around), Ok(()));
    assert_eq!(caller(vec![acquire(SECTION)]), Err((1, Reason::LeftOpen)));
    assert_eq!(
        caller(vec![release(SECTION)]),
        Err((0, Reason::NothingToLeave))
    );
    // Nobody could end such a deadlock.
    let mut crossed = program(vec![
        acquire(OTHER_SECTION),
        acquire(SECTION),
        release(SECTION),
        release(OTHER_SECTION),
    ]);
    crossed.flags = flags::MAY_DEADLOCK | flags::POLLED;
    assert_eq!(judge(&crossed).unwrap_err().reason, Reason::LockOrder);
    let mut ordered = program(vec![acquire(SECTION), release(SECTION)]);
    ordered.flags = flags::MAY_DEADLOCK;
    let bytes = ordered.encode();
    let machine = Machine {
        ends_deadlocks: false,
        ..Machine::COMPLETE
    };
    assert!(verify(&Program::parse(&bytes).unwrap(), machine).is_ok());
    for form in [
        Step::Try {
            lock: SECTION,
            mode: Mode::Exclusive,
            to: 0,
            milliseconds: 1,
            length: 0,
        },
        Step::Acquire {
            lock: SECTION,
            mode: Mode::Shared,
        },
        Step::AcquiredShared {
            lock: SECTION,
            to: 0,
        },
        Step::EnterAcquire {
            lock: SECTION,
            mode: Mode::Exclusive,
        },
    ] {
        let bytes = program(vec![form, Step::End]).encode();
        assert!(Program::parse(&bytes).is_err(), "{form:?}");
    }
}

#[test]
fn only_apcs_of_the_driver_need_its_routines() {
    let machine = Machine::default();
    let steps = [
        vec![queue(USER), Step::Start { apc: COMPLETION }],
        call(vec![queue(COMPLETION)]),
    ];
    let bytes = program(steps.concat()).encode();
    let verified = verify(&Program::parse(&bytes).unwrap(), machine);
    assert_eq!(verified.map(|verified| verified.queues_apcs), Ok(false));
}

#[test]
fn each_malformation_of_a_caller_names_its_byte() {
    let bytes = program(vec![SUSPEND]).encode();
    let apcs = HEAD_SIZE + 8;
    let step = bytes.len() - 16;
    let with = |at: usize, value: u8| {
        let mut bytes = bytes.clone();
        bytes[at] = value;
        Program::parse(&bytes).map(drop)
    };
    let fails = |what, offset: usize| {
        let offset = u32::try_from(offset).unwrap();
        Err(Malformed { what, offset })
    };
    assert_eq!(with(42, 1), Ok(()));
    assert_eq!(with(42, 4), fails(Malformation::Index, 42));
    assert_eq!(with(40, 1), fails(Malformation::Index, 42));
    assert_eq!(with(43, 1), fails(Malformation::Reserved, 43));
    // APCs of the driver are for lanes of the driver, all others for callers.
    assert_eq!(with(42, 0), fails(Malformation::Index, apcs + 1));
    assert_eq!(with(apcs + 1, SYSTEM), fails(Malformation::Index, apcs + 1));
    assert_eq!(with(apcs, 0), fails(Malformation::Index, apcs + 1));
    assert_eq!(with(apcs, 5), fails(Malformation::Kind, apcs));
    assert_eq!(with(apcs + 4, 1), fails(Malformation::Length, 12));
    assert_eq!(with(step + 3, SYSTEM), fails(Malformation::Index, step + 3));
    assert_eq!(with(step + 3, 9), fails(Malformation::Index, step + 3));
    let sleep = program(vec![SLEEP]).encode();
    let with = |at: usize, value: u8| {
        let mut bytes = sleep.clone();
        bytes[at] = value;
        Program::parse(&bytes).map(drop)
    };
    assert_eq!(with(step + 3, 0), Ok(()));
    assert_eq!(with(step + 3, 2), fails(Malformation::Unused, step + 1));
    assert_eq!(with(step + 10, 1), fails(Malformation::Range, step + 8));
    assert_eq!(limits::SLEEP_MS, 1000);
    let mut body = program(vec![]);
    body.bodies = vec![vec![IRQL]];
    let bytes = body.encode();
    assert_eq!(
        Program::parse(&bytes).map(drop),
        fails(Malformation::Limit, apcs + 4)
    );
}

fn leaf() -> impl Strategy<Value = Step> {
    prop::sample::select(vec![
        EnterCritical,
        LeaveCritical,
        EnterGuarded,
        LeaveGuarded,
        IRQL,
        Step::Barrier,
        Step::RaiseApc,
        Step::Lower,
        wait(WaitMode::User),
        wait(WaitMode::KernelAlertable),
        wait(WaitMode::UserAlertable),
        SLEEP,
        SUSPEND,
        RESUME,
        Step::Start { apc: COMPLETION },
        queue(USER),
        queue(COMPLETION),
        queue(KERNEL),
        ran(SPECIAL_USER),
        ran(COMPLETION),
        acquire(SECTION),
        release(SECTION),
        acquire(FAST),
        release(FAST),
    ])
}

/// Steps of which some would be accepted.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let calm = prop::sample::select(vec![IRQL, ran(COMPLETION), Step::Set { event: 0 }]);
    let user = prop::sample::select(vec![SLEEP, SUSPEND, RESUME, queue(USER)]);
    let leaf = prop_oneof![6 => calm, 3 => user, 1 => leaf()].prop_map(|step| vec![step]);
    leaf.prop_recursive(5, 30, 4, |inner| {
        let inner = prop::collection::vec(inner, 0..4).prop_map(|parts| parts.concat());
        (0..6, inner).prop_map(|(form, inner)| {
            let around = |begin, end| [vec![begin], inner.clone(), vec![end]].concat();
            match form {
                0 | 1 => call(inner),
                2 => repeat(inner),
                3 => around(EnterCritical, LeaveCritical),
                4 => around(acquire(SECTION), release(SECTION)),
                _ => [inner, vec![wait(WaitMode::UserAlertable)]].concat(),
            }
        })
    })
}

/// Executes a caller lane by the rules of the border alone; it shares nothing with the verifier.
/// `None`: a step was executed in the wrong mode, the thread came back to user mode with something
/// entered or raised, or it waited after an alertable wait.
fn executes(steps: &[Step]) -> Option<()> {
    let (mut regions, mut raised, mut sections) = (0_i32, 0_i32, 0_i32);
    let mut alerted = false;
    // The end of the call, and the open repeats with their rounds left.
    let mut in_call: Option<usize> = None;
    let mut rounds: Vec<(usize, u32, usize)> = Vec::new();
    let mut at = 0;
    while let Some(step) = steps.get(at) {
        let kernel = in_call.is_some();
        match *step {
            Step::Call { length } if !kernel => in_call = Some(at + length as usize + 1),
            Step::Repeat { count, length } => {
                rounds.push((at, count - 1, at + length as usize + 1));
            }
            Step::End => {
                if in_call == Some(at) {
                    if (regions, raised) != (0, 0) {
                        return None;
                    }
                    (in_call, alerted) = (None, false);
                } else {
                    let (begin, left, end) = rounds.pop()?;
                    if end != at {
                        return None;
                    }
                    if left > 0 {
                        rounds.push((begin, left - 1, end));
                        at = begin;
                    }
                }
            }
            Step::EnterCritical | Step::EnterGuarded if kernel && !alerted => regions += 1,
            Step::LeaveCritical | Step::LeaveGuarded if kernel => regions -= 1,
            Step::RaiseApc if kernel && !alerted && raised == 0 => raised += 1,
            Step::Acquire { lock: FAST, .. } if kernel && !alerted => raised += 1,
            Step::Lower | Step::Release { lock: FAST } if kernel => raised -= 1,
            Step::Barrier if kernel && !alerted && raised == 0 => {}
            Step::WaitAs { mode, .. } if kernel && !alerted && raised == 0 => {
                alerted = mode.alertable();
            }
            Step::Queue {
                apc: COMPLETION, ..
            } if kernel && !alerted => {}
            Step::Irql { .. }
            | Step::Set { .. }
            | Step::Ran {
                apc: COMPLETION, ..
            } if kernel => {}
            Step::Acquire { lock: SECTION, .. } if !kernel => sections += 1,
            Step::Release { lock: SECTION } if !kernel => sections -= 1,
            Step::Sleep { .. }
            | Step::Start { .. }
            | Step::Suspend { .. }
            | Step::Resume { .. }
            | Step::Queue {
                apc: USER | SPECIAL_USER,
                ..
            }
            | Step::Ran {
                apc: USER | SPECIAL_USER,
                ..
            } if !kernel => {}
            _ => return None,
        }
        if regions < 0 || raised < 0 || sections < 0 {
            return None;
        }
        at += 1;
    }
    (sections == 0 && in_call.is_none()).then_some(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    /// What the verifier accepts keeps the rules of the border.
    #[test]
    fn accepted_callers_keep_the_border(steps in steps()) {
        let mut program = program(steps.clone());
        // The other lane comes to as many barriers.
        program.lanes.truncate(1);
        program.apcs.truncate(3);
        program.lanes[0].retain(|step| *step != queue(KERNEL));
        let bytes = program.encode();
        let Ok(parsed) = Program::parse(&bytes) else { return Ok(()) };
        if verify(&parsed, Machine::COMPLETE).is_ok() {
            prop_assert_eq!(executes(&program.lanes[0]), Some(()), "{:?}", program.lanes[0]);
        }
        prop_assert_eq!(ProgramBuf::decode(&bytes), Ok(program));
    }
}
