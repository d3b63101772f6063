//! What the lanes of a run share.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU32, Ordering};

use apclab_guards::Passive;
use apclab_protocol::limits;
use apclab_protocol::message::{Context, Ended, RunReply, RunRequest};
use apclab_protocol::program::{EventKind, Place, Program};
use apclab_protocol::status::NtStatus;

use super::apcs::Apcs;
use super::barrier::Barrier;
use super::callers::Callers;
use super::control::Control;
use super::held::Held;
use super::histogram::Histogram;
use super::locks::Locks;
use super::program::Loaded;
use super::trace::Trace;
use crate::nt::clock::{self, Ticks};
use crate::nt::event::{Events, Initial, wait};
use crate::nt::memory::{Shared, try_vec};
use crate::nt::try_lock::TryLock;

/// What came of the iterations so far. Only the lane that is alone at the end of an iteration
/// touches it.
pub(crate) struct Tally {
    pub(crate) histogram: Histogram,
    /// The outcome being taken, kept so that taking it does not allocate.
    outcome: Vec<i64>,
    pub(crate) iterations: u32,
    pub(crate) timed_out: u32,
    pub(crate) ended: Ended,
}

/// A run's state, at a fixed address in nonpaged memory.
pub(crate) struct Run {
    pub(crate) program: Shared<Loaded>,
    pub(crate) request: RunRequest,
    pub(crate) control: Shared<Control>,
    pub(crate) events: Events,
    pub(crate) apcs: Apcs,
    pub(crate) locks: Locks,
    pub(crate) callers: Callers,
    pub(crate) held: Held,
    /// The program's barriers.
    pub(crate) barrier: Barrier,
    /// The end of each iteration.
    pub(crate) end: Barrier,
    pub(crate) trace: Trace,
    pub(crate) tally: TryLock<Tally>,
    begun: Ticks,
    /// Ticks in a second.
    frequency: u64,
    /// Each lane's context when its thread began, as [`Context::to_byte`].
    baseline: Vec<AtomicU8>,
    /// Of the lanes, then of the bodies of APCs.
    registers: Vec<[AtomicI64; limits::REGISTERS]>,
    variables: Vec<AtomicI64>,
    /// This iteration is given up: a wait hit its deadline.
    timed_out: AtomicBool,
    /// No lane executes any further step.
    closed: AtomicBool,
    /// No further iteration begins.
    over: AtomicBool,
    /// The baseline forbids the program.
    not_runnable: AtomicBool,
    processors: u32,
}

