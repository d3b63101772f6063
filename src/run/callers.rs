//! Caller lanes: lanes whose thread is one of user mode, which asks for each of its calls.
//!
//! To the run a caller lane is the thread of the driver's that stands in for it: it meets the other lanes at
//! the end of the iteration as they do, and waits until then for what the lane's own thread says. What both
//! touch is this module's, and one word decides between them:
//!
//! | state | is left by |
//! |---|---|
//! | idle | a call that claims the lane (busy), or the stand-in of a halted run (closed) |
//! | busy | the call that has claimed it (idle, or done), or the stand-in whose patience is over (closed) |
//! | done, closed | nobody |
//!
//! So two calls of one lane are never under way at the same time, and none begins once the lane's end has
//! been seen. A call that the stand-in has left behind, because its thread is suspended, keeps the run by a
//! clone of its own, holds no lock and is in no region (in those a thread is not suspended), and finds the run
//! halted before its next step: [`Run::close`] lets nobody go on.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use apclab_guards::{Passive, Slot};
use apclab_protocol::call::{CallReply, CallRequest};
use apclab_protocol::limits;
use apclab_protocol::message::{Context, RunRequest};
use apclab_protocol::program::Place;
use apclab_protocol::status::{IN_USE, INVALID_PARAMETER, NtStatus, OUT_OF_SEQUENCE};
use apclab_protocol::trace::{Kind, NO_APC, NO_STEP};

use super::delay::Delays;
use super::interpreter::Interpreter;
use super::program::Loaded;
use super::state::Run;
use super::trace::What;
use crate::nt::clock::Ticks;
use crate::nt::event::{Event, Events, SYNCHRONIZATION, wait, wait_either};
use crate::nt::memory::try_vec;
use crate::nt::spin_lock::SpinLock;
use crate::nt::try_lock::TryLock;
use crate::wdm::irp::{Irp, Look};

/// How long a stand-in that has given the iteration up sleeps before it looks at the clock again.
const SLICE_MS: u32 = 250;

const IDLE: u32 = 0;
const BUSY: u32 = 1;
const DONE: u32 = 2;
const CLOSED: u32 = 3;

/// What the calls of one lane work with, one after the other.
struct Room {
    slots: Vec<Slot>,
    delays: Delays,
}

/// One caller lane.
struct Caller {
    state: AtomicU32,
    /// Whether any call has come.
    begun: AtomicBool,
    /// Signaled when a call has ended.
    ended: Events,
    /// The request of the call that is under way.
    request: SpinLock<Option<Look>>,
    room: TryLock<Room>,
}

/// The caller lanes of a run.
pub(crate) struct Callers {
    /// For each lane of the program, which may be no caller.
    lanes: Vec<Option<Caller>>,
}

/// A lane that a call has claimed.
struct Claim<'c> {
    caller: &'c Caller,
    /// The lane's state when the call has ended.
    after: u32,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.caller.request.with(|request| *request = None);
        // A lane that its stand-in has closed in the meantime stays closed.
        let _ = self.caller.state.compare_exchange(
            BUSY,
            self.after,
            Ordering::AcqRel,
            Ordering::Acquire,
        );
        if let Some(ended) = self.caller.ended() {
            ended.set();
        }
    }
}

impl Caller {
    fn try_new(program: &Loaded, request: &RunRequest, lane: usize) -> Result<Self, NtStatus> {
        Ok(Self {
            state: AtomicU32::new(IDLE),
            begun: AtomicBool::new(false),
            ended: Events::try_new(1, |_| SYNCHRONIZATION)?,
            request: SpinLock::new(None),
            room: TryLock::new(Room {
                slots: program.region_slots()?,
                delays: Delays::new(request, lane),
            }),
        })
    }

    fn ended(&self) -> Option<&Event> {
        self.ended.get(0)
    }

    fn state(&self) -> u32 {
        self.state.load(Ordering::Acquire)
    }

    /// Closes the lane if no call of it is under way; whether it takes no call any more.
    fn close(&self) -> bool {
        let closed = self
            .state
            .compare_exchange(IDLE, CLOSED, Ordering::AcqRel, Ordering::Acquire);
        !matches!(closed, Err(BUSY))
    }

    /// Claims the lane for a call.
    #[allow(unsafe_code, reason = "lets the stand-in look at the request")]
    fn claim<'c>(&'c self, irp: &'c Irp) -> Result<Claim<'c>, NtStatus> {
        self.state
            .compare_exchange(IDLE, BUSY, Ordering::AcqRel, Ordering::Acquire)
            .map_err(|state| {
                if state == BUSY {
                    IN_USE
                } else {
                    OUT_OF_SEQUENCE
                }
            })?;
        // SAFETY: the claim borrows the IRP, so that it is dropped, and the look with it, before anybody
        // completes the IRP.
        let look = unsafe { irp.look() };
        self.request.with(|request| *request = Some(look));
        Ok(Claim {
            caller: self,
            after: IDLE,
        })
    }

