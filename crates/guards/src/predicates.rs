//! What the kernel says of the calling thread.

use crate::{AtMostApcLevel, backend};

/// `KeAreApcsDisabled`: whether the thread is in a critical region (or owns a KMUTEX), or in a
/// guarded region. What it says in a guarded region *only* differs between Windows builds.
///
/// The rule IrqlKeApcLte2 demands IRQL <= APC_LEVEL; the token shows it.
pub fn apcs_disabled(_irql: &impl AtMostApcLevel) -> bool {
    backend::apcs_disabled()
}

/// `KeAreAllApcsDisabled`: whether the thread is in a guarded region or at IRQL >= APC_LEVEL.
///
/// The rule IrqlKeApcLte2 demands IRQL <= APC_LEVEL; the token shows it.
pub fn all_apcs_disabled(_irql: &impl AtMostApcLevel) -> bool {
    backend::all_apcs_disabled()
}

/// `KeGetCurrentIrql`, at any IRQL: 0 is PASSIVE_LEVEL, 1 APC_LEVEL, 2 DISPATCH_LEVEL.
pub fn current_irql() -> u8 {
    backend::current_irql()
}
