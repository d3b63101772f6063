//! What a script may come to by the kernel's rules: every order of its threads' steps and of the
//! grants, by a search of its own.

use std::collections::{BTreeSet, HashSet};

use apclab_model::kernel::{
    Acquired, Answer, Baseline, BugCheck, FastMutexId, FastMutexKind, Kernel, Profile, PushLockId,
    PushLockMode, ResourceId, ResourceMode, ResourceOwner, ThreadId,
};

use crate::fixture::script::{Mode, Op, RESOURCES, Script};

/// The outcome of threads that wait for each other.
pub(crate) const DEADLOCK: &str = "deadlock";

#[derive(Clone, PartialEq, Eq, Hash)]
struct State {
    kernel: Kernel,
    threads: Vec<ThreadId>,
    resources: [ResourceId; RESOURCES],
    mutexes: [FastMutexId; 2],
    push: PushLockId,
    /// The next step of each thread.
    next: Vec<usize>,
    /// How often a thread has handed a resource over, by resource and thread.
    handed: Vec<[u32; RESOURCES]>,
    notes: String,
}

impl State {
    fn new(script: &Script, profile: Profile) -> Self {
        let mut kernel = Kernel::new(profile);
        let threads: Vec<_> = script
            .iter()
            .map(|_| kernel.create_thread(Baseline::default()))
            .collect();
        Self {
            resources: [(); RESOURCES].map(|()| kernel.create_resource()),
            mutexes: [FastMutexKind::Fast, FastMutexKind::Guarded]
                .map(|kind| kernel.create_fast_mutex(kind)),
            push: kernel.create_push_lock(),
            next: vec![0; threads.len()],
            handed: vec![[0; RESOURCES]; threads.len()],
            notes: String::new(),
            threads,
            kernel,
        }
    }

    fn note(&mut self, digit: u32) {
        self.notes.extend(char::from_digit(digit, 16));
    }

    /// The thread executes a step. `queues`: the answer where it is open whether it does.
    fn execute(&mut self, lane: usize, step: Op, queues: bool) -> Result<(), BugCheck> {
        let (t, kernel) = (self.threads[lane], &mut self.kernel);
        let mut came = Acquired::Now;
        let mut skipped = 0;
        match step {
            Op::Enter => kernel.enter_critical(t)?,
            Op::Leave => kernel.leave_critical(t)?,
            Op::Note(digit) => self.note(digit.into()),
            Op::Acquire(number, how) => {
                came = kernel.acquire_resource(t, self.resources[number], mode(how), true)?;
            }
            Op::Try(number, how, block) => {
                let r = self.resources[number];
                let acquired = kernel.acquire_resource(t, r, mode(how), false)? == Acquired::Now;
                skipped = if acquired { 0 } else { block };
                self.note(acquired.into());
            }
            Op::Release(number) => kernel.release_resource(t, self.resources[number])?,
            Op::EnterAcquire(number, how) => {
                came = kernel.enter_and_acquire_resource(t, self.resources[number], mode(how))?;
            }
            Op::ReleaseLeave(number) => {
                kernel.release_resource_and_leave(t, self.resources[number])?;
            }
            Op::Convert(number) => kernel.convert_resource(t, self.resources[number])?,
            Op::Reinitialize(number) => kernel.reinitialize_resource(t, self.resources[number])?,
            Op::AcquiredExclusive(number) => {
                let acquired = kernel.resource_acquired_exclusive(t, self.resources[number]);
                self.note(acquired.into());
            }
            Op::AcquiredShared(number) => {
                let count = kernel.resource_acquired_shared(t, self.resources[number]);
                self.note(count);
            }
            Op::ExclusiveWaiters(number) => {
                let count = kernel.exclusive_waiters(self.resources[number]);
                self.note(count);
            }
            Op::SharedWaiters(number) => {
                let count = kernel.shared_waiters(self.resources[number]);
                self.note(count);
            }
            Op::HandOver(number) => {
                let r = self.resources[number];
                self.handed[lane][number] += kernel.resource_acquired_shared(t, r);
                kernel.set_resource_owner(t, r, pointer(lane))?;
            }
            Op::ReleaseFor(number, other) => {
                let handed = &mut self.handed[other][number];
                let any = *handed > 0;
                if any {
                    *handed -= 1;
                    let owner = ResourceOwner::Pointer(pointer(other));
                    kernel.release_resource_for(t, self.resources[number], owner)?;
                }
                self.note(any.into());
            }
            Op::AcquirePush(exclusive) => {
                let mode = push_mode(exclusive);
                let queues = match kernel.push_lock_sharer_queues(t, self.push) {
                    Answer::Is(queues) => queues,
                    Answer::Either => queues,
                };
                came = kernel.acquire_push_lock_choosing(t, self.push, mode, queues)?;
            }
            Op::ReleasePush(exclusive) => {
                kernel.release_push_lock(t, self.push, push_mode(exclusive))?;
            }
            Op::AcquireFast => came = kernel.acquire_fast_mutex(t, self.mutexes[0])?,
            Op::ReleaseFast => kernel.release_fast_mutex(t, self.mutexes[0])?,
            Op::AcquireGuarded => came = kernel.acquire_fast_mutex(t, self.mutexes[1])?,
            Op::ReleaseGuarded => kernel.release_fast_mutex(t, self.mutexes[1])?,
            Op::Set(_) | Op::Await(_) | Op::AwaitEnd(_) | Op::Poll(_) | Op::Delay => {
                panic!("{step:?} is no step of the rules on locks")
            }
        }
        if came != Acquired::Blocked {
            self.next[lane] += 1 + skipped;
        }
        Ok(())
    }

