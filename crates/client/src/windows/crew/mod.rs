//! The threads that execute the caller lanes of a program, one a lane, kept for all its iterations.
//!
//! A thread may be suspended at any instruction, also where it holds a lock of the process, such as the
//! heap's. So from the moment at which the lanes go until all of them have come back, whoever leads them
//! neither allocates nor takes a lock.

mod board;
mod member;
#[cfg(test)]
mod tests;
pub(crate) mod threads;

use std::mem;
use std::os::windows::io::{AsHandle, OwnedHandle};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use apclab_protocol::build::ProgramBuf;
use apclab_protocol::ioctl;
use apclab_protocol::limits;

pub(crate) use self::board::Driver;
use self::board::{Board, Trouble, Work};
use self::member::Member;
use super::handle::{CANCEL_DEADLINE, never_completed, no_request};
use super::transfer::{Begun, Transfer, Waited};
use super::{Win32Error, event};
use crate::TargetError;
use crate::session::{Course, Crew, Iteration};

/// How long a lane may take to come back when its iteration is over: its longest sleep and the longest
/// wait of a call, several times.
const GATHER: Duration = Duration::from_secs(15);

/// How long the leader looks for one lane before it looks whether another is suspended.
const LOOK: Duration = Duration::from_millis(5);

/// How long a thread may take to end.
const QUIT: Duration = Duration::from_secs(2);

/// The threads of the caller lanes.
pub(crate) struct Threads<D: Driver> {
    board: Arc<Board<D>>,
    /// Signalled when the user wants to stop.
    stop: &'static OwnedHandle,
    members: Vec<JoinHandle<()>>,
}

impl<D: Driver> Threads<D> {
    /// Threads for a program that the driver has accepted in that session.
    ///
    /// # Errors
    /// [`TargetError::Failed`]: there is no memory, or no thread.
    pub(crate) fn new(
        program: &ProgramBuf,
        session: u32,
        driver: D,
        stop: &'static OwnedHandle,
    ) -> Result<Self, TargetError> {
        let mut crew = Self {
            board: Arc::new(Board::new(program.clone(), session, driver)?),
            stop,
            members: Vec::new(),
        };
        let mut handles = Vec::new();
        for (lane, desk) in crew.board.desks.iter().enumerate() {
            if desk.is_none() {
                handles.push(None);
                continue;
            }
            let member = Member::new(&crew.board, u8::try_from(lane).unwrap_or(u8::MAX))?;
            let thread = std::thread::Builder::new()
                .spawn(move || member.live())
                .map_err(|error| no_thread(Win32Error::of(&error)))?;
            let handle = thread.as_handle().try_clone_to_owned();
            crew.members.push(thread);
            handles.push(Some(
                handle.map_err(|error| no_thread(Win32Error::of(&error)))?,
            ));
        }
        // Nobody has set them before.
        let _ = crew.board.threads.set(handles);
        crew.gather()?;
        Ok(crew)
    }

    /// Waits until all lanes have come back, resuming whoever is suspended; whether anybody was.
    fn gather(&self) -> Result<bool, TargetError> {
        let started = Instant::now();
        let mut parked = [false; limits::LANES];
        let mut suspended = false;
        loop {
            // What is suspended by a lane that has come back since then is resumed in the next turn.
            let all = self.board.desks.iter().zip(&parked);
            let all = all.fold(true, |all, (desk, parked)| {
                all && (desk.is_none() || *parked)
            });
            for lane in (0..).take(self.board.desks.len()) {
                suspended |= self.resume(lane)?;
            }
            if all {
                return Ok(suspended);
            }
            if started.elapsed() > GATHER {
                return Err(TargetError::NoAnswer {
                    within: GATHER,
                    what: "the thread of a caller lane did not come to its end".to_owned(),
                });
            }
            for (desk, parked) in self.board.desks.iter().zip(&mut parked) {
                if let Some(desk) = desk
                    && !*parked
                {
                    *parked = desk.parked.wait(Some(LOOK));
                }
            }
        }
    }

