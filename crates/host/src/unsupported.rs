//! The shell that other systems get: it compiles, and says that the host is unsupported.

use std::convert::Infallible;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use crate::{Choice, Completion, HostError, Options, Schedule, StartError, StopReport};

/// One simulated machine; there is none on this system.
#[derive(Debug)]
pub struct Host(Infallible);

/// An open handle; there is none on this system.
#[derive(Debug)]
pub struct File(Infallible);

/// An outstanding request; there is none on this system.
#[derive(Debug)]
pub struct Pending(Infallible);

/// A thread of user mode, as its own program sees it; there is none on this system.
#[derive(Debug)]
pub struct UserThread<'a>(Infallible, PhantomData<&'a ()>);

/// Names a thread of user mode; there is none on this system.
#[derive(Clone, Debug)]
pub struct UserRef(Infallible);

/// A thread of user mode that has been started; there is none on this system.
#[derive(Debug)]
pub struct UserHandle(Infallible);

/// An event of a program of user mode; there is none on this system.
#[derive(Clone, Debug)]
pub struct UserEvent(Infallible);

/// A critical section of user mode; there is none on this system.
#[derive(Clone, Debug)]
pub struct CriticalSection(Infallible);

#[allow(
    clippy::missing_errors_doc,
    clippy::unused_self,
    clippy::needless_pass_by_value,
    missing_docs
)]
impl Host {
    pub fn start(_options: Options) -> Result<Self, StartError> {
        Err(StartError::Unsupported)
    }

    pub fn open(&self) -> Result<File, HostError> {
        match self.0 {}
    }

    pub fn open_as(&self, _process: u64) -> Result<File, HostError> {
        match self.0 {}
    }

    pub fn log(&self) -> Vec<String> {
        match self.0 {}
    }

    pub fn fallible_calls(&self) -> u64 {
        match self.0 {}
    }

    pub fn failed_call(&self) -> Option<&'static str> {
        match self.0 {}
    }

    pub fn set_schedule(&self, _schedule: &Schedule) -> Result<(), HostError> {
        match self.0 {}
    }

    pub fn choices(&self) -> Result<Vec<Choice>, HostError> {
        match self.0 {}
    }

    pub fn spawn_user(
        &self,
        _file: &File,
        _name: &str,
        _program: impl FnOnce(&UserThread<'_>) + Send + 'static,
    ) -> Result<UserHandle, HostError> {
        match self.0 {}
    }

    pub fn resume(&self, _thread: &UserRef) -> Result<u32, HostError> {
        match self.0 {}
    }

    pub fn critical_section(&self) -> Result<CriticalSection, HostError> {
        match self.0 {}
    }

    pub fn surprise_remove(&mut self) -> Result<(), HostError> {
        match self.0 {}
    }

    pub fn stop(self) -> Result<StopReport, HostError> {
        match self.0 {}
    }
}

#[allow(
    clippy::missing_errors_doc,
    clippy::needless_pass_by_value,
    missing_docs
)]
impl File {
    pub fn ioctl(
        &self,
        _code: u32,
        _input: &[u8],
        _output: &mut [u8],
    ) -> Result<Completion, HostError> {
        match self.0 {}
    }

    pub fn ioctl_async(
        &self,
        _code: u32,
        _input: Vec<u8>,
        _output_length: usize,
    ) -> Result<Pending, HostError> {
        match self.0 {}
    }

    pub fn close(self) -> Result<(), HostError> {
        match self.0 {}
    }

    pub fn close_handle(&self) -> Result<(), HostError> {
        match self.0 {}
    }
}

#[allow(clippy::missing_errors_doc, missing_docs)]
impl Pending {
    pub fn done(&self) -> Result<Option<(Completion, Vec<u8>)>, HostError> {
        match self.0 {}
    }

    pub fn wait(&self, _timeout: Duration) -> Result<(Completion, Vec<u8>), HostError> {
        match self.0 {}
    }

    pub fn cancel(&self) -> Result<(), HostError> {
        match self.0 {}
    }
}

#[allow(clippy::missing_errors_doc, missing_docs)]
impl UserHandle {
    pub fn user_ref(&self) -> UserRef {
        match self.0 {}
    }

    pub fn resume(&self) -> Result<u32, HostError> {
        match self.0 {}
    }

    pub fn join(&self, _timeout: Duration) -> Result<(), HostError> {
        match self.0 {}
    }
}

#[allow(missing_docs)]
impl UserEvent {
    pub fn handle(&self) -> u64 {
        match self.0 {}
    }
}

#[allow(
    clippy::missing_errors_doc,
    clippy::needless_pass_by_value,
    missing_docs
)]
impl UserThread<'_> {
    pub fn user_ref(&self) -> UserRef {
        match self.0 {}
    }

    pub fn point(&self) -> Result<(), HostError> {
        match self.0 {}
    }

    pub fn spawn(
        &self,
        _name: &str,
        _program: impl FnOnce(&UserThread<'_>) + Send + 'static,
    ) -> Result<UserHandle, HostError> {
        match self.0 {}
    }

    pub fn join(&self, _other: &UserHandle, _timeout: Duration) -> Result<bool, HostError> {
        match self.0 {}
    }

    pub fn ioctl(
        &self,
        _file: &File,
        _code: u32,
        _input: &[u8],
        _output: &mut [u8],
    ) -> Result<Completion, HostError> {
        match self.0 {}
    }

    pub fn start_ioctl(
        &self,
        _file: &File,
        _code: u32,
        _input: &[u8],
        _output_length: usize,
        _event: &UserEvent,
    ) -> Result<Pending, HostError> {
        match self.0 {}
    }

    pub fn cancel(&self, _pending: &Pending) -> Result<(), HostError> {
        match self.0 {}
    }

    pub fn cancel_all(&self, _file: &File) -> Result<(), HostError> {
        match self.0 {}
    }

    pub fn create_event(&self) -> Result<UserEvent, HostError> {
        match self.0 {}
    }

    pub fn set(&self, _event: &UserEvent) -> Result<(), HostError> {
        match self.0 {}
    }

    pub fn reset(&self, _event: &UserEvent) -> Result<(), HostError> {
        match self.0 {}
    }

    pub fn wait(&self, _event: &UserEvent, _timeout: Duration) -> Result<bool, HostError> {
        match self.0 {}
    }

    pub fn sleep(&self, _milliseconds: u32, _alertable: bool) -> Result<bool, HostError> {
        match self.0 {}
    }

    pub fn queue_apc(
        &self,
        _target: &UserRef,
        _special: bool,
        _routine: Arc<dyn Fn() + Send + Sync>,
    ) -> Result<bool, HostError> {
        match self.0 {}
    }

    pub fn suspend(&self, _target: &UserRef) -> Result<u32, HostError> {
        match self.0 {}
    }

    pub fn resume(&self, _target: &UserRef) -> Result<u32, HostError> {
        match self.0 {}
    }

    pub fn terminate(&self, _target: &UserRef) -> Result<(), HostError> {
        match self.0 {}
    }

    pub fn critical_section(&self) -> Result<CriticalSection, HostError> {
        match self.0 {}
    }

    pub fn enter(&self, _section: &CriticalSection) -> Result<(), HostError> {
        match self.0 {}
    }

    pub fn try_enter(&self, _section: &CriticalSection) -> Result<bool, HostError> {
        match self.0 {}
    }

    pub fn leave(&self, _section: &CriticalSection) -> Result<bool, HostError> {
        match self.0 {}
    }
}
