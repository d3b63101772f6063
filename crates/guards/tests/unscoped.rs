//! Acquires and releases that no scope pairs: counted by the test, in any order.
#![allow(
    unsafe_code,
    reason = "the tests are the roots of the IRQL witnesses, and count for themselves"
)]

mod actors;

use std::mem::{forget, take};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender};

use actors::{ACTORS, play};
use apclab_guards::testing::{counters, every_interleaving, threads};
use apclab_guards::{
    CriticalRegion, EnterMode, HeldAs, Mode, NotExclusive, Passive, PushLock, PushLockMode,
    ReentrantResource, Resource, ResourceOwner, StillOwned,
};
use proptest::prelude::*;

fn passive() -> Passive {
    // SAFETY: each test thread begins at PASSIVE_LEVEL in the model and makes one token.
    unsafe { Passive::assume() }
}

fn depth() -> i16 {
    counters().kernel
}

/// The sentence of the bug check that this ends in.
fn bug_check(main: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(main)).unwrap_err();
    panic.downcast_ref::<String>().cloned().unwrap_or_default()
}

#[test]
fn what_is_acquired_is_released_in_any_order() {
    let one = ReentrantResource::try_new(()).unwrap();
    let two = ReentrantResource::try_new(()).unwrap();
    let irql = passive();
    let region = CriticalRegion::enter(&irql);
    // SAFETY: released below, inside the region.
    assert!(unsafe { one.acquire_unscoped(Mode::Exclusive, true, &irql) });
    // SAFETY: as above.
    assert!(unsafe { two.acquire_unscoped(Mode::Shared, false, &irql) });
    // SAFETY: as above.
    assert!(unsafe { one.acquire_unscoped(Mode::SharedWaitForExclusive, false, &irql) });
    // SAFETY: acquired above, as the two below.
    unsafe { one.release_unscoped(&irql) };
    assert_eq!(one.held(), HeldAs::Exclusive(1));
    // SAFETY: exclusive, as the line above says.
    unsafe { one.convert_unscoped(&irql) };
    assert_eq!(one.held(), HeldAs::Shared(1));
    assert_eq!(one.convert(&irql), Err(NotExclusive));
    // SAFETY: a sharer; without waiting it is refused by the kernel.
    assert!(!unsafe { one.acquire_unscoped(Mode::Exclusive, false, &irql) });
    // SAFETY: acquired above.
    unsafe { one.release_unscoped(&irql) };
    // SAFETY: acquired above.
    unsafe { two.release_unscoped(&irql) };
    drop(region);
    assert_eq!((one.held(), two.held()), (HeldAs::Not, HeldAs::Not));
}

#[test]
fn combined_and_single_calls_mix() {
    let resource = ReentrantResource::try_new(()).unwrap();
    let irql = passive();
    // SAFETY: released below, and the region left after it.
    unsafe { resource.enter_acquire_unscoped(EnterMode::Exclusive, &irql) };
    assert_eq!((depth(), resource.acquired_exclusive()), (-1, true));
    // SAFETY: acquired above.
    unsafe { resource.release_unscoped(&irql) };
    assert_eq!((depth(), resource.acquired_count()), (-1, 0));
    // SAFETY: released below, in the region that is still open.
    assert!(unsafe { resource.acquire_unscoped(Mode::Shared, true, &irql) });
    // SAFETY: acquired above; the region of the combined call has no guard.
    unsafe { resource.release_leave_unscoped(&irql) };
    assert_eq!((depth(), resource.acquired_count()), (0, 0));
    forget(CriticalRegion::enter(&irql));
    // SAFETY: both regions are left below, without guards.
    unsafe { resource.enter_acquire_unscoped(EnterMode::SharedWaitForExclusive, &irql) };
    // SAFETY: acquired above, in a region without a guard.
    unsafe { resource.release_leave_unscoped(&irql) };
    // SAFETY: the guard was forgotten.
    drop(unsafe { CriticalRegion::assume_entered() });
    assert_eq!(depth(), 0);
}

