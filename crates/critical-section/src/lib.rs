//! Sound guards for the `CRITICAL_SECTION` of Windows' user mode.
//!
//! | type | for | recursion | its guard gives |
//! |---|---|---|---|
//! | [`CriticalMutex`] | data that one thread at a time changes | refused, an error value | `&mut T` |
//! | [`CriticalSection`] | data that the owner may enter again | counted | `&T` |
//! | [`RawCriticalSection`] | code that can't have guards: callbacks in pairs, interfaces for C | counted | nothing |
//!
//! In each of them the system's object lies in an allocation of its own, which it never leaves: a
//! `CRITICAL_SECTION` must not be moved. It is deleted when its owner in Rust is dropped, and only when it is
//! free: one whose guard was leaked stays in memory for ever, and [`RawCriticalSection::delete`] refuses it.
//!
//! Guards can't be sent to another thread, so that only the thread that entered can leave. The raw form has no
//! guards; there, leaving what the thread does not own is an error value.
//!
//! A critical section does not hold APCs back, which is what sets it apart from a critical region of the
//! kernel: in an alertable wait inside one, user APCs run on the owner's thread, and they can enter again.
//! [`CriticalSection`] then gives them `&T`, and [`CriticalMutex`] an error.
//!
//! A guard that is dropped while its thread unwinds leaves as any other does. There is no poisoning: data
//! whose invariants a panic can break needs a mark of its own.
#![cfg_attr(
    windows,
    doc = r"
```
use apclab_critical_section::{CriticalMutex, CriticalSection, EnterError, Options};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let total = CriticalMutex::new(0)?;
    *total.enter()? += 1;
    assert_eq!(total.with(|total| *total)?, 1);

    let held = total.enter()?;
    assert!(matches!(total.enter(), Err(EnterError::AlreadyEntered)));
    drop(held);

    let log = CriticalSection::with_options(std::cell::Cell::new(0), Options::new().spin_count(4000)?)?;
    let outer = log.enter()?;
    let inner = log.enter()?;
    inner.set(inner.get() + 1);
    assert_eq!((outer.get(), inner.depth()), (1, 2));
    Ok(())
}
```
"
)]
#![cfg_attr(
    not(windows),
    doc = "\n**This is the documentation for another system than Windows, where the crate is empty.** \
           `cargo doc --target x86_64-pc-windows-gnu` makes the real one."
)]
// Elsewhere there is nothing for these names to lead to.
#![cfg_attr(not(windows), allow(rustdoc::broken_intra_doc_links))]

#[cfg(windows)]
mod error;
#[cfg(windows)]
mod mutex;
#[cfg(windows)]
mod options;
#[cfg(windows)]
mod raw;
#[cfg(windows)]
mod section;
#[cfg(windows)]
mod system;
#[cfg(windows)]
mod thread;

#[cfg(windows)]
pub use error::{EnterError, InitError, NotOwner, SpinCountTooLarge, StillEntered};
#[cfg(windows)]
pub use mutex::{CriticalMutex, CriticalMutexGuard};
#[cfg(windows)]
pub use options::{MAX_SPIN_COUNT, Options};
#[cfg(windows)]
pub use raw::{MAX_DEPTH, RawCriticalSection};
#[cfg(windows)]
pub use section::{CriticalSection, Entered};

#[cfg(all(windows, doctest))]
#[doc = include_str!("../../../docs/critical-section.md")]
struct Guide;
