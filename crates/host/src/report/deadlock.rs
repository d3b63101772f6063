//! What the host answers when the driver's threads wait for each other.

use std::fmt;

use crate::schedule::Choice;

/// Threads that wait for locks which nobody will ever release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadlockReport {
    /// Those that are part of it: they wait for a lock, or hold one and wait for something else.
    pub threads: Vec<Stuck>,
    /// Who waits for what and who holds it, in a sentence.
    pub sentence: String,
    /// The choices that a scheduled machine had made: replaying them leads here again.
    pub choices: Vec<Choice>,
}

impl DeadlockReport {
    /// A report on `threads`.
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    pub(crate) fn new(threads: Vec<Stuck>, choices: Vec<Choice>) -> Self {
        let parts: Vec<_> = threads.iter().map(ToString::to_string).collect();
        let sentence = format!("deadlock: {}", parts.join("; "));
        Self {
            threads,
            sentence,
            choices,
        }
    }
}

impl fmt::Display for DeadlockReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

/// A thread that cannot go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stuck {
    /// The thread's name.
    pub thread: String,
    /// What it waits for: a lock with its address and how it wants it, or something else.
    pub waits_for: String,
    /// Who holds that lock, and how. Empty when it is no lock.
    pub held_by: Vec<String>,
    /// The locks that the thread holds, with their addresses and how it holds them.
    pub held: Vec<String>,
}

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} waits for {}", self.thread, self.waits_for)?;
        if !self.held_by.is_empty() {
            write!(f, ", held by {}", self.held_by.join(" and "))?;
        }
        if !self.held.is_empty() {
            write!(f, ", and holds {}", self.held.join(", "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_names_threads_locks_and_holders() {
        let stuck = |thread: &str, wanted: &str, other: &str| Stuck {
            thread: thread.to_owned(),
            waits_for: format!("the resource at {wanted} (exclusive)"),
            held_by: vec![other.to_owned()],
            held: Vec::new(),
        };
        let mut threads = vec![stuck("A", "0x10", "B (shared)"), stuck("B", "0x20", "A")];
        threads[1].held.push("the resource at 0x10".to_owned());
        let report = DeadlockReport::new(threads, Vec::new());
        assert_eq!(
            report.to_string(),
            "deadlock: A waits for the resource at 0x10 (exclusive), held by B (shared); B waits for \
             the resource at 0x20 (exclusive), held by A, and holds the resource at 0x10"
        );
    }
}
