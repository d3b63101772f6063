//! The host as a deterministic machine: one iteration for each schedule.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use apclab_host::{Choice, Schedule, explore_schedules};
use apclab_protocol::build::ProgramBuf;
use apclab_protocol::limits;
use apclab_protocol::step::Step;

use crate::host::{HostTarget, host_error};
use crate::target::{RunOptions, RunOutcome, RunResult, Scheduled};
use crate::{TargetError, callers};

/// How the threads of the host take turns, when they do.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// One iteration with these choices, and the first way behind the last of them.
    Replay(Vec<u32>),
}

/// As the command line has it: `random:7`, `pct:7:3`, `all`, `replay:0,2,1`.
impl fmt::Display for Schedules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Random(seed) => write!(f, "random:{seed}"),
            Self::Pct { seed, depth } => write!(f, "pct:{seed}:{depth}"),
            Self::All(_) => f.write_str("all"),
            Self::Replay(choices) => {
                let choices: Vec<_> = choices.iter().map(u32::to_string).collect();
                write!(f, "replay:{}", choices.join(","))
            }
        }
    }
}

impl Schedules {
    /// The schedules of the one iteration with this schedule.
    fn of_one(schedule: &Schedule) -> Option<Self> {
        match schedule {
            Schedule::Free => None,
            Schedule::Random(seed) => Some(Self::Random(*seed)),
            Schedule::Pct { seed, depth } => Some(Self::Pct {
                seed: *seed,
                depth: *depth,
            }),
            Schedule::Replay(choices) => {
                // The first way is what comes behind the last choice anyway.
                let chosen = choices.iter().rposition(|choice| *choice != 0);
                let length = chosen.map_or(0, |last| last + 1);
                Some(Self::Replay(choices[..length].to_vec()))
            }
        }
    }
}

/// Why no further schedule is tried.
enum Stop {
    /// The program did not run; every schedule says the same.
    NotRun(Box<RunOutcome>),
    /// The deadline of the run.
    Late,
    /// As many deadlocks as were asked for.
    Deadlocks,
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
    schedules: &Schedules,
    program: &ProgramBuf,
    options: &RunOptions,
) -> Result<RunOutcome, TargetError> {
    let mut sum = Sum::new(target, schedules, program, options);
    let ended = match schedules {
        Schedules::Random(first) => sum.seeds(*first, Schedule::Random),
        Schedules::Pct { seed, depth } => sum.seeds(*seed, |seed| Schedule::Pct {
            seed,
            depth: *depth,
        }),
        Schedules::All(limit) => explore_schedules(*limit, |schedule| sum.one(&schedule))
            .map(|explored| sum.scheduled.complete = explored.complete),
        Schedules::Replay(choices) => sum.one(&Schedule::Replay(choices.clone())).map(drop),
    };
    match ended {
        Ok(()) => Ok(sum.finish()),
        Err(Stop::Late) => {
            sum.cut_short = true;
            Ok(sum.finish())
        }
        Err(Stop::Deadlocks) => {
            sum.enough_deadlocks = true;
            Ok(sum.finish())
        }
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
    wanted: u32,
    deadline: Duration,
    started: Instant,
    histogram: BTreeMap<Vec<i64>, u64>,
    scheduled: Scheduled,
    last: RunResult,
    iterations: u32,
    timed_out: u32,
    deadlocks: u64,
    deadlock: Option<String>,
    cut_short: bool,
    enough_deadlocks: bool,
}

impl<'a> Sum<'a> {
    fn new(
        target: &'a mut HostTarget,
        schedules: &Schedules,
        program: &'a ProgramBuf,
        options: &RunOptions,
    ) -> Self {
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
            wanted: options.iterations,
            deadline: options.deadline,
            started: Instant::now(),
            histogram: BTreeMap::new(),
            scheduled: Scheduled {
                every: matches!(schedules, Schedules::All(_)),
                ..Scheduled::default()
            },
            last: RunResult::default(),
            iterations: 0,
            timed_out: 0,
            deadlocks: 0,
            deadlock: None,
            cut_short: false,
            enough_deadlocks: false,
        }
    }

    /// One iteration for each seed from `first` on, as many as were asked for.
    fn seeds(&mut self, first: u64, schedule: impl Fn(u64) -> Schedule) -> Result<(), Stop> {
        for offset in 0..u64::from(self.wanted) {
            if self.deadlocks >= u64::from(self.options.deadlocks) {
                return Err(Stop::Deadlocks);
            }
            self.one(&schedule(first.wrapping_add(offset)))?;
        }
        Ok(())
    }

    /// One iteration; gives the choices that were made.
    fn one(&mut self, schedule: &Schedule) -> Result<Vec<Choice>, Stop> {
        if self.started.elapsed() > self.deadline {
            return Err(Stop::Late);
        }
        let answer = self.ask(schedule);
        match self.target.settle(answer) {
            Ok((RunOutcome::Ran(result), choices)) => {
                self.add(result, schedule);
                Ok(choices)
            }
            Ok((outcome, _)) => Err(Stop::NotRun(Box::new(outcome))),
            Err(TargetError::Deadlock(deadlock)) => {
                self.loaded = false;
                self.iterations = self.iterations.saturating_add(1);
                self.deadlocks += 1;
                self.deadlock.get_or_insert(deadlock.sentence);
                self.stuck(schedule);
                Ok(deadlock.choices)
            }
            Err(error) => Err(Stop::Error(match Schedules::of_one(schedule) {
                Some(schedule) => TargetError::Scheduled {
                    schedule,
                    error: Box::new(error),
                },
                None => error,
            })),
        }
    }

    /// An iteration with the schedule did not come to its end.
    fn stuck(&mut self, schedule: &Schedule) {
        if self.scheduled.deadlock.is_none() {
            self.scheduled.deadlock = Schedules::of_one(schedule);
        }
    }

    fn add(&mut self, result: RunResult, schedule: &Schedule) {
        for (outcome, count) in &result.histogram {
            *self.histogram.entry(outcome.clone()).or_default() += count;
            if !self.scheduled.first.contains_key(outcome)
                && let Some(one) = Schedules::of_one(schedule)
            {
                self.scheduled.first.insert(outcome.clone(), one);
            }
        }
        if result.timed_out > 0 {
            self.stuck(schedule);
        }
        self.iterations = self.iterations.saturating_add(result.iterations);
        self.timed_out = self.timed_out.saturating_add(result.timed_out);
        self.last = result;
    }

    fn ask(&mut self, schedule: &Schedule) -> Result<(RunOutcome, Vec<Choice>), TargetError> {
        let machine = self.target.scheduled(self.program)?;
        // Loading is not part of the schedules: there is no lane yet.
        if !self.loaded
            && let Some(refused) = machine.session.load(self.program)?
        {
            return Ok((refused, Vec::new()));
        }
        self.loaded = true;
        machine.host.set_schedule(schedule).map_err(host_error)?;
        let outcome = machine.run_loaded(self.program, &self.options)?;
        let choices = machine.host.choices().map_err(host_error)?;
        Ok((outcome, choices))
    }

    fn finish(self) -> RunOutcome {
        RunOutcome::Ran(RunResult {
            histogram: self.histogram.into_iter().collect(),
            iterations: self.iterations,
            timed_out: self.timed_out,
            deadlocks: self.deadlocks,
            deadlock: self.deadlock,
            cut_short: self.cut_short,
            enough_deadlocks: self.enough_deadlocks,
            elapsed: self.started.elapsed(),
            schedules: Some(self.scheduled),
            ..self.last
        })
    }
}

