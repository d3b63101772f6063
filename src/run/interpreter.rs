//! Executes the steps of one lane on the guards.
//!
//! Regions are held in a [`RegionStack`] over storage of the lane's: nesting costs no kernel stack,
//! and however the execution ends, dropping the stack leaves every region, innermost first. What
//! raises the IRQL (a raise, a fast or a guarded mutex) and a mutex are closures: the interpreter
//! calls itself for what is inside, at most [`limits::SCOPES`] deep, and gives each such scope a
//! stack of its own for the regions that are entered there. A resource or a push lock is a guard that
//! lives as long as the call for what is inside, and borrows the proof that APCs are disabled.
//!
//! A raw lane keeps what is open as counts instead ([`Raw`]), since it may leave that in any order.

mod locks;
mod resources;
mod waits;

use core::ops::Range;

use apclab_guards::{
    AnyProof, AtMostApcLevel, NotAcquired, Passive, RegionKind, RegionStack, Slot,
};
use apclab_protocol::limits;
use apclab_protocol::program::Place;
use apclab_protocol::step::Step;
use apclab_protocol::trace::{Kind, NO_APC};

use super::delay::Delays;
use super::level::Level;
use super::plain::Plain;
use super::raw::Raw;
use super::state::Run;
use super::trace::What;
use crate::wdm::irp::Irp;

/// The iteration is given up before the lane's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Halted;

/// A block being executed.
#[derive(Clone, Copy)]
struct Block {
    /// Its first step.
    begin: usize,
    /// Its `end`.
    end: usize,
    /// Rounds left after this one.
    left: u32,
}

/// One lane's way through its steps.
pub(crate) struct Interpreter<'r> {
    run: &'r Run,
    lane: usize,
    steps: &'r [Step],
    next: usize,
    blocks: [Block; limits::SCOPES],
    open_blocks: usize,
    /// In a raw lane: what is open.
    raw: Option<Raw<'r>>,
    /// In a call: the request of the thread that executes it.
    request: Option<&'r Irp>,
    delays: &'r mut Delays,
}

/// What ended a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    /// The step that closes it, or the lane's end.
    Closed,
    /// The hand-over of its lock, at that step.
    HandedOver(usize),
}

/// How a scope ended.
type Ended = Result<Left, Halted>;

impl<'r> Interpreter<'r> {
    /// At the first step of a lane.
    pub(crate) fn new(run: &'r Run, lane: usize, delays: &'r mut Delays) -> Self {
        let code = run.program.lanes.get(lane);
        Self {
            run,
            lane,
            steps: code.map_or(&[][..], |code| &code.steps),
            next: 0,
            blocks: [Block {
                begin: 0,
                end: 0,
                left: 0,
            }; limits::SCOPES],
            open_blocks: 0,
            raw: code.is_some_and(|code| code.raw).then(|| Raw::new(run)),
            request: None,
            delays,
        }
    }

    /// At the first step of a call of a caller lane, whose steps these are; `request` is the one that asks
    /// for it.
    pub(crate) fn of_call(
        run: &'r Run,
        lane: usize,
        block: Range<usize>,
        request: &'r Irp,
        delays: &'r mut Delays,
    ) -> Self {
        let mut call = Self::new(run, lane, delays);
        call.next = block.start;
        call.steps = call.steps.get(..block.end).unwrap_or_default();
        call.request = Some(request);
        call
    }

    /// Executes the lane. Whatever it gives, the thread is outside every region that it entered, has
    /// no lock that it acquired, and is at PASSIVE_LEVEL again.
    ///
    /// # Errors
    /// [`Halted`]: the run was cancelled, or a wait hit its deadline.
    pub(crate) fn execute(&mut self, irql: &mut Passive, slots: &mut [Slot]) -> Result<(), Halted> {
        let ended = self.scope(irql, slots, None).map(drop);
        if let Some(raw) = &mut self.raw {
            raw.leave_all(irql);
        }
        ended
    }

    /// Executes steps up to the one that ends this scope: a lower, a release, a hand-over, or the lane's
    /// end. `outer` is the proof that what surrounds the scope keeps normal kernel APCs out, if it does.
    fn scope<L: Level>(
        &mut self,
        irql: &mut L,
        slots: &mut [Slot],
        outer: Option<&AnyProof>,
    ) -> Ended {
        let ended = self.steps(irql, slots, outer);
        if ended.is_err()
            && let Some(raw) = &mut self.raw
        {
            // What a raw lane holds may rest on the IRQL of this scope alone, which falls with it.
            raw.release_shared(irql);
        }
        ended
    }

