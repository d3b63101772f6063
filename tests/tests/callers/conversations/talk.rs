//! A hostile thread at work.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use apclab_host::{File, HostError, Pending, UserEvent, UserRef, UserThread};
use apclab_protocol::build::ProgramBuf;
use apclab_protocol::call::{CallReply, CallRequest, HoldRequest};
use apclab_protocol::ioctl;
use apclab_protocol::limits;
use apclab_protocol::message::{LoadReply, PageRequest, Reply, RunReply, RunRequest};
use apclab_protocol::status::{self, NtStatus};
use apclab_protocol::step::Step;
use apclab_tests::{Handle, bounds, request};
use proptest::sample::Index;

use super::moves::{Move, Named, Which};

/// What the I/O manager says to a handle that is closed: STATUS_INVALID_HANDLE.
const INVALID_HANDLE: NtStatus = 0xC000_0008_u32.cast_signed();

/// What all threads of a conversation know.
pub(super) struct World {
    pub(super) handles: Vec<Handle>,
    pub(super) program: ProgramBuf,
    /// The last one that was loaded.
    pub(super) session: AtomicU32,
    pub(super) users: OnceLock<Vec<UserRef>>,
    /// What should not have been.
    pub(super) wrong: Mutex<Vec<String>>,
}

/// A thread in a conversation.
struct Talk<'t> {
    world: &'t World,
    user: &'t UserThread<'t>,
    pending: Vec<(Pending, UserEvent)>,
}

/// How far a thread came: the machine may have been switched off.
pub(super) type Talked<T> = Result<T, HostError>;

/// Nothing comes of what is done to, or by, a thread that has ended.
pub(super) fn ended_or(result: Talked<()>) -> Talked<()> {
    match result {
        Err(HostError::ThreadEnded) => Ok(()),
        result => result,
    }
}

impl World {
    pub(super) fn wrong(&self, what: String) {
        self.wrong.lock().unwrap().push(what);
    }

    /// Each status is one of the driver's, or of the I/O manager's, and an error gives no bytes.
    fn look(&self, code: u32, status: NtStatus, written: usize, room: usize) {
        let known = status != status::PENDING
            && (status::name(status).is_some() || status == INVALID_HANDLE);
        if !known || written > room || (status::is_error(status) && written != 0) {
            self.wrong(format!(
                "{code:#x}: {status:#x}, {written} bytes for {room}"
            ));
        }
    }

    fn session(&self) -> u32 {
        self.session.load(Ordering::Relaxed)
    }

    fn user(&self, which: Index) -> Option<&UserRef> {
        let users = self.users.get()?;
        Some(which.get(users))
    }
}

