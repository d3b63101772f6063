//! What a thread of user mode says for its caller lane, byte by byte.
//!
//! A run of a program with caller lanes has one iteration. While it is under way, the thread of each
//! caller lane executes the lane's steps of user mode itself, sends [`crate::ioctl::CALL`] for each
//! [`crate::step::Step::Call`], and a last one that says that the lane is done.

use crate::bytes::{Reader, Writer};
use crate::limits;
use crate::message::{Context, NONE, Reply};
use crate::status::{self, NtStatus};

/// The registers of a lane.
pub type Registers = [i64; limits::REGISTERS];

/// Body of [`crate::ioctl::CALL`], [`CallRequest::SIZE`] bytes.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0 | 4 | lane, below [`limits::LANES`] |
/// | 4 | 4 | index of the `call` step, or [`NONE`] when the lane is done |
/// | 8 | 128 | the lane's registers, i64 each |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallRequest {
    /// The caller lane.
    pub lane: u8,
    /// The index of the `call` step whose block is executed; `None`: the lane is done.
    pub step: Option<u32>,
    /// The lane's registers before the block, or at the lane's end.
    pub registers: Registers,
}

impl CallRequest {
    /// Size of the body in bytes.
    pub const SIZE: usize = 8 + 8 * limits::REGISTERS;

    /// Reads the body.
    ///
    /// # Errors
    /// [`status::INVALID_PARAMETER`]: the lane is at or above [`limits::LANES`].
    pub fn decode(body: &[u8; Self::SIZE]) -> Result<Self, NtStatus> {
        let mut reader = Reader::new(body);
        let lane = lane(reader.u32())?;
        let step = reader.u32();
        Ok(Self {
            lane,
            step: (step != NONE).then_some(step),
            registers: core::array::from_fn(|_| reader.i64()),
        })
    }

    /// Writes the body.
    pub fn encode(&self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        let mut writer = Writer::new(&mut bytes);
        writer.u32(self.lane.into());
        writer.u32(self.step.unwrap_or(NONE));
        for register in self.registers {
            writer.i64(register);
        }
        bytes
    }
}

fn lane(number: u32) -> Result<u8, NtStatus> {
    match u8::try_from(number) {
        Ok(lane) if usize::from(lane) < limits::LANES => Ok(lane),
        _ => Err(status::INVALID_PARAMETER),
    }
}

/// Reply to [`crate::ioctl::CALL`], [`CallReply::SIZE`] bytes.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0 | 4 | 1 when the iteration is given up, so that the lane shall leave what it holds and say that it is done; else 0 |
/// | 4 | 1 | [`Context`] in which the driver was called |
/// | 5 | 3 | reserved |
/// | 8 | 128 | the lane's registers, i64 each |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallReply {
    /// The iteration is given up: a wait hit its deadline, or the run was cancelled.
    pub halted: bool,
    /// The context in which the driver was called.
    pub context: Context,
    /// The lane's registers after the block.
    pub registers: Registers,
}

impl Reply for CallReply {
    const SIZE: usize = 8 + 8 * limits::REGISTERS;

    fn encode(&self, output: &mut [u8]) -> Result<usize, NtStatus> {
        let mut writer = Writer::new(output);
        writer.u32(self.halted.into());
        writer.u8(self.context.to_byte());
        writer.u8(0);
        writer.u16(0);
        for register in self.registers {
            writer.i64(register);
        }
        writer.finish().ok_or(status::OUTPUT_TOO_SHORT)
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let halted = match reader.u32() {
            0 => false,
            1 => true,
            _ => return None,
        };
        let context = Context::from_byte(reader.u8());
        reader.u8();
        reader.u16();
        let reply = Self {
            halted,
            context,
            registers: core::array::from_fn(|_| reader.i64()),
        };
        reader.complete().then_some(reply)
    }
}

/// Body of [`crate::ioctl::HOLD`], [`HoldRequest::SIZE`] bytes. The request stays pending until its
/// completion is queued ([`crate::step::Step::Queue`]) or the iteration ends.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0 | 4 | index of the APC, a completion |
/// | 4 | 4 | reserved, zero |
/// | 8 | 8 | handle of the event that the I/O manager signals when the request is completed |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoldRequest {
    /// The completion.
    pub apc: u8,
    /// The event of the request's OVERLAPPED: a handle of the calling process.
    pub event: u64,
}

impl HoldRequest {
    /// Size of the body in bytes.
    pub const SIZE: usize = 16;

    /// Reads the body.
    ///
    /// # Errors
    /// [`status::INVALID_PARAMETER`]: there can be no such APC, or a reserved field is not zero.
    pub fn decode(body: &[u8; Self::SIZE]) -> Result<Self, NtStatus> {
        let mut reader = Reader::new(body);
        let apc = u8::try_from(reader.u32()).map_err(|_| status::INVALID_PARAMETER)?;
        let reserved = reader.u32();
        let event = reader.u64();
        if usize::from(apc) < limits::APCS && reserved == 0 {
            Ok(Self { apc, event })
        } else {
            Err(status::INVALID_PARAMETER)
        }
    }

    /// Writes the body.
    pub fn encode(self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        let mut writer = Writer::new(&mut bytes);
        writer.u32(self.apc.into());
        writer.u32(0);
        writer.u64(self.event);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn calls_survive_their_bytes(
            lane in 0_u8..6, step in proptest::option::of(0..NONE), registers: Registers,
            halted: bool, byte: u8,
        ) {
            let request = CallRequest { lane, step, registers };
            prop_assert_eq!(CallRequest::decode(&request.encode()), Ok(request));
            let context = Context::from_byte(byte);
            let reply = CallReply { halted, context, registers };
            let mut bytes = [0; CallReply::SIZE];
            prop_assert_eq!(reply.encode(&mut bytes), Ok(CallReply::SIZE));
            prop_assert_eq!(CallReply::decode(&bytes), Some(reply));
            prop_assert_eq!(CallReply::decode(&bytes[1..]), None);
            prop_assert!(reply.encode(&mut bytes[1..]).is_err());
        }

        #[test]
        fn holds_survive_their_bytes(apc in 0_u8..16, event: u64) {
            let request = HoldRequest { apc, event };
            prop_assert_eq!(HoldRequest::decode(&request.encode()), Ok(request));
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let registers = [0; limits::REGISTERS];
        let mut call = CallRequest {
            lane: 5,
            step: None,
            registers,
        }
        .encode();
        call[0] = 6;
        assert_eq!(CallRequest::decode(&call), Err(status::INVALID_PARAMETER));
        let mut hold = HoldRequest { apc: 15, event: 1 }.encode();
        hold[4] = 1;
        assert_eq!(HoldRequest::decode(&hold), Err(status::INVALID_PARAMETER));
        hold[4] = 0;
        hold[0] = 16;
        assert_eq!(HoldRequest::decode(&hold), Err(status::INVALID_PARAMETER));
    }
}
