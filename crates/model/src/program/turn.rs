//! One event of one lane.

use apclab_protocol::program::{Place, Program};

use super::data::Change;
use super::step::Ended;
use super::{Event, Lane, index8, thread};
use crate::kernel::{ApcId, BugCheck, Kernel};

/// What an event of a lane may look at and change: the machine and the lane itself. Of the values it
/// only says what becomes of them.
pub(crate) struct Turn<'a> {
    pub(crate) program: &'a Program<'a>,
    pub(crate) lane: usize,
    pub(crate) kernel: &'a mut Kernel,
    pub(crate) at: &'a mut Lane,
    /// As in [`super::State`].
    pub(crate) apart: u32,
    pub(crate) changes: &'a mut Vec<Change>,
}

impl Turn<'_> {
    /// The event happens, which is one of [`Lane::enabled`].
    pub(crate) fn take(&mut self, event: Event) -> Result<(), BugCheck> {
        let t = thread(self.lane);
        match event {
            Event::Step { choice, .. } => {
                let next = self.at.next_step(self.kernel, self.program, self.lane);
                let (place, step) = next.expect("the lane is free to step");
                self.step(place, step, choice)?;
                if let Place::Body(apc) = place {
                    self.end_routine_unseen(ApcId(apc.into()))?;
                }
            }
            Event::Barrier => self.at.pass_barrier(self.program, self.lane),
            Event::Deliver { .. } => self.deliver()?,
            Event::Routine { .. } => self.begin_routine()?,
            Event::Return { .. } => self.end_routine()?,
            Event::Grant { .. } => {
                let given = self.kernel.give_lock(t);
                assert!(given, "a grant is enabled when the lock is available");
            }
            Event::Expire { .. } => {
                let expired = self.kernel.expire(t);
                assert!(expired, "a wait that may expire does");
                self.sleep_over()?;
                self.at
                    .wait_ended(self.program, self.lane, Ended::Expired, self.changes);
            }
            Event::Alert { .. } => {
                let ended = self.kernel.end_by_alert(t);
                assert!(ended, "a wait that user APCs may end does");
                self.sleep_over()?;
                self.at
                    .wait_ended(self.program, self.lane, Ended::Alerted, self.changes);
            }
            Event::UserApc { .. } => {
                let ran = self.kernel.run_user_apc(t).expect("a user APC may run");
                self.changes.push(Change::Ran(index8(ran.0 as usize)));
            }
        }
        Ok(())
    }
}

/// Ends the waits that are over, and gives their lanes in order: each goes on at once.
pub(crate) fn grant_waits(kernel: &mut Kernel, lanes: usize) -> impl Iterator<Item = usize> {
    (0..lanes).filter(move |&lane| {
        let t = thread(lane);
        kernel.satisfied(t) && kernel.grant(t).is_some()
    })
}
