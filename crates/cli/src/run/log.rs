//! The journal of a run, if it has one.

use std::path::PathBuf;

use apclab_client::journal::{History, Journal, Record as Line, TestId};
use apclab_client::{RunOptions, device};

use super::Record;
use crate::args::{On, RunArgs};
use crate::failure::Failure;
use crate::input::Input;
use crate::report::EndedReport;
use crate::verdict::Verdict;

/// Where the journal is when nothing is said.
const DEFAULT: &str = "apclab.journal";

/// The journal of a run, and what it says of the run before it was resumed.
pub(super) struct Log {
    journal: Option<Journal>,
    resumed: Option<Resumed>,
}

struct Resumed {
    history: History,
    /// Whether the machine was started anew since the test that did not end had begun.
    restarted: Option<bool>,
}

/// Whether it is a test's turn.
pub(super) enum Turn {
    Now,
    /// It ended before the run was resumed.
    Ended,
    /// The run stopped at it.
    Stopped(String),
}

impl Log {
    /// Begins the journal, or goes on with it.
    ///
    /// # Errors
    /// [`Failure::Input`]: the journal says that there is something to resume, or that there is not.
    pub(super) fn open(args: &RunArgs, target: &str) -> Result<Self, Failure> {
        let default = args.target.on == On::Device || args.resume;
        let path = args
            .journal
            .clone()
            .or_else(|| default.then(|| PathBuf::from(DEFAULT)));
        let Some(path) = path else {
            return Ok(Self {
                journal: None,
                resumed: None,
            });
        };
        let up = device::uptime();
        if !args.resume {
            return Ok(Self {
                journal: Some(Journal::begin(&path, target, up)?),
                resumed: None,
            });
        }
        let (journal, history) = Journal::resume(&path, target, up)?;
        let restarted = history.restarted(up);
        Ok(Self {
            journal: Some(journal),
            resumed: Some(Resumed { history, restarted }),
        })
    }

    /// Whether it is the test's turn.
    pub(super) fn turn(&self, input: &Input) -> Turn {
        let Some(Resumed { history, restarted }) = &self.resumed else {
            return Turn::Now;
        };
        let id = id(input);
        let unfinished = history.unfinished().filter(|it| it.test == id);
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
        if history.stopped().any(|stopped| *stopped == id) {
            return Turn::Stopped("the run stopped here before it was last resumed".to_owned());
        }
        if history.has_had(&id) {
            Turn::Ended
        } else {
            Turn::Now
        }
    }

    /// A test is about to run.
    ///
    /// # Errors
    /// [`Failure::Input`]: the journal cannot be written.
    pub(super) fn begin(&mut self, input: &Input, options: &RunOptions) -> Result<(), Failure> {
        self.write(&Line::Begin {
            test: id(input),
            seed: options.seed,
            first: 1,
            iterations: options.iterations,
        })
    }

    /// A test has ended; without a record the run ends here, and the test is not to blame.
    ///
    /// # Errors
    /// [`Failure::Input`]: the journal cannot be written.
    pub(super) fn end(
        &mut self,
        input: &Input,
        record: Option<&Record<'_>>,
    ) -> Result<(), Failure> {
        self.write(&match record {
            None => Line::Interrupted {},
            Some(record) => Line::End {
                test: id(input),
                verdict: record.judgement.verdict.name().to_owned(),
            },
        })
    }

    /// All tests have had their turn.
    ///
    /// # Errors
    /// [`Failure::Input`]: the journal cannot be written.
    pub(super) fn done(&mut self) -> Result<(), Failure> {
        self.write(&Line::Done {})
    }

    fn write(&mut self, line: &Line) -> Result<(), Failure> {
        match &mut self.journal {
            None => Ok(()),
            Some(journal) => Ok(journal.write(line)?),
        }
    }

    /// The tests that had ended before the run was resumed, if it was.
    pub(super) fn ended(&self) -> Option<Vec<EndedReport>> {
        let resumed = self.resumed.as_ref()?;
        let ended = resumed.history.ended().iter();
        Some(
            ended
                .map(|(test, verdict)| EndedReport {
                    name: test.test.clone(),
                    file: test.file.clone(),
                    verdict: verdict.clone(),
                })
                .collect(),
        )
    }

    /// Whether a test had failed before the run was resumed.
    pub(super) fn has_failures(&self) -> bool {
        self.ended().is_some_and(|ended| {
            ended
                .iter()
                .any(|test| test.verdict == Verdict::Failed.name())
        })
    }

    /// What there is to say of the tests that had ended before the run was resumed.
    pub(super) fn lines(&self) -> Vec<String> {
        let Some(ended) = self.ended() else {
            return Vec::new();
        };
        let failed = ended
            .iter()
            .filter(|test| test.verdict == Verdict::Failed.name());
        let mut lines = vec![format!(
            "resumed: {} tests had ended before, {} of them {}",
            ended.len(),
            failed.clone().count(),
            Verdict::Failed.name()
        )];
        lines.extend(
            failed.map(|test| format!("{} had {}: {}", test.name, test.verdict, test.file)),
        );
        lines
    }
}

fn id(input: &Input) -> TestId {
    TestId {
        file: input.test.file.clone(),
        test: input.test.name.clone(),
    }
}
