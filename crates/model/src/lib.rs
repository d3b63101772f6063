//! The reference semantics of the kernel's APC-disabling regions.
//!
//! [`kernel`] holds the rules once, over a small state without I/O, clocks or threads. Whoever
//! executes them (the host's kernel exports) and whoever searches them uses the same code.
//!
//! [`program`] puts the lanes of a litmus test on top of it. [`explore()`] takes every path and
//! lists all outcomes; [`sample()`] takes random ones and counts. A [`Mutant`] is a machine that gets
//! one fact wrong, for those who want to know whether a test can fail.
//!
//! Facts are cited as "docs/semantics.md, section N", the project's list of what the documentation
//! and open re-implementations of the NT kernel say, or by the name of a Microsoft reference page.

pub mod explore;
pub mod kernel;
pub mod program;
pub mod sample;

pub use explore::{LimitReached, Limits, Outcomes, explore, explore_from};
pub use kernel::Mutant;
pub use sample::{Histogram, sample};