    /// What may follow when the thread does what it can do.
    fn after(&self, script: &Script, lane: usize) -> Vec<Self> {
        let Some(&step) = script[lane].get(self.next[lane]) else {
            return Vec::new();
        };
        let t = self.threads[lane];
        let mut after = self.clone();
        if self.kernel.waiting(t) {
            let granted = after.kernel.grant(t).is_some();
            after.next[lane] += 1;
            return granted.then_some(after).into_iter().collect();
        }
        let executed = |queues| {
            let mut after = self.clone();
            let done = after.execute(lane, step, queues);
            done.expect("the scripts break no rule");
            after
        };
        let shares = matches!(step, Op::AcquirePush(false));
        if shares && self.kernel.push_lock_sharer_queues(t, self.push) == Answer::Either {
            vec![executed(false), executed(true)]
        } else {
            vec![executed(false)]
        }
    }
}

/// Everything that the script may come to: what is noted, or a deadlock.
pub(crate) fn outcomes(script: &Script, profile: Profile) -> BTreeSet<String> {
    let first = State::new(script, profile);
    let mut known = HashSet::from([first.clone()]);
    let mut open = vec![first];
    let mut outcomes = BTreeSet::new();
    while let Some(state) = open.pop() {
        let lanes = 0..script.len();
        let after: Vec<_> = lanes.flat_map(|lane| state.after(script, lane)).collect();
        if after.is_empty() {
            let ended = |(steps, next): (&Vec<Op>, &usize)| *next >= steps.len();
            let all = script.iter().zip(&state.next).all(ended);
            outcomes.insert(if all {
                state.notes
            } else {
                DEADLOCK.to_owned()
            });
        }
        for after in after {
            if known.insert(after.clone()) {
                open.push(after);
            }
        }
    }
    outcomes
}

fn pointer(lane: usize) -> u64 {
    (lane as u64 + 1) << 8 | 3
}

fn mode(mode: Mode) -> ResourceMode {
    match mode {
        Mode::Exclusive => ResourceMode::Exclusive,
        Mode::Shared => ResourceMode::Shared,
        Mode::Starve => ResourceMode::SharedStarveExclusive,
        Mode::WaitForExclusive => ResourceMode::SharedWaitForExclusive,
    }
}

fn push_mode(exclusive: bool) -> PushLockMode {
    if exclusive {
        PushLockMode::Exclusive
    } else {
        PushLockMode::Shared
    }
}
