//! One thread at a time, in an order that is chosen: every interleaving of a small test can be run.
//!
//! A scheduled thread waits for its turn ahead of each call of the kernel. At each such point the choice
//! among the threads that could go on is recorded; the next run takes the next choice.

use std::collections::BTreeSet;
use std::sync::PoisonError;

use apclab_model::kernel::ThreadId;

use super::machine::Shared;

/// The order of one run: what was chosen at each point, and out of how many.
#[derive(Clone, Debug, Default)]
pub(super) struct Choices(Vec<(usize, usize)>);

impl Choices {
    /// The beginning of the next run's order; `None` after the last.
    pub(super) fn next(mut self) -> Option<Self> {
        while let Some((chosen, options)) = self.0.pop() {
            if chosen + 1 < options {
                self.0.push((chosen + 1, options));
                return Some(self);
            }
        }
        None
    }
}

/// Whose turn it is.
#[derive(Debug)]
pub(super) struct Schedule {
    choices: Choices,
    /// How many choices have been made.
    made: usize,
    /// Threads that have not come yet.
    missing: usize,
    ready: BTreeSet<ThreadId>,
    blocked: BTreeSet<ThreadId>,
    turn: Option<ThreadId>,
    participants: BTreeSet<ThreadId>,
    deadlock: bool,
}

impl Schedule {
    /// Begins as `choices` say, and takes the first option from there on.
    pub(super) fn new(choices: Choices) -> Self {
        Self {
            choices,
            made: 0,
            missing: 0,
            ready: BTreeSet::new(),
            blocked: BTreeSet::new(),
            turn: None,
            participants: BTreeSet::new(),
            deadlock: false,
        }
    }

    pub(super) fn into_choices(self) -> Choices {
        self.choices
    }
}

impl Shared {
    fn with_schedule<R>(&self, f: impl FnOnce(&mut Schedule) -> R) -> Option<R> {
        let mut schedule = self.schedule.lock().unwrap_or_else(PoisonError::into_inner);
        schedule.as_mut().map(f)
    }

    /// So many threads are about to come.
    pub(super) fn expect(&self, threads: usize) {
        self.with_schedule(|schedule| schedule.missing = threads);
    }

    /// A thread comes, and waits for its first turn.
    pub(super) fn arrive(&self, thread: ThreadId) {
        self.with_schedule(|schedule| {
            schedule.participants.insert(thread);
            schedule.ready.insert(thread);
            schedule.missing -= 1;
            if schedule.missing == 0 {
                self.choose(schedule);
            }
        });
        self.await_turn(thread);
    }

    /// A point where another thread may go on first.
    pub(super) fn give_way(&self, thread: ThreadId) {
        let takes_part = self.with_schedule(|schedule| {
            let takes_part = schedule.participants.contains(&thread);
            if takes_part {
                schedule.ready.insert(thread);
                self.choose(schedule);
            }
            takes_part
        });
        if takes_part == Some(true) {
            self.await_turn(thread);
        }
    }

    /// The thread waits in the kernel: its turn comes when the wait could end. `false` when the
    /// machine has no schedule.
    pub(super) fn give_way_blocked(&self, thread: ThreadId) -> bool {
        let takes_part = self.with_schedule(|schedule| {
            let takes_part = schedule.participants.contains(&thread);
            if takes_part {
                schedule.blocked.insert(thread);
                self.choose(schedule);
            }
            takes_part
        });
        if takes_part == Some(true) {
            self.await_turn(thread);
        }
        takes_part == Some(true)
    }

    /// A thread has ended.
    pub(super) fn depart(&self, thread: ThreadId) {
        self.with_schedule(|schedule| {
            if schedule.participants.remove(&thread) {
                schedule.ready.remove(&thread);
                self.choose(schedule);
            }
        });
    }

    fn choose(&self, schedule: &mut Schedule) {
        let kernel = self.lock();
        let awake = |thread: &&ThreadId| kernel.grantable(**thread).is_some();
        let options: Vec<_> = schedule
            .ready
            .iter()
            .chain(schedule.blocked.iter().filter(awake))
            .copied()
            .collect();
        drop(kernel);
        schedule.turn = None;
        schedule.deadlock |= options.is_empty() && !schedule.blocked.is_empty();
        if !options.is_empty() {
            let made = schedule.made;
            schedule.made += 1;
            if made == schedule.choices.0.len() {
                schedule.choices.0.push((0, options.len()));
            }
            let (chosen, of) = schedule.choices.0[made];
            assert_eq!(
                of,
                options.len(),
                "the test itself depends on more than the order"
            );
            let thread = options[chosen];
            schedule.ready.remove(&thread);
            schedule.blocked.remove(&thread);
            schedule.turn = Some(thread);
        }
        self.turned.notify_all();
    }

    fn await_turn(&self, thread: ThreadId) {
        let mut schedule = self.schedule.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(current) = schedule.as_ref() {
            if current.deadlock && !std::thread::panicking() {
                drop(schedule);
                panic!("deadlock: no thread can go on");
            }
            if current.turn == Some(thread) || current.deadlock {
                return;
            }
            schedule = self
                .turned
                .wait(schedule)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}
