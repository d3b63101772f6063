//! Kernel APCs: exported and undocumented (docs/semantics.md, section 2).

use apclab_model::kernel::DISPATCH_LEVEL;

use crate::apcs::Routines;
use crate::bugcheck;
use crate::dispatch::{Arguments, Export, Fault};
use crate::thread::Thread;

pub(super) const EXPORTS: &[Export] = &[
    Export::rule("KeInitializeApc", initialize),
    Export::rule("KeInsertQueueApc", insert),
];

/// `KeInitializeApc(Apc, Thread, Environment, KernelRoutine, RundownRoutine, NormalRoutine,
/// ApcMode, NormalContext)`.
fn initialize(thread: &Thread, arguments: &Arguments) -> Result<u64, Fault> {
    let mut state = thread.lock();
    let object = arguments.word(1);
    let Some(target) = state.objects.thread(object) else {
        let reason = format!("KeInitializeApc was given {object:#x}, which is no thread");
        return Err(bugcheck::verifier(0, object, reason).into());
    };
    // 0 is OriginalApcEnvironment, 2 CurrentApcEnvironment; the others attach to processes.
    let environment = arguments.long(2);
    let user = arguments.word(5) != 0 && arguments.byte(6) != 0;
    if user || !matches!(environment, 0 | 2) || arguments.word(3) == 0 {
        let reason = format!(
            "KeInitializeApc with environment {environment}, mode {} and kernel routine {:#x}: the \
             host has kernel APCs of the thread's own environment only",
            arguments.byte(6),
            arguments.word(3)
        );
        return Err(bugcheck::verifier(0, arguments.word(0), reason).into());
    }
    let routines = Routines {
        address: arguments.word(0),
        kernel: arguments.word(3),
        rundown: arguments.word(4),
        normal: arguments.word(5),
        context: arguments.word(7),
        arguments: [0; 2],
    };
    state.initialize_apc(target, object, routines)?;
    Ok(0)
}

/// `KeInsertQueueApc(Apc, SystemArgument1, SystemArgument2, Increment)`.
fn insert(thread: &Thread, arguments: &Arguments) -> Result<u64, Fault> {
    let mut state = thread.lock();
    let irql = state.kernel.irql(thread.id);
    bugcheck::irql_at_most(irql, DISPATCH_LEVEL, "KeInsertQueueApc")?;
    let words = [arguments.word(1), arguments.word(2)];
    let inserted = state.insert_apc(arguments.word(0), words, thread.id)?;
    state.wake();
    Ok(u64::from(inserted))
}
