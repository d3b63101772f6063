//! How the tests of a command are run.

use std::time::Duration;

use apclab_client::RunOptions;
use apclab_client::callers::has_callers;
use apclab_client::exploration::Baseline;
use apclab_client::schedules::{Schedules, longest_time_out};
use apclab_litmus::{ESTIMATE, Expectation, MEASURE, Test};

use crate::args::{On, RunArgs, RunFormat, Schedule};
use crate::failure::Failure;
use crate::input::Input;
use crate::verdict::Unjudged;

/// How many schedules a test that may deadlock has at the most when none are asked for: each takes
/// some milliseconds.
pub(super) const BY_DEFAULT: u32 = 200;

/// How many iterations a test with caller lanes has on the host at the most, when its lanes are free: each
/// is a request with threads of its own, and takes some milliseconds too.
pub(super) const CALLERS: u32 = 50;

/// How the tests of a command are run.
pub(in crate::run) struct Plan {
    pub(in crate::run) options: RunOptions,
    pub(super) on: On,
    /// The schedules that are asked for.
    pub(super) schedules: Option<Schedules>,
    /// Whether all lanes are free.
    pub(super) free: bool,

    /// The options of the command that make a machine what it is.
    pub(super) machine: String,
}

impl Plan {
    /// What the command line asks for.
    ///
    /// # Errors
    /// [`Failure::Input`]: the target has no schedules.
    pub(in crate::run) fn of(args: &RunArgs) -> Result<Self, Failure> {
        let on = args.target.on;
        if args.schedule.is_some() && on != On::Host {
            return Err(Failure::Input(vec![
                "error: only --on host has schedules; the model takes every path".to_owned(),
            ]));
        }
        let schedule = args.schedule.as_ref();
        let schedules = schedule.and_then(|schedule| schedule.of_the_host(args.schedules));
        Ok(Self {
            options: RunOptions {
                trace_iteration: (args.format == RunFormat::Html).then_some(1),
                delay_us: args.delay,
                polled: args.polled,
                deadlocks: args.deadlocks,
                ..args.limits.options()
            },
            on,
            schedules,
            free: args.schedule == Some(Schedule::Free),

            machine: machine(args),
        })
    }

    /// The schedules of a test; `None` when its lanes are free.
    pub(super) fn schedules(&self, test: &Test) -> Option<Schedules> {
        let by_default = self.on == On::Host && !self.free && !self.options.polled;
        self.schedules.clone().or_else(|| {
            (by_default && (test.may_deadlock() || takes_long(test)))
                .then_some(Schedules::Random(self.options.seed))
        })
    }

    /// How a test is run whose lanes are free.
    pub(super) fn free_options(&self, test: &Test) -> RunOptions {
        let mut options = self.options;
        if self.on == On::Host && !self.free && has_callers(&test.program) {
            options.iterations = options.iterations.min(CALLERS);
        }
        options
    }

    /// Why it is only reported whether the condition of a test holds.
    pub(super) fn unjudged(&self, test: &Test) -> Option<Unjudged> {
        let tags = [(ESTIMATE, Unjudged::Estimate), (MEASURE, Unjudged::Measure)];
        let found = tags.into_iter().find(|(tag, _)| test.has_tag(tag));
        found.filter(|_| self.on == On::Device).map(|(_, why)| why)
    }

    /// How many iterations a test has with the schedules of [`Plan::schedules`].
    pub(super) fn scheduled_iterations(&self) -> u32 {
        match self.schedules {
            Some(_) => self.options.iterations,
            None => self.options.iterations.min(BY_DEFAULT),
        }
    }

    /// The command that runs a test with one schedule.
    pub(super) fn command(&self, input: &Input, schedule: &Schedules) -> String {
        format!(
            "apclab run {}{} --schedule {schedule} --iterations 1",
            quoted(&input.test.file),
            self.machine
        )
    }
}

/// Whether iterations of a test with caller lanes may take long where time is real: because a thread stays
/// suspended, which costs the wait deadline each time, or for a time-out of the test's own.
fn takes_long(test: &Test) -> bool {
    const LONG: Duration = Duration::from_millis(100);
    let stalls = matches!(&test.expectation, Expectation::Condition(condition) if condition.names_deadlock());
    has_callers(&test.program) && (stalls || longest_time_out(&test.program) >= LONG)
}

/// The options that make a machine what it is, each behind a blank.
fn machine(args: &RunArgs) -> String {
    let mut options = " --on host".to_owned();
    if let Some(driver) = &args.target.driver {
        options += " --driver ";
        options += &quoted(&driver.display().to_string());
    }
    if args.target.without_apc_routines {
        options += " --without-apc-routines";
    }
    if args.target.without_push_locks {
        options += " --without-push-locks";
    }
    if args.target.without_special_user_apcs {
        options += " --without-special-user-apcs";
    }
    let Baseline { kernel, special } = args.target.baseline;
    if args.target.baseline != Baseline::default() {
        let baseline = [
            " --baseline ",
            &kernel.to_string(),
            ",",
            &special.to_string(),
        ];
        options += &baseline.concat();
    }
    if args.polled {
        options += " --polled";
    }
    options
}

/// A word as a shell takes it.
pub(super) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./+:,=@".contains(c);
    if word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}
