//! The real driver in a simulated machine, asked through its IOCTLs and nothing else.

mod crew;
pub(crate) mod machine;

use std::path::Path;
use std::sync::Arc;

use apclab_host::{Host, HostError, Options, Schedule, StartError};
use apclab_model::kernel::Baseline;
use apclab_protocol::build::ProgramBuf;
use apclab_protocol::program::{LockKind, flags};

use self::machine::Machine;
use crate::error::Deadlock;
use crate::locate;
use crate::schedules::{self, Schedules};
use crate::session::Session;
use crate::target::{DriverInfo, Info, RunOptions, RunOutcome, Target};
use crate::{Surroundings, TargetError, callers, deadlocks};

/// The driver in a simulated machine. The machine starts with the first question and ends with
/// [`Target::finish`]; after a bug check the next question starts a new one.
pub struct HostTarget {
    options: Options,
    schedules: Option<Schedules>,
    machine: Option<Machine>,
}

impl HostTarget {
    /// A machine for the driver in `driver`, or where [`locate::driver`] finds it.
    ///
    /// # Errors
    /// [`TargetError::NotAvailable`]: the driver has not been built, or this is no system for it.
    pub fn new(driver: Option<&Path>) -> Result<Self, TargetError> {
        if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
            return Err(start_error(StartError::Unsupported));
        }
        Ok(Self::with_options(Options::new(locate::driver(driver)?)))
    }

    /// A machine with these options.
    pub const fn with_options(options: Options) -> Self {
        Self {
            options,
            schedules: None,
            machine: None,
        }
    }

    /// Whether the kernel offers `KeInitializeApc` and `KeInsertQueueApc`; it does by default.
    #[must_use]
    pub const fn with_apc_routines(mut self, offered: bool) -> Self {
        self.options.kernel_apc_routines = offered;
        self
    }

    /// Whether the kernel offers the routines of push locks; it does by default.
    #[must_use]
    pub const fn with_push_locks(mut self, offered: bool) -> Self {
        self.options.push_locks = offered;
        self
    }

    /// Whether user mode offers `QueueUserAPC2`; it does by default.
    #[must_use]
    pub const fn with_special_user_apcs(mut self, offered: bool) -> Self {
        self.options.special_user_apcs = offered;
        self
    }

    /// The counters that the driver's threads begin with; zeros by default.
    #[must_use]
    pub const fn with_baseline(mut self, baseline: Baseline) -> Self {
        self.options.baseline = baseline;
        self
    }

    /// How the threads of the machine take turns; all run at the same time by default.
    #[must_use]
    pub fn with_schedules(mut self, schedules: Schedules) -> Self {
        self.schedules = Some(schedules);
        self
    }

    /// What a machine is started with.
    pub const fn options(&self) -> &Options {
        &self.options
    }

    /// Whether the program needs special user APCs that the machine does not have.
    fn lacks_special(&self, program: &ProgramBuf) -> bool {
        !self.options.special_user_apcs && callers::queues_special(program)
    }

    /// A machine that is fit for the schedules of this program.
    pub(crate) fn scheduled(&mut self, program: &ProgramBuf) -> Result<&mut Machine, TargetError> {
        let short = schedules::longest_short_time_out(program);
        let unfit = self.options.short_timeout != short || self.options.schedule == Schedule::Free;
        if unfit {
            self.finish()?;
            self.options.short_timeout = short;
            self.options.schedule = Schedule::Replay(Vec::new());
        }
        self.machine()
    }

    /// A machine whose threads run at the same time.
    fn free(&mut self) -> Result<&mut Machine, TargetError> {
        if self.options.schedule != Schedule::Free {
            self.finish()?;
            self.options.schedule = Schedule::Free;
        }
        self.machine()
    }

    /// The running machine, or a new one.
    pub(crate) fn machine(&mut self) -> Result<&mut Machine, TargetError> {
        let machine = match self.machine.take() {
            Some(machine) => machine,
            None => self.start()?,
        };
        Ok(self.machine.insert(machine))
    }

    fn start(&self) -> Result<Machine, TargetError> {
        let host = Host::start(self.options.clone()).map_err(start_error)?;
        let session = Session::new(Arc::new(host.open().map_err(host_error)?));
        // A driver of another version is told here, ahead of everything else.
        session.query()?;
        Ok(Machine { session, host })
    }

    /// Gives a stopped machine up, so that the next question starts another.
    pub(crate) fn settle<T>(&mut self, answer: Result<T, TargetError>) -> Result<T, TargetError> {
        if answer.as_ref().is_err_and(TargetError::ends_the_machine) {
            self.machine = None;
        }
        answer
    }
}

