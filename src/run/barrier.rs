//! A barrier for lanes at PASSIVE_LEVEL: spins for a moment, then waits.

use core::hint::spin_loop;
use core::sync::atomic::{AtomicU32, Ordering};

use apclab_guards::Passive;
use apclab_protocol::status::NtStatus;

use crate::nt::event::{Event, Events, NOTIFICATION, Waited, wait, wait_either};

/// How often a lane looks before it waits. Some ten microseconds.
const SPINS: u32 = 400;

/// How long a lane that cannot be stopped sleeps before it looks again.
const SLICE_MS: u32 = 1000;

/// Where `lanes` threads meet, again and again.
pub(crate) struct Barrier {
    lanes: u32,
    spins: u32,
    arrived: AtomicU32,
    generation: AtomicU32,
    late: AtomicU32,
    /// One for odd and one for even generations: when the one of this generation is reset, nobody
    /// waits for it any more, since all have come to the generation between.
    open: Events,
}

/// How a meeting ended for one lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Met {
    /// All lanes came.
    All,
    /// The iteration is being given up.
    Stopped,
    /// Some lane did not come in time.
    TimedOut,
}

impl Barrier {
    /// A barrier for so many lanes.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    pub(crate) fn try_new(lanes: u32, processors: u32) -> Result<Self, NtStatus> {
        Ok(Self {
            lanes,
            spins: if processors > 1 { SPINS } else { 0 },
            arrived: AtomicU32::new(0),
            generation: AtomicU32::new(0),
            late: AtomicU32::new(0),
            open: Events::try_new(2, |_| NOTIFICATION)?,
        })
    }

    fn door(&self, generation: u32) -> Option<&Event> {
        self.open.get((generation & 1) as usize)
    }

    /// Counts this lane in. The last one calls `alone` while all others stand still, then lets them
    /// go, and gets `None`; the others get the generation to wait for.
    fn arrive(&self, alone: impl FnOnce()) -> Option<u32> {
        let generation = self.generation.load(Ordering::Acquire);
        if self.arrived.fetch_add(1, Ordering::AcqRel).wrapping_add(1) < self.lanes {
            return Some(generation);
        }
        alone();
        let next = generation.wrapping_add(1);
        if let Some(door) = self.door(next) {
            door.reset();
        }
        self.arrived.store(0, Ordering::Release);
        self.generation.store(next, Ordering::Release);
        if let Some(door) = self.door(generation) {
            door.set();
        }
        None
    }

    fn passed(&self, generation: u32) -> bool {
        self.generation.load(Ordering::Acquire) != generation
    }

    fn spin(&self, generation: u32) -> bool {
        for _ in 0..self.spins {
            if self.passed(generation) {
                return true;
            }
            spin_loop();
        }
        self.late.fetch_add(1, Ordering::Relaxed);
        false
    }

    /// Meets the others, however long that takes: for lanes that are certain to come because all
    /// that they do before has a deadline.
    pub(crate) fn meet(&self, irql: &Passive, alone: impl FnOnce()) {
        let Some(generation) = self.arrive(alone) else {
            return;
        };
        if self.spin(generation) {
            return;
        }
        while !self.passed(generation) {
            if let Some(door) = self.door(generation) {
                wait(door, SLICE_MS, irql);
            }
        }
    }

    /// Meets the others, unless `stop` is signaled or the deadline passes first. After that the
    /// barrier has to be [`reset`](Self::reset) before it is used again.
    pub(crate) fn meet_or_stop(&self, irql: &Passive, stop: &Event, milliseconds: u32) -> Met {
        let Some(generation) = self.arrive(|| ()) else {
            return Met::All;
        };
        if self.spin(generation) {
            return Met::All;
        }
        let Some(door) = self.door(generation) else {
            return Met::TimedOut;
        };
        match wait_either(door, stop, milliseconds, irql) {
            Waited::First => Met::All,
            Waited::Second => Met::Stopped,
            Waited::TimedOut => Met::TimedOut,
        }
    }

    /// Forgets who has arrived. Only while no lane is at the barrier.
    pub(crate) fn reset(&self) {
        self.arrived.store(0, Ordering::Release);
        for generation in 0..2 {
            if let Some(door) = self.door(generation) {
                door.reset();
            }
        }
    }

    /// How often a lane had to wait because another was late.
    pub(crate) fn missed_overlaps(&self) -> u32 {
        self.late.load(Ordering::Relaxed)
    }
}
