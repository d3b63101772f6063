//! Thread objects, event objects, references to them, and the handle tables.

use std::collections::BTreeMap;

use apclab_model::kernel::{BugCheck, EventKind, Kernel, ObjectId, ThreadId};

use crate::bugcheck;
use crate::events::KEVENT_SIZE;
use crate::machine::State;
use crate::memory::Request;
use crate::pool_errors::free_error;
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
    /// Whether a program of user mode has opened it.
    user: bool,
}

/// What an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Thread,
    Event,
}

/// Pool tag of event objects.
const EVENT_TAG: u32 = u32::from_le_bytes(*b"Even");

/// The object manager of a machine: threads and events.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    threads: BTreeMap<u64, ThreadObject>,
    /// The references to the event objects.
    events: BTreeMap<u64, u64>,
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
        let user = false;
        self.handles.insert(value, Handle { object, user });
        value
    }

    /// Opens a handle of a program of user mode to the event object, whose first reference it is.
    fn open_event(&mut self, object: u64) -> u64 {
        self.next_handle += 4;
        self.events.insert(object, 1);
        let user = true;
        self.handles
            .insert(self.next_handle, Handle { object, user });
        self.next_handle
    }

    /// What the object at `object` is.
    pub(crate) fn kind(&self, object: u64) -> Option<Kind> {
        let thread = self.threads.contains_key(&object).then_some(Kind::Thread);
        thread.or_else(|| self.events.contains_key(&object).then_some(Kind::Event))
    }

    /// The object behind a handle.
    pub(crate) fn lookup(&self, handle: u64) -> Option<u64> {
        self.handles.get(&handle).map(|handle| handle.object)
    }

    /// Whether a handle value is of the kernel's own table.
    pub(crate) fn is_kernel_handle(handle: u64) -> bool {
        handle & KERNEL_HANDLE == KERNEL_HANDLE
    }

    /// `ObfReferenceObject`.
    pub(crate) fn reference(&mut self, object: u64) -> Result<u64, BugCheck> {
        if let Some(references) = self.events.get_mut(&object) {
            *references += 1;
            return Ok(*references);
        }
        let thread = self
            .threads
            .get_mut(&object)
            .ok_or_else(|| unknown(object))?;
        thread.references += 1;
        Ok(thread.references)
    }

    /// `ObfDereferenceObject` of a thread: the last one frees the object.
    fn dereference_thread(&mut self, object: u64, kernel: &mut Kernel) -> Result<(), BugCheck> {
        let handles = self.handles_to(object);
        let thread = self
            .threads
            .get_mut(&object)
            .ok_or_else(|| unknown(object))?;
        thread.references -= 1;
        if thread.references < handles + u64::from(thread.running) {
            return Err(too_few(&thread.name, object, thread.references));
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
        for (value, handle) in self.handles.iter().filter(|(_, handle)| !handle.user) {
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
        for (address, references) in &self.events {
            let count = references - self.handles_to(*address);
            if count > 0 {
                let object = "an event object".to_owned();
                leaks.push(Leak::References { object, count });
            }
        }
        leaks
    }
}

impl State {
    /// Makes an event object with a handle for a program of user mode. Gives the object and the
    /// handle; `None` when there is no memory.
    pub(crate) fn create_event_object(
        &mut self,
        kind: EventKind,
        signaled: bool,
    ) -> Result<Option<(u64, u64)>, BugCheck> {
        let size = usize::try_from(KEVENT_SIZE).unwrap_or(usize::MAX);
        let Some(address) = self.memory.pool.allocate(Request::system(size, EVENT_TAG)) else {
            return Ok(None);
        };
        self.initialize_event(address, kind, signaled)?;
        Ok(Some((address, self.objects.open_event(address))))
    }

    /// `ObfDereferenceObject`: the last one frees the object.
    pub(crate) fn dereference_object(&mut self, object: u64) -> Result<(), BugCheck> {
        let handles = self.objects.handles_to(object);
        let Some(references) = self.objects.events.get_mut(&object) else {
            return self.objects.dereference_thread(object, &mut self.kernel);
        };
        *references -= 1;
        let left = *references;
        if left < handles {
            return Err(too_few("an event object", object, left));
        }
        if left == 0 {
            self.objects.events.remove(&object);
            self.forget_events(&(object..object + KEVENT_SIZE), "freed")?;
            let freed = self.memory.pool.free(object);
            freed.map_err(|error| free_error(&self.memory, object, &error))?;
        }
        Ok(())
    }

    /// Closes a handle; `false` when there is none.
    pub(crate) fn close_handle(&mut self, handle: u64) -> Result<bool, BugCheck> {
        match self.objects.handles.remove(&handle) {
            Some(handle) => self.dereference_object(handle.object).map(|()| true),
            None => Ok(false),
        }
    }
}

fn too_few(name: &str, object: u64, references: u64) -> BugCheck {
    let reason = format!("{name} was dereferenced more often than it was referenced");
    let parameters = [0, object, 2, references];
    bugcheck::check(bugcheck::REFERENCE_BY_POINTER, parameters, reason)
}

fn unknown(object: u64) -> BugCheck {
    let reason = format!("{object:#x} is no object, or one that has been freed");
    bugcheck::check(bugcheck::REFERENCE_BY_POINTER, [0, object, 2, 0], reason)
}
