//! One program on model and host.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use apclab_client::exploration::{Profile, Unexplored, explore};
use apclab_client::schedules::Schedules;
use apclab_client::{HostTarget, RunOptions, RunOutcome, Target};
use apclab_host::Options;
use apclab_protocol::build::ProgramBuf;

/// Schedules by chance that are tried at a time, of either kind; and iterations without any.
const BATCH: u32 = 4;
/// Which part of the schedules is tried also when all has been seen.
const LEAST: u32 = 16;

/// How host and model compare.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Agreement {
    /// The same outcomes, so many of them, and the same answer to the question whether it can hang.
    Same { outcomes: usize, hangs: bool },
    /// Not every schedule was tried; no outcome is the host's alone.
    Within,
    /// It is not for both to run, or too large.
    NotRun,
}

/// What a program may do by the model: its outcomes, and whether it may hang.
pub(super) struct Allowed {
    pub(super) outcomes: BTreeSet<Vec<i64>>,
    hangs: bool,
}

/// Asks the model, unless the program is not for it to run, or has more states.
pub(super) fn allowed(program: &ProgramBuf, states: u64) -> Result<Option<Allowed>, String> {
    let model = match explore(program, Profile::Nt52, &[]) {
        Ok(found) if found.states > states => return Ok(None),
        Ok(found) => found,
        Err(Unexplored::Refused(_)) => return Ok(None),
        Err(Unexplored::Failed(error)) => return Err(error.to_string()),
    };
    if !model.bug_checks.is_empty() {
        return Err(format!("the model has bug checks: {:?}", model.bug_checks));
    }
    let outcomes = model.outcomes.into_iter();
    Ok(Some(Allowed {
        outcomes: outcomes.map(|(outcome, _)| outcome).collect(),
        hangs: model.deadlocks > 0,
    }))
}

/// What the host was seen to do with a program.
#[derive(Default)]
struct Seen {
    outcomes: BTreeSet<Vec<i64>>,
    hangs: bool,
    /// These were all schedules.
    complete: bool,
}

impl Seen {
    fn all_of(&self, allowed: &Allowed) -> bool {
        self.outcomes == allowed.outcomes && self.hangs == allowed.hangs
    }
}

/// Runs a program on the host. It may show only what is allowed.
fn run(
    host: &mut HostTarget,
    program: &ProgramBuf,
    iterations: u32,
    allowed: &Allowed,
) -> Result<Seen, String> {
    let options = RunOptions {
        iterations,
        deadline: Duration::from_mins(1),
        // The clock of lanes that run at the same time is a real one, and the machine may be busy.
        wait_deadline: Duration::from_secs(2),
        ..RunOptions::default()
    };
    let result = match host
        .run(program, &options)
        .map_err(|error| error.to_string())?
    {
        RunOutcome::Ran(result) => result,
        other => return Err(format!("the host does not run it: {other:?}")),
    };
    let scheduled = result.schedules.unwrap_or_default();
    let outcomes = result.histogram.into_iter();
    let seen = Seen {
        outcomes: outcomes.map(|(outcome, _)| outcome).collect(),
        hangs: result.timed_out > 0 || result.deadlocks > 0,
        complete: scheduled.complete,
    };
    let with = |schedule: Option<&Schedules>| match schedule {
        Some(schedule) => format!("with schedule {schedule}"),
        None => "with lanes that run at the same time".to_owned(),
    };
    if let Some(outcome) = seen.outcomes.difference(&allowed.outcomes).next() {
        let with = with(scheduled.first.get(outcome));
        return Err(format!("the host alone has {outcome:?}, {with}"));
    }
    if seen.hangs && !allowed.hangs {
        let with = with(scheduled.deadlock.as_ref());
        return Err(format!("the host alone hangs, {with}"));
    }
    Ok(seen)
}

/// Whether all was seen that is allowed.
fn judge(seen: &Seen, allowed: &Allowed) -> Result<Agreement, String> {
    if seen.all_of(allowed) {
        let (outcomes, hangs) = (seen.outcomes.len(), seen.hangs);
        return Ok(Agreement::Same { outcomes, hangs });
    }
    if !seen.complete {
        return Ok(Agreement::Within);
    }
    let only_model: Vec<_> = allowed.outcomes.difference(&seen.outcomes).collect();
    Err(format!(
        "the model alone has {only_model:?}; the host hangs: {}, the model: {}",
        seen.hangs, allowed.hangs
    ))
}

/// Runs a program on both, with every schedule.
pub(super) fn compare(
    host: &mut HostTarget,
    program: &ProgramBuf,
    states: u64,
) -> Result<Agreement, String> {
    match allowed(program, states)? {
        Some(allowed) => judge(&run(host, program, 1, &allowed)?, &allowed),
        None => Ok(Agreement::NotRun),
    }
}

/// The host with schedules by chance, and with lanes that run at the same time.
pub(super) struct Sampler {
    /// There between two batches.
    host: Option<HostTarget>,
    free: HostTarget,
}

impl Sampler {
    /// A host with the driver in that file.
    pub(super) fn new(driver: &Path) -> Self {
        let host = || HostTarget::with_options(Options::new(driver));
        Self {
            host: Some(host()),
            free: host(),
        }
    }

    /// Runs a program until all has been seen that is allowed: with so many schedules at the most, and some
    /// of them at the least. What cannot hang runs with lanes at the same time too: what hangs would take as
    /// long as a wait deadline.
    pub(super) fn compare(
        &mut self,
        program: &ProgramBuf,
        allowed: &Allowed,
        limit: u32,
    ) -> Result<Agreement, String> {
        let mut seen = Seen::default();
        let mut tried = 0;
        while tried < limit / LEAST || (tried < limit && !seen.all_of(allowed)) {
            let first = tried.into();
            let depth = 2 + tried % 3;
            for schedules in [
                Schedules::Random(first),
                Schedules::Pct { seed: first, depth },
            ] {
                let more = self.batch(schedules, program, allowed)?;
                seen.outcomes.extend(more.outcomes);
                seen.hangs |= more.hangs;
                tried += BATCH;
            }
        }
        if !allowed.hangs {
            run(&mut self.free, program, BATCH, allowed)?;
        }
        judge(&seen, allowed)
    }

    fn batch(
        &mut self,
        schedules: Schedules,
        program: &ProgramBuf,
        allowed: &Allowed,
    ) -> Result<Seen, String> {
        let host = self.host.take().expect("it was given back");
        let host = self.host.insert(host.with_schedules(schedules));
        run(host, program, BATCH, allowed)
    }

    /// Ends the machine.
    pub(super) fn finish(self) {
        for mut host in [self.host.expect("it was given back"), self.free] {
            host.finish().expect("nothing is left behind");
        }
    }
}
