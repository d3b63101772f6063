//! The target.

use apclab_protocol::build::ProgramBuf;
use apclab_protocol::ioctl::{INTERFACE_GUID, WIN32_PATH};
use apclab_protocol::message::QueryReply;
use windows_sys::core::GUID;

use super::problem;
use crate::session::Session;
use crate::target::{DriverInfo, Info, RunOptions, RunOutcome, Target};
use crate::windows::handle::Handle;
use crate::windows::{Win32Error, device_sets, facts};
use crate::{Surroundings, TargetError};

/// The driver that Windows has loaded, through one handle.
#[derive(Debug)]
pub struct DeviceTarget {
    session: Session<Handle>,
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
        let handle = Handle::open(&path).map_err(no_device)?;
        let session = Session::new(handle);
        // A driver of another version is told here, ahead of everything else.
        session.query()?;
        Ok(Self { session, path })
    }

    /// What the driver says of itself.
    ///
    /// # Errors
    /// As [`Session::query`].
    pub fn query(&self) -> Result<QueryReply, TargetError> {
        self.session.query()
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
        let reply = self.session.query()?;
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
            surroundings: Some(self.surroundings()),
        })
    }

    fn run(
        &mut self,
        program: &ProgramBuf,
        options: &RunOptions,
    ) -> Result<RunOutcome, TargetError> {
        self.session.run(program, options)
    }
}

impl DeviceTarget {
    fn surroundings(&self) -> Surroundings {
        facts::surroundings(format!("overlapped, to {}", self.path))
    }
}
