//! Critical and guarded regions, and the predicates: docs/semantics.md, section 1.

use apclab_model::kernel::{Answer, BugCheck, Kernel, ThreadId};

use crate::dispatch::{Arguments, Export, Fault};
use crate::thread::Thread;

pub(super) const EXPORTS: &[Export] = &[
    Export::rule("KeEnterCriticalRegion", |thread, _| {
        change(thread, Kernel::enter_critical)
    }),
    Export::rule("KeLeaveCriticalRegion", |thread, _| {
        change(thread, Kernel::leave_critical)
    }),
    Export::rule("KeEnterGuardedRegion", |thread, _| {
        change(thread, Kernel::enter_guarded)
    }),
    Export::rule("KeLeaveGuardedRegion", |thread, _| {
        change(thread, Kernel::leave_guarded)
    }),
    Export::rule("KeAreApcsDisabled", are_apcs_disabled),
    Export::rule("KeAreAllApcsDisabled", are_all_apcs_disabled),
];

fn change(
    thread: &Thread,
    rule: fn(&mut Kernel, ThreadId) -> Result<(), BugCheck>,
) -> Result<u64, Fault> {
    rule(&mut thread.lock().kernel, thread.id)?;
    Ok(0)
}

fn are_apcs_disabled(thread: &Thread, _: &Arguments) -> Result<u64, Fault> {
    // Where the sources contradict each other the documentation's answer is TRUE.
    let disabled = match thread.lock().kernel.apcs_disabled(thread.id)? {
        Answer::Is(disabled) => disabled,
        Answer::Either => true,
    };
    Ok(u64::from(disabled))
}

fn are_all_apcs_disabled(thread: &Thread, _: &Arguments) -> Result<u64, Fault> {
    Ok(u64::from(
        thread.lock().kernel.all_apcs_disabled(thread.id)?,
    ))
}
