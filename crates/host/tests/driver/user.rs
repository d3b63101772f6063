//! Threads of user mode in a free machine.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use apclab_host::{File, Host, HostError, UserEvent, UserHandle, UserThread};

use super::fixture::driver::code;
use super::fixture::wdm::{self, How, Step};
use super::fixture::{Fixture, bug_check};
use super::wdm::{hold, start, to_words};

const LONG: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(30);

/// Runs a program of user mode to its end.
pub(crate) fn run<R: Send + 'static>(
    host: &Host,
    file: &Arc<File>,
    program: impl FnOnce(&UserThread<'_>, &Arc<File>) -> R + Send + 'static,
) -> Result<R, HostError> {
    let result = Arc::new(Mutex::new(None));
    let (own, place) = (Arc::clone(file), Arc::clone(&result));
    let thread = host.spawn_user(file, "main", move |main| {
        let result = program(main, &own);
        *place.lock().unwrap() = Some(result);
    })?;
    thread.join(LONG)?;
    Ok(result.lock().unwrap().take().unwrap())
}

/// Runs the program in a machine of its own, whose driver then must unload.
fn with_driver<R: Send + 'static>(
    program: impl FnOnce(&UserThread<'_>, &Arc<File>) -> R + Send + 'static,
) -> R {
    let fixture = Fixture::new();
    let host = start(&fixture);
    let file = Arc::new(host.open().unwrap());
    let result = run(&host, &file, program).unwrap();
    Arc::into_inner(file).unwrap().close().unwrap();
    host.stop().unwrap();
    result
}

/// Has the driver execute steps in this thread.
pub(crate) fn call(
    thread: &UserThread<'_>,
    file: &File,
    steps: &[Step],
) -> Result<Vec<u64>, HostError> {
    let mut output = vec![0; 8 * steps.len()];
    let completion = thread.ioctl(file, wdm::code::CALL, &wdm::encode(steps), &mut output)?;
    assert_eq!(
        (completion.status, completion.information),
        (0, output.len())
    );
    Ok(to_words(&output))
}

pub(crate) fn wait(event: u8, user: bool, alertable: bool, milliseconds: u32) -> Step {
    Step::Wait {
        event,
        user,
        alertable,
        milliseconds,
    }
}

/// Counts, as a user APC.
pub(crate) fn counting(counter: &Arc<AtomicU64>) -> Arc<dyn Fn() + Send + Sync> {
    let counter = Arc::clone(counter);
    Arc::new(move || {
        counter.fetch_add(1, Ordering::SeqCst);
    })
}

fn count(counter: &Arc<AtomicU64>) -> u64 {
    counter.load(Ordering::SeqCst)
}

/// Starts a thread that counts steps in user mode until it is told to stop.
fn counter(main: &UserThread<'_>) -> (UserHandle, Arc<AtomicU64>, Arc<AtomicBool>) {
    let steps = Arc::new(AtomicU64::new(0));
    let stop = Arc::new(AtomicBool::new(false));
    let (own, told) = (Arc::clone(&steps), Arc::clone(&stop));
    let thread = main.spawn("counter", move |thread| {
        while !told.load(Ordering::SeqCst) && thread.point().is_ok() {
            own.fetch_add(1, Ordering::SeqCst);
        }
    });
    (thread.unwrap(), steps, stop)
}

/// Waits until the counter goes on, in real time.
fn goes_on(counter: &Arc<AtomicU64>) -> bool {
    let before = count(counter);
    let begun = Instant::now();
    while count(counter) == before {
        if begun.elapsed() > LONG {
            return false;
        }
        std::thread::yield_now();
    }
    true
}

#[test]
fn a_user_apc_runs_in_an_alertable_sleep_only() {
    let seen = with_driver(|main, _| {
        let ran = Arc::new(AtomicU64::new(0));
        let me = main.user_ref();
        for _ in 0..3 {
            assert_eq!(main.queue_apc(&me, false, counting(&ran)), Ok(true));
        }
        main.point().unwrap();
        let first = (main.sleep(1, false).unwrap(), count(&ran));
        let second = (main.sleep(10_000, true).unwrap(), count(&ran));
        let third = (main.sleep(1, true).unwrap(), count(&ran));
        [first, second, third]
    });
    assert_eq!(seen, [(false, 0), (true, 3), (false, 3)]);
}

