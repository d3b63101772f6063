//! Typed contexts.

use super::attributes::unique_type;
use crate::dispatch::{Arguments, Export, Fault};
use crate::thread::Thread;

pub(super) const FUNCTIONS: &[Export] = &[Export::plain(
    "WdfObjectGetTypedContextWorker",
    typed_context,
)];

/// `WdfObjectGetTypedContextWorker(Handle, TypeInfo)`: null when the object has no such context.
fn typed_context(thread: &Thread, arguments: &Arguments) -> Result<u64, Fault> {
    let state = thread.lock();
    let object = state
        .framework
        .get(arguments.word(1), "WdfObjectGetTypedContextWorker")?;
    let kind = unique_type(&state.memory, arguments.word(2))?;
    let context = object.contexts.iter().find(|context| context.kind == kind);
    Ok(context.map_or(0, |context| context.address))
}
