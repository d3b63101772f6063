//! NTSTATUS values that requests complete with.
//!
//! With `METHOD_BUFFERED` the I/O manager copies the reply back for success and warning codes, never
//! for error codes. A refused program must say where and why, so [`REFUSED`] and its kin are
//! warnings of our own (severity 2, customer bit set).

/// An NTSTATUS value.
pub type NtStatus = i32;

const fn nt(value: u32) -> NtStatus {
    value.cast_signed()
}

/// `STATUS_SUCCESS`.
pub const SUCCESS: NtStatus = 0;
/// `STATUS_PENDING`: the request will complete later.
pub const PENDING: NtStatus = nt(0x0000_0103);
/// `STATUS_TIMEOUT`: a wait ended by its deadline.
pub const TIMEOUT: NtStatus = nt(0x0000_0102);
/// `STATUS_INFO_LENGTH_MISMATCH`: the input is shorter than its message.
pub const INPUT_TOO_SHORT: NtStatus = nt(0xC000_0004);
/// `STATUS_INVALID_BUFFER_SIZE`: the input is longer than its message.
pub const INPUT_TOO_LONG: NtStatus = nt(0xC000_0206);
/// `STATUS_DATATYPE_MISALIGNMENT_ERROR`: the input's length is no multiple of 8.
pub const INPUT_MISALIGNED: NtStatus = nt(0xC000_02C5);
/// `STATUS_BUFFER_TOO_SMALL`: the output buffer cannot hold the reply.
pub const OUTPUT_TOO_SHORT: NtStatus = nt(0xC000_0023);
/// `STATUS_REVISION_MISMATCH`: the request's version is not [`crate::VERSION`].
pub const REVISION_MISMATCH: NtStatus = nt(0xC000_0059);
/// `STATUS_INVALID_PARAMETER`: a field is out of its range, or a reserved field is not zero.
pub const INVALID_PARAMETER: NtStatus = nt(0xC000_000D);
/// `STATUS_INVALID_DEVICE_REQUEST`: no such control code.
pub const UNKNOWN_CODE: NtStatus = nt(0xC000_0010);
/// `STATUS_REQUEST_OUT_OF_SEQUENCE`: nothing is loaded yet, or nothing has run yet.
pub const OUT_OF_SEQUENCE: NtStatus = nt(0xC000_042A);
/// `STATUS_RESOURCE_IN_USE`: the session is running.
pub const IN_USE: NtStatus = nt(0xC000_0708);
/// `STATUS_NOT_FOUND`: no session has that id.
pub const NO_SUCH_SESSION: NtStatus = nt(0xC000_0225);
/// `STATUS_ACCESS_DENIED`: the session belongs to another process.
pub const NOT_THE_OPENER: NtStatus = nt(0xC000_0022);
/// `STATUS_ALREADY_COMMITTED`: the handle is joined to another session.
pub const OTHER_SESSION: NtStatus = nt(0xC000_0021);
/// `STATUS_QUOTA_EXCEEDED`: the device has [`crate::limits::SESSIONS`] sessions already.
pub const TOO_MANY_SESSIONS: NtStatus = nt(0xC000_0044);
/// `STATUS_INSUFFICIENT_RESOURCES`: an allocation or a thread could not be had.
pub const INSUFFICIENT_RESOURCES: NtStatus = nt(0xC000_009A);
/// `STATUS_CANCELLED`: the run was cancelled, or its handle was closed.
pub const CANCELLED: NtStatus = nt(0xC000_0120);
/// `STATUS_DELETE_PENDING`: the device is being removed.
pub const REMOVED: NtStatus = nt(0xC000_0056);

/// The program's bytes are no program; [`crate::message::LoadReply`] holds reason and offset.
pub const MALFORMED_PROGRAM: NtStatus = nt(0xA0AC_0001);
/// The program breaks a rule; [`crate::message::LoadReply`] holds reason, lane and step.
pub const REFUSED: NtStatus = nt(0xA0AC_0002);
/// The program queues APCs, and this kernel does not offer the routines for it.
pub const NO_APC_ROUTINES: NtStatus = nt(0xA0AC_0003);
/// The program queues APCs, and the threads that would run it begin with APCs disabled: such a test
/// cannot run there. [`crate::message::RunReply`] holds the baseline.
pub const BASELINE_DISABLED: NtStatus = nt(0xA0AC_0004);

/// `NT_ERROR`: severity 3, for which the I/O manager copies no reply back.
pub const fn is_error(status: NtStatus) -> bool {
    status.cast_unsigned() >> 30 == 3
}

/// The name of a status that this crate defines, for messages to people.
pub const fn name(status: NtStatus) -> Option<&'static str> {
    Some(match status {
        SUCCESS => "STATUS_SUCCESS",
        PENDING => "STATUS_PENDING",
        TIMEOUT => "STATUS_TIMEOUT",
        INPUT_TOO_SHORT => "STATUS_INFO_LENGTH_MISMATCH",
        INPUT_TOO_LONG => "STATUS_INVALID_BUFFER_SIZE",
        INPUT_MISALIGNED => "STATUS_DATATYPE_MISALIGNMENT_ERROR",
        OUTPUT_TOO_SHORT => "STATUS_BUFFER_TOO_SMALL",
        REVISION_MISMATCH => "STATUS_REVISION_MISMATCH",
        INVALID_PARAMETER => "STATUS_INVALID_PARAMETER",
        UNKNOWN_CODE => "STATUS_INVALID_DEVICE_REQUEST",
        OUT_OF_SEQUENCE => "STATUS_REQUEST_OUT_OF_SEQUENCE",
        IN_USE => "STATUS_RESOURCE_IN_USE",
        NO_SUCH_SESSION => "STATUS_NOT_FOUND",
        NOT_THE_OPENER => "STATUS_ACCESS_DENIED",
        OTHER_SESSION => "STATUS_ALREADY_COMMITTED",
        TOO_MANY_SESSIONS => "STATUS_QUOTA_EXCEEDED",
        INSUFFICIENT_RESOURCES => "STATUS_INSUFFICIENT_RESOURCES",
        CANCELLED => "STATUS_CANCELLED",
        REMOVED => "STATUS_DELETE_PENDING",
        MALFORMED_PROGRAM => "APCLAB_MALFORMED_PROGRAM",
        REFUSED => "APCLAB_REFUSED",
        NO_APC_ROUTINES => "APCLAB_NO_APC_ROUTINES",
        BASELINE_DISABLED => "APCLAB_BASELINE_DISABLED",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_warnings_so_that_their_reply_is_copied_back() {
        for status in [
            MALFORMED_PROGRAM,
            REFUSED,
            NO_APC_ROUTINES,
            BASELINE_DISABLED,
        ] {
            assert!(status < 0, "a refusal is no success");
            assert!(!is_error(status));
        }
        assert!(is_error(INPUT_TOO_SHORT));
        assert!(!is_error(SUCCESS));
    }
}