    /// Whether the request of the call that is under way, if one is, is as wanted.
    fn under_way(&self, wanted: impl FnOnce(&Look) -> bool) -> bool {
        self.request
            .with(|request| request.as_ref().is_some_and(wanted))
    }
}

impl Callers {
    /// The caller lanes of a program: nothing when it has none.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    pub(crate) fn try_new(program: &Loaded, request: &RunRequest) -> Result<Self, NtStatus> {
        let mut lanes = try_vec(program.lanes.len(), |_| None)?;
        for (lane, (place, code)) in lanes.iter_mut().zip(&program.lanes).enumerate() {
            if code.caller {
                *place = Some(Caller::try_new(program, request, lane)?);
            }
        }
        Ok(Self { lanes })
    }

    fn get(&self, lane: usize) -> Option<&Caller> {
        self.lanes.get(lane)?.as_ref()
    }

    /// Whether a lane is a caller.
    pub(crate) fn is(&self, lane: usize) -> bool {
        self.get(lane).is_some()
    }

    /// Whether the request of a call that is under way was cancelled, or its thread is terminating.
    pub(crate) fn abandoned(&self) -> bool {
        let mut callers = self.lanes.iter().flatten();
        callers.any(|caller| caller.under_way(Look::abandoned))
    }

    /// Whether a call is under way that came through a file object.
    pub(crate) fn through(&self, file: usize) -> bool {
        let mut callers = self.lanes.iter().flatten();
        callers.any(|caller| caller.under_way(|request| request.file() == file))
    }

    /// Lets no further call begin. One that is under way ends by itself: the run is halted.
    pub(crate) fn close(&self) {
        for caller in self.lanes.iter().flatten() {
            caller.close();
        }
    }

    /// Executes one call of a lane in the thread that asks for it, or notes that the lane is done.
    ///
    /// `entered` is where user mode has left the thread; the calls' own steps are relative to it.
    ///
    /// # Errors
    /// [`INVALID_PARAMETER`]: the lane is no caller, or the step is no `call`. [`IN_USE`]: another call of
    /// the lane is under way. [`OUT_OF_SEQUENCE`]: the lane is done.
    pub(crate) fn call(
        &self,
        run: &Run,
        irp: &Irp,
        request: &CallRequest,
        entered: Context,
        irql: &mut Passive,
    ) -> Result<CallReply, NtStatus> {
        let lane = usize::from(request.lane);
        let caller = self.get(lane).ok_or(INVALID_PARAMETER)?;
        let block = request
            .step
            .map(|step| run.program.call(lane, step).ok_or(INVALID_PARAMETER))
            .transpose()?;
        let mut claim = caller.claim(irp)?;
        if !caller.begun.swap(true, Ordering::AcqRel) {
            run.set_baseline(lane, entered);
            note(run, lane, irql, Kind::Begin);
        }
        let place = Place::Lane(request.lane);
        for (register, value) in request.registers.iter().enumerate() {
            run.set_register(place, register, *value);
        }
        let halted = match block {
            None => {
                note(run, lane, irql, Kind::End);
                claim.after = DONE;
                run.halted()
            }
            Some(block) => {
                let executed = caller.room.with(|Room { slots, delays }| {
                    Interpreter::of_call(run, lane, block, irp, delays).execute(irql, slots)
                });
                executed.ok_or(IN_USE)?.is_err()
            }
        };
        Ok(CallReply {
            halted,
            context: entered,
            registers: core::array::from_fn(|register| run.register(place, register)),
        })
    }

    /// What the thread that stands in for a caller lane does in an iteration: waits until the lane is done, or
    /// until the run gives the iteration up, at its deadline at the latest.
    pub(crate) fn stand_in(&self, run: &Run, lane: usize, irql: &Passive) {
        let Some(caller) = self.get(lane) else {
            return;
        };
        while caller.state() != DONE && !run.halted() {
            let left = run.remaining_ms();
            if left == 0 {
                run.iteration_timed_out();
                break;
            }
            if let (Some(ended), Some(stop)) = (caller.ended(), run.control.stop()) {
                wait_either(ended, stop, left, irql);
            }
        }
        caller.await_end(run.frequency(), irql);
    }
}

impl Caller {
    /// Waits for the call that is under way, if one is, and takes no further one. Gives the call up when it
    /// has not ended in the time that its longest wait could take: its thread is suspended.
    fn await_end(&self, frequency: u64, irql: &Passive) {
        let grace = u64::from(limits::CALLER_WAIT_DEADLINE_MS).saturating_mul(10_000);
        let begun = Ticks::now();
        while !self.close() {
            if begun.elapsed_100ns(frequency) >= grace {
                let _ =
                    self.state
                        .compare_exchange(BUSY, CLOSED, Ordering::AcqRel, Ordering::Acquire);
                return;
            }
            if let Some(ended) = self.ended() {
                wait(ended, SLICE_MS, irql);
            }
        }
    }
}

fn note(run: &Run, lane: usize, irql: &Passive, kind: Kind) {
    let what = What {
        kind,
        step: NO_STEP,
        apc: NO_APC,
        value: 0,
    };
    run.trace.write(lane, irql, what);
}