#[test]
fn what_was_handed_over_belongs_to_no_thread_and_any_thread_releases_it() {
    let resource = ReentrantResource::try_new(()).unwrap();
    let owner = ResourceOwner::new();
    let main = |irql: &mut Passive| {
        let region = CriticalRegion::enter(irql);
        for _ in 0..2 {
            // SAFETY: handed over below, and released for the owner by the thread after this.
            assert!(unsafe { resource.acquire_unscoped(Mode::Exclusive, true, irql) });
        }
        // SAFETY: acquired unscoped; the owner outlives both threads.
        unsafe { resource.hand_over_unscoped(&owner, irql) };
        assert_eq!(resource.held(), HeldAs::Not);
        assert!(resource.try_acquire(Mode::Shared, irql, &region).is_err());
    };
    threads(&[&main]);
    let other = |irql: &mut Passive| {
        let region = CriticalRegion::enter(irql);
        for _ in 0..2 {
            assert!(resource.try_acquire(Mode::Shared, irql, &region).is_err());
            // SAFETY: handed over with two acquires.
            unsafe { resource.release_for_owner_unscoped(&owner, irql) };
        }
        assert!(resource.try_acquire(Mode::Exclusive, irql, &region).is_ok());
    };
    threads(&[&other]);
}

#[test]
fn every_order_around_a_hand_over_lets_the_waiter_in() {
    let orders = every_interleaving(|| {
        let resource = ReentrantResource::try_new(()).unwrap();
        let owner = ResourceOwner::new();
        let giver = |irql: &mut Passive| {
            // SAFETY: released for the owner below.
            unsafe { resource.enter_acquire_unscoped(EnterMode::Exclusive, irql) };
            // SAFETY: acquired unscoped; the owner lives longer.
            unsafe { resource.hand_over_unscoped(&owner, irql) };
            // SAFETY: handed over with one acquire.
            unsafe { resource.release_for_owner_unscoped(&owner, irql) };
            // SAFETY: the combined call's region.
            drop(unsafe { CriticalRegion::assume_entered() });
        };
        let waiter = |irql: &mut Passive| drop(resource.enter(EnterMode::Shared, irql).unwrap());
        threads(&[&giver, &waiter]);
    });
    assert!(orders > 10, "{orders} orders");
}

#[test]
fn reinitialising_asks_for_a_resource_that_nobody_has() {
    let mut resource = Resource::try_new(7).unwrap();
    let mut irql = passive();
    assert_eq!(Resource::reinitialize(&mut resource, &irql), Ok(()));
    assert_eq!(resource.with_shared(&mut irql, |value, _, _| *value), Ok(7));
    forget(resource.enter_shared(&irql).unwrap());
    assert_eq!(
        Resource::reinitialize(&mut resource, &irql),
        Err(StillOwned)
    );
    forget(resource);
    let resource = ReentrantResource::try_new(()).unwrap();
    // SAFETY: nobody has it.
    unsafe { resource.reinitialize_unscoped(&irql) };
    let guard = resource.enter(EnterMode::Shared, &irql).unwrap();
    // SAFETY: it is not sound, which the model has to say.
    let message = bug_check(|| unsafe { resource.reinitialize_unscoped(&irql) });
    assert!(message.contains("0xd0"), "{message}");
    drop(guard);
}

