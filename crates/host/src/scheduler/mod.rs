//! The scheduler of a deterministic machine: see [`Schedule`].

mod source;
mod turns;

use std::collections::BTreeMap;

use apclab_model::kernel::{Alert, Kernel, ThreadId};

use crate::Schedule;
use crate::schedule::Choice;
use crate::thread::Shared;
use source::{Key, Source};

/// Where a thread is that takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// It has something to do before its first scheduling point.
    Ready,
    /// It runs.
    Running,
    /// It stands at a scheduling point.
    Point,
    /// It is in a wait of the kernel's.
    Wait {
        /// The end of its time-out, in virtual time.
        deadline: Option<u64>,
        /// Whether the time-out is so short that it may be over at any moment.
        short: bool,
    },
    /// It is suspended.
    Suspended,
}

/// A thread that takes part.
#[derive(Clone, Copy, Debug)]
struct Entry {
    id: ThreadId,
    place: Place,
    /// Whether a short time-out of it was over before its time since its last scheduling point.
    /// Then the next one is not: a thread that waits again and again must not keep the others from
    /// coming to what it waits for.
    early: bool,
}

/// What a thread is to do when it gets the processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Go on, from a wait because it is satisfied.
    Run,
    /// Deliver one APC.
    Deliver,
    /// Give the wait up: it has timed out.
    Expire,
    /// Give the wait up for the user APCs that are queued.
    Alert,
    /// Run one user APC.
    UserApc,
}

/// Something that may happen next.
#[derive(Clone, Copy, Debug)]
enum Next {
    Turn(ThreadId, Turn),
    /// The thread gets the lock that it waits for.
    Lock(ThreadId),
}

impl Next {
    /// What a preference for it is remembered by.
    fn key(self) -> Key {
        match self {
            Self::Turn(id, Turn::Run) => (id, 0),
            Self::Turn(id, Turn::Deliver) => (id, 1),
            Self::Turn(id, Turn::Expire) => (id, 2),
            Self::Lock(id) => (id, 3),
            Self::Turn(id, Turn::Alert) => (id, 4),
            Self::Turn(id, Turn::UserApc) => (id, 5),
        }
    }
}

/// The threads that take turns, and the choices made.
#[derive(Debug)]
pub(crate) struct Scheduler {
    source: Source,
    /// The longest short time-out, in ticks.
    short: u64,
    /// Virtual time, in ticks of 100 ns since the machine's start.
    now: u64,
    /// By the threads' numbers, which tell the order of their creation.
    places: BTreeMap<u64, Entry>,
    /// The thread that has the processor, and what it is to do if it has not begun yet.
    running: Option<(ThreadId, Option<Turn>)>,
    choices: Vec<Choice>,
    /// The first choice that had no such alternative as it should have taken.
    misfit: Option<usize>,
}

impl Scheduler {
    /// A scheduler without threads; `None` when nothing is to be scheduled. `short` is the longest
    /// time-out that may be over at any moment, in ticks of 100 ns.
    pub(crate) fn new(schedule: &Schedule, short: u64) -> Option<Self> {
        Some(Self {
            source: Source::new(schedule)?,
            short,
            now: 0,
            places: BTreeMap::new(),
            running: None,
            choices: Vec::new(),
            misfit: None,
        })
    }

    /// Follows another schedule from now on and forgets the choices made so far. `false` when the
    /// schedule is none.
    pub(crate) fn follow(&mut self, schedule: &Schedule) -> bool {
        let Some(source) = Source::new(schedule) else {
            return false;
        };
        self.source = source;
        self.choices.clear();
        self.misfit = None;
        true
    }

    /// Virtual time.
    pub(crate) fn now(&self) -> u64 {
        self.now
    }

    /// Reads the clock, which takes time.
    pub(crate) fn read_clock(&mut self) -> u64 {
        self.now += 1;
        self.now
    }

    /// The choices since the schedule began.
    pub(crate) fn made(&self) -> &[Choice] {
        &self.choices
    }

    /// Whether no thread runs or could run.
    pub(crate) fn idle(&self) -> bool {
        self.running.is_none()
    }

    /// The choices since the schedule began, or the first one that did not fit.
    pub(crate) fn choices(&self) -> Result<Vec<Choice>, usize> {
        self.misfit.map_or_else(|| Ok(self.choices.clone()), Err)
    }

    /// A thread takes part from now on: it is ready.
    pub(crate) fn add(&mut self, thread: &Shared, id: ThreadId) {
        let entry = Entry {
            id,
            place: Place::Ready,
            early: false,
        };
        self.places.insert(thread.number, entry);
    }

    /// A thread takes part no more.
    fn remove(&mut self, id: ThreadId) {
        self.places.retain(|_, entry| entry.id != id);
        self.running.take_if(|(thread, _)| *thread == id);
    }

    /// The thread gives the processor up at `place`.
    fn put(&mut self, thread: &Shared, place: Place) {
        if let Some(entry) = self.places.get_mut(&thread.number) {
            entry.place = place;
            entry.early &= place != Place::Point;
            let id = entry.id;
            self.running.take_if(|(thread, _)| *thread == id);
        }
    }

