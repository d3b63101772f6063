//! Executive resources (docs/semantics.md, section 3) as small programs.

use super::*;
use Mode::{Exclusive, Shared, SharedStarveExclusive, SharedWaitForExclusive};

const BOTH: [Profile; 2] = [Profile::Documented, Profile::Nt52];

/// With one resource, and as many notification events as a test has need of.
fn test(variables: usize, lanes: &[Vec<Step>]) -> ProgramBuf {
    with_apcs(&[], variables, lanes)
}

fn with_apcs(apcs: &[(Kind, u8)], variables: usize, lanes: &[Vec<Step>]) -> ProgramBuf {
    ProgramBuf {
        locks: vec![LockKind::Resource],
        ..program(apcs, &[Signal::Notification; 3], variables, lanes)
    }
}

fn outcomes(program: &ProgramBuf, profile: Profile) -> Vec<Vec<i64>> {
    let found = all_paths(program, profile, &[]);
    assert_eq!((found.deadlocks, found.bug_checks), (0, vec![]));
    found.outcomes.into_keys().collect()
}

/// Whether it may end, and whether it may deadlock.
fn ends_or_deadlocks(program: &ProgramBuf, profile: Profile) -> (bool, bool) {
    let found = all_paths(program, profile, &[]);
    assert_eq!(found.bug_checks, vec![]);
    (!found.outcomes.is_empty(), found.deadlocks > 0)
}

fn enter(mode: Mode) -> Step {
    Step::EnterAcquire { lock: 0, mode }
}

const LEAVE: Step = Step::ReleaseLeave { lock: 0 };

fn acquire(mode: Mode) -> Step {
    Step::Acquire { lock: 0, mode }
}

const RELEASE: Step = Step::Release { lock: 0 };

fn attempt(mode: Mode, to: u8, length: u32) -> Step {
    Step::Try {
        lock: 0,
        mode,
        to,
        milliseconds: 0,
        length,
    }
}

/// Tries, and releases at once.
fn look(mode: Mode, to: u8) -> [Step; 3] {
    [attempt(mode, to, 1), RELEASE, Step::End]
}

fn exclusively(to: u8) -> Step {
    Step::AcquiredExclusive { lock: 0, to }
}

fn count(to: u8) -> Step {
    Step::AcquiredShared { lock: 0, to }
}

fn exclusive_waiters(to: u8) -> Step {
    Step::ExclusiveWaiters { lock: 0, to }
}

fn shared_waiters(to: u8) -> Step {
    Step::SharedWaiters { lock: 0, to }
}

fn release_for(lane: u8, to: u8) -> Step {
    Step::ReleaseFor { lock: 0, lane, to }
}

fn queue(apc: u8) -> Step {
    Step::Queue { apc, to: None }
}

fn store(constant: i64) -> Step {
    Step::Store {
        variable: 0,
        from: None,
        constant,
    }
}

fn load(to: u8) -> Step {
    Step::Load { variable: 0, to }
}

fn wait(event: u8) -> Step {
    Step::Wait { event }
}

fn set(event: u8) -> Step {
    Step::Set { event }
}

/// The steps in a critical region.
fn region(steps: &[Step]) -> Vec<Step> {
    [&[Step::EnterCritical], steps, &[Step::LeaveCritical]].concat()
}

/// Waits for event 0, then has the resource around the steps.
fn then(mode: Mode, steps: &[Step]) -> Vec<Step> {
    [&[wait(0), enter(mode)], steps, &[LEAVE]].concat()
}

#[test]
fn no_update_is_lost_under_an_exclusive_resource_and_one_is_under_a_shared_one() {
    let bump = [
        load(0),
        Step::Store {
            variable: 0,
            from: Some(0),
            constant: 1,
        },
    ];
    let combined = |mode| [&[enter(mode)], &bump[..], &[LEAVE]].concat();
    let single = |mode| region(&[&[acquire(mode)], &bump[..], &[RELEASE]].concat());
    for profile in BOTH {
        let safe = test(1, &[combined(Exclusive), single(Exclusive)]);
        assert_eq!(outcomes(&safe, profile), [[0, 1, 2], [1, 0, 2]]);
        let lost = test(1, &[combined(Shared), single(Shared)]);
        let seen = outcomes(&lost, profile);
        assert_eq!(seen, [[0, 0, 1], [0, 1, 2], [1, 0, 2]]);
        let mixed = test(1, &[combined(SharedWaitForExclusive), single(Exclusive)]);
        assert_eq!(outcomes(&mixed, profile), [[0, 1, 2], [1, 0, 2]]);
    }
}

