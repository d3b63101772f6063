//! The kernel's services as the driver uses them: memory, events, threads, spin locks, clock, optional routines.
#![allow(
    unsafe_code,
    reason = "calls to the kernel; each module wraps them in a safe interface"
)]

pub(crate) mod clock;
pub(crate) mod event;
pub(crate) mod memory;
pub(crate) mod routines;
pub(crate) mod spin_lock;
pub(crate) mod system;
pub(crate) mod thread;
pub(crate) mod try_lock;
pub(crate) mod user_event;