    /// Resumes a lane's thread until it runs; whether it was suspended.
    fn resume(&self, lane: u8) -> Result<bool, TargetError> {
        let Some(thread) = self.board.thread(lane) else {
            return Ok(false);
        };
        let mut suspended = false;
        loop {
            let previous = threads::resume(thread);
            match previous.map_err(|error| Trouble::System("ResumeThread", error))? {
                0 => return Ok(suspended),
                1 => return Ok(true),
                _ => suspended = true,
            }
        }
    }

    /// What went wrong in the lanes, all of which are parked.
    fn errors(&self) -> Vec<TargetError> {
        let desks = self.board.desks.iter().flatten();
        desks
            .filter_map(board::Desk::trouble)
            .map(TargetError::from)
            .collect()
    }

    /// Waits for the run, whose lanes have been given up, and resumes whoever is suspended meanwhile.
    fn help(&self, run: &mut Transfer, within: Duration) -> Result<Waited, TargetError> {
        let started = Instant::now();
        loop {
            for lane in (0..).take(self.board.desks.len()) {
                self.resume(lane)?;
            }
            let waited = run.wait(Some(self.stop), Some(LOOK));
            if waited != Waited::TooLate || started.elapsed() > within {
                return Ok(waited);
            }
        }
    }
}

fn no_thread(error: Win32Error) -> TargetError {
    TargetError::Failed(format!(
        "a thread for a caller lane could not be had: {error}"
    ))
}

impl<D: Driver> Crew for Threads<D> {
    fn iterate(
        &mut self,
        iteration: &Iteration<'_>,
        output: &mut [u8],
    ) -> Result<Course, TargetError> {
        let within = iteration.within;
        let mut run = Transfer::new(iteration.input, output.len()).map_err(no_request)?;
        self.board.reset();
        let mut course = Course {
            completion: match self.board.driver.begin(&mut run, ioctl::RUN) {
                Begun::Ended(completion) => completion,
                Begun::Pending => crate::session::Completion {
                    status: apclab_protocol::status::PENDING,
                    information: 0,
                },
            },
            helped: false,
            errors: Vec::new(),
        };
        if run.pending() {
            self.board.set(Work::Iterate);
            let mut waited = run.wait(Some(self.stop), Some(iteration.patience));
            course.helped = waited == Waited::TooLate;
            self.board.end();
            if course.helped {
                waited = self.help(&mut run, within)?;
            }
            let ended = if matches!(waited, Waited::Completed(_)) {
                waited
            } else {
                // Also the calls of the lanes and what they hold.
                self.board.driver.cancel();
                run.wait(None, Some(CANCEL_DEADLINE))
            };
            course.helped |= self.gather()?;
            self.board.set(Work::Settle);
            self.gather()?;
            course.errors = self.errors();
            course.completion = match (waited, ended) {
                (_, Waited::Stopped | Waited::TooLate) => return Err(never_completed(within)),
                (Waited::Stopped, _) => return Err(TargetError::Interrupted),
                (Waited::TooLate, _) => {
                    return Err(TargetError::NoAnswer {
                        within,
                        what: "the request was cancelled".to_owned(),
                    });
                }
                (_, Waited::Completed(completion)) => completion,
            };
        }
        let written = run.output(course.completion);
        if let Some(front) = output.get_mut(..written.len()) {
            front.copy_from_slice(written);
        }
        Ok(course)
    }
}

impl<D: Driver> Drop for Threads<D> {
    fn drop(&mut self) {
        self.board.end();
        self.board.set(Work::Quit);
        let mut all = true;
        for thread in self.members.drain(..) {
            // A thread that is still in a step would never look.
            if event::wait(&thread, Some(QUIT)) {
                // A panic in a lane was told by the lane that did not come back.
                let _ = thread.join();
            } else {
                all = false;
            }
        }
        if !all {
            // User APCs may still run in what is left, and count there.
            mem::forget(Arc::clone(&self.board));
        }
    }
}
