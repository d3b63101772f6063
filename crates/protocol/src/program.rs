//! The program format: a litmus test as bytes.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 4 | magic, [`MAGIC`] |
//! | 4 | 2 | format version, [`FORMAT`] |
//! | 6 | 1 | lanes *l* |
//! | 7 | 1 | variables *v* |
//! | 8 | 1 | events *e* |
//! | 9 | 1 | APCs *a* |
//! | 10 | 1 | observed values *o* |
//! | 11 | 1 | reserved, zero |
//! | 12 | 4 | length of the whole program in bytes |
//! | 16 | 24 | steps of each lane, 6 × u32; zero past lane *l* |
//! | 40 | 8 | reserved, zero |
//! | 48 | 8·*v* | initial values of the variables, i64 |
//! | … | 8·*e* | events: kind u8 (0 notification, 1 synchronization), signaled u8, 6 reserved |
//! | … | 8·*a* | APCs: kind u8 (0 special, 1 normal), lane u8, 6 reserved |
//! | … | 8·*o* | observed: kind u8 (0 register, 1 variable), lane u8, index u8, 5 reserved |
//! | … | 16·steps | the steps, lane after lane ([`crate::step`]) |

use crate::bytes::Reader;
use crate::limits;
use crate::step::{BadStep, STEP_SIZE, Step};

/// `APCP` at the front of every program.
pub const MAGIC: u32 = u32::from_le_bytes(*b"APCP");
/// Version of the program format.
pub const FORMAT: u16 = 1;
/// Size of the fixed head in bytes.
pub const HEAD_SIZE: usize = 48;
/// Size of one entry of each table in bytes.
pub const ENTRY_SIZE: usize = 8;

/// What kind of event: how many waiters one signal releases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// Stays signaled until it is reset.
    Notification,
    /// Releases one waiter and resets itself.
    Synchronization,
}

/// An event and its state when an iteration begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Event {
    /// Its kind.
    pub kind: EventKind,
    /// Whether it begins signaled.
    pub signaled: bool,
}

/// What kind of kernel APC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ApcKind {
    /// Runs its kernel routine at APC_LEVEL, also inside a critical region.
    Special,
    /// Runs its normal routine at PASSIVE_LEVEL, never inside a region.
    Normal,
}

/// An APC object and the lane that it is queued to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Apc {
    /// Its kind.
    pub kind: ApcKind,
    /// The lane in whose thread it runs.
    pub lane: u8,
}

/// One value of an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Observed {
    /// The final value of a register.
    Register {
        /// Of which lane.
        lane: u8,
        /// Which one.
        register: u8,
    },
    /// The final value of a variable.
    Variable(u8),
}

/// Why bytes are no program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformation {
    /// It does not begin with [`MAGIC`].
    Magic,
    /// Its format is not [`FORMAT`].
    Format,
    /// It ends too early, or its length field is not the length of the bytes.
    Length,
    /// A table is larger than its limit in [`limits`], or there is no lane.
    Limit,
    /// A reserved field is not zero.
    Reserved,
    /// The kind of an event, APC or observed value is unknown.
    Kind,
    /// A lane, register or variable that is named does not exist.
    Index,
    /// The operation of a step is unknown.
    Operation,
    /// A register of a step is missing or too large.
    Register,
    /// A field that the step does not use is not zero.
    Unused,
}

/// A malformation and the byte where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// What is wrong.
    pub what: Malformation,
    /// Offset in bytes from the start of the program.
    pub offset: u32,
}

/// A program over borrowed bytes, parsed and within its limits: every step decodes, every index is
/// in range. It may still break the rules of [`crate::verify`].
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    bytes: &'a [u8],
    tables: Tables,
}

#[derive(Clone, Copy, Debug)]
struct Tables {
    lanes: u8,
    variables: u8,
    events: u8,
    apcs: u8,
    observed: u8,
    steps: [u32; limits::LANES],
}

impl Tables {
    fn events_at(&self) -> usize {
        HEAD_SIZE + usize::from(self.variables) * ENTRY_SIZE
    }

    fn apcs_at(&self) -> usize {
        self.events_at() + usize::from(self.events) * ENTRY_SIZE
    }

    fn observed_at(&self) -> usize {
        self.apcs_at() + usize::from(self.apcs) * ENTRY_SIZE
    }

    fn steps_at(&self) -> usize {
        self.observed_at() + usize::from(self.observed) * ENTRY_SIZE
    }

