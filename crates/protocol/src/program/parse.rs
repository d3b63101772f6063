//! From bytes to a program: every count, every index and the form of every step is checked.

use super::tables::Tables;
use super::{
    ApcKind, ENTRY_SIZE, FORMAT, HEAD_SIZE, LockKind, MAGIC, Malformation, Malformed, Place,
    Program, flags,
};
use crate::bytes::Reader;
use crate::limits;
use crate::step::{BadStep, Mode, Step};

/// Where in an APC's entry the number of its body's steps stands.
const BODY_STEPS_AT: usize = 4;

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
        let [lanes, variables, events, apcs, observed, locks] = reader.array();
        let length = reader.u32();
        let mut steps = [0; limits::LANES];
        for count in &mut steps {
            *count = reader.u32();
        }
        let raw = reader.u8();
        let flags = reader.u8();
        let callers = reader.u8();
        let tail: [u8; 5] = reader.array();
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
            (locks, limits::LOCKS, 11),
        ];
        for (count, limit, offset) in counts {
            if usize::from(count) > limit {
                return fail(Malformation::Limit, offset);
            }
        }
        if lanes == 0 {
            return fail(Malformation::Limit, 6);
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
        if u32::from(raw) >> lanes != 0 {
            return fail(Malformation::Index, 40);
        }
        if flags & !flags::ALL != 0 {
            return fail(Malformation::Reserved, 41);
        }
        // A caller lane closes all its scopes in order: its calls are verified one by one.
        if u32::from(callers) >> lanes != 0 || callers & raw != 0 {
            return fail(Malformation::Index, 42);
        }
        if tail != [0; 5] {
            return fail(Malformation::Reserved, 43);
        }
        let mut tables = Tables {
            lanes,
            variables,
            events,
            apcs,
            observed,
            locks,
            raw,
            callers,
            flags,
            steps,
            bodies: [0; limits::APCS],
        };
        for (index, body) in tables.bodies.iter_mut().take(apcs.into()).enumerate() {
            // The table of APCs stands before everything whose place depends on the bodies.
            let at = HEAD_SIZE
                + (usize::from(variables) + usize::from(events) + index) * ENTRY_SIZE
                + BODY_STEPS_AT;
            let count = bytes.get(at..).map_or(0, |rest| Reader::new(rest).u32());
            *body = match u8::try_from(count) {
                Ok(count) if usize::from(count) <= limits::STEPS_PER_BODY => count,
                _ => return fail(Malformation::Limit, at),
            };
        }
        if length as usize != tables.end() || bytes.len() != tables.end() {
            return fail(Malformation::Length, 12);
        }
        Ok(tables)
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
            let [kind, lane, reserved_low, reserved_high, body @ ..] = self.entry(at);
            let Some(kind) = ApcKind::ALL.get(usize::from(kind)) else {
                return fail(Malformation::Kind, at);
            };
            // The driver's APCs run in its own threads, all others in threads of user mode.
            if lane >= tables.lanes || self.caller(lane.into()) == kind.of_driver() {
                return fail(Malformation::Index, at + 1);
            }
            if !kind.of_driver() && body != [0; 4] {
                return fail(Malformation::Limit, at + BODY_STEPS_AT);
            }
            if (reserved_low, reserved_high) != (0, 0) {
                return fail(Malformation::Reserved, at + 2);
            }
        }
        for index in 0..usize::from(tables.locks) {
            let at = tables.locks_at() + index * ENTRY_SIZE;
            let [kind, reserved @ ..] = self.entry(at);
            if usize::from(kind) >= LockKind::ALL.len() {
                return fail(Malformation::Kind, at);
            }
            if reserved != [0; 7] {
                return fail(Malformation::Reserved, at + 1);
            }
        }
        for index in 0..usize::from(tables.observed) {
            let at = tables.observed_at() + index * ENTRY_SIZE;
            let [kind, lane, number, reserved @ ..] = self.entry(at);
            let in_range = match kind {
                0 => lane < tables.lanes && usize::from(number) < limits::REGISTERS,
                1 => lane == 0 && number < tables.variables,
                2 => lane < tables.apcs && usize::from(number) < limits::REGISTERS,
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
        for place in self.places() {
            for index in 0..self.len(place) {
                self.check_step(place, index)?;
            }
        }
        Ok(())
    }

    fn check_step(&self, place: Place, index: usize) -> Result<(), Malformed> {
        let tables = &self.tables;
        let at = tables.step_at(place, index);
        let step = match self.decode(place, index) {
            Ok(step) => step,
            Err(BadStep::Operation) => return fail(Malformation::Operation, at),
            Err(BadStep::Register) => return fail(Malformation::Register, at + 1),
            Err(BadStep::Unused) => return fail(Malformation::Unused, at + 1),
            Err(BadStep::Range) => return fail(Malformation::Range, at + 8),
            Err(BadStep::Mode) => return fail(Malformation::Lock, at + 3),
            Err(BadStep::Lane) => return fail(Malformation::Index, at + 3),
        };
        let in_range = match step {
            Step::Queue { apc, .. } | Step::Ran { apc, .. } => apc < tables.apcs,
            Step::Start { apc } => self.apc(apc.into()).is_some_and(|apc| {
                apc.kind == ApcKind::Completion && place == Place::Lane(apc.lane)
            }),
            Step::Set { event }
            | Step::Reset { event }
            | Step::Wait { event }
            | Step::WaitFor { event, .. }
            | Step::WaitAs { event, .. } => event < tables.events,
            Step::Store { variable, .. } | Step::Load { variable, .. } => {
                variable < tables.variables
            }
            _ => match step.lock() {
                Some(lock) => lock < tables.locks,
                None => true,
            },
        };
        if !in_range {
            return fail(Malformation::Index, at + 2);
        }
        if let Step::Suspend { lane, .. } | Step::Resume { lane, .. } = step
            && !self.caller(lane.into())
        {
            return fail(Malformation::Index, at + 3);
        }
        if let Some(lock) = step.lock() {
            self.check_lock(step, self.lock(lock.into()), at)?;
        }
        // Where a block ends is a matter of form, so that nobody has to look for it later.
        if let Some(length) = step.block() {
            let end = index
                .checked_add(length as usize)
                .and_then(|last| last.checked_add(1));
            if end.and_then(|end| self.step(place, end)) != Some(Step::End) {
                return fail(Malformation::Length, at + 4);
            }
        }
        Ok(())
    }

    /// Whether a step is for its kind of lock.
    fn check_lock(&self, step: Step, kind: Option<LockKind>, at: usize) -> Result<(), Malformed> {
        let resource = kind == Some(LockKind::Resource);
        let has = |mode| kind.is_some_and(|kind| kind.has(mode));
        let fits = match step {
            Step::Acquire { mode, .. } => has(mode),
            // There is no documented try of a push lock.
            Step::Try { mode, .. } => has(mode) && kind != Some(LockKind::PushLock),
            Step::Release { .. } => true,
            Step::EnterAcquire { mode, .. } => resource && mode != Mode::SharedStarveExclusive,
            _ => resource,
        };
        if !fits {
            return fail(Malformation::Lock, at + 2);
        }
        match step {
            Step::Try { milliseconds, .. }
                if milliseconds != 0 && kind != Some(LockKind::Mutex) =>
            {
                fail(Malformation::Range, at + 8)
            }
            Step::ReleaseFor { lane, .. } if lane >= self.tables.lanes => {
                fail(Malformation::Index, at + 3)
            }
            _ => Ok(()),
        }
    }
}
