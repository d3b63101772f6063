//! What a journal says of the run that wrote it.

use std::path::Path;

use super::{JournalError, Record, TestId, VERSION, check_sum, now};

/// What a journal says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// The tests that have ended, each with its verdict.
    ended: Vec<(TestId, String)>,
    /// The tests at which the run stopped on earlier occasions.
    stopped: Vec<TestId>,
    unfinished: Option<Unfinished>,
    /// When the machine was started, as the last `run` says: seconds since 1970.
    started: Option<u64>,
    done: bool,
    /// Bytes up to the end of the last whole record.
    length: u64,
}

/// A test that had begun and did not end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// Which.
    pub test: TestId,
    /// The seed of the target's choices.
    pub seed: u64,
    /// The first of the iterations that were about to run, counted from 1.
    pub first: u32,
    /// How many were about to run.
    pub iterations: u32,
}

/// How far two reckonings of the time of the machine's start may be apart, in seconds. Clocks are
/// set, and a start takes its time.
const SLACK: u64 = 20;

impl History {
    /// Reads a journal.
    ///
    /// # Errors
    /// [`JournalError`]: the file cannot be read, or is no journal.
    pub fn read(path: &Path) -> Result<Self, JournalError> {
        let bytes = std::fs::read(path).map_err(|why| JournalError::File {
            path: path.to_owned(),
            what: "read",
            why,
        })?;
        Self::parse(&bytes).map_err(|(line, why)| JournalError::Line {
            path: path.to_owned(),
            line,
            why,
        })
    }

    /// Reads the bytes of a journal; gives line and reason when they are none.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, (usize, String)> {
        let mut history = Self::default();
        let mut rest = bytes;
        let mut number = 0;
        while !rest.is_empty() {
            number += 1;
            let end = rest.iter().position(|byte| *byte == b'\n');
            let (line, behind) = match end {
                Some(end) => (rest.get(..end), rest.get(end + 1..).unwrap_or(&[])),
                None => (None, &[][..]),
            };
            let torn = || Fault::Torn("it is torn".to_owned());
            match line.ok_or_else(torn).and_then(record) {
                Ok(record) => history.take(record),
                // Sectors of zeros may follow a torn line, but no line of text. A file without one
                // whole line may be anything: it is not for us to overwrite.
                Err(Fault::Torn(_)) if number > 1 && !behind.contains(&b'\n') => {
                    return Ok(history);
                }
                Err(Fault::Torn(why) | Fault::Foreign(why)) => return Err((number, why)),
            }
            rest = behind;
            history.length = (bytes.len() - rest.len()) as u64;
        }
        Ok(history)
    }

    fn take(&mut self, record: Record) {
        match record {
            Record::Run { time, up, .. } => {
                self.started = up.map(|up| time.saturating_sub(up));
                self.done = false;
            }
            Record::Begin {
                test,
                seed,
                first,
                iterations,
            } => {
                self.unfinished = Some(Unfinished {
                    test,
                    seed,
                    first,
                    iterations,
                });
            }
            Record::End { test, verdict } => {
                self.unfinished = None;
                self.ended.push((test, verdict));
            }
            Record::Interrupted {} => self.unfinished = None,
            Record::Stopped { test } => {
                self.unfinished = None;
                self.stopped.push(test);
            }
            Record::Done {} => self.done = true,
        }
    }

    /// Whether the run came to its end. An empty file is of none that could be lost.
    pub const fn is_done(&self) -> bool {
        self.done || self.length == 0
    }

    /// Bytes up to the end of the last whole record.
    pub(super) const fn length(&self) -> u64 {
        self.length
    }

    /// The test that had begun and did not end.
    pub const fn unfinished(&self) -> Option<&Unfinished> {
        self.unfinished.as_ref()
    }

    /// The tests that have ended, each with its verdict.
    pub fn ended(&self) -> &[(TestId, String)] {
        &self.ended
    }

    /// All tests at which the run stopped, the last one included.
    pub fn stopped(&self) -> impl Iterator<Item = &TestId> {
        let last = self.unfinished.iter().map(|unfinished| &unfinished.test);
        self.stopped.iter().chain(last)
    }

    /// Whether the test has had its turn.
    pub fn has_had(&self, test: &TestId) -> bool {
        self.ended.iter().any(|(ended, _)| ended == test) || self.stopped().any(|it| it == test)
    }

    /// Whether the machine was started anew since the run began. `None` when it is not known.
    pub fn restarted(&self, up: Option<u64>) -> Option<bool> {
        self.restarted_at(now(), up)
    }

    pub(super) fn restarted_at(&self, now: u64, up: Option<u64>) -> Option<bool> {
        let started = now.saturating_sub(up?);
        Some(started > self.started?.saturating_add(SLACK))
    }
}

/// Why a line is no record.
enum Fault {
    /// A crash may have left it so.
    Torn(String),
    /// It was written so.
    Foreign(String),
}

/// The record of a line, or why it is none.
fn record(line: &[u8]) -> Result<Record, Fault> {
    let text = std::str::from_utf8(line).map_err(|_| Fault::Torn("it is no text".to_owned()))?;
    let (sum, text) = text
        .split_once(' ')
        .ok_or_else(|| Fault::Torn("it has no check sum".to_owned()))?;
    if u64::from_str_radix(sum, 16) != Ok(check_sum(text.as_bytes())) || sum.len() != 16 {
        return Err(Fault::Torn("its check sum is wrong".to_owned()));
    }
    let record: Record =
        serde_json::from_str(text).map_err(|why| Fault::Foreign(why.to_string()))?;
    match record {
        Record::Run { version, .. } if version != VERSION => Err(Fault::Foreign(format!(
            "it has version {version}, this program {VERSION}"
        ))),
        record => Ok(record),
    }
}
