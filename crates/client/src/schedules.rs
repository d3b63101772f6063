//! The host as a deterministic machine: one iteration for each schedule.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use apclab_host::{Schedule, explore_schedules};
use apclab_protocol::build::ProgramBuf;
use apclab_protocol::limits;
use apclab_protocol::step::Step;

use crate::TargetError;
use crate::host::{Machine, host_error};
use crate::target::{RunOptions, RunOutcome, RunResult, Scheduled};

/// How the threads of the host take turns, when they do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedules {
    /// One iteration with each of the seeds from this one on.
    Random(u64),
    /// One iteration with every schedule that there is, so many at the most.
    All(u64),
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

/// Runs a program with the schedules that are asked for.
pub(crate) fn run(
    machine: &mut Machine,
    schedules: Schedules,
    program: &ProgramBuf,
    options: &RunOptions,
) -> Result<RunOutcome, TargetError> {
    // Loading is not part of the schedules: there is no lane yet.
    if let Some(refused) = machine.session.load(program)? {
        return Ok(refused);
    }
    let mut sum = Sum::new(machine, program, options);
    let ended = match schedules {
        Schedules::Random(first) => (0..u64::from(options.iterations)).try_for_each(|offset| {
            let seed = first.wrapping_add(offset);
            sum.one(&Schedule::Random(seed), Some(seed))
        }),
        Schedules::All(limit) => explore_schedules(limit, |schedule| {
            sum.one(&schedule, None)?;
            sum.machine
                .host
                .choices()
                .map_err(|e| Stop::Error(host_error(e)))
        })
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
    machine: &'a mut Machine,
    program: &'a ProgramBuf,
    options: RunOptions,
    deadline: Duration,
    started: Instant,
    histogram: BTreeMap<Vec<i64>, u64>,
    scheduled: Scheduled,
    last: RunResult,
    iterations: u32,
    timed_out: u32,
}

impl<'a> Sum<'a> {
    fn new(machine: &'a mut Machine, program: &'a ProgramBuf, options: &RunOptions) -> Self {
        let longest = Duration::from_millis(limits::WAIT_DEADLINE_MS.into());
        let short = longest_time_out(program) + Duration::from_millis(1);
        Self {
            machine,
            program,
            options: RunOptions {
                iterations: 1,
                // The lanes come to scheduling points only while they are traced.
                trace_iteration: Some(1),
                // A safety net that is over ahead of a time-out of the program would be in its way.
                wait_deadline: options.wait_deadline.max(short).min(longest),
                ..*options
            },
            deadline: options.deadline,
            started: Instant::now(),
            histogram: BTreeMap::new(),
            scheduled: Scheduled::default(),
            last: RunResult::default(),
            iterations: 0,
            timed_out: 0,
        }
    }

    /// One iteration.
    fn one(&mut self, schedule: &Schedule, seed: Option<u64>) -> Result<(), Stop> {
        if self.started.elapsed() > self.deadline {
            return Err(Stop::Late);
        }
        let outcome = self.ask(schedule).map_err(|error| match seed {
            Some(seed) => TargetError::Scheduled {
                seed,
                error: Box::new(error),
            },
            None => error,
        })?;
        let RunOutcome::Ran(result) = outcome else {
            return Err(Stop::NotRun(Box::new(outcome)));
        };
        for (outcome, count) in &result.histogram {
            *self.histogram.entry(outcome.clone()).or_default() += count;
            if let Some(seed) = seed {
                self.scheduled.seeds.entry(outcome.clone()).or_insert(seed);
            }
        }
        self.iterations = self.iterations.saturating_add(result.iterations);
        self.timed_out = self.timed_out.saturating_add(result.timed_out);
        self.last = result;
        Ok(())
    }

    fn ask(&self, schedule: &Schedule) -> Result<RunOutcome, TargetError> {
        let Machine { host, session } = &*self.machine;
        host.set_schedule(schedule).map_err(host_error)?;
        session.run_loaded(self.program, &self.options)
    }

    fn finish(self, cut_short: bool) -> RunOutcome {
        RunOutcome::Ran(RunResult {
            histogram: self.histogram.into_iter().collect(),
            iterations: self.iterations,
            timed_out: self.timed_out,
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
