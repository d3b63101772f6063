//! The rows of threads of user mode: what becomes of an APC that arrives while such a thread is in kernel
//! code, and what ends its waits (docs/semantics.md, section 2).
//!
//! Everything here needs documented routines only: the completion of an overlapped request is a special
//! kernel APC, `SuspendThread` queues a normal one, `QueueUserAPC` a user APC.

mod programs;

use std::time::Duration;

use apclab_client::{RunOptions, Target};
use apclab_protocol::program::ApcKind;
use apclab_protocol::step::{WaitMode, answer};

use self::programs::Shape;
use super::judge::gap;
use super::measure::run;
use super::rows::Delivery;
use crate::report::{Cell, Gap, MEASURE, RowReport};

/// The questions, in the table's order.
pub(super) const QUESTIONS: [&str; 4] =
    ["completion", "suspension", "user APC", "special user APC"];

/// What surrounds the moment at which the APC arrives.
#[derive(Clone, Copy)]
enum Region {
    None,
    Critical,
    Guarded,
    ApcLevel,
    FastMutex,
    Mutex,
    Resource,
}

impl Region {
    /// When a special and a normal kernel APC run there.
    const fn documented(self) -> [Delivery; 2] {
        match self {
            Self::None => [Delivery::Now, Delivery::Now],
            Self::Critical | Self::Mutex | Self::Resource => [Delivery::Now, Delivery::Deferred],
            Self::Guarded | Self::ApcLevel | Self::FastMutex => {
                [Delivery::Deferred, Delivery::Deferred]
            }
        }
    }

    /// Whether a lane may wait there.
    const fn waits(self) -> bool {
        !matches!(self, Self::ApcLevel | Self::FastMutex)
    }
}

/// A row: where the thread is when the APC arrives.
pub(super) struct Row {
    pub(super) context: &'static str,
    region: Region,
    wait: Wait,
}

/// What the thread waits in when the APC arrives.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wait {
    /// In nothing that the row is about.
    Nothing,
    /// KernelMode, not alertable.
    Plain,
    As(WaitMode),
}

impl Wait {
    /// How it waits, unless that is the plain way.
    const fn mode(self) -> Option<WaitMode> {
        match self {
            Self::As(mode) => Some(mode),
            Self::Nothing | Self::Plain => None,
        }
    }
}

const fn code(context: &'static str, region: Region) -> Row {
    Row {
        context,
        region,
        wait: Wait::Nothing,
    }
}

const fn wait(context: &'static str, region: Region, wait: Wait) -> Row {
    Row {
        context,
        region,
        wait,
    }
}

/// Every context of a thread of user mode.
pub(super) const ROWS: [Row; 19] = [
    code("system call, plain code", Region::None),
    code("system call, critical region", Region::Critical),
    code("system call, guarded region", Region::Guarded),
    code("system call, IRQL APC_LEVEL", Region::ApcLevel),
    code("system call, fast mutex held", Region::FastMutex),
    code("system call, owning a KMUTEX", Region::Mutex),
    code(
        "system call, resource held in a critical region",
        Region::Resource,
    ),
    wait("wait: kernel mode", Region::None, Wait::Plain),
    wait(
        "wait: kernel mode, alertable",
        Region::None,
        Wait::As(WaitMode::KernelAlertable),
    ),
    wait("wait: user mode", Region::None, Wait::As(WaitMode::User)),
    wait(
        "wait: user mode, alertable",
        Region::None,
        Wait::As(WaitMode::UserAlertable),
    ),
    wait(
        "wait in a critical region: kernel mode",
        Region::Critical,
        Wait::Plain,
    ),
    wait(
        "wait in a critical region: kernel mode, alertable",
        Region::Critical,
        Wait::As(WaitMode::KernelAlertable),
    ),
    wait(
        "wait in a critical region: user mode",
        Region::Critical,
        Wait::As(WaitMode::User),
    ),
    wait(
        "wait in a critical region: user mode, alertable",
        Region::Critical,
        Wait::As(WaitMode::UserAlertable),
    ),
    wait(
        "wait in a guarded region: kernel mode",
        Region::Guarded,
        Wait::Plain,
    ),
    wait(
        "wait in a guarded region: kernel mode, alertable",
        Region::Guarded,
        Wait::As(WaitMode::KernelAlertable),
    ),
    wait(
        "wait in a guarded region: user mode",
        Region::Guarded,
        Wait::As(WaitMode::User),
    ),
    wait(
        "wait in a guarded region: user mode, alertable",
        Region::Guarded,
        Wait::As(WaitMode::UserAlertable),
    ),
];

