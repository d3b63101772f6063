//! A small interpreter that calls itself for what is inside a lock: what code needs that learns only at
//! run time which regions and locks it nests.
#![allow(unsafe_code, reason = "the tests are the roots of the IRQL witnesses")]

use std::panic::{AssertUnwindSafe, catch_unwind};

use apclab_guards::testing::{counters, every_interleaving, threads};
use apclab_guards::{
    AnyProof, ApcLevel, AtMostApcLevel, EnterMode, FastMutex, KMutex, Mode, Nonpaged,
    NormalApcsDisabled, Passive, PushLock, ReentrantResource, RegionKind, RegionStack, Slot,
    current_irql,
};
use proptest::prelude::*;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    Region(RegionKind),
    Leave,
    Acquire(Mode),
    /// Acquires if that needs no waiting; otherwise goes past what is inside.
    Try(Mode),
    Enter(EnterMode),
    Convert,
    PushLock(bool),
    FastMutex,
    KMutex,
    Raise,
    /// Ends what the last of the other steps opened.
    Close,
}

/// What can be opened while none of its kind is.
#[derive(Debug)]
struct Locks {
    resource: Nonpaged<ReentrantResource<()>>,
    push_lock: Nonpaged<PushLock<()>>,
    fast: Nonpaged<FastMutex<()>>,
    mutex: Nonpaged<KMutex<()>>,
}

impl Locks {
    fn new() -> Self {
        Self {
            resource: ReentrantResource::try_new(()).unwrap(),
            push_lock: PushLock::try_new(()).unwrap(),
            fast: FastMutex::try_new(()).unwrap(),
            mutex: KMutex::try_new(()).unwrap(),
        }
    }
}

trait Level: AtMostApcLevel {
    fn raise(&mut self, f: impl FnOnce(&mut ApcLevel) + Send);
}

impl Level for Passive {
    fn raise(&mut self, f: impl FnOnce(&mut ApcLevel) + Send) {
        self.raise_to_apc_level(f);
    }
}

impl Level for ApcLevel {
    fn raise(&mut self, f: impl FnOnce(&mut ApcLevel) + Send) {
        f(self);
    }
}

struct Interpreter<'l> {
    locks: &'l Locks,
    steps: &'l [Step],
    next: usize,
    /// How often the resource was had, each time that a step was done.
    counts: Vec<(u32, bool)>,
}

impl Interpreter<'_> {
    /// `proof`: that of the scopes outside, where they have one.
    fn scope<L: Level>(&mut self, irql: &mut L, slots: &mut [Slot], proof: Option<&AnyProof>) {
        let locks = self.locks;
        let mut regions = RegionStack::new(slots);
        while let Some(&step) = self.steps.get(self.next) {
            self.next += 1;
            self.counts.push((
                locks.resource.acquired_count(),
                locks.resource.acquired_exclusive(),
            ));
            if let Step::Region(kind) = step {
                let _ = regions.enter(kind, irql);
                continue;
            }
            let (own, inner) = regions.parts();
            let proof = own.or(proof);
            match (step, proof) {
                (Step::Acquire(mode), Some(proof)) => {
                    let guard = locks.resource.acquire(mode, irql, proof);
                    self.scope(irql, inner, Some(proof));
                    drop(guard);
                }
                (Step::Try(mode), Some(proof)) => {
                    if let Ok(_guard) = locks.resource.try_acquire(mode, irql, proof) {
                        self.scope(irql, inner, Some(proof));
                    }
                }
                (Step::PushLock(exclusive), Some(proof)) if exclusive => {
                    let _guard = locks.push_lock.exclusive(irql, proof);
                    self.scope(irql, inner, Some(proof));
                }
                (Step::PushLock(_), Some(proof)) => {
                    let _guard = locks.push_lock.shared(irql, proof);
                    self.scope(irql, inner, Some(proof));
                }
                (Step::Enter(mode), _) => {
                    if let Ok(mut guard) = locks.resource.enter(mode, irql) {
                        let ((), region) = guard.parts();
                        self.scope(irql, inner, Some(region.any()));
                    }
                }
                (Step::FastMutex, _) => locks.fast.with(irql, |(), irql| {
                    let (irql, proof) = irql.parts();
                    self.scope(irql, inner, Some(proof));
                }),
                (Step::KMutex, _) => {
                    let _ = locks.mutex.with(irql, |(), irql, held| {
                        self.scope(irql, inner, Some(held.any()));
                    });
                }
                (Step::Raise, _) => irql.raise(|irql| {
                    let (irql, proof) = irql.parts();
                    self.scope(irql, inner, Some(proof));
                }),
                (Step::Convert, _) => {
                    let owned = locks.resource.acquired_exclusive();
                    assert_eq!(locks.resource.convert(irql).is_ok(), owned);
                }
                (Step::Close, _) => return,
                (Step::Leave, _) => drop(regions.leave()),
                (Step::Region(_) | Step::Acquire(_) | Step::Try(_) | Step::PushLock(_), _) => {}
            }
        }
    }
}

