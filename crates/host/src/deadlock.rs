//! Deadlocks: threads that wait for a lock which nobody will ever release.
//!
//! An acquire has no time-out and cannot be cancelled, so a thread that waits for a lock goes on
//! only if each of its holders can. This looks for those that cannot, starting from all threads
//! that can act and adding the ones that they let go on; what is left is stuck.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use apclab_model::kernel::{LockHolder, LockId, ObjectId, ResourceOwner, ThreadId};

use crate::machine::{Machine, State};
use crate::report::{DeadlockReport, HostError, Stuck};
use crate::thread::Shared;

/// How often in a row a thread has called the same wait from the same place, done nothing else and
/// run into its time-out, until it is taken for one that only looks whether others have done
/// something.
const POLLS: u32 = 3;

/// What may end a wait, or a part of it.
#[derive(Clone, Copy)]
enum Source {
    /// User mode, or a thread of which nothing is known.
    Anything,
    /// Any thread of the driver's that can act.
    Anybody,
    /// This one.
    Thread(ThreadId),
}

/// What a thread needs to go on.
struct Needs {
    sources: Vec<Source>,
    /// Whether it needs them all.
    all: bool,
}

impl Needs {
    fn met(&self, live: &BTreeSet<ThreadId>, acting: bool) -> bool {
        let comes = |source: &Source| match source {
            Source::Anything => true,
            Source::Anybody => acting,
            Source::Thread(id) => live.contains(id),
        };
        if self.all {
            self.sources.iter().all(comes)
        } else {
            self.sources.iter().any(comes)
        }
    }
}

/// What a thread does at this moment, as far as others can count on it.
enum Doing {
    /// It has no request, so it waits for user mode.
    Idle,
    /// It will act.
    Acts,
    /// It looks now and then whether others have done something.
    Polls,
    Waits(Needs),
}

impl Machine {
    /// Ends the machine if some of its threads are in a deadlock. `quiet`: the threads take turns,
    /// and nothing is left that could happen but time-outs.
    pub(crate) fn look_for_deadlock(&self, state: &mut State, quiet: bool) {
        let waits_for_lock = |id: &ThreadId| state.kernel.lock_wait(*id).is_some();
        if self.stopped() || !state.threads.keys().any(waits_for_lock) {
            return;
        }
        let stuck = state.stuck(quiet);
        if stuck.iter().any(waits_for_lock) {
            let choices = state.scheduler.as_ref().map(|it| it.made().to_vec());
            let threads = state.describe(&stuck);
            let report = DeadlockReport::new(threads, choices.unwrap_or_default());
            self.end(state, HostError::Deadlock(report));
        }
    }
}

impl State {
    /// The threads that can never go on.
    fn stuck(&self, quiet: bool) -> BTreeSet<ThreadId> {
        let mut live = BTreeSet::new();
        let mut acting = false;
        let mut waiting = BTreeMap::new();
        for (&id, shared) in &self.threads {
            match self.doing(id, shared, quiet) {
                Doing::Idle => {}
                Doing::Acts => {
                    acting = true;
                    live.insert(id);
                }
                Doing::Polls => {
                    live.insert(id);
                }
                Doing::Waits(needs) => {
                    waiting.insert(id, needs);
                }
            }
        }
        loop {
            let before = waiting.len();
            waiting.retain(|&id, needs| {
                let goes_on = needs.met(&live, acting);
                if goes_on {
                    acting = true;
                    live.insert(id);
                }
                !goes_on
            });
            if waiting.len() == before {
                return waiting.into_keys().collect();
            }
        }
    }

    fn doing(&self, id: ThreadId, shared: &Shared, quiet: bool) -> Doing {
        let kernel = &self.kernel;
        if shared.idle.load(Ordering::SeqCst) {
            return Doing::Idle;
        }
        if kernel.deliverable(id).is_some() {
            return Doing::Acts;
        }
        let anybody = || Needs {
            sources: vec![Source::Anybody],
            all: true,
        };
        if let Some(wait) = kernel.lock_wait(id) {
            let holders = kernel.lock_holders(wait.lock);
            let sources = holders.iter().map(|holder| self.releaser(holder)).collect();
            return Doing::Waits(Needs { sources, all: true });
        }
        if kernel.is_suspended(id) && !kernel.may_return(id) {
            // Whoever has suspended it may resume it, or a caller of the host may.
            let sources = vec![Source::Anything];
            return Doing::Waits(Needs { sources, all: true });
        }
        let Some(wait) = kernel.object_wait(id) else {
            return Doing::Acts;
        };
        if shared.forever.load(Ordering::SeqCst) {
            let sources = wait.objects.iter().map(|&o| self.signaller(o, quiet));
            return Doing::Waits(Needs {
                sources: sources.collect(),
                all: wait.all,
            });
        }
        match shared.polls.load(Ordering::SeqCst) >= POLLS {
            false => Doing::Acts,
            true if quiet => Doing::Waits(anybody()),
            true => Doing::Polls,
        }
    }

