//! The reference semantics of the kernel's APC-disabling regions.
//!
//! [`kernel`] holds the rules once, over a small state without I/O, clocks or threads. Whoever
//! executes them (the host's kernel exports) and whoever searches them uses the same code.
//!
//! Facts are cited as "semantics.md, section N", the project's list of what the documentation
//! and open re-implementations of the NT kernel say, or by the name of a Microsoft reference page.

pub mod kernel;
