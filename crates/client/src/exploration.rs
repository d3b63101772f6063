//! The model's whole answer about a program, with a shortest way to each part of it.

use std::time::{Duration, Instant};

use std::num::NonZeroUsize;

pub use apclab_model::explore::{
    BadEvent, End, Progress, Reductions, path_from_text, path_to_text,
};
use apclab_model::explore::{NoPath, Options, search};
pub use apclab_model::kernel::{Baseline, Profile};
pub use apclab_model::program::Event;
use apclab_model::program::State;
use apclab_protocol::build::ProgramBuf;
use apclab_protocol::program::Program;
use apclab_protocol::trace::Record;
use apclab_protocol::verify::{Machine, Refusal, verify};

use crate::{TargetError, witness};

/// A path through the model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Witness {
    /// Its events.
    pub events: Vec<Event>,
    /// The same as records of a trace.
    pub records: Vec<Record>,
}

/// How a program is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    /// What is left out since other states show the same.
    pub reductions: Reductions,
    /// On how many threads.
    pub threads: NonZeroUsize,
    /// How many bytes of memory the search may take.
    pub memory: usize,
    /// Whether a shortest path to each outcome is looked for. To deadlocks and bug checks it always is.
    pub witnesses: bool,
}

impl Default for Effort {
    /// Every reduction, one thread, 4 GiB, with witnesses.
    fn default() -> Self {
        let Options {
            reductions,
            threads,
            bytes,
            witnesses,
            ..
        } = Options::default();
        Self {
            reductions,
            threads,
            memory: bytes,
            witnesses,
        }
    }
}

/// What the model says of a program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exploration {
    /// Every outcome in ascending order, each with a shortest path to it.
    pub outcomes: Vec<(Vec<i64>, Witness)>,
    /// States that are not final and in which nothing can happen any more, of those that were met.
    pub deadlocks: u64,
    /// A shortest path to one of them.
    pub deadlock: Option<Witness>,
    /// The bug checks on any path, each with a shortest path to it.
    pub bug_checks: Vec<(String, Witness)>,
    /// States that the search has met; its reductions leave some out.
    pub states: u64,
    /// Transitions between them.
    pub transitions: u64,
    /// Time of the search.
    pub elapsed: Duration,
}

/// Searches a program in one profile, with lanes that begin with the counters of `baselines`.
///
/// # Errors
/// As [`explore_with`].
pub fn explore(
    program: &ProgramBuf,
    profile: Profile,
    baselines: &[Baseline],
) -> Result<Exploration, Unexplored> {
    explore_with(program, profile, baselines, Effort::default(), &mut |_| {})
}

/// As [`explore()`], in a way of one's own. `progress` is called from time to time.
///
/// # Errors
/// [`Unexplored::Refused`] when the program breaks a rule of the driver, which would run none of it;
/// [`Unexplored::Failed`] when the search is given up, or the bytes are no program.
pub fn explore_with(
    program: &ProgramBuf,
    profile: Profile,
    baselines: &[Baseline],
    effort: Effort,
    progress: &mut dyn FnMut(Progress),
) -> Result<Exploration, Unexplored> {
    let bytes = program.encode();
    let program = Program::parse(&bytes).map_err(|malformed| {
        TargetError::Failed(format!("the bytes are no program: {malformed:?}"))
    })?;
    verify(&program, Machine::COMPLETE).map_err(Unexplored::Refused)?;
    Ok(explored(&program, profile, baselines, effort, progress)?)
}

