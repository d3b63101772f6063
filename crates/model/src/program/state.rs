//! A state of a test: the machine, where everybody is, and what they have found.

use apclab_protocol::program::{ApcKind as Kind, EventKind as Signal, Place, Program};

use super::data::Data;
use super::{Lane, body, locks, thread};
use crate::kernel::{ApcKind, Baseline, EventKind, Kernel, Profile};

/// A state of a test.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct State {
    pub(super) kernel: Kernel,
    pub(super) lanes: Vec<Lane>,
    pub(super) data: Data,
    /// The APCs whose delivery, begin and return are events of their own, a bit each.
    pub(super) apart: u32,
}

impl State {
    /// The state before the first step. A lane starts with the counters of `baselines`, or with
    /// zeros when there is no entry for it. A caller lane starts with zeros in user mode.
    pub fn initial(program: &Program<'_>, profile: Profile, baselines: &[Baseline]) -> Self {
        Self::initial_on(Kernel::new(profile), program, baselines)
    }

    /// As [`State::initial`], on a machine without any object, which may be a mutant.
    pub fn initial_on(mut kernel: Kernel, program: &Program<'_>, baselines: &[Baseline]) -> Self {
        // In a new machine the numbers of each kind of object are given out from 0, so with the
        // events ahead of mutexes and threads an index of the program is the number of its object.
        for event in (0..program.events()).filter_map(|index| program.event(index)) {
            let kind = match event.kind {
                Signal::Notification => EventKind::Notification,
                Signal::Synchronization => EventKind::Synchronization,
            };
            kernel.create_event(kind, event.signaled);
        }
        locks::create(program, &mut kernel);
        for lane in 0..program.lanes() {
            let baseline = baselines.get(lane).filter(|_| !program.caller(lane));
            kernel.create_thread(baseline.copied().unwrap_or_default());
        }
        for apc in (0..program.apcs()).filter_map(|index| program.apc(index)) {
            let kind = match apc.kind {
                Kind::Special | Kind::Completion => ApcKind::Special,
                Kind::Normal => ApcKind::Normal,
                Kind::User => ApcKind::User,
                Kind::SpecialUser => ApcKind::SpecialUser,
            };
            kernel.create_apc(thread(apc.lane.into()), kind);
        }
        // Their suspension APCs come after those of the program.
        for lane in (0..program.lanes()).filter(|&lane| program.caller(lane)) {
            kernel.make_user_thread(thread(lane));
        }
        Self {
            apart: body::apart(program),
            kernel,
            lanes: (0..program.lanes())
                .map(|lane| Lane::new(program, lane))
                .collect(),
            data: Data::new(program),
        }
    }

    /// The state apart: the machine, the lanes, the values.
    pub(crate) fn parts(&self) -> (&Kernel, &[Lane], &Data) {
        (&self.kernel, &self.lanes, &self.data)
    }

    /// A state of other parts.
    pub(crate) fn with(&self, kernel: Kernel, lanes: Vec<Lane>, data: Data) -> Self {
        Self {
            kernel,
            lanes,
            data,
            apart: self.apart,
        }
    }

    /// The APCs whose delivery, begin and return are events of their own, a bit each.
    pub(crate) fn apart(&self) -> u32 {
        self.apart
    }

    /// The machine under the lanes.
    pub fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// The lanes, in order: where they are.
    pub fn lanes(&self) -> &[Lane] {
        &self.lanes
    }

    /// The values of the variables.
    pub fn variables(&self) -> &[i64] {
        self.data.variables()
    }

    /// The value of a register of a lane or of the body of an APC, which keeps it from one run to
    /// the next; 0 for a register that the program does not name.
    ///
    /// # Panics
    ///
    /// When the program has no such place.
    pub fn register(&self, place: Place, register: usize) -> i64 {
        self.data.register(place, register)
    }

    /// How often the APC has run: how often its routine has begun.
    ///
    /// # Panics
    ///
    /// When the program has no such APC.
    pub fn ran(&self, apc: usize) -> u32 {
        self.data.ran(apc)
    }

    /// What the lane's thread executes: itself, or the body of the APC that runs in it; and the
    /// index of the next step there.
    pub fn position(&self, lane: usize) -> (Place, usize) {
        self.lanes[lane].position(&self.kernel, lane)
    }

    /// The observed values, as far as they are known in this state.
    pub fn outcome(&self, program: &Program<'_>) -> Vec<i64> {
        let observed = (0..program.observed_len()).filter_map(|index| program.observed(index));
        let value = |observed| {
            let register = |place, register| self.register(place, register);
            Program::value_of(observed, register, |variable| self.variables()[variable])
        };
        observed.map(value).collect()
    }
}
