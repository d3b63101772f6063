//! The shell that other systems get: it compiles, and says that the host is unsupported.

use std::convert::Infallible;
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
}

#[allow(clippy::missing_errors_doc, missing_docs)]
impl Pending {
    pub fn wait(&self, _timeout: Duration) -> Result<(Completion, Vec<u8>), HostError> {
        match self.0 {}
    }

    pub fn cancel(&self) -> Result<(), HostError> {
        match self.0 {}
    }
}