fn number(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

impl Run {
    /// Everything that the iterations need, so that none of them allocates.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    pub(crate) fn try_new(
        program: Shared<Loaded>,
        request: RunRequest,
        control: Shared<Control>,
        processors: u32,
    ) -> Result<Self, NtStatus> {
        let lanes = program.lanes.len();
        let width = program.observed.len();
        let run = Self {
            events: Events::try_new(program.events.len(), |index| {
                program
                    .events
                    .get(index)
                    .map_or(crate::nt::event::NOTIFICATION, |event| Initial {
                        synchronization: event.kind == EventKind::Synchronization,
                        signaled: event.signaled,
                    })
            })?,
            apcs: Apcs::try_new(&program)?,
            locks: Locks::try_new(&program.locks, lanes)?,
            callers: Callers::try_new(&program, &request)?,
            held: Held::try_new(&program)?,
            barrier: Barrier::try_new(number(lanes), processors)?,
            end: Barrier::try_new(number(lanes), processors)?,
            trace: Trace::try_new(lanes, request.trace_iteration != 0)?,
            tally: TryLock::new(Tally {
                histogram: Histogram::try_new(width)?,
                outcome: try_vec(width, |_| 0)?,
                iterations: 0,
                timed_out: 0,
                ended: Ended::Complete,
            }),
            begun: Ticks::now(),
            frequency: clock::frequency(),
            baseline: try_vec(lanes, |_| AtomicU8::new(0))?,
            registers: try_vec(lanes + program.apcs.len(), |_| {
                [const { AtomicI64::new(0) }; limits::REGISTERS]
            })?,
            variables: try_vec(program.variables.len(), |_| AtomicI64::new(0))?,
            timed_out: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            over: AtomicBool::new(false),
            not_runnable: AtomicBool::new(false),
            program,
            request,
            control,
            processors,
        };
        run.reset_values();
        run.trace.record_next(run.request.trace_iteration == 1);
        Ok(run)
    }

    /// The registers of a lane or of a body.
    fn registers(&self, place: Place) -> Option<&[AtomicI64; limits::REGISTERS]> {
        let index = match place {
            Place::Lane(lane) => lane.into(),
            Place::Body(apc) => self.program.lanes.len() + usize::from(apc),
        };
        self.registers.get(index)
    }

    /// A register of a lane or of a body.
    pub(crate) fn register(&self, place: Place, register: usize) -> i64 {
        let place = self
            .registers(place)
            .and_then(|registers| registers.get(register));
        place.map_or(0, |place| place.load(Ordering::Relaxed))
    }

    /// Sets a register of a lane or of a body.
    pub(crate) fn set_register(&self, place: Place, register: usize, value: i64) {
        if let Some(place) = self.registers(place).and_then(|all| all.get(register)) {
            place.store(value, Ordering::Relaxed);
        }
    }

    /// Loads a variable, sequentially consistent.
    pub(crate) fn variable(&self, variable: usize) -> i64 {
        self.variables
            .get(variable)
            .map_or(0, |place| place.load(Ordering::SeqCst))
    }

    /// Stores a variable, sequentially consistent.
    pub(crate) fn set_variable(&self, variable: usize, value: i64) {
        if let Some(place) = self.variables.get(variable) {
            place.store(value, Ordering::SeqCst);
        }
    }

    /// Notes a lane's context when its thread begins.
    pub(crate) fn set_baseline(&self, lane: usize, context: Context) {
        if let Some(place) = self.baseline.get(lane) {
            place.store(context.to_byte(), Ordering::Release);
        }
    }

    /// The lanes give this iteration up.
    pub(crate) fn iteration_timed_out(&self) {
        self.timed_out.store(true, Ordering::Release);
        self.control.halt_iteration();
    }

    /// Whether the lanes shall give this iteration up.
    pub(crate) fn halted(&self) -> bool {
        self.timed_out.load(Ordering::Acquire)
            || self.control.cancelled()
            || (self.program.has_callers && self.closed.load(Ordering::Acquire))
    }

    /// The run's lanes have ended, or never began: takes no call of a caller lane and no request of a completion
    /// any more, and completes those that are held. A call that is still under way ends before its next step.
    pub(crate) fn close(&self) {
        if !self.program.has_callers {
            return;
        }
        self.closed.store(true, Ordering::Release);
        self.control.halt_iteration();
        self.callers.close();
        self.held.close();
        if let Some(closed) = self.control.closed() {
            closed.set();
        }
    }

    /// Waits until the caller lanes have ended, and cancels the run when a request of theirs was cancelled or
    /// the thread that made it is to end.
    ///
    /// Whoever waits in a call looks at nothing but what it waits for, so that a wait is one wait, as it is in
    /// every other lane. This looks for it, and cancelling ends the wait.
    pub(crate) fn watch_callers(&self, irql: &Passive) {
        const SLICE_MS: u32 = 250;
        if !self.program.has_callers {
            return;
        }
        while !self.closed.load(Ordering::Acquire) {
            if self.callers.abandoned() || self.held.abandoned() {
                self.control.cancel();
            }
            if let Some(closed) = self.control.closed() {
                wait(closed, SLICE_MS, irql);
            }
        }
    }

    /// Whether no further iteration begins.
    pub(crate) fn over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// Whether the baseline forbids the program.
    pub(crate) fn not_runnable(&self) -> bool {
        self.not_runnable.load(Ordering::Acquire)
    }

    /// How long a wait may take now, in milliseconds: its own deadline, or what is left of the
    /// run's; at least 1.
    pub(crate) fn wait_deadline_ms(&self) -> u32 {
        self.request
            .wait_deadline_ms
            .min(self.remaining_ms())
            .max(1)
    }

    /// Ticks of the performance counter in a second.
    pub(crate) fn frequency(&self) -> u64 {
        self.frequency
    }

    fn elapsed_100ns(&self) -> u64 {
        self.begun.elapsed_100ns(self.frequency)
    }

    fn elapsed_ms(&self) -> u64 {
        self.elapsed_100ns() / 10_000
    }

    /// What is left of the run's deadline, in milliseconds.
    pub(crate) fn remaining_ms(&self) -> u32 {
        let left = u64::from(self.request.deadline_ms).saturating_sub(self.elapsed_ms());
        u32::try_from(left).unwrap_or(u32::MAX)
    }

    fn past_deadline(&self) -> bool {
        self.remaining_ms() == 0
    }

    /// All lanes have begun, and none has taken a step: decides whether the program can run on such
    /// a baseline. An APC that is queued to a thread with APCs disabled would never be delivered.
    pub(crate) fn judge_baseline(&self) {
        let lanes = self.baseline.iter().zip(&self.program.lanes);
        // No APC of the driver's is queued to a caller lane, and its first call may have come already.
        let disabled = lanes.filter(|(_, code)| !code.caller).any(|(byte, _)| {
            let context = Context::from_byte(byte.load(Ordering::Acquire));
            context.apcs_disabled || context.all_apcs_disabled || context.irql != 0
        });
        if disabled && self.program.verified.queues_apcs {
            self.not_runnable.store(true, Ordering::Release);
            self.over.store(true, Ordering::Release);
            self.close();
        }
    }

    fn reset_values(&self) {
        for registers in &self.registers {
            for register in registers {
                register.store(0, Ordering::Relaxed);
            }
        }
        for (place, initial) in self.variables.iter().zip(&self.program.variables) {
            place.store(*initial, Ordering::SeqCst);
        }
    }

    /// Takes the outcome, resets the state, and decides whether another iteration begins. Called by
    /// the last lane to finish, while the others stand still with no APC queued.
    pub(crate) fn finish_iteration(&self, irql: &Passive) {
        let cancelled = self.control.cancelled();
        let timed_out = self.timed_out.load(Ordering::Acquire);
        let past_deadline = self.past_deadline();
        let iterations = self.tally.with(|tally| {
            if timed_out && past_deadline && !self.program.has_callers {
                // The wait ended with the run: this iteration is no result.
                tally.ended = Ended::Deadline;
            } else if !cancelled {
                tally.iterations += 1;
                if timed_out {
                    tally.timed_out += 1;
                } else {
                    for (value, observed) in tally.outcome.iter_mut().zip(&self.program.observed) {
                        *value = Program::value_of(
                            *observed,
                            |place, register| self.register(place, register),
                            |variable| self.variable(variable),
                        );
                    }
                    tally.histogram.count(&tally.outcome);
                }
                if past_deadline && tally.iterations < self.request.iterations {
                    tally.ended = Ended::Deadline;
                }
            }
            tally.iterations
        });
        let done = iterations.is_none_or(|done| done >= self.request.iterations);
        self.locks.release_handed_over(irql);
        if done || cancelled || past_deadline {
            self.over.store(true, Ordering::Release);
            self.trace.record_next(false);
            // Nothing is reset: a call that was left behind is to find the run halted at every moment.
            self.close();
            return;
        }
        self.timed_out.store(false, Ordering::Release);
        self.reset_values();
        for (index, event) in self.program.events.iter().enumerate() {
            match self.events.get(index) {
                Some(kernel) if event.signaled => kernel.set(),
                Some(kernel) => kernel.reset(),
                None => {}
            }
        }
        self.apcs.reset_counts();
        self.barrier.reset();
        self.control.rearm();
        let next = iterations.unwrap_or(0).saturating_add(1);
        self.trace.record_next(next == self.request.trace_iteration);
    }

    /// The reply to the run's request.
    pub(crate) fn reply(&self) -> RunReply {
        let baseline = core::array::from_fn(|lane| {
            let byte = self
                .baseline
                .get(lane)
                .map_or(0, |byte| byte.load(Ordering::Acquire));
            Context::from_byte(byte)
        });
        let mut reply = RunReply {
            ended: Ended::Complete,
            iterations: 0,
            timed_out: 0,
            overflow: 0,
            outcomes: 0,
            trace_records: number(self.trace.len()),
            trace_lost: self.trace.lost(),
            processors: self.processors,
            elapsed_100ns: self.elapsed_100ns(),
            baseline,
            missed_overlaps: self
                .barrier
                .missed_overlaps()
                .saturating_add(self.end.missed_overlaps()),
        };
        self.tally.with(|tally| {
            reply.ended = tally.ended;
            reply.iterations = tally.iterations;
            reply.timed_out = tally.timed_out;
            reply.overflow = tally.histogram.overflow();
            reply.outcomes = number(tally.histogram.len());
        });
        reply
    }
}

/// A counter of something per lane.
pub(crate) fn counters(lanes: usize) -> Result<Vec<AtomicU32>, NtStatus> {
    try_vec(lanes, |_| AtomicU32::new(0))
}
