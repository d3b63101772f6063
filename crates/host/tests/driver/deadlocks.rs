//! Machines whose threads wait for each other.

use std::time::{Duration, Instant};

use apclab_host::{DeadlockReport, Host, HostError, Schedule};

use super::fixture::driver::code;
use super::fixture::script::{self, Mode, Op, Script};
use super::fixture::{Fixture, bug_check};
use super::send;

fn run(host: &Host, script: &Script) -> Result<String, HostError> {
    script::set(script);
    assert_eq!(send(host, code::SCRIPT, &[])?, 0);
    Ok(script::noted())
}

fn deadlock<R: std::fmt::Debug>(result: Result<R, HostError>) -> DeadlockReport {
    match result {
        Err(HostError::Deadlock(report)) => report,
        other => panic!("a deadlock, not {other:?}"),
    }
}

/// Runs the script in a free machine and in a scheduled one, both of which end in a deadlock.
fn both(script: &Script) -> [DeadlockReport; 2] {
    [Schedule::Free, Schedule::Replay(Vec::new())].map(|schedule| {
        let fixture = Fixture::new();
        let mut options = fixture.options();
        options.schedule = schedule;
        let host = Host::start(options).unwrap();
        let report = deadlock(run(&host, script));
        assert_eq!(deadlock(host.open()), report, "every call has it");
        assert_eq!(deadlock(host.stop()), report);
        report
    })
}

/// Each of two threads acquires one lock, and when both have, the one of the other.
fn crosswise(first: Op, second: Op) -> Script {
    vec![
        vec![Op::Enter, first, Op::Set(0), Op::Await(1), second],
        vec![Op::Enter, second, Op::Set(1), Op::Await(0), first],
    ]
}

const EXCLUSIVE: Op = Op::Acquire(0, Mode::Exclusive);
const SHARED: Op = Op::Acquire(0, Mode::Shared);

#[test]
fn locks_in_opposite_order_are_a_deadlock_that_names_all() {
    for report in both(&crosswise(EXCLUSIVE, Op::Acquire(1, Mode::Exclusive))) {
        let [a, b] = &report.threads[..] else {
            panic!("two threads: {report}")
        };
        assert_ne!(a.thread, b.thread);
        for (one, other) in [(a, b), (b, a)] {
            assert_eq!(one.held_by, [format!("{} (exclusive)", other.thread)]);
            assert_eq!(one.held, std::slice::from_ref(&other.waits_for));
            assert!(one.waits_for.starts_with("the resource at 0x"), "{report}");
            assert!(report.sentence.contains(&one.thread), "{report}");
        }
    }
}

#[test]
fn locks_of_different_kinds_wait_for_each_other_too() {
    for (first, second, names) in [
        (EXCLUSIVE, Op::AcquirePush(true), ["resource", "push lock"]),
        (Op::AcquirePush(false), SHARED, ["", ""]),
    ] {
        if names[0].is_empty() {
            // Shared twice is no deadlock: each waits for an event, gets it, and shares both.
            let fixture = Fixture::new();
            let host = fixture.start();
            let mut script = crosswise(first, second);
            for steps in &mut script {
                steps.extend([Op::ReleasePush(false), Op::Release(0), Op::Leave]);
            }
            assert_eq!(run(&host, &script), Ok(String::new()));
            host.stop().unwrap();
            continue;
        }
        for report in both(&crosswise(first, second)) {
            for name in names {
                assert!(
                    report.sentence.contains(&format!("the {name} at")),
                    "{report}"
                );
            }
        }
    }
    for report in both(&crosswise(Op::AcquireFast, Op::AcquireGuarded)) {
        assert_eq!(report.threads.len(), 2);
        assert!(report.sentence.contains("the guarded mutex at"), "{report}");
    }
}