#[test]
fn user_apcs_run_in_the_order_in_which_they_were_queued() {
    let seen = with_driver(|main, _| {
        let ran = Arc::new(Mutex::new(Vec::new()));
        let me = main.user_ref();
        for number in 0..4 {
            let ran = Arc::clone(&ran);
            let routine = Arc::new(move || ran.lock().unwrap().push(number));
            main.queue_apc(&me, false, routine).unwrap();
        }
        assert!(main.sleep(10_000, true).unwrap());
        Arc::into_inner(ran).unwrap().into_inner().unwrap()
    });
    assert_eq!(seen, [0, 1, 2, 3]);
}

#[test]
fn a_user_apc_of_another_thread_ends_an_alertable_sleep() {
    let (ended, ran) = with_driver(|main, _| {
        let ran = Arc::new(AtomicU64::new(0));
        let ended = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&ended);
        let sleeper = main.spawn("sleeper", move |thread| {
            // Longer than anybody waits for it.
            told.store(thread.sleep(60_000, true).unwrap(), Ordering::SeqCst);
        });
        let sleeper = sleeper.unwrap();
        main.sleep(20, false).unwrap();
        main.queue_apc(&sleeper.user_ref(), false, counting(&ran))
            .unwrap();
        assert!(main.join(&sleeper, LONG).unwrap());
        let late = main.queue_apc(&sleeper.user_ref(), false, counting(&ran));
        assert_eq!(late, Ok(false), "the thread has ended");
        (ended.load(Ordering::SeqCst), count(&ran))
    });
    assert_eq!((ended, ran), (true, 1));
}

#[test]
fn a_special_user_apc_needs_no_alertable_wait() {
    let (at_once, from_another) = with_driver(|main, _| {
        let ran = Arc::new(AtomicU64::new(0));
        main.queue_apc(&main.user_ref(), true, counting(&ran))
            .unwrap();
        let at_once = count(&ran);
        let (counter, _, stop) = counter(main);
        main.queue_apc(&counter.user_ref(), true, counting(&ran))
            .unwrap();
        let begun = Instant::now();
        while count(&ran) == at_once && begun.elapsed() < LONG {
            std::thread::yield_now();
        }
        stop.store(true, Ordering::SeqCst);
        assert!(main.join(&counter, LONG).unwrap());
        (at_once, count(&ran))
    });
    assert_eq!((at_once, from_another), (1, 2));
}

#[test]
fn a_special_user_apc_waits_for_the_end_of_a_call() {
    let seen = with_driver(|main, file| {
        let ran = Arc::new(AtomicU64::new(0));
        call(main, file, &[Step::Initialize(0), Step::Initialize(1)]).unwrap();
        let (own, seen) = (Arc::clone(file), Arc::new(Mutex::new(Vec::new())));
        let (place, inside) = (Arc::clone(&seen), Arc::clone(&ran));
        let waiter = main.spawn("waiter", move |thread| {
            let steps = [Step::Set(1), wait(0, true, false, 10_000)];
            let results = call(thread, &own, &steps).unwrap();
            place.lock().unwrap().extend([results[1], count(&inside)]);
        });
        let waiter = waiter.unwrap();
        call(main, file, &[wait(1, false, false, 10_000)]).unwrap();
        main.queue_apc(&waiter.user_ref(), true, counting(&ran))
            .unwrap();
        assert!(
            !main.join(&waiter, SHORT).unwrap(),
            "it does not end the wait"
        );
        let before = count(&ran);
        call(main, file, &[Step::Set(0)]).unwrap();
        assert!(main.join(&waiter, LONG).unwrap());
        let after = seen.lock().unwrap().clone();
        (before, after)
    });
    assert_eq!(seen, (0, vec![0, 1]));
}

#[test]
fn a_machine_may_have_no_special_user_apcs() {
    let fixture = Fixture::new();
    let mut options = fixture.options();
    options.special_user_apcs = false;
    let host = Host::start(options).unwrap();
    let file = Arc::new(host.open().unwrap());
    let refused = run(&host, &file, |main, _| {
        main.queue_apc(&main.user_ref(), true, Arc::new(|| ()))
    });
    assert_eq!(refused.unwrap(), Err(HostError::NoSpecialUserApcs));
}

