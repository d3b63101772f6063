//! Constants and enumerations of the protocol, with their values as Rust has them.

use std::collections::BTreeSet;
use std::fmt::Debug;

use anyhow::{Context, Result, ensure};
use apclab_protocol::build::ProgramBuf;
use apclab_protocol::message::{self, Ended};
use apclab_protocol::program::{
    self, Apc, ApcKind, Event, EventKind, HEAD_SIZE, LockKind, Malformation, Observed,
};
use apclab_protocol::step::{self, Mode, Op, WaitMode};
use apclab_protocol::trace::{self, Kind};
use apclab_protocol::verify::Reason;
use apclab_protocol::{VERSION, ioctl, limits, status};

use super::docs::{self, Declared};

/// How a number is written.
#[derive(Clone, Copy)]
pub(super) enum Style {
    Decimal,
    Hexadecimal,
    Status,
}

/// One constant of the header.
pub(super) struct Constant {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) comment: String,
}

/// Constants that belong together.
pub(super) struct Group {
    pub(super) title: &'static str,
    /// The name of the C enumeration, for what is one in Rust.
    pub(super) enumeration: Option<&'static str>,
    pub(super) constants: Vec<Constant>,
}

fn number(value: impl TryInto<i64>) -> Option<i64> {
    value.try_into().ok()
}

/// The named constants of a module, with their values.
macro_rules! values {
    ($module:path: $($name:ident)*) => {{
        use $module as module;
        vec![$((stringify!($name), number(module::$name))),*]
    }};
}

impl Style {
    fn write(self, value: i64) -> Result<String> {
        Ok(match self {
            Self::Decimal => format!("{value}u"),
            Self::Hexadecimal => format!("0x{value:08X}u"),
            Self::Status => {
                let value = i32::try_from(value).context("a status has 32 bits")?;
                format!("((int32_t)0x{value:08X})")
            }
        })
    }
}

