//! Measures a context with small programs, of which it is a part like any other test.

use apclab_client::{RunOptions, RunOutcome, RunResult, Target, TargetError};
use apclab_protocol::build::ProgramBuf;
use apclab_protocol::message::Context;
use apclab_protocol::program::{Apc, ApcKind, Event, EventKind, Observed};
use apclab_protocol::step::Step;
use apclab_protocol::verify::Reason;

use super::rows::Row;
use crate::report::{Deliveries, Gap};

/// The lane that is in the context.
const TARGET: u8 = 0;
/// The lane that queues to one that waits.
const OTHER: u8 = 1;
/// Set when the target lane is about to wait.
const READY: u8 = 0;
/// What the target lane waits for.
const GO: u8 = 1;

/// The APC in whose routine it happens, where that is so.
const OUTER: u8 = 0;
const QUEUE_OUTER: Step = Step::Queue {
    apc: OUTER,
    to: None,
};

/// Registers: was the APC inserted, had it run at the point of the row, had it run at the end.
const INSERTED: u8 = 0;
const THEN: u8 = 1;
const AT_END: u8 = 2;

/// What was measured for an APC kind in a context.
pub(super) type ApcCell = Result<Deliveries, Gap>;

/// What the predicates and the IRQL were in a context, each combination once.
pub(super) type ContextCell = Result<Measured, Gap>;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Measured {
    pub(super) apcs_disabled: Vec<bool>,
    pub(super) all_apcs_disabled: Vec<bool>,
    pub(super) irql: Vec<i64>,
    /// The context in which the lane began.
    pub(super) baseline: Context,
}

/// Queues an APC of a kind in the context of a row.
pub(super) fn apc(
    target: &mut dyn Target,
    row: &Row,
    kind: ApcKind,
    options: &RunOptions,
) -> ApcCell {
    let result = ended(run(target, &apc_program(row, kind), options)?)?;
    let mut deliveries = Deliveries::default();
    for (outcome, count) in &result.histogram {
        let place = match outcome.as_slice() {
            [0, ..] => &mut deliveries.not_inserted,
            [_, 1, _] => &mut deliveries.now,
            // What another lane has queued need not have run by any moment of this lane's own; nor
            // is there such a moment when nothing was left to end.
            [_, 0, 0] if !row.waits && row.ends() => &mut deliveries.lost,
            [_, 0, _] => &mut deliveries.deferred,
            other => return Err(Gap::Failed(format!("it answered {other:?}"))),
        };
        *place += count;
    }
    Ok(deliveries)
}

/// Asks both predicates and the IRQL in the context of a row.
pub(super) fn context(target: &mut dyn Target, row: &Row, options: &RunOptions) -> ContextCell {
    let result = ended(run(target, &context_program(row), options)?)?;
    let mut measured = Measured {
        baseline: result.baseline.first().copied().unwrap_or_default(),
        ..Measured::default()
    };
    for (outcome, _) in &result.histogram {
        let [apcs, all, irql] = outcome.as_slice() else {
            return Err(Gap::Failed(format!("it answered {outcome:?}")));
        };
        add(&mut measured.apcs_disabled, *apcs != 0);
        add(&mut measured.all_apcs_disabled, *all != 0);
        add(&mut measured.irql, *irql);
    }
    Ok(measured)
}

fn add<T: Ord>(values: &mut Vec<T>, value: T) {
    if !values.contains(&value) {
        values.push(value);
        values.sort();
    }
}

/// A result with outcomes.
fn ended(result: RunResult) -> Result<RunResult, Gap> {
    if result.histogram.is_empty() {
        return Err(Gap::Failed("no iteration came to its end".to_owned()));
    }
    Ok(result)
}

/// Runs a program, and says why when there is no outcome.
pub(super) fn run(
    target: &mut dyn Target,
    program: &ProgramBuf,
    options: &RunOptions,
) -> Result<RunResult, Gap> {
    let failed = |why: String| Err(Gap::Failed(why));
    match target.run(program, options) {
        Ok(RunOutcome::Ran(result)) if !result.bug_checks.is_empty() => {
            failed(format!("bug check {}", result.bug_checks.join("; ")))
        }
        Ok(RunOutcome::Ran(result)) => Ok(result),
        Ok(RunOutcome::Refused(refusal)) if refusal.reason == Reason::NoApcRoutines => {
            Err(Gap::NotRunnable("no APC routines".to_owned()))
        }
        Ok(RunOutcome::Refused(refusal)) if refusal.reason == Reason::NoPushLocks => {
            Err(Gap::NotRunnable("no push locks".to_owned()))
        }
        Ok(RunOutcome::BaselineDisabled(_)) => {
            Err(Gap::NotRunnable("APCs disabled at the start".to_owned()))
        }
        Ok(RunOutcome::NoSpecialUserApcs) => {
            Err(Gap::NotRunnable("no special user APCs".to_owned()))
        }
        Ok(RunOutcome::Refused(refusal)) => failed(format!("refused: {}", refusal.reason.name())),
        Ok(RunOutcome::Malformed(malformed)) => failed(format!("rejected: {malformed:?}")),
        Err(error) => failed(TargetError::to_string(&error)),
    }
}

