//! Who has loaded and is running what.
//!
//! A session holds a program, its run and the results of the last one. It is made by LOAD, known by
//! its id, and joined by every handle of the opener's process that names the id; it goes when the
//! last of those handles is closed. All of it is under one lock, held for memory only: whoever has
//! to wait for a thread takes it out of the table first.

use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use apclab_guards::Passive;
use apclab_protocol::limits;
use apclab_protocol::status::{
    IN_USE, INVALID_PARAMETER, NO_SUCH_SESSION, NOT_THE_OPENER, NtStatus, OTHER_SESSION,
    OUT_OF_SEQUENCE, REMOVED, TOO_MANY_SESSIONS,
};
use wdk_sys::WDFOBJECT;

use crate::nt::memory::{Shared, try_vec};
use crate::nt::thread::Thread;
use crate::run::program::Loaded;
use crate::run::state::Run;
use crate::wdf::context::FileContext;
use crate::wdf::lock::WaitLock;
use crate::wdf::request::Request;

/// A run that has begun and is not reported yet.
struct Running {
    run: Shared<Run>,
    /// The handle whose request it is.
    file: usize,
}

/// One session. An id of 0 marks a free entry.
#[derive(Default)]
struct Session {
    id: u32,
    opener: usize,
    handles: usize,
    program: Option<Shared<Loaded>>,
    running: Option<Running>,
    /// The thread of the last run, until somebody has waited for it.
    runner: Option<Thread>,
    /// The last run, for HISTOGRAM and TRACE.
    results: Option<Shared<Run>>,
}

/// The table.
struct Table {
    sessions: Vec<Session>,
    last_id: u32,
    refusing: bool,
}

/// All sessions of the device.
pub(crate) struct Sessions {
    table: WaitLock<Table>,
}

/// A handle that asks for something in a session.
#[derive(Clone, Copy)]
pub(crate) struct Asker<'a> {
    /// The handle's context.
    pub(crate) file: &'a FileContext,
    /// The handle's identity.
    pub(crate) identity: usize,
    /// The session that the request names.
    pub(crate) session: u32,
}

impl<'a> Asker<'a> {
    /// Who sent a request that names `session`.
    ///
    /// # Errors
    /// [`INVALID_PARAMETER`]: it came through no handle.
    pub(crate) fn of(request: &'a Request, session: u32) -> Result<Self, NtStatus> {
        let (identity, file) = request.file().ok_or(INVALID_PARAMETER)?;
        Ok(Self {
            file,
            identity,
            session,
        })
    }
}

impl Table {
    fn find(&mut self, id: u32) -> Option<&mut Session> {
        self.sessions
            .iter_mut()
            .find(|session| id != 0 && session.id == id)
    }

    fn free_id(&mut self) -> u32 {
        loop {
            self.last_id = self.last_id.wrapping_add(1);
            let id = self.last_id;
            if id != 0 && self.sessions.iter().all(|session| session.id != id) {
                return id;
            }
        }
    }

    /// The session that a request names, which its handle joins if it has not yet.
    fn join(&mut self, asker: Asker<'_>) -> Result<&mut Session, NtStatus> {
        let opener = asker.file.opener.load(Ordering::Acquire);
        let joined = asker.file.session.load(Ordering::Acquire);
        let session = self.find(asker.session).ok_or(NO_SUCH_SESSION)?;
        if session.opener != opener {
            return Err(NOT_THE_OPENER);
        }
        if joined == 0 {
            asker.file.session.store(asker.session, Ordering::Release);
            session.handles += 1;
        } else if joined != asker.session {
            return Err(OTHER_SESSION);
        }
        Ok(session)
    }

    /// Makes a session for a handle that has none.
    fn create(&mut self, asker: Asker<'_>) -> Result<&mut Session, NtStatus> {
        if asker.file.session.load(Ordering::Acquire) != 0 {
            return Err(OTHER_SESSION);
        }
        let id = self.free_id();
        let session = self
            .sessions
            .iter_mut()
            .find(|session| session.id == 0)
            .ok_or(TOO_MANY_SESSIONS)?;
        *session = Session {
            id,
            opener: asker.file.opener.load(Ordering::Acquire),
            handles: 1,
            ..Session::default()
        };
        asker.file.session.store(id, Ordering::Release);
        Ok(session)
    }

    /// A thread that has reported its run, of any session, unless it is the caller: a request may
    /// be completed, and its handle closed, in the very thread of its run.
    fn finished_runner(&mut self) -> Option<Thread> {
        self.sessions
            .iter_mut()
            .filter(|session| session.running.is_none())
            .find_map(|session| session.runner.take_if(|runner| !runner.is_current()))
    }

