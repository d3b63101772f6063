//! Requests as bytes, and the heads of their replies.

use std::time::Duration;

use apclab_protocol::message::{HEADER_SIZE, Header, Reply};
use apclab_protocol::status::{self, NtStatus};
use apclab_protocol::{VERSION, ioctl};

use super::{Completion, Device, Session};
use crate::TargetError;

/// Versions to try for the one that a driver speaks, when it is not ours.
const VERSIONS: std::ops::RangeInclusive<u16> = 0..=64;

/// A request before it is bytes.
pub(super) struct Request<'a> {
    pub(super) code: u32,
    pub(super) operation: &'static str,
    pub(super) session: u32,
    pub(super) body: &'a [u8],
    /// How long it may take, for one that takes its time.
    pub(super) within: Option<Duration>,
}

impl Request<'_> {
    pub(super) fn encode(&self) -> Vec<u8> {
        let header = Header {
            session: self.session,
        };
        // A body is at most a program, whose size the limits keep far below 4 GiB; a longer one gets
        // a length that no driver accepts.
        let length = u32::try_from(HEADER_SIZE + self.body.len()).unwrap_or(u32::MAX);
        let mut bytes = header.encode(length).to_vec();
        bytes.extend(self.body);
        bytes
    }
}

/// A reply that makes no sense.
pub(super) fn nonsense<T>(
    operation: &'static str,
    what: impl Into<String>,
) -> Result<T, TargetError> {
    Err(TargetError::Reply {
        operation,
        what: what.into(),
    })
}

impl<D: Device> Session<D> {
    /// Sends a request and decodes the head of its reply; gives the rest of the reply too.
    pub(super) fn ask<'o, R: Reply>(
        &self,
        request: &Request<'_>,
        output: &'o mut [u8],
    ) -> Result<(R, NtStatus, &'o [u8]), TargetError> {
        let Request {
            code, operation, ..
        } = *request;
        let input = request.encode();
        let completion = match request.within {
            None => self.device.ioctl(code, &input, output)?,
            Some(within) => self.device.ioctl_within(code, &input, output, within)?,
        };
        self.reply(operation, completion, output)
    }

    /// Decodes the head of the reply to a request that has completed; gives the rest of the reply too.
    pub(super) fn reply<'o, R: Reply>(
        &self,
        operation: &'static str,
        completion: Completion,
        output: &'o [u8],
    ) -> Result<(R, NtStatus, &'o [u8]), TargetError> {
        let status = completion.status;
        if status == status::REVISION_MISMATCH {
            return Err(self.version_mismatch());
        }
        if status::is_error(status) {
            return Err(TargetError::Ioctl { operation, status });
        }
        let Some(written) = output.get(..completion.information) else {
            return nonsense(operation, "it is longer than the buffer for it");
        };
        match R::decode(written) {
            Some(reply) => Ok((reply, status, written.get(R::SIZE..).unwrap_or(&[]))),
            None => nonsense(operation, format!("{} bytes are no reply", written.len())),
        }
    }

    /// Which version the driver speaks, found by asking in each: a refused version is told by an
    /// error status, which brings no reply along.
    fn version_mismatch(&self) -> TargetError {
        let theirs = VERSIONS
            .filter(|version| *version != VERSION)
            .find(|version| {
                let mut input = Header { session: 0 }.encode(16);
                input[..2].copy_from_slice(&version.to_le_bytes());
                // Room for what a later version may answer.
                let mut output = vec![0; 4096];
                self.device
                    .ioctl(ioctl::QUERY, &input, &mut output)
                    .is_ok_and(|completion| completion.status == status::SUCCESS)
            });
        TargetError::Version {
            ours: VERSION,
            theirs,
        }
    }
}