#[test]
fn two_lanes_meet_inside_when_both_share() {
    let meet = |mode| vec![enter(mode), Step::Barrier, LEAVE];
    for profile in BOTH {
        for (modes, ends) in [
            ([Shared, SharedWaitForExclusive], true),
            ([Shared, Exclusive], false),
            ([Exclusive, Exclusive], false),
        ] {
            let test = test(0, &modes.map(meet));
            assert_eq!(ends_or_deadlocks(&test, profile), (ends, !ends));
        }
    }
}

#[test]
fn an_exclusive_owner_owns_once_more_in_every_mode_and_converts_with_its_count() {
    let mut steps = Mode::ALL.map(acquire).to_vec();
    steps.extend([exclusively(0), count(1)]);
    steps.push(Step::Convert { lock: 0 });
    steps.extend([exclusively(2), count(3), RELEASE, RELEASE, count(4)]);
    steps.extend([RELEASE, RELEASE, count(5), exclusively(6)]);
    for profile in BOTH {
        let test = test(0, &[region(&steps)]);
        assert_eq!(outcomes(&test, profile), [[1, 4, 0, 4, 2, 0, 0]]);
    }
}

#[test]
fn a_sharer_s_try_for_exclusive_fails_and_its_wait_is_for_itself() {
    for profile in BOTH {
        for mode in [Shared, SharedStarveExclusive, SharedWaitForExclusive] {
            let tries = [
                &[acquire(mode)],
                &look(Exclusive, 0)[..],
                &[count(1), RELEASE],
            ];
            let tries = test(0, &[region(&tries.concat())]);
            assert_eq!(outcomes(&tries, profile), [[0, 1]]);
            let waits = [acquire(mode), acquire(Exclusive), RELEASE, RELEASE];
            let waits = test(0, &[region(&waits)]);
            assert_eq!(ends_or_deadlocks(&waits, profile), (false, true));
        }
    }
}

/// Lane 0 shares until lane 2, which looks for a waiter and then tries to share, has tried.
fn newcomer(mode: Mode) -> ProgramBuf {
    let sharer = vec![enter(Shared), set(0), wait(1), LEAVE];
    let mut looks = vec![Step::EnterCritical, wait(0), exclusive_waiters(0)];
    looks.extend(look(mode, 1));
    looks.extend([Step::LeaveCritical, set(1)]);
    test(0, &[sharer, then(Exclusive, &[]), looks])
}

#[test]
fn a_new_sharer_queues_behind_those_that_wait_for_exclusive_unless_it_starves_them() {
    for profile in BOTH {
        for mode in [Shared, SharedWaitForExclusive] {
            let seen = outcomes(&newcomer(mode), profile);
            assert_eq!(seen, [[0, 0], [0, 1], [1, 0]]);
        }
        let seen = outcomes(&newcomer(SharedStarveExclusive), profile);
        assert_eq!(seen, [[0, 1], [1, 1]]);
    }
}

#[test]
fn who_shares_already_passes_them_unless_it_asks_to_wait_for_them() {
    for profile in BOTH {
        for (mode, expected) in [
            (Shared, &[[0, 1], [1, 1]][..]),
            (SharedStarveExclusive, &[[0, 1], [1, 1]]),
            (SharedWaitForExclusive, &[[0, 0], [0, 1], [1, 0]]),
        ] {
            let looks = [&[set(0), exclusive_waiters(0)], &look(mode, 1)[..]].concat();
            let sharer = [&[enter(Shared)], &looks[..], &[LEAVE]].concat();
            let test = test(0, &[sharer, then(Exclusive, &[])]);
            assert_eq!(outcomes(&test, profile), expected);
        }
    }
}

