//! One step as text.

use apclab_protocol::program::LockKind;
use apclab_protocol::step::{Mode, Register, Step, WaitMode};

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

fn is_section(test: &Test, lock: u8) -> bool {
    test.program.locks.get(usize::from(lock)) == Some(&LockKind::CriticalSection)
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

/// The words of a wait that more than the object may end.
const fn wait_words(mode: WaitMode) -> &'static str {
    match mode {
        WaitMode::User => "user",
        WaitMode::KernelAlertable => "alertable",
        WaitMode::UserAlertable => "user alertable",
    }
}

/// A register for a result that nobody needs to want.
fn wanted(to: Option<Register>) -> String {
    to.map_or(String::new(), |to| format!(" -> r{to}"))
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
        Step::Queue { apc: a, to } => format!("queue {}{}", apc(a), wanted(to)),
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
        Step::WaitAs {
            event: e,
            to,
            milliseconds,
            mode,
        } => {
            let mode = wait_words(mode);
            format!("wait {} {mode} for {milliseconds}ms -> r{to}", event(e))
        }
        Step::Call { length: _ } => "call".to_owned(),
        Step::Sleep {
            milliseconds,
            alertable,
            to,
        } => {
            let alertable = if alertable { " alertable" } else { "" };
            format!("sleep {milliseconds}ms{alertable} -> r{to}")
        }
        Step::Start { apc: a } => format!("start {}", apc(a)),
        Step::Suspend { lane: of, to } => format!("suspend {}{}", lane(of), wanted(to)),
        Step::Resume { lane: of, to } => format!("resume {}{}", lane(of), wanted(to)),
        Step::Acquire { lock, .. } if is_section(test, lock) => format!("enter {l}"),
        Step::Release { lock } if is_section(test, lock) => format!("leave {l}"),
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
