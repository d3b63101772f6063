//! Caller lanes in threads of user mode of the simulated machine.
//!
//! A thread of the machine leads an iteration, so that all of it takes part in the machine's schedule: it
//! sends the request of the run, starts a thread for each lane, and ends what is left of them.

mod member;

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use apclab_host::{
    CriticalSection, File, Host, HostError, UserEvent, UserHandle, UserRef, UserThread,
};
use apclab_protocol::build::ProgramBuf;
use apclab_protocol::{ioctl, limits};

use super::host_error;
use super::machine::{CANCEL_DEADLINE, completion};
use crate::TargetError;
use crate::callers::{NotOfUserMode, is_caller, is_section};
use crate::schedules::longest_time_out;
use crate::session::{Course, Crew, Iteration};

/// How long a lane may take to come to its end when its iteration is over.
const GATHER: Duration = Duration::from_secs(15);

/// How long the leader waits at least for one lane before it looks whether another is suspended.
const LOOK: Duration = Duration::from_millis(5);

/// A time-out that is over only when nothing else can happen, in a machine that is scheduled: longer than
/// all that the program has.
fn longer(program: &ProgramBuf, than: Duration) -> Duration {
    than + longest_time_out(program)
}

/// The threads of user mode of a machine, for one program in one session.
pub(crate) struct Threads<'h> {
    pub(crate) host: &'h Host,
    pub(crate) file: Arc<File>,
    pub(crate) session: u32,
    pub(crate) program: Arc<ProgramBuf>,
}

/// Why a lane could not go on.
#[derive(Debug)]
enum Trouble {
    Host(HostError),
    Target(TargetError),
}

impl From<HostError> for Trouble {
    fn from(error: HostError) -> Self {
        Self::Host(error)
    }
}

impl From<NotOfUserMode> for Trouble {
    fn from(NotOfUserMode { step }: NotOfUserMode) -> Self {
        Self::Target(TargetError::Failed(format!(
            "step {step} of a caller lane is not for user mode"
        )))
    }
}

impl From<Trouble> for TargetError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Host(error) => host_error(error),
            Trouble::Target(error) => error,
        }
    }
}

/// What the threads of one iteration share.
struct Board {
    program: Arc<ProgramBuf>,
    session: u32,
    file: Arc<File>,
    /// By lane; nothing where one is no caller.
    lanes: OnceLock<Vec<Option<UserRef>>>,
    /// By lock; nothing where one is no critical section.
    sections: Vec<Option<CriticalSection>>,
    /// How often each APC has run.
    ran: [Arc<AtomicI64>; limits::APCS],
    over: AtomicBool,
    /// All lanes have threads.
    go: UserEvent,
    /// The iteration is over.
    end: UserEvent,
    errors: Mutex<Vec<Trouble>>,
}

impl Board {
    fn note<T>(&self, result: Result<T, Trouble>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(trouble) => {
                let errors = self.errors.lock();
                errors.unwrap_or_else(PoisonError::into_inner).push(trouble);
                None
            }
        }
    }
}

/// What the leader of an iteration says of it.
struct Led {
    completion: apclab_host::Completion,
    bytes: Vec<u8>,
    helped: bool,
    errors: Vec<Trouble>,
}

impl Crew for Threads<'_> {
    fn iterate(
        &mut self,
        iteration: &Iteration<'_>,
        output: &mut [u8],
    ) -> Result<Course, TargetError> {
        let (patience, within) = (iteration.patience, iteration.within);
        let said = Arc::new(Mutex::new(None));
        let leader = {
            let (input, length) = (iteration.input.to_vec(), output.len());
            let (file, program) = (Arc::clone(&self.file), Arc::clone(&self.program));
            let (session, said) = (self.session, Arc::clone(&said));
            move |leader: &UserThread<'_>| {
                let run = Run {
                    input,
                    output: length,
                    patience,
                    within,
                };
                let led = lead(leader, &run, file, program, session);
                *said.lock().unwrap_or_else(PoisonError::into_inner) = Some(led);
            }
        };
        let leader = self.host.spawn_user(&self.file, "the client", leader);
        // The leader has its own deadlines, in the machine's time; this one is against all else.
        let longest = within + CANCEL_DEADLINE + GATHER * 2;
        leader
            .and_then(|leader| leader.join(longest))
            .map_err(host_error)?;
        let led = said.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(led) = led else {
            return Err(TargetError::Failed(
                "the thread that leads the caller lanes said nothing".to_owned(),
            ));
        };
        let led = led.map_err(TargetError::from)?;
        if let Some(front) = output.get_mut(..led.bytes.len()) {
            front.copy_from_slice(&led.bytes);
        }
        Ok(Course {
            completion: completion(led.completion),
            helped: led.helped,
            errors: led.errors.into_iter().map(TargetError::from).collect(),
        })
    }
}

/// The request of a run.
struct Run {
    input: Vec<u8>,
    /// The size of its output in bytes.
    output: usize,
    patience: Duration,
    within: Duration,
}