    /// Every count is below its limit here, so that the sum cannot overflow.
    fn step_at(&self, lane: usize, step: usize) -> usize {
        let before: usize = self.steps.iter().take(lane).map(|&n| n as usize).sum();
        self.steps_at() + (before + step) * STEP_SIZE
    }
}

fn fail<T>(what: Malformation, offset: usize) -> Result<T, Malformed> {
    Err(Malformed {
        what,
        offset: u32::try_from(offset).unwrap_or(u32::MAX),
    })
}

impl<'a> Program<'a> {
    /// Parses a whole program. Time and stack are bounded by [`limits`]; nothing is allocated.
    ///
    /// # Errors
    /// [`Malformed`]: what is wrong, and at which byte.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let program = Self {
            bytes,
            tables: Self::parse_head(bytes)?,
        };
        program.check_tables()?;
        program.check_steps()?;
        Ok(program)
    }

    fn parse_head(bytes: &[u8]) -> Result<Tables, Malformed> {
        let mut reader = Reader::new(bytes);
        let magic = reader.u32();
        let format = reader.u16();
        let [lanes, variables, events, apcs, observed, reserved] = reader.array();
        let length = reader.u32();
        let mut steps = [0; limits::LANES];
        for count in &mut steps {
            *count = reader.u32();
        }
        let tail = reader.u64();
        if !reader.complete() {
            return fail(Malformation::Length, bytes.len());
        }
        if magic != MAGIC {
            return fail(Malformation::Magic, 0);
        }
        if format != FORMAT {
            return fail(Malformation::Format, 4);
        }
        let counts = [
            (lanes, limits::LANES, 6),
            (variables, limits::VARIABLES, 7),
            (events, limits::EVENTS, 8),
            (apcs, limits::APCS, 9),
            (observed, limits::OBSERVED, 10),
        ];
        for (count, limit, offset) in counts {
            if usize::from(count) > limit {
                return fail(Malformation::Limit, offset);
            }
        }
        if lanes == 0 {
            return fail(Malformation::Limit, 6);
        }
        if reserved != 0 {
            return fail(Malformation::Reserved, 11);
        }
        for (lane, &count) in steps.iter().enumerate() {
            let limit = if lane < usize::from(lanes) {
                limits::STEPS_PER_LANE
            } else {
                0
            };
            if count as usize > limit {
                return fail(Malformation::Limit, 16 + lane * 4);
            }
        }
        if tail != 0 {
            return fail(Malformation::Reserved, 40);
        }
        let tables = Tables {
            lanes,
            variables,
            events,
            apcs,
            observed,
            steps,
        };
        let end = tables.step_at(limits::LANES, 0);
        if length as usize != end || bytes.len() != end {
            return fail(Malformation::Length, 12);
        }
        Ok(tables)
    }

    fn entry(&self, at: usize) -> [u8; ENTRY_SIZE] {
        self.bytes
            .get(at..)
            .map_or([0; ENTRY_SIZE], |rest| Reader::new(rest).array())
    }

    fn check_tables(&self) -> Result<(), Malformed> {
        let tables = &self.tables;
        for index in 0..usize::from(tables.events) {
            let at = tables.events_at() + index * ENTRY_SIZE;
            let [kind, signaled, reserved @ ..] = self.entry(at);
            if kind > 1 || signaled > 1 {
                return fail(Malformation::Kind, at);
            }
            if reserved != [0; 6] {
                return fail(Malformation::Reserved, at + 2);
            }
        }
        for index in 0..usize::from(tables.apcs) {
            let at = tables.apcs_at() + index * ENTRY_SIZE;
            let [kind, lane, reserved @ ..] = self.entry(at);
            if kind > 1 {
                return fail(Malformation::Kind, at);
            }
            if lane >= tables.lanes {
                return fail(Malformation::Index, at + 1);
            }
            if reserved != [0; 6] {
                return fail(Malformation::Reserved, at + 2);
            }
        }
        for index in 0..usize::from(tables.observed) {
            let at = tables.observed_at() + index * ENTRY_SIZE;
            let [kind, lane, number, reserved @ ..] = self.entry(at);
            let in_range = match kind {
                0 => lane < tables.lanes && usize::from(number) < limits::REGISTERS,
                1 => lane == 0 && number < tables.variables,
                _ => return fail(Malformation::Kind, at),
            };
            if !in_range {
                return fail(Malformation::Index, at + 1);
            }
            if reserved != [0; 5] {
                return fail(Malformation::Reserved, at + 3);
            }
        }
        Ok(())
    }

    fn check_steps(&self) -> Result<(), Malformed> {
        for lane in 0..self.lanes() {
            for index in 0..self.steps(lane) {
                let at = self.tables.step_at(lane, index);
                let step = match self.decode(lane, index) {
                    Ok(step) => step,
                    Err(BadStep::Operation) => return fail(Malformation::Operation, at),
                    Err(BadStep::Register) => return fail(Malformation::Register, at + 1),
                    Err(BadStep::Unused) => return fail(Malformation::Unused, at + 1),
                };
                let in_range = match step {
                    Step::Queue { apc, .. } | Step::Ran { apc, .. } => apc < self.tables.apcs,
                    Step::Set { event } | Step::Reset { event } | Step::Wait { event } => {
                        event < self.tables.events
                    }
                    Step::Store { variable, .. } | Step::Load { variable, .. } => {
                        variable < self.tables.variables
                    }
                    _ => true,
                };
                if !in_range {
                    return fail(Malformation::Index, at + 2);
                }
            }
        }
        Ok(())
    }

    fn decode(&self, lane: usize, index: usize) -> Result<Step, BadStep> {
        let at = self.tables.step_at(lane, index);
        let bytes = self.bytes.get(at..).and_then(|rest| rest.first_chunk());
        bytes.map_or(Err(BadStep::Operation), Step::decode)
    }

    /// The bytes of the whole program.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Number of lanes, 1 to [`limits::LANES`].
    pub fn lanes(&self) -> usize {
        usize::from(self.tables.lanes)
    }

    /// Number of steps of a lane; 0 for a lane that does not exist.
    pub fn steps(&self, lane: usize) -> usize {
        self.tables.steps.get(lane).map_or(0, |&n| n as usize)
    }

    /// A step of a lane, or `None` past its end.
    pub fn step(&self, lane: usize, index: usize) -> Option<Step> {
        if index < self.steps(lane) {
            self.decode(lane, index).ok()
        } else {
            None
        }
    }

    /// The steps of a lane in order.
    pub fn lane_steps(&self, lane: usize) -> impl Iterator<Item = Step> + use<'a> {
        let program = *self;
        (0..program.steps(lane)).map_while(move |index| program.step(lane, index))
    }

    /// Number of variables.
    pub fn variables(&self) -> usize {
        usize::from(self.tables.variables)
    }

    /// Initial value of a variable; 0 for one that does not exist.
    pub fn initial(&self, variable: usize) -> i64 {
        if variable < self.variables() {
            i64::from_le_bytes(self.entry(HEAD_SIZE + variable * ENTRY_SIZE))
        } else {
            0
        }
    }

    /// Number of events.
    pub fn events(&self) -> usize {
        usize::from(self.tables.events)
    }

    /// An event, or `None` when there is no such event.
    pub fn event(&self, index: usize) -> Option<Event> {
        if index >= self.events() {
            return None;
        }
        let [kind, signaled, ..] = self.entry(self.tables.events_at() + index * ENTRY_SIZE);
        let kind = if kind == 0 {
            EventKind::Notification
        } else {
            EventKind::Synchronization
        };
        Some(Event {
            kind,
            signaled: signaled != 0,
        })
    }

    /// Number of APC objects.
    pub fn apcs(&self) -> usize {
        usize::from(self.tables.apcs)
    }

    /// An APC object, or `None` when there is no such APC.
    pub fn apc(&self, index: usize) -> Option<Apc> {
        if index >= self.apcs() {
            return None;
        }
        let [kind, lane, ..] = self.entry(self.tables.apcs_at() + index * ENTRY_SIZE);
        Some(Apc {
            kind: if kind == 0 {
                ApcKind::Special
            } else {
                ApcKind::Normal
            },
            lane,
        })
    }

    /// Number of values in an outcome.
    pub fn observed_len(&self) -> usize {
        usize::from(self.tables.observed)
    }

    /// One observed value, or `None` past the end of the list.
    pub fn observed(&self, index: usize) -> Option<Observed> {
        if index >= self.observed_len() {
            return None;
        }
        let [kind, lane, number, ..] = self.entry(self.tables.observed_at() + index * ENTRY_SIZE);
        Some(if kind == 0 {
            Observed::Register {
                lane,
                register: number,
            }
        } else {
            Observed::Variable(number)
        })
    }

    /// The value of an observed item at the end of an iteration.
    ///
    /// Both the driver and the model take their outcomes through this function.
    pub fn value_of(
        observed: Observed,
        register: impl Fn(usize, usize) -> i64,
        variable: impl Fn(usize) -> i64,
    ) -> i64 {
        match observed {
            Observed::Register { lane, register: r } => register(lane.into(), r.into()),
            Observed::Variable(v) => variable(v.into()),
        }
    }
}