    /// A wait of the thread until `deadline` that begins now.
    pub(crate) fn wait(&self, thread: &Shared, deadline: Option<u64>) -> Place {
        let early = self
            .places
            .get(&thread.number)
            .is_some_and(|entry| entry.early);
        let within = |end: u64| end.saturating_sub(self.now) <= self.short;
        let short = !early && deadline.is_some_and(within);
        Place::Wait { deadline, short }
    }

    /// The thread has got the processor.
    fn runs(&mut self, thread: &Shared) {
        if let Some(entry) = self.places.get_mut(&thread.number) {
            entry.place = Place::Running;
        }
    }

    /// Takes the turn that the thread has been given.
    fn take_turn(&mut self, id: ThreadId) -> Option<Turn> {
        match &mut self.running {
            Some((thread, turn)) if *thread == id => turn.take(),
            _ => None,
        }
    }

    /// Chooses among `alternatives` ways: the number of one, counted from 0.
    pub(crate) fn choose(&mut self, alternatives: usize) -> usize {
        let Some(most) = alternatives.checked_sub(1).filter(|&most| most > 0) else {
            return 0;
        };
        let taken = self.source.choose(self.choices.len(), alternatives);
        self.note(alternatives, taken);
        taken.min(most)
    }

    /// Chooses among what may happen next.
    fn choose_way(&mut self, ways: &[Next]) -> usize {
        let keys: Vec<_> = ways.iter().copied().map(Next::key).collect();
        match self.source.prefer(self.choices.len(), &keys) {
            Some(taken) => {
                self.note(ways.len(), taken);
                taken
            }
            None => self.choose(ways.len()),
        }
    }

    fn note(&mut self, alternatives: usize, taken: usize) {
        if taken >= alternatives {
            self.misfit.get_or_insert(self.choices.len());
        }
        let taken = taken.min(alternatives - 1);
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        self.choices.push(Choice {
            alternatives: number(alternatives),
            taken: number(taken),
        });
    }

    /// Decides what happens next. `None` when only time can pass.
    fn next(&mut self, kernel: &Kernel) -> Option<Next> {
        if let Some((id, turn)) = self.at_once(kernel) {
            return Some(Next::Turn(id, turn));
        }
        let ways = self.ways(kernel);
        let next = *ways.get(self.choose_way(&ways))?;
        if let Next::Turn(id, Turn::Expire) = next {
            self.pass_time(id);
        }
        Some(next)
    }

    /// Lets virtual time pass until a wait times out. `false` when no wait can.
    fn wait_for_time_out(&mut self, kernel: &Kernel) -> bool {
        let Some(end) = self.next_deadline(kernel) else {
            return false;
        };
        self.now = self.now.max(end);
        true
    }

    /// The wait of the thread times out now.
    fn pass_time(&mut self, id: ThreadId) {
        let entry = self.places.values_mut().find(|entry| entry.id == id);
        if let Some(Entry {
            place:
                Place::Wait {
                    deadline: Some(end),
                    ..
                },
            early,
            ..
        }) = entry
            && *end > self.now
        {
            self.now = *end;
            *early = true;
        }
    }

    /// A thread that goes on without a choice.
    fn at_once(&self, kernel: &Kernel) -> Option<(ThreadId, Turn)> {
        let goes_on = |&Entry { id, place, .. }: &Entry| {
            let turn = match place {
                Place::Ready => Turn::Run,
                Place::Wait { .. } if kernel.satisfied(id) && kernel.grantable(id).is_some() => {
                    Turn::Run
                }
                Place::Wait { .. } if kernel.alerted(id) && kernel.alert(id) == Alert::Must => {
                    Turn::Alert
                }
                _ => return None,
            };
            Some((id, turn))
        };
        self.places.values().find_map(goes_on)
    }

    /// What may happen next.
    fn ways(&self, kernel: &Kernel) -> Vec<Next> {
        let mut ways = Vec::new();
        for &Entry { id, place, .. } in self.places.values() {
            let goes_on = match place {
                Place::Point => !kernel.forced(id) && !kernel.user_forced(id),
                Place::Suspended => {
                    kernel.is_suspended(id) && kernel.may_return(id) && !kernel.forced(id)
                }
                Place::Ready | Place::Running | Place::Wait { .. } => false,
            };
            if goes_on {
                ways.push(Next::Turn(id, Turn::Run));
            }
            if kernel.deliverable(id).is_some() {
                ways.push(Next::Turn(id, Turn::Deliver));
            }
            if kernel.lock_available(id) {
                ways.push(Next::Lock(id));
            }
            if kernel.alert(id) != Alert::No {
                ways.push(Next::Turn(id, Turn::Alert));
            }
            if kernel.user_deliverable(id).is_some() {
                ways.push(Next::Turn(id, Turn::UserApc));
            }
            if let Place::Wait {
                deadline: Some(end),
                short,
            } = place
                && (short || end <= self.now)
                && kernel.expirable(id)
            {
                ways.push(Next::Turn(id, Turn::Expire));
            }
        }
        ways
    }

    /// The next moment at which a wait times out.
    fn next_deadline(&self, kernel: &Kernel) -> Option<u64> {
        let end = |entry: &Entry| match entry.place {
            Place::Wait { deadline, .. } => deadline.filter(|_| kernel.expirable(entry.id)),
            _ => None,
        };
        self.places.values().filter_map(end).min()
    }
}
