//! The thread of one caller lane.
#![allow(unsafe_code, reason = "the counters of user APCs outlive their queue")]

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use apclab_critical_section::RawCriticalSection;
use apclab_protocol::call::{CallReply, Registers};
use apclab_protocol::ioctl;
use apclab_protocol::message::Reply;
use apclab_protocol::program::{Apc, ApcKind};
use apclab_protocol::status;

use super::board::{Board, Driver, Trouble, Work};
use super::threads;
use crate::TargetError;
use crate::callers::{Called, Lane, User};
use crate::session::{call_request, hold_request};
use crate::windows::handle::no_request;
use crate::windows::transfer::{Begun, Transfer, Waited};

/// How long requests and user APCs may take when the iteration is over.
const SETTLE: Duration = Duration::from_secs(5);

/// What one thread needs, made ahead of it: it allocates nothing while it executes its lane.
pub(super) struct Member<D: 'static> {
    board: Arc<Board<D>>,
    lane: u8,
    call: Transfer,
    /// By APC; nothing where one is no completion of this lane.
    holds: Vec<Option<Transfer>>,
}

impl<D: Driver> Member<D> {
    pub(super) fn new(board: &Arc<Board<D>>, lane: u8) -> Result<Self, TargetError> {
        let request = call_request(board.session, lane, None, &Registers::default());
        let call = Transfer::new(&request, CallReply::SIZE).map_err(no_request)?;
        let hold = |(index, apc): (usize, &Apc)| {
            let own = apc.kind == ApcKind::Completion && apc.lane == lane;
            own.then(|| {
                let mut transfer = Transfer::new(&hold_request(board.session, 0, 0), 0)?;
                let event = transfer.event().expose_provenance() as u64;
                let apc = u8::try_from(index).unwrap_or(u8::MAX);
                let request = hold_request(board.session, apc, event);
                transfer.input().copy_from_slice(&request);
                Ok(transfer)
            })
            .transpose()
        };
        let holds = board.program.apcs.iter().enumerate().map(hold);
        Ok(Self {
            call,
            holds: holds.collect::<Result<_, _>>().map_err(no_request)?,
            board: Arc::clone(board),
            lane,
        })
    }

    /// The life of the thread.
    pub(super) fn live(mut self) {
        let board = Arc::clone(&self.board);
        let index = usize::from(self.lane);
        let steps = board.program.lanes.get(index).cloned();
        let mut lane = Lane::new(steps.unwrap_or_default());
        let Some(desk) = board.desks.get(index).and_then(Option::as_ref) else {
            return;
        };
        loop {
            desk.parked.set();
            desk.go.wait(None);
            let done = match board.work() {
                Work::Iterate => lane.execute(&mut self),
                Work::Settle => self.settle(),
                Work::Quit => return,
            };
            if let Err(trouble) = done {
                desk.note(trouble);
            }
        }
    }

    /// Waits for the requests that the lane has started, and for the user APCs that are queued to it.
    fn settle(&mut self) -> Result<(), Trouble> {
        for hold in self.holds.iter_mut().flatten().filter(|it| it.pending()) {
            if hold.wait(None, Some(SETTLE)) == Waited::TooLate {
                return Err(Trouble::Late("a held request"));
            }
        }
        let started = Instant::now();
        while self.queued() {
            if started.elapsed() > SETTLE {
                return Err(Trouble::Late("a user APC"));
            }
            threads::sleep(0, true);
        }
        Ok(())
    }

    /// Whether a user APC is queued to this thread.
    fn queued(&self) -> bool {
        let board = &*self.board;
        let counters = board.queued.iter().zip(&board.ran);
        board
            .program
            .apcs
            .iter()
            .zip(counters)
            .filter(|(apc, _)| apc.lane == self.lane)
            .any(|(_, (queued, ran))| queued.load(Ordering::SeqCst) > ran.load(Ordering::SeqCst))
    }

    fn apc(&self, apc: u8) -> Result<Apc, Trouble> {
        let found = self.board.program.apcs.get(usize::from(apc));
        found.copied().ok_or(Trouble::Missing("such APC"))
    }

    fn section(&self, section: u8) -> Result<&RawCriticalSection, Trouble> {
        let found = self.board.sections.get(usize::from(section));
        found
            .and_then(Option::as_ref)
            .ok_or(Trouble::Missing("such critical section"))
    }