impl Target for HostTarget {
    fn name(&self) -> &'static str {
        "host"
    }

    fn info(&mut self) -> Result<Info, TargetError> {
        let answer = self.machine().and_then(|machine| machine.session.query());
        let reply = self.settle(answer)?;
        Ok(Info {
            description: "the real driver in a simulated machine".to_owned(),
            driver: Some(DriverInfo {
                path: Some(self.options.driver.clone()),
                version: reply.driver,
                kernel: reply.kernel,
                processors: reply.processors,
                sessions: reply.sessions,
                dispatch: reply.dispatch,
            }),
            apc_routines: reply.routines,
            limits: reply.limits,
            surroundings: Some(Surroundings::of_the_processor("in this process")),
        })
    }

    fn run(
        &mut self,
        program: &ProgramBuf,
        options: &RunOptions,
    ) -> Result<RunOutcome, TargetError> {
        if let Some(schedules) = self.schedules.clone() {
            return self.run_scheduled(program, options, &schedules);
        }
        let program = &*options.program(program);
        if self.lacks_special(program) {
            return Ok(RunOutcome::NoSpecialUserApcs);
        }
        let free = self.free();
        let answer = match free {
            Ok(machine)
                if !may_deadlock(program) || (options.polled && !has_push_locks(program)) =>
            {
                machine::run(&machine.host, &mut machine.session, program, options)
            }
            Ok(_) => deadlocks::run(self, program, options),
            Err(error) => Err(error),
        };
        self.settle(answer)
    }

    fn run_scheduled(
        &mut self,
        program: &ProgramBuf,
        options: &RunOptions,
        schedules: &Schedules,
    ) -> Result<RunOutcome, TargetError> {
        let program = &*options.program(program);
        if self.lacks_special(program) {
            return Ok(RunOutcome::NoSpecialUserApcs);
        }
        let answer = schedules::run(self, schedules, program, options);
        self.settle(answer)
    }

    fn finish(&mut self) -> Result<(), TargetError> {
        let Some(Machine { session, host }) = self.machine.take() else {
            return Ok(());
        };
        machine::close(session)?;
        host.stop().map(drop).map_err(host_error)
    }
}

/// Whether there are locks whose waits cannot be polled.
fn has_push_locks(program: &ProgramBuf) -> bool {
    program.locks.contains(&LockKind::PushLock)
}

/// Whether the program says that its lanes may wait for each other for ever.
fn may_deadlock(program: &ProgramBuf) -> bool {
    program.flags & flags::MAY_DEADLOCK != 0
}

pub(crate) fn start_error(error: StartError) -> TargetError {
    match error {
        StartError::Unsupported => TargetError::NotAvailable(
            "the host is available on x86-64 Linux only: here there are --on model and, on Windows, \
             --on device"
                .to_owned(),
        ),
        StartError::Failed(error) => host_error(error),
        StartError::MissingImport { dll, function } => TargetError::NotAvailable(format!(
            "the driver imports {function} from {dll}, which the host does not have: driver and \
             host are not of one version"
        )),
        StartError::Read { .. } | StartError::Image { .. } => TargetError::NotAvailable(format!(
            "the driver cannot be loaded: {error}; build it again with `cargo xtask driver`"
        )),
        other => TargetError::Failed(format!("the driver did not start: {other}")),
    }
}

pub(crate) fn host_error(error: HostError) -> TargetError {
    match error {
        HostError::BugCheck(report) => TargetError::BugCheck(report.to_string()),
        HostError::NoAnswer(report) => TargetError::NoAnswer {
            within: report.waited,
            what: report.to_string(),
        },
        HostError::Deadlock(report) => TargetError::Deadlock(Box::new(Deadlock {
            sentence: report.sentence,
            choices: report.choices,
        })),
        HostError::Leaks(leaks) => {
            TargetError::Leaks(leaks.iter().map(ToString::to_string).collect())
        }
        other => TargetError::Failed(other.to_string()),
    }
}
