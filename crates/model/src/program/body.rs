//! APCs in the lanes: their delivery, their bodies, their return.

use apclab_protocol::limits;
use apclab_protocol::program::{Apc, ApcKind as Kind, Place, Program};
use apclab_protocol::step::Step;

use super::cursor::Cursor;
use super::data::Change;
use super::turn::Turn;
use super::{index8, thread};
use crate::kernel::{ApcId, ApcKind, BugCheck};

/// An APC in the lane that it is queued to.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Body {
    pub(super) apc: ApcId,
    /// Whether its routine has begun and not returned.
    pub(super) begun: bool,
    pub(super) cursor: Cursor,
}

impl Body {
    pub(super) fn new(program: &Program<'_>, apc: u8) -> Self {
        Self {
            apc: ApcId(apc.into()),
            begun: false,
            cursor: Cursor::new(program, Place::Body(apc)),
        }
    }
}

/// The place of the body of an APC.
pub(super) fn place(apc: ApcId) -> Place {
    Place::Body(u8::try_from(apc.0).expect("a program has few APCs"))
}

/// The APCs of which a test can tell whether they are off the queue and have not run, a bit each.
pub(super) fn apart(program: &Program<'_>) -> u32 {
    const { assert!(limits::APCS <= 32, "a bit for each APC") };
    let mut times = [0_u32; limits::APCS];
    // Bodies queue only APCs that come after their own, and places come in this order: lanes,
    // then bodies by index.
    for place in program.places() {
        let rounds = match place {
            Place::Lane(_) => 1,
            Place::Body(apc) => times[usize::from(apc)],
        };
        let mut repeated = 0_usize;
        for (index, step) in program.steps(place).enumerate() {
            match step {
                Step::Repeat { length, .. } => {
                    repeated = repeated.max(index.saturating_add(length as usize));
                }
                Step::Queue { apc, .. } => {
                    let more = if index <= repeated && repeated > 0 {
                        2
                    } else {
                        rounds
                    };
                    let times = &mut times[usize::from(apc)];
                    *times = times.saturating_add(more.min(2));
                }
                _ => {}
            }
        }
    }
    let queued = || (0..program.apcs()).filter(|&index| times[index] > 0);
    let apcs = || queued().filter_map(|index| Some((index, program.apc(index)?)));
    // What is not the driver's has no body, and a completion is queued once at most.
    let apcs = || apcs().filter(|(_, apc)| apc.kind.of_driver());
    let special_to = |lane| apcs().any(|(_, apc)| apc.kind == Kind::Special && apc.lane == lane);
    let shows = |index: usize, apc: Apc| {
        times[index] > 1 || (apc.kind == Kind::Normal && special_to(apc.lane))
    };
    apcs().fold(0, |bits, (index, apc)| {
        bits | u32::from(shows(index, apc)) << index
    })
}

impl Turn<'_> {
    /// Takes the APC off the queue of the lane. Unless somebody could tell, its routine begins at
    /// once.
    pub(super) fn deliver(&mut self) -> Result<(), BugCheck> {
        let t = thread(self.lane);
        let delivery = self.kernel.begin_delivery(t);
        let (apc, kind) = delivery.expect("a delivery is enabled when an APC is deliverable");
        if kind == ApcKind::Normal {
            self.kernel.kernel_routine_returned(t)?;
        }
        if self.kernel.is_suspended(t) {
            return Ok(());
        }
        if self.apart(apc) {
            return Ok(());
        }
        self.begin_routine()
    }

    /// The routine of the innermost APC begins, and returns at once when it has no body.
    pub(super) fn begin_routine(&mut self) -> Result<(), BugCheck> {
        let (apc, _) = self.kernel.running(thread(self.lane)).expect("an APC runs");
        self.changes.push(Change::Ran(index8(apc.0 as usize)));
        self.at.body_mut(apc).begun = true;
        if self.program.len(place(apc)) == 0 {
            return self.end_routine();
        }
        Ok(())
    }

    /// The routine of the innermost APC returns.
    pub(super) fn end_routine(&mut self) -> Result<(), BugCheck> {
        let t = thread(self.lane);
        let (apc, kind) = self.kernel.running(t).expect("an APC runs");
        if self.kernel.is_suspended(t) {
            return self.kernel.normal_routine_returned(t);
        }
        let body = self.at.body_mut(apc);
        body.begun = false;
        body.cursor.restart(self.program, place(apc));
        match kind {
            ApcKind::Special => self.kernel.kernel_routine_returned(t).map(drop),
            ApcKind::Normal => self.kernel.normal_routine_returned(t),
            ApcKind::User | ApcKind::SpecialUser => unreachable!("no user APC runs in kernel mode"),
        }
    }

    /// After a step of a body: the last one and the return are one event, unless the body
    /// interrupts a wait, which others can find missing until the return.
    pub(super) fn end_routine_unseen(&mut self, apc: ApcId) -> Result<(), BugCheck> {
        let t = thread(self.lane);
        let at_end = self.at.body(apc).cursor.next() == self.program.len(place(apc));
        let unseen = !self.apart(apc) && !self.kernel.interrupts_wait(t);
        // A step that forces another APC is followed by that APC first.
        if at_end && unseen && !self.kernel.forced(t) {
            return self.end_routine();
        }
        Ok(())
    }

    /// Whether a test can tell the APC's delivery from its having run.
    fn apart(&self, apc: ApcId) -> bool {
        self.apart & (1 << apc.0) != 0
    }
}