/// Where a path of a program leads.
///
/// # Errors
/// [`Unexplored::Refused`] when the program breaks a rule of the driver; [`Unexplored::Failed`] when
/// the events are no path of it.
pub fn replay(
    program: &ProgramBuf,
    profile: Profile,
    baselines: &[Baseline],
    events: &[Event],
) -> Result<(End, Witness), Unexplored> {
    let bytes = program.encode();
    let program = Program::parse(&bytes).map_err(|malformed| {
        TargetError::Failed(format!("the bytes are no program: {malformed:?}"))
    })?;
    verify(&program, Machine::COMPLETE).map_err(Unexplored::Refused)?;
    let initial = State::initial(&program, profile, baselines);
    let replayed = apclab_model::explore::replay(&initial, &program, events);
    let end = replayed.map_err(|why: NoPath| TargetError::Failed(why.to_string()))?;
    let witness = Witness {
        events: events.to_vec(),
        records: witness::records(initial, &program, events),
    };
    Ok((end.end, witness))
}

fn explored(
    program: &Program<'_>,
    profile: Profile,
    baselines: &[Baseline],
    effort: Effort,
    progress: &mut dyn FnMut(Progress),
) -> Result<Exploration, TargetError> {
    let started = Instant::now();
    let options = Options {
        reductions: effort.reductions,
        threads: effort.threads,
        bytes: effort.memory,
        witnesses: effort.witnesses,
        ..Options::default()
    };
    let initial = State::initial(program, profile, baselines);
    let found = search(&initial, program, &options, progress)
        .map_err(|limit| TargetError::TooManyStates(format!("the model gives up: {limit}")))?;
    let elapsed = started.elapsed();
    let records = |path: &[Event]| Witness {
        events: path.to_vec(),
        records: witness::records(initial.clone(), program, path),
    };
    Ok(Exploration {
        outcomes: found
            .outcomes
            .keys()
            .map(|outcome| {
                let path = found.witnesses.get(outcome);
                let witness = path.map(|path| records(path)).unwrap_or_default();
                (outcome.clone(), witness)
            })
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
) -> Result<Vec<Record>, TargetError> {
    let effort = Effort::default();
    let found = explored(program, Profile::Documented, baselines, effort, &mut |_| {})?;
    let place = usize::try_from(number)
        .unwrap_or(usize::MAX)
        .wrapping_sub(1);
    Ok(found
        .outcomes
        .into_iter()
        .nth(place)
        .map(|(_, witness)| witness.records)
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

#[cfg(test)]
mod tests {
    use super::*;
    use apclab_protocol::program::{Apc, ApcKind, LockKind, Observed};
    use apclab_protocol::step::{Mode, Step};
    use apclab_protocol::trace::{Kind, NO_APC};

    fn found(program: &ProgramBuf) -> Exploration {
        explore(program, Profile::Documented, &[]).expect("a small program")
    }

    /// The records of a path: lane, kind, the APC if there is one, the answer.
    fn short(witness: &Witness) -> Vec<(u8, Kind, Option<u8>, i64)> {
        let said = witness.records.iter().map(|record| {
            let apc = (record.apc != NO_APC).then_some(record.apc);
            (record.lane, record.kind, apc, record.value)
        });
        said.collect()
    }

    #[test]
    fn a_path_has_the_records_that_the_driver_writes() {
        let program = ProgramBuf {
            apcs: vec![Apc {
                kind: ApcKind::Normal,
                lane: 0,
            }],
            bodies: vec![vec![Step::Ran { apc: 0, to: 0 }]],
            observed: vec![Observed::ApcRegister {
                apc: 0,
                register: 0,
            }],
            lanes: vec![vec![Step::Queue { apc: 0, to: None }]],
            ..ProgramBuf::default()
        };
        let found = found(&program);
        let [(outcome, witness)] = found.outcomes.as_slice() else {
            panic!("one outcome in {found:?}");
        };
        assert_eq!(outcome, &[1]);
        assert_eq!(
            short(witness),
            [
                (0, Kind::Begin, None, 0),
                (0, Kind::Step, None, 0),
                (0, Kind::Inserted, Some(0), 1),
                (0, Kind::Done, None, 0),
                (0, Kind::KernelRoutine, Some(0), 0),
                (0, Kind::NormalRoutine, Some(0), 0),
                (0, Kind::Step, Some(0), 0),
                (0, Kind::Done, Some(0), 1),
                (0, Kind::End, None, 0),
            ]
        );
        let irql: Vec<u8> = witness
            .records
            .iter()
            .map(|record| record.context.irql)
            .collect();
        assert_eq!(irql, [0, 0, 0, 0, 1, 0, 0, 0, 0]);
    }

    #[test]
    fn paths_show_user_apcs_and_suspended_lanes() {
        let program = ProgramBuf {
            apcs: vec![Apc {
                kind: ApcKind::User,
                lane: 0,
            }],
            lanes: vec![
                vec![
                    Step::Queue { apc: 0, to: None },
                    Step::Sleep {
                        milliseconds: 0,
                        alertable: true,
                        to: 0,
                    },
                    Step::Suspend { lane: 0, to: None },
                ],
                vec![Step::Resume { lane: 0, to: None }],
            ],
            callers: vec![true, true],
            ..ProgramBuf::default()
        };
        let found = found(&program);
        let (_, witness) = found.outcomes.first().expect("it is resumed");
        let of_first = |(lane, kind, apc, value): &(u8, Kind, Option<u8>, i64)| {
            (*lane == 0).then_some((*kind, *apc, *value))
        };
        let first: Vec<_> = short(witness).iter().filter_map(of_first).collect();
        assert_eq!(
            first,
            [
                (Kind::Begin, None, 0),
                (Kind::Step, None, 0),
                (Kind::Inserted, Some(0), 1),
                (Kind::Done, None, 0),
                (Kind::Step, None, 0),
                (Kind::Done, None, 2),
                (Kind::NormalRoutine, Some(0), 0),
                (Kind::Step, None, 0),
                (Kind::Done, None, 0),
                (Kind::End, None, 0),
            ]
        );
        // Resumed too early, it stays suspended.
        let stays = found.deadlock.expect("nobody else resumes it");
        let ends = stays
            .records
            .iter()
            .filter(|record| record.kind == Kind::End);
        assert_eq!(ends.count(), 1);
    }

    #[test]
    fn a_lane_that_waits_for_ever_has_no_end() {
        let acquire = |lock| Step::Acquire {
            lock,
            mode: Mode::Exclusive,
        };
        let own = vec![acquire(0), acquire(1)];
        let mut other = own.clone();
        other.reverse();
        let release = |mut steps: Vec<Step>| {
            let held: Vec<_> = steps.iter().rev().copied().collect();
            steps.extend(held.into_iter().map(|step| match step {
                Step::Acquire { lock, .. } => Step::Release { lock },
                step => step,
            }));
            steps
        };
        let program = ProgramBuf {
            locks: vec![LockKind::Mutex; 2],
            lanes: vec![release(own), release(other)],
            ..ProgramBuf::default()
        };
        let found = found(&program);
        assert_eq!(found.deadlocks, 1);
        let deadlock = found.deadlock.expect("two mutexes in two orders");
        let of_kind = |kind| {
            deadlock
                .records
                .iter()
                .filter(move |record| record.kind == kind)
        };
        let count = |kind| of_kind(kind).count();
        assert_eq!((count(Kind::Step), count(Kind::Done)), (4, 2));
        assert_eq!(count(Kind::Acquired), 2);
        let replayed = replay(&program, Profile::Documented, &[], &deadlock.events);
        assert_eq!(replayed, Ok((End::Deadlock, deadlock.clone())));
        let mut stray = deadlock.events.clone();
        stray.push(Event::Barrier);
        let stray = replay(&program, Profile::Documented, &[], &stray);
        assert!(matches!(stray, Err(Unexplored::Failed(_))));
        assert_eq!(count(Kind::End), 0);
    }

    #[test]
    fn what_the_driver_refuses_is_not_explored() {
        let program = ProgramBuf {
            lanes: vec![vec![Step::EnterCritical]],
            ..ProgramBuf::default()
        };
        let refused = explore(&program, Profile::Documented, &[]);
        assert!(matches!(refused, Err(Unexplored::Refused(_))));
    }
}
