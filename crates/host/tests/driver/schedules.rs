//! Machines whose threads take turns.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use apclab_host::{Choice, Host, HostError, Options, Schedule, explore_schedules};
use apclab_model::kernel::Profile;

use super::fixture::Fixture;
use super::fixture::driver::{self, code};
use super::fixture::lanes::program;
use super::send;

fn scheduled(fixture: &Fixture, change: impl FnOnce(&mut Options)) -> Host {
    let mut options = fixture.options();
    options.schedule = Schedule::Replay(Vec::new());
    change(&mut options);
    Host::start(options).unwrap()
}

/// Runs a program by a schedule: the digits that its threads noted, and the choices.
fn run(host: &Host, program: u64, schedule: &Schedule) -> (String, Vec<Choice>) {
    host.set_schedule(schedule).unwrap();
    driver::reset();
    assert_eq!(send(host, code::LANES, &[program]).unwrap(), 0);
    let choices = host.choices().unwrap();
    (format!("{:X}", driver::ran()), choices)
}

/// Runs a program by all schedules: how many there are, and what the threads noted.
fn all(program: u64, change: impl FnOnce(&mut Options)) -> (u64, Vec<String>) {
    let fixture = Fixture::new();
    let host = scheduled(&fixture, change);
    let mut seen = BTreeSet::new();
    let explored = explore_schedules(1000, |schedule| {
        let (digits, choices) = run(&host, program, &schedule);
        seen.insert(digits);
        Ok::<_, HostError>(choices)
    });
    let explored = explored.unwrap();
    assert!(explored.complete);
    host.stop().unwrap();
    (explored.schedules, seen.into_iter().collect())
}

#[test]
fn every_order_of_the_steps_is_tried_once() {
    let orders = ["1234", "1324", "1342", "3124", "3142", "3412"];
    let (schedules, seen) = all(program::PLAIN, |_| ());
    assert_eq!(seen, orders);
    assert_eq!(schedules, 6, "and nothing else is a choice");
}

#[test]
fn reading_the_clock_alone_is_no_scheduling_point() {
    let (schedules, seen) = all(program::CLOCK, |_| ());
    assert_eq!((schedules, seen), (1, vec!["1234".to_owned()]));
}

#[test]
fn an_apc_comes_now_or_later_and_in_the_wait_at_the_latest() {
    let with = |profile| all(program::APC, |options| options.profile = profile).1;
    let together = ["12BAA", "1B2AA", "1BAA2", "B12AA", "B1AA2", "BAA12"];
    assert_eq!(with(Profile::Nt52), together);
    // Without the promise that what follows in the queue comes at once.
    let apart = ["1BA2A", "B1A2A", "BA12A", "BA1A2"];
    let every: BTreeSet<_> = together.iter().chain(&apart).copied().collect();
    assert_eq!(with(Profile::Documented), Vec::from_iter(every));
}

#[test]
fn a_time_out_is_over_when_nothing_else_can_happen() {
    let (_, seen) = all(program::TIMEOUT, |_| ());
    assert_eq!(seen, ["1"]);
}

#[test]
fn a_short_time_out_is_over_at_any_moment() {
    let (_, seen) = all(program::TIMEOUT, |options| {
        options.short_timeout = Duration::from_millis(10);
    });
    assert_eq!(seen, ["1", "2"]);
    let (_, seen) = all(program::TIMEOUT, |options| {
        options.short_timeout = Duration::from_millis(9);
    });
    assert_eq!(seen, ["1"]);
}

#[test]
fn each_of_two_short_time_outs_may_be_over() {
    let (_, seen) = all(program::TIMEOUTS, |options| {
        options.short_timeout = Duration::from_millis(10);
    });
    assert_eq!(seen, ["11", "21", "22"]);
}

#[test]
fn a_thread_that_waits_again_and_again_does_not_keep_the_others_out() {
    let (schedules, seen) = all(program::POLL, |options| {
        options.short_timeout = Duration::from_millis(10);
    });
    assert_eq!((schedules, seen), (3, vec!["1".to_owned()]));
}

#[test]
fn a_lock_that_is_free_goes_to_a_waiter_or_to_who_comes_first() {
    let with = |profile| all(program::MUTEX, |options| options.profile = profile).1;
    // B142: the other has blocked ahead of 1, and the owner is as quick to acquire it again. Only
    // without a promise of a hand-over.
    let mut expected = vec!["14B2", "1B24", "1B42", "B124", "B142", "B214"];
    assert_eq!(with(Profile::Documented), expected);
    expected.retain(|order| *order != "B142");
    assert_eq!(with(Profile::Nt52), expected);
}

#[test]
fn who_gets_an_event_is_a_choice_where_no_order_is_promised() {
    let with = |profile| all(program::EVENT, |options| options.profile = profile).1;
    assert_eq!(with(Profile::Documented), ["12", "21"]);
    assert_eq!(with(Profile::Nt52), ["12"]);
}

#[test]
fn a_schedule_can_be_replayed() {
    let fixture = Fixture::new();
    let host = scheduled(&fixture, |_| ());
    let (digits, choices) = run(&host, program::PLAIN, &Schedule::Random(7));
    let taken = choices.iter().map(|choice| choice.taken).collect();
    let again = run(&host, program::PLAIN, &Schedule::Replay(taken));
    assert_eq!(again, (digits.clone(), choices.clone()));
    assert_eq!(
        run(&host, program::PLAIN, &Schedule::Random(7)),
        (digits, choices)
    );
    let seen: BTreeSet<_> = (0..60)
        .map(|seed| run(&host, program::PLAIN, &Schedule::Random(seed)).0)
        .collect();
    assert_eq!(seen.len(), 6, "{seen:?}");
    host.stop().unwrap();
}

#[test]
fn a_schedule_that_does_not_fit_is_an_error() {
    let fixture = Fixture::new();
    let host = scheduled(&fixture, |_| ());
    host.set_schedule(&Schedule::Replay(vec![0, 2])).unwrap();
    send(&host, code::LANES, &[program::PLAIN]).unwrap();
    let error = host.choices().unwrap_err();
    assert!(error.to_string().contains("choice 1 "), "{error}");
    let error = host.set_schedule(&Schedule::Free).unwrap_err();
    assert!(matches!(error, HostError::Schedule(_)), "{error}");
    host.stop().unwrap();
}

#[test]
fn a_free_machine_has_no_schedule() {
    let fixture = Fixture::new();
    let host = fixture.start();
    for result in [
        host.choices().map(drop),
        host.set_schedule(&Schedule::Random(1)),
    ] {
        assert!(matches!(result, Err(HostError::Schedule(_))), "{result:?}");
    }
    host.stop().unwrap();
}

#[test]
fn virtual_time_does_not_pass_by_waiting() {
    let fixture = Fixture::new();
    let host = scheduled(&fixture, |_| ());
    let begun = Instant::now();
    let hour = (-36_000_000_000_i64).cast_unsigned();
    assert_eq!(send(&host, code::WAIT, &[hour]).unwrap(), 0x102);
    assert!(begun.elapsed() < Duration::from_mins(1));
    host.stop().unwrap();
}

#[test]
fn a_bug_check_ends_a_scheduled_machine_as_any_other() {
    let fixture = Fixture::new();
    let host = scheduled(&fixture, |_| ());
    assert!(matches!(
        send(&host, code::LEAK_REGION, &[]),
        Err(HostError::BugCheck(_))
    ));
    assert!(matches!(host.choices(), Err(HostError::BugCheck(_))));
}