    /// Sends the lane's call and waits until it comes back.
    fn request(&mut self, step: Option<u32>, registers: &Registers) -> Result<CallReply, Trouble> {
        const OPERATION: &str = "call";
        let request = call_request(self.board.session, self.lane, step, registers);
        let input = self.call.input();
        if input.len() != request.len() {
            return Err(Trouble::Reply(OPERATION, "the last one has not come back"));
        }
        input.copy_from_slice(&request);
        let completion = match self.board.driver.begin(&mut self.call, ioctl::CALL) {
            Begun::Ended(completion) => completion,
            // Whoever ends the iteration cancels it.
            Begun::Pending => match self.call.wait(None, None) {
                Waited::Completed(completion) => completion,
                Waited::Stopped | Waited::TooLate => return Err(Trouble::Late("a call")),
            },
        };
        if completion.status != status::SUCCESS {
            return Err(Trouble::Ioctl(OPERATION, completion.status));
        }
        CallReply::decode(self.call.output(completion))
            .ok_or(Trouble::Reply(OPERATION, "it is too short"))
    }
}

impl<D: Driver> User for Member<D> {
    type Error = Trouble;

    fn over(&self) -> bool {
        self.board.over()
    }

    fn call(&mut self, step: u32, registers: &mut Registers) -> Result<Called, Trouble> {
        let reply = self.request(Some(step), registers)?;
        *registers = reply.registers;
        Ok(if reply.halted {
            Called::Halted
        } else {
            Called::Done
        })
    }

    fn done(&mut self, registers: &Registers) -> Result<(), Trouble> {
        self.request(None, registers).map(drop)
    }

    fn sleep(&mut self, milliseconds: u32, alertable: bool) -> Result<i64, Trouble> {
        Ok(threads::sleep(milliseconds, alertable))
    }

    fn queue(&mut self, apc: u8) -> Result<bool, Trouble> {
        let Apc { kind, lane } = self.apc(apc)?;
        let board = &*self.board;
        let index = usize::from(apc);
        let thread = board.thread(lane).ok_or(Trouble::Missing("such thread"))?;
        let missing = Trouble::Missing("such APC");
        let queued = board.queued.get(index).ok_or(missing)?;
        let ran = board.ran.get(index).ok_or(missing)?;
        let special = match kind {
            ApcKind::SpecialUser => Some(
                board
                    .special
                    .ok_or(Trouble::Missing("routine QueueUserAPC2"))?,
            ),
            _ => None,
        };
        // First, so that never more have run than were queued.
        queued.fetch_add(1, Ordering::SeqCst);
        // SAFETY: the board stays where it is until the threads of all lanes have ended: the crew keeps it
        // until then, and where it cannot wait any longer, for ever.
        let answer = unsafe { threads::queue(thread, ran, special) };
        answer.map(|()| true).map_err(|error| {
            queued.fetch_sub(1, Ordering::SeqCst);
            Trouble::System("QueueUserAPC", error)
        })
    }

    fn ran(&mut self, apc: u8) -> Result<i64, Trouble> {
        let ran = self.board.ran.get(usize::from(apc));
        let ran = ran.ok_or(Trouble::Missing("such APC"))?;
        Ok(ran.load(Ordering::SeqCst).into())
    }

    fn start(&mut self, apc: u8) -> Result<(), Trouble> {
        const OPERATION: &str = "hold";
        let hold = self.holds.get_mut(usize::from(apc));
        let hold = hold
            .and_then(Option::as_mut)
            .ok_or(Trouble::Missing("such completion"))?;
        match self.board.driver.begin(hold, ioctl::HOLD) {
            Begun::Pending => Ok(()),
            // Somebody may have completed it already.
            Begun::Ended(completion) if completion.status == status::SUCCESS => Ok(()),
            Begun::Ended(completion) => Err(Trouble::Ioctl(OPERATION, completion.status)),
        }
    }

    fn suspend(&mut self, lane: u8) -> Result<u32, Trouble> {
        let thread = self.board.thread(lane);
        let thread = thread.ok_or(Trouble::Missing("such thread"))?;
        threads::suspend(thread).map_err(|error| Trouble::System("SuspendThread", error))
    }

    fn resume(&mut self, lane: u8) -> Result<u32, Trouble> {
        let thread = self.board.thread(lane);
        let thread = thread.ok_or(Trouble::Missing("such thread"))?;
        threads::resume(thread).map_err(|error| Trouble::System("ResumeThread", error))
    }

    fn enter(&mut self, section: u8) -> Result<(), Trouble> {
        let entered = self.section(section)?.enter();
        entered.map(drop).map_err(Trouble::Enter)
    }

    fn try_enter(&mut self, section: u8) -> Result<bool, Trouble> {
        let entered = self.section(section)?.try_enter();
        entered.map(|depth| depth.is_some()).map_err(Trouble::Enter)
    }

    fn leave(&mut self, section: u8) -> Result<(), Trouble> {
        let left = self.section(section)?.leave();
        left.map(drop)
            .map_err(|_| Trouble::Missing("critical section to leave"))
    }
}