type Values = Vec<(&'static str, Option<i64>)>;

/// The constants of one module: all that are numbers, or it is an error.
fn group(
    title: &'static str,
    prefix: &str,
    style: Style,
    declared: &Declared,
    module: Option<&str>,
    values: Values,
) -> Result<Group> {
    let path = |name: &str| module.map_or(name.to_owned(), |module| format!("{module}::{name}"));
    let mut missing: BTreeSet<_> = declared
        .constants
        .keys()
        .filter(|name| name.rsplit_once("::").map(|(module, _)| module) == module)
        .collect();
    let mut constants = Vec::new();
    for (name, value) in values {
        let path = path(name);
        let comment = declared
            .constants
            .get(&path)
            .with_context(|| format!("the protocol declares no {path}"))?;
        missing.remove(&path);
        let value = value.with_context(|| format!("{path} has more than 63 bits"))?;
        constants.push(Constant {
            name: format!("APCLAB_{prefix}{name}"),
            value: style.write(value)?,
            comment: comment.clone(),
        });
    }
    ensure!(
        missing.is_empty(),
        "the protocol has constants that xtask/src/header/constants.rs does not name: {missing:?}"
    );
    Ok(Group {
        title,
        enumeration: None,
        constants,
    })
}

/// An enumeration: all its variants, or it is an error. `described` is the enumeration that has the
/// documentation of the variants of the same name.
fn enumeration(
    title: &'static str,
    name: &'static str,
    declared: &Declared,
    described: &str,
    variants: Vec<(String, i64)>,
) -> Result<Group> {
    let prefix = format!("{described}::");
    let mut missing: BTreeSet<_> = declared
        .variants
        .keys()
        .filter_map(|variant| variant.strip_prefix(&prefix))
        .collect();
    let mut constants = Vec::new();
    for (variant, value) in variants {
        let comment = declared
            .variants
            .get(&format!("{prefix}{variant}"))
            .with_context(|| format!("the protocol declares no {prefix}{variant}"))?;
        missing.remove(variant.as_str());
        constants.push(Constant {
            name: format!("{}_{}", name.to_ascii_uppercase(), screaming(&variant)),
            value: value.to_string(),
            comment: comment.clone(),
        });
    }
    ensure!(
        missing.is_empty(),
        "xtask/src/header/constants.rs does not name these variants of {described}: {missing:?}"
    );
    Ok(Group {
        title,
        enumeration: Some(name),
        constants,
    })
}

/// `EnterCritical` as `ENTER_CRITICAL`.
fn screaming(name: &str) -> String {
    let mut screaming = String::new();
    for character in name.chars() {
        if character.is_uppercase() && !screaming.is_empty() {
            screaming.push('_');
        }
        screaming.push(character.to_ascii_uppercase());
    }
    screaming
}

/// The name of a variant, without its fields.
fn variant(value: &impl Debug) -> String {
    let name = format!("{value:?}");
    let end = name
        .find(|c: char| !c.is_alphanumeric())
        .unwrap_or(name.len());
    name[..end].to_owned()
}

/// The first byte of the first table entry of a program: the kind of what is in that table.
fn entry_kind(program: &ProgramBuf) -> i64 {
    i64::from(program.encode()[HEAD_SIZE])
}

fn event_kinds() -> Vec<(String, i64)> {
    [EventKind::Notification, EventKind::Synchronization]
        .map(|kind| {
            let events = vec![Event {
                kind,
                signaled: false,
            }];
            let program = ProgramBuf {
                events,
                ..ProgramBuf::default()
            };
            (variant(&kind), entry_kind(&program))
        })
        .into()
}

fn apc_kinds() -> Vec<(String, i64)> {
    ApcKind::ALL
        .map(|kind| {
            let program = ProgramBuf {
                apcs: vec![Apc { kind, lane: 0 }],
                ..ProgramBuf::default()
            };
            (variant(&kind), entry_kind(&program))
        })
        .into()
}

fn lock_kinds() -> Vec<(String, i64)> {
    LockKind::ALL
        .map(|kind| {
            let program = ProgramBuf {
                locks: vec![kind],
                ..ProgramBuf::default()
            };
            (variant(&kind), entry_kind(&program))
        })
        .into()
}

fn observed_kinds() -> Vec<(String, i64)> {
    [
        Observed::Register {
            lane: 0,
            register: 0,
        },
        Observed::Variable(0),
        Observed::ApcRegister {
            apc: 0,
            register: 0,
        },
    ]
    .map(|observed| {
        let program = ProgramBuf {
            observed: vec![observed],
            ..ProgramBuf::default()
        };
        (variant(&observed), entry_kind(&program))
    })
    .into()
}

fn malformations() -> Vec<(String, i64)> {
    use Malformation as M;
    [
        M::Magic,
        M::Format,
        M::Length,
        M::Limit,
        M::Reserved,
        M::Kind,
        M::Index,
        M::Operation,
        M::Register,
        M::Unused,
        M::Range,
        M::Lock,
    ]
    // A reply has them from 1 on: 0 says that nothing is wrong.
    .map(|what| (variant(&what), 1 + what as i64))
    .into()
}

/// Everything but the structures, in the order of the header.
///
/// # Errors
///
/// When the protocol has a constant or a variant that is not listed here, or the other way round.
pub(super) fn groups() -> Result<Vec<Group>> {
    let root = docs::read(include_str!("../../../crates/protocol/src/lib.rs"));
    let codes = docs::read(include_str!("../../../crates/protocol/src/ioctl.rs"));
    let bounds = docs::read(include_str!("../../../crates/protocol/src/limits.rs"));
    let messages = docs::read(include_str!("../../../crates/protocol/src/message.rs"));
    let programs = docs::read(include_str!("../../../crates/protocol/src/program.rs"));
    let steps = docs::read(include_str!("../../../crates/protocol/src/step.rs"));
    let traces = docs::read(include_str!("../../../crates/protocol/src/trace.rs"));
    let statuses = docs::read(include_str!("../../../crates/protocol/src/status.rs"));
    let rules = docs::read(include_str!("../../../crates/protocol/src/verify.rs"));
    let mut protocol = group(
        "Version, and sizes in bytes",
        "",
        Style::Decimal,
        &root,
        None,
        vec![("VERSION", number(VERSION))],
    )?;
    for (declared, values) in [
        (&messages, values!(message: HEADER_SIZE NONE)),
        (&steps, values!(step: STEP_SIZE NO_REGISTER)),
        (&traces, values!(trace: NO_APC NO_STEP)),
    ] {
        let more = group("", "", Style::Decimal, declared, None, values)?;
        protocol.constants.extend(more.constants);
    }
    let format = group(
        "",
        "PROGRAM_",
        Style::Decimal,
        &programs,
        None,
        values!(program: MAGIC FORMAT HEAD_SIZE ENTRY_SIZE),
    )?;
    protocol.constants.extend(format.constants);
    Ok(vec![
        protocol,
        group(
            "Control codes",
            "IOCTL_",
            Style::Hexadecimal,
            &codes,
            None,
            values!(ioctl: DEVICE_TYPE QUERY LOAD RUN HISTOGRAM TRACE CANCEL CALL HOLD),
        )?,
        group(
            "Limits",
            "MAX_",
            Style::Decimal,
            &bounds,
            None,
            values!(limits: LANES REGISTERS VARIABLES EVENTS APCS LOCKS SCOPES STEPS_PER_BODY ROUNDS
                EXECUTED_STEPS OBSERVED STEPS_PER_LANE NESTING OUTCOMES TRACE_RECORDS_PER_LANE ITERATIONS DELAY_US
                RUN_DEADLINE_MS WAIT_DEADLINE_MS SLEEP_MS CALLER_WAIT_DEADLINE_MS SESSIONS),
        )?,
        group(
            "NTSTATUS values that requests complete with",
            "STATUS_",
            Style::Status,
            &statuses,
            None,
            values!(status: SUCCESS PENDING TIMEOUT INPUT_TOO_SHORT INPUT_TOO_LONG INPUT_MISALIGNED
                OUTPUT_TOO_SHORT REVISION_MISMATCH INVALID_PARAMETER UNKNOWN_CODE OUT_OF_SEQUENCE IN_USE
                NO_SUCH_SESSION NOT_THE_OPENER OTHER_SESSION TOO_MANY_SESSIONS INSUFFICIENT_RESOURCES
                CANCELLED REMOVED MALFORMED_PROGRAM REFUSED NO_APC_ROUTINES BASELINE_DISABLED),
        )?,
        group(
            "Bits of apclab_query_reply.routines",
            "ROUTINES_",
            Style::Decimal,
            &messages,
            Some("routines"),
            values!(message::routines: INITIALIZE_APC INSERT_QUEUE_APC APC DEADLOCKS_END PUSH_LOCKS),
        )?,
        group(
            "Bits of apclab_program_head.flags",
            "PROGRAM_",
            Style::Decimal,
            &programs,
            Some("flags"),
            values!(program::flags: MAY_DEADLOCK POLLED ALL),
        )?,
        enumeration(
            "Operations of steps",
            "apclab_op",
            &steps,
            "Step",
            Op::ALL.map(|op| (variant(&op), op as i64)).into(),
        )?,
        enumeration(
            "Kinds of events",
            "apclab_event_kind",
            &programs,
            "EventKind",
            event_kinds(),
        )?,
        enumeration(
            "Kinds of APCs",
            "apclab_apc_kind",
            &programs,
            "ApcKind",
            apc_kinds(),
        )?,
        enumeration(
            "Kinds of locks",
            "apclab_lock_kind",
            &programs,
            "LockKind",
            lock_kinds(),
        )?,
        enumeration(
            "How a lock is acquired: apclab_step.from of the steps that acquire",
            "apclab_mode",
            &steps,
            "Mode",
            Mode::ALL.map(|mode| (variant(&mode), mode as i64)).into(),
        )?,
        enumeration(
            "How a caller lane waits: apclab_step.from of APCLAB_OP_WAIT_AS",
            "apclab_wait_mode",
            &steps,
            "WaitMode",
            WaitMode::ALL
                .map(|mode| (variant(&mode), mode as i64))
                .into(),
        )?,
        group(
            "How a wait or a sleep of a caller lane ended",
            "ANSWER_",
            Style::Decimal,
            &steps,
            Some("answer"),
            values!(step::answer: TIMED_OUT SIGNALED USER_APC ALERTED),
        )?,
        enumeration(
            "What an observed value is",
            "apclab_observed_kind",
            &programs,
            "Observed",
            observed_kinds(),
        )?,
        enumeration(
            "Why bytes are no program: apclab_load_reply.reason with APCLAB_STATUS_MALFORMED_PROGRAM",
            "apclab_malformed",
            &programs,
            "Malformation",
            malformations(),
        )?,
        enumeration(
            "Why a program is refused: apclab_load_reply.reason with APCLAB_STATUS_REFUSED",
            "apclab_reason",
            &rules,
            "Reason",
            Reason::ALL
                .map(|reason| (variant(&reason), reason as i64))
                .into(),
        )?,
        enumeration(
            "How a run ended",
            "apclab_ended",
            &messages,
            "Ended",
            [Ended::Complete, Ended::Deadline]
                .map(|ended| (variant(&ended), ended as i64))
                .into(),
        )?,
        enumeration(
            "What a trace record says",
            "apclab_trace_kind",
            &traces,
            "Kind",
            Kind::ALL.map(|kind| (variant(&kind), kind as i64)).into(),
        )?,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_that_is_not_listed_is_noticed() {
        let declared = docs::read("pub const ONE: u32 = 1;\npub const TWO: u32 = 2;\n");
        let values = vec![("ONE", Some(1))];
        let made = group("", "", Style::Decimal, &declared, None, values);
        let error = format!("{:#}", made.err().expect("TWO is not listed"));
        assert!(error.contains("TWO"), "{error}");
    }

    #[test]
    fn a_variant_that_is_not_listed_is_noticed() {
        let declared = docs::read("pub enum K {\n    /// A.\n    One = 1,\n    Two = 2,\n}\n");
        let made = enumeration("", "k", &declared, "K", vec![("One".to_owned(), 1)]);
        let error = format!("{:#}", made.err().expect("Two is not listed"));
        assert!(error.contains("Two"), "{error}");
    }

    #[test]
    fn numbers_are_written_as_c_has_them() {
        assert_eq!(screaming("AllApcsDisabled"), "ALL_APCS_DISABLED");
        assert_eq!(
            Style::Status
                .write(status::REFUSED.into())
                .expect("32 bits"),
            "((int32_t)0xA0AC0002)"
        );
    }
}