#[test]
fn the_model_sees_what_the_contracts_forbid() {
    let resource = ReentrantResource::try_new(()).unwrap();
    let push_lock = PushLock::try_new(()).unwrap();
    let irql = passive();
    let owner = ResourceOwner::new();
    let unproven = bug_check(|| {
        // SAFETY: none of these is sound: each contract says what is missing.
        unsafe { resource.acquire_unscoped(Mode::Shared, true, &irql) };
    });
    assert!(unproven.contains("0x37"), "{unproven}");
    // SAFETY: as above.
    let unproven = bug_check(|| unsafe { push_lock.acquire_unscoped(PushLockMode::Shared, &irql) });
    assert!(unproven.contains("0xea"), "{unproven}");
    let _region = CriticalRegion::enter(&irql);
    // SAFETY: as above.
    let unowned = bug_check(|| unsafe { resource.release_unscoped(&irql) });
    assert!(unowned.contains("0xe3"), "{unowned}");
    // SAFETY: as above.
    let unowned = bug_check(|| unsafe { resource.convert_unscoped(&irql) });
    assert!(unowned.contains("0xe3"), "{unowned}");
    // SAFETY: as above.
    let unowned = bug_check(|| unsafe { resource.hand_over_unscoped(&owner, &irql) });
    assert!(unowned.contains("0xe3"), "{unowned}");
    // SAFETY: as above.
    let unowned = bug_check(|| unsafe { resource.release_for_owner_unscoped(&owner, &irql) });
    assert!(unowned.contains("0xe3"), "{unowned}");
    // SAFETY: as above.
    let unheld =
        bug_check(|| unsafe { push_lock.release_unscoped(PushLockMode::Exclusive, &irql) });
    assert!(unheld.contains("0x162"), "{unheld}");
}

#[test]
fn push_locks_overlap_in_every_order() {
    let orders = every_interleaving(|| {
        let (one, two) = (
            PushLock::try_new(()).unwrap(),
            PushLock::try_new(()).unwrap(),
        );
        let sum = AtomicU32::new(0);
        let main = |irql: &mut Passive| {
            let region = CriticalRegion::enter(irql);
            // SAFETY: released below, inside the region, as the second is.
            unsafe { one.acquire_unscoped(PushLockMode::Exclusive, irql) };
            let before = sum.load(Relaxed);
            // SAFETY: as above.
            unsafe { two.acquire_unscoped(PushLockMode::Shared, irql) };
            sum.store(before + 1, Relaxed);
            // SAFETY: acquired above.
            unsafe { one.release_unscoped(PushLockMode::Exclusive, irql) };
            // SAFETY: acquired above.
            unsafe { two.release_unscoped(PushLockMode::Shared, irql) };
            drop(region);
        };
        let other = |irql: &mut Passive| {
            one.with_exclusive(irql, |(), _, _| sum.store(sum.load(Relaxed) + 1, Relaxed));
        };
        threads(&[&main, &other]);
        assert_eq!(sum.load(Relaxed), 2);
    });
    assert!(orders > 10, "{orders} orders");
}

/// What an actor is told to do with one resource. An actor that cannot does nothing.
#[derive(Clone, Copy, Debug)]
enum Step {
    Try(Mode),
    Release,
    Convert,
    HandOver,
    /// Releases once what the actor with this number handed over.
    ReleaseFor(usize),
}

/// Whether it was done, and how the actor holds the resource now.
type Answer = (bool, HeldAs);

/// The specification. There are no waiters.
#[derive(Debug, Default)]
struct Spec {
    /// Actors from 0 on, then their owners.
    exclusive: Option<usize>,
    count: [u32; 2 * ACTORS],
}

impl Spec {
    fn step(&mut self, actor: usize, step: Step) -> Answer {
        let own = self.exclusive == Some(actor);
        let others = self
            .count
            .iter()
            .enumerate()
            .any(|(index, &count)| index != actor && count > 0);
        let done = match step {
            Step::Try(_) if own => self.change(actor, 1),
            Step::Try(Mode::Exclusive) => {
                let free = !others && self.count[actor] == 0;
                if free {
                    self.exclusive = Some(actor);
                }
                free && self.change(actor, 1)
            }
            Step::Try(_) => self.exclusive.is_none() && self.change(actor, 1),
            Step::Release => self.change(actor, -1),
            Step::Convert => own && take(&mut self.exclusive).is_some(),
            Step::HandOver => {
                let count = take(&mut self.count[actor]);
                self.count[ACTORS + actor] += count;
                if own {
                    self.exclusive = Some(ACTORS + actor);
                }
                count > 0
            }
            Step::ReleaseFor(other) => self.change(ACTORS + other, -1),
        };
        let held = match self.count[actor] {
            0 => HeldAs::Not,
            count if self.exclusive == Some(actor) => HeldAs::Exclusive(count),
            count => HeldAs::Shared(count),
        };
        (done, held)
    }

