//! Random histories of several threads, compared with what a critical section is: an owner and a count.
#![cfg(windows)]

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::{iter, sync::Arc};

use apclab_critical_section::{CriticalSection, Entered, NotOwner, Options, RawCriticalSection};
use proptest::prelude::*;

const THREADS: usize = 3;

#[derive(Clone, Copy, Debug)]
enum Step {
    Enter,
    TryEnter,
    Leave,
    Depth,
    SpinCount(u32),
}

/// What a step said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Entered(u32),
    Busy,
    Left(Result<u32, NotOwner>),
    Depth(u32),
    Set,
}

/// What a critical section is.
#[derive(Default)]
struct Rule {
    owner: usize,
    depth: u32,
}

impl Rule {
    /// What `thread` must be told, or `None` where it would wait for ever: this history goes on without.
    fn step(&mut self, thread: usize, step: Step) -> Option<Said> {
        let owns = self.depth > 0 && self.owner == thread;
        Some(match step {
            Step::Enter | Step::TryEnter if owns || self.depth == 0 => {
                self.owner = thread;
                self.depth += 1;
                Said::Entered(self.depth)
            }
            Step::Enter => return None,
            Step::TryEnter => Said::Busy,
            Step::Leave if owns => {
                self.depth -= 1;
                Said::Left(Ok(self.depth))
            }
            Step::Leave => Said::Left(Err(NotOwner)),
            Step::Depth => Said::Depth(if owns { self.depth } else { 0 }),
            Step::SpinCount(_) => Said::Set,
        })
    }
}

fn execute(section: &RawCriticalSection, step: Step) -> Said {
    match step {
        Step::Enter => Said::Entered(section.enter().expect("not abandoned")),
        Step::TryEnter => match section.try_enter().expect("not abandoned") {
            Some(depth) => Said::Entered(depth),
            None => Said::Busy,
        },
        Step::Leave => Said::Left(section.leave()),
        Step::Depth => Said::Depth(section.depth()),
        Step::SpinCount(count) => {
            section.set_spin_count(count).expect("small enough");
            Said::Set
        }
    }
}

/// A thread that does one step at a time.
struct Worker {
    steps: Sender<Step>,
    said: Receiver<Said>,
    thread: JoinHandle<()>,
}

impl Worker {
    fn start(section: Arc<RawCriticalSection>) -> Self {
        let (steps, to_do) = channel();
        let (answers, said) = channel();
        let thread = thread::spawn(move || {
            for step in to_do {
                if answers.send(execute(&section, step)).is_err() {
                    return;
                }
            }
        });
        Self {
            steps,
            said,
            thread,
        }
    }
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Enter),
        3 => Just(Step::TryEnter),
        5 => Just(Step::Leave),
        1 => Just(Step::Depth),
        1 => (0..10_000_u32).prop_map(Step::SpinCount),
    ]
}

fn any_options() -> impl Strategy<Value = Options> {
    (proptest::option::of(0..5_000_u32), any::<bool>()).prop_map(|(count, no_debug_info)| {
        let options = match count {
            Some(count) => Options::new().spin_count(count).expect("small enough"),
            None => Options::new(),
        };
        if no_debug_info {
            options.no_debug_info()
        } else {
            options
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_history_is_that_of_an_owner_and_a_count(
        options in any_options(),
        steps in proptest::collection::vec((0..THREADS, any_step()), 0..60),
    ) {
        let section = Arc::new(RawCriticalSection::with_options(options).expect("made"));
        let workers: Vec<_> = iter::repeat_with(|| Worker::start(Arc::clone(&section)))
            .take(THREADS)
            .collect();
        let mut rule = Rule::default();
        for (thread, step) in steps {
            let Some(expected) = rule.step(thread, step) else { continue };
            workers[thread].steps.send(step).expect("the worker runs");
            let said = workers[thread].said.recv().expect("the worker runs");
            prop_assert_eq!(said, expected, "thread {} at {:?}", thread, step);
        }
        for worker in workers {
            drop(worker.steps);
            worker.thread.join().expect("the worker does not panic");
        }
        let section = Arc::into_inner(section).expect("the only one");
        prop_assert_eq!(section.delete().is_ok(), rule.depth == 0);
    }

    #[test]
    fn guards_may_be_dropped_in_any_order(order in proptest::collection::vec(any::<u8>(), 1..12)) {
        let section = CriticalSection::new(()).expect("made");
        let mut guards: Vec<Entered<'_, ()>> =
            order.iter().map(|_| section.enter().expect("not too deep")).collect();
        for choice in order {
            prop_assert_eq!(section.depth() as usize, guards.len());
            drop(guards.swap_remove(usize::from(choice) % guards.len()));
        }
        prop_assert_eq!(section.depth(), 0);
        let other = thread::scope(|scope| {
            let other = scope.spawn(|| section.try_enter().expect("not abandoned").is_some());
            other.join().expect("it does not panic")
        });
        prop_assert!(other, "one of the guards did not leave");
    }
}
