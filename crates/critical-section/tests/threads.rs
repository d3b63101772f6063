//! Several threads at one critical section.
#![cfg(windows)]

use std::cell::Cell;
use std::error::Error;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc;
use std::sync::{Barrier, LazyLock};
use std::thread;
use std::time::Duration;

use apclab_critical_section::{
    CriticalMutex, CriticalSection, NotOwner, Options, RawCriticalSection,
};

type Outcome = Result<(), Box<dyn Error>>;

const THREADS: u32 = 16;
const ROUNDS: u32 = 1_000;

fn kinds() -> Result<[Options; 4], Box<dyn Error>> {
    let plain = Options::new();
    Ok([
        plain,
        plain.spin_count(0)?,
        plain.spin_count(4_000)?.no_debug_info(),
        plain.no_debug_info(),
    ])
}

#[test]
fn no_addition_is_lost_in_the_mutex() -> Outcome {
    for options in kinds()? {
        let total = CriticalMutex::with_options(0, options)?;
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for _ in 0..ROUNDS {
                        let mut total = total.enter().expect("entered once");
                        let before = *total;
                        // Others get their chance to come in between.
                        std::hint::spin_loop();
                        *total = before + 1;
                    }
                });
            }
        });
        assert_eq!(total.into_inner(), THREADS * ROUNDS);
    }
    Ok(())
}

#[test]
fn no_addition_is_lost_in_the_section_however_deep() -> Outcome {
    for options in kinds()? {
        let total = CriticalSection::with_options(Cell::new(0), options)?;
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let total = &total;
                scope.spawn(move || {
                    for round in 0..ROUNDS {
                        let deep = 1 + (round + thread) % 5;
                        let guards: Vec<_> = (0..deep)
                            .map(|_| total.enter().expect("not too deep"))
                            .collect();
                        let innermost = guards.last().expect("at least one");
                        assert_eq!(innermost.depth(), deep);
                        assert_eq!(total.depth(), deep);
                        let before = innermost.get();
                        drop(guards);
                        total
                            .with(|total| total.set(total.get() + 1))
                            .expect("entered");
                        assert!(total.with(Cell::get).expect("entered") > before);
                        assert_eq!(total.depth(), 0);
                    }
                });
            }
        });
        assert_eq!(total.into_inner().get(), THREADS * ROUNDS);
    }
    Ok(())
}

#[test]
fn one_thread_at_a_time_is_inside() -> Outcome {
    let section = RawCriticalSection::new()?;
    let inside = AtomicU32::new(0);
    let entries = AtomicU32::new(0);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (section, inside, entries) = (&section, &inside, &entries);
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    if (thread + round) % 2 == 0 {
                        assert_eq!(section.enter(), Ok(1));
                    } else if section.try_enter().expect("not abandoned").is_none() {
                        continue;
                    }
                    assert_eq!(inside.fetch_add(1, Ordering::Relaxed), 0);
                    entries.fetch_add(1, Ordering::Relaxed);
                    assert_eq!(section.try_enter(), Ok(Some(2)));
                    assert_eq!(section.leave(), Ok(1));
                    assert_eq!(inside.fetch_sub(1, Ordering::Relaxed), 1);
                    assert_eq!(section.leave(), Ok(0));
                }
            });
        }
    });
    assert!(entries.into_inner() >= THREADS * ROUNDS / 2);
    assert!(section.delete().is_ok());
    Ok(())
}

#[test]
fn a_thread_waits_until_the_owner_leaves_for_the_last_time() -> Outcome {
    let section = CriticalSection::new(Cell::new(0))?;
    let left = AtomicBool::new(false);
    let ready = Barrier::new(2);
    let (outer, inner) = (section.enter()?, section.enter()?);
    thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            assert!(section.try_enter().expect("not abandoned").is_none());
            ready.wait();
            let guard = section.enter().expect("not abandoned");
            assert!(left.load(Ordering::SeqCst), "let in while it was owned");
            guard.set(guard.get() + 1);
            guard.depth()
        });
        ready.wait();
        drop(outer);
        // Time for the waiter to come in too early.
        thread::sleep(Duration::from_millis(50));
        assert!(!waiter.is_finished());
        left.store(true, Ordering::SeqCst);
        drop(inner);
        assert_eq!(waiter.join().expect("it was not let in too early"), 1);
    });
    assert_eq!(section.into_inner().get(), 1);
    Ok(())
}

#[test]
fn only_the_owner_leaves() -> Outcome {
    let section = RawCriticalSection::new()?;
    assert_eq!(section.leave(), Err(NotOwner));
    assert_eq!(section.enter(), Ok(1));
    thread::scope(|scope| {
        let stranger = scope.spawn(|| (section.depth(), section.leave(), section.try_enter()));
        let stranger = stranger.join().expect("it does not panic");
        assert_eq!(stranger, (0, Err(NotOwner), Ok(None)));
    });
    assert_eq!((section.depth(), section.leave()), (1, Ok(0)));
    assert_eq!(section.leave(), Err(NotOwner));
    // And the thread that was refused can still enter.
    thread::scope(|scope| {
        let stranger = scope.spawn(|| (section.enter(), section.leave()));
        assert_eq!(stranger.join().expect("no panic"), (Ok(1), Ok(0)));
    });
    Ok(())
}

#[test]
fn the_spin_count_changes_while_threads_use_the_mutex() -> Outcome {
    let total = CriticalMutex::with_options(0, Options::new().spin_count(17)?)?;
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..ROUNDS {
                    total.with(|total| *total += 1).expect("entered once");
                }
            });
        }
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                for count in [0, 1, 4_000, apclab_critical_section::MAX_SPIN_COUNT] {
                    total.set_spin_count(count).expect("small enough");
                }
                thread::yield_now();
            }
        });
        while total.with(|total| *total).expect("entered once") < 4 * ROUNDS {
            thread::yield_now();
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(total.set_spin_count(u32::MAX).is_err());
    assert_eq!(total.into_inner(), 4 * ROUNDS);
    Ok(())
}

#[test]
fn a_static_is_made_when_it_is_first_used() -> Outcome {
    static TOTAL: LazyLock<CriticalMutex<u32>> =
        LazyLock::new(|| CriticalMutex::new(0).expect("the system makes critical sections"));
    let (sender, receiver) = mpsc::channel();
    for _ in 0..THREADS {
        let sender = sender.clone();
        thread::spawn(move || sender.send(TOTAL.with(|total| *total += 1)));
    }
    for _ in 0..THREADS {
        receiver.recv_timeout(Duration::from_mins(1))??;
    }
    assert_eq!(TOTAL.with(|total| *total)?, THREADS);
    Ok(())
}
