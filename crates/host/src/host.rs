//! The interface: a machine, its open handles, their requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::dispatch::Fault;
use crate::io::Major;
use crate::machine::Machine;
use crate::pnp::{self, Driver};
use crate::report::{Completion, HostError, StartError, StopReport};
use crate::scheduler::Scheduler;
use crate::thread::Thread;
use crate::{Choice, Options, Schedule, status};

/// One simulated machine with the driver loaded and its device started. Several may live in one
/// process; they share nothing.
///
/// Dropping it switches the machine off as a power cut would: the driver is not unloaded. The
/// machine's threads leave the driver's code and end; one that has ended by a bug check or by a
/// deadlock leaves no more behind in the process.
#[derive(Debug)]
pub struct Host {
    driver: Driver,
    surprised: bool,
}

/// The process id that handles get which are opened without one.
const FIRST_PROCESS: u64 = 1000;

impl Host {
    pub(crate) fn machine(&self) -> &Arc<Machine> {
        &self.driver.machine
    }

    /// Loads the driver and starts its device: the image's entry point, `AddDevice`, the device's
    /// hardware and power callbacks.
    ///
    /// # Errors
    /// When the image cannot be loaded, a routine of the driver fails, or the machine bug-checks.
    pub fn start(options: Options) -> Result<Self, StartError> {
        Ok(Self {
            driver: pnp::start(options)?,
            surprised: false,
        })
    }

    /// Opens the device from a process of its own.
    ///
    /// # Errors
    /// [`HostError::Open`] when the driver refuses; otherwise as every call.
    pub fn open(&self) -> Result<File, HostError> {
        static NEXT: AtomicU64 = AtomicU64::new(FIRST_PROCESS);
        self.open_as(NEXT.fetch_add(4, Ordering::Relaxed))
    }

    /// Opens the device from the process with the id `process`.
    ///
    /// # Errors
    /// As [`Host::open`].
    pub fn open_as(&self, process: u64) -> Result<File, HostError> {
        let machine = &self.driver.machine;
        if !machine.lock().framework.has_name() {
            return Err(HostError::Open {
                status: status::OBJECT_NAME_NOT_FOUND,
            });
        }
        let (file, irp) = machine.system_call(process, "IRP_MJ_CREATE", move |thread| {
            let (file, irp) = {
                let mut state = thread.lock();
                let file = state.io.add_file(process, thread.machine.opaque());
                (file, state.add_irp(file, Major::Create, &[])?)
            };
            // Only a system buffer can be refused, and a create request has none.
            let irp = irp.map_err(|_| Fault::Stopped)?;
            thread.dispatch_create(irp)?;
            Ok((file, irp))
        })?;
        let timeout = machine.options.answer_deadline;
        let (completion, _) =
            machine.await_state(timeout, "IRP_MJ_CREATE", |state| state.take_completed(irp))?;
        if !status::is_success(completion.status) {
            machine.system_call(process, "the end of a file object", move |thread| {
                thread.discard_file(file)
            })?;
            return Err(HostError::Open {
                status: completion.status,
            });
        }
        Ok(File {
            machine: Arc::clone(machine),
            id: file,
            process,
            open: AtomicBool::new(true),
        })
    }

    /// What the driver has printed so far.
    pub fn log(&self) -> Vec<String> {
        self.driver.machine.lock().log.clone()
    }

    /// How many fallible calls the driver has made so far: those that
    /// [`Options::fail`] counts. That one has failed when there are more than its number.
    pub fn fallible_calls(&self) -> u64 {
        self.driver.machine.lock().failures.calls
    }