const fn register(lane: u8, register: u8) -> Observed {
    Observed::Register { lane, register }
}

/// The target lane goes into the context; an APC is queued to it, by itself or, while it waits, by
/// the other lane; it asks whether the APC has run, ends what is open and asks again. In the routine
/// of an APC, that one's body queues and asks, and the lane asks again when the routine has returned.
fn apc_program(row: &Row, kind: ApcKind) -> ProgramBuf {
    let probe = Apc { kind, lane: TARGET };
    // The one that is asked about is queued by the body of the other, and so comes behind it.
    let (apc, apcs) = match row.inside {
        None => (0, vec![probe]),
        Some(kind) => (1, vec![Apc { kind, lane: TARGET }, probe]),
    };
    let queue = Step::Queue {
        apc,
        to: Some(INSERTED),
    };
    let asked = |to| [Step::Ran { apc, to }];
    let then = [row.between, &asked(THEN)].concat();
    let (body, middle, observe) = if row.inside.is_some() {
        let body = [&[queue][..], &then].concat();
        (body, vec![QUEUE_OUTER], in_body as Observe)
    } else if row.waits {
        let wait = [Step::Set { event: READY }, Step::Wait { event: GO }];
        (
            Vec::new(),
            [&wait[..], &then].concat(),
            in_target as Observe,
        )
    } else {
        (
            Vec::new(),
            [&[queue][..], &then].concat(),
            in_target as Observe,
        )
    };
    let mut lanes = vec![[row.before, &middle, row.rest, &asked(AT_END)].concat()];
    let mut inserted = observe(INSERTED);
    if row.waits {
        lanes.push(vec![
            Step::Wait { event: READY },
            queue,
            Step::Set { event: GO },
        ]);
        inserted = register(OTHER, INSERTED);
    }
    ProgramBuf {
        events: events(row),
        apcs,
        bodies: vec![body],
        locks: row.locks().to_vec(),
        observed: vec![inserted, observe(THEN), register(TARGET, AT_END)],
        lanes,
        ..ProgramBuf::default()
    }
}

/// Where an answer is observed.
type Observe = fn(u8) -> Observed;

const fn in_target(number: u8) -> Observed {
    register(TARGET, number)
}

const fn in_body(register: u8) -> Observed {
    Observed::ApcRegister {
        apc: OUTER,
        register,
    }
}

/// The target lane goes into the context and asks where it is.
fn context_program(row: &Row) -> ProgramBuf {
    let questions = [
        Step::ApcsDisabled { to: 0 },
        Step::AllApcsDisabled { to: 1 },
        Step::Irql { to: 2 },
    ];
    let mut program = ProgramBuf {
        events: events(row),
        locks: row.locks().to_vec(),
        observed: (0..3).map(in_target).collect(),
        ..ProgramBuf::default()
    };
    if let Some(kind) = row.inside {
        program.apcs = vec![Apc { kind, lane: TARGET }];
        program.bodies = vec![questions.to_vec()];
        program.observed = (0..3).map(in_body).collect();
        program.lanes.push(vec![QUEUE_OUTER]);
    } else if row.waits {
        let wait = [Step::Set { event: READY }, Step::Wait { event: GO }];
        let steps = [row.before, &wait, row.between, &questions, row.rest].concat();
        program.lanes.push(steps);
        program
            .lanes
            .push(vec![Step::Wait { event: READY }, Step::Set { event: GO }]);
    } else {
        let steps = [row.before, row.between, &questions, row.rest].concat();
        program.lanes.push(steps);
    }
    program
}

fn events(row: &Row) -> Vec<Event> {
    let event = Event {
        kind: EventKind::Notification,
        signaled: false,
    };
    if row.waits {
        vec![event; 2]
    } else {
        Vec::new()
    }
}
