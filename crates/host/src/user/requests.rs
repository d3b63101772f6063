//! Requests of a thread of user mode to the driver.

use super::{UserEvent, UserThread};
use crate::host::{File, Pending};
use crate::io::{Major, Requester};
use crate::report::{Completion, HostError};

impl UserThread<'_> {
    /// Sends an IOCTL in this thread and waits for its completion, as
    /// [`File::ioctl`](crate::File::ioctl) does.
    ///
    /// # Errors
    /// [`HostError::NoAnswer`] when a request that is pending is not completed within the answer
    /// deadline; otherwise as every call.
    pub fn ioctl(
        &self,
        file: &File,
        code: u32,
        input: &[u8],
        output: &mut [u8],
    ) -> Result<Completion, HostError> {
        let known = self.event.borrow().clone();
        let event = known.map_or_else(|| self.create_event(), Ok)?;
        self.event.replace(Some(event.clone()));
        let pending = self.start_ioctl(file, code, input, output.len(), &event)?;
        let timeout = self.thread.machine.options.answer_deadline;
        let done = match pending.done()? {
            Some(done) => Some(done),
            None if self.wait(&event, timeout)? => pending.done()?,
            None => None,
        };
        let Some((completion, bytes)) = done else {
            let what = format!("IOCTL {code:#x}");
            let machine = &self.thread.machine;
            return Err(machine.no_answer(&machine.lock(), timeout, &what));
        };
        if let Some(target) = output.get_mut(..bytes.len()) {
            target.copy_from_slice(&bytes);
        }
        Ok(completion)
    }

    /// Sends an IOCTL in this thread, as an overlapped request does that names `event`. The event
    /// is reset, and signaled when the request is completed, unless it fails at once.
    ///
    /// The completion of a request that is pending reaches this thread as a special kernel APC;
    /// [`Pending::done`] says whether it has.
    ///
    /// # Errors
    /// As every call.
    pub fn start_ioctl(
        &self,
        file: &File,
        code: u32,
        input: &[u8],
        output_length: usize,
        event: &UserEvent,
    ) -> Result<Pending, HostError> {
        let major = Major::Control {
            code,
            input: input.len(),
            output: output_length,
        };
        let object = event.object();
        let sent = self.thread.user_call(|thread| {
            let irp = {
                let mut state = thread.lock();
                let irp = state.add_irp(file.id, major, input)?;
                state.change_event(object, false, "the I/O manager")?;
                if let Some(irp) = irp.ok().and_then(|irp| state.io.irps.get_mut(&irp)) {
                    irp.requester = Some(Requester {
                        thread: thread.id,
                        event: Some(object),
                    });
                    state.objects.reference(object)?;
                }
                irp
            };
            if let Ok(irp) = irp {
                thread.dispatch_control(irp)?;
            }
            Ok(irp)
        });
        self.told(sent.map(|irp| file.pending(irp, code)))
    }

    /// Asks for the cancellation of every request that was sent through a handle (`CancelIoEx` without
    /// an OVERLAPPED), also of those that other threads wait for.
    ///
    /// # Errors
    /// As every call.
    pub fn cancel_all(&self, file: &File) -> Result<(), HostError> {
        self.told(self.thread.user_call(|thread| {
            let irps: Vec<u64> = {
                let state = thread.lock();
                let irps = state.io.irps.iter();
                let sent = irps.filter(|(_, irp)| irp.file == file.id && irp.outstanding());
                sent.map(|(id, _)| *id).collect()
            };
            irps.into_iter().try_for_each(|irp| thread.cancel_irp(irp))
        }))
    }

    /// Asks for the cancellation of a request (`CancelIoEx`), in this thread.
    ///
    /// # Errors
    /// As every call.
    pub fn cancel(&self, pending: &Pending) -> Result<(), HostError> {
        let irp = pending.irp;
        self.told(self.thread.user_call(|thread| thread.cancel_irp(irp)))
    }
}
