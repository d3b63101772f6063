//! A run: many iterations of one program in threads of the driver's.
//!
//! The runner thread makes the lanes' threads and waits for them. The lanes go from iteration to
//! iteration by themselves: the last one to finish takes the outcome, resets the state and releases
//! the others.

pub(crate) mod apcs;
pub(crate) mod barrier;
pub(crate) mod body;
pub(crate) mod callers;
pub(crate) mod control;
pub(crate) mod delay;
pub(crate) mod handed_over;
pub(crate) mod held;
pub(crate) mod histogram;
pub(crate) mod interpreter;
pub(crate) mod lane;
pub(crate) mod level;
pub(crate) mod locks;
pub(crate) mod plain;
pub(crate) mod program;
pub(crate) mod raw;
pub(crate) mod runner;
pub(crate) mod state;
pub(crate) mod trace;
pub(crate) mod unscoped;
