//! The model's whole answer about a program, with a shortest way to each part of it.

use std::time::{Duration, Instant};

use apclab_model::explore::Limits;
pub use apclab_model::kernel::{Baseline, Profile};
use apclab_model::program::{Event, State};
use apclab_protocol::build::ProgramBuf;
use apclab_protocol::program::Program;
use apclab_protocol::trace::Record;
use apclab_protocol::verify::{Refusal, verify};

use crate::{TargetError, witness};

/// A path through the model, as records of a trace.
pub type Witness = Vec<Record>;

/// What the model says of a program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exploration {
    /// Every outcome in ascending order, each with a shortest path to it.
    pub outcomes: Vec<(Vec<i64>, Witness)>,
    /// States that are not final and in which nothing can happen any more.
    pub deadlocks: u64,
    /// A shortest path to one of them.
    pub deadlock: Option<Witness>,
    /// The bug checks on any path, each with a shortest path to it.
    pub bug_checks: Vec<(String, Witness)>,
    /// States.
    pub states: u64,
    /// Transitions.
    pub transitions: u64,
    /// Time of the search.
    pub elapsed: Duration,
}

/// Searches a program in one profile, with lanes that begin with the counters of `baselines`.
///
/// # Errors
/// [`Unexplored::Refused`] when the program breaks a rule of the driver, which would run none of it;
/// [`Unexplored::Failed`] when the search is given up, or the bytes are no program.
pub fn explore(
    program: &ProgramBuf,
    profile: Profile,
    baselines: &[Baseline],
) -> Result<Exploration, Unexplored> {
    let bytes = program.encode();
    let program = Program::parse(&bytes).map_err(|malformed| {
        TargetError::Failed(format!("the bytes are no program: {malformed:?}"))
    })?;
    verify(&program, true).map_err(Unexplored::Refused)?;
    Ok(search(&program, profile, baselines)?)
}

fn search(
    program: &Program<'_>,
    profile: Profile,
    baselines: &[Baseline],
) -> Result<Exploration, TargetError> {
    let started = Instant::now();
    let found = apclab_model::explore(program, profile, baselines, Limits::default())
        .map_err(|limit| TargetError::TooManyStates(format!("the model gives up: {limit}")))?;
    let elapsed = started.elapsed();
    let records = |path: &[Event]| {
        let initial = State::initial(program, profile, baselines);
        witness::records(initial, program, path)
    };
    Ok(Exploration {
        outcomes: found
            .witnesses
            .iter()
            .map(|(outcome, path)| (outcome.clone(), records(path)))
            .collect(),
        deadlocks: found.deadlocks,
        deadlock: found.deadlock_witness.as_deref().map(records),
        bug_checks: found
            .bug_checks
            .iter()
            .zip(&found.bug_check_witnesses)
            .map(|(bug_check, path)| (bug_check.to_string(), records(path)))
            .collect(),
        states: found.states,
        transitions: found.transitions,
        elapsed,
    })
}

/// A shortest path to an outcome of the documented profile, the `number`th in ascending order,
/// counted from 1; nothing when there are fewer.
pub(crate) fn witness_of(
    program: &Program<'_>,
    baselines: &[Baseline],
    number: u32,
) -> Result<Witness, TargetError> {
    let found = search(program, Profile::Documented, baselines)?;
    let place = usize::try_from(number)
        .unwrap_or(usize::MAX)
        .wrapping_sub(1);
    Ok(found
        .outcomes
        .into_iter()
        .nth(place)
        .map(|(_, witness)| witness)
        .unwrap_or_default())
}

/// Why the model gives no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unexplored {
    /// The program breaks a rule.
    Refused(Refusal),
    /// The search came to no end.
    Failed(TargetError),
}

impl From<TargetError> for Unexplored {
    fn from(error: TargetError) -> Self {
        Self::Failed(error)
    }
}