#[test]
fn a_sharer_that_waits_for_exclusive_waiters_waits_for_itself() {
    let sharer = vec![
        enter(Shared),
        acquire(SharedWaitForExclusive),
        RELEASE,
        LEAVE,
    ];
    for profile in BOTH {
        let alone = test(0, std::slice::from_ref(&sharer));
        assert_eq!(ends_or_deadlocks(&alone, profile), (true, false));
        let other = vec![enter(Exclusive), LEAVE];
        let test = test(0, &[sharer.clone(), other]);
        assert_eq!(ends_or_deadlocks(&test, profile), (true, true));
    }
}

/// Lane 0 holds the resource until, in the outcomes that begin with 1, 1, lane 1 waits for
/// exclusive and lane 2 to share; lane 2 sees 1 when lane 1 has been there before.
fn waiters(mode: Mode) -> ProgramBuf {
    let looks = [set(0), exclusive_waiters(0), shared_waiters(1)];
    let holder = [&[enter(mode)], &looks[..], &[LEAVE]].concat();
    let lanes = [
        holder,
        then(Exclusive, &[store(1)]),
        then(Shared, &[load(0)]),
    ];
    test(1, &lanes)
}

#[test]
fn any_waiter_may_come_first_by_the_documents_and_the_other_kind_does_in_nt52() {
    for (mode, in_nt52) in [(Exclusive, 0), (Shared, 1)] {
        for profile in BOTH {
            let seen = outcomes(&waiters(mode), profile);
            let both_waited = seen.into_iter().filter(|seen| seen[..2] == [1, 1]);
            let first: Vec<_> = both_waited.map(|seen| seen[2]).collect();
            match profile {
                Profile::Documented => assert_eq!(first, [0, 1]),
                Profile::Nt52 => assert_eq!(first, [in_nt52]),
            }
        }
    }
}

/// Lane 1 waits for exclusive before lane 2 does, in the outcomes that begin with 1, 2; lane 2 sees
/// 1 when lane 1 has come first. In between lane 0 may queue an APC to lane 1.
fn in_turn(apc: bool) -> ProgramBuf {
    let mut holder = vec![enter(Exclusive), set(0), exclusive_waiters(0), set(1)];
    holder.push(exclusive_waiters(1));
    if apc {
        holder.extend([queue(0), Step::Ran { apc: 0, to: 2 }]);
    }
    holder.push(LEAVE);
    let second = vec![wait(1), enter(Exclusive), load(0), LEAVE];
    let lanes = [holder, then(Exclusive, &[store(1)]), second];
    with_apcs(&[(Kind::Special, 1)], 1, &lanes)
}

#[test]
fn exclusive_waiters_come_in_turn_in_nt52_until_an_apc_queues_one_anew() {
    let first = |apc, profile| {
        let seen = outcomes(&in_turn(apc), profile);
        let both: Vec<_> = if apc {
            let both = seen.into_iter().filter(|seen| seen[..3] == [1, 2, 1]);
            both.map(|seen| seen[3]).collect()
        } else {
            let both = seen.into_iter().filter(|seen| seen[..2] == [1, 2]);
            both.map(|seen| seen[2]).collect()
        };
        both
    };
    for apc in [false, true] {
        assert_eq!(first(apc, Profile::Documented), [0, 1]);
    }
    assert_eq!(first(false, Profile::Nt52), [1]);
    // The APC took lane 1 out of its place.
    assert_eq!(first(true, Profile::Nt52), [0]);
}

#[test]
fn a_passer_by_may_come_while_an_apc_without_a_body_interrupts_the_waiter() {
    let holder = vec![
        enter(Exclusive),
        set(0),
        exclusive_waiters(0),
        queue(0),
        LEAVE,
    ];
    let mut passer_by = vec![Step::EnterCritical, wait(0), attempt(Exclusive, 0, 2)];
    passer_by.extend([load(1), RELEASE, Step::End, Step::LeaveCritical]);
    let lanes = [holder, then(Exclusive, &[store(1)]), passer_by];
    let test = with_apcs(&[(Kind::Special, 1)], 1, &lanes);
    for profile in BOTH {
        // Lane 1 waited, and lane 2 got the resource before it.
        assert!(outcomes(&test, profile).contains(&vec![1, 1, 0, 1]));
    }
}