#[test]
fn a_user_apc_ends_only_an_alertable_wait_in_user_mode() {
    for (user, alertable, status) in [
        (true, true, 0xC0),
        (true, false, 0x102),
        (false, true, 0x102),
        (false, false, 0x102),
    ] {
        let seen = with_driver(move |main, file| {
            let ran = Arc::new(AtomicU64::new(0));
            main.queue_apc(&main.user_ref(), false, counting(&ran))
                .unwrap();
            let steps = [Step::Initialize(0), wait(0, user, alertable, 20)];
            let results = call(main, file, &steps).unwrap();
            (results[1], count(&ran))
        });
        assert_eq!(seen, (status, u64::from(status == 0xC0)));
    }
}

#[test]
fn a_user_apc_ends_an_alertable_delay_of_the_driver() {
    let seen = with_driver(|main, file| {
        let ran = Arc::new(AtomicU64::new(0));
        let delay = [Step::Delay(10_000), Step::Note(1)];
        main.queue_apc(&main.user_ref(), false, counting(&ran))
            .unwrap();
        let results = call(main, file, &delay).unwrap();
        (results[0], count(&ran))
    });
    assert_eq!(seen, (0xC0, 1));
}

#[test]
fn a_suspended_thread_stands_still_until_it_is_resumed_as_often() {
    with_driver(|main, _| {
        let (counter, steps, stop) = counter(main);
        let other = counter.user_ref();
        assert!(goes_on(&steps));
        assert_eq!(main.suspend(&other), Ok(0));
        assert_eq!(main.suspend(&other), Ok(1));
        // It may be in the middle of a step.
        main.sleep(30, false).unwrap();
        let before = count(&steps);
        main.sleep(30, false).unwrap();
        assert_eq!(count(&steps), before);
        assert_eq!(main.resume(&other), Ok(2));
        main.sleep(30, false).unwrap();
        assert_eq!(count(&steps), before);
        assert_eq!(main.resume(&other), Ok(1));
        assert!(goes_on(&steps));
        assert_eq!(main.resume(&other), Ok(0));
        stop.store(true, Ordering::SeqCst);
        assert!(main.join(&counter, LONG).unwrap());
        assert_eq!(main.suspend(&other), Err(HostError::ThreadEnded));
    });
}

#[test]
fn a_thread_suspends_itself() {
    let fixture = Fixture::new();
    let host = start(&fixture);
    let file = Arc::new(host.open().unwrap());
    let ran = Arc::new(AtomicU64::new(0));
    let own = Arc::clone(&ran);
    let thread = host.spawn_user(&file, "main", move |main| {
        assert_eq!(main.suspend(&main.user_ref()), Ok(0));
        own.fetch_add(1, Ordering::SeqCst);
    });
    let thread = thread.unwrap();
    assert!(matches!(thread.join(SHORT), Err(HostError::NoAnswer(_))));
    assert_eq!(count(&ran), 0);
    assert_eq!(host.resume(&thread.user_ref()), Ok(1));
    thread.join(LONG).unwrap();
    assert_eq!(host.resume(&thread.user_ref()), Ok(0));
    assert_eq!(count(&ran), 1);
}

/// A thread that executes steps in the driver, one of which sets the event 1. That has happened.
fn waits_in_driver(
    main: &UserThread<'_>,
    file: &Arc<File>,
    steps: Vec<Step>,
) -> (UserHandle, Arc<AtomicU64>) {
    call(main, file, &[Step::Initialize(0), Step::Initialize(1)]).unwrap();
    call(main, file, &[Step::Initialize(2)]).unwrap();
    let (own, ended) = (Arc::clone(file), Arc::new(AtomicU64::new(0)));
    let told = Arc::clone(&ended);
    let thread = main.spawn("waiter", move |thread| {
        if let Ok(results) = call(thread, &own, &steps) {
            told.store(1 + results.iter().sum::<u64>(), Ordering::SeqCst);
        }
    });
    call(main, file, &[wait(1, false, false, 10_000)]).unwrap();
    (thread.unwrap(), ended)
}

