//! Control codes and names of the device.
//!
//! All codes are `METHOD_BUFFERED` and need a handle opened for read and write access.

/// Device type of the control codes and of the device object: `FILE_DEVICE_UNKNOWN`.
pub const DEVICE_TYPE: u32 = 0x22;

/// `METHOD_BUFFERED` with `FILE_READ_DATA | FILE_WRITE_DATA`, in the layout of `CTL_CODE`
/// (reference page "Defining I/O Control Codes"): device type in bits 16-31, access in 14-15,
/// function in 2-13, method in 0-1.
const fn control_code(function: u32) -> u32 {
    const READ_AND_WRITE: u32 = 3;
    const METHOD_BUFFERED: u32 = 0;
    (DEVICE_TYPE << 16) | (READ_AND_WRITE << 14) | (function << 2) | METHOD_BUFFERED
}

/// Asks what the driver and the kernel beneath it are: [`crate::message::QueryReply`].
pub const QUERY: u32 = control_code(0x800);
/// Verifies a program and keeps it in a session: [`crate::message::LoadReply`].
pub const LOAD: u32 = control_code(0x801);
/// Runs the loaded program many times; asynchronous and cancelable: [`crate::message::RunReply`].
pub const RUN: u32 = control_code(0x802);
/// Reads the histogram of the last run: [`crate::message::HistogramReply`].
pub const HISTOGRAM: u32 = control_code(0x803);
/// Reads the trace of the iteration that the last run recorded: [`crate::trace::TraceReply`].
pub const TRACE: u32 = control_code(0x804);
/// Cancels the session's run. The run's request completes with [`crate::status::CANCELLED`].
pub const CANCEL: u32 = control_code(0x805);

/// Executes one `call` of a caller lane in the thread that asks, or says that the lane is done:
/// [`crate::call::CallRequest`], [`crate::call::CallReply`].
pub const CALL: u32 = control_code(0x806);
/// The overlapped request of a completion: stays pending until the program or the end of the iteration
/// completes it. [`crate::call::HoldRequest`]; no reply.
pub const HOLD: u32 = control_code(0x807);

/// Every control code with its name, in the order of their numbers.
pub const ALL: [(u32, &str); 8] = [
    (QUERY, "query"),
    (LOAD, "load"),
    (RUN, "run"),
    (HISTOGRAM, "histogram"),
    (TRACE, "trace"),
    (CANCEL, "cancel"),
    (CALL, "call"),
    (HOLD, "hold"),
];

/// Device interface class: `{6C1D8A52-3F0B-4E37-9D6E-A41C0B7E25F1}`, in the field order of `GUID`.
pub const INTERFACE_GUID: (u32, u16, u16, [u8; 8]) = (
    0x6C1D_8A52,
    0x3F0B,
    0x4E37,
    [0x9D, 0x6E, 0xA4, 0x1C, 0x0B, 0x7E, 0x25, 0xF1],
);

/// The symbolic link that the driver creates.
pub const SYMBOLIC_LINK: &str = r"\DosDevices\apclab";

/// The same link as user mode opens it.
pub const WIN32_PATH: &str = r"\\.\apclab";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_buffered_and_want_both_accesses() {
        assert_eq!(QUERY, 0x0022_E000);
        for (index, (code, name)) in (0_u32..).zip(ALL) {
            assert_eq!(code & 3, 0, "{name} is METHOD_BUFFERED");
            assert_eq!((code >> 14) & 3, 3, "{name} wants read and write access");
            assert_eq!((code >> 2) & 0xFFF, 0x800 + index, "{name}");
        }
    }
}