    /// Changes a count; `false` when it would fall below 0.
    fn change(&mut self, who: usize, by: i32) -> bool {
        let Some(count) = self.count[who].checked_add_signed(by) else {
            return false;
        };
        self.count[who] = count;
        if count == 0 && self.exclusive == Some(who) {
            self.exclusive = None;
        }
        true
    }
}

/// What an actor handed over, shared by all.
#[derive(Default)]
struct Estates([(ResourceOwner, AtomicU32); ACTORS]);

/// Performs what it is told on the guards, in a region of its own, and counts.
fn act(
    irql: &mut Passive,
    number: usize,
    resource: &ReentrantResource<()>,
    estates: &Estates,
    steps: &Receiver<Step>,
    answers: &Sender<Answer>,
) {
    let region = CriticalRegion::enter(irql);
    let mut count = 0_u32;
    for step in steps {
        let done = match step {
            Step::Try(mode) => {
                // SAFETY: counted, and given back below at the latest.
                let acquired = unsafe { resource.acquire_unscoped(mode, false, irql) };
                count += u32::from(acquired);
                acquired
            }
            Step::Release if count > 0 => {
                count -= 1;
                // SAFETY: the count says so.
                unsafe { resource.release_unscoped(irql) };
                true
            }
            Step::Convert => resource.convert(irql).is_ok(),
            Step::HandOver if count > 0 => {
                let (owner, handed) = &estates.0[number];
                handed.fetch_add(take(&mut count), Relaxed);
                // SAFETY: the count says so; the test releases the rest for the owner.
                unsafe { resource.hand_over_unscoped(owner, irql) };
                true
            }
            Step::ReleaseFor(other) => {
                let (owner, handed) = &estates.0[other];
                let left = handed.load(Relaxed).checked_sub(1);
                if let Some(left) = left {
                    handed.store(left, Relaxed);
                    // SAFETY: the count says so; one actor acts at a time.
                    unsafe { resource.release_for_owner_unscoped(owner, irql) };
                }
                left.is_some()
            }
            Step::Release | Step::HandOver => false,
        };
        answers.send((done, resource.held())).unwrap();
    }
    for _ in 0..count {
        // SAFETY: the count says so.
        unsafe { resource.release_unscoped(irql) };
    }
    drop(region);
}

fn steps() -> impl Strategy<Value = Vec<(usize, Step)>> {
    let mode = prop_oneof![
        2 => Just(Mode::Exclusive),
        1 => Just(Mode::Shared),
        1 => Just(Mode::SharedStarveExclusive),
        1 => Just(Mode::SharedWaitForExclusive),
    ];
    let step = prop_oneof![
        6 => mode.prop_map(Step::Try),
        4 => Just(Step::Release),
        2 => Just(Step::Convert),
        1 => Just(Step::HandOver),
        2 => (0..ACTORS).prop_map(Step::ReleaseFor),
    ];
    proptest::collection::vec((0..ACTORS, step), 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_reentrant_resource_does_what_its_specification_says(history in steps()) {
        let resource = ReentrantResource::try_new(()).unwrap();
        let estates = Estates::default();
        let mut spec = Spec::default();
        let mismatch = play(
            &history,
            |number, irql, steps, answers| act(irql, number, &resource, &estates, steps, answers),
            |actor, step| spec.step(actor, step),
        );
        let irql = passive();
        for (owner, handed) in &estates.0 {
            for _ in 0..handed.load(Relaxed) {
                // SAFETY: the count says so.
                unsafe { resource.release_for_owner_unscoped(owner, &irql) };
            }
        }
        prop_assert_eq!(mismatch, None);
    }
}