#[test]
fn suspension_reaches_a_thread_in_the_drivers_wait() {
    with_driver(|main, file| {
        let (waiter, ended) = waits_in_driver(
            main,
            file,
            vec![Step::Set(1), wait(0, false, false, 10_000)],
        );
        assert_eq!(main.suspend(&waiter.user_ref()), Ok(0));
        main.sleep(20, false).unwrap();
        call(main, file, &[Step::Set(0)]).unwrap();
        assert!(!main.join(&waiter, SHORT).unwrap());
        assert_eq!(count(&ended), 0);
        assert_eq!(main.resume(&waiter.user_ref()), Ok(1));
        assert!(main.join(&waiter, LONG).unwrap());
        assert_eq!(count(&ended), 1, "the wait was satisfied");
    });
}

#[test]
fn a_region_defers_suspension() {
    for enter in [Step::Critical as fn(bool) -> Step, Step::Guarded] {
        with_driver(move |main, file| {
            let steps = vec![
                enter(true),
                Step::Set(1),
                wait(0, false, false, 10_000),
                Step::Set(2),
                enter(false),
            ];
            let (waiter, ended) = waits_in_driver(main, file, steps);
            assert_eq!(main.suspend(&waiter.user_ref()), Ok(0));
            main.sleep(20, false).unwrap();
            // It goes on to the leave, and stops there.
            let reached = [Step::Set(0), wait(2, false, false, 10_000)];
            assert_eq!(call(main, file, &reached).unwrap()[1], 0);
            assert!(!main.join(&waiter, SHORT).unwrap());
            assert_eq!(count(&ended), 0);
            assert_eq!(main.resume(&waiter.user_ref()), Ok(1));
            assert!(main.join(&waiter, LONG).unwrap());
            assert_eq!(count(&ended), 1);
        });
    }
}

/// Holds a request of this thread, whose event has been set before.
fn held(main: &UserThread<'_>, file: &File) -> (apclab_host::Pending, UserEvent) {
    let event = main.create_event().unwrap();
    main.set(&event).unwrap();
    let input = hold(How::Properly);
    let pending = main.start_ioctl(file, wdm::code::HOLD, &input, 0, &event);
    let pending = pending.unwrap();
    assert_eq!(pending.done().unwrap(), None);
    (pending, event)
}

fn handle(event: &UserEvent) -> u32 {
    u32::try_from(event.handle()).unwrap()
}

#[test]
fn a_request_resets_its_event_and_the_completion_sets_it() {
    let seen = with_driver(|main, file| {
        let (pending, event) = held(main, file);
        let state = Step::State(handle(&event));
        let before = main.wait(&event, Duration::ZERO).unwrap();
        // To the thread itself, it comes at once.
        let results = call(main, file, &[state, Step::Complete, state]).unwrap();
        let done = pending.done().unwrap().unwrap();
        (
            before,
            results,
            done.0.status,
            main.wait(&event, LONG).unwrap(),
        )
    });
    assert_eq!(seen, (false, vec![0, 1, 1], 0, true));
}

#[test]
fn a_guarded_region_defers_a_completion_and_a_critical_region_does_not() {
    for (enter, inside) in [(Step::Critical as fn(bool) -> Step, 1), (Step::Guarded, 0)] {
        let seen = with_driver(move |main, file| {
            call(main, file, &[Step::Initialize(0), Step::Initialize(1)]).unwrap();
            let own = Arc::clone(file);
            let other = main.spawn("other", move |thread| {
                let steps = [wait(0, false, false, 10_000), Step::Complete, Step::Set(1)];
                assert_eq!(call(thread, &own, &steps).unwrap()[1], 1);
            });
            let other = other.unwrap();
            let (pending, event) = held(main, file);
            let state = Step::State(handle(&event));
            let steps = [
                enter(true),
                Step::Set(0),
                wait(1, false, false, 10_000),
                state,
                enter(false),
                state,
            ];
            let results = call(main, file, &steps).unwrap();
            assert!(main.join(&other, LONG).unwrap());
            assert!(pending.done().unwrap().is_some());
            (results[3], results[5])
        });
        assert_eq!(seen, (inside, 1));
    }
}

