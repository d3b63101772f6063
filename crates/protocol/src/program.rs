//! The program format: a litmus test as bytes.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 4 | magic, [`MAGIC`] |
//! | 4 | 2 | format version, [`FORMAT`] |
//! | 6 | 1 | lanes *l* |
//! | 7 | 1 | variables *v* |
//! | 8 | 1 | events *e* |
//! | 9 | 1 | APCs *a* |
//! | 10 | 1 | observed values *o* |
//! | 11 | 1 | locks *k* |
//! | 12 | 4 | length of the whole program in bytes |
//! | 16 | 24 | steps of each lane, 6 × u32; zero past lane *l* |
//! | 40 | 1 | raw lanes: bit *i* is set when lane *i* is raw |
//! | 41 | 1 | flags, see [`flags`] |
//! | 42 | 1 | caller lanes: bit *i* is set when lane *i* runs in a thread of user mode |
//! | 43 | 5 | reserved, zero |
//! | 48 | 8·*v* | initial values of the variables, i64 |
//! | … | 8·*e* | events: kind u8 (0 notification, 1 synchronization), signaled u8, 6 reserved |
//! | … | 8·*a* | APCs: kind u8 (0 special, 1 normal, 2 user, 3 special user, 4 completion), lane u8, 2 reserved, steps of its body u32 |
//! | … | 8·*k* | locks: kind u8 (0 fast mutex, 1 guarded mutex, 2 mutex, 3 resource, 4 push lock, 5 critical section), 7 reserved |
//! | … | 8·*o* | observed: kind u8 (0 register, 1 variable, 2 register of an APC), lane or APC u8, index u8, 5 reserved |
//! | … | 16·steps | the steps, lane after lane and then APC after APC ([`crate::step`]) |

mod parse;
mod tables;

use crate::bytes::Reader;
#[cfg(doc)]
use crate::limits;
use crate::step::{BadStep, Mode, Step};
use tables::Tables;

/// `APCP` at the front of every program.
pub const MAGIC: u32 = u32::from_le_bytes(*b"APCP");
/// Version of the program format.
pub const FORMAT: u16 = 3;
/// Size of the fixed head in bytes.
pub const HEAD_SIZE: usize = 48;
/// Size of one entry of each table in bytes.
pub const ENTRY_SIZE: usize = 8;

/// Bits of the program's flags.
pub mod flags {
    /// Lanes may wait for each other for ever, or a lane for itself: the order of locks is not
    /// checked. Such a program runs only where somebody ends a deadlock, or [`POLLED`].
    pub const MAY_DEADLOCK: u8 = 1;
    /// Waits for fast mutexes, guarded mutexes and resources are loops of tries, with the run's wait
    /// deadline.
    pub const POLLED: u8 = 2;
    /// All that there are.
    pub const ALL: u8 = MAY_DEADLOCK | POLLED;
}

/// What kind of event: how many waiters one signal releases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// Stays signaled until it is reset.
    Notification,
    /// Releases one waiter and resets itself.
    Synchronization,
}

/// An event and its state when an iteration begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Event {
    /// Its kind.
    pub kind: EventKind,
    /// Whether it begins signaled.
    pub signaled: bool,
}

/// What kind of APC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ApcKind {
    /// Runs its kernel routine at APC_LEVEL, also inside a critical region.
    Special = 0,
    /// Runs its normal routine at PASSIVE_LEVEL, never inside a region.
    Normal = 1,
    /// `QueueUserAPC`: runs in user mode, in or after an alertable wait.
    User = 2,
    /// `QueueUserAPC2` with `QUEUE_USER_APC_FLAGS_SPECIAL_USER_APC`: runs in user mode, whatever the
    /// thread does there.
    SpecialUser = 3,
    /// What the I/O manager queues when an overlapped request is completed: a special kernel APC that
    /// signals the request's event.
    Completion = 4,
}

impl ApcKind {
    /// Every kind, by its number.
    pub const ALL: [Self; 5] = [
        Self::Special,
        Self::Normal,
        Self::User,
        Self::SpecialUser,
        Self::Completion,
    ];

    /// Whether the driver owns the APC object, so that it is queued to a lane that is no caller, and may
    /// have a body.
    pub const fn of_driver(self) -> bool {
        matches!(self, Self::Special | Self::Normal)
    }

    /// Whether it runs in user mode.
    pub const fn user(self) -> bool {
        matches!(self, Self::User | Self::SpecialUser)
    }
}

/// An APC object and the lane that it is queued to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Apc {
    /// Its kind.
    pub kind: ApcKind,
    /// The lane in whose thread it runs.
    pub lane: u8,
}

