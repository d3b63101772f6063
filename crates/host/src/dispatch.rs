//! What every call of the driver goes through: an export is looked at, APCs are delivered around
//! it, and an error ends the driver's part of the thread.
#![allow(
    unsafe_code,
    reason = "is called from assembly and may leave through it"
)]

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use apclab_model::kernel::BugCheck;

use crate::bugcheck::{self, check};
use crate::stack::{ARGUMENTS, abandon};
use crate::thread::Thread;

/// Why driver code does not go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The machine has stopped already, or is switched off.
    Stopped,
    /// This is what stops it.
    Check(BugCheck),
    /// The thread ends itself.
    Exit,
}

impl From<BugCheck> for Fault {
    fn from(check: BugCheck) -> Self {
        Self::Check(check)
    }
}

/// The argument words of a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arguments {
    words: [u64; ARGUMENTS],
    /// The address that the call returns to.
    pub(crate) site: u64,
}

impl Arguments {
    /// The argument number `index`, counted from 0.
    pub(crate) fn word(&self, index: usize) -> u64 {
        self.words[index]
    }

    /// The same as a ULONG.
    #[allow(
        clippy::cast_possible_truncation,
        reason = "the upper half of the word is undefined"
    )]
    pub(crate) fn long(&self, index: usize) -> u32 {
        self.words[index] as u32
    }

    /// The same as a LONG or NTSTATUS.
    pub(crate) fn signed(&self, index: usize) -> i32 {
        self.long(index).cast_signed()
    }

    /// The same as a UCHAR, BOOLEAN or KIRQL.
    #[allow(
        clippy::cast_possible_truncation,
        reason = "the upper part of the word is undefined"
    )]
    pub(crate) fn byte(&self, index: usize) -> u8 {
        self.words[index] as u8
    }
}

/// What an export does: gives the value of the result register.
pub(crate) type Body = fn(&Thread, &Arguments) -> Result<u64, Fault>;

/// A function that the driver can call.
#[derive(Clone, Copy)]
pub(crate) struct Export {
    /// Its name.
    pub(crate) name: &'static str,
    /// Whether it is a point at which the thread takes its APCs, before and after.
    pub(crate) delivers: bool,
    /// What it does.
    pub(crate) body: Body,
    /// What it gives when it is made to fail. `None`: it cannot fail, or fails only for what it
    /// was given.
    pub(crate) failure: Option<u64>,
}

impl std::fmt::Debug for Export {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Export {
    /// An export that has to do with threads, events or APCs.
    pub(crate) const fn rule(name: &'static str, body: Body) -> Self {
        Self {
            name,
            delivers: true,
            body,
            failure: None,
        }
    }

    /// An export that has not.
    pub(crate) const fn plain(name: &'static str, body: Body) -> Self {
        Self {
            name,
            delivers: false,
            body,
            failure: None,
        }
    }

    /// The same, as a call that [`Options::fail`](crate::Options::fail) counts: what it gives when
    /// it is made to fail is a result that its reference page knows.
    pub(crate) const fn fallible(self, failure: u64) -> Self {
        Self {
            failure: Some(failure),
            ..self
        }
    }
}

/// The driver calls `export`; `frame` points to the return address with the argument words behind.
pub(crate) extern "win64" fn dispatch(export: *const Export, frame: *const u64) -> u64 {
    if let Some(result) = run(export, frame) {
        return result;
    }
    // SAFETY: a dispatched call comes from inside a call into the driver, and everything of the
    // host above that call has been dropped: `run` has returned, this function owns nothing, and
    // whoever called the driver from inside another export keeps nothing across the call.
    unsafe { abandon() }
}

fn run(export: *const Export, frame: *const u64) -> Option<u64> {
    // SAFETY: the thunk that led here holds the address of an export that lives with the machine.
    let export = unsafe { &*export };
    let mut words = [0; ARGUMENTS + 1];
    // SAFETY: the frame is on the kernel stack, which has room above its outermost frame for as
    // many words as are read.
    unsafe { std::ptr::copy_nonoverlapping(frame, words.as_mut_ptr(), ARGUMENTS + 1) };
    let site = words[0];
    let mut arguments = Arguments {
        words: [0; ARGUMENTS],
        site,
    };
    arguments.words.copy_from_slice(&words[1..]);

    let thread = Thread::current()?;
    let outcome = catch_unwind(AssertUnwindSafe(|| thread.serve(export, &arguments)));
    let fault = match outcome {
        Ok(Ok(result)) => return Some(result),
        Ok(Err(fault)) => fault,
        Err(panic) => host_failure(export.name, panic.as_ref()),
    };
    thread.stop(fault);
    None
}

/// What a panic of the host itself becomes: the machine stops, the process goes on.
pub(crate) fn host_failure(place: &str, panic: &(dyn Any + Send)) -> Fault {
    let message = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without a message");
    let reason = format!("the host failed in {place}: {message}");
    Fault::Check(check(bugcheck::HOST_FAILURE, [0; 4], reason))
}
