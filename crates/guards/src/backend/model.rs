//! The reference model in place of the kernel. Each host thread is one kernel thread of its own.

use std::cell::RefCell;

use apclab_model::kernel::{APC_LEVEL, Answer, Baseline, BugCheck, Kernel, Profile, ThreadId};

struct Thread {
    kernel: Kernel,
    id: ThreadId,
}

thread_local! {
    static THREAD: RefCell<Thread> = RefCell::new({
        let mut kernel = Kernel::new(Profile::Nt52);
        let id = kernel.create_thread(Baseline::default());
        Thread { kernel, id }
    });
}

/// Applies a rule to this thread. A bug check is a panic: the test that caused it fails with its
/// sentence.
fn call<R>(rule: impl FnOnce(&mut Kernel, ThreadId) -> Result<R, BugCheck>) -> R {
    THREAD.with_borrow_mut(|thread| match rule(&mut thread.kernel, thread.id) {
        Ok(answer) => answer,
        Err(bug_check) => panic!("bug check: {bug_check}"),
    })
}

pub(crate) fn enter_critical() {
    call(Kernel::enter_critical);
}

pub(crate) fn leave_critical() {
    call(Kernel::leave_critical);
}

pub(crate) fn enter_guarded() {
    call(Kernel::enter_guarded);
}

pub(crate) fn leave_guarded() {
    call(Kernel::leave_guarded);
}

pub(crate) fn apcs_disabled() -> bool {
    // Where the documents leave the answer open the model's nt52 profile, used here, does not.
    call(|kernel, thread| kernel.apcs_disabled(thread)) != Answer::Is(false)
}

pub(crate) fn all_apcs_disabled() -> bool {
    call(|kernel, thread| kernel.all_apcs_disabled(thread))
}

pub(crate) fn current_irql() -> u8 {
    call(|kernel, thread| Ok(kernel.irql(thread)))
}

pub(crate) fn raise_to_apc_level() -> u8 {
    call(|kernel, thread| kernel.raise_irql(thread, APC_LEVEL))
}

pub(crate) fn lower_to(irql: u8) {
    call(|kernel, thread| kernel.lower_irql(thread, irql));
}

/// What tests may ask of the model behind the guards.
pub mod testing {
    use super::{Baseline, THREAD};

    /// The calling thread's two counters: 0 is enabled, negative is that many regions deep.
    pub fn counters() -> Baseline {
        THREAD.with_borrow(|thread| thread.kernel.counters(thread.id))
    }
}
