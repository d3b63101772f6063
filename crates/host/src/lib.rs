//! Runs the real `apclab.sys` in a process.
//!
//! The host loads the driver's image (PE32+, x64, KMDF 1.15) into this process and is the machine
//! around it: the kernel's exports, the framework, the I/O manager and the Plug and Play manager,
//! as far as the driver uses them. The kernel's rules on threads, regions, APCs and waits are those
//! of [`apclab_model::kernel`]; nothing here states them again.
//!
//! Driver code runs on threads of the host's own, on kernel stacks of 24 KB. Whatever it does
//! wrong (a fault, a full stack, a rule broken, a framework function misused) is a bug check of
//! that machine: an error of every call on it, never a crash of the process. After a bug check the
//! machine runs no driver code any more.
//!
//! The modules: `image` loads the file; `stack` goes into driver code and back, `dispatch` and
//! `thread` are what a call meets on its way, `delivery` and `waits` what a thread does in the
//! kernel; `exports` and `kmdf` are what the driver can call; `memory` is what it may touch;
//! `apcs`, `events`, `locks` and `objects` are what it shares with the kernel; `io`, `irp` and
//! `workers` are the requests of user mode, `user` and `user_mode` its threads; `pnp` is the
//! driver's life; `failures` are those that it is made to meet, `faults` its crashes; `scheduler`
//! orders the threads where [`Schedule`] asks for it.
//!
//! On other systems than x86-64 Linux the interface is there and [`Host::start`] says
//! [`StartError::Unsupported`].

mod options;
mod report;
mod schedule;

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod apcs;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod bindings;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod bugcheck;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod deadlock;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod delivery;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod dispatch;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod events;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod exports;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod failures;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod faults;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod host;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod image;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod io;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod irp;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod kmdf;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod locks;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod machine;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod mapping;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod memory;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod objects;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod pnp;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod pool_errors;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod scheduler;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod spawn;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod stack;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod status;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod thread;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod time;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod user;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod user_mode;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod waits;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod workers;

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
mod unsupported;

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub use host::{File, Host, Pending};
pub use options::Options;
pub use report::{
    BugCheckReport, Completion, DeadlockReport, HostError, Leak, NoAnswer, StartError, StopReport,
    Stuck, ThreadReport,
};
pub use schedule::{Choice, Exploration, Schedule, explore_schedules};
#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
pub use unsupported::{
    CriticalSection, File, Host, Pending, UserEvent, UserHandle, UserRef, UserThread,
};
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub use user::{CriticalSection, UserEvent, UserHandle, UserRef, UserThread};
