//! The target.

use std::os::windows::io::OwnedHandle;

use apclab_protocol::build::ProgramBuf;
use apclab_protocol::ioctl::{self, INTERFACE_GUID, WIN32_PATH};
use windows_sys::core::GUID;

use super::problem;
use crate::session::Session;
use crate::target::{
    CallContext, DriverInfo, Info, RunOptions, RunOutcome, Target, once, one_call,
};
use crate::windows::crew::threads::SpecialUserApcs;
use crate::windows::crew::{Driver, Threads};
use crate::windows::handle::Handle;
use crate::windows::transfer::{Begun, Transfer};
use crate::windows::{Win32Error, device_sets, facts};
use crate::{TargetError, callers};

/// The driver that Windows has loaded, through one handle.
#[derive(Debug)]
pub struct DeviceTarget {
    /// A handle with a session; none after a request that had to be given up, whose session may be
    /// busy for ever.
    session: Option<Session<Handle>>,
    /// What the handle is to.
    path: String,
}

impl DeviceTarget {
    /// Opens the device by its interface, and where there is none by its name.
    ///
    /// # Errors
    /// [`TargetError::NotAvailable`], with what to do about it; [`TargetError::Version`] when the
    /// driver is of another version.
    pub fn open() -> Result<Self, TargetError> {
        let (data1, data2, data3, data4) = INTERFACE_GUID;
        let class = GUID {
            data1,
            data2,
            data3,
            data4,
        };
        // A system that does not know of interfaces may have the name all the same.
        let interfaces = device_sets::interfaces(&class).unwrap_or_default();
        let path = interfaces
            .into_iter()
            .next()
            .unwrap_or_else(|| WIN32_PATH.to_owned());
        Ok(Self {
            session: Some(connect(&path)?),
            path,
        })
    }

    fn session(&mut self) -> Result<&mut Session<Handle>, TargetError> {
        let session = match self.session.take() {
            Some(session) => session,
            None => connect(&self.path)?,
        };
        Ok(self.session.insert(session))
    }

    /// Gives a handle up of which nothing more can be asked.
    fn settle<T>(&mut self, answer: Result<T, TargetError>) -> Result<T, TargetError> {
        if answer.as_ref().is_err_and(TargetError::ends_the_machine) {
            self.session = None;
        }
        answer
    }
}

fn connect(path: &str) -> Result<Session<Handle>, TargetError> {
    let session = Session::new(Handle::open(path).map_err(no_device)?);
    // A driver of another version is told here, ahead of everything else.
    session.query()?;
    Ok(session)
}

/// Runs a program with caller lanes, with a thread of this process for each.
fn run_callers(
    session: &mut Session<Handle>,
    driver: impl Driver,
    program: &ProgramBuf,
    options: &RunOptions,
) -> Result<RunOutcome, TargetError> {
    if let Some(refused) = session.load(program)? {
        return Ok(refused);
    }
    let stop = session.device().stop();
    let mut threads = Threads::new(program, session.id(), driver, stop)?;
    session.run_callers(program, options, &mut threads)
}

/// Sends the calls of lanes through another handle than everything else.
struct ByTheOther {
    file: OwnedHandle,
    other: OwnedHandle,
}

impl Driver for ByTheOther {
    fn begin(&self, transfer: &mut Transfer, code: u32) -> Begun {
        match code {
            ioctl::CALL => self.other.begin(transfer, code),
            _ => self.file.begin(transfer, code),
        }
    }

    fn cancel(&self) {
        self.file.cancel();
        self.other.cancel();
    }
}

fn no_device(error: Win32Error) -> TargetError {
    // When Windows does not say what devices there are, the error itself is all there is to say.
    let devices = device_sets::ours().unwrap_or_default();
    problem::open(error.0, &devices, facts::elevated(), &error.text())
}

impl Target for DeviceTarget {
    fn name(&self) -> &'static str {
        "device"
    }

    fn info(&mut self) -> Result<Info, TargetError> {
        let answer = self.session().and_then(|session| session.query());
        let reply = self.settle(answer)?;
        Ok(Info {
            description: "the driver that Windows has loaded".to_owned(),
            driver: Some(DriverInfo {
                path: None,
                version: reply.driver,
                kernel: reply.kernel,
                processors: reply.processors,
                sessions: reply.sessions,
                dispatch: reply.dispatch,
            }),
            apc_routines: reply.routines,
            limits: reply.limits,
            surroundings: Some(facts::surroundings(format!("overlapped, to {}", self.path))),
        })
    }

    fn call_contexts(&mut self) -> Result<Vec<CallContext>, TargetError> {
        let (program, options) = (one_call(), once());
        let overlapped = self.run(&program, &options)?;
        let path = self.path.clone();
        let answer = self.session().and_then(|session| {
            let other = Handle::open_synchronous(&path).map_err(no_device)?;
            let calls = ByTheOther {
                file: session.device().duplicate()?,
                other,
            };
            run_callers(session, calls, &program, &options)
        });
        let synchronous = self.settle(answer)?;
        let found = [
            CallContext::of(Some("an overlapped handle"), &overlapped),
            CallContext::of(Some("a synchronous handle"), &synchronous),
        ];
        Ok(found.into_iter().flatten().collect())
    }

    fn run(
        &mut self,
        program: &ProgramBuf,
        options: &RunOptions,
    ) -> Result<RunOutcome, TargetError> {
        let program = &*options.program(program);
        if callers::queues_special(program) && SpecialUserApcs::find().is_none() {
            return Ok(RunOutcome::NoSpecialUserApcs);
        }
        let answer = self.session().and_then(|session| {
            if callers::has_callers(program) {
                let file = session.device().duplicate()?;
                run_callers(session, file, program, options)
            } else {
                session.run(program, options)
            }
        });
        self.settle(answer)
    }
}