/// What kind of lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum LockKind {
    /// FAST_MUTEX: its holder is at APC_LEVEL; not recursive.
    FastMutex = 0,
    /// KGUARDED_MUTEX: as a fast mutex since Windows 8.
    GuardedMutex = 1,
    /// KMUTEX: its owner is as in a critical region, once whatever the recursion.
    Mutex = 2,
    /// ERESOURCE: shared or exclusive, recursive; its holder has normal kernel APCs disabled.
    Resource = 3,
    /// EX_PUSH_LOCK: shared or exclusive, not recursive; its holder has normal kernel APCs disabled.
    PushLock = 4,
    /// CRITICAL_SECTION, in user mode: recursive, keeps no APC out.
    CriticalSection = 5,
}

impl LockKind {
    /// Every kind, by its number.
    pub const ALL: [Self; 6] = [
        Self::FastMutex,
        Self::GuardedMutex,
        Self::Mutex,
        Self::Resource,
        Self::PushLock,
        Self::CriticalSection,
    ];

    /// Whether holding it means being at APC_LEVEL.
    pub const fn raises(self) -> bool {
        matches!(self, Self::FastMutex | Self::GuardedMutex)
    }

    /// Whether it lives in user mode.
    pub const fn user(self) -> bool {
        matches!(self, Self::CriticalSection)
    }

    /// Whether nothing ends a wait for it but its holder: such locks are acquired in one order.
    pub const fn untimed(self) -> bool {
        !matches!(self, Self::Mutex)
    }

    /// Whether it can be shared, and is acquired only where normal kernel APCs are disabled already.
    pub const fn shares(self) -> bool {
        matches!(self, Self::Resource | Self::PushLock)
    }

    /// Whether it can be acquired in that mode.
    pub const fn has(self, mode: Mode) -> bool {
        match self {
            Self::Resource => true,
            Self::PushLock => matches!(mode, Mode::Exclusive | Mode::Shared),
            _ => matches!(mode, Mode::Exclusive),
        }
    }
}

/// Whose steps: a lane's, or those of an APC's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// A lane.
    Lane(u8),
    /// The body of an APC.
    Body(u8),
}

impl Place {
    /// Added to an APC's index in [`Place::number`].
    const BODY: u32 = 0x100;

    /// The place as one number, as replies hold it: a lane's index, or 256 + an APC's.
    pub const fn number(self) -> u32 {
        match self {
            Self::Lane(lane) => lane as u32,
            Self::Body(apc) => Self::BODY + apc as u32,
        }
    }

    /// The place of that [`number`](Self::number).
    pub fn from_number(number: u32) -> Option<Self> {
        match u8::try_from(number) {
            Ok(lane) => Some(Self::Lane(lane)),
            Err(_) => u8::try_from(number.checked_sub(Self::BODY)?)
                .ok()
                .map(Self::Body),
        }
    }
}

/// One value of an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Observed {
    /// The final value of a register.
    Register {
        /// Of which lane.
        lane: u8,
        /// Which one.
        register: u8,
    },
    /// The final value of a variable.
    Variable(u8),
    /// The final value of a register of an APC's body.
    ApcRegister {
        /// Of which APC.
        apc: u8,
        /// Which one.
        register: u8,
    },
}

/// Why bytes are no program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformation {
    /// It does not begin with [`MAGIC`].
    Magic,
    /// Its format is not [`FORMAT`].
    Format,
    /// It ends too early, or its length field is not the length of the bytes.
    Length,
    /// A table is larger than its limit in [`limits`], or there is no lane.
    Limit,
    /// A reserved field is not zero.
    Reserved,
    /// The kind of an event, APC or observed value is unknown.
    Kind,
    /// A lane, register or variable that is named does not exist.
    Index,
    /// The operation of a step is unknown.
    Operation,
    /// A register of a step is missing or too large.
    Register,
    /// A field that the step does not use is not zero.
    Unused,
    /// A time-out or a count of a step is out of its range.
    Range,
    /// The step, or the mode in which it acquires, is not for that kind of lock.
    Lock,
}

/// A malformation and the byte where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// What is wrong.
    pub what: Malformation,
    /// Offset in bytes from the start of the program.
    pub offset: u32,
}

/// A program over borrowed bytes, parsed and within its limits: every step decodes, every index is
/// in range. It may still break the rules of [`crate::verify`].
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    bytes: &'a [u8],
    tables: Tables,
}

impl<'a> Program<'a> {
    fn entry(&self, at: usize) -> [u8; ENTRY_SIZE] {
        self.bytes
            .get(at..)
            .map_or([0; ENTRY_SIZE], |rest| Reader::new(rest).array())
    }

    fn decode(&self, place: Place, index: usize) -> Result<Step, BadStep> {
        let at = self.tables.step_at(place, index);
        let bytes = self.bytes.get(at..).and_then(|rest| rest.first_chunk());
        bytes.map_or(Err(BadStep::Operation), Step::decode)
    }

    /// All lanes, then all bodies of APCs, the empty ones too.
    pub fn places(&self) -> impl Iterator<Item = Place> + use<> {
        let lanes = (0..self.tables.lanes).map(Place::Lane);
        lanes.chain((0..self.tables.apcs).map(Place::Body))
    }

