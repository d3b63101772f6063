use apclab_protocol::message::Context;
use apclab_protocol::program::{Apc, ApcKind, LockKind};
use apclab_protocol::step::{Mode, Step};
use apclab_protocol::trace::{Kind, NO_APC, NO_STEP};

use super::*;

/// A record of lane 0 or 1 at PASSIVE_LEVEL, in the order of the list.
fn records(list: &[(u8, Kind, u32, u8, i64)]) -> Vec<Record> {
    let numbered = (0_u32..).zip(list);
    numbered
        .map(|(sequence, &(lane, kind, step, apc, value))| Record {
            time: u64::from(sequence) * 10,
            sequence,
            step,
            lane,
            kind,
            apc,
            context: Context::default(),
            value,
        })
        .collect()
}

fn program(lanes: Vec<Vec<Step>>) -> ProgramBuf {
    ProgramBuf {
        apcs: vec![Apc {
            kind: ApcKind::Normal,
            lane: 0,
        }],
        locks: vec![LockKind::FastMutex],
        lanes,
        ..ProgramBuf::default()
    }
}

const fn span(from: usize, to: usize) -> Span {
    Span { from, to: Some(to) }
}

#[test]
fn an_apc_that_runs_ahead_of_its_insertions_record_begins_at_the_step() {
    let program = program(vec![vec![Step::Queue { apc: 0, to: None }]]);
    let timeline = Timeline::of(
        &program,
        &records(&[
            (0, Kind::Begin, NO_STEP, NO_APC, 0),
            (0, Kind::Step, 0, NO_APC, 0),
            (0, Kind::KernelRoutine, NO_STEP, 0, 0),
            (0, Kind::NormalRoutine, NO_STEP, 0, 0),
            (0, Kind::Inserted, 0, 0, 1),
            (0, Kind::Done, 0, NO_APC, 1),
            (0, Kind::End, NO_STEP, NO_APC, 0),
        ]),
    );
    let flight = Flight {
        apc: 0,
        from_lane: 0,
        to_lane: 0,
        span: span(1, 2),
        normal: Some(3),
        slot: 0,
    };
    assert_eq!(timeline.flights, [flight]);
    let [step] = timeline.lanes[0].steps.as_slice() else {
        panic!("one step in {timeline:?}");
    };
    // The result of the insertion and the end of the step share a row.
    assert_eq!((step.span, step.value), (span(1, 4), None));
    assert_eq!(timeline.rows, [0, 10, 20, 30, 40, 60]);
}

#[test]
fn an_insertion_that_is_refused_is_told_and_flies_nowhere() {
    let program = program(vec![vec![Step::Queue { apc: 0, to: None }]]);
    let timeline = Timeline::of(
        &program,
        &records(&[
            (0, Kind::Step, 0, NO_APC, 0),
            (0, Kind::Inserted, 0, 0, 0),
            (0, Kind::Done, 0, NO_APC, 0),
        ]),
    );
    assert_eq!(timeline.flights, []);
    assert_eq!(timeline.lanes[0].steps[0].value, Some(0));
}

#[test]
fn a_lock_is_held_from_its_acquisition_on_and_waited_for_before() {
    let locked = vec![acquire(0, Mode::Exclusive), Step::Release { lock: 0 }];
    let timeline = Timeline::of(
        &program(vec![locked.clone(), locked]),
        &records(&[
            (0, Kind::Step, 0, NO_APC, 0),
            (0, Kind::Acquired, 0, NO_APC, 0),
            (1, Kind::Step, 0, NO_APC, 0),
            (0, Kind::Step, 1, NO_APC, 0),
            (0, Kind::Done, 0, NO_APC, 0),
            (1, Kind::Acquired, 0, NO_APC, 0),
            (1, Kind::Step, 1, NO_APC, 0),
            (1, Kind::Done, 0, NO_APC, 0),
        ]),
    );
    let [first, second] = timeline.lanes.as_slice() else {
        panic!("two lanes in {timeline:?}");
    };
    // The step and its acquisition share a row, as nothing came between.
    assert_eq!(first.scopes[0].span, span(0, 2));
    assert_eq!(
        (first.steps[0].waits, first.steps[0].span),
        (false, span(0, 0))
    );
    assert_eq!(second.scopes[0].span, span(4, 5));
    assert_eq!(
        (second.steps[0].waits, second.steps[0].span),
        (true, span(1, 4))
    );
}

const fn acquire(lock: u8, mode: Mode) -> Step {
    Step::Acquire { lock, mode }
}

fn with_resource(lanes: Vec<Vec<Step>>) -> ProgramBuf {
    ProgramBuf {
        locks: vec![LockKind::Resource],
        ..program(lanes)
    }
}

fn scopes(track: &Track) -> Vec<(ScopeKind, usize, Span)> {
    let scopes = track.scopes.iter();
    scopes
        .map(|scope| (scope.kind, scope.depth, scope.span))
        .collect()
}

