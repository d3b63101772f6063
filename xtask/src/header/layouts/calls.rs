//! The messages of caller lanes.

use anyhow::Result;
use apclab_protocol::call::{CallReply, CallRequest, HoldRequest};
use apclab_protocol::limits;

use super::{CONTEXT, Field, Layout, encoded, layout, u8, u32, u64};

/// One in each byte, so that no register has a zero in front.
const REGISTER: i64 = 0x0101_0101_0101_0101;

fn registers(comment: &'static str) -> Field {
    let bytes = [REGISTER; limits::REGISTERS].map(i64::to_le_bytes);
    Field {
        name: "registers",
        kind: "int64_t",
        width: 8,
        count: Some(limits::REGISTERS),
        bytes: bytes.concat(),
        comment,
    }
}

pub(super) fn call_request() -> Result<Layout> {
    let sample = CallRequest {
        lane: 5,
        step: Some(0x0202_0202),
        registers: [REGISTER; limits::REGISTERS],
    };
    layout(
        "apclab_call_request",
        "Follows the header in CALL.",
        &sample.encode(),
        vec![
            u32("lane", sample.lane.into(), "The caller lane."),
            u32(
                "step",
                0x0202_0202,
                "The call step, or APCLAB_NONE when the lane is done.",
            ),
            registers("The lane's, before the block or at its end."),
        ],
    )
}

pub(super) fn call_reply() -> Result<Layout> {
    let sample = CallReply {
        halted: true,
        context: CONTEXT,
        registers: [REGISTER; limits::REGISTERS],
    };
    layout(
        "apclab_call_reply",
        "Reply to CALL.",
        &encoded(&sample)?,
        vec![
            u32("halted", 1, "1 when the iteration is given up, else 0."),
            u8(
                "context",
                CONTEXT.to_byte(),
                "In which the driver was called: APCLAB_CONTEXT_*.",
            ),
            registers("The lane's, after the block."),
        ],
    )
}

pub(super) fn hold_request() -> Result<Layout> {
    let sample = HoldRequest {
        apc: 7,
        event: 0x0202_0202_0202_0202,
    };
    layout(
        "apclab_hold_request",
        "Follows the header in HOLD, which has no reply.",
        &sample.encode(),
        vec![
            u32("apc", sample.apc.into(), "The completion."),
            u64("event", sample.event, "Handle of the event in OVERLAPPED."),
        ],
    )
}
