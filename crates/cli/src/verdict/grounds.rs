//! What a verdict rests on.

use apclab_protocol::program::Malformed;
use apclab_protocol::verify::Refusal;

/// What speaks against a test. Any makes it fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// The condition does not hold of what was seen.
    Violated,
    /// Outcomes that the documented profile does not allow.
    Forbidden(Vec<Vec<i64>>),
    /// So many iterations that did not end, of a test that does not speak of deadlocks; and who waited
    /// for whom in the first, where that is known.
    Deadlocks(u64, Option<String>),
    /// A deadlock that the documented profile does not have; who waited for whom.
    ForbiddenDeadlock(Option<String>),
    /// The test can run into bug checks.
    BugChecks(Vec<String>),
    /// No iteration came to its end, though some could have.
    NothingSeen,
    /// No iteration can come to its end.
    AlwaysHangs,
    /// It was refused, and should have run.
    Refused(Refusal),
    /// It was refused in another way than expected.
    RefusedOtherwise {
        /// What was expected.
        expected: Refusal,
        /// What came instead.
        got: Refusal,
    },
    /// It ran, and should have been refused.
    NotRefused(Refusal),
    /// Its bytes were rejected.
    Malformed(Malformed),
    /// The target gave no answer.
    NoAnswer(String),
}

/// What is worth telling and no reason to fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Note {
    /// Iterations that timed out, of how many, and whether the model has deadlocks.
    TimedOut(u32, u32, Option<bool>),
    /// The run ended at its deadline, after so many iterations.
    CutShort(u32),
    /// Iterations whose outcome was lost.
    Overflow(u32),
    /// Who waited for whom in the first deadlock.
    Deadlock(String),
    /// The run ended after so many deadlocks.
    EnoughDeadlocks(u64),
    /// Outcomes that are allowed and were not seen, and whether deadlocks are among them.
    NotSeen(Vec<Vec<i64>>, bool),
    /// What an `exists` looks for is allowed, and open re-implementations of NT 5.2 do not have it.
    NotInNt52,
    /// Waits for locks were loops of tries.
    Polled,
    /// What would speak against a test whose condition is not judged.
    Unjudged(Unjudged, Vec<Problem>),
    /// So many iterations whose lanes ran at the same time did not show what an `exists` looks for;
    /// then so many were scheduled, from this schedule on.
    SecondAttempt(u32, u32, String),
    /// The lanes of a test that may deadlock were scheduled, from this schedule on.
    ScheduledByDefault(String),
    /// No trace shows what should not be: not one of so many schedules led there, or nobody
    /// schedules.
    NoTrace(Option<u32>),
    /// Outcomes that open re-implementations of NT 5.2 do not have.
    DiffersFromNt52(Vec<Vec<i64>>),
    /// The model could not say what is allowed.
    NotCompared(String),
    /// What should not be (`None` is a deadlock), each with the command that shows it.
    Again(Vec<(Option<Vec<i64>>, String)>),
    /// How many schedules were tried, and whether these were all.
    Schedules(u32, bool),
    /// Why the target cannot run the test.
    NotRunnable(Obstacle),
}

/// Why a condition is not judged where a real kernel answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unjudged {
    /// It is on counts that are estimates.
    Estimate,
    /// It is on what the sources leave open.
    Measure,
}

/// Why a target cannot run a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// The kernel does not offer the routines that queue APCs.
    NoApcRoutines,
    /// The threads that run the lanes begin with APCs disabled.
    Baseline,
    /// It may deadlock, and nobody would end that.
    MayDeadlock,
    /// It may deadlock, and waits for push locks cannot be polled.
    PolledPushLocks,
    /// The kernel does not offer the routines of push locks.
    NoPushLocks,
    /// User mode does not offer the routine that queues special user APCs.
    NoSpecialUserApcs,
}

/// How many of the outcomes that the documentation allows were seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Coverage {
    pub(crate) seen: usize,
    pub(crate) allowed: usize,
}

impl Coverage {
    /// In per cent, rounded down, so that 100 means all.
    pub(crate) fn per_cent(self) -> usize {
        (self.seen * 100).checked_div(self.allowed).unwrap_or(100)
    }
}

impl std::ops::Add for Coverage {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            seen: self.seen + other.seen,
            allowed: self.allowed + other.allowed,
        }
    }
}
