//! The host as a deterministic machine: one iteration for each schedule.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use apclab_host::{Choice, Schedule, explore_schedules};
use apclab_protocol::build::ProgramBuf;
use apclab_protocol::limits;
use apclab_protocol::step::Step;

use crate::TargetError;
use crate::host::{HostTarget, host_error};
use crate::target::{RunOptions, RunOutcome, RunResult, Scheduled};

/// How the threads of the host take turns, when they do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedules {
    /// One iteration with each of the seeds from this one on.
    Random(u64),
    /// The same by priorities, with few changes of them (probabilistic concurrency testing).
    Pct {
        /// The first seed.
        seed: u64,
        /// How many events have to come in a certain order: one more than priorities change.
        depth: u32,
    },
    /// One iteration with every schedule that there is, so many at the most.
    All(u64),
}

impl Schedules {
    /// The schedule of one seed.
    fn of_seed(self, seed: u64) -> Schedule {
        match self {
            Self::Pct { depth, .. } => Schedule::Pct { seed, depth },
            Self::Random(_) | Self::All(_) => Schedule::Random(seed),
        }
    }
}

/// Why no further schedule is tried.
enum Stop {
    /// The program did not run; every schedule says the same.
    NotRun(Box<RunOutcome>),
    /// The deadline of the run.
    Late,
    Error(TargetError),
}

impl From<TargetError> for Stop {
    fn from(error: TargetError) -> Self {
        Self::Error(error)
    }
}

/// Runs a program with the schedules that are asked for. A deadlock ends the machine; the next schedule
/// has a new one.
pub(crate) fn run(
    target: &mut HostTarget,
    schedules: Schedules,
    program: &ProgramBuf,
    options: &RunOptions,
) -> Result<RunOutcome, TargetError> {
    let mut sum = Sum::new(target, program, options);
    let ended = match schedules {
        Schedules::Random(first) | Schedules::Pct { seed: first, .. } => {
            (0..u64::from(options.iterations)).try_for_each(|offset| {
                let seed = first.wrapping_add(offset);
                sum.one(&schedules.of_seed(seed), Some(seed)).map(drop)
            })
        }
        Schedules::All(limit) => explore_schedules(limit, |schedule| sum.one(&schedule, None))
            .map(|explored| sum.scheduled.complete = explored.complete),
    };
    match ended {
        Ok(()) => Ok(sum.finish(false)),
        Err(Stop::Late) => Ok(sum.finish(true)),
        Err(Stop::NotRun(outcome)) => Ok(*outcome),
        Err(Stop::Error(error)) => Err(error),
    }
}

/// What all iterations together gave.
struct Sum<'a> {
    target: &'a mut HostTarget,
    /// Whether the machine has the program.
    loaded: bool,
    program: &'a ProgramBuf,
    options: RunOptions,
    deadline: Duration,
    started: Instant,
    histogram: BTreeMap<Vec<i64>, u64>,
    scheduled: Scheduled,
    last: RunResult,
    iterations: u32,
    timed_out: u32,
    deadlocks: u64,
    deadlock: Option<String>,
}

impl<'a> Sum<'a> {
    fn new(target: &'a mut HostTarget, program: &'a ProgramBuf, options: &RunOptions) -> Self {
        let longest = Duration::from_millis(limits::WAIT_DEADLINE_MS.into());
        let short = longest_time_out(program) + Duration::from_millis(1);
        Self {
            target,
            loaded: false,
            program,
            options: RunOptions {
                iterations: 1,
                // The lanes come to scheduling points only while they are traced.
                trace_iteration: Some(1),
                // A safety net that is over ahead of a time-out of the program would be in its way.
                wait_deadline: options.wait_deadline.max(short).min(longest),
                // Time is virtual: a delay would only be a long look at the clock.
                delay_us: 0,
                ..*options
            },
            deadline: options.deadline,
            started: Instant::now(),
            histogram: BTreeMap::new(),
            scheduled: Scheduled::default(),
            last: RunResult::default(),
            iterations: 0,
            timed_out: 0,
            deadlocks: 0,
            deadlock: None,
        }
    }

    /// One iteration; gives the choices that were made.
    fn one(&mut self, schedule: &Schedule, seed: Option<u64>) -> Result<Vec<Choice>, Stop> {
        if self.started.elapsed() > self.deadline {
            return Err(Stop::Late);
        }
        let answer = self.ask(schedule);
        match self.target.settle(answer) {
            Ok((RunOutcome::Ran(result), choices)) => {
                self.add(result, seed);
                Ok(choices)
            }
            Ok((outcome, _)) => Err(Stop::NotRun(Box::new(outcome))),
            Err(TargetError::Deadlock(deadlock)) => {
                self.loaded = false;
                self.iterations = self.iterations.saturating_add(1);
                self.deadlocks += 1;
                self.deadlock.get_or_insert(deadlock.sentence);
                if self.scheduled.deadlock_seed.is_none() {
                    self.scheduled.deadlock_seed = seed;
                }
                Ok(deadlock.choices)
            }
            Err(error) => Err(Stop::Error(match seed {
                Some(seed) => TargetError::Scheduled {
                    seed,
                    error: Box::new(error),
                },
                None => error,
            })),
        }
    }

    fn add(&mut self, result: RunResult, seed: Option<u64>) {
        for (outcome, count) in &result.histogram {
            *self.histogram.entry(outcome.clone()).or_default() += count;
            if let Some(seed) = seed {
                self.scheduled.seeds.entry(outcome.clone()).or_insert(seed);
            }
        }
        self.iterations = self.iterations.saturating_add(result.iterations);
        self.timed_out = self.timed_out.saturating_add(result.timed_out);
        self.last = result;
    }

    fn ask(&mut self, schedule: &Schedule) -> Result<(RunOutcome, Vec<Choice>), TargetError> {
        let machine = self.target.scheduled(self.program)?;
        // Loading is not part of the schedules: there is no lane yet.
        if !self.loaded && let Some(refused) = machine.session.load(self.program)? {
            return Ok((refused, Vec::new()));
        }
        self.loaded = true;
        machine.host.set_schedule(schedule).map_err(host_error)?;
        let outcome = machine.session.run_loaded(self.program, &self.options)?;
        let choices = machine.host.choices().map_err(host_error)?;
        Ok((outcome, choices))
    }

    fn finish(self, cut_short: bool) -> RunOutcome {
        RunOutcome::Ran(RunResult {
            histogram: self.histogram.into_iter().collect(),
            iterations: self.iterations,
            timed_out: self.timed_out,
            deadlocks: self.deadlocks,
            deadlock: self.deadlock,
            cut_short,
            elapsed: self.started.elapsed(),
            schedules: Some(self.scheduled),
            ..self.last
        })
    }
}

/// The longest time-out that is a result of the program; zero when there is none.
pub(crate) fn longest_time_out(program: &ProgramBuf) -> Duration {
    let steps = program.lanes.iter().flatten();
    let times = steps.filter_map(|step| match step {
        Step::WaitFor { milliseconds, .. } | Step::Try { milliseconds, .. } => Some(*milliseconds),
        _ => None,
    });
    Duration::from_millis(times.max().unwrap_or(0).into())
}
