//! Host threads as the threads of one modelled machine.

use std::cell::RefCell;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use apclab_model::kernel::{Acquired, Baseline, BugCheck, Kernel, ObjectId, Profile, ThreadId};

use super::schedule::Schedule;

/// A wait that lasts this long in a test is a deadlock.
pub(super) const DEADLOCK: Duration = Duration::from_secs(10);

/// One modelled machine, shared by the host threads that run on it.
#[derive(Debug)]
pub(super) struct Shared {
    kernel: Mutex<Kernel>,
    changed: Condvar,
    /// In whose order the threads go on, where a test chooses it.
    pub(super) schedule: Mutex<Option<Schedule>>,
    pub(super) turned: Condvar,
}

/// The kernel thread that a host thread is.
#[derive(Clone, Debug)]
pub(super) struct Seat {
    pub(super) machine: Arc<Shared>,
    pub(super) id: ThreadId,
}

impl Seat {
    /// A new thread of a machine.
    pub(super) fn of(machine: Arc<Shared>) -> Self {
        let id = machine.lock().create_thread(Baseline::default());
        Self { machine, id }
    }
}

thread_local! {
    static SEAT: RefCell<Option<Seat>> = const { RefCell::new(None) };
}

impl Shared {
    pub(super) fn new(schedule: Option<Schedule>) -> Arc<Self> {
        Arc::new(Self {
            kernel: Mutex::new(Kernel::new(Profile::Nt52)),
            changed: Condvar::new(),
            schedule: Mutex::new(schedule),
            turned: Condvar::new(),
        })
    }

    /// Blocks the host thread as long as its kernel thread waits, to the given time at most.
    fn block<'a>(
        &'a self,
        mut kernel: MutexGuard<'a, Kernel>,
        thread: ThreadId,
        end: Instant,
    ) -> Option<usize> {
        drop(kernel);
        let scheduled = self.give_way_blocked(thread);
        kernel = self.lock();
        loop {
            if let Some(granted) = kernel.grant(thread) {
                self.changed.notify_all();
                return Some(granted);
            }
            assert!(!scheduled, "a turn is given to threads that can go on");
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                kernel.expire(thread);
                return None;
            }
            kernel = self
                .changed
                .wait_timeout(kernel, left)
                .map_or_else(|poisoned| poisoned.into_inner().0, |(kernel, _)| kernel);
        }
    }

    /// A panic with the lock taken is a bug check, which leaves the kernel as it was.
    pub(super) fn lock(&self) -> MutexGuard<'_, Kernel> {
        self.kernel.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The calling host thread's place; a machine of its own if it has been given none.
pub(super) fn seat() -> Seat {
    SEAT.with_borrow_mut(|seat| {
        seat.get_or_insert_with(|| Seat::of(Shared::new(None)))
            .clone()
    })
}

/// Gives the calling host thread a place.
pub(super) fn sit(seat: Option<Seat>) {
    SEAT.set(seat);
}

/// A bug check is a panic: the test that caused it fails with its sentence.
fn survive<R>(answer: Result<R, BugCheck>) -> R {
    match answer {
        Ok(answer) => answer,
        Err(bug_check) => panic!("bug check: {bug_check}"),
    }
}

/// Applies a rule to this thread.
pub(super) fn call<R>(rule: impl FnOnce(&mut Kernel, ThreadId) -> Result<R, BugCheck>) -> R {
    let seat = seat();
    seat.machine.give_way(seat.id);
    let answer = rule(&mut seat.machine.lock(), seat.id);
    seat.machine.changed.notify_all();
    survive(answer)
}

/// Looks at the machine without being a step of it.
#[cfg(feature = "debug")]
pub(super) fn look<R>(at: impl FnOnce(&Kernel, ThreadId) -> R) -> R {
    let seat = seat();
    at(&seat.machine.lock(), seat.id)
}

/// Acquires a lock by a rule, and waits for it where the rule says so.
pub(super) fn acquire(rule: impl FnOnce(&mut Kernel, ThreadId) -> Result<Acquired, BugCheck>) {
    let seat = seat();
    seat.machine.give_way(seat.id);
    let mut kernel = seat.machine.lock();
    let acquired = rule(&mut kernel, seat.id);
    seat.machine.changed.notify_all();
    match acquired {
        Ok(Acquired::Now) => {}
        Ok(Acquired::Blocked) => {
            let granted = seat
                .machine
                .block(kernel, seat.id, Instant::now() + DEADLOCK);
            assert!(
                granted.is_some(),
                "deadlock: a lock was not to be had for {DEADLOCK:?}"
            );
        }
        Ok(Acquired::Refused) => unreachable!("an acquire that waits is not refused"),
        Err(_) => {
            drop(kernel);
            survive(acquired);
        }
    }
}

/// Waits for one of the objects, so long at most, and gives which it was.
pub(super) fn wait_any(objects: &[ObjectId], time: Option<Duration>) -> Option<usize> {
    let seat = seat();
    seat.machine.give_way(seat.id);
    let may_block = time != Some(Duration::ZERO);
    let mut kernel = seat.machine.lock();
    let at_once = kernel.wait(seat.id, objects, false, may_block);
    if !may_block || !matches!(at_once, Ok(None)) {
        drop(kernel);
        return survive(at_once);
    }
    let end = Instant::now() + time.unwrap_or(DEADLOCK);
    let granted = seat.machine.block(kernel, seat.id, end);
    assert!(
        granted.is_some() || time.is_some(),
        "deadlock: a wait without a time-out lasted {DEADLOCK:?}"
    );
    granted
}
