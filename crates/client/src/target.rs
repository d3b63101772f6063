//! What every target can do, what a run is asked for and what it gives.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use apclab_protocol::build::ProgramBuf;
use apclab_protocol::message::{Context, Limits};
use apclab_protocol::program::{Malformed, flags};
use apclab_protocol::step::Step;
use apclab_protocol::trace::Record;
use apclab_protocol::verify::Refusal;

use crate::schedules::Schedules;
use crate::{Surroundings, TargetError};

/// Something that runs programs.
pub trait Target {
    /// The word by which the command line names it.
    fn name(&self) -> &'static str;

    /// What the target is.
    ///
    /// # Errors
    /// [`TargetError`]: the target did not answer.
    fn info(&mut self) -> Result<Info, TargetError>;

    /// Runs a program, or says why it will not.
    ///
    /// # Errors
    /// [`TargetError`]: the target gave no answer. A program that is refused is no error.
    fn run(
        &mut self,
        program: &ProgramBuf,
        options: &RunOptions,
    ) -> Result<RunOutcome, TargetError>;

    /// In which contexts the driver is called in a thread of user mode, each with the kind of handle, where
    /// there are several. A tiny program with a caller lane finds out.
    ///
    /// # Errors
    /// [`TargetError`]: the target gave no answer.
    fn call_contexts(&mut self) -> Result<Vec<CallContext>, TargetError> {
        let outcome = self.run(&one_call(), &once())?;
        Ok(CallContext::of(None, &outcome).into_iter().collect())
    }

    /// Ends the use of the target and says whether it left something behind.
    ///
    /// # Errors
    /// [`TargetError::Leaks`], or why the target could not be ended in order.
    fn finish(&mut self) -> Result<(), TargetError> {
        Ok(())
    }

    /// Runs a program as [`Target::run`] does, with these schedules.
    ///
    /// # Errors
    /// As [`Target::run`]; [`TargetError::Failed`] from a target whose lanes nobody schedules.
    fn run_scheduled(
        &mut self,
        _program: &ProgramBuf,
        _options: &RunOptions,
        _schedules: &Schedules,
    ) -> Result<RunOutcome, TargetError> {
        Err(TargetError::Failed(format!(
            "the lanes of the target {} cannot be scheduled",
            self.name()
        )))
    }
}

/// A context in which the driver is called in a thread of user mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallContext {
    /// The kind of handle that the call was made through, where there are several.
    pub handle: Option<&'static str>,
    /// What the call found.
    pub context: Context,
}

impl CallContext {
    /// What a run of [`one_call`] found.
    pub(crate) fn of(handle: Option<&'static str>, outcome: &RunOutcome) -> Option<Self> {
        let RunOutcome::Ran(result) = outcome else {
            return None;
        };
        let context = *result.baseline.first()?;
        Some(Self { handle, context })
    }
}

/// A caller lane with one call.
pub(crate) fn one_call() -> ProgramBuf {
    let call = Step::Call { length: 1 };
    ProgramBuf {
        lanes: vec![vec![call, Step::Irql { to: 0 }, Step::End]],
        callers: vec![true],
        ..ProgramBuf::default()
    }
}

/// Options of a single iteration.
pub(crate) fn once() -> RunOptions {
    RunOptions {
        iterations: 1,
        ..RunOptions::default()
    }
}

/// What a target is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// The target in words.
    pub description: String,
    /// The driver, for targets that have one.
    pub driver: Option<DriverInfo>,
    /// Which optional routines there are, bits of [`apclab_protocol::message::routines`].
    pub apc_routines: u32,
    /// What a program may ask for.
    pub limits: Limits,
    /// What results depend on besides; `None` where nothing else bears on them.
    pub surroundings: Option<Surroundings>,
}

/// What a driver answers about itself and the kernel beneath it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DriverInfo {
    /// The driver's file, where it is known.
    pub path: Option<PathBuf>,
    /// Its version: major, minor, patch.
    pub version: [u32; 3],
    /// The kernel's version: major, minor, build.
    pub kernel: [u32; 3],
    /// Active processors.
    pub processors: u32,
    /// Sessions open on the device.
    pub sessions: u32,
    /// Predicates and IRQL in which the driver was called with the question.
    pub dispatch: Context,
}