#[test]
fn sharers_do_not_wait_for_each_other_but_behind_one_who_waits() {
    let shares = vec![acquire(0, Mode::Shared), Step::Release { lock: 0 }];
    let owns = vec![acquire(0, Mode::Exclusive), Step::Release { lock: 0 }];
    let program = with_resource(vec![shares.clone(), owns, shares]);
    let at_once = Timeline::of(
        &program,
        &records(&[
            (0, Kind::Step, 0, NO_APC, 0),
            (2, Kind::Step, 0, NO_APC, 0),
            (0, Kind::Acquired, 0, NO_APC, 0),
            (2, Kind::Acquired, 0, NO_APC, 0),
        ]),
    );
    assert!(
        at_once
            .lanes
            .iter()
            .all(|lane| lane.steps.iter().all(|step| !step.waits))
    );
    let queued = Timeline::of(
        &program,
        &records(&[
            (0, Kind::Step, 0, NO_APC, 0),
            (0, Kind::Acquired, 0, NO_APC, 0),
            (1, Kind::Step, 0, NO_APC, 0),
            (2, Kind::Step, 0, NO_APC, 0),
            (1, Kind::Begin, NO_STEP, NO_APC, 0),
            (2, Kind::Acquired, 0, NO_APC, 0),
        ]),
    );
    assert!(queued.lanes[2].steps[0].waits);
    // Lane 1 never gets it.
    let waiter = queued.lanes[1].steps[0];
    assert_eq!((waiter.waits, waiter.span.to), (true, None));
}

#[test]
fn a_hold_changes_when_it_is_converted_and_handed_over() {
    let steps = vec![
        Step::EnterAcquire {
            lock: 0,
            mode: Mode::Exclusive,
        },
        Step::Convert { lock: 0 },
        Step::HandOver { lock: 0 },
        Step::LeaveCritical,
    ];
    let release = Step::ReleaseFor {
        lock: 0,
        lane: 0,
        to: 0,
    };
    let timeline = Timeline::of(
        &with_resource(vec![steps, vec![release, release]]),
        &records(&[
            (0, Kind::Step, 0, NO_APC, 0),
            (1, Kind::Step, 0, NO_APC, 0),
            (1, Kind::Done, 0, NO_APC, 0),
            (0, Kind::Acquired, 0, NO_APC, 0),
            (0, Kind::Step, 1, NO_APC, 0),
            (0, Kind::Step, 2, NO_APC, 0),
            (1, Kind::Step, 1, NO_APC, 0),
            (1, Kind::Done, 1, NO_APC, 1),
            (0, Kind::Step, 3, NO_APC, 0),
        ]),
    );
    // The first release found nothing to release.
    assert_eq!(
        scopes(&timeline.lanes[0]),
        [
            (ScopeKind::Critical, 0, span(0, 6)),
            (ScopeKind::Resource(Access::Exclusive), 1, span(2, 3)),
            (ScopeKind::Resource(Access::Shared), 1, span(3, 4)),
            (ScopeKind::HandedOver, 1, span(4, 5)),
        ]
    );
    assert_eq!(timeline.lanes[1].steps[1].value, Some(1));
}

#[test]
fn scopes_in_any_order_lie_side_by_side() {
    let steps = vec![
        Step::EnterCritical,
        Step::EnterGuarded,
        Step::LeaveCritical,
        Step::EnterCritical,
        Step::LeaveGuarded,
        Step::LeaveCritical,
    ];
    let each = (0..6).map(|step| (0, Kind::Step, step, NO_APC, 0));
    let timeline = Timeline::of(&program(vec![steps]), &records(&each.collect::<Vec<_>>()));
    let drawn: Vec<_> = timeline.lanes[0]
        .scopes
        .iter()
        .map(|scope| (scope.kind, scope.depth, scope.span))
        .collect();
    assert_eq!(
        drawn,
        [
            (ScopeKind::Critical, 0, span(0, 2)),
            (ScopeKind::Guarded, 1, span(1, 4)),
            (ScopeKind::Critical, 0, span(3, 5)),
        ]
    );
}

#[test]
fn the_irql_is_what_the_lanes_own_records_say() {
    let steps = vec![Step::RaiseApc, Step::Irql { to: 0 }, Step::Lower];
    let mut list = records(&[
        (0, Kind::Step, 0, NO_APC, 0),
        (0, Kind::Step, 1, NO_APC, 0),
        (0, Kind::Done, 1, NO_APC, 1),
        (0, Kind::Step, 2, NO_APC, 0),
        (0, Kind::KernelRoutine, NO_STEP, 0, 0),
        (0, Kind::Done, 0, NO_APC, 0),
    ]);
    for record in &mut list[1..5] {
        record.context.irql = 1;
    }
    let timeline = Timeline::of(&program(vec![steps]), &list);
    let lane = &timeline.lanes[0];
    assert_eq!(lane.raised, [span(0, 2)]);
    assert_eq!(lane.steps[1].value, Some(1));
    // The lower ends with what ran in its course.
    assert_eq!(lane.steps[2].span, span(2, 3));
}

#[test]
fn what_does_not_end_has_no_end() {
    let timeline = Timeline::of(
        &program(vec![vec![Step::EnterCritical, Step::Wait { event: 0 }]]),
        &records(&[
            (0, Kind::Begin, NO_STEP, NO_APC, 0),
            (0, Kind::Step, 0, NO_APC, 0),
            (0, Kind::Done, 0, NO_APC, 0),
            (0, Kind::Step, 1, NO_APC, 0),
        ]),
    );
    let lane = &timeline.lanes[0];
    assert_eq!((lane.end, lane.steps[1].span.to), (None, None));
    assert!(lane.steps[1].waits);
    assert_eq!(lane.scopes[0].span.to, None);
}

#[test]
fn records_of_lanes_that_there_are_not_are_left_out() {
    let stray = records(&[(7, Kind::Begin, NO_STEP, NO_APC, 0)]);
    let timeline = Timeline::of(&program(vec![vec![]]), &stray);
    assert_eq!(timeline.rows, Vec::<u64>::new());
}
