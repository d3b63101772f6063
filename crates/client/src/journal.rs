//! Which test runs, on the disk before it runs: after a bug check nothing else is left that knows.
//!
//! # Format
//! A text file with a record a line: a check sum of 16 hexadecimal digits (FNV-1a, 64 bits, of the
//! bytes behind the blank up to the end of the line), a blank, and a JSON object with the field
//! `record`:
//!
//! | `record` | fields | meaning |
//! |---|---|---|
//! | `run` | `version` (1), `target`, `time`, `up` | a run begins or is resumed, at `time` (seconds since 1970), on a machine that has been up for `up` seconds |
//! | `begin` | `file`, `test`, `seed`, `first`, `iterations` | these iterations of a test are about to run, counted from 1 |
//! | `end` | `file`, `test`, `verdict` | the test came to its end |
//! | `interrupted` | – | the user stopped the run, so that the test that had begun is to blame for nothing |
//! | `stopped` | `file`, `test` | found when a run was resumed: this test had begun and did not end |
//! | `done` | – | the run came to its end |
//!
//! Every record is flushed to the disk before the run goes on. What a crash has left of the last line
//! fails its check sum and is cut off; a line ahead of it that fails makes the journal unreadable.

mod read;

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

pub use read::{History, Unfinished};

/// Version of the format.
pub const VERSION: u32 = 1;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "lowercase")]
pub enum Record {
    /// A run begins or is resumed.
    Run {
        /// [`VERSION`].
        version: u32,
        /// What runs the tests.
        target: String,
        /// Seconds since 1970.
        time: u64,
        /// Seconds since the machine was started, where that is known.
        up: Option<u64>,
    },
    /// A test is about to run.
    Begin {
        /// Which.
        #[serde(flatten)]
        test: TestId,
        /// The seed of the target's choices.
        seed: u64,
        /// The first iteration, counted from 1.
        first: u32,
        /// How many iterations.
        iterations: u32,
    },
    /// A test came to its end.
    End {
        /// Which.
        #[serde(flatten)]
        test: TestId,
        /// What was thought of it.
        verdict: String,
    },
    /// The user stopped the run.
    Interrupted {},
    /// A test had begun and did not end.
    Stopped {
        /// Which.
        #[serde(flatten)]
        test: TestId,
    },
    /// The run came to its end.
    Done {},
}

/// A test, as a journal names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TestId {
    /// Its file as it was named.
    pub file: String,
    /// Its name.
    pub test: String,
}

/// Why a journal is of no use.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file cannot be read or written.
    #[error("the journal {} cannot be {what}: {why}", .path.display())]
    File {
        /// Its path.
        path: PathBuf,
        /// Read, or written.
        what: &'static str,
        /// What the system says.
        why: io::Error,
    },
    /// Its content is none.
    #[error("line {line} of the journal {} is no record of one: {why}; delete the file to begin anew", .path.display())]
    Line {
        /// Its path.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
    /// There is something in it that a new run would erase.
    #[error(
        "the journal {} is of a run that did not end: go on with --resume, or delete the file to \
         begin anew",
        .0.display()
    )]
    Unfinished(PathBuf),
    /// There is nothing to resume.
    #[error("there is nothing to resume: {why}")]
    NothingToResume {
        /// What is there instead.
        why: String,
    },
}

/// An open journal.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
}

impl Journal {
    /// Begins a journal. One of a run that came to its end is overwritten.
    ///
    /// # Errors
    /// [`JournalError`]: there is one of a run that did not end, or the file cannot be written.
    pub fn begin(path: &Path, target: &str, up: Option<u64>) -> Result<Self, JournalError> {
        if path.exists() && !History::read(path)?.is_done() {
            return Err(JournalError::Unfinished(path.to_owned()));
        }
        let file = File::create(path).map_err(|why| written(path, why))?;
        let mut journal = Self {
            file,
            path: path.to_owned(),
        };
        journal.write(&run(target, up))?;
        Ok(journal)
    }

    /// Goes on with the journal of a run that did not end: a torn last line is cut off, and a test
    /// that had begun is written down as the one that stopped the run.
    ///
    /// # Errors
    /// [`JournalError`]: there is no such journal, or the file cannot be read or written.
    pub fn resume(
        path: &Path,
        target: &str,
        up: Option<u64>,
    ) -> Result<(Self, History), JournalError> {
        if !path.exists() {
            return Err(JournalError::NothingToResume {
                why: format!("there is no journal {}", path.display()),
            });
        }
        let history = History::read(path)?;
        if history.is_done() {
            return Err(JournalError::NothingToResume {
                why: format!("the run of the journal {} came to its end", path.display()),
            });
        }
        let open = || -> io::Result<File> {
            let mut file = OpenOptions::new().write(true).open(path)?;
            file.set_len(history.length())?;
            file.seek(SeekFrom::End(0))?;
            Ok(file)
        };
        let mut journal = Self {
            file: open().map_err(|why| written(path, why))?,
            path: path.to_owned(),
        };
        if let Some(unfinished) = history.unfinished() {
            journal.write(&Record::Stopped {
                test: unfinished.test.clone(),
            })?;
        }
        journal.write(&run(target, up))?;
        Ok((journal, history))
    }

    /// Writes a record through to the disk.
    ///
    /// # Errors
    /// [`JournalError::File`]: it may not be there, so that the test should not run.
    pub fn write(&mut self, record: &Record) -> Result<(), JournalError> {
        let line = line(record).map_err(|why| written(&self.path, why.into()))?;
        let stored = self.file.write_all(line.as_bytes());
        stored
            .and_then(|()| self.file.sync_all())
            .map_err(|why| written(&self.path, why))
    }
}

fn run(target: &str, up: Option<u64>) -> Record {
    Record::Run {
        version: VERSION,
        target: target.to_owned(),
        time: now(),
        up,
    }
}

fn now() -> u64 {
    // A clock ahead of 1970 is as good as none.
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

fn written(path: &Path, why: io::Error) -> JournalError {
    JournalError::File {
        path: path.to_owned(),
        what: "written",
        why,
    }
}

/// A record as its line.
fn line(record: &Record) -> serde_json::Result<String> {
    let text = serde_json::to_string(record)?;
    Ok(format!("{:016x} {text}\n", check_sum(text.as_bytes())))
}

/// FNV-1a. It has to tell a line from a piece of one, and from sectors of zeros.
fn check_sum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3)
    })
}

#[cfg(test)]
mod tests;
