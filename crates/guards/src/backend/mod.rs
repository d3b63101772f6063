//! The whole contract with the kernel.
//!
//! Each implementation offers the functions below. Their callers in this crate hold an IRQL witness
//! where the routine's page limits the IRQL, and pair every enter with one leave and every raise
//! with one lower on the same thread.
//!
//! | function | kernel routine | IRQL |
//! |---|---|---|
//! | `enter_critical` | `KeEnterCriticalRegion` | <= APC_LEVEL |
//! | `leave_critical` | `KeLeaveCriticalRegion` | <= APC_LEVEL |
//! | `enter_guarded` | `KeEnterGuardedRegion` | <= APC_LEVEL |
//! | `leave_guarded` | `KeLeaveGuardedRegion` | <= APC_LEVEL |
//! | `apcs_disabled` | `KeAreApcsDisabled` | <= APC_LEVEL |
//! | `all_apcs_disabled` | `KeAreAllApcsDisabled` | <= APC_LEVEL |
//! | `current_irql` | `KeGetCurrentIrql` | any |
//! | `raise_to_apc_level` | `KeRaiseIrql` | <= APC_LEVEL; gives the old IRQL |
//! | `lower_to` | `KeLowerIrql` | what `raise_to_apc_level` raised to |

#[cfg(feature = "wdk")]
mod wdk;
#[cfg(feature = "wdk")]
pub(crate) use wdk::*;

#[cfg(all(feature = "model", not(feature = "wdk")))]
mod model;
#[cfg(all(feature = "model", not(feature = "wdk")))]
pub use model::testing;
#[cfg(all(feature = "model", not(feature = "wdk")))]
pub(crate) use model::*;

#[cfg(not(any(feature = "wdk", feature = "model")))]
compile_error!(
    "choose what stands behind the guards: a driver wants `default-features = false, features = [\"wdk\"]`"
);
