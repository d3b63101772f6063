//! The 16 bytes of a step.

use super::{BadStep, Mode, NO_REGISTER, Op, Register, STEP_SIZE, Step, WaitMode};
use crate::bytes::{Reader, Writer};
use crate::limits;

fn optional(register: u8) -> Result<Option<Register>, BadStep> {
    match register {
        NO_REGISTER => Ok(None),
        r if usize::from(r) < limits::REGISTERS => Ok(Some(r)),
        _ => Err(BadStep::Register),
    }
}

fn required(register: u8) -> Result<Register, BadStep> {
    optional(register)?.ok_or(BadStep::Register)
}

fn lane(number: u8) -> Result<u8, BadStep> {
    if usize::from(number) < limits::LANES {
        Ok(number)
    } else {
        Err(BadStep::Lane)
    }
}

fn ranged(value: i64, least: u32, most: u32) -> Result<u32, BadStep> {
    match u32::try_from(value) {
        Ok(value) if (least..=most).contains(&value) => Ok(value),
        _ => Err(BadStep::Range),
    }
}

impl Step {
    /// Decodes 16 bytes. Indices of variables, events and APCs are not yet checked.
    ///
    /// # Errors
    /// [`BadStep`]: an unknown operation, a bad register, a time-out or count out of range, or
    /// something in an unused field.
    pub fn decode(bytes: &[u8; STEP_SIZE]) -> Result<Self, BadStep> {
        let mut reader = Reader::new(bytes);
        let [op, to, index, from] = reader.array();
        let length = reader.u32();
        let constant = reader.i64();
        let required_to = || required(to);
        let milliseconds = || ranged(constant, 0, limits::WAIT_DEADLINE_MS);
        let step = match Op::from_number(op).ok_or(BadStep::Operation)? {
            Op::EnterCritical => Self::EnterCritical,
            Op::LeaveCritical => Self::LeaveCritical,
            Op::EnterGuarded => Self::EnterGuarded,
            Op::LeaveGuarded => Self::LeaveGuarded,
            Op::RaiseApc => Self::RaiseApc,
            Op::Lower => Self::Lower,
            Op::Barrier => Self::Barrier,
            Op::ApcsDisabled => Self::ApcsDisabled { to: required_to()? },
            Op::AllApcsDisabled => Self::AllApcsDisabled { to: required_to()? },
            Op::Irql => Self::Irql { to: required_to()? },
            Op::Queue => Self::Queue {
                apc: index,
                to: optional(to)?,
            },
            Op::Ran => Self::Ran {
                apc: index,
                to: required_to()?,
            },
            Op::Set => Self::Set { event: index },
            Op::Reset => Self::Reset { event: index },
            Op::Wait => Self::Wait { event: index },
            Op::Store => Self::Store {
                variable: index,
                from: optional(from)?,
                constant,
            },
            Op::Load => Self::Load {
                variable: index,
                to: required_to()?,
            },
            Op::WaitFor => Self::WaitFor {
                event: index,
                to: required_to()?,
                milliseconds: milliseconds()?,
            },
            Op::Acquire => Self::Acquire {
                lock: index,
                mode: Mode::from_number(from)?,
            },
            Op::Release => Self::Release { lock: index },
            Op::Try => Self::Try {
                lock: index,
                mode: Mode::from_number(from)?,
                to: required_to()?,
                milliseconds: milliseconds()?,
                length,
            },
            Op::Repeat => Self::Repeat {
                count: ranged(constant, 1, limits::ROUNDS)?,
                length,
            },
            Op::End => Self::End,
            Op::EnterAcquire => Self::EnterAcquire {
                lock: index,
                mode: Mode::from_number(from)?,
            },
            Op::ReleaseLeave => Self::ReleaseLeave { lock: index },
            Op::Convert => Self::Convert { lock: index },
            Op::Reinitialize => Self::Reinitialize { lock: index },
            Op::AcquiredExclusive => Self::AcquiredExclusive {
                lock: index,
                to: required_to()?,
            },
            Op::AcquiredShared => Self::AcquiredShared {
                lock: index,
                to: required_to()?,
            },
            Op::ExclusiveWaiters => Self::ExclusiveWaiters {
                lock: index,
                to: required_to()?,
            },
            Op::SharedWaiters => Self::SharedWaiters {
                lock: index,
                to: required_to()?,
            },
            Op::HandOver => Self::HandOver { lock: index },
            Op::ReleaseFor => Self::ReleaseFor {
                lock: index,
                lane: lane(from)?,
                to: required_to()?,
            },
            Op::WaitAs => Self::WaitAs {
                event: index,
                to: required_to()?,
                milliseconds: milliseconds()?,
                mode: WaitMode::from_number(from)?,
            },
            Op::Call => Self::Call { length },
            Op::Sleep => Self::Sleep {
                milliseconds: ranged(constant, 0, limits::SLEEP_MS)?,
                alertable: from == 1,
                to: required_to()?,
            },
            Op::Start => Self::Start { apc: index },
            Op::Suspend => Self::Suspend {
                lane: lane(from)?,
                to: optional(to)?,
            },
            Op::Resume => Self::Resume {
                lane: lane(from)?,
                to: optional(to)?,
            },
        };
        // Each step has one encoding, so whatever differs from it stands in a field it does not use.
        if step.encode() == *bytes {
            Ok(step)
        } else {
            Err(BadStep::Unused)
        }
    }

