//! The thread of one caller lane.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use apclab_host::{CriticalSection, HostError, Pending, UserEvent, UserRef, UserThread};
use apclab_protocol::call::{CallReply, Registers};
use apclab_protocol::message::Reply;
use apclab_protocol::program::ApcKind;
use apclab_protocol::step::{Step, answer};
use apclab_protocol::{ioctl, limits, status};

use super::{Board, GATHER, Trouble, longer};
use crate::TargetError;
use crate::callers::{Called, Lane, User};
use crate::host::machine::CANCEL_DEADLINE;
use crate::session::{call_request, hold_request};

fn missing(what: &str) -> Trouble {
    Trouble::Target(TargetError::Failed(format!("a caller lane has no {what}")))
}

/// The life of a lane's thread.
pub(super) fn live(
    thread: &UserThread<'_>,
    board: Arc<Board>,
    lane: u8,
    steps: Vec<Step>,
) -> Result<(), Trouble> {
    thread.wait(&board.go, longer(&board.program, GATHER))?;
    let mut member = Member {
        thread,
        board,
        lane,
        holds: Vec::new(),
    };
    let executed = Lane::new(steps).execute(&mut member);
    // Others may still suspend it, and queue APCs to it.
    let board = &member.board;
    let longest = Duration::from_millis(limits::RUN_DEADLINE_MS.into()) * 2;
    board.note(thread.wait(&board.end, longest).map_err(Trouble::from));
    for (event, _) in &member.holds {
        thread.wait(event, longer(&board.program, CANCEL_DEADLINE))?;
    }
    executed
}

/// The world of a lane's thread.
struct Member<'a> {
    thread: &'a UserThread<'a>,
    board: Arc<Board>,
    lane: u8,
    /// The requests that it has started.
    holds: Vec<(UserEvent, Pending)>,
}

impl Member<'_> {
    fn lane(&self, lane: u8) -> Result<&UserRef, Trouble> {
        let lanes = self.board.lanes.get();
        let found = lanes.and_then(|lanes| lanes.get(usize::from(lane))?.as_ref());
        found.ok_or_else(|| missing("such thread"))
    }

    /// A suspend count. When the iteration is over while it is asked for, the thread may have ended.
    fn unless_over(&self, before: Result<u32, HostError>) -> Result<u32, Trouble> {
        match before {
            Err(HostError::ThreadEnded) if self.over() => Ok(0),
            before => Ok(before?),
        }
    }

    fn section(&self, section: u8) -> Result<&CriticalSection, Trouble> {
        let found = self.board.sections.get(usize::from(section));
        found
            .and_then(Option::as_ref)
            .ok_or_else(|| missing("such critical section"))
    }

    fn counter(&self, apc: u8) -> Result<&Arc<AtomicI64>, Trouble> {
        let found = self.board.ran.get(usize::from(apc));
        found.ok_or_else(|| missing("such APC"))
    }

    fn request(&self, step: Option<u32>, registers: &Registers) -> Result<CallReply, Trouble> {
        const OPERATION: &str = "call";
        let input = call_request(self.board.session, self.lane, step, registers);
        let mut output = [0; CallReply::SIZE];
        let file = &self.board.file;
        let done = self.thread.ioctl(file, ioctl::CALL, &input, &mut output)?;
        if done.status != status::SUCCESS {
            return Err(Trouble::Target(TargetError::Ioctl {
                operation: OPERATION,
                status: done.status,
            }));
        }
        let reply = output.get(..done.information).and_then(CallReply::decode);
        reply.ok_or_else(|| {
            Trouble::Target(TargetError::Reply {
                operation: OPERATION,
                what: "it is too short".to_owned(),
            })
        })
    }
}

impl User for Member<'_> {
    type Error = Trouble;

    fn over(&self) -> bool {
        self.board.over.load(Ordering::SeqCst)
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
        Ok(if self.thread.sleep(milliseconds, alertable)? {
            answer::USER_APC
        } else {
            answer::TIMED_OUT
        })
    }

    fn queue(&mut self, apc: u8) -> Result<bool, Trouble> {
        let found = self.board.program.apcs.get(usize::from(apc));
        let found = *found.ok_or_else(|| missing("such APC"))?;
        let counter = Arc::clone(self.counter(apc)?);
        let routine = Arc::new(move || {
            counter.fetch_add(1, Ordering::SeqCst);
        });
        let special = found.kind == ApcKind::SpecialUser;
        let target = self.lane(found.lane)?;
        Ok(self.thread.queue_apc(target, special, routine)?)
    }

    fn ran(&mut self, apc: u8) -> Result<i64, Trouble> {
        self.thread.point()?;
        Ok(self.counter(apc)?.load(Ordering::SeqCst))
    }

    fn start(&mut self, apc: u8) -> Result<(), Trouble> {
        let event = self.thread.create_event()?;
        let input = hold_request(self.board.session, apc, event.handle());
        let file = &self.board.file;
        let hold = self
            .thread
            .start_ioctl(file, ioctl::HOLD, &input, 0, &event)?;
        match hold.done()? {
            // Somebody may have completed it already.
            Some((done, _)) if done.status != status::SUCCESS => {
                Err(Trouble::Target(TargetError::Ioctl {
                    operation: "hold",
                    status: done.status,
                }))
            }
            Some(_) => Ok(()),
            None => {
                self.holds.push((event, hold));
                Ok(())
            }
        }
    }

    fn suspend(&mut self, lane: u8) -> Result<u32, Trouble> {
        let before = self.thread.suspend(self.lane(lane)?);
        self.unless_over(before)
    }

    fn resume(&mut self, lane: u8) -> Result<u32, Trouble> {
        let before = self.thread.resume(self.lane(lane)?);
        self.unless_over(before)
    }

    fn enter(&mut self, section: u8) -> Result<(), Trouble> {
        Ok(self.thread.enter(self.section(section)?)?)
    }

    fn try_enter(&mut self, section: u8) -> Result<bool, Trouble> {
        Ok(self.thread.try_enter(self.section(section)?)?)
    }

    fn leave(&mut self, section: u8) -> Result<(), Trouble> {
        if self.thread.leave(self.section(section)?)? {
            Ok(())
        } else {
            Err(missing("critical section to leave"))
        }
    }
}