    fn steps<L: Level>(
        &mut self,
        irql: &mut L,
        slots: &mut [Slot],
        outer: Option<&AnyProof>,
    ) -> Ended {
        let mut regions = RegionStack::new(slots);
        while let Some((index, step)) = self.take()? {
            self.note(irql, Kind::Step, index, 0);
            let value = match step {
                Step::Lower => return Ok(Left::Closed),
                Step::Release { lock } => {
                    if !self.release_raw(lock, irql) {
                        return Ok(Left::Closed);
                    }
                    0
                }
                Step::ReleaseLeave { lock } => match &mut self.raw {
                    Some(raw) => raw.release_leave(lock, irql).map(|()| 0)?,
                    None => return Ok(Left::Closed),
                },
                Step::HandOver { lock } => match &mut self.raw {
                    Some(raw) => raw.hand_over(lock, self.lane, irql).map(|()| 0)?,
                    None => return Ok(Left::HandedOver(index)),
                },
                Step::RaiseApc => {
                    let inner = regions.spare();
                    irql.raise(|irql| self.scope(irql, inner, None))
                        .ok_or(Halted)??;
                    0
                }
                Step::Acquire { .. } | Step::EnterAcquire { .. } | Step::Try { .. } => {
                    let (irql, level) = irql.parts();
                    let (open, inner) = regions.parts();
                    self.lock_step(index, step, irql, inner, open.or(outer).or(level))?
                }
                Step::ReleaseFor { lock, lane, to } => {
                    let (irql, level) = irql.parts();
                    let (open, _) = regions.parts();
                    let proof = open.or(outer).or(level).ok_or(Halted);
                    self.release_for(lock, lane, to, irql, proof)?
                }
                Step::Convert { lock } => self.convert(lock, irql)?,
                Step::Reinitialize { lock } => self.reinitialize(lock, irql)?,
                Step::Repeat { count, length } => {
                    self.begin(Self::block(index, length, count))?;
                    0
                }
                Step::End => {
                    self.end(index);
                    0
                }
                Step::EnterCritical => self.enter(RegionKind::Critical, irql, &mut regions)?,
                Step::EnterGuarded => self.enter(RegionKind::Guarded, irql, &mut regions)?,
                Step::LeaveCritical => self.leave(RegionKind::Critical, &mut regions)?,
                Step::LeaveGuarded => self.leave(RegionKind::Guarded, &mut regions)?,
                Step::Barrier => self.barrier(irql.passive().ok_or(Halted)?)?,
                Step::Wait { event } => self.wait(irql, event)?,
                Step::WaitFor {
                    event,
                    to,
                    milliseconds,
                } => self.wait_for(irql, event, to, milliseconds)?,
                Step::WaitAs {
                    event,
                    to,
                    milliseconds,
                    mode,
                } => self.wait_as(irql, event, to, milliseconds, mode)?,
                // Not among these: the steps of user mode, which a lane's own thread never executes here.
                step => Plain {
                    run: self.run,
                    lane: self.lane,
                    place: self.place(),
                }
                .step(step, index, irql)
                .ok_or(Halted)?,
            };
            self.note(irql, Kind::Done, index, value);
        }
        Ok(Left::Closed)
    }

    /// The next step, unless the iteration is given up.
    fn take(&mut self) -> Result<Option<(usize, Step)>, Halted> {
        if self.run.halted() {
            return Err(Halted);
        }
        if self.request.is_some_and(|request| request.abandoned()) {
            self.run.control.cancel();
            return Err(Halted);
        }
        self.delays.spin();
        let index = self.next;
        self.next += 1;
        Ok(self.steps.get(index).map(|step| (index, *step)))
    }

    fn place(&self) -> Place {
        Place::Lane(u8::try_from(self.lane).unwrap_or(u8::MAX))
    }

    fn note(&self, irql: &impl AtMostApcLevel, kind: Kind, index: usize, value: i64) {
        let step = u32::try_from(index).unwrap_or(u32::MAX);
        self.run.trace.write(
            self.lane,
            irql,
            What {
                kind,
                step,
                apc: NO_APC,
                value,
            },
        );
    }

    fn answer(&self, to: u8, value: impl Into<i64>) -> i64 {
        let value = value.into();
        self.run.set_register(self.place(), to.into(), value);
        value
    }

    fn enter(
        &mut self,
        kind: RegionKind,
        irql: &impl AtMostApcLevel,
        regions: &mut RegionStack<'_>,
    ) -> Result<i64, Halted> {
        match &mut self.raw {
            Some(raw) => raw.enter(kind, irql),
            None => regions.enter(kind, irql).map_err(|_| Halted)?,
        }
        Ok(0)
    }

    /// The verifier has seen to it that each leave meets its enter; one that does not gives the
    /// iteration up.
    fn leave(&mut self, kind: RegionKind, regions: &mut RegionStack<'_>) -> Result<i64, Halted> {
        let left = match &mut self.raw {
            Some(raw) => raw.leave(kind).then_some(kind),
            None => regions.leave(),
        };
        if left == Some(kind) {
            Ok(0)
        } else {
            Err(Halted)
        }
    }

    fn block(begin: usize, length: u32, rounds: u32) -> Block {
        let first = begin.saturating_add(1);
        Block {
            begin: first,
            end: first.saturating_add(length as usize),
            left: rounds.saturating_sub(1),
        }
    }

    fn begin(&mut self, block: Block) -> Result<(), Halted> {
        *self.blocks.get_mut(self.open_blocks).ok_or(Halted)? = block;
        self.open_blocks += 1;
        Ok(())
    }

    /// At the `end` of the innermost block: another round, or past it.
    fn end(&mut self, index: usize) {
        let Some(top) = self.open_blocks.checked_sub(1) else {
            return;
        };
        match self.blocks.get_mut(top) {
            Some(block) if block.end == index && block.left > 0 => {
                block.left -= 1;
                self.next = block.begin;
            }
            Some(block) if block.end == index => self.open_blocks = top,
            _ => {}
        }
    }
}

/// What came of a wait for a mutex: the result of what was done with it, or `false` for a time-out.
pub(crate) fn owned(ended: Result<Result<bool, Halted>, NotAcquired>) -> Result<bool, Halted> {
    match ended {
        Ok(ended) => ended,
        Err(NotAcquired::TimedOut) => Ok(false),
        Err(_) => Err(Halted),
    }
}