#[test]
fn a_completion_runs_in_a_suspended_thread() {
    with_driver(|main, file| {
        let (own, event) = (Arc::clone(file), main.create_event().unwrap());
        let started = main.create_event().unwrap();
        let (of_request, of_start) = (event.clone(), started.clone());
        let other = main.spawn("other", move |thread| {
            let input = hold(How::Properly);
            let pending = thread.start_ioctl(&own, wdm::code::HOLD, &input, 0, &of_request);
            thread.set(&of_start).unwrap();
            assert_eq!(thread.suspend(&thread.user_ref()), Ok(0));
            assert!(pending.unwrap().done().unwrap().is_some());
        });
        let other = other.unwrap();
        assert!(main.wait(&started, LONG).unwrap());
        main.sleep(20, false).unwrap();
        assert_eq!(call(main, file, &[Step::Complete]).unwrap(), [1]);
        assert!(main.wait(&event, LONG).unwrap());
        assert!(!main.join(&other, SHORT).unwrap());
        assert_eq!(main.resume(&other.user_ref()), Ok(1));
        assert!(main.join(&other, LONG).unwrap());
    });
}

#[test]
fn a_thread_that_ends_cancels_its_requests_and_waits_for_them() {
    with_driver(|main, file| {
        let own = Arc::clone(file);
        let other = main.spawn("other", move |thread| drop(held(thread, &own)));
        let other = other.unwrap();
        assert!(!main.join(&other, SHORT).unwrap());
        let steps = [Step::Cancelled, Step::Complete];
        assert_eq!(call(main, file, &steps).unwrap(), [1, 1]);
        assert!(main.join(&other, LONG).unwrap());
    });
}

#[test]
fn requests_that_go_to_the_queue_are_completed_by_an_apc_as_well() {
    with_driver(|main, file| {
        let mut output = [0; 8];
        let input = 7_u64.to_le_bytes();
        let completion = main.ioctl(file, code::ECHO, &input, &mut output).unwrap();
        assert_eq!(
            (completion.status, completion.information, output),
            (7, 8, input)
        );
        let event = main.create_event().unwrap();
        let kept = main.start_ioctl(file, code::KEEP, &[], 0, &event).unwrap();
        main.cancel(&kept).unwrap();
        assert!(main.wait(&event, LONG).unwrap());
        let (completion, _) = kept.done().unwrap().unwrap();
        assert_eq!(completion.status.cast_unsigned(), 0xC000_0120);
    });
}

#[test]
fn a_region_that_a_request_leaves_is_seen_at_the_return_to_user_mode() {
    let fixture = Fixture::new();
    let host = fixture.start();
    let file = Arc::new(host.open().unwrap());
    let sent = run(&host, &file, |main, file| {
        main.ioctl(file, code::LEAK_REGION, &[], &mut []).map(drop)
    });
    let (code, _, _, text) = bug_check(sent);
    assert_eq!(code, 0x1, "{text}");
}

#[test]
fn a_critical_section_is_one_threads_at_a_time() {
    let seen = with_driver(|main, _| {
        let section = main.critical_section().unwrap();
        main.enter(&section).unwrap();
        assert_eq!(main.try_enter(&section), Ok(true), "recursive");
        let inside = Arc::new(AtomicU64::new(0));
        let (other, told) = (section.clone(), Arc::clone(&inside));
        let thread = main.spawn("other", move |thread| {
            assert_eq!(thread.try_enter(&other), Ok(false));
            assert_eq!(thread.leave(&other), Ok(false));
            thread.enter(&other).unwrap();
            told.fetch_add(1, Ordering::SeqCst);
            assert_eq!(thread.leave(&other), Ok(true));
        });
        let thread = thread.unwrap();
        assert!(!main.join(&thread, SHORT).unwrap());
        assert_eq!(main.leave(&section), Ok(true));
        assert!(!main.join(&thread, SHORT).unwrap());
        let before = count(&inside);
        assert_eq!(main.leave(&section), Ok(true));
        assert!(main.join(&thread, LONG).unwrap());
        (before, count(&inside))
    });
    assert_eq!(seen, (0, 1));
}

