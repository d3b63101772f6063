//! Every path: all outcomes of a test.
//!
//! The search is explicit and exhaustive, over states that are kept whole: no bits of hashes stand for
//! states. docs/explorer.md describes how it works and why its reductions keep every outcome.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;

use apclab_protocol::program::Program;

use crate::kernel::{Baseline, BugCheck, Profile};
use crate::program::{Event, State};

/// Runs code for states of so many words.
macro_rules! with_words {
    ($words:expr, $W:ident => $code:expr) => {{
        const MOST: usize = $crate::explore::layout::MOST_WORDS;
        match $words {
            1 => {
                const $W: usize = 1;
                $code
            }
            2 => {
                const $W: usize = 2;
                $code
            }
            3 => {
                const $W: usize = 3;
                $code
            }
            4 => {
                const $W: usize = 4;
                $code
            }
            6 => {
                const $W: usize = 6;
                $code
            }
            8 => {
                const $W: usize = 8;
                $code
            }
            16 => {
                const $W: usize = 16;
                $code
            }
            _ => {
                const $W: usize = MOST;
                $code
            }
        }
    }};
}

mod fork;
mod found;
mod intern;
mod layout;
#[cfg(test)]
pub(crate) mod plain;
mod reduce;
mod relation;
mod replay;
mod search;
mod table;
mod witness;

pub use reduce::Reductions;
pub use replay::{BadEvent, End, NoPath, Replay, path_from_text, path_to_text, replay};

use search::Search;

/// What a search may cost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// How many states it may keep. Most states take 20 to 30 bytes.
    pub states: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { states: 1_000_000 }
    }
}

/// How a search is made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// What is left out since other states show the same.
    pub reductions: Reductions,
    /// On how many threads. It changes nothing that is found.
    pub threads: NonZeroUsize,
    /// How many states it may keep.
    pub states: usize,
    /// How many bytes of memory it may take.
    pub bytes: usize,
    /// Whether a shortest path to each outcome is looked for. To deadlocks and bug checks it
    /// always is.
    pub witnesses: bool,
}

impl Default for Options {
    /// Every reduction, one thread, 2^30 states, 4 GiB, with witnesses.
    fn default() -> Self {
        Self {
            reductions: Reductions::ALL,
            threads: NonZeroUsize::MIN,
            states: 1 << 30,
            bytes: 4 << 30,
            witnesses: true,
        }
    }
}

/// How far a search has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    /// The states that it has met.
    pub states: u64,
    /// The transitions that it has taken.
    pub transitions: u64,
    /// How many events the states are away from the initial one that are expanded now.
    pub level: u64,
    /// The states that have been met and not been expanded yet.
    pub frontier: u64,
    /// The memory that it takes, in bytes.
    pub bytes: u64,
}

/// The search met its limit: it proves nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LimitReached {
    /// The limit on states, or how many there were when memory ran out.
    pub states: usize,
    /// The limit on memory in bytes, if that was reached.
    pub bytes: Option<usize>,
}

impl fmt::Display for LimitReached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let states = self.states;
        match self.bytes {
            None => write!(
                f,
                "the test has more than {states} states; raise the limit or make it smaller"
            ),
            Some(bytes) => write!(
                f,
                "the search took more than {} MiB of memory after {states} states; raise the limit \
                 or make the test smaller",
                bytes >> 20
            ),
        }
    }
}

impl std::error::Error for LimitReached {}

/// What a test may do.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Outcomes {
    /// The observed values of all final states, each with the number of final states that have
    /// them.
    pub outcomes: BTreeMap<Vec<i64>, u64>,
    /// For each outcome the events of one shortest path to it. Empty when
    /// [`Options::witnesses`] is false.
    pub witnesses: BTreeMap<Vec<i64>, Vec<Event>>,
    /// The number of states that are not final and in which nothing can happen any more.
    pub deadlocks: u64,
    /// The events of one shortest path to a deadlock.
    pub deadlock_witness: Option<Vec<Event>>,
    /// The bug checks that the test can run into, each once.
    pub bug_checks: Vec<BugCheck>,
    /// For each bug check, in the same order, the events of one shortest path to it. The last one
    /// runs into it.
    pub bug_check_witnesses: Vec<Vec<Event>>,
    /// The number of states.
    pub states: u64,
    /// The number of transitions.
    pub transitions: u64,
}

/// Lists all outcomes of a program by an exhaustive, unreduced search of its states.
///
/// `baselines` holds both counters of each lane at its start; a missing entry is zeros. With a
/// counter that is not zero some APCs can never run, and a test that queues one deadlocks.
///
/// # Errors
///
/// [`LimitReached`] when there are more states than `limits` allows.
pub fn explore(
    program: &Program<'_>,
    profile: Profile,
    baselines: &[Baseline],
    limits: Limits,
) -> Result<Outcomes, LimitReached> {
    explore_from(State::initial(program, profile, baselines), program, limits)
}

/// As [`explore()`], from a state of one's own: of a mutant, or in the middle of a test.
///
/// # Errors
///
/// [`LimitReached`] when there are more states than `limits` allows.
#[allow(
    clippy::needless_pass_by_value,
    reason = "whoever has a state of his own for this needs it no more"
)]
pub fn explore_from(
    initial: State,
    program: &Program<'_>,
    limits: Limits,
) -> Result<Outcomes, LimitReached> {
    let options = Options {
        reductions: Reductions::NONE,
        states: limits.states,
        ..Options::default()
    };
    search(&initial, program, &options, &mut |_| {})
}

/// Lists all outcomes of a program from a state on, in a way of one's own.
///
/// `progress` is called from time to time, on the calling thread.
///
/// # Errors
///
/// [`LimitReached`] when the search takes more states or more memory than `options` allow.
pub fn search(
    initial: &State,
    program: &Program<'_>,
    options: &Options,
    progress: &mut dyn FnMut(Progress),
) -> Result<Outcomes, LimitReached> {
    let mut search = Search::new(initial, program, options);
    search.run(progress)?;
    let mut found = search.found();
    if options.reductions.partial_order && !found.bug_checks.is_empty() {
        drop(search);
        if let Some(shortest) = shortest_to_bug_checks(initial, program, options, &found) {
            found.bug_check_witnesses = shortest;
        }
    }
    Ok(found)
}

/// A path to a bug check needs none of what commutes with it, and the reduced search takes that
/// first. So the shortest ones are looked for without that reduction, as far as they are away.
/// `None` when that takes more than the limits: then the paths stay as long as they are.
fn shortest_to_bug_checks(
    initial: &State,
    program: &Program<'_>,
    options: &Options,
    found: &Outcomes,
) -> Option<Vec<Vec<Event>>> {
    let options = Options {
        reductions: Reductions {
            partial_order: false,
            ..options.reductions
        },
        witnesses: false,
        ..options.clone()
    };
    let mut search = Search::new(initial, program, &options);
    search.stop_at_bug_checks(found.bug_checks.len());
    search.run(&mut |_| {}).ok()?;
    Some(search.found().bug_check_witnesses)
}

#[cfg(test)]
mod tests;