/// The longest time-out that is a result of the program; zero when there is none. With caller lanes, one
/// that is no shorter than the longest wait deadline only keeps the program from hanging.
pub fn longest_time_out(program: &ProgramBuf) -> Duration {
    let least = if callers::has_callers(program) {
        limits::CALLER_WAIT_DEADLINE_MS
    } else {
        u32::MAX
    };
    longest_below(program, least)
}

/// The longest time-out of the program that may be over at any moment, in a machine that is scheduled; zero
/// when there is none. With caller lanes it is shorter than the slices in which the driver waits for these
/// lanes. Otherwise any number of slices could go by at once, and the iteration's deadline with them.
pub(crate) fn longest_short_time_out(program: &ProgramBuf) -> Duration {
    /// The driver's slices have 250 ms, see `src/run/callers.rs`.
    const LEAST_LONG_MS: u32 = 200;
    if callers::has_callers(program) {
        longest_below(program, LEAST_LONG_MS)
    } else {
        longest_time_out(program)
    }
}

/// The longest time-out of the program that is less than so many milliseconds; zero when there is none.
fn longest_below(program: &ProgramBuf, least: u32) -> Duration {
    let steps = program.lanes.iter().flatten();
    let times = steps.filter_map(|step| match step {
        Step::WaitFor { milliseconds, .. }
        | Step::WaitAs { milliseconds, .. }
        | Step::Sleep { milliseconds, .. }
        | Step::Try { milliseconds, .. } => Some(*milliseconds),
        _ => None,
    });
    let times = times.filter(|milliseconds| *milliseconds < least);
    Duration::from_millis(times.max().unwrap_or(0).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_outs_are_results_unless_they_keep_a_program_from_hanging() {
        let wait = |milliseconds| Step::WaitFor {
            event: 0,
            to: 0,
            milliseconds,
        };
        let mut program = ProgramBuf {
            lanes: vec![vec![wait(3), wait(2000)], vec![wait(1999)]],
            ..ProgramBuf::default()
        };
        let longest = |program: &ProgramBuf| longest_time_out(program).as_millis();
        assert_eq!(longest(&program), 2000);
        program.callers = vec![true];
        assert_eq!(longest(&program), 1999);
        assert_eq!(longest(&ProgramBuf::default()), 0);
    }

    #[test]
    fn the_drivers_slices_are_longer_than_what_is_short_with_caller_lanes() {
        let sleep = |milliseconds| Step::Sleep {
            milliseconds,
            alertable: true,
            to: 0,
        };
        let mut program = ProgramBuf {
            lanes: vec![vec![sleep(1000), sleep(199), sleep(200)]],
            ..ProgramBuf::default()
        };
        let short = |program: &ProgramBuf| longest_short_time_out(program).as_millis();
        assert_eq!(short(&program), 1000);
        program.callers = vec![true];
        assert_eq!(short(&program), 199);
        assert_eq!(longest_time_out(&program).as_millis(), 1000);
    }

    #[test]
    fn one_schedule_is_what_gives_an_iteration_again() {
        let spelt = |schedule| Schedules::of_one(&schedule).map(|one| one.to_string());
        assert_eq!(spelt(Schedule::Free), None);
        assert_eq!(spelt(Schedule::Random(7)).as_deref(), Some("random:7"));
        let pct = Schedule::Pct { seed: 7, depth: 3 };
        assert_eq!(spelt(pct).as_deref(), Some("pct:7:3"));
        let choices = Schedule::Replay(vec![0, 2, 0, 1, 0, 0]);
        assert_eq!(spelt(choices).as_deref(), Some("replay:0,2,0,1"));
        let first = Schedule::Replay(vec![0, 0]);
        assert_eq!(spelt(first).as_deref(), Some("replay:"));
    }
}