impl Talk<'_> {
    fn ioctl(&self, file: &File, code: u32, input: &[u8], room: usize) -> Talked<Vec<u8>> {
        let mut output = vec![0xEE; room];
        let completion = self.user.ioctl(file, code, input, &mut output)?;
        let (status, written) = (completion.status, completion.information);
        self.world.look(code, status, written, room);
        output.truncate(written);
        Ok(output)
    }

    /// A request that may stay pending.
    fn start(
        &mut self,
        file: &File,
        code: u32,
        input: &[u8],
        room: usize,
        event: UserEvent,
    ) -> Talked<()> {
        let pending = self.user.start_ioctl(file, code, input, room, &event)?;
        match pending.done()? {
            Some((completion, _)) => {
                self.world
                    .look(code, completion.status, completion.information, room);
            }
            None => self.pending.push((pending, event)),
        }
        Ok(())
    }

    fn call(
        &self,
        file: &File,
        body: &CallRequest,
        missing: (usize, usize),
    ) -> Talked<Option<CallReply>> {
        let input = request(self.world.session(), &body.encode());
        let input = &input[..input.len().saturating_sub(missing.0)];
        let room = CallReply::SIZE.saturating_sub(missing.1);
        Ok(CallReply::decode(&self.ioctl(
            file,
            ioctl::CALL,
            input,
            room,
        )?))
    }

    /// All calls of a lane as a client makes them.
    fn lane(&self, file: &File, lane: u8) -> Talked<()> {
        let mut registers = [0; limits::REGISTERS];
        let steps = self.world.program.lanes.get(usize::from(lane));
        for (index, step) in (0..).zip(steps.into_iter().flatten()) {
            if !matches!(step, Step::Call { .. }) {
                continue;
            }
            let step = Some(index);
            let body = CallRequest {
                lane,
                step,
                registers,
            };
            match self.call(file, &body, (0, 0))? {
                Some(reply) if !reply.halted => registers = reply.registers,
                _ => break,
            }
        }
        let step = None;
        let body = CallRequest {
            lane,
            step,
            registers,
        };
        self.call(file, &body, (0, 0)).map(drop)
    }

    fn hold(&mut self, file: &File, apc: u8, named: &Named) -> Talked<()> {
        let event = self.user.create_event()?;
        let other = self.user.create_event()?;
        let number = match named {
            Named::Own => event.handle(),
            Named::Another | Named::Closed => other.handle(),
            Named::Nothing(number) => *number,
        };
        if let Named::Closed = named {
            drop(other);
        }
        let body = HoldRequest { apc, event: number }.encode();
        let input = request(self.world.session(), &body);
        self.start(file, ioctl::HOLD, &input, 0, event)
    }

    /// The index of a step as a move means it.
    fn step(&self, lane: u8, step: &Which) -> Option<u32> {
        match step {
            Which::Done => None,
            Which::Any(step) => Some(*step),
            Which::Call(which) => {
                let steps = self.world.program.lanes.get(usize::from(lane))?;
                let calls = (0..).zip(steps);
                let calls: Vec<u32> = calls
                    .filter(|(_, step)| matches!(step, Step::Call { .. }))
                    .map(|(index, _)| index)
                    .collect();
                (!calls.is_empty()).then(|| *which.get(&calls))
            }
        }
    }

    fn load(&self, file: &File, fresh: bool, change: Option<&(Index, u8)>) -> Talked<()> {
        let mut bytes = self.world.program.encode();
        if let Some((at, value)) = change {
            let at = at.index(bytes.len());
            bytes[at] = *value;
        }
        let session = if fresh { 0 } else { self.world.session() };
        let input = request(session, &bytes);
        let output = self.ioctl(file, ioctl::LOAD, &input, LoadReply::SIZE)?;
        if let Some(reply) = LoadReply::decode(&output)
            && reply.session != 0
        {
            self.world.session.store(reply.session, Ordering::Relaxed);
        }
        Ok(())
    }

    fn suspend(&self, who: &UserRef, micros: Option<u64>) -> Talked<()> {
        ended_or(self.user.suspend(who).map(drop))?;
        if let Some(micros) = micros {
            std::thread::sleep(Duration::from_micros(micros));
            self.resume(who)?;
        }
        Ok(())
    }

    fn resume(&self, who: &UserRef) -> Talked<()> {
        ended_or(self.user.resume(who).map(drop))
    }

    fn one(&mut self, handle: usize, next: &Move) -> Talked<()> {
        let world = self.world;
        let file = &world.handles[handle].file;
        let session = world.session();
        match next {
            Move::Load { fresh, change } => self.load(file, *fresh, change.as_ref())?,
            Move::Run {
                iterations,
                deadline_ms,
                wait_deadline_ms,
            } => {
                let bounds = RunRequest {
                    iterations: *iterations,
                    deadline_ms: *deadline_ms,
                    wait_deadline_ms: *wait_deadline_ms,
                    ..bounds(1)
                };
                let input = request(session, &bounds.encode());
                let event = self.user.create_event()?;
                self.start(file, ioctl::RUN, &input, RunReply::SIZE, event)?;
            }
            Move::Call {
                lane,
                step,
                register,
                missing,
            } => {
                let body = CallRequest {
                    lane: *lane,
                    step: self.step(*lane, step),
                    registers: [*register; limits::REGISTERS],
                };
                self.call(file, &body, *missing)?;
            }
            Move::Lane(lane) => self.lane(file, *lane)?,
            Move::Hold { apc, event } => self.hold(file, *apc, event)?,
            Move::Withdraw(which) if !self.pending.is_empty() => {
                self.user.cancel(&which.get(&self.pending).0)?;
            }
            Move::Await(which, ms) if !self.pending.is_empty() => {
                let (pending, event) = which.get(&self.pending);
                if self.user.wait(event, Duration::from_millis(*ms))? && pending.done()?.is_none() {
                    world.wrong("an event is signaled ahead of its request".to_owned());
                }
            }
            Move::Withdraw(_) | Move::Await(..) => {}
            Move::Cancel => {
                self.ioctl(file, ioctl::CANCEL, &request(session, &[]), 0)?;
            }
            Move::Page(code) => {
                let input = match *code {
                    ioctl::QUERY => request(0, &[]),
                    _ => request(session, &PageRequest { first: 0 }.encode()),
                };
                self.ioctl(file, *code, &input, 4096)?;
            }
            Move::Bytes(code, bytes, room) => {
                let event = self.user.create_event()?;
                self.start(file, *code, bytes, *room, event)?;
            }
            Move::Close => file.close_handle()?,
            Move::WithdrawAll => self.user.cancel_all(file)?,
            Move::Terminate(who) => {
                if let Some(who) = world.user(*who) {
                    // When that has ended nothing has happened.
                    ended_or(self.user.terminate(who))?;
                }
            }
            Move::Suspend(who, micros) => {
                if let Some(who) = world.user(*who) {
                    self.suspend(who, *micros)?;
                }
            }
            Move::Resume(who) => {
                if let Some(who) = world.user(*who) {
                    self.resume(who)?;
                }
            }
            Move::Queue(who, special) => {
                if let Some(who) = world.user(*who) {
                    self.user.queue_apc(who, *special, Arc::new(|| ()))?;
                }
            }
            Move::Sleep(ms, alertable) => drop(self.user.sleep(*ms, *alertable)?),
        }
        Ok(())
    }
}

pub(super) fn talk(world: &World, user: &UserThread<'_>, moves: &[(usize, Move)]) -> Talked<()> {
    let pending = Vec::new();
    let mut talk = Talk {
        world,
        user,
        pending,
    };
    for (handle, next) in moves {
        talk.one(*handle, next)?;
    }
    Ok(())
}