/// What a run is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunOptions {
    /// How many iterations. The model as [`crate::model::Mode::Exhaustive`] ignores it.
    pub iterations: u32,
    /// When the run ends at the latest.
    pub deadline: Duration,
    /// When a wait inside an iteration gives up.
    pub wait_deadline: Duration,
    /// The iteration to trace, counted from 1.
    pub trace_iteration: Option<u32>,
    /// Seed of the target's choices, for targets that make them, and of the random delays.
    pub seed: u64,
    /// The longest random delay before a step, in microseconds, for targets whose lanes really run; 0
    /// for none.
    pub delay_us: u32,
    /// Whether waits for locks without a time-out are loops of tries.
    pub polled: bool,
    /// After how many deadlocks a run ends, on a target where each costs a machine; not when every
    /// schedule is to be tried.
    pub deadlocks: u32,
}

impl RunOptions {
    /// The program as these options want it: with its flag for waits by trying, or as it is.
    pub(crate) fn program<'p>(&self, program: &'p ProgramBuf) -> Cow<'p, ProgramBuf> {
        if self.polled {
            let mut program = program.clone();
            program.flags |= flags::POLLED;
            Cow::Owned(program)
        } else {
            Cow::Borrowed(program)
        }
    }
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            iterations: 1000,
            deadline: Duration::from_secs(30),
            wait_deadline: Duration::from_secs(1),
            trace_iteration: None,
            seed: 1,
            delay_us: 0,
            polled: false,
            deadlocks: 20,
        }
    }
}

/// How the target took a program.
#[allow(
    clippy::large_enum_variant,
    reason = "there are few of them, and nearly all ran"
)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunOutcome {
    /// It ran.
    Ran(RunResult),
    /// It breaks a rule, and none of it ran.
    Refused(Refusal),
    /// It queues APCs, and the threads that would run it begin with APCs disabled, as these
    /// contexts say: it cannot run here.
    BaselineDisabled(Vec<Context>),
    /// It queues special user APCs, and user mode has no routine for that: it cannot run here.
    NoSpecialUserApcs,
    /// Its bytes are no program.
    Malformed(Malformed),
}

/// What a run gave.
#[allow(
    clippy::struct_excessive_bools,
    reason = "each says one thing of a run, with a name"
)]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunResult {
    /// The outcomes in ascending order, each with how often it was seen.
    pub histogram: Vec<(Vec<i64>, u64)>,
    /// Whether these are all the outcomes that there can be, each counted once.
    pub exhaustive: bool,
    /// Iterations done, with those that timed out.
    pub iterations: u32,
    /// Whether the run ended at its deadline, with fewer iterations than asked for.
    pub cut_short: bool,
    /// Whether waits for locks without a time-out were loops of tries.
    pub polled: bool,
    /// Iterations that hit a wait's deadline; they are in no outcome.
    pub timed_out: u32,
    /// Iterations whose outcome found no place in the histogram.
    pub overflow: u32,
    /// Barriers at which a lane came so late that another had stopped spinning: how often the lanes
    /// did not really overlap.
    pub missed_overlaps: u32,
    /// Time of the run.
    pub elapsed: Duration,
    /// Predicates and IRQL of each lane when its thread began.
    pub baseline: Vec<Context>,
    /// On the model: states in which every lane waits for ever. On the host: iterations that ended in a
    /// deadlock; they are among the iterations, and in no outcome.
    pub deadlocks: u64,
    /// The first deadlock of the host: who waits for what, and who holds it.
    pub deadlock: Option<String>,
    /// Whether the run ended after [`RunOptions::deadlocks`] of them.
    pub enough_deadlocks: bool,
    /// Bug checks that the model found on some path.
    pub bug_checks: Vec<String>,
    /// The trace that was asked for, in the order of its sequence numbers.
    pub trace: Vec<Record>,
    /// Trace records lost for want of room.
    pub trace_lost: u32,
    /// Ticks of the trace's clock in a second.
    pub trace_frequency: u64,
    /// What is known of the schedules, for a target that makes them.
    pub schedules: Option<Scheduled>,
}

/// Which schedules a run had.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scheduled {
    /// Whether these were all that there are.
    pub complete: bool,
    /// For each outcome the one schedule that showed it first: one iteration with it does so again.
    pub first: BTreeMap<Vec<i64>, Schedules>,
    /// The first schedule that led to a deadlock, or to an iteration that timed out.
    pub deadlock: Option<Schedules>,
    /// Whether every schedule was to be tried.
    pub every: bool,
}
