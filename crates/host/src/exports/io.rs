//! The I/O manager's side of IRPs.

use crate::dispatch::{Arguments, Export, Fault};
use crate::thread::Thread;

pub(super) const EXPORTS: &[Export] = &[Export::rule("IofCompleteRequest", complete)];

/// `IofCompleteRequest(Irp, PriorityBoost)`.
fn complete(thread: &Thread, arguments: &Arguments) -> Result<u64, Fault> {
    thread.complete_wdm(arguments.word(0))?;
    Ok(0)
}