#[test]
fn nt52_gives_no_lock_to_a_waiter_while_an_apc_interrupts_it() {
    let holder = vec![enter(Exclusive), set(0), queue(0), LEAVE];
    let lanes = [holder, then(Exclusive, &[])];
    let test = with_apcs(&[(Kind::Special, 1)], 0, &lanes);
    let test = bodies::with_bodies(&[vec![exclusive_waiters(0), exclusively(1)]], test);
    // Before the wait, with the resource, inside the wait; and last, given in the midst of the body.
    let expected = [[0, 0], [0, 1], [1, 0], [1, 1]];
    assert_eq!(outcomes(&test, Profile::Nt52), expected[..3]);
    assert_eq!(outcomes(&test, Profile::Documented), expected);
}

#[test]
fn a_conversion_lets_waiting_sharers_in_and_no_exclusive_one() {
    let convert = Step::Convert { lock: 0 };
    let holder = vec![
        enter(Exclusive),
        set(0),
        shared_waiters(0),
        convert,
        wait(1),
        LEAVE,
    ];
    for profile in BOTH {
        // Lane 0 goes on only when lane 1 has come in.
        let sharer = then(Shared, &[set(1)]);
        let lets_in = test(0, &[holder.clone(), sharer]);
        assert_eq!(outcomes(&lets_in, profile), [[0], [1]]);
        let exclusive = test(0, &[holder.clone(), then(Exclusive, &[set(1)])]);
        assert_eq!(ends_or_deadlocks(&exclusive, profile), (false, true));
    }
}

#[test]
fn a_converted_resource_holds_up_new_sharers_behind_exclusive_waiters() {
    let convert = Step::Convert { lock: 0 };
    let holder = vec![enter(Exclusive), convert, set(0), wait(1), LEAVE];
    let mut looks = vec![Step::EnterCritical, wait(0), exclusive_waiters(0)];
    looks.extend(look(Shared, 1));
    looks.extend([Step::LeaveCritical, set(1)]);
    let test = test(0, &[holder, then(Exclusive, &[]), looks]);
    for profile in BOTH {
        assert_eq!(outcomes(&test, profile), [[0, 0], [0, 1], [1, 0]]);
    }
}

#[test]
fn what_is_handed_over_belongs_to_no_lane_and_any_lane_releases_it_once() {
    let mut gives = vec![Step::EnterCritical, attempt(Exclusive, 0, 1)];
    gives.extend([
        Step::HandOver { lock: 0 },
        Step::End,
        count(1),
        exclusively(2),
    ]);
    gives.extend(look(Shared, 3));
    gives.push(Step::LeaveCritical);
    let takes = region(&[release_for(0, 0), release_for(0, 1), release_for(1, 2)]);
    let test = test(0, &[gives, takes]);
    for profile in BOTH {
        let expected = [
            [1, 0, 0, 0, 0, 0, 0],
            [1, 0, 0, 0, 0, 1, 0],
            [1, 0, 0, 0, 1, 0, 0],
            [1, 0, 0, 1, 0, 1, 0],
            [1, 0, 0, 1, 1, 0, 0],
        ];
        assert_eq!(outcomes(&test, profile), expected);
    }
}

#[test]
fn a_hand_over_moves_the_whole_count_and_each_lane_has_its_own() {
    let gives = region(&[acquire(Shared), acquire(Shared), Step::HandOver { lock: 0 }]);
    let also = region(&[acquire(Shared), Step::HandOver { lock: 0 }]);
    let mut takes = vec![Step::EnterCritical, Step::Barrier];
    takes.extend([0, 1, 2].map(|to| release_for(0, to)));
    takes.extend(look(Exclusive, 3));
    takes.push(release_for(1, 4));
    takes.extend(look(Exclusive, 5));
    takes.push(Step::LeaveCritical);
    let mut lanes = [gives, also, takes];
    for lane in &mut lanes[..2] {
        lane.push(Step::Barrier);
    }
    let test = ProgramBuf {
        raw: vec![true; 3],
        ..test(0, &lanes)
    };
    for profile in BOTH {
        assert_eq!(outcomes(&test, profile), [[1, 1, 0, 0, 1, 1]]);
    }
}

