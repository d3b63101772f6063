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
//! `thread` are what a call meets on its way; `exports` and `kmdf` are what the driver can call;
//! `memory` is what it may touch; `apcs`, `events` and `objects` are what it shares with the
//! kernel; `io` and `workers` are the requests of user mode; `pnp` is its life; `faults` are its
//! crashes.
//!
//! On other systems than x86-64 Linux the interface is there and [`Host::start`] says
//! [`StartError::Unsupported`].

mod options;
mod report;

pub use options::Options;
pub use report::{
    BugCheckReport, Completion, HostError, Leak, NoAnswer, StartError, StopReport, ThreadReport,
};

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod supported {
    pub use crate::host::{File, Host, Pending};
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
mod unsupported;
#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
pub use unsupported::{File, Host, Pending};

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub use supported::{File, Host, Pending};

macro_rules! on_x64_linux {
    ($($module:ident),* $(,)?) => {
        $(
            #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
            mod $module;
        )*
    };
}

on_x64_linux!(
    apcs,
    bindings,
    bugcheck,
    dispatch,
    events,
    exports,
    faults,
    host,
    image,
    io,
    kmdf,
    machine,
    mapping,
    memory,
    objects,
    pnp,
    pool_errors,
    stack,
    status,
    thread,
    workers,
);
