//! The journal of a run, if it has one: on a device, which may stop the machine, it always does.

use std::path::PathBuf;

use apclab_client::journal::{History, Journal, Record as Line, TestId};
use apclab_client::{RunOptions, device};

use crate::args::{On, RunArgs};
use crate::failure::Failure;
use crate::input::Input;
use crate::report::EndedReport;
use crate::verdict::Verdict;

/// Where the journal is when nothing is said.
const DEFAULT: &str = "apclab.journal";

/// The verdict on a test at which the run stopped, and which is none of the tests of the resumed run.
const STOPPED: &str = "stopped the run";

/// The journal of a run, and what it says of the run before it was resumed.
#[derive(Default)]
pub(crate) struct Log {
    journal: Option<Journal>,
    resumed: Option<Resumed>,
}

struct Resumed {
    history: History,
    /// Whether the machine was started anew since the test that did not end had begun.
    restarted: Option<bool>,
}

/// Whether it is a test's turn.
pub(crate) enum Turn {
    Now,
    /// It ended before the run was resumed.
    Ended,
    /// The run stopped at it.
    Stopped(String),
}

impl Log {
    /// Begins the journal of `run`, or goes on with it.
    ///
    /// # Errors
    /// [`Failure::Input`]: the journal says that there is something to resume, or that there is not.
    pub(crate) fn of_run(args: &RunArgs, target: &str) -> Result<Self, Failure> {
        let default = args.target.on == On::Device || args.resume;
        let path = args
            .journal
            .clone()
            .or_else(|| default.then(|| PathBuf::from(DEFAULT)));
        let up = device::uptime();
        match path {
            None => Ok(Self::default()),
            Some(path) if args.resume => {
                let (journal, history) = Journal::resume(&path, target, up)?;
                let restarted = history.restarted(up);
                Ok(Self {
                    journal: Some(journal),
                    resumed: Some(Resumed { history, restarted }),
                })
            }
            Some(path) => Ok(Self {
                journal: Some(Journal::begin(&path, target, up)?),
                resumed: None,
            }),
        }
    }

    /// Begins the journal of another command that runs programs, when it does so on a device.
    ///
    /// # Errors
    /// [`Failure::Input`]: the journal says that there is something to resume.
    pub(crate) fn of_command(on: On, target: &str) -> Result<Self, Failure> {
        if on != On::Device {
            return Ok(Self::default());
        }
        Ok(Self {
            journal: Some(Journal::begin(DEFAULT.as_ref(), target, device::uptime())?),
            resumed: None,
        })
    }

    /// Whether it is the test's turn.
    pub(crate) fn turn(&self, id: &TestId) -> Turn {
        let Some(Resumed { history, restarted }) = &self.resumed else {
            return Turn::Now;
        };
        let unfinished = history.unfinished().filter(|it| it.test == *id);
        if let Some(unfinished) = unfinished {
            let last = unfinished.first.saturating_add(unfinished.iterations) - 1;
            let what = format!(
                "iterations {} to {last} with seed {}",
                unfinished.first, unfinished.seed
            );
            return Turn::Stopped(match restarted {
                Some(true) => format!("the machine was restarted during {what}"),
                Some(false) => {
                    format!("apclab ended during {what}; the machine has not been restarted since")
                }
                None => format!("the run stopped during {what}"),
            });
        }
        if history.stopped().any(|stopped| stopped == id) {
            return Turn::Stopped("the run stopped here before it was last resumed".to_owned());
        }
        if history.has_had(id) {
            Turn::Ended
        } else {
            Turn::Now
        }
    }

    /// A test is about to run.
    ///
    /// # Errors
    /// [`Failure::Input`]: the journal cannot be written.
    pub(crate) fn begin(&mut self, id: &TestId, options: &RunOptions) -> Result<(), Failure> {
        self.write(&Line::Begin {
            test: id.clone(),
            seed: options.seed,
            first: 1,
            iterations: options.iterations,
        })
    }

    /// A test has ended; without a verdict the run ends here, and the test is not to blame.
    ///
    /// # Errors
    /// [`Failure::Input`]: the journal cannot be written.
    pub(crate) fn end(&mut self, id: &TestId, verdict: Option<&str>) -> Result<(), Failure> {
        self.write(&match verdict {
            None => Line::Interrupted {},
            Some(verdict) => Line::End {
                test: id.clone(),
                verdict: verdict.to_owned(),
            },
        })
    }

    /// All tests have had their turn.
    ///
    /// # Errors
    /// [`Failure::Input`]: the journal cannot be written.
    pub(crate) fn done(&mut self) -> Result<(), Failure> {
        self.write(&Line::Done {})
    }

    fn write(&mut self, line: &Line) -> Result<(), Failure> {
        match &mut self.journal {
            None => Ok(()),
            Some(journal) => Ok(journal.write(line)?),
        }
    }

    /// The tests that had had their turn before the run was resumed, if it was, without those that are
    /// reported as tests of this run.
    ///
    /// * `known`: whether a test is one of this run's.
    pub(crate) fn before(&self, known: impl Fn(&TestId) -> bool) -> Option<Vec<EndedReport>> {
        let history = &self.resumed.as_ref()?.history;
        let report = |test: &TestId, verdict: &str| EndedReport {
            name: test.test.clone(),
            file: test.file.clone(),
            verdict: verdict.to_owned(),
        };
        let ended = history.ended().iter();
        let ended = ended.map(|(test, verdict)| report(test, verdict));
        let stopped = history.stopped().filter(|test| !known(test));
        Some(
            ended
                .chain(stopped.map(|test| report(test, STOPPED)))
                .collect(),
        )
    }
}

/// Whether one of these makes the run fail.
pub(crate) fn has_failures(before: &[EndedReport]) -> bool {
    before.iter().any(is_failure)
}

fn is_failure(test: &EndedReport) -> bool {
    test.verdict == STOPPED || test.verdict == Verdict::Failed.name()
}

/// What there is to say of these.
pub(crate) fn lines(before: &[EndedReport]) -> Vec<String> {
    let failed = before.iter().filter(|test| is_failure(test));
    let mut lines = vec![format!(
        "resumed: {} tests had ended before, {} of them {}",
        before.len(),
        failed.clone().count(),
        Verdict::Failed.name()
    )];
    lines.extend(failed.map(|test| format!("{} had {}: {}", test.name, test.verdict, test.file)));
    lines
}

/// A test, as the journal names it.
pub(crate) fn id(input: &Input) -> TestId {
    TestId {
        file: input.test.file.clone(),
        test: input.test.name.clone(),
    }
}
