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
//!
//! and these types, each a kernel object that is initialised where it stays:
//!
//! | type | kernel structure | contract |
//! |---|---|---|
//! | `FastMutex` | `FAST_MUTEX` | [`Exclusive`](exclusive::Exclusive) |
//! | `GuardedMutex` | `KGUARDED_MUTEX` | [`Exclusive`](exclusive::Exclusive) |
//! | `KernelMutex` | `KMUTEX` | [`Recursive`](recursive::Recursive) |
//! | `Resource` | `ERESOURCE` | [`sharing`] |
//! | `PushLock` | `EX_PUSH_LOCK` | [`sharing`] |
//!
//! With the feature `debug`, `current_thread` is a number of the calling thread, not 0, `normal_apcs_enabled`
//! says whether nothing keeps its normal kernel APCs out, and `report` tells a developer of a mistake. With the feature `alloc`, `allocate` and `free` are the nonpaged pool, aligned to `POOL_ALIGNMENT`.
//!
//! What the objects protect, and who may reach it when, is the same for both implementations:
//! [`exclusive`], [`recursive`] and [`sharing`] say it in types, [`admission`] asks where types cannot know;
//! [`memory`] keeps the objects where they are.

pub(crate) mod admission;
pub(crate) mod exclusive;
mod hold;
pub(crate) mod memory;
mod owner;
pub(crate) mod recursive;
pub(crate) mod sharing;
mod wait;

pub use hold::{Hold, InRegion, OfResource, PushExclusive, PushShared, WithRegion};
pub use owner::ResourceOwner;
pub use sharing::{EnterMode, ExclusiveGuard, Mode, SharedGuard};
pub use wait::StopEvent;
pub(crate) use wait::{NeverStops, Wait, Waited};

#[cfg(feature = "wdk")]
mod wdk;
#[cfg(all(feature = "wdk", feature = "lookup"))]
pub use wdk::find_push_locks;
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
