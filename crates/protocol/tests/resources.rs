//! What the verifier says of resources and push locks: regions, order, recursion, hand-over.

use apclab_protocol::build::ProgramBuf;
use apclab_protocol::program::{LockKind, Place, Program, flags};
use apclab_protocol::step::{Mode, Step};
use apclab_protocol::verify::{Machine, Reason, Refusal, verify};

use Step::{
    AcquiredShared, Convert, EnterCritical, EnterGuarded, HandOver, LeaveCritical, LeaveGuarded,
    Lower, RaiseApc, Reinitialize, ReleaseLeave,
};

const FAST: u8 = 0;
const R: u8 = 1;
const P: u8 = 2;
const S: u8 = 3;
const K: u8 = 4;

const LOCKS: [LockKind; 5] = [
    LockKind::FastMutex,
    LockKind::Resource,
    LockKind::PushLock,
    LockKind::Resource,
    LockKind::Mutex,
];

const fn exclusive(lock: u8) -> Step {
    acquire(lock, Mode::Exclusive)
}

const fn shared(lock: u8) -> Step {
    acquire(lock, Mode::Shared)
}

const fn acquire(lock: u8, mode: Mode) -> Step {
    Step::Acquire { lock, mode }
}

const fn release(lock: u8) -> Step {
    Step::Release { lock }
}

const fn attempt(lock: u8, length: u32) -> Step {
    Step::Try {
        lock,
        mode: Mode::Exclusive,
        to: 0,
        milliseconds: 0,
        length,
    }
}

const fn enter_acquire(lock: u8) -> Step {
    Step::EnterAcquire {
        lock,
        mode: Mode::Exclusive,
    }
}

fn judge(program: &ProgramBuf, ends_deadlocks: bool) -> Result<(), Refusal> {
    let bytes = program.encode();
    let program = Program::parse(&bytes).expect("the test's program is well formed");
    let machine = Machine {
        ends_deadlocks,
        ..Machine::COMPLETE
    };
    verify(&program, machine).map(drop)
}

fn lanes(lanes: &[&[Step]], raw: bool, flags: u8) -> ProgramBuf {
    ProgramBuf {
        locks: LOCKS.to_vec(),
        lanes: lanes.iter().map(|steps| steps.to_vec()).collect(),
        raw: vec![raw; lanes.len()],
        flags,
        ..ProgramBuf::default()
    }
}

fn one(steps: &[Step]) -> Result<(), (u32, Reason)> {
    of(&lanes(&[steps], false, 0))
}

fn raw(steps: &[Step]) -> Result<(), (u32, Reason)> {
    of(&lanes(&[steps], true, 0))
}

fn of(program: &ProgramBuf) -> Result<(), (u32, Reason)> {
    judge(program, false).map_err(|refusal| (refusal.step, refusal.reason))
}

#[test]
fn what_shares_wants_normal_apcs_disabled() {
    for lock in [R, P] {
        assert_eq!(
            one(&[exclusive(lock), release(lock)]),
            Err((0, Reason::NeedsRegion))
        );
        for (open, close) in [
            (EnterCritical, LeaveCritical),
            (EnterGuarded, LeaveGuarded),
            (RaiseApc, Lower),
            (exclusive(K), release(K)),
            (exclusive(FAST), release(FAST)),
        ] {
            let steps = [open, exclusive(lock), release(lock), close];
            assert_eq!(one(&steps), Ok(()), "{open:?}");
        }
    }
    let steps = [attempt(R, 1), release(R), Step::End];
    assert_eq!(one(&steps), Err((0, Reason::NeedsRegion)));
    // A raw lane may leave in any order, but not what its holds rest on.
    let steps = [EnterCritical, shared(R), LeaveCritical, release(R)];
    assert_eq!(raw(&steps), Err((2, Reason::NeedsRegion)));
    let overlap = [
        EnterCritical,
        shared(R),
        EnterGuarded,
        LeaveCritical,
        release(R),
        LeaveGuarded,
    ];
    assert_eq!(raw(&overlap), Ok(()));
    let lowered = [RaiseApc, shared(R), Lower, release(R)];
    assert_eq!(raw(&lowered), Err((2, Reason::NeedsRegion)));
    let owned = [exclusive(K), shared(R), release(K), release(R)];
    assert_eq!(raw(&owned), Err((2, Reason::NeedsRegion)));
}