#[test]
fn a_wait_for_what_is_handed_over_ends_when_a_lane_releases_it() {
    let gives = |last: &[Step]| {
        let mut steps = vec![
            acquire(Exclusive),
            Step::HandOver { lock: 0 },
            Step::Barrier,
        ];
        steps.extend(last);
        region(&steps)
    };
    let waits = region(&[Step::Barrier, acquire(Exclusive), count(0), RELEASE]);
    for profile in BOTH {
        let ends = test(0, &[gives(&[release_for(0, 0)]), waits.clone()]);
        assert_eq!(outcomes(&ends, profile), [[1, 1]]);
        let nobody = test(0, &[gives(&[]), waits.clone()]);
        assert_eq!(ends_or_deadlocks(&nobody, profile), (false, true));
    }
}

#[test]
fn a_special_apc_runs_in_a_holder_and_a_normal_one_when_it_has_released_and_left() {
    let lane = vec![
        enter(Exclusive),
        queue(0),
        Step::Ran { apc: 0, to: 0 },
        LEAVE,
        Step::Ran { apc: 0, to: 1 },
    ];
    let body = vec![exclusively(0), count(1)];
    for profile in BOTH {
        // In a normal one's routine the resource is released: release first, then leave.
        for (kind, seen) in [(Kind::Special, [1, 1, 1, 1]), (Kind::Normal, [0, 0, 0, 1])] {
            let test = with_apcs(&[(kind, 0)], 0, std::slice::from_ref(&lane));
            let test = bodies::with_bodies(std::slice::from_ref(&body), test);
            assert_eq!(outcomes(&test, profile), [seen]);
        }
    }
}

#[test]
fn inside_a_wait_run_the_apcs_that_what_the_waiter_is_in_allows() {
    // Lane 0 releases when the APC has run in lane 1, which is waiting or about to.
    let holder = vec![enter(Exclusive), set(0), queue(0), wait(1), LEAVE];
    let critical = [Step::EnterCritical, Step::LeaveCritical];
    let guarded = [Step::EnterGuarded, Step::LeaveGuarded];
    let raised = [Step::RaiseApc, Step::Lower];
    for profile in BOTH {
        for (kind, around, runs) in [
            (Kind::Special, critical, true),
            (Kind::Normal, critical, false),
            (Kind::Special, guarded, false),
            (Kind::Special, raised, false),
        ] {
            let [open, close] = around;
            let waiter = vec![open, Step::Barrier, acquire(Shared), RELEASE, close];
            let mut holder = holder.clone();
            holder.insert(1, Step::Barrier);
            let test = with_apcs(&[(kind, 1)], 0, &[holder, waiter]);
            let test = bodies::with_bodies(&[vec![set(1)]], test);
            let expected = (runs, !runs);
            assert_eq!(ends_or_deadlocks(&test, profile), expected, "{kind:?}");
        }
    }
}

#[test]
fn only_a_free_resource_is_reinitialised() {
    let again = Step::Reinitialize { lock: 0 };
    for profile in BOTH {
        let lane = [&[again], &[enter(Shared), LEAVE][..], &[again]].concat();
        assert_eq!(outcomes(&test(0, &[lane]), profile), [[0_i64; 0]]);
        let found = all_paths(&test(0, &[vec![enter(Shared), again]]), profile, &[]);
        assert_eq!(found.bug_checks[0].parameters, [0xD0, 0, 0, 0]);
    }
}

#[test]
fn misuse_is_a_bug_check_with_its_path() {
    let hand_over = Step::HandOver { lock: 0 };
    let convert = Step::Convert { lock: 0 };
    for (steps, code, first) in [
        (vec![Step::EnterCritical, RELEASE], 0xE3, 0),
        (vec![Step::EnterCritical, hand_over], 0xE3, 0),
        (vec![enter(Shared), convert], 0xE3, 0),
        (vec![enter(Shared), hand_over, LEAVE], 0xE3, 0),
        (vec![acquire(Shared)], 0xC4, 0x37),
        (
            vec![enter(Shared), Step::LeaveCritical, RELEASE],
            0xC4,
            0x38,
        ),
    ] {
        let length = steps.len();
        let found = all_paths(&test(0, &[steps]), Profile::Documented, &[]);
        assert_eq!(found.bug_checks[0].code, code);
        assert_eq!(found.bug_checks[0].parameters[0], first);
        assert_eq!(found.bug_check_witnesses[0].len(), length);
    }
}
