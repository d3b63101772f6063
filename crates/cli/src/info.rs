//! `apclab info`: what the target is.

mod surroundings;

use apclab_client::model::Mode;
use apclab_client::{CallContext, Info, RunOptions, RunOutcome, Target, TargetError};
use apclab_protocol::build::ProgramBuf;
use apclab_protocol::message::{Context, routines};
use apclab_protocol::step::Step;
use serde::Serialize;

use crate::args::{Format, InfoArgs};
use crate::failure::{self, Failure};
use crate::out::Out;
use crate::report::{ContextReport, Document, TargetReport};
use crate::target;

/// The body of `info`.
#[derive(Serialize)]
struct InfoBody {
    /// The context in which a thread that the target made begins.
    baseline: Option<ContextReport>,
    /// The contexts in which the driver is called in threads of user mode.
    calls: Vec<CallReport>,
}

/// One of these contexts.
#[derive(Serialize)]
struct CallReport {
    /// The kind of handle, where there are several.
    handle: Option<&'static str>,
    context: ContextReport,
}

/// Runs the command; gives the exit code.
///
/// # Errors
/// [`Failure`]: the target cannot be used, or left something behind.
pub(crate) fn run(args: &InfoArgs, out: &mut Out) -> Result<u8, Failure> {
    let mut target = target::open(&args.target, Mode::Exhaustive)?;
    let info = target.info()?;
    let measured = measure_baseline(target.as_mut());
    let called = match &measured {
        Ok(_) => target.call_contexts(),
        Err(_) => Ok(Vec::new()),
    };
    let ended = target.finish();
    let baseline = measured.as_ref().ok().copied().flatten();
    let calls = called.as_ref().map_or(&[][..], Vec::as_slice);
    let ended = measured
        .map(drop)
        .and(called.as_ref().map(drop).map_err(Clone::clone))
        .and(ended);
    match args.format {
        Format::Text => text(target.name(), &info, baseline, calls, out),
        Format::Json => {
            let report = TargetReport::of(target.name(), &info);
            let baseline = baseline.map(ContextReport::of);
            let call = |call: &CallContext| CallReport {
                handle: call.handle,
                context: ContextReport::of(call.context),
            };
            let body = InfoBody {
                baseline,
                calls: calls.iter().map(call).collect(),
            };
            let error = ended.as_ref().err().map(ToString::to_string);
            let code = if ended.is_ok() {
                failure::OK
            } else {
                failure::FAILED
            };
            out.json(&Document::new("info", report, code, error, body));
        }
    }
    ended?;
    Ok(failure::OK)
}

/// The context in which a thread that the target makes begins: of the lane of a tiny program.
pub(crate) fn measure_baseline(target: &mut dyn Target) -> Result<Option<Context>, TargetError> {
    let program = ProgramBuf {
        lanes: vec![vec![Step::Irql { to: 0 }]],
        ..ProgramBuf::default()
    };
    let options = RunOptions {
        iterations: 1,
        ..RunOptions::default()
    };
    Ok(match target.run(&program, &options)? {
        RunOutcome::Ran(result) => result.baseline.first().copied(),
        RunOutcome::BaselineDisabled(baseline) => baseline.first().copied(),
        RunOutcome::Refused(_) | RunOutcome::Malformed(_) | RunOutcome::NoSpecialUserApcs => None,
    })
}

fn text(name: &str, info: &Info, baseline: Option<Context>, calls: &[CallContext], out: &mut Out) {
    let mut line = |key: &str, value: &str| out.line(&format!("{key:<22}{value}"));
    line("target", &format!("{name}: {}", info.description));
    if let Some(driver) = &info.driver {
        if let Some(path) = &driver.path {
            line("driver", &path.display().to_string());
        }
        line("driver version", &version(driver.version));
        line("kernel", &version(driver.kernel));
        line("processors", &driver.processors.to_string());
        line("open sessions", &driver.sessions.to_string());
        line("dispatched with", &context(driver.dispatch));
    }
    let found = |bit| match info.apc_routines & bit {
        0 => "not found",
        _ => "found",
    };
    line("KeInitializeApc", found(routines::INITIALIZE_APC));
    line("KeInsertQueueApc", found(routines::INSERT_QUEUE_APC));
    line("push locks", found(routines::PUSH_LOCKS));
    let ends = match info.apc_routines & routines::DEADLOCKS_END {
        0 => "nothing ends them",
        _ => "end",
    };
    line("deadlocks", ends);
    let unknown = || "not known".to_owned();
    line(
        "threads begin with",
        &baseline.map_or_else(unknown, context),
    );
    for call in calls {
        let through = call
            .handle
            .map_or_else(String::new, |handle| format!(", through {handle}"));
        let said = format!("{}{through}", context(call.context));
        line("calls begin with", &said);
    }
    for (key, value) in info.surroundings.iter().flat_map(surroundings::lines) {
        line(key, &value);
    }
    let limits = &info.limits;
    line(
        "limits",
        &format!(
            "{} lanes of {} steps, {} registers, {} variables, {} events, {} APCs, {} regions \
             deep, {} observed values, {} outcomes, {} trace records a lane",
            limits.lanes,
            limits.steps_per_lane,
            limits.registers,
            limits.variables,
            limits.events,
            limits.apcs,
            limits.nesting,
            limits.observed,
            limits.outcomes,
            limits.trace_records_per_lane
        ),
    );
}

pub(crate) fn version(parts: [u32; 3]) -> String {
    parts.map(|part| part.to_string()).join(".")
}

/// A context in words.
fn context(context: Context) -> String {
    let answer = |yes| if yes { "TRUE" } else { "FALSE" };
    format!(
        "KeAreApcsDisabled {}, KeAreAllApcsDisabled {}, IRQL {}",
        answer(context.apcs_disabled),
        answer(context.all_apcs_disabled),
        context.irql
    )
}
