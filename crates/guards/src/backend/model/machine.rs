//! Host threads as the threads of one modelled machine.

use std::cell::RefCell;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use apclab_model::kernel::{Baseline, BugCheck, Kernel, ObjectId, Profile, ThreadId};

/// A wait that lasts this long in a test is a deadlock.
pub(super) const DEADLOCK: Duration = Duration::from_secs(10);

/// One modelled machine, shared by the host threads that run on it.
#[derive(Debug)]
pub(super) struct Shared {
    kernel: Mutex<Kernel>,
    changed: Condvar,
}

/// The kernel thread that a host thread is.
#[derive(Clone, Debug)]
pub(super) struct Seat {
    pub(super) machine: Arc<Shared>,
    pub(super) id: ThreadId,
}

thread_local! {
    static SEAT: RefCell<Option<Seat>> = const { RefCell::new(None) };
}

impl Shared {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            kernel: Mutex::new(Kernel::new(Profile::Nt52)),
            changed: Condvar::new(),
        })
    }

    /// A panic with the lock taken is a bug check, which leaves the kernel as it was.
    pub(super) fn lock(&self) -> MutexGuard<'_, Kernel> {
        self.kernel.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The calling host thread's place; a machine of its own if it has been given none.
pub(super) fn seat() -> Seat {
    SEAT.with_borrow_mut(|seat| {
        seat.get_or_insert_with(|| {
            let machine = Shared::new();
            let id = machine.lock().create_thread(Baseline::default());
            Seat { machine, id }
        })
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
    let answer = rule(&mut seat.machine.lock(), seat.id);
    seat.machine.changed.notify_all();
    survive(answer)
}

/// Waits for one of the objects, so long at most, and gives which it was.
pub(super) fn wait_any(objects: &[ObjectId], time: Option<Duration>) -> Option<usize> {
    let seat = seat();
    let may_block = time != Some(Duration::ZERO);
    let end = Instant::now() + time.unwrap_or(DEADLOCK);
    let mut kernel = seat.machine.lock();
    let at_once = kernel.wait(seat.id, objects, false, may_block);
    let mut granted = survive(at_once);
    while granted.is_none() && may_block {
        granted = kernel.grant(seat.id);
        let left = end.saturating_duration_since(Instant::now());
        if granted.is_some() || (left.is_zero() && kernel.expire(seat.id)) {
            break;
        }
        let left = left.max(Duration::from_millis(1));
        kernel = seat
            .machine
            .changed
            .wait_timeout(kernel, left)
            .map_or_else(|poisoned| poisoned.into_inner().0, |(kernel, _)| kernel);
    }
    drop(kernel);
    seat.machine.changed.notify_all();
    assert!(
        granted.is_some() || time.is_some(),
        "deadlock: a wait without a time-out lasted {DEADLOCK:?}"
    );
    granted
}
