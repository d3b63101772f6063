//! Sound guards for the Windows kernel's APC-disabling regions.
//!
//! - [`Passive`] and [`ApcLevel`] witness at which IRQL the code runs, so that calling a routine
//!   above its IRQL is a type error (rule IrqlKeApcLte2).
//! - [`CriticalRegion`] and [`GuardedRegion`] are held regions: left exactly once, by the thread
//!   that entered them, innermost first where they are lexically nested. [`critical`] and
//!   [`guarded`] are the forms to prefer: a closure cannot forget its region, a guard can
//!   (`core::mem::forget` is safe). [`Regions`] has both as methods of a token.
//! - [`RegionStack`] holds any number of nested regions in storage of the caller's, for code that
//!   learns only at run time how deep it nests.
//! - [`FastMutex`], [`GuardedMutex`], [`KMutex`] and [`ReentrantKMutex`] hold data that a closure gets
//!   while it holds the mutex. They live in [`Nonpaged`] memory that they never leave.
//! - [`Resource`], [`ReentrantResource`] and [`PushLock`] hold data that one thread writes or several
//!   read. They ask for a proof that normal kernel APCs are disabled, or bring a region along.
//! - [`NormalApcsDisabled`] is the proof that executive resources ask for; [`AnyProof`] is one whose kind
//!   does not matter.
//!
//! ```
//! use apclab_guards::{Passive, apcs_disabled, critical};
//!
//! fn work(irql: &mut Passive) -> bool {
//!     critical(irql, |irql, _region| apcs_disabled(irql))
//! }
//!
//! // SAFETY: this thread runs at PASSIVE_LEVEL, and no other token of it exists.
//! let mut irql = unsafe { Passive::assume() };
//! assert!(work(&mut irql));
//! assert!(!apcs_disabled(&irql));
//! ```
//!
//! All `unsafe` that touches the kernel is in the private module `backend`.
#![cfg_attr(not(feature = "model"), no_std)]

mod backend;
#[cfg(feature = "debug")]
pub mod debug;
#[cfg(not(feature = "debug"))]
#[path = "undebugged.rs"]
mod debug;
mod irql;
mod kmutex;
mod methods;
mod mutex;
mod predicates;
mod proof;
mod push_lock;
mod region;
mod resource;
mod stack;

#[cfg(all(feature = "wdk", feature = "lookup"))]
pub use backend::find_push_locks;
pub use backend::memory::{Lock, Nonpaged, NotMade, Place};
#[cfg(all(feature = "model", not(feature = "wdk")))]
pub use backend::testing;
pub use backend::{
    EnterMode, ExclusiveGuard, Hold, InRegion, Mode, OfResource, PushExclusive, PushShared,
    SharedGuard, StopEvent, WithRegion,
};
pub use irql::{ApcLevel, AtMostApcLevel, Passive};
pub use kmutex::{HoldsKMutex, KMutex, NotAcquired, ReentrantKMutex};
pub use methods::Regions;
pub use mutex::{ByGuardedRegion, Fast, FastMutex, GuardedMutex, Mutex, MutexKind};
pub use predicates::{all_apcs_disabled, apcs_disabled, current_irql};
pub use proof::{AnyProof, NormalApcsDisabled};
pub use push_lock::{PushLock, PushLockExclusive, PushLockMode, PushLockShared};
pub use region::{
    Critical, CriticalRegion, Guarded, GuardedRegion, Kind, Region, critical, guarded,
};
pub use resource::{
    HeldAs, NotExclusive, ReentrantGuard, ReentrantResource, Refused, Resource, ResourceExclusive,
    ResourceOwner, ResourceShared, StillOwned,
};
pub use stack::{Full, RegionKind, RegionStack, Slot};

/// Makes a type neither `Send` nor `Sync`: what it witnesses belongs to one thread. An array of no pointers
/// is as small as `PhantomData`, and the compiler's message names what matters alone.
#[derive(Clone, Copy, Debug)]
struct OneThread {
    _marker: [*mut StaysOnTheThreadThatMadeIt; 0],
}

impl OneThread {
    const HERE: Self = Self { _marker: [] };
}

/// What the compiler names when such a type is sent or shared.
#[derive(Debug)]
enum StaysOnTheThreadThatMadeIt {}

#[cfg(doctest)]
#[doc = include_str!("../../../docs/guards.md")]
struct Guide;
