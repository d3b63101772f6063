//! Push locks as small programs.

use super::*;
use Mode::{Exclusive, Shared};

const BOTH: [Profile; 2] = [Profile::Documented, Profile::Nt52];

fn test(variables: usize, lanes: &[Vec<Step>]) -> ProgramBuf {
    ProgramBuf {
        locks: vec![LockKind::PushLock],
        ..program(&[], &[Signal::Notification; 2], variables, lanes)
    }
}

fn held(mode: Mode, steps: &[Step]) -> Vec<Step> {
    let acquire = Step::Acquire { lock: 0, mode };
    let release = Step::Release { lock: 0 };
    let first = [Step::EnterCritical, acquire];
    [&first, steps, &[release, Step::LeaveCritical]].concat()
}

fn ends_or_deadlocks(program: &ProgramBuf, profile: Profile) -> (bool, bool) {
    let found = all_paths(program, profile, &[]);
    assert_eq!(found.bug_checks, vec![]);
    (!found.outcomes.is_empty(), found.deadlocks > 0)
}

#[test]
fn who_is_exclusive_is_alone_and_sharers_are_not() {
    let bump = [
        Step::Load { variable: 0, to: 0 },
        Step::Store {
            variable: 0,
            from: Some(0),
            constant: 1,
        },
    ];
    for profile in BOTH {
        for (modes, lost) in [
            ([Exclusive, Exclusive], false),
            ([Exclusive, Shared], false),
            ([Shared, Shared], true),
        ] {
            let found = all_paths(&test(1, &modes.map(|mode| held(mode, &bump))), profile, &[]);
            assert_eq!(found.deadlocks, 0);
            assert_eq!(found.outcomes.contains_key(&vec![0, 0, 1]), lost);
            assert!(found.outcomes.contains_key(&vec![1, 0, 2]));
        }
    }
}

#[test]
fn acquiring_it_again_is_a_deadlock_and_sharing_it_again_may_be_one() {
    for profile in BOTH {
        for (first, again) in [(Exclusive, Shared), (Shared, Exclusive), (Shared, Shared)] {
            let inside = held(again, &[]);
            let test = test(0, &[held(first, &inside)]);
            let ends = profile == Profile::Documented && [first, again] == [Shared; 2];
            assert_eq!(ends_or_deadlocks(&test, profile), (ends, true));
        }
    }
}

#[test]
fn a_new_sharer_may_have_to_queue_behind_an_exclusive_waiter() {
    // Lane 0 shares until lane 2 has shared.
    let sharer = held(Shared, &[Step::Set { event: 0 }, Step::Wait { event: 1 }]);
    let then = |lane: Vec<Step>| [vec![Step::Wait { event: 0 }], lane].concat();
    let exclusive = then(held(Exclusive, &[]));
    let newcomer = then(held(Shared, &[Step::Set { event: 1 }]));
    let test = test(0, &[sharer, exclusive, newcomer]);
    for profile in BOTH {
        assert_eq!(ends_or_deadlocks(&test, profile), (true, true));
    }
    let bytes = test.encode();
    let parsed = Program::parse(&bytes).unwrap();
    for (profile, ways) in BOTH.into_iter().zip([2, 1]) {
        let mut state = State::initial(&parsed, profile, &[]);
        // Lane 1 waits for exclusive, lane 2 is about to share.
        for lane in [0, 0, 0, 1, 1, 1, 2, 2] {
            state = apply(&state, &parsed, Event::Step { lane, choice: 0 }).unwrap();
        }
        let of_lane_2 = |event: &Event| event.lane() == Some(2);
        let events: Vec<_> = enabled(&state, &parsed)
            .into_iter()
            .filter(of_lane_2)
            .collect();
        assert_eq!(events.len(), ways);
        let queues = *events.last().unwrap();
        let state = apply(&state, &parsed, queues).unwrap();
        assert!(!state.kernel().lock_available(thread(2)));
    }
}

#[test]
fn misuse_is_a_bug_check() {
    let release = Step::Release { lock: 0 };
    let acquire = Step::Acquire {
        lock: 0,
        mode: Exclusive,
    };
    for (steps, code) in [
        (vec![Step::EnterCritical, release], 0x162),
        (vec![acquire], 0xC4),
        (
            vec![Step::EnterCritical, acquire, Step::LeaveCritical, release],
            0xC4,
        ),
    ] {
        let found = all_paths(&test(0, &[steps]), Profile::Documented, &[]);
        assert_eq!(found.bug_checks[0].code, code);
    }
}