#[test]
fn a_critical_section_of_a_suspended_thread_is_no_deadlock() {
    with_driver(|main, _| {
        let section = main.critical_section().unwrap();
        let entered = main.create_event().unwrap();
        let (own, told) = (section.clone(), entered.clone());
        let owner = main.spawn("owner", move |thread| {
            thread.enter(&own).unwrap();
            thread.set(&told).unwrap();
            thread.suspend(&thread.user_ref()).unwrap();
            thread.leave(&own).unwrap();
        });
        let (owner, own) = (owner.unwrap(), section.clone());
        assert!(main.wait(&entered, LONG).unwrap());
        let waiter = main.spawn("waiter", move |thread| {
            thread.enter(&own).unwrap();
            thread.leave(&own).unwrap();
        });
        let waiter = waiter.unwrap();
        assert!(!main.join(&waiter, SHORT).unwrap());
        assert_eq!(main.resume(&owner.user_ref()), Ok(1));
        assert!(main.join(&waiter, LONG).unwrap());
        assert!(main.join(&owner, LONG).unwrap());
    });
}

#[test]
fn critical_sections_in_opposite_order_are_a_deadlock() {
    let fixture = Fixture::new();
    let host = fixture.start();
    let file = Arc::new(host.open().unwrap());
    let ended = run(&host, &file, |main, _| {
        let sections = [
            main.critical_section().unwrap(),
            main.critical_section().unwrap(),
        ];
        let entered = [main.create_event().unwrap(), main.create_event().unwrap()];
        let threads = [(0, 1), (1, 0)].map(|(first, second)| {
            let (sections, entered) = (sections.clone(), entered.clone());
            let program = move |thread: &UserThread<'_>| {
                let both = thread
                    .enter(&sections[first])
                    .and_then(|()| thread.set(&entered[first]))
                    .and_then(|()| thread.wait(&entered[second], LONG))
                    .and_then(|_| thread.enter(&sections[second]));
                assert!(matches!(both, Err(HostError::Deadlock(_))), "{both:?}");
            };
            main.spawn("thread", program).unwrap()
        });
        threads.map(|thread| main.join(&thread, LONG))
    });
    let Err(HostError::Deadlock(report)) = ended else {
        panic!("a deadlock, not {ended:?}")
    };
    assert!(
        report.to_string().contains("critical section 1"),
        "{report}"
    );
}

type Program = Box<dyn FnOnce(&UserThread<'_>) + Send>;

#[test]
fn a_machine_can_be_dropped_whatever_its_user_threads_do() {
    let fixture = Fixture::new();
    let host = start(&fixture);
    let file = Arc::new(host.open().unwrap());
    let own = Arc::clone(&file);
    let parked = Arc::new(AtomicU64::new(0));
    let told = Arc::clone(&parked);
    let main = host.spawn_user(&file, "main", move |main| {
        let section = main.critical_section().unwrap();
        main.enter(&section).unwrap();
        let event = main.create_event().unwrap();
        let (waits, enters) = (event.clone(), section.clone());
        let programs: [Program; 4] = [
            Box::new(|thread| drop(thread.suspend(&thread.user_ref()))),
            Box::new(move |thread| drop(thread.wait(&waits, LONG))),
            Box::new(move |thread| drop(thread.enter(&enters))),
            Box::new(move |thread| {
                let steps = [Step::Initialize(0), wait(0, true, true, 60_000)];
                drop(call(thread, &own, &steps));
            }),
        ];
        for program in programs {
            main.spawn("parked", program).unwrap();
        }
        told.fetch_add(1, Ordering::SeqCst);
        drop(main.sleep(60_000, true));
    });
    let main = main.unwrap();
    let begun = Instant::now();
    while count(&parked) == 0 && begun.elapsed() < LONG {
        std::thread::yield_now();
    }
    std::thread::sleep(SHORT);
    let begun = Instant::now();
    drop(host);
    assert!(
        begun.elapsed() < Duration::from_secs(1),
        "they have all gone"
    );
    assert!(matches!(main.join(LONG), Ok(()) | Err(HostError::Off)));
}

#[test]
fn a_program_that_panics_stops_the_machine() {
    let fixture = Fixture::new();
    let host = fixture.start();
    let file = Arc::new(host.open().unwrap());
    let ended = run(&host, &file, |_, _| panic!("as it is to"));
    let (code, _, _, text) = bug_check(ended);
    assert_eq!(code, 0xDEAD_0057);
    assert!(text.contains("as it is to"), "{text}");
}