fn run(locks: &Locks, steps: &[Step], irql: &mut Passive) -> Vec<(u32, bool)> {
    let mut slots = [Slot::EMPTY; 8];
    let mut interpreter = Interpreter {
        locks,
        steps,
        next: 0,
        counts: Vec::new(),
    };
    interpreter.scope(irql, &mut slots, None);
    interpreter.counts
}

fn passive() -> Passive {
    // SAFETY: each test thread begins at PASSIVE_LEVEL in the model and makes one token.
    unsafe { Passive::assume() }
}

fn clean() {
    let counters = counters();
    assert_eq!((counters.kernel, counters.special), (0, 0));
    assert_eq!(current_irql(), 0);
    #[cfg(feature = "debug")]
    assert_eq!(apclab_guards::testing::mistakes(), []);
}

#[test]
fn a_lock_is_held_while_what_is_inside_nests_and_recurses() {
    use Step::*;
    let locks = Locks::new();
    let counts = run(
        &locks,
        &[
            Region(RegionKind::Critical),
            Acquire(Mode::Exclusive),
            Region(RegionKind::Guarded),
            Acquire(Mode::Shared),
            Enter(EnterMode::SharedWaitForExclusive),
            Raise,
            Acquire(Mode::SharedStarveExclusive),
            Convert,
            Close,
            Close,
            Close,
            Close,
            Leave,
            Close,
            Leave,
        ],
        &mut passive(),
    );
    let counted: Vec<_> = counts.iter().map(|&(count, _)| count).collect();
    assert_eq!(counted, [0, 0, 1, 1, 2, 3, 3, 4, 4, 3, 3, 2, 1, 1, 0]);
    let exclusive: Vec<_> = counts.iter().map(|&(_, exclusive)| exclusive).collect();
    assert!(exclusive[2..8].iter().all(|&exclusive| exclusive));
    assert!(!exclusive[8..].iter().any(|&exclusive| exclusive));
    clean();
}

#[test]
fn the_proof_of_an_outer_scope_serves_an_inner_one() {
    use Step::*;
    let locks = Locks::new();
    let inner_only = |outer: Step| {
        let steps = [outer, PushLock(true), Acquire(Mode::Exclusive), Close];
        run(&locks, &steps, &mut passive())[3]
    };
    assert_eq!(inner_only(KMutex), (1, true));
    assert_eq!(inner_only(FastMutex), (1, true));
    assert_eq!(inner_only(Raise), (1, true));
    assert_eq!(inner_only(Enter(EnterMode::Exclusive)), (2, true));
    assert_eq!(inner_only(Region(RegionKind::Guarded)), (1, true));
    assert_eq!(inner_only(Leave), (0, false), "no proof, no acquire");
    clean();
}

#[test]
fn an_acquire_that_may_deadlock_does_where_the_other_refuses() {
    let found = catch_unwind(AssertUnwindSafe(|| {
        every_interleaving(|| {
            let resource = ReentrantResource::try_new(()).unwrap();
            let main = |irql: &mut Passive| {
                let mut shared = resource.enter(EnterMode::Shared, irql).unwrap();
                let ((), region) = shared.parts();
                assert!(resource.acquire(Mode::Exclusive, irql, region).is_err());
                let exclusive = resource.acquire_may_deadlock(Mode::Exclusive, irql, region);
                drop(exclusive);
            };
            threads(&[&main]);
        })
    }));
    let message = found.unwrap_err();
    let message = message.downcast_ref::<&str>().copied().unwrap_or_default();
    assert!(message.contains("deadlock"), "{message}");
}

#[test]
fn an_acquire_that_may_deadlock_need_not() {
    let resource = ReentrantResource::try_new(()).unwrap();
    let irql = passive();
    let mut outer = resource
        .enter_may_deadlock(EnterMode::Exclusive, &irql)
        .unwrap();
    let ((), region) = outer.parts();
    let inner = resource
        .acquire_may_deadlock(Mode::SharedWaitForExclusive, &irql, region)
        .unwrap();
    assert_eq!(resource.acquired_count(), 2);
    drop(inner);
    drop(outer);
    clean();
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let mode = || {
        prop_oneof![
            Just(Mode::Exclusive),
            Just(Mode::Shared),
            Just(Mode::SharedStarveExclusive),
            Just(Mode::SharedWaitForExclusive),
        ]
    };
    let enter = prop_oneof![
        Just(EnterMode::Exclusive),
        Just(EnterMode::Shared),
        Just(EnterMode::SharedWaitForExclusive),
    ];
    let kind = prop_oneof![Just(RegionKind::Critical), Just(RegionKind::Guarded)];
    let step = prop_oneof![
        4 => kind.prop_map(Step::Region),
        3 => Just(Step::Leave),
        3 => mode().prop_map(Step::Acquire),
        2 => mode().prop_map(Step::Try),
        2 => enter.prop_map(Step::Enter),
        2 => Just(Step::Convert),
        1 => Just(Step::KMutex),
        1 => Just(Step::Raise),
        5 => Just(Step::Close),
    ];
    proptest::collection::vec(step, 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is nested in whatever: the model has no bug check for it, and all is given back.
    #[test]
    fn any_nesting_is_given_back(steps in steps()) {
        let locks = Locks::new();
        run(&locks, &steps, &mut passive());
        clean();
        prop_assert_eq!(locks.resource.acquired_count(), 0);
    }
}