#[test]
fn a_wait_that_only_the_lane_itself_could_end_is_refused() {
    let nested = |first, second| {
        one(&[
            EnterCritical,
            first,
            second,
            release(R),
            release(R),
            LeaveCritical,
        ])
    };
    let wait_for = acquire(R, Mode::SharedWaitForExclusive);
    let starve = acquire(R, Mode::SharedStarveExclusive);
    for second in [exclusive(R), shared(R), starve, wait_for] {
        assert_eq!(nested(exclusive(R), second), Ok(()), "{second:?}");
    }
    assert_eq!(nested(shared(R), shared(R)), Ok(()));
    assert_eq!(nested(shared(R), starve), Ok(()));
    let itself = Err((2, Reason::WaitsForItself));
    assert_eq!(nested(shared(R), exclusive(R)), itself);
    assert_eq!(nested(shared(R), wait_for), itself);
    // A convert makes a sharer of the owner.
    let converted = [
        EnterCritical,
        exclusive(R),
        Convert { lock: R },
        exclusive(R),
    ];
    assert_eq!(one(&converted), Err((3, Reason::WaitsForItself)));
    let push = [EnterCritical, shared(P), shared(P)];
    assert_eq!(one(&push), Err((2, Reason::HeldAlready)));
}

#[test]
fn one_order_holds_for_all_that_is_waited_for_without_a_time_out() {
    let nested = |outer, inner| {
        one(&[
            EnterCritical,
            exclusive(outer),
            exclusive(inner),
            release(inner),
            release(outer),
            LeaveCritical,
        ])
    };
    let order = Err((2, Reason::LockOrder));
    assert_eq!(nested(R, S), Ok(()));
    assert_eq!(nested(FAST, P), Ok(()));
    assert_eq!(nested(S, R), order);
    assert_eq!(nested(P, R), order);
    assert_eq!(nested(S, FAST), order);
    assert_eq!(nested(S, K), Ok(()), "a wait for a mutex has a deadline");
    // What it holds already it does not wait for.
    let again = [
        EnterCritical,
        exclusive(R),
        exclusive(S),
        exclusive(R),
        release(R),
        release(S),
        release(R),
        LeaveCritical,
    ];
    assert_eq!(one(&again), Ok(()));
    let tried = [
        EnterCritical,
        exclusive(S),
        attempt(R, 1),
        release(R),
        Step::End,
        release(S),
        LeaveCritical,
    ];
    assert_eq!(one(&tried), Ok(()));
    let combined = [exclusive(K), exclusive(S), enter_acquire(R)];
    assert_eq!(one(&combined), order);
}

#[test]
fn what_may_deadlock_runs_only_where_that_ends() {
    let inverted = [
        EnterCritical,
        exclusive(S),
        exclusive(R),
        release(R),
        release(S),
        LeaveCritical,
    ];
    let refused = Err((1, Reason::MayDeadlock));
    let may = lanes(&[&inverted], false, flags::MAY_DEADLOCK);
    assert_eq!(of(&may), refused);
    assert_eq!(judge(&may, true), Ok(()));
    let polled = flags::MAY_DEADLOCK | flags::POLLED;
    assert_eq!(of(&lanes(&[&inverted], false, polled)), Ok(()));
    // Polling alone waives nothing.
    assert_eq!(
        of(&lanes(&[&inverted], false, flags::POLLED)),
        Err((2, Reason::LockOrder))
    );
    let push = [EnterCritical, shared(P), release(P), LeaveCritical];
    assert_eq!(of(&lanes(&[&push], false, polled)), refused);
    // Nothing else is waived.
    let outside = lanes(&[&[shared(R), release(R)]], false, flags::MAY_DEADLOCK);
    let outside = judge(&outside, true).map_err(|refusal| refusal.reason);
    assert_eq!(outside, Err(Reason::NeedsRegion));
}

#[test]
fn without_its_routines_no_push_lock_is_acquired() {
    let push = [EnterCritical, shared(P), release(P), LeaveCritical];
    let bytes = lanes(&[&push], false, 0).encode();
    let program = Program::parse(&bytes).unwrap();
    let machine = Machine {
        push_locks: false,
        ..Machine::COMPLETE
    };
    let refused = verify(&program, machine).map_err(|refusal| (refusal.step, refusal.reason));
    assert_eq!(refused, Err((1, Reason::NoPushLocks)));
}

#[test]
fn the_combined_forms_pair_with_each_other() {
    assert_eq!(one(&[enter_acquire(R), ReleaseLeave { lock: R }]), Ok(()));
    let crossed = [enter_acquire(R), release(R), LeaveCritical];
    assert_eq!(one(&crossed), Err((1, Reason::NotInnermost)));
    assert_eq!(raw(&crossed), Ok(()));
    let apart = [EnterCritical, exclusive(R), ReleaseLeave { lock: R }];
    assert_eq!(one(&apart), Err((2, Reason::NotInnermost)));
    assert_eq!(raw(&apart), Ok(()));
    assert_eq!(
        raw(&[EnterGuarded, shared(R), ReleaseLeave { lock: R }]),
        Err((2, Reason::NothingToLeave)),
        "no critical region is open"
    );
    assert_eq!(one(&[enter_acquire(R)]), Err((1, Reason::LeftOpen)));
}

