//! Random histories of several threads against a sequential specification, and every order of small ones.
#![allow(unsafe_code, reason = "the tests are the roots of the IRQL witnesses")]

mod actors;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex};

use actors::{ACTORS, play};
use apclab_guards::testing::{every_interleaving, threads};
use apclab_guards::{
    CriticalRegion, FastMutex, KMutex, Mode, Passive, PushLock, Refused, Resource,
    ResourceExclusive, ResourceShared, critical,
};
use proptest::prelude::*;

/// What an actor is told to do.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    Try(Mode),
    /// Drops one of its guards, by this number modulo how many it has.
    Release(usize),
    Downgrade,
}

/// What came of it: what it saw of the data, or why it was refused. `None`: there was nothing to do.
type Answer = Option<Result<u32, Refused>>;

/// The specification: who holds the resource how, and the data. There are no waiters.
#[derive(Debug, Default)]
struct Spec {
    exclusive: Option<usize>,
    shared: [usize; ACTORS],
    data: u32,
}

impl Spec {
    fn step(&mut self, actor: usize, step: Step) -> Answer {
        match step {
            Step::Try(_) if self.exclusive == Some(actor) => Some(Err(Refused::Recursive)),
            Step::Try(Mode::Exclusive) if self.shared[actor] > 0 => Some(Err(Refused::Upgrade)),
            Step::Try(_) if self.exclusive.is_some() => Some(Err(Refused::Busy)),
            Step::Try(Mode::Exclusive) if self.shared.iter().any(|&count| count > 0) => {
                Some(Err(Refused::Busy))
            }
            Step::Try(Mode::Exclusive) => {
                self.exclusive = Some(actor);
                self.data += 1;
                Some(Ok(self.data))
            }
            Step::Try(_) => {
                self.shared[actor] += 1;
                Some(Ok(self.data))
            }
            Step::Release(_) if self.exclusive == Some(actor) => {
                self.exclusive = None;
                None
            }
            Step::Release(_) => {
                self.shared[actor] = self.shared[actor].saturating_sub(1);
                None
            }
            Step::Downgrade if self.exclusive == Some(actor) => {
                self.exclusive = None;
                self.shared[actor] = 1;
                Some(Ok(self.data))
            }
            Step::Downgrade => None,
        }
    }
}

/// Performs what it is told on the guards, in a region of its own.
fn act(
    irql: &mut Passive,
    resource: &Resource<u32>,
    steps: &Receiver<Step>,
    answers: &Sender<Answer>,
) {
    let region = CriticalRegion::enter(irql);
    let mut exclusive: Option<ResourceExclusive<'_, u32>> = None;
    let mut shared: Vec<ResourceShared<'_, u32>> = Vec::new();
    for step in steps {
        let answer = match step {
            Step::Try(Mode::Exclusive) => {
                Some(resource.try_exclusive(irql, &region).map(|mut guard| {
                    *guard += 1;
                    let seen = *guard;
                    exclusive = Some(guard);
                    seen
                }))
            }
            Step::Try(mode) => {
                let guard = match mode {
                    Mode::Shared => resource.try_shared(irql, &region),
                    Mode::SharedStarveExclusive => {
                        resource.try_shared_starve_exclusive(irql, &region)
                    }
                    _ => resource.try_shared_wait_for_exclusive(irql, &region),
                };
                Some(guard.map(|guard| {
                    let seen = *guard;
                    shared.push(guard);
                    seen
                }))
            }
            Step::Release(number) => {
                if exclusive.take().is_none() && !shared.is_empty() {
                    drop(shared.swap_remove(number % shared.len()));
                }
                None
            }
            Step::Downgrade => exclusive.take().map(|guard| {
                let guard = guard.downgrade(irql);
                let seen = *guard;
                shared.push(guard);
                Ok(seen)
            }),
        };
        answers.send(answer).unwrap();
    }
}

