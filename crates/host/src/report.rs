//! What the host answers: completions, and everything that may go wrong, in words.

mod deadlock;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

pub use deadlock::{DeadlockReport, Stuck};

/// How a request ended: the two words of `IO_STATUS_BLOCK`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completion {
    /// The NTSTATUS.
    pub status: i32,
    /// The information value, for an IOCTL the number of bytes returned.
    pub information: usize,
}

/// A bug check of the simulated machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BugCheckReport {
    /// The bug check code.
    pub code: u32,
    /// Its four parameters.
    pub parameters: [u64; 4],
    /// The thread that it happened in.
    pub thread: String,
    /// The kernel or framework function that the thread's driver code called last.
    pub routine: String,
    /// What went wrong, in a sentence.
    pub reason: String,
}

impl fmt::Display for BugCheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [p1, p2, p3, p4] = self.parameters;
        write!(
            f,
            "bug check {:#x} ({p1:#x}, {p2:#x}, {p3:#x}, {p4:#x}) in {}, last call {}: {}",
            self.code, self.thread, self.routine, self.reason
        )
    }
}

/// Where a thread was when the driver did not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadReport {
    /// The thread's name.
    pub name: String,
    /// The kernel or framework function that its driver code called last.
    pub routine: String,
    /// Whether it is blocked in a wait.
    pub waiting: bool,
}

impl fmt::Display for ThreadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = if self.waiting {
            "waits in"
        } else {
            "last called"
        };
        write!(f, "{} {how} {}", self.name, self.routine)
    }
}

/// The driver did not answer in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoAnswer {
    /// How long the host waited.
    pub waited: Duration,
    /// What it waited for.
    pub awaited: String,
    /// Requests that the driver has and has not completed.
    pub requests: Vec<String>,
    /// Every thread that runs the driver's code.
    pub threads: Vec<ThreadReport>,
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no answer to {} after {:?}", self.awaited, self.waited)?;
        if !self.requests.is_empty() {
            write!(f, "; not completed: {}", self.requests.join(", "))?;
        }
        for thread in &self.threads {
            write!(f, "; {thread}")?;
        }
        Ok(())
    }
}

/// Something that the driver left behind when it was unloaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leak {
    /// A pool allocation.
    Pool {
        /// Its tag, as text.
        tag: String,
        /// Its size in bytes.
        size: usize,
        /// Where it was allocated, as `image+offset`.
        site: String,
    },
    /// A kernel handle that was not closed.
    Handle {
        /// The handle's value.
        value: u64,
        /// What it refers to.
        object: String,
    },
    /// References to an object that were not given back.
    References {
        /// The object.
        object: String,
        /// How many references are left.
        count: u64,
    },
    /// A thread that still ran when the driver had been unloaded.
    Thread {
        /// The thread's name.
        name: String,
    },
    /// A framework object.
    Framework {
        /// Its kind.
        kind: String,
        /// Its handle.
        handle: u64,
    },
}

impl fmt::Display for Leak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pool { tag, size, site } => {
                write!(
                    f,
                    "{size} bytes of pool with tag '{tag}' allocated at {site}"
                )
            }
            Self::Handle { value, object } => write!(f, "handle {value:#x} to {object}"),
            Self::References { object, count } => write!(f, "{count} references to {object}"),
            Self::Thread { name } => write!(f, "{name} still runs"),
            Self::Framework { kind, handle } => write!(f, "framework {kind} {handle:#x}"),
        }
    }
}

/// What an orderly stop has to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StopReport {
    /// How many pool allocations the driver made, all of which it freed.
    pub allocations: u64,
    /// How many calls it made that [`Options::fail`](crate::Options::fail) counts.
    pub fallible_calls: u64,
    /// How many threads it created, all of which ended.
    pub threads: u64,
    /// The most that any thread used of its kernel stack of 24 KB, in bytes.
    pub deepest_stack: usize,
    /// What it printed.
    pub log: Vec<String>,
}

/// Why a call did not give an answer of the driver.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// The machine has bug-checked; it runs no driver code any more.
    #[error("{0}")]
    BugCheck(BugCheckReport),
    /// Threads of the driver wait for each other; the machine runs no driver code any more.
    #[error("{0}")]
    Deadlock(DeadlockReport),
    /// The driver did not answer in time.
    #[error("{0}")]
    NoAnswer(Box<NoAnswer>),
    /// The driver refused to open the device.
    #[error("the device cannot be opened: status {status:#010x}")]
    Open {
        /// The NTSTATUS of the create request.
        status: i32,
    },
    /// The device cannot be removed while handles are open.
    #[error("{open} handles to the device are open")]
    FilesOpen {
        /// How many.
        open: usize,
    },
    /// The driver was unloaded and left something behind.
    #[error("the driver left behind: {}", list(.0))]
    Leaks(Vec<Leak>),
    /// The driver was unloaded in a way that Windows would not have taken.
    #[error("unloading the driver: {0}")]
    Unload(String),
    /// What was asked of a schedule cannot be had.
    #[error("the schedule: {0}")]
    Schedule(String),
    /// Special user APCs were asked for, and the machine was started without.
    #[error("the machine has no special user APCs")]
    NoSpecialUserApcs,
    /// The thread has ended.
    #[error("the thread has ended")]
    ThreadEnded,
    /// The machine has been switched off.
    #[error("the machine has been switched off")]
    Off,
    /// The process ran out of a resource that the simulated machine needs.
    #[error("the host cannot go on: {0}")]
    Resources(String),
}

fn list(leaks: &[Leak]) -> String {
    leaks
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}

/// Why a machine did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// This build of the host runs on x86-64 Linux only.
    #[error("the host is unsupported here: it runs on x86-64 Linux only")]
    Unsupported,
    /// The image file cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// The file is not a kernel image that can be loaded.
    #[error("{}: {reason}", path.display())]
    Image {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// The image imports something that the host does not have.
    #[error("{dll} has no {function}")]
    MissingImport {
        /// The library.
        dll: String,
        /// The function.
        function: String,
    },
    /// A step of the start returned an error status.
    #[error("{step} failed with status {status:#010x}")]
    Status {
        /// The step, by the name of the routine.
        step: &'static str,
        /// The NTSTATUS.
        status: i32,
    },
    /// The start ended in a bug check or did not end.
    #[error("{0}")]
    Failed(#[from] HostError),
}