    /// The function whose call was made to fail, by its name.
    pub fn failed_call(&self) -> Option<&'static str> {
        self.driver.machine.lock().failures.failed
    }

    /// Has the machine follow another schedule from now on, and forgets the choices that it has
    /// made. Waits until no thread runs or could run, so that what comes is the schedule's alone.
    ///
    /// # Errors
    /// [`HostError::Schedule`] for [`Schedule::Free`], and for a machine that was started with it;
    /// otherwise as every call.
    pub fn set_schedule(&self, schedule: &Schedule) -> Result<(), HostError> {
        let followed = self.when_idle(|scheduler| scheduler.follow(schedule))?;
        if followed {
            return Ok(());
        }
        let reason = "a machine whose threads take turns cannot be set free";
        Err(HostError::Schedule(reason.to_owned()))
    }

    /// The choices that the machine has made since its start, or since the last
    /// [`Host::set_schedule`]. Waits until no thread runs or could run.
    ///
    /// # Errors
    /// [`HostError::Schedule`] when a choice that was to be replayed had fewer alternatives, and
    /// for a machine that was started with [`Schedule::Free`]; otherwise as every call.
    pub fn choices(&self) -> Result<Vec<Choice>, HostError> {
        let choices = self.when_idle(|scheduler| scheduler.choices())?;
        choices.map_err(|at| {
            let reason = format!("choice {at} does not have the alternative that it was to take");
            HostError::Schedule(reason)
        })
    }

    fn when_idle<R>(&self, mut f: impl FnMut(&mut Scheduler) -> R) -> Result<R, HostError> {
        let machine = &self.driver.machine;
        if machine.options.schedule == Schedule::Free {
            let reason = "the machine was started with all threads running at the same time";
            return Err(HostError::Schedule(reason.to_owned()));
        }
        let timeout = machine.options.answer_deadline;
        machine.await_state(timeout, "the end of what the driver does", |state| {
            let scheduler = state.scheduler.as_mut()?;
            let idle = scheduler.idle() && !machine.stopped();
            idle.then(|| f(scheduler))
        })
    }

    /// Removes the device as if it had been pulled out: the requests of its power-managed queues
    /// end, and it leaves D0. What is sent to open handles afterwards fails when the queue is
    /// power-managed, and otherwise is the driver's to refuse. [`Host::stop`] then needs the handles
    /// closed.
    ///
    /// # Errors
    /// As every call; [`HostError::NoAnswer`] when the driver does not complete the requests of its
    /// power-managed queues.
    pub fn surprise_remove(&mut self) -> Result<(), HostError> {
        if self.surprised {
            return Ok(());
        }
        self.surprised = true;
        self.driver.power_down(true)
    }

    /// Removes the device, unloads the driver and checks that it has left nothing behind. The
    /// machine is switched off afterwards, whatever the result.
    ///
    /// # Errors
    /// [`HostError::FilesOpen`] when handles are open, [`HostError::Leaks`] when the driver has
    /// left something, [`HostError::Unload`] when it refused or did not unload properly;
    /// otherwise as every call.
    pub fn stop(self) -> Result<StopReport, HostError> {
        let machine = &self.driver.machine;
        let open = machine
            .lock()
            .io
            .files
            .values()
            .filter(|file| !file.cleaned)
            .count();
        if open > 0 && !machine.stopped() {
            return Err(HostError::FilesOpen { open });
        }
        // Closed handles may still have requests that are being cancelled.
        let timeout = machine.options.answer_deadline;
        machine.await_state(timeout, "the close of the last handle", |state| {
            state.io.files.is_empty().then_some(())
        })?;
        if !self.surprised {
            self.driver.query_remove()?;
            self.driver.power_down(false)?;
        }
        self.driver.remove()?;
        let report = self.driver.unload()?;
        machine.halt(&mut machine.lock());
        machine.await_threads(machine.options.answer_deadline);
        Ok(report)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        /// All that they have to do is to leave the driver's code.
        const LEAVING: Duration = Duration::from_secs(1);
        let machine = &self.driver.machine;
        machine.halt(&mut machine.lock());
        // Otherwise machines that are started one after the other pile their threads up.
        machine.await_threads(LEAVING);
    }
}

/// An open handle to the device. It can be shared by threads; dropping it closes it.
#[derive(Debug)]
pub struct File {
    machine: Arc<Machine>,
    pub(crate) id: u64,
    pub(crate) process: u64,
    open: AtomicBool,
}

impl File {
    /// Sends an IOCTL and waits for its completion. METHOD_BUFFERED: the input is copied to a
    /// system buffer of the larger of both lengths, and the output is copied back from it, as many
    /// bytes as the completion says, unless the status is of the error class.
    ///
    /// # Errors
    /// [`HostError::NoAnswer`] when it is not completed within the answer deadline;
    /// [`HostError::BugCheck`] when the machine stops.
    pub fn ioctl(
        &self,
        code: u32,
        input: &[u8],
        output: &mut [u8],
    ) -> Result<Completion, HostError> {
        let pending = self.ioctl_async(code, input.to_vec(), output.len())?;
        let (completion, bytes) = pending.wait(self.machine.options.answer_deadline)?;
        if let Some(target) = output.get_mut(..bytes.len()) {
            target.copy_from_slice(&bytes);
        }
        Ok(completion)
    }