/// Leads one iteration.
fn lead(
    leader: &UserThread<'_>,
    run: &Run,
    file: Arc<File>,
    program: Arc<ProgramBuf>,
    session: u32,
) -> Result<Led, Trouble> {
    let ended = leader.create_event()?;
    let section = |lock| {
        is_section(&program, lock)
            .then(|| leader.critical_section())
            .transpose()
    };
    let sections = (0..program.locks.len()).map(section);
    let sections = sections.collect::<Result<_, _>>()?;
    let (go, end) = (leader.create_event()?, leader.create_event()?);
    let pending = leader.start_ioctl(&file, ioctl::RUN, &run.input, run.output, &ended)?;
    if let Some((completion, bytes)) = pending.done()? {
        // It was refused.
        return Ok(Led {
            completion,
            bytes,
            helped: false,
            errors: Vec::new(),
        });
    }
    let board = Arc::new(Board {
        program,
        session,
        file,
        lanes: OnceLock::new(),
        sections,
        ran: std::array::from_fn(|_| Arc::default()),
        over: AtomicBool::new(false),
        go,
        end,
        errors: Mutex::default(),
    });
    let handles = start(leader, &board)?;
    leader.set(&board.go)?;
    let mut helped = !leader.wait(&ended, run.patience)?;
    board.over.store(true, Ordering::SeqCst);
    let look = longer(&board.program, LOOK);
    let late = !wait(leader, &ended, &handles, (look, run.within), &mut helped)?;
    if late {
        leader.cancel(&pending)?;
        let longest = longer(&board.program, CANCEL_DEADLINE);
        wait(leader, &ended, &handles, (look, longest), &mut helped)?;
    }
    leader.set(&board.end)?;
    gather(leader, &handles, look)?;
    let done = pending.done()?.filter(|_| !late);
    let Some((completion, bytes)) = done else {
        return Err(Trouble::Target(TargetError::NoAnswer {
            within: run.within,
            what: "the request was cancelled".to_owned(),
        }));
    };
    let errors = board.errors.lock();
    Ok(Led {
        completion,
        bytes,
        helped,
        errors: std::mem::take(&mut *errors.unwrap_or_else(PoisonError::into_inner)),
    })
}

/// Starts a thread for each caller lane.
fn start(leader: &UserThread<'_>, board: &Arc<Board>) -> Result<Vec<UserHandle>, Trouble> {
    let mut handles = Vec::new();
    let mut references = Vec::new();
    for (index, steps) in board.program.lanes.iter().enumerate() {
        if !is_caller(&board.program, index) {
            references.push(None);
            continue;
        }
        let (steps, shared) = (steps.clone(), Arc::clone(board));
        let lane = u8::try_from(index).unwrap_or(u8::MAX);
        let name = format!("caller lane {}", char::from(b'A'.saturating_add(lane)));
        let handle = leader.spawn(&name, move |thread| {
            let board = Arc::clone(&shared);
            board.note(member::live(thread, shared, lane, steps));
        })?;
        references.push(Some(handle.user_ref()));
        handles.push(handle);
    }
    // Nobody has set them before.
    let _ = board.lanes.set(references);
    Ok(handles)
}

/// Resumes a thread until it runs; whether it was suspended.
fn resume(leader: &UserThread<'_>, handle: &UserHandle) -> Result<bool, Trouble> {
    let mut suspended = false;
    loop {
        match leader.resume(&handle.user_ref()) {
            Ok(0) | Err(HostError::ThreadEnded) => return Ok(suspended),
            Ok(1) => return Ok(true),
            Ok(_) => suspended = true,
            Err(error) => return Err(error.into()),
        }
    }
}

/// Waits for the end of the run, resuming whoever is suspended; whether it has ended. Notes whether anybody
/// was suspended.
fn wait(
    leader: &UserThread<'_>,
    ended: &UserEvent,
    handles: &[UserHandle],
    (look, limit): (Duration, Duration),
    helped: &mut bool,
) -> Result<bool, Trouble> {
    let mut left = limit;
    loop {
        for handle in handles {
            *helped |= resume(leader, handle)?;
        }
        if leader.wait(ended, look)? {
            // Nobody who runs a step of a lane is left to suspend another.
            for handle in handles {
                *helped |= resume(leader, handle)?;
            }
            return Ok(true);
        }
        left = left.saturating_sub(look);
        if left.is_zero() {
            return Ok(false);
        }
    }
}

/// Waits until all lanes have ended, resuming whoever is suspended.
fn gather(leader: &UserThread<'_>, handles: &[UserHandle], look: Duration) -> Result<(), Trouble> {
    for handle in handles {
        let mut left = GATHER;
        while !leader.join(handle, look)? {
            for other in handles {
                resume(leader, other)?;
            }
            left = left.saturating_sub(look);
            if left.is_zero() {
                return Err(Trouble::Target(TargetError::NoAnswer {
                    within: GATHER,
                    what: "the thread of a caller lane did not come to its end".to_owned(),
                }));
            }
        }
    }
    Ok(())
}
