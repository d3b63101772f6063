//! One step as text.

use apclab_protocol::program::LockKind;
use apclab_protocol::step::{Mode, Register, Step};

use crate::names::name_at;
use crate::test::Test;
use crate::words::mode_word;

/// The time-out of a `try`, where it has one.
fn time(milliseconds: u32) -> String {
    match milliseconds {
        0 => String::new(),
        _ => format!(" for {milliseconds}ms"),
    }
}

/// How a lock is acquired, where the text says that: a lock that cannot be shared has one mode only.
fn mode_of(test: &Test, lock: u8, mode: Mode) -> String {
    let kind = test.program.locks.get(usize::from(lock)).copied();
    if kind.is_some_and(LockKind::shares) {
        format!(" {}", mode_word(mode))
    } else {
        String::new()
    }
}

fn operand(from: Option<Register>, constant: i64) -> String {
    match from {
        None => constant.to_string(),
        Some(register) if constant == 0 => format!("r{register}"),
        Some(register) => {
            let sign = if constant < 0 { '-' } else { '+' };
            format!("r{register} {sign} {}", constant.unsigned_abs())
        }
    }
}

/// A step as the language writes it.
pub(super) fn step_text(step: Step, test: &Test) -> String {
    let names = &test.names;
    let apc = |index: u8| name_at(&names.apcs, index.into());
    let event = |index: u8| name_at(&names.events, index.into());
    let variable = |index: u8| name_at(&names.variables, index.into());
    let lane = |index: u8| name_at(&names.lanes, index.into());
    let l = step
        .lock()
        .map_or(String::new(), |lock| name_at(&names.locks, lock.into()));
    match step {
        Step::EnterCritical => "enter critical".to_owned(),
        Step::LeaveCritical => "leave critical".to_owned(),
        Step::EnterGuarded => "enter guarded".to_owned(),
        Step::LeaveGuarded => "leave guarded".to_owned(),
        Step::RaiseApc => "raise apc".to_owned(),
        Step::Lower => "lower".to_owned(),
        Step::Barrier => "barrier".to_owned(),
        Step::End => "end".to_owned(),
        Step::ApcsDisabled { to } => format!("apcs-disabled -> r{to}"),
        Step::AllApcsDisabled { to } => format!("all-apcs-disabled -> r{to}"),
        Step::Irql { to } => format!("irql -> r{to}"),
        Step::Queue { apc: a, to: None } => format!("queue {}", apc(a)),
        Step::Queue {
            apc: a,
            to: Some(r),
        } => format!("queue {} -> r{r}", apc(a)),
        Step::Ran { apc: a, to } => format!("ran {} -> r{to}", apc(a)),
        Step::Set { event: e } => format!("set {}", event(e)),
        Step::Reset { event: e } => format!("reset {}", event(e)),
        Step::Wait { event: e } => format!("wait {}", event(e)),
        Step::WaitFor {
            event: e,
            to,
            milliseconds,
        } => {
            format!("wait {} for {milliseconds}ms -> r{to}", event(e))
        }
        Step::Acquire { lock, mode } => format!("acquire {l}{}", mode_of(test, lock, mode)),
        Step::Release { .. } => format!("release {l}"),
        Step::Try {
            lock,
            mode,
            to,
            milliseconds,
            length: _,
        } => {
            format!(
                "try {l}{}{} -> r{to}",
                mode_of(test, lock, mode),
                time(milliseconds)
            )
        }
        Step::EnterAcquire { lock: _, mode } => format!("enter-acquire {l} {}", mode_word(mode)),
        Step::ReleaseLeave { .. } => format!("release-leave {l}"),
        Step::Convert { .. } => format!("convert {l}"),
        Step::Reinitialize { .. } => format!("reinitialize {l}"),
        Step::AcquiredExclusive { to, .. } => format!("acquired-exclusive {l} -> r{to}"),
        Step::AcquiredShared { to, .. } => format!("acquired-shared {l} -> r{to}"),
        Step::ExclusiveWaiters { to, .. } => format!("exclusive-waiters {l} -> r{to}"),
        Step::SharedWaiters { to, .. } => format!("shared-waiters {l} -> r{to}"),
        Step::HandOver { .. } => format!("hand-over {l}"),
        Step::ReleaseFor {
            lock: _,
            lane: of,
            to,
        } => format!("release {l} of {} -> r{to}", lane(of)),
        Step::Repeat { count, length: _ } => format!("repeat {count}"),
        Step::Store {
            variable: v,
            from,
            constant,
        } => {
            format!("store {} {}", variable(v), operand(from, constant))
        }
        Step::Load { variable: v, to } => format!("load {} -> r{to}", variable(v)),
    }
}