    /// Number of steps of a lane or body; 0 for one that does not exist.
    pub fn len(&self, place: Place) -> usize {
        self.tables.len(place)
    }

    /// A step of a lane or body, or `None` past its end.
    pub fn step(&self, place: Place, index: usize) -> Option<Step> {
        if index < self.len(place) {
            self.decode(place, index).ok()
        } else {
            None
        }
    }

    /// The steps of a lane or body in order.
    pub fn steps(&self, place: Place) -> impl Iterator<Item = Step> + use<'a> {
        let program = *self;
        (0..program.len(place)).map_while(move |index| program.step(place, index))
    }

    /// Whether a lane is raw: its regions may be left in any order.
    pub fn raw(&self, lane: usize) -> bool {
        lane < self.lanes() && self.tables.raw >> lane & 1 != 0
    }

    /// Whether a lane is a caller: it runs in a thread of user mode.
    pub fn caller(&self, lane: usize) -> bool {
        lane < self.lanes() && self.tables.callers >> lane & 1 != 0
    }

    /// Whether any lane is a caller.
    pub const fn has_callers(&self) -> bool {
        self.tables.callers != 0
    }

    /// Number of locks.
    pub fn locks(&self) -> usize {
        usize::from(self.tables.locks)
    }

    /// The kind of a lock, or `None` when there is no such lock.
    pub fn lock(&self, index: usize) -> Option<LockKind> {
        if index >= self.locks() {
            return None;
        }
        let [kind, ..] = self.entry(self.tables.locks_at() + index * ENTRY_SIZE);
        LockKind::ALL.get(usize::from(kind)).copied()
    }

    /// The [`flags`].
    pub const fn flags(&self) -> u8 {
        self.tables.flags
    }

    /// Whether its lanes may wait for each other for ever ([`flags::MAY_DEADLOCK`]).
    pub const fn may_deadlock(&self) -> bool {
        self.tables.flags & flags::MAY_DEADLOCK != 0
    }

    /// Whether it waits by trying ([`flags::POLLED`]).
    pub const fn polled(&self) -> bool {
        self.tables.flags & flags::POLLED != 0
    }

    /// The bytes of the whole program.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Number of lanes, 1 to [`limits::LANES`].
    pub fn lanes(&self) -> usize {
        usize::from(self.tables.lanes)
    }

    /// Number of variables.
    pub fn variables(&self) -> usize {
        usize::from(self.tables.variables)
    }

    /// Initial value of a variable; 0 for one that does not exist.
    pub fn initial(&self, variable: usize) -> i64 {
        if variable < self.variables() {
            i64::from_le_bytes(self.entry(HEAD_SIZE + variable * ENTRY_SIZE))
        } else {
            0
        }
    }

    /// Number of events.
    pub fn events(&self) -> usize {
        usize::from(self.tables.events)
    }

    /// An event, or `None` when there is no such event.
    pub fn event(&self, index: usize) -> Option<Event> {
        if index >= self.events() {
            return None;
        }
        let [kind, signaled, ..] = self.entry(self.tables.events_at() + index * ENTRY_SIZE);
        let kind = if kind == 0 {
            EventKind::Notification
        } else {
            EventKind::Synchronization
        };
        Some(Event {
            kind,
            signaled: signaled != 0,
        })
    }

    /// Number of APC objects.
    pub fn apcs(&self) -> usize {
        usize::from(self.tables.apcs)
    }

    /// An APC object, or `None` when there is no such APC.
    pub fn apc(&self, index: usize) -> Option<Apc> {
        if index >= self.apcs() {
            return None;
        }
        let [kind, lane, ..] = self.entry(self.tables.apcs_at() + index * ENTRY_SIZE);
        let kind = ApcKind::ALL.get(usize::from(kind)).copied()?;
        Some(Apc { kind, lane })
    }

    /// Number of values in an outcome.
    pub fn observed_len(&self) -> usize {
        usize::from(self.tables.observed)
    }

    /// One observed value, or `None` past the end of the list.
    pub fn observed(&self, index: usize) -> Option<Observed> {
        if index >= self.observed_len() {
            return None;
        }
        let [kind, lane, number, ..] = self.entry(self.tables.observed_at() + index * ENTRY_SIZE);
        Some(match kind {
            0 => Observed::Register {
                lane,
                register: number,
            },
            1 => Observed::Variable(number),
            _ => Observed::ApcRegister {
                apc: lane,
                register: number,
            },
        })
    }

    /// The value of an observed item at the end of an iteration.
    ///
    /// Both the driver and the model take their outcomes through this function. `register` is given
    /// the place whose register it is.
    pub fn value_of(
        observed: Observed,
        register: impl Fn(Place, usize) -> i64,
        variable: impl Fn(usize) -> i64,
    ) -> i64 {
        match observed {
            Observed::Register { lane, register: r } => register(Place::Lane(lane), r.into()),
            Observed::ApcRegister { apc, register: r } => register(Place::Body(apc), r.into()),
            Observed::Variable(v) => variable(v.into()),
        }
    }
}
