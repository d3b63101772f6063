//! Programs that may deadlock, on a host whose threads run at the same time: a deadlock ends the machine,
//! so each iteration is a run of its own, and behind a deadlock a new machine goes on.

use apclab_protocol::build::ProgramBuf;

use crate::host::HostTarget;
use crate::target::{RunOptions, RunOutcome};
use crate::{TargetError, iterations};

/// Runs the program as often as asked for, and counts the iterations that deadlock.
pub(crate) fn run(
    target: &mut HostTarget,
    program: &ProgramBuf,
    options: &RunOptions,
) -> Result<RunOutcome, TargetError> {
    let mut loaded = false;
    iterations::add_up(
        options,
        |sum| sum.deadlocks,
        |one| {
            let answer = once(target, program, one, &mut loaded);
            loaded &= !matches!(answer, Err(TargetError::Deadlock(_)));
            answer
        },
    )
}

/// One iteration; on a machine that has not been given the program it is loaded first.
fn once(
    target: &mut HostTarget,
    program: &ProgramBuf,
    options: &RunOptions,
    loaded: &mut bool,
) -> Result<RunOutcome, TargetError> {
    let answer = target.machine().and_then(|machine| {
        if !*loaded && let Some(refused) = machine.session.load(program)? {
            return Ok(refused);
        }
        *loaded = true;
        machine.run_loaded(program, options)
    });
    target.settle(answer)
}