fn steps() -> impl Strategy<Value = Vec<(usize, Step)>> {
    let mode = prop_oneof![
        Just(Mode::Exclusive),
        Just(Mode::Shared),
        Just(Mode::SharedStarveExclusive),
        Just(Mode::SharedWaitForExclusive),
    ];
    let step = prop_oneof![
        4 => mode.prop_map(Step::Try),
        3 => (0_usize..8).prop_map(Step::Release),
        1 => Just(Step::Downgrade),
    ];
    proptest::collection::vec((0..ACTORS, step), 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_resource_does_what_its_specification_says(history in steps()) {
        let resource = Resource::try_new(0).unwrap();
        let mut spec = Spec::default();
        let mismatch = play(
            &history,
            |_, irql, steps, answers| act(irql, &resource, steps, answers),
            |actor, step| spec.step(actor, step),
        );
        prop_assert_eq!(mismatch, None);
    }
}

/// Runs two threads of so many sections each in every order, and checks that none is lost.
fn no_section_is_lost<L: Sync>(
    sections: u32,
    make: impl Fn() -> L,
    section: impl Fn(&L, &mut Passive) + Sync,
    value: impl Fn(&L, &mut Passive) -> u32 + Sync,
) -> usize {
    every_interleaving(|| {
        let lock = make();
        let main = |irql: &mut Passive| {
            for _ in 0..sections {
                section(&lock, irql);
            }
        };
        threads(&[&main, &main]);
        // SAFETY: this thread runs at PASSIVE_LEVEL, and its only token is this.
        let mut irql = unsafe { Passive::assume() };
        assert_eq!(value(&lock, &mut irql), 2 * sections);
    })
}

#[test]
fn every_order_of_two_threads_keeps_the_sum() {
    let orders = no_section_is_lost(
        1,
        || Resource::try_new(0).unwrap(),
        |lock, irql| lock.with_exclusive(irql, |sum, _, _| *sum += 1).unwrap(),
        |lock, irql| lock.with_shared(irql, |sum, _, _| *sum).unwrap(),
    );
    assert!(orders > 10, "{orders} orders");
    let orders = no_section_is_lost(
        2,
        || FastMutex::try_new(0).unwrap(),
        |lock, irql| lock.with(irql, |sum, _| *sum += 1),
        |lock, irql| lock.with(irql, |sum, _| *sum),
    );
    assert!(orders > 10, "{orders} orders");
    let orders = no_section_is_lost(
        2,
        || KMutex::try_new(0).unwrap(),
        |lock, irql| lock.with(irql, |sum, _, _| *sum += 1).unwrap(),
        |lock, irql| lock.with(irql, |sum, _, _| *sum).unwrap(),
    );
    assert!(orders > 10, "{orders} orders");
    let orders = no_section_is_lost(
        1,
        || PushLock::try_new(0).unwrap(),
        |lock, irql| lock.with_exclusive(irql, |sum, _, _| *sum += 1),
        |lock, irql| lock.with_shared(irql, |sum, _, _| *sum),
    );
    assert!(orders > 10, "{orders} orders");
}

#[test]
fn every_order_of_a_try_gives_the_lock_or_busy() {
    let seen = Arc::new(Mutex::new(std::collections::BTreeSet::new()));
    every_interleaving(|| {
        let resource = Resource::try_new(()).unwrap();
        let outcome = Mutex::new(None);
        let holder = |irql: &mut Passive| {
            resource.with_exclusive(irql, |(), _, _| ()).unwrap();
        };
        let other = |irql: &mut Passive| {
            critical(irql, |irql, region| {
                *outcome.lock().unwrap() = Some(resource.try_shared(irql, region).is_ok());
            });
        };
        threads(&[&holder, &other]);
        seen.lock()
            .unwrap()
            .insert(outcome.into_inner().unwrap().unwrap());
    });
    assert_eq!(
        seen.lock().unwrap().len(),
        2,
        "some orders succeed, some are busy"
    );
}

#[test]
fn every_order_of_two_locks_taken_crosswise_finds_the_deadlock() {
    let crosswise = || {
        let (one, two) = (
            FastMutex::try_new(()).unwrap(),
            FastMutex::try_new(()).unwrap(),
        );
        let first = |irql: &mut Passive| one.with(irql, |(), irql| two.with(irql, |(), _| ()));
        let second = |irql: &mut Passive| two.with(irql, |(), irql| one.with(irql, |(), _| ()));
        threads(&[&first, &second]);
    };
    let found = catch_unwind(AssertUnwindSafe(|| every_interleaving(crosswise)));
    let message = found.unwrap_err();
    let message = message.downcast_ref::<&str>().copied().unwrap_or_default();
    assert!(message.contains("deadlock"), "{message}");
}