    /// Encodes the step.
    pub fn encode(self) -> [u8; STEP_SIZE] {
        let mut length = 0;
        let (op, to, index, from, constant) = match self {
            Self::EnterCritical => (Op::EnterCritical, None, 0, None, 0),
            Self::LeaveCritical => (Op::LeaveCritical, None, 0, None, 0),
            Self::EnterGuarded => (Op::EnterGuarded, None, 0, None, 0),
            Self::LeaveGuarded => (Op::LeaveGuarded, None, 0, None, 0),
            Self::RaiseApc => (Op::RaiseApc, None, 0, None, 0),
            Self::Lower => (Op::Lower, None, 0, None, 0),
            Self::ApcsDisabled { to } => (Op::ApcsDisabled, Some(to), 0, None, 0),
            Self::AllApcsDisabled { to } => (Op::AllApcsDisabled, Some(to), 0, None, 0),
            Self::Irql { to } => (Op::Irql, Some(to), 0, None, 0),
            Self::Queue { apc, to } => (Op::Queue, to, apc, None, 0),
            Self::Ran { apc, to } => (Op::Ran, Some(to), apc, None, 0),
            Self::Set { event } => (Op::Set, None, event, None, 0),
            Self::Reset { event } => (Op::Reset, None, event, None, 0),
            Self::Wait { event } => (Op::Wait, None, event, None, 0),
            Self::WaitFor {
                event,
                to,
                milliseconds,
            } => (Op::WaitFor, Some(to), event, None, milliseconds.into()),
            Self::Barrier => (Op::Barrier, None, 0, None, 0),
            Self::Store {
                variable,
                from,
                constant,
            } => (Op::Store, None, variable, from, constant),
            Self::Load { variable, to } => (Op::Load, Some(to), variable, None, 0),
            Self::Acquire { lock, mode } => (Op::Acquire, None, lock, Some(mode as u8), 0),
            Self::Release { lock } => (Op::Release, None, lock, None, 0),
            Self::Try {
                lock,
                mode,
                to,
                milliseconds,
                length: block,
            } => {
                length = block;
                let mode = Some(mode as u8);
                (Op::Try, Some(to), lock, mode, milliseconds.into())
            }
            Self::Repeat {
                count,
                length: block,
            } => {
                length = block;
                (Op::Repeat, None, 0, None, count.into())
            }
            Self::End => (Op::End, None, 0, None, 0),
            Self::EnterAcquire { lock, mode } => {
                (Op::EnterAcquire, None, lock, Some(mode as u8), 0)
            }
            Self::ReleaseLeave { lock } => (Op::ReleaseLeave, None, lock, None, 0),
            Self::Convert { lock } => (Op::Convert, None, lock, None, 0),
            Self::Reinitialize { lock } => (Op::Reinitialize, None, lock, None, 0),
            Self::AcquiredExclusive { lock, to } => {
                (Op::AcquiredExclusive, Some(to), lock, None, 0)
            }
            Self::AcquiredShared { lock, to } => (Op::AcquiredShared, Some(to), lock, None, 0),
            Self::ExclusiveWaiters { lock, to } => (Op::ExclusiveWaiters, Some(to), lock, None, 0),
            Self::SharedWaiters { lock, to } => (Op::SharedWaiters, Some(to), lock, None, 0),
            Self::HandOver { lock } => (Op::HandOver, None, lock, None, 0),
            Self::ReleaseFor { lock, lane, to } => (Op::ReleaseFor, Some(to), lock, Some(lane), 0),
            Self::WaitAs {
                event,
                to,
                milliseconds,
                mode,
            } => {
                let mode = Some(mode as u8);
                (Op::WaitAs, Some(to), event, mode, milliseconds.into())
            }
            Self::Call { length: block } => {
                length = block;
                (Op::Call, None, 0, None, 0)
            }
            Self::Sleep {
                milliseconds,
                alertable,
                to,
            } => {
                let alertable = Some(alertable.into());
                (Op::Sleep, Some(to), 0, alertable, milliseconds.into())
            }
            Self::Start { apc } => (Op::Start, None, apc, None, 0),
            Self::Suspend { lane, to } => (Op::Suspend, to, 0, Some(lane), 0),
            Self::Resume { lane, to } => (Op::Resume, to, 0, Some(lane), 0),
        };
        let mut bytes = [0; STEP_SIZE];
        let mut writer = Writer::new(&mut bytes);
        writer.u8(op as u8);
        writer.u8(to.unwrap_or(NO_REGISTER));
        writer.u8(index);
        writer.u8(from.unwrap_or(NO_REGISTER));
        writer.u32(length);
        writer.i64(constant);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Bytes that decode encode to themselves: no two encodings mean the same step.
        #[test]
        fn decoding_is_injective(mut bytes in any::<[u8; STEP_SIZE]>(), op in 0_u8..42, plain in any::<bool>(), from in 0_u8..6) {
            bytes[0] = op;
            if plain {
                bytes[1] %= 17;
                bytes[2] %= 16;
                bytes[3] = if from == 5 { NO_REGISTER } else { from };
                bytes[5..].fill(0);
                bytes[8] = 9;
            }
            if let Ok(step) = Step::decode(&bytes) {
                prop_assert_eq!(step.encode(), bytes);
            }
        }
    }

    #[test]
    fn bad_fields_are_told_apart() {
        let good = Step::Ran { apc: 3, to: 2 }.encode();
        assert_eq!(Step::decode(&good), Ok(Step::Ran { apc: 3, to: 2 }));
        let with = |at: usize, value: u8| {
            let mut bytes = good;
            bytes[at] = value;
            Step::decode(&bytes)
        };
        assert_eq!(with(0, 0), Err(BadStep::Operation));
        assert_eq!(with(1, 16), Err(BadStep::Register));
        assert_eq!(with(1, NO_REGISTER), Err(BadStep::Register));
        assert_eq!(with(3, 0), Err(BadStep::Unused));
        assert_eq!(with(7, 1), Err(BadStep::Unused));
        assert_eq!(with(8, 1), Err(BadStep::Unused));
    }
}
