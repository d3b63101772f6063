//! Owned programs, for user mode: written here, read back through [`Program`].

use alloc::vec::Vec;

use crate::bytes::Writer;
use crate::limits;
use crate::program::{
    Apc, ENTRY_SIZE, Event, EventKind, FORMAT, HEAD_SIZE, LockKind, MAGIC, Malformed, Observed,
    Place, Program,
};
use crate::step::{STEP_SIZE, Step};

/// A program in the making. [`ProgramBuf::encode`] makes the bytes; [`Program::parse`] judges them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProgramBuf {
    /// Initial values of the variables.
    pub variables: Vec<i64>,
    /// The events.
    pub events: Vec<Event>,
    /// The APCs.
    pub apcs: Vec<Apc>,
    /// The steps of each APC's body; one that is missing is empty.
    pub bodies: Vec<Vec<Step>>,
    /// The locks.
    pub locks: Vec<LockKind>,
    /// What an outcome consists of.
    pub observed: Vec<Observed>,
    /// The steps of each lane.
    pub lanes: Vec<Vec<Step>>,
    /// Which lanes are raw; one that is missing is not.
    pub raw: Vec<bool>,
    /// Which lanes are callers; one that is missing is not.
    pub callers: Vec<bool>,
    /// Bits of [`crate::program::flags`].
    pub flags: u8,
}

/// A count as it is encoded. One that does not fit becomes the largest number, which is above every
/// limit, so that the parser refuses it.
fn count8(len: usize) -> u8 {
    u8::try_from(len).unwrap_or(u8::MAX)
}

fn count32(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

/// One bit a lane.
fn bits(lanes: &[bool]) -> u8 {
    let lanes = lanes.iter().take(8).enumerate();
    lanes.fold(0, |bits, (lane, set)| bits | u8::from(*set) << lane)
}

impl ProgramBuf {
    /// The program as bytes. Tables beyond their limits are written as they are: the parser and the
    /// driver refuse them by name.
    pub fn encode(&self) -> Vec<u8> {
        let entries = self.variables.len()
            + self.events.len()
            + self.apcs.len()
            + self.locks.len()
            + self.observed.len();
        let bodies = || self.bodies.iter().take(self.apcs.len());
        let steps: usize = self.lanes.iter().chain(bodies()).map(Vec::len).sum();
        let length = HEAD_SIZE + entries * ENTRY_SIZE + steps * STEP_SIZE;
        let mut bytes = alloc::vec![0; HEAD_SIZE];
        let mut head = Writer::new(&mut bytes);
        head.u32(MAGIC);
        head.u16(FORMAT);
        for len in [
            self.lanes.len(),
            self.variables.len(),
            self.events.len(),
            self.apcs.len(),
            self.observed.len(),
            self.locks.len(),
        ] {
            head.u8(count8(len));
        }
        head.u32(count32(length));
        for lane in 0..limits::LANES {
            head.u32(self.lanes.get(lane).map_or(0, |steps| count32(steps.len())));
        }
        head.u8(bits(&self.raw));
        head.u8(self.flags);
        head.u8(bits(&self.callers));
        for value in &self.variables {
            bytes.extend(value.to_le_bytes());
        }
        for event in &self.events {
            let kind = u8::from(event.kind == EventKind::Synchronization);
            bytes.extend([kind, u8::from(event.signaled), 0, 0, 0, 0, 0, 0]);
        }
        for (index, apc) in self.apcs.iter().enumerate() {
            let body = self
                .bodies
                .get(index)
                .map_or(0, |steps| count32(steps.len()));
            bytes.extend([apc.kind as u8, apc.lane, 0, 0]);
            bytes.extend(body.to_le_bytes());
        }
        for lock in &self.locks {
            bytes.extend([*lock as u8, 0, 0, 0, 0, 0, 0, 0]);
        }
        for observed in &self.observed {
            bytes.extend(match *observed {
                Observed::Register { lane, register } => [0, lane, register, 0, 0, 0, 0, 0],
                Observed::Variable(variable) => [1, 0, variable, 0, 0, 0, 0, 0],
                Observed::ApcRegister { apc, register } => [2, apc, register, 0, 0, 0, 0, 0],
            });
        }
        for step in self.lanes.iter().chain(bodies()).flatten() {
            bytes.extend(step.encode());
        }
        bytes
    }

    /// Reads a program into its owned form, without empty bodies, and lanes that are neither raw nor
    /// callers, at the ends of their lists.
    ///
    /// # Errors
    /// As [`Program::parse`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let program = Program::parse(bytes)?;
        let steps = |place| program.steps(place).collect::<Vec<_>>();
        let lanes = program
            .places()
            .filter(|place| matches!(place, Place::Lane(_)));
        let bodies = program
            .places()
            .filter(|place| matches!(place, Place::Body(_)));
        let mut decoded = Self {
            variables: (0..program.variables())
                .map(|v| program.initial(v))
                .collect(),
            events: (0..program.events())
                .filter_map(|e| program.event(e))
                .collect(),
            apcs: (0..program.apcs()).filter_map(|a| program.apc(a)).collect(),
            bodies: bodies.map(steps).collect(),
            locks: (0..program.locks())
                .filter_map(|l| program.lock(l))
                .collect(),
            observed: (0..program.observed_len())
                .filter_map(|o| program.observed(o))
                .collect(),
            lanes: lanes.map(steps).collect(),
            raw: (0..program.lanes()).map(|lane| program.raw(lane)).collect(),
            callers: (0..program.lanes())
                .map(|lane| program.caller(lane))
                .collect(),
            flags: program.flags(),
        };
        while decoded.bodies.last().is_some_and(Vec::is_empty) {
            decoded.bodies.pop();
        }
        for lanes in [&mut decoded.raw, &mut decoded.callers] {
            while lanes.last() == Some(&false) {
                lanes.pop();
            }
        }
        Ok(decoded)
    }
}
