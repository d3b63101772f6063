//! Bodies of APCs: what runs inside what.

use apclab_protocol::program::Place;

use super::*;

const BOTH: [Profile; 2] = [Profile::Documented, Profile::Nt52];

/// A program whose APCs have bodies; the registers that bodies write are observed first.
pub(super) fn with_bodies(bodies: &[Vec<Step>], test: ProgramBuf) -> ProgramBuf {
    let registers = |(apc, steps): (usize, &Vec<Step>)| {
        let written: BTreeSet<_> = steps.iter().copied().filter_map(data::written).collect();
        let apc = u8::try_from(apc).expect("there are few APCs");
        let observe = move |register| Observed::ApcRegister { apc, register };
        written.into_iter().map(observe)
    };
    let observed = bodies.iter().enumerate().flat_map(registers);
    ProgramBuf {
        observed: observed.chain(test.observed.iter().copied()).collect(),
        bodies: bodies.to_vec(),
        ..test
    }
}

fn outcomes(program: &ProgramBuf, profile: Profile) -> Vec<Vec<i64>> {
    let found = all_paths(program, profile, &[]);
    assert_eq!((found.deadlocks, found.bug_checks), (0, vec![]));
    found.outcomes.into_keys().collect()
}

fn queue(apc: u8) -> Step {
    Step::Queue { apc, to: None }
}

fn ran(apc: u8, to: u8) -> Step {
    Step::Ran { apc, to }
}

fn store(variable: u8, constant: i64) -> Step {
    Step::Store {
        variable,
        from: None,
        constant,
    }
}

#[test]
fn a_special_routine_is_at_apc_level_and_a_normal_one_at_passive_level() {
    let look = vec![
        Step::Irql { to: 0 },
        Step::AllApcsDisabled { to: 1 },
        Step::ApcsDisabled { to: 2 },
    ];
    for profile in BOTH {
        for (kind, level) in [(Kind::Special, 1), (Kind::Normal, 0)] {
            let test = program(&[(kind, 0)], &[], 0, &[vec![queue(0)]]);
            let test = with_bodies(std::slice::from_ref(&look), test);
            assert_eq!(outcomes(&test, profile), [[level, level, 0]]);
        }
    }
}

#[test]
fn an_apc_counts_as_run_when_its_routine_begins() {
    for (profile, kind) in BOTH.into_iter().zip([Kind::Special, Kind::Normal]) {
        let test = program(&[(kind, 0)], &[], 0, &[vec![queue(0)]]);
        let test = with_bodies(&[vec![ran(0, 0)]], test);
        assert_eq!(outcomes(&test, profile), [[1]]);
    }
}

#[test]
fn a_special_queued_in_a_normal_routine_runs_inside_it_and_a_normal_one_after_it() {
    for profile in BOTH {
        let body = |inner| {
            vec![
                queue(1),
                ran(1, 0),
                Step::Load { variable: 0, to: 1 },
                store(0, inner),
            ]
        };
        for (kind, inside) in [(Kind::Special, 1), (Kind::Normal, 0)] {
            let lane = vec![queue(0), Step::Load { variable: 0, to: 0 }];
            let test = program(&[(Kind::Normal, 0), (kind, 0)], &[], 1, &[lane]);
            let test = with_bodies(&[body(5), vec![store(0, 7)]], test);
            // The one that runs last has the last word on the variable.
            let last = if inside == 1 { 5 } else { 7 };
            assert_eq!(outcomes(&test, profile), [[inside, 7 * inside, last, last]]);
        }
    }
}

#[test]
fn nothing_runs_inside_a_special_routine() {
    for profile in BOTH {
        for kind in [Kind::Special, Kind::Normal] {
            let lane = vec![queue(0), ran(1, 0)];
            let test = program(&[(Kind::Special, 0), (kind, 0)], &[], 0, &[lane]);
            let test = with_bodies(&[vec![queue(1), ran(1, 0)]], test);
            assert_eq!(outcomes(&test, profile), [[0, 1]]);
        }
    }
}

#[test]
fn a_region_in_a_body_defers_to_its_leave() {
    let body = vec![
        Step::EnterGuarded,
        queue(1),
        ran(1, 0),
        Step::LeaveGuarded,
        ran(1, 1),
    ];
    let test = program(
        &[(Kind::Normal, 0), (Kind::Special, 0)],
        &[],
        0,
        &[vec![queue(0)]],
    );
    for profile in BOTH {
        assert_eq!(
            outcomes(
                &with_bodies(std::slice::from_ref(&body), test.clone()),
                profile
            ),
            [[0, 1]]
        );
    }
}

