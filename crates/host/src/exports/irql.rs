//! The IRQL, and spin locks.

use std::time::Duration;

use apclab_model::kernel::DISPATCH_LEVEL;

use crate::bugcheck::{self, check};
use crate::dispatch::{Arguments, Export, Fault};
use crate::thread::Thread;

pub(super) const EXPORTS: &[Export] = &[
    Export::plain("KeGetCurrentIrql", |thread, _| {
        Ok(u64::from(thread.lock().kernel.irql(thread.id)))
    }),
    Export::rule("KfRaiseIrql", raise),
    Export::rule("KeLowerIrql", lower),
    Export::rule("KeAcquireSpinLockRaiseToDpc", acquire),
    Export::rule("KeReleaseSpinLock", release),
];

fn raise(thread: &Thread, arguments: &Arguments) -> Result<u64, Fault> {
    let old = thread
        .lock()
        .kernel
        .raise_irql(thread.id, arguments.byte(0))?;
    Ok(u64::from(old))
}

fn lower(thread: &Thread, arguments: &Arguments) -> Result<u64, Fault> {
    thread
        .lock()
        .kernel
        .lower_irql(thread.id, arguments.byte(0))?;
    Ok(0)
}

/// How long a thread sleeps at most before it looks at a spin lock again. It is woken by the
/// release; the limit only bounds what a lost machine costs.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

fn acquire(thread: &Thread, arguments: &Arguments) -> Result<u64, Fault> {
    let lock = arguments.word(0);
    let mut state = thread.lock();
    let old = state.kernel.raise_irql(thread.id, DISPATCH_LEVEL)?;
    loop {
        match state.spin_locks.get(&lock) {
            None => break,
            Some(owner) if *owner == thread.id => {
                let reason = format!("the spin lock at {lock:#x} is acquired by its owner");
                let code = bugcheck::SPIN_LOCK_ALREADY_OWNED;
                return Err(check(code, [lock, 0, 0, 0], reason).into());
            }
            Some(_) => {}
        }
        if thread.machine.stopped() {
            return Err(Fault::Stopped);
        }
        thread.machine.spinners.wait_for(&mut state, LOOK_AGAIN);
    }
    state.memory.write_u64(lock, 1)?;
    state.spin_locks.insert(lock, thread.id);
    Ok(u64::from(old))
}

fn release(thread: &Thread, arguments: &Arguments) -> Result<u64, Fault> {
    let lock = arguments.word(0);
    let mut state = thread.lock();
    if state.spin_locks.get(&lock) != Some(&thread.id) {
        let reason = format!("the spin lock at {lock:#x} is released by a thread that has it not");
        return Err(check(bugcheck::SPIN_LOCK_NOT_OWNED, [lock, 0, 0, 0], reason).into());
    }
    state.spin_locks.remove(&lock);
    state.memory.write_u64(lock, 0)?;
    state.kernel.lower_irql(thread.id, arguments.byte(1))?;
    thread.machine.spinners.notify_all();
    Ok(0)
}