#[test]
fn a_thread_can_wait_for_itself() {
    let twice = |step| vec![vec![Op::Enter, step, step]];
    let upgrade = vec![vec![Op::Enter, SHARED, SHARED, EXCLUSIVE]];
    // It shares, somebody waits for exclusive, and it queues behind.
    let behind = vec![
        vec![
            Op::Enter,
            SHARED,
            Op::Set(0),
            Op::Delay,
            Op::Acquire(0, Mode::WaitForExclusive),
        ],
        vec![Op::Await(0), Op::Enter, EXCLUSIVE],
    ];
    for (script, count, part) in [
        (twice(Op::AcquirePush(true)), 1, "itself (exclusive)"),
        (twice(Op::AcquirePush(false)), 1, "itself (shared)"),
        (
            vec![vec![Op::AcquireFast, Op::AcquireFast]],
            1,
            "held by itself",
        ),
        (upgrade, 1, "itself (shared, 2 times)"),
        (behind, 2, "itself (shared)"),
    ] {
        for report in both(&script) {
            assert_eq!(report.threads.len(), count, "{report}");
            assert!(report.sentence.contains(part), "{report}");
        }
    }
}

#[test]
fn a_circle_may_lead_over_those_that_wait_ahead_or_over_the_end_of_a_thread() {
    // The first one shares the resource, the second waits for it, the third waits behind that one
    // and has what the first one needs.
    let behind = vec![
        vec![
            Op::Enter,
            SHARED,
            Op::Set(0),
            Op::Await(2),
            Op::AcquirePush(true),
        ],
        vec![Op::Await(0), Op::Await(1), Op::Enter, EXCLUSIVE],
        vec![
            Op::Enter,
            Op::AcquirePush(true),
            Op::Set(1),
            Op::Delay,
            Op::Set(2),
            SHARED,
        ],
    ];
    for report in both(&behind) {
        assert_eq!(report.threads.len(), 3, "{report}");
    }
    let end = vec![
        vec![Op::Enter, EXCLUSIVE, Op::Set(0), Op::AwaitEnd(1)],
        vec![Op::Await(0), Op::Enter, SHARED],
    ];
    for report in both(&end) {
        assert_eq!(report.threads.len(), 2, "{report}");
        assert!(
            report.sentence.contains("waits for the end of system"),
            "{report}"
        );
    }
}

#[test]
fn nobody_is_left_to_release_what_was_handed_over() {
    let hand_over = [Op::Enter, EXCLUSIVE, Op::HandOver(0), Op::Set(0)];
    let mut giver = hand_over.to_vec();
    giver.push(Op::Leave);
    let taker = vec![Op::Await(0), Op::Enter, SHARED];
    for report in both(&vec![giver.clone(), taker.clone()]) {
        assert_eq!(report.threads.len(), 1, "{report}");
        assert!(report.sentence.contains("the owner pointer 0x"), "{report}");
    }
    // A thread of user mode that has no request does not count either.
    let fixture = Fixture::new();
    let host = fixture.start();
    std::thread::scope(|scope| {
        let host = &host;
        for _ in 0..2 {
            let wait = [(-300_000_i64).cast_unsigned()];
            scope.spawn(move || send(host, code::WAIT, &wait).unwrap());
        }
    });
    deadlock(run(&host, &vec![giver.clone(), taker.clone()]));
    drop((host, fixture));
    // One that only looks now and then whether others have done something does not count.
    let polls = vec![Op::Poll(3)];
    for report in both(&vec![giver.clone(), taker.clone(), polls]) {
        assert_eq!(report.threads.len(), 1, "{report}");
    }
    // One that can act does: here it releases in the end.
    let mut taker = taker;
    taker.extend([Op::Note(1), Op::Release(0), Op::Leave]);
    let mut helper = vec![Op::Await(0)];
    helper.extend([Op::Delay; 4]);
    helper.push(Op::ReleaseFor(0, 0));
    let script = vec![giver, taker, helper];
    for schedule in [Schedule::Free, Schedule::Replay(Vec::new())] {
        let fixture = Fixture::new();
        let mut options = fixture.options();
        options.schedule = schedule;
        let host = Host::start(options).unwrap();
        // The helper notes its success before or after the other has got it.
        assert_eq!(run(&host, &script), Ok("11".to_owned()));
        host.stop().unwrap();
    }
}

