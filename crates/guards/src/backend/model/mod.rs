//! The reference model in place of the kernel. Each host thread is one kernel thread: of a machine of
//! its own, or of one that [`testing::threads`] shares.
#![allow(
    unsafe_code,
    reason = "it stands in for the kernel's part of the contract"
)]

mod machine;
mod mutex;
mod name;
#[cfg(feature = "alloc")]
mod pool;
mod resource;
mod schedule;
pub mod testing;

use apclab_model::kernel::{APC_LEVEL, Answer, Kernel};

use machine::call;
#[cfg(feature = "debug")]
use machine::look;
pub(crate) use mutex::{FastMutex, GuardedMutex, KernelMutex};
#[cfg(feature = "alloc")]
pub(crate) use pool::{POOL_ALIGNMENT, allocate, free};
pub(crate) use resource::{PushLock, Resource};

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

/// A number of the calling thread, not 0.
#[cfg(feature = "debug")]
pub(crate) fn current_thread() -> usize {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static NEXT: AtomicUsize = AtomicUsize::new(1);
    thread_local! {
        static NUMBER: usize = NEXT.fetch_add(1, Ordering::Relaxed);
    }
    NUMBER.with(|number| *number)
}

/// Whether nothing keeps the thread's normal kernel APCs out. This is no call of the kernel, so that
/// it changes no order of a test.
#[cfg(feature = "debug")]
pub(crate) fn normal_apcs_enabled() -> bool {
    look(|kernel, thread| {
        let counters = kernel.counters(thread);
        counters.kernel == 0 && counters.special == 0 && kernel.irql(thread) < APC_LEVEL
    })
}

/// Keeps a mistake for the test to look at.
#[cfg(feature = "debug")]
pub(crate) fn report(mistake: &crate::debug::Mistake) {
    testing::keep(*mistake);
}
