//! A lane's thread.

use alloc::vec::Vec;

use apclab_guards::{Passive, Slot};
use apclab_protocol::status::NtStatus;
use apclab_protocol::trace::{Kind, NO_APC, NO_STEP};

use super::delay::Delays;
use super::interpreter::Interpreter;
use super::state::Run;
use super::trace::{What, context};
use crate::nt::memory::Shared;
use crate::nt::thread::Main;
use crate::nt::try_lock::TryLock;

/// What a lane's thread works with.
pub(crate) struct Lane {
    run: Shared<Run>,
    index: usize,
    /// Storage for its regions; the thread alone takes it.
    slots: TryLock<Vec<Slot>>,
}

impl Lane {
    /// Lane number `lane` of a run.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    pub(crate) fn try_new(run: &Shared<Run>, lane: usize) -> Result<Self, NtStatus> {
        let slots = TryLock::new(run.program.region_slots()?);
        Ok(Self {
            run: run.clone(),
            index: lane,
            slots,
        })
    }

    fn note(&self, irql: &Passive, kind: Kind) {
        let what = What {
            kind,
            step: NO_STEP,
            apc: NO_APC,
            value: 0,
        };
        self.run.trace.write(self.index, irql, what);
    }

    /// Executes the lane's steps in this thread, or stands in for the thread of user mode that does.
    fn execute(&self, irql: &mut Passive, slots: &mut [Slot], delays: &mut Delays) {
        let run = &*self.run;
        if run.callers.is(self.index) {
            run.callers.stand_in(run, self.index, irql);
            return;
        }
        self.note(irql, Kind::Begin);
        // A lane that gives up has left its regions like any other, and waits for the rest.
        let _ = Interpreter::new(run, self.index, delays).execute(irql, slots);
    }

    fn iterate(&self, irql: &mut Passive, slots: &mut [Slot]) {
        let run = &*self.run;
        // What is said of a caller lane, its own thread says.
        let caller = run.callers.is(self.index);
        if !caller {
            run.set_baseline(self.index, context(irql));
        }
        run.end.meet(irql, || run.judge_baseline());
        let mut delays = Delays::new(&run.request, self.index);
        while !run.over() {
            self.execute(irql, slots, &mut delays);
            if run.program.verified.queues_apcs {
                // After this nobody inserts an APC, and every lane is where all APCs may run.
                run.end.meet(irql, || ());
                run.apcs.drain(self.index, irql);
            }
            if !caller {
                self.note(irql, Kind::End);
            }
            run.end.meet(irql, || run.finish_iteration(irql));
        }
    }
}

impl Main for Lane {
    fn main(&self, mut irql: Passive) {
        self.slots.with(|slots| self.iterate(&mut irql, slots));
    }
}
