//! Threads of user mode whose machine is scheduled: every order of what they do is tried.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use apclab_host::{File, Host, HostError, Options, Schedule, UserThread, explore_schedules};
use apclab_model::kernel::Profile;

use super::fixture::Fixture;
use super::fixture::wdm::{self, Step};
use super::user::{call, counting, run, wait};

/// Virtual time.
const LONG: Duration = Duration::from_secs(100);

type Notes = Arc<Mutex<String>>;

fn note(notes: &Notes, digit: char) {
    notes.lock().unwrap().push(digit);
}

/// Runs a program by all schedules: what it gave. A run that does not end is an `x`.
fn all(
    options: impl FnOnce(&mut Options),
    program: impl Fn(&UserThread<'_>, &Arc<File>, &Notes) + Send + Sync + 'static,
) -> Vec<String> {
    let fixture = Fixture::new();
    wdm::ENABLED.store(true, Ordering::SeqCst);
    let mut chosen = fixture.options();
    chosen.schedule = Schedule::Replay(Vec::new());
    options(&mut chosen);
    let host = Host::start(chosen).unwrap();
    let file = Arc::new(host.open().unwrap());
    let program = Arc::new(program);
    let mut seen = BTreeSet::new();
    let explored = explore_schedules(20_000, |schedule| {
        host.set_schedule(&schedule)?;
        let notes = Notes::default();
        let (own, program) = (Arc::clone(&notes), Arc::clone(&program));
        run(&host, &file, move |main, file| program(main, file, &own))?;
        seen.insert(notes.lock().unwrap().clone());
        host.choices()
    });
    assert!(explored.unwrap().complete);
    Arc::into_inner(file).unwrap().close().unwrap();
    host.stop().unwrap();
    seen.into_iter().collect()
}

/// Both profiles, which agree.
fn in_both(
    program: impl Fn(&UserThread<'_>, &Arc<File>, &Notes) + Copy + Send + Sync + 'static,
) -> Vec<String> {
    let [first, second] = [Profile::Nt52, Profile::Documented]
        .map(|profile| all(|options| options.profile = profile, program));
    assert_eq!(first, second);
    first
}

#[test]
fn steps_of_user_mode_come_in_every_order() {
    let seen = in_both(|main, _, notes| {
        let threads = ["12", "34"].map(|digits| {
            let notes = Arc::clone(notes);
            let program = move |thread: &UserThread<'_>| {
                for digit in digits.chars() {
                    thread.point().unwrap();
                    note(&notes, digit);
                }
            };
            main.spawn("thread", program).unwrap()
        });
        for thread in &threads {
            assert!(main.join(thread, LONG).unwrap());
        }
    });
    assert_eq!(seen, ["1234", "1324", "1342", "3124", "3142", "3412"]);
}

#[test]
fn an_ordinary_user_apc_runs_at_the_alertable_sleep() {
    let seen = in_both(|main, _, notes| {
        let own = Arc::clone(notes);
        let sleeper = main.spawn("sleeper", move |thread| {
            thread.point().unwrap();
            note(&own, '1');
            let ended = thread.sleep(10, true).unwrap();
            note(&own, if ended { '2' } else { '3' });
        });
        let (sleeper, own) = (sleeper.unwrap(), Arc::clone(notes));
        let routine = Arc::new(move || note(&own, 'A'));
        main.queue_apc(&sleeper.user_ref(), false, routine).unwrap();
        assert!(main.join(&sleeper, LONG).unwrap());
    });
    // Nobody has to queue it in time, but only then time passes.
    assert_eq!(seen, ["1A2"]);
}

#[test]
fn a_special_user_apc_runs_between_any_two_steps() {
    let seen = in_both(|main, _, notes| {
        let own = Arc::clone(notes);
        let thread = main.spawn("thread", move |thread| {
            for digit in ['1', '2'] {
                thread.point().unwrap();
                note(&own, digit);
            }
        });
        let (thread, own) = (thread.unwrap(), Arc::clone(notes));
        let routine = Arc::new(move || note(&own, 'A'));
        main.queue_apc(&thread.user_ref(), true, routine).unwrap();
        assert!(main.join(&thread, LONG).unwrap());
    });
    assert_eq!(seen, ["12", "12A", "1A2", "A12"]);
}

#[test]
fn suspension_comes_between_any_two_steps_and_lasts_until_the_resumption() {
    let seen = in_both(|main, _, notes| {
        let own = Arc::clone(notes);
        let thread = main.spawn("thread", move |thread| {
            for digit in ['1', '2'] {
                thread.point().unwrap();
                note(&own, digit);
            }
        });
        let thread = thread.unwrap();
        let suspended = main.suspend(&thread.user_ref());
        // Now everything has happened that does not need the resumption.
        main.sleep(1000, false).unwrap();
        note(notes, 'R');
        if suspended.is_ok() {
            main.resume(&thread.user_ref()).ok();
        }
        assert!(main.join(&thread, LONG).unwrap());
    });
    assert_eq!(seen, ["12R", "1R2", "R12"]);
}

#[test]
fn a_region_of_the_driver_keeps_suspension_out() {
    let seen = in_both(|main, file, notes| {
        let (own, place) = (Arc::clone(file), Arc::clone(notes));
        let thread = main.spawn("thread", move |thread| {
            let steps = [
                Step::Critical(true),
                Step::Initialize(0),
                Step::Critical(false),
            ];
            call(thread, &own, &steps).unwrap();
            note(&place, '1');
        });
        let thread = thread.unwrap();
        main.suspend(&thread.user_ref()).ok();
        main.sleep(1000, false).unwrap();
        note(notes, 'R');
        main.resume(&thread.user_ref()).ok();
        assert!(main.join(&thread, LONG).unwrap());
    });
    assert_eq!(seen, ["1R", "R1"]);
}

#[test]
fn a_suspended_owner_stalls_the_others_for_as_long_as_it_is_suspended() {
    let seen = all(
        |_| (),
        |main, _, notes| {
            let section = main.critical_section().unwrap();
            let (own, place) = (section.clone(), Arc::clone(notes));
            let owner = main.spawn("owner", move |thread| {
                thread.enter(&own).unwrap();
                thread.point().unwrap();
                note(&place, '1');
                assert_eq!(thread.leave(&own), Ok(true));
            });
            let owner = owner.unwrap();
            main.suspend(&owner.user_ref()).ok();
            let (own, place) = (section.clone(), Arc::clone(notes));
            let other = main.spawn("other", move |thread| {
                thread.enter(&own).unwrap();
                note(&place, '2');
                assert_eq!(thread.leave(&own), Ok(true));
            });
            main.sleep(1000, false).unwrap();
            note(notes, 'R');
            main.resume(&owner.user_ref()).ok();
            for thread in [owner, other.unwrap()] {
                assert!(main.join(&thread, LONG).unwrap());
            }
        },
    );
    // Whoever is not suspended and has the section leaves it before time passes.
    assert_eq!(seen, ["12R", "1R2", "21R", "2R1", "R12"]);
}

#[test]
fn a_wait_of_the_driver_ends_for_its_event_or_for_a_user_apc() {
    let with = |profile| {
        all(
            |options| options.profile = profile,
            |main, file, notes| {
                call(main, file, &[Step::Initialize(0)]).unwrap();
                let (own, place) = (Arc::clone(file), Arc::clone(notes));
                let waiter = main.spawn("waiter", move |thread| {
                    let results = call(thread, &own, &[wait(0, true, true, 1000)]).unwrap();
                    note(&place, if results[0] == 0 { '0' } else { 'U' });
                });
                let waiter = waiter.unwrap();
                let ran = Arc::new(AtomicU64::new(0));
                let target = waiter.user_ref();
                assert_eq!(main.queue_apc(&target, false, counting(&ran)), Ok(true));
                call(main, file, &[Step::Set(0)]).unwrap();
                assert!(main.join(&waiter, LONG).unwrap());
                let ran = ran.load(Ordering::SeqCst);
                note(
                    notes,
                    char::from_digit(u32::try_from(ran).unwrap(), 10).unwrap(),
                );
            },
        )
    };
    // An event that is signaled when the wait begins comes first; a page does not say so.
    assert_eq!(with(Profile::Nt52), ["00", "U1"]);
    assert_eq!(with(Profile::Documented), ["00", "U1"]);
}

#[test]
fn what_waits_for_a_suspended_thread_is_no_deadlock_and_times_out() {
    let seen = in_both(|main, _, notes| {
        let thread = main.spawn("thread", |thread| {
            drop(thread.suspend(&thread.user_ref()));
        });
        let thread = thread.unwrap();
        assert_eq!(main.join(&thread, LONG), Ok(false));
        note(notes, 'x');
        assert_eq!(main.resume(&thread.user_ref()), Ok(1));
        assert!(main.join(&thread, LONG).unwrap());
    });
    assert_eq!(seen, ["x"]);
}

#[test]
fn a_scheduled_machine_that_only_its_caller_can_resume_is_idle() {
    let fixture = Fixture::new();
    let mut options = fixture.options();
    options.schedule = Schedule::Random(1);
    let host = Host::start(options).unwrap();
    let file = Arc::new(host.open().unwrap());
    let thread = host.spawn_user(&file, "main", |main| {
        drop(main.suspend(&main.user_ref()));
    });
    let thread = thread.unwrap();
    let late = thread.join(Duration::from_millis(30));
    assert!(matches!(late, Err(HostError::NoAnswer(_))), "{late:?}");
    assert_eq!(host.resume(&thread.user_ref()), Ok(1));
    thread.join(Duration::from_secs(10)).unwrap();
    Arc::into_inner(file).unwrap().close().unwrap();
    host.stop().unwrap();
}