#[test]
fn the_steps_of_a_body_interleave_with_other_lanes() {
    let body = vec![
        Step::Load { variable: 0, to: 0 },
        Step::Load { variable: 0, to: 1 },
    ];
    let lanes = [vec![queue(0)], vec![store(0, 1)]];
    let test = program(&[(Kind::Special, 0)], &[], 1, &lanes);
    for profile in BOTH {
        let test = with_bodies(std::slice::from_ref(&body), test.clone());
        assert_eq!(outcomes(&test, profile), [[0, 0, 1], [0, 1, 1], [1, 1, 1]]);
    }
}

#[test]
fn a_waiter_misses_a_set_that_is_taken_back_while_a_body_runs_in_its_wait() {
    // Lane 1 sets and resets the event when it has seen the body's only step.
    let lanes = [
        vec![Step::Wait { event: 0 }],
        vec![
            queue(0),
            Step::Load { variable: 0, to: 0 },
            Step::Set { event: 0 },
            Step::Reset { event: 0 },
            Step::Load { variable: 1, to: 1 },
        ],
    ];
    let test = program(&[(Kind::Special, 0)], &[Signal::Notification], 2, &lanes);
    let test = with_bodies(&[vec![store(0, 1)]], test);
    let bytes = test.encode();
    let parsed = Program::parse(&bytes).unwrap();
    let mut state = State::initial(&parsed, Profile::Documented, &[]);
    let step = |lane| Event::Step { lane, choice: 0 };
    for event in [step(0), step(1), Event::Deliver { lane: 0 }, step(0)] {
        state = apply(&state, &parsed, event).unwrap();
    }
    assert_eq!(state.position(0), (Place::Body(0), 1));
    for event in [step(1), step(1), step(1)] {
        state = apply(&state, &parsed, event).unwrap();
    }
    assert_eq!(state.register(Place::Lane(1), 0), 1);
    assert_eq!(
        enabled(&state, &parsed),
        [Event::Return { lane: 0 }, step(1)]
    );
    state = apply(&state, &parsed, Event::Return { lane: 0 }).unwrap();
    assert_eq!(state.position(0), (Place::Lane(0), 0));
    assert_eq!(enabled(&state, &parsed), [step(1)], "it waits on");
}

#[test]
fn a_body_may_set_the_event_that_its_lane_waits_on() {
    let lanes = [vec![Step::Wait { event: 0 }, ran(0, 0)], vec![queue(0)]];
    let test = program(&[(Kind::Normal, 0)], &[Signal::Synchronization], 0, &lanes);
    let test = with_bodies(&[vec![Step::Set { event: 0 }]], test);
    for profile in BOTH {
        assert_eq!(outcomes(&test, profile), [[1]]);
    }
}

#[test]
fn the_registers_of_a_body_stay_from_one_run_to_the_next() {
    let body = vec![
        Step::Store {
            variable: 0,
            from: Some(0),
            constant: 1,
        },
        Step::Load { variable: 0, to: 0 },
    ];
    let lane = vec![
        Step::Repeat {
            count: 3,
            length: 1,
        },
        queue(0),
        Step::End,
    ];
    let test = program(&[(Kind::Normal, 0)], &[], 1, &[lane]);
    assert_eq!(
        outcomes(&with_bodies(&[body], test), Profile::Documented),
        [[3, 3]]
    );
}

#[test]
fn an_apc_in_a_holder_of_a_kmutex_runs_under_it() {
    // The special body writes between the two stores of the owner, which nobody else can do.
    let lane = vec![
        Step::Acquire {
            lock: 0,
            mode: Mode::Exclusive,
        },
        queue(0),
        Step::Load { variable: 0, to: 0 },
        Step::Release { lock: 0 },
    ];
    let test = program(&[(Kind::Special, 0)], &[], 1, &[lane]);
    let test = with_bodies(&[vec![Step::ApcsDisabled { to: 0 }, store(0, 4)]], test);
    let test = ProgramBuf {
        locks: vec![LockKind::Mutex],
        ..test
    };
    assert_eq!(outcomes(&test, Profile::Nt52), [[1, 4, 4]]);
}