/// When a lane that waits for one that is suspended gives up. Long for a thread that is not.
const STUCK_AFTER: Duration = Duration::from_millis(100);
/// After how many such iterations the answer is clear.
const STUCK_ITERATIONS: u32 = 3;

/// What the outcome of one iteration says, in the words of the table.
type Word = &'static str;

/// Measures a row.
pub(super) fn measure(target: &mut dyn Target, row: &Row, options: &RunOptions) -> RowReport {
    let [special, normal] = row.region.documented();
    let cells = vec![
        kernel(
            target,
            options,
            QUESTIONS[0],
            special,
            Some(programs::completion(row)),
        ),
        kernel(
            target,
            options,
            QUESTIONS[1],
            normal,
            programs::suspension(row),
        ),
        user(target, row, options, QUESTIONS[2], ApcKind::User),
        user(target, row, options, QUESTIONS[3], ApcKind::SpecialUser),
    ];
    RowReport {
        context: row.context.to_owned(),
        cells,
    }
}

/// When a kernel APC ran. In a wait it arrives from another thread, and the wait may be over first.
fn kernel(
    target: &mut dyn Target,
    options: &RunOptions,
    question: &str,
    documented: Delivery,
    shape: Option<Shape>,
) -> Cell {
    let documented = match documented {
        Delivery::Now => "now",
        Delivery::Deferred => "deferred",
    };
    let Some(shape) = shape else {
        let why = Gap::NotRunnable("no wait at APC_LEVEL".to_owned());
        return gap(question, &why, documented);
    };
    let chance = shape.chance;
    let seen = match words(target, &shape, options) {
        Ok((seen, _)) => seen,
        Err(why) => return gap(question, &why, documented),
    };
    let now = seen.contains(&"now");
    let mut answers = seen;
    if now && chance {
        // It is chance whether the wait was over first.
        answers.retain(|word| !matches!(*word, "now" | "deferred"));
        answers.insert(0, "now or later");
    }
    let right = match documented {
        "now" if chance => "now or later",
        word => word,
    };
    let differs = answers != [right];
    cell(question, answers, documented, differs)
}

/// What becomes of a user APC: whether it ended the wait, and when it ran.
fn user(
    target: &mut dyn Target,
    row: &Row,
    options: &RunOptions,
    question: &str,
    kind: ApcKind,
) -> Cell {
    let documented = documented_user(row, kind);
    let Some(shape) = programs::user_apc(row, kind) else {
        let why = Gap::NotRunnable("no wait at APC_LEVEL".to_owned());
        return gap(question, &why, documented);
    };
    match words(target, &shape, options) {
        Ok((mut answers, exhaustive)) => {
            // Where an APC ends waits, it is chance whether the object was signaled first. What the model
            // leaves open it says in full.
            if answers.contains(&ENDS) && (documented == ENDS || !exhaustive) {
                answers.retain(|word| !matches!(*word, ON_RETURN | LATER));
            }
            let differs = documented != MEASURE && answers != [documented];
            cell(question, answers, documented, differs)
        }
        Err(why) => gap(question, &why, documented),
    }
}

