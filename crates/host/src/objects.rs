//! Thread objects, references to them, and the kernel's handle table.

use std::collections::BTreeMap;

use apclab_model::kernel::{BugCheck, Kernel, ObjectId, ThreadId};

use crate::bugcheck;
use crate::report::Leak;

#[derive(Debug)]
struct ThreadObject {
    id: ThreadId,
    /// Signaled when the thread has ended *and* its rundown routines have run, which is when the
    /// kernel signals a thread object.
    ended: ObjectId,
    name: String,
    running: bool,
    references: u64,
}

#[derive(Debug)]
struct Handle {
    object: u64,
}

/// The object manager of a machine, as far as threads go.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    threads: BTreeMap<u64, ThreadObject>,
    handles: BTreeMap<u64, Handle>,
    next_handle: u64,
}

/// The bit pattern of a kernel handle.
const KERNEL_HANDLE: u64 = 0xFFFF_FFFF_8000_0000;

impl Objects {
    /// Adds a thread's object, with the references of the running thread and of its creator: the
    /// thread may have ended before its creator has looked at the object.
    pub(crate) fn add_thread(&mut self, object: u64, id: ThreadId, ended: ObjectId, name: String) {
        let thread = ThreadObject {
            id,
            ended,
            name,
            running: true,
            references: 2,
        };
        self.threads.insert(object, thread);
    }

    /// The thread whose object is at `object`.
    pub(crate) fn thread(&self, object: u64) -> Option<ThreadId> {
        self.threads.get(&object).map(|thread| thread.id)
    }

    /// The event that stands for the end of the thread.
    pub(crate) fn ended_event(&self, object: u64) -> Option<ObjectId> {
        self.threads.get(&object).map(|thread| thread.ended)
    }

    /// The thread that has not ended and whose end the event stands for.
    pub(crate) fn ends_with(&self, event: ObjectId) -> Option<ThreadId> {
        let mut threads = self.threads.values();
        let thread = threads.find(|thread| thread.running && thread.ended == event);
        thread.map(|thread| thread.id)
    }

    /// Signals that the thread has ended.
    pub(crate) fn thread_ended(&mut self, object: u64, kernel: &mut Kernel) {
        if let Some(thread) = self.threads.get_mut(&object) {
            thread.running = false;
            kernel.set_event(thread.ended);
        }
    }

    /// Opens a handle to the object. `kernel`: in the kernel's own table.
    pub(crate) fn open(&mut self, object: u64, kernel: bool) -> u64 {
        self.next_handle += 4;
        let value = if kernel {
            KERNEL_HANDLE + self.next_handle
        } else {
            self.next_handle
        };
        if let Some(thread) = self.threads.get_mut(&object) {
            thread.references += 1;
        }
        self.handles.insert(value, Handle { object });
        value
    }

    /// The object behind a handle.
    pub(crate) fn lookup(&self, handle: u64) -> Option<u64> {
        self.handles.get(&handle).map(|handle| handle.object)
    }

    /// Whether a handle value is of the kernel's own table.
    pub(crate) fn is_kernel_handle(handle: u64) -> bool {
        handle & KERNEL_HANDLE == KERNEL_HANDLE
    }

    /// Closes a handle; `false` when there is none.
    pub(crate) fn close(&mut self, handle: u64, kernel: &mut Kernel) -> Result<bool, BugCheck> {
        match self.handles.remove(&handle) {
            Some(handle) => self.dereference(handle.object, kernel).map(|()| true),
            None => Ok(false),
        }
    }

    /// `ObfReferenceObject`.
    pub(crate) fn reference(&mut self, object: u64) -> Result<u64, BugCheck> {
        let thread = self
            .threads
            .get_mut(&object)
            .ok_or_else(|| unknown(object))?;
        thread.references += 1;
        Ok(thread.references)
    }

    /// `ObfDereferenceObject`: the last one frees the object.
    pub(crate) fn dereference(&mut self, object: u64, kernel: &mut Kernel) -> Result<(), BugCheck> {
        let handles = self.handles_to(object);
        let thread = self
            .threads
            .get_mut(&object)
            .ok_or_else(|| unknown(object))?;
        thread.references -= 1;
        if thread.references < handles + u64::from(thread.running) {
            let reason = format!(
                "{} was dereferenced more often than it was referenced",
                thread.name
            );
            let parameters = [0, object, 2, thread.references];
            return Err(bugcheck::check(
                bugcheck::REFERENCE_BY_POINTER,
                parameters,
                reason,
            ));
        }
        if thread.references == 0 {
            kernel.remove_object(thread.ended).map_err(|mut check| {
                check.reason = format!("{} was freed while a thread waited on it", thread.name);
                check
            })?;
            kernel.remove_object(kernel.thread_object(thread.id))?;
            self.threads.remove(&object);
        }
        Ok(())
    }

    fn handles_to(&self, object: u64) -> u64 {
        self.handles
            .values()
            .filter(|handle| handle.object == object)
            .count() as u64
    }

    /// What the driver has left behind.
    pub(crate) fn leaks(&self, driver_thread: impl Fn(&str) -> bool) -> Vec<Leak> {
        let mut leaks = Vec::new();
        for (value, handle) in &self.handles {
            let object = self.threads.get(&handle.object);
            let object = object.map_or_else(String::new, |thread| thread.name.clone());
            leaks.push(Leak::Handle {
                value: *value,
                object,
            });
        }
        for (address, thread) in &self.threads {
            if thread.running && driver_thread(&thread.name) {
                leaks.push(Leak::Thread {
                    name: thread.name.clone(),
                });
            }
            let accounted = self.handles_to(*address) + u64::from(thread.running);
            let count = thread.references - accounted;
            if count > 0 {
                leaks.push(Leak::References {
                    object: thread.name.clone(),
                    count,
                });
            }
        }
        leaks
    }
}

fn unknown(object: u64) -> BugCheck {
    let reason = format!("{object:#x} is no object, or one that has been freed");
    bugcheck::check(bugcheck::REFERENCE_BY_POINTER, [0, object, 2, 0], reason)
}