#[test]
fn a_holder_that_waits_for_a_while_is_no_deadlock() {
    let mut holder = vec![Op::Enter, EXCLUSIVE, Op::Set(0)];
    holder.extend([Op::Delay; 3]);
    holder.extend([Op::Note(1), Op::Release(0), Op::Leave]);
    let waiter = |digit| {
        let mut steps = vec![Op::Await(0), Op::Enter, EXCLUSIVE];
        steps.extend([Op::Note(digit), Op::Release(0), Op::Leave]);
        steps
    };
    let fixture = Fixture::new();
    let host = fixture.start();
    let noted = run(&host, &vec![holder, waiter(2), waiter(2)]);
    assert_eq!(noted, Ok("122".to_owned()));
    host.stop().unwrap();
}

#[test]
fn a_machine_that_waits_for_user_mode_is_no_deadlock() {
    // The holder waits for an event, which a request could set.
    let script = vec![
        vec![Op::Enter, EXCLUSIVE, Op::Set(0), Op::Await(1)],
        vec![Op::Await(0), Op::Enter, SHARED],
    ];
    let fixture = Fixture::new();
    let mut options = fixture.options();
    options.answer_deadline = Duration::from_millis(200);
    let host = Host::start(options.clone()).unwrap();
    let error = run(&host, &script).unwrap_err();
    assert!(matches!(error, HostError::NoAnswer(_)), "{error}");
    drop(host);
    // Where the threads take turns, it is: nothing can happen any more.
    options.schedule = Schedule::Replay(Vec::new());
    let host = Host::start(options).unwrap();
    let report = deadlock(run(&host, &script));
    assert_eq!(report.threads.len(), 2, "{report}");
    assert!(report.sentence.contains("waits for an event"), "{report}");
}

#[test]
fn a_bug_check_stays_one() {
    let fixture = Fixture::new();
    let host = fixture.start();
    // Without a region.
    let (code, kind, _, text) = bug_check(run(&host, &vec![vec![EXCLUSIVE, EXCLUSIVE]]));
    assert_eq!((code, kind), (0xC4, 0x37), "{text}");
}

#[test]
fn the_driver_is_told_unless_it_is_not_to_be() {
    for told in [true, false] {
        let fixture = Fixture::new();
        let mut options = fixture.options();
        options.ends_deadlocks = told;
        let host = Host::start(options).unwrap();
        let found = send(&host, code::DEADLOCKS_END, &[]).unwrap();
        assert_eq!(found, i32::from(told));
        deadlock(run(&host, &vec![vec![Op::AcquireFast, Op::AcquireFast]]));
    }
}

/// How many threads and mappings the process has.
fn resources() -> (usize, usize) {
    let threads = std::fs::read_dir("/proc/self/task").unwrap().count();
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    (threads, maps.lines().count())
}

/// Starts machines that end in a deadlock, and gives how long each took.
fn machines(fixture: &Fixture, count: usize, script: &Script) -> Vec<Duration> {
    let once = |_| {
        let begun = Instant::now();
        let host = fixture.start();
        deadlock(run(&host, script));
        drop(host);
        begun.elapsed()
    };
    (0..count).map(once).collect()
}

#[test]
fn machines_that_have_ended_leave_nothing_in_the_process() {
    let count = match std::env::var("APCLAB_DEADLOCKED_MACHINES") {
        Ok(count) => count.parse().expect("a number"),
        Err(_) => 150,
    };
    let fixture = Fixture::new();
    let script = crosswise(EXCLUSIVE, Op::AcquirePush(true));
    machines(&fixture, 20, &script);
    let before = resources();
    let took = machines(&fixture, count, &script);
    let after = resources();
    // Other tests of this process wait for the fixture, and their threads come and go.
    assert!(
        after.0 < before.0 + 16,
        "threads: {before:?}, then {after:?}"
    );
    assert!(
        after.1 < before.1 + 64,
        "mappings: {before:?}, then {after:?}"
    );
    let mean =
        |part: &[Duration]| part.iter().sum::<Duration>() / u32::try_from(part.len()).unwrap();
    let tenth = count / 10;
    let (first, last) = (mean(&took[..tenth]), mean(&took[count - tenth..]));
    println!("{count} machines: {before:?}, then {after:?}; {first:?} each, then {last:?}");
    assert!(
        last < 4 * first + Duration::from_millis(20),
        "{first:?}, then {last:?}"
    );
}