    /// Takes out a session that no handle is joined to and whose thread has been waited for.
    fn abandoned(&mut self) -> Option<Session> {
        self.sessions
            .iter_mut()
            .find(|session| session.id != 0 && session.handles == 0 && session.runner.is_none())
            .map(core::mem::take)
    }
}

impl Sessions {
    /// An empty table.
    ///
    /// # Safety
    /// As [`WaitLock::new`].
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`, or what creating the lock failed with.
    #[allow(unsafe_code, reason = "passes on the contract of the lock")]
    pub(crate) unsafe fn new(device: WDFOBJECT) -> Result<Self, NtStatus> {
        let sessions = try_vec(limits::SESSIONS, |_| Session::default())?;
        let table = Table {
            sessions,
            last_id: 0,
            refusing: false,
        };
        // SAFETY: by the contract of this function.
        let table = unsafe { WaitLock::new(table, device) }?;
        Ok(Self { table })
    }

    /// Waits for the threads of runs that have been reported, and frees sessions that nobody can
    /// name any more. Threads are waited for outside the lock. Never in the thread of a run: two of
    /// them could wait for each other.
    fn reap(&self, irql: &mut Passive) {
        while let Some(runner) = self.table.with(irql, |table, _| table.finished_runner()) {
            runner.join(irql);
        }
        self.free_abandoned(irql);
    }

    /// Frees sessions that nobody can name any more and whose threads have been waited for.
    fn free_abandoned(&self, irql: &mut Passive) {
        while self
            .table
            .with(irql, |table, _| table.abandoned())
            .is_some()
        {}
    }

    /// Sessions in use.
    pub(crate) fn count(&self, irql: &mut Passive) -> u32 {
        self.reap(irql);
        let count = self.table.with(irql, |table, _| {
            table
                .sessions
                .iter()
                .filter(|session| session.id != 0)
                .count()
        });
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Puts a program in the session that the request names, or in a new one when it names none.
    /// Gives the session's id.
    ///
    /// # Errors
    /// Those of joining, [`TOO_MANY_SESSIONS`], [`IN_USE`] while the session runs, [`REMOVED`].
    pub(crate) fn load(
        &self,
        asker: Asker<'_>,
        program: Shared<Loaded>,
        irql: &mut Passive,
    ) -> Result<u32, NtStatus> {
        self.reap(irql);
        let mut program = Some(program);
        // What the new program replaces is freed outside the lock.
        let (answer, _replaced) = self.table.with(irql, |table, _| {
            if table.refusing {
                return (Err(REMOVED), None);
            }
            let session = if asker.session == 0 {
                table.create(asker)
            } else {
                table.join(asker)
            };
            match session {
                Err(status) => (Err(status), None),
                Ok(session) if session.running.is_some() => (Err(IN_USE), None),
                Ok(session) => {
                    let replaced = (
                        core::mem::replace(&mut session.program, program.take()),
                        session.results.take(),
                    );
                    (Ok(session.id), Some(replaced))
                }
            }
        });
        answer
    }

    /// Begins the run of a request, which joins the session first: `begin` makes its control and its thread from the loaded program. The thread
    /// can report only when this has returned, since reporting takes the lock.
    ///
    /// # Errors
    /// Those of joining, [`OUT_OF_SEQUENCE`] when nothing is loaded, [`IN_USE`], [`REMOVED`], and
    /// those of `begin`.
    pub(crate) fn start(
        &self,
        id: u32,
        request: &mut Option<Request>,
        irql: &mut Passive,
        begin: impl FnOnce(
            &Shared<Loaded>,
            &mut Option<Request>,
            &mut Passive,
        ) -> Result<(Shared<Run>, Thread), NtStatus>,
    ) -> Result<(), NtStatus> {
        self.reap(irql);
        self.table.with(irql, |table, irql| {
            if table.refusing {
                return Err(REMOVED);
            }
            let asker = Asker::of(request.as_ref().ok_or(INVALID_PARAMETER)?, id)?;
            let file = asker.identity;
            let session = table.join(asker)?;
            // A thread that is still there is the reporting one of another handle's run, or the
            // caller's own: either way the last run is not quite over.
            if session.running.is_some() || session.runner.is_some() {
                return Err(IN_USE);
            }
            let program = session.program.as_ref().ok_or(OUT_OF_SEQUENCE)?;
            let (run, runner) = begin(program, request, irql)?;
            session.running = Some(Running { run, file });
            session.runner = Some(runner);
            Ok(())
        })
    }

    /// Reports a run: keeps its results for HISTOGRAM and TRACE, and lets the next run begin.
    pub(crate) fn report(&self, id: u32, results: Option<Shared<Run>>, irql: &mut Passive) {
        let _replaced = self.table.with(irql, |table, _| {
            let session = table.find(id)?;
            let running = session.running.take();
            Some((core::mem::replace(&mut session.results, results), running))
        });
    }

    /// Calls `f` with the results of the session's last run.
    ///
    /// # Errors
    /// Those of joining, [`OUT_OF_SEQUENCE`] when nothing has run, [`IN_USE`], those of `f`.
    pub(crate) fn with_results<R>(
        &self,
        asker: Asker<'_>,
        irql: &mut Passive,
        f: impl FnOnce(&Run) -> Result<R, NtStatus>,
    ) -> Result<R, NtStatus> {
        self.table.with(irql, |table, _| {
            let session = table.join(asker)?;
            if session.running.is_some() {
                return Err(IN_USE);
            }
            f(session.results.as_ref().ok_or(OUT_OF_SEQUENCE)?)
        })
    }

    /// Cancels the session's run.
    ///
    /// # Errors
    /// Those of joining, [`OUT_OF_SEQUENCE`] when nothing runs.
    pub(crate) fn cancel(&self, asker: Asker<'_>, irql: &mut Passive) -> Result<(), NtStatus> {
        self.table.with(irql, |table, _| {
            let session = table.join(asker)?;
            session
                .running
                .as_ref()
                .ok_or(OUT_OF_SEQUENCE)?
                .run
                .control
                .cancel();
            Ok(())
        })
    }

    /// The run of a session, for a call of one of its caller lanes from process `opener`.
    ///
    /// # Errors
    /// [`NO_SUCH_SESSION`], [`NOT_THE_OPENER`], [`OUT_OF_SEQUENCE`] when nothing runs, [`REMOVED`].
    pub(crate) fn running(
        &self,
        id: u32,
        opener: usize,
        irql: &mut Passive,
    ) -> Result<Shared<Run>, NtStatus> {
        self.table.with(irql, |table, _| {
            if table.refusing {
                return Err(REMOVED);
            }
            let session = table.find(id).ok_or(NO_SUCH_SESSION)?;
            if session.opener != opener {
                return Err(NOT_THE_OPENER);
            }
            let running = session.running.as_ref().ok_or(OUT_OF_SEQUENCE)?;
            Ok(running.run.clone())
        })
    }

    /// Cancels the runs whose requests came through a handle that is being closed, be it the request of the
    /// run itself, one that it holds, or that of a call: none of them may outlive its handle for long.
    pub(crate) fn cancel_runs_of(&self, identity: usize, file: usize, irql: &mut Passive) {
        self.table.with(irql, |table, _| {
            let runs = table
                .sessions
                .iter()
                .filter_map(|session| session.running.as_ref());
            for Running { run, file: of_run } in runs {
                if *of_run == identity || run.callers.through(file) || run.held.through(file) {
                    run.control.cancel();
                }
            }
        });
    }

    /// A handle is closed: it leaves its session.
    ///
    /// A handle may be closed by the thread that completes its last request, which is that of a run.
    /// So this waits for no thread; a session whose thread is still to be waited for goes with the
    /// next request, or when the device stops.
    pub(crate) fn leave(&self, file: &FileContext, irql: &mut Passive) {
        let id = file.session.swap(0, Ordering::AcqRel);
        self.table.with(irql, |table, _| {
            if let Some(session) = table.find(id) {
                session.handles = session.handles.saturating_sub(1);
            }
        });
        self.free_abandoned(irql);
    }

    /// Takes requests again.
    pub(crate) fn accept(&self, irql: &mut Passive) {
        self.table.with(irql, |table, _| table.refusing = false);
    }

    /// Takes no new programs and runs, cancels all runs, and waits for their threads.
    pub(crate) fn refuse_and_stop(&self, irql: &mut Passive) {
        self.table.with(irql, |table, _| {
            table.refusing = true;
            for running in table
                .sessions
                .iter()
                .filter_map(|session| session.running.as_ref())
            {
                running.run.control.cancel();
            }
        });
        // A thread taken out while it still runs reports to a session that no longer has it.
        while let Some(runner) = self.table.with(irql, |table, _| {
            table.sessions.iter_mut().find_map(|s| s.runner.take())
        }) {
            runner.join(irql);
        }
        self.reap(irql);
    }
}