    /// Sends an IOCTL and returns when the driver's dispatch has, as an overlapped request does.
    ///
    /// # Errors
    /// As [`File::ioctl`], for the dispatch.
    pub fn ioctl_async(
        &self,
        code: u32,
        input: Vec<u8>,
        output_length: usize,
    ) -> Result<Pending, HostError> {
        let (file, process) = (self.id, self.process);
        let major = Major::Control {
            code,
            input: input.len(),
            output: output_length,
        };
        let what = format!("the dispatch of IOCTL {code:#x}");
        let irp = self.machine.system_call(process, &what, move |thread| {
            let irp = thread.lock().add_irp(file, major, &input)?;
            if let Ok(irp) = irp {
                thread.dispatch_control(irp)?;
            }
            Ok(irp)
        })?;
        Ok(self.pending(irp, code))
    }

    /// What is known of a request that has been sent, or that the I/O manager has failed itself with
    /// this status.
    pub(crate) fn pending(&self, irp: Result<u64, i32>, code: u32) -> Pending {
        let refused = irp.err().map(|status| {
            let information = 0;
            let completion = Completion {
                status,
                information,
            };
            (completion, Vec::new())
        });
        Pending {
            machine: Arc::clone(&self.machine),
            irp: irp.unwrap_or(0),
            code,
            process: self.process,
            result: Mutex::new(refused),
        }
    }

    /// Closes the handle: IRP_MJ_CLEANUP now, IRP_MJ_CLOSE when no request is left.
    ///
    /// # Errors
    /// As every call.
    pub fn close(self) -> Result<(), HostError> {
        self.close_handle()
    }

    /// The same while others may be using the handle: requests that have been sent go on, and later
    /// ones fail with STATUS_INVALID_HANDLE.
    ///
    /// # Errors
    /// As every call.
    pub fn close_handle(&self) -> Result<(), HostError> {
        if !self.open.swap(false, Ordering::Relaxed) {
            return Ok(());
        }
        let file = self.id;
        self.machine
            .system_call(self.process, "IRP_MJ_CLEANUP", move |thread: &Thread| {
                thread.lock().io.close_handle(file);
                if thread.dispatch_cleanup(file)? {
                    thread.dispatch_close(file)?;
                }
                Ok(())
            })
    }
}

impl Drop for File {
    /// Closes the handle. An error is not lost: the machine keeps it, and every later call has it.
    fn drop(&mut self) {
        drop(self.close_handle());
    }
}

/// A request that may not be completed yet. Dropping it does not cancel it.
#[derive(Debug)]
pub struct Pending {
    machine: Arc<Machine>,
    pub(crate) irp: u64,
    code: u32,
    process: u64,
    result: Mutex<Option<(Completion, Vec<u8>)>>,
}

impl Pending {
    /// The completion with the output bytes, if there is one: without waiting. Of a request of a
    /// [`UserThread`](crate::UserThread) there is one when that thread has learnt of it.
    ///
    /// # Errors
    /// As every call.
    pub fn done(&self) -> Result<Option<(Completion, Vec<u8>)>, HostError> {
        let mut result = self.result.lock();
        if result.is_none() {
            let mut state = self.machine.lock();
            if self.machine.stopped() {
                return Err(state.error());
            }
            *result = state.take_completed(self.irp);
        }
        Ok(result.clone())
    }

    /// Waits at most `timeout` for the completion. Gives it with the output bytes; again when it
    /// is called again.
    ///
    /// # Errors
    /// [`HostError::NoAnswer`] when the request is still not completed; it stays outstanding.
    pub fn wait(&self, timeout: Duration) -> Result<(Completion, Vec<u8>), HostError> {
        let mut result = self.result.lock();
        if let Some(result) = &*result {
            return Ok(result.clone());
        }
        let what = format!("IOCTL {:#x}", self.code);
        let done = self
            .machine
            .await_state(timeout, &what, |state| state.take_completed(self.irp));
        let done = done?;
        *result = Some(done.clone());
        Ok(done)
    }

    /// Asks for the cancellation of the request (`CancelIoEx`). Without effect on a completed one.
    ///
    /// # Errors
    /// As every call.
    pub fn cancel(&self) -> Result<(), HostError> {
        let irp = self.irp;
        self.machine
            .system_call(self.process, "CancelIoEx", move |thread| {
                thread.cancel_irp(irp)
            })
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if self.result.get_mut().is_none() {
            self.machine.lock().orphan_irp(self.irp);
        }
    }
}