    /// Who can release what the holder holds.
    fn releaser(&self, holder: &LockHolder) -> Source {
        match holder.owner {
            ResourceOwner::Thread(id) => self.source(id),
            ResourceOwner::Pointer(_) => Source::Anybody,
        }
    }

    /// Who can signal the object.
    fn signaller(&self, object: ObjectId, quiet: bool) -> Source {
        let owner = self.kernel.is_mutex(object).then_some(object);
        let owner = owner.and_then(|mutex| self.kernel.mutex_owner(mutex));
        match owner.or_else(|| self.objects.ends_with(object)) {
            Some(thread) => self.source(thread),
            None if quiet => Source::Anybody,
            None => Source::Anything,
        }
    }

    /// A thread without a request may get another one.
    fn source(&self, id: ThreadId) -> Source {
        let busy = |shared: &std::sync::Arc<Shared>| !shared.idle.load(Ordering::SeqCst);
        if self.threads.get(&id).is_some_and(busy) {
            Source::Thread(id)
        } else {
            Source::Anything
        }
    }

    /// Describes those of the stuck threads that have to do with locks.
    fn describe(&self, stuck: &BTreeSet<ThreadId>) -> Vec<Stuck> {
        let locks: Vec<_> = self.locks.all().collect();
        let mut threads = Vec::new();
        for id in stuck {
            let held: Vec<_> = locks
                .iter()
                .filter_map(|(lock, name)| {
                    let holders = self.kernel.lock_holders(*lock);
                    let own = |holder: &LockHolder| holder.owner == ResourceOwner::Thread(*id);
                    let holder = holders.into_iter().find(own)?;
                    Some(format!("{name}{}", how_held(*lock, &holder)))
                })
                .collect();
            let wait = self.kernel.lock_wait(*id);
            let (waits_for, held_by) = match wait {
                Some(wait) => {
                    let name = locks.iter().find(|(lock, _)| *lock == wait.lock);
                    let name = name.map_or("a lock", |(_, name)| name);
                    let holders = self.kernel.lock_holders(wait.lock);
                    let holder = |holder| self.holder(*id, wait.lock, holder);
                    (
                        format!("{name}{}", mode(wait.lock, wait.exclusive)),
                        holders.iter().map(holder).collect(),
                    )
                }
                None if held.is_empty() => continue,
                None => (self.awaited(*id), Vec::new()),
            };
            threads.push(Stuck {
                thread: self.name(*id),
                waits_for,
                held_by,
                held,
            });
        }
        threads
    }

    fn name(&self, id: ThreadId) -> String {
        let shared = self.threads.get(&id);
        shared.map_or_else(|| "a thread".to_owned(), |shared| shared.name.clone())
    }

    fn holder(&self, waiter: ThreadId, lock: LockId, holder: &LockHolder) -> String {
        let name = match holder.owner {
            ResourceOwner::Thread(id) if id == waiter => "itself".to_owned(),
            ResourceOwner::Thread(id) => self.name(id),
            ResourceOwner::Pointer(pointer) => format!("the owner pointer {pointer:#x}"),
        };
        name + &how_held(lock, holder)
    }

    /// What a thread waits for that is no lock.
    fn awaited(&self, id: ThreadId) -> String {
        let objects = self.kernel.object_wait(id).map(|wait| wait.objects);
        let name = |object: ObjectId| match self.objects.ends_with(object) {
            Some(thread) => format!("the end of {}", self.name(thread)),
            None if self.kernel.is_mutex(object) => "a KMUTEX".to_owned(),
            None => "an event".to_owned(),
        };
        let names: Vec<_> = objects.unwrap_or_default().into_iter().map(name).collect();
        names.join(" and ")
    }
}

/// How a lock is wanted that can be had in more than one way.
fn mode(lock: LockId, exclusive: bool) -> &'static str {
    match (lock, exclusive) {
        (LockId::FastMutex(_) | LockId::CriticalSection(_), _) => "",
        (_, true) => " (exclusive)",
        (_, false) => " (shared)",
    }
}

fn how_held(lock: LockId, holder: &LockHolder) -> String {
    let mode = mode(lock, holder.exclusive);
    match (holder.count, mode.strip_suffix(')')) {
        (2.., Some(open)) => format!("{open}, {} times)", holder.count),
        _ => mode.to_owned(),
    }
}