/// Each word that an iteration was found to say, in a fixed order, and whether these are all that there
/// can be.
fn words(
    target: &mut dyn Target,
    shape: &Shape,
    options: &RunOptions,
) -> Result<(Vec<Word>, bool), Gap> {
    let mut options = *options;
    if shape.stuck.is_some() {
        options.wait_deadline = options.wait_deadline.min(STUCK_AFTER);
        options.deadlocks = STUCK_ITERATIONS;
    }
    let result = run(target, &shape.program, &options)?;
    let mut words = Vec::new();
    let stuck = result.deadlocks > 0 || result.timed_out > 0;
    match shape.stuck {
        Some(word) if stuck => words.push(word),
        None if stuck => {
            return Err(Gap::Failed(
                "an iteration did not come to its end".to_owned(),
            ));
        }
        _ => {}
    }
    for (outcome, _) in &result.histogram {
        if shape.timed && outcome.first() == Some(&answer::TIMED_OUT) {
            continue;
        }
        let word =
            (shape.word)(outcome).ok_or_else(|| Gap::Failed(format!("it answered {outcome:?}")))?;
        if !words.contains(&word) {
            words.push(word);
        }
    }
    if words.is_empty() {
        return Err(Gap::Failed("every wait timed out".to_owned()));
    }
    words.sort_unstable_by_key(|word| std::cmp::Reverse(*word));
    Ok((words, result.exhaustive))
}

fn cell(question: &str, answers: Vec<Word>, documented: &str, differs: bool) -> Cell {
    Cell {
        question: question.to_owned(),
        measured: answers.join(" or "),
        answers: answers.into_iter().map(ToOwned::to_owned).collect(),
        documented: documented.to_owned(),
        differs,
        iterations: None,
        gap: None,
    }
}

const ENDS: Word = "ends the wait";
const ENDS_ONLY: Word = "ends the wait, runs later";
const ALERTS: Word = "alerts the wait";
const ON_RETURN: Word = "on return";
const LATER: Word = "alertable wait";
const LOST: Word = "lost";
const NOW: Word = "now";
const DEFERRED: Word = "deferred";

/// What is published of user APCs (pages of KeWaitForSingleObject, QueueUserAPC and QueueUserAPC2): an
/// ordinary one needs an alertable wait in user mode, a special one the return to user mode. What an
/// alertable wait does in a region, or in KernelMode, is not.
fn documented_user(row: &Row, kind: ApcKind) -> &'static str {
    let alertable = row.wait.mode().filter(|mode| mode.alertable());
    match (alertable, row.region) {
        (Some(WaitMode::UserAlertable), Region::None) => ENDS,
        (Some(_), _) => MEASURE,
        (None, _) if kind == ApcKind::SpecialUser => ON_RETURN,
        (None, _) => LATER,
    }
}

/// How a wait ended that a user APC met, and when that ran: on the return from the wait's system call, or
/// in an alertable wait that follows.
fn user_word(ended: i64, ran: i64, ran_later: i64) -> Option<Word> {
    Some(match (ended, ran, ran_later) {
        (answer::USER_APC, 1, 1) => ENDS,
        (answer::ALERTED, ..) => ALERTS,
        (answer::USER_APC, 0, 1) => ENDS_ONLY,
        (_, 1, 1) => ON_RETURN,
        (_, 0, 1) => LATER,
        (_, 0, 0) => LOST,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use apclab_protocol::program::Program;
    use apclab_protocol::verify::{Machine, verify};

    use super::*;

    #[test]
    fn every_program_is_accepted() {
        let mut missing = 0;
        for row in &ROWS {
            let shapes = [
                Some(programs::completion(row)),
                programs::suspension(row),
                programs::user_apc(row, ApcKind::User),
                programs::user_apc(row, ApcKind::SpecialUser),
            ];
            for shape in shapes {
                let Some(shape) = shape else {
                    missing += 1;
                    continue;
                };
                let bytes = shape.program.encode();
                let program = Program::parse(&bytes).expect("well formed");
                let verified = verify(&program, Machine::default());
                assert!(verified.is_ok(), "{}: {verified:?}", row.context);
            }
        }
        // At APC_LEVEL no thread waits for what another does to it.
        assert_eq!(missing, 6);
    }

    #[test]
    fn what_ends_a_wait_is_told_apart() {
        assert_eq!(user_word(2, 1, 1), Some(ENDS));
        assert_eq!(user_word(2, 0, 1), Some(ENDS_ONLY));
        assert_eq!(user_word(1, 1, 1), Some(ON_RETURN));
        assert_eq!(user_word(1, 0, 1), Some(LATER));
        assert_eq!(user_word(3, 0, 1), Some(ALERTS));
        assert_eq!(user_word(0, 0, 0), Some(LOST));
        assert_eq!(user_word(0, 2, 2), None);
    }
}
