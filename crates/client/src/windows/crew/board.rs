//! What the threads of a crew share.

use std::os::windows::io::OwnedHandle;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use apclab_critical_section::{EnterError, RawCriticalSection};
use apclab_protocol::build::ProgramBuf;
use apclab_protocol::limits;
use apclab_protocol::status::NtStatus;

use super::threads::SpecialUserApcs;
use crate::TargetError;
use crate::callers::{NotOfUserMode, is_caller, is_section};
use crate::windows::Win32Error;
use crate::windows::event::{Event, Reset};
use crate::windows::transfer::{Begun, Transfer};

/// What executes requests.
pub(crate) trait Driver: Send + Sync + 'static {
    /// Sends a request.
    fn begin(&self, transfer: &mut Transfer, code: u32) -> Begun;

    /// Cancels all that are pending.
    fn cancel(&self);
}

impl Driver for OwnedHandle {
    fn begin(&self, transfer: &mut Transfer, code: u32) -> Begun {
        transfer.begin(self, code)
    }

    fn cancel(&self) {
        crate::windows::handle::cancel(self);
    }
}

/// What the threads of the lanes are to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Work {
    /// Execute the lane.
    Iterate = 0,
    /// Wait for the lane's requests and for its user APCs.
    Settle = 1,
    /// End.
    Quit = 2,
}

/// Why a lane could not go on. It is made without an allocation: somebody may be suspended in one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// A request failed.
    Ioctl(&'static str, NtStatus),
    /// The reply to a request makes no sense.
    Reply(&'static str, &'static str),
    /// A routine of Windows failed.
    System(&'static str, Win32Error),
    /// A critical section was not entered.
    Enter(EnterError),
    /// Something that the program names is not there.
    Missing(&'static str),
    /// Something took too long.
    Late(&'static str),
    /// A step that is not for user mode.
    Step(NotOfUserMode),
}

impl From<NotOfUserMode> for Trouble {
    fn from(step: NotOfUserMode) -> Self {
        Self::Step(step)
    }
}

impl From<Trouble> for TargetError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Ioctl(operation, status) => Self::Ioctl { operation, status },
            Trouble::Reply(operation, what) => Self::Reply {
                operation,
                what: what.to_owned(),
            },
            Trouble::System(routine, error) => Self::Failed(format!("{routine} failed: {error}")),
            Trouble::Enter(error) => Self::Failed(error.to_string()),
            Trouble::Missing(what) => Self::Failed(format!("a caller lane has no {what}")),
            Trouble::Late(what) => Self::Failed(format!("{what} did not come to an end")),
            Trouble::Step(NotOfUserMode { step }) => {
                Self::Failed(format!("step {step} of a caller lane is not for user mode"))
            }
        }
    }
}

/// Where a lane's thread and the one that leads it meet.
pub(super) struct Desk {
    /// There is [`Work`].
    pub(super) go: Event,
    /// The thread has done it.
    pub(super) parked: Event,
    trouble: Mutex<Option<Trouble>>,
}

impl Desk {
    fn new() -> Result<Self, Win32Error> {
        Ok(Self {
            go: Event::new(Reset::Auto)?,
            parked: Event::new(Reset::Auto)?,
            trouble: Mutex::new(None),
        })
    }

    /// Notes what went wrong, unless something has before.
    pub(super) fn note(&self, trouble: Trouble) {
        let mut noted = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        noted.get_or_insert(trouble);
    }

    /// What went wrong. Only while the lane's thread is parked: it could be suspended with the lock.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        let mut noted = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        noted.take()
    }
}

/// What the threads of a crew share.
pub(super) struct Board<D> {
    pub(super) program: ProgramBuf,
    pub(super) session: u32,
    pub(super) driver: D,
    /// By lane; nothing where one is no caller.
    pub(super) desks: Vec<Option<Desk>>,
    /// By lane, once all have started.
    pub(super) threads: OnceLock<Vec<Option<OwnedHandle>>>,
    /// By lock; nothing where one is no critical section.
    pub(super) sections: Vec<Option<RawCriticalSection>>,
    pub(super) special: Option<SpecialUserApcs>,
    /// How often each APC has been queued in this iteration.
    pub(super) queued: [AtomicU32; limits::APCS],
    /// How often each has run.
    pub(super) ran: [AtomicU32; limits::APCS],
    over: AtomicBool,
    work: AtomicU32,
}

impl<D: Driver> Board<D> {
    /// A board for a program that the driver has accepted in that session.
    pub(super) fn new(program: ProgramBuf, session: u32, driver: D) -> Result<Self, TargetError> {
        let no_event = |error| TargetError::from(Trouble::System("CreateEvent", error));
        let desk = |lane| is_caller(&program, lane).then(Desk::new).transpose();
        let desks = (0..program.lanes.len()).map(desk).collect::<Result<_, _>>();
        let section = |lock| {
            is_section(&program, lock)
                .then(RawCriticalSection::new)
                .transpose()
        };
        let sections = (0..program.locks.len())
            .map(section)
            .collect::<Result<_, _>>();
        Ok(Self {
            desks: desks.map_err(no_event)?,
            sections: sections.map_err(|error| TargetError::Failed(error.to_string()))?,
            program,
            session,
            driver,
            threads: OnceLock::new(),
            special: SpecialUserApcs::find(),
            queued: Default::default(),
            ran: Default::default(),
            over: AtomicBool::new(false),
            work: AtomicU32::new(Work::Quit as u32),
        })
    }

    /// Before an iteration, when all threads are parked.
    pub(super) fn reset(&self) {
        for counter in self.queued.iter().chain(&self.ran) {
            counter.store(0, Ordering::SeqCst);
        }
        self.over.store(false, Ordering::SeqCst);
    }

    /// Whether the iteration has ended.
    pub(super) fn over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// The iteration has ended.
    pub(super) fn end(&self) {
        self.over.store(true, Ordering::SeqCst);
    }

    /// Gives the threads something to do.
    pub(super) fn set(&self, work: Work) {
        self.work.store(work as u32, Ordering::SeqCst);
        for desk in self.desks.iter().flatten() {
            desk.go.set();
        }
    }

    /// What there is to do.
    pub(super) fn work(&self) -> Work {
        match self.work.load(Ordering::SeqCst) {
            0 => Work::Iterate,
            1 => Work::Settle,
            _ => Work::Quit,
        }
    }

    /// The thread of a caller lane.
    pub(super) fn thread(&self, lane: u8) -> Option<&OwnedHandle> {
        self.threads.get()?.get(usize::from(lane))?.as_ref()
    }
}