#[test]
fn a_convert_wants_an_exclusive_hold() {
    let with = |first| {
        one(&[
            EnterCritical,
            first,
            Convert { lock: R },
            release(R),
            LeaveCritical,
        ])
    };
    assert_eq!(with(exclusive(R)), Ok(()));
    assert_eq!(with(shared(R)), Err((2, Reason::NotExclusive)));
    // On one path only: what follows would not know how the lane holds it.
    let on_one_path = [
        EnterCritical,
        exclusive(R),
        attempt(S, 2),
        Convert { lock: R },
        release(S),
        Step::End,
    ];
    assert_eq!(one(&on_one_path), Err((5, Reason::UnbalancedBlock)));
}

#[test]
fn a_reinitialise_wants_a_resource_of_the_lanes_own() {
    let own = [Reinitialize { lock: R }];
    assert_eq!(one(&own), Ok(()));
    let held = [enter_acquire(R), Reinitialize { lock: R }];
    assert_eq!(one(&held), Err((1, Reason::InUse)));
    let other = [AcquiredShared { lock: R, to: 0 }];
    assert_eq!(
        of(&lanes(&[&own, &other], false, 0)),
        Err((0, Reason::InUse))
    );
}

#[test]
fn what_is_handed_over_is_tried_and_given_away_once() {
    let hand_over = HandOver { lock: R };
    let tried = [
        EnterCritical,
        attempt(R, 1),
        hand_over,
        Step::End,
        LeaveCritical,
    ];
    assert_eq!(one(&tried), Ok(()));
    let waited = [EnterCritical, exclusive(R), hand_over, LeaveCritical];
    assert_eq!(one(&waited), Err((1, Reason::HandedOver)));
    let may = lanes(&[&waited], false, flags::MAY_DEADLOCK);
    assert_eq!(judge(&may, true), Ok(()));
    let waits = [enter_acquire(R), ReleaseLeave { lock: R }];
    assert_eq!(
        judge(&lanes(&[&tried, &waits], false, 0), false),
        Err(Refusal {
            place: Place::Lane(1),
            step: 0,
            reason: Reason::HandedOver
        })
    );
    assert_eq!(
        one(&[EnterCritical, hand_over]),
        Err((1, Reason::NothingToLeave))
    );
    let twice = [&tried[..], &tried[..]].concat();
    assert_eq!(one(&twice), Err((7, Reason::HandedOverTwice)));
    let again = Step::Repeat {
        count: 2,
        length: 5,
    };
    let repeated = [&[again], &tried[..], &[Step::End]].concat();
    assert_eq!(one(&repeated), Err((3, Reason::HandedOverTwice)));
    // Every hold goes, so in a lane that is not raw there may be one only.
    let deep = [EnterCritical, attempt(R, 3), attempt(R, 1), hand_over];
    let deep = [&deep[..], &[Step::End, Step::End, LeaveCritical]].concat();
    assert_eq!(one(&deep), Err((3, Reason::NotInnermost)));
    // After it, nothing is held that could be released.
    let gone = [
        EnterCritical,
        attempt(R, 2),
        hand_over,
        release(R),
        Step::End,
    ];
    assert_eq!(one(&gone), Err((3, Reason::NothingToLeave)));
    let release_for = Step::ReleaseFor {
        lock: R,
        lane: 0,
        to: 0,
    };
    assert_eq!(one(&[release_for]), Err((0, Reason::NeedsRegion)));
    assert_eq!(one(&[EnterCritical, release_for, LeaveCritical]), Ok(()));
}

#[test]
fn steps_are_for_their_kind_of_lock() {
    let parses = |step: Step| {
        let program = lanes(&[&[step, Step::End]], false, 0);
        Program::parse(&program.encode()).map(drop).is_ok()
    };
    let with = |lock, mode| parses(acquire(lock, mode));
    for mode in Mode::ALL {
        assert!(with(R, mode));
        assert_eq!(
            with(P, mode),
            matches!(mode, Mode::Exclusive | Mode::Shared)
        );
        assert_eq!(with(K, mode), mode == Mode::Exclusive);
        let combined = parses(Step::EnterAcquire { lock: R, mode });
        assert_eq!(combined, mode != Mode::SharedStarveExclusive);
    }
    assert!(!parses(attempt(P, 0)), "no push lock can be tried");
    assert!(parses(attempt(R, 0)));
    for lock in [FAST, P, K] {
        assert!(!parses(Convert { lock }));
        assert!(!parses(ReleaseLeave { lock }));
        assert!(!parses(AcquiredShared { lock, to: 0 }));
    }
    let of_lane = |lane| {
        parses(Step::ReleaseFor {
            lock: R,
            lane,
            to: 0,
        })
    };
    assert!(of_lane(0) && !of_lane(1));
}
