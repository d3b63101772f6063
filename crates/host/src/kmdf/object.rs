//! Framework objects: a tree of handles with reference counts and contexts.

use std::collections::BTreeMap;

use apclab_model::kernel::BugCheck;

use super::attributes::Attributes;
use super::device::{Device, DeviceInit};
use super::driver::Driver;
use super::file::FileObject;
use super::lock::WaitLock;
use super::queue::Queue;
use super::request;
use crate::bugcheck;
use crate::dispatch::{Arguments, Export, Fault};
use crate::machine::State;
use crate::memory::Request;
use crate::pool_errors::free_error;
use crate::report::Leak;
use crate::status;
use crate::thread::Thread;

pub(super) const FUNCTIONS: &[Export] = &[
    Export::rule("WdfObjectDelete", delete),
    Export::plain("WdfObjectReferenceActual", reference),
    Export::rule("WdfObjectDereferenceActual", dereference),
];

/// Pool tag of contexts.
const CONTEXT_TAG: u32 = u32::from_le_bytes(*b"FxCt");

/// What an object is.
#[derive(Debug)]
pub(super) enum Kind {
    Driver(Driver),
    Device(Box<Device>),
    Queue(Queue),
    Request(request::Request),
    File(FileObject),
    WaitLock(WaitLock),
}

impl Kind {
    fn name(&self) -> &'static str {
        match self {
            Self::Driver(_) => "WDFDRIVER",
            Self::Device(_) => "WDFDEVICE",
            Self::Queue(_) => "WDFQUEUE",
            Self::Request(_) => "WDFREQUEST",
            Self::File(_) => "WDFFILEOBJECT",
            Self::WaitLock(_) => "WDFWAITLOCK",
        }
    }
}

/// A context, or just the callbacks of attributes that named none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context {
    /// The unique type; 0 for callbacks alone.
    pub(super) kind: u64,
    /// Where it is; 0 for callbacks alone.
    pub(super) address: u64,
    cleanup: u64,
    destroy: u64,
}

/// One object.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) kind: Kind,
    parent: Option<u64>,
    children: Vec<u64>,
    pub(super) contexts: Vec<Context>,
    pub(super) references: u64,
    deleting: bool,
}

/// The framework's part of a machine's state.
#[derive(Debug, Default)]
pub(crate) struct Framework {
    pub(super) objects: BTreeMap<u64, Object>,
    pub(super) inits: BTreeMap<u64, DeviceInit>,
    pub(super) driver: Option<u64>,
    pub(super) device: Option<u64>,
    /// The address of WDF_DRIVER_GLOBALS while a driver is bound.
    pub(crate) globals: Option<u64>,
    /// The address of the function table.
    pub(super) table: Option<u64>,
    /// The address of the thunk of the framework's DriverUnload.
    pub(crate) unload_thunk: u64,
    /// Whether the framework's DriverUnload has run.
    pub(crate) unloaded: bool,
}

impl Framework {
    /// The object behind a handle.
    pub(super) fn get(&self, handle: u64, routine: &str) -> Result<&Object, BugCheck> {
        self.objects
            .get(&handle)
            .ok_or_else(|| bad_handle(handle, "object", routine))
    }

    pub(super) fn get_mut(&mut self, handle: u64, routine: &str) -> Result<&mut Object, BugCheck> {
        self.objects
            .get_mut(&handle)
            .ok_or_else(|| bad_handle(handle, "object", routine))
    }

    /// Whether the device can be opened by a name.
    pub(crate) fn has_name(&self) -> bool {
        let object = self.device.and_then(|device| self.objects.get(&device));
        match object.map(|object| &object.kind) {
            Some(Kind::Device(device)) => device.interfaces > 0 || !device.links.is_empty(),
            _ => false,
        }
    }

    /// Objects that were not deleted with their parents.
    pub(crate) fn leaks(&self) -> Vec<Leak> {
        let leak = |(handle, object): (&u64, &Object)| Leak::Framework {
            kind: object.kind.name().to_owned(),
            handle: *handle,
        };
        self.objects.iter().map(leak).collect()
    }
}

/// The bug check for a handle that is not of the kind `expected`.
pub(super) fn bad_handle(handle: u64, expected: &str, routine: &str) -> BugCheck {
    let reason = format!(
        "{routine} was given {handle:#x}, which is no {expected}, or one that is deleted or \
         completed"
    );
    bugcheck::wdf(0x5, handle, 0, reason)
}

impl State {
    /// Creates an object with the parent of its attributes, or `default_parent`. The inner error
    /// is a status for the driver.
    pub(super) fn create_object(
        &mut self,
        handle: u64,
        kind: Kind,
        attributes: &Attributes,
        default_parent: Option<u64>,
        routine: &str,
    ) -> Result<Result<u64, i32>, BugCheck> {
        let parent = match attributes.parent {
            0 => default_parent,
            parent => Some(parent),
        };
        if let Some(parent) = parent {
            self.framework.get(parent, routine)?;
        }
        let Some(context) = self.create_context(attributes) else {
            return Ok(Err(status::INSUFFICIENT_RESOURCES));
        };
        if let Some(parent) = parent {
            let parent = self.framework.get_mut(parent, routine)?;
            if parent.deleting {
                return Ok(Err(status::INVALID_DEVICE_STATE));
            }
            parent.children.push(handle);
        }
        let object = Object {
            kind,
            parent,
            children: Vec::new(),
            contexts: vec![context],
            references: 1,
            deleting: false,
        };
        self.framework.objects.insert(handle, object);
        Ok(Ok(handle))
    }

    fn create_context(&mut self, attributes: &Attributes) -> Option<Context> {
        let size = usize::try_from(attributes.context_size).ok()?;
        let address = if attributes.context_type == 0 {
            0
        } else {
            self.memory
                .pool
                .allocate(Request::system(size.max(1), CONTEXT_TAG))?
        };
        Some(Context {
            kind: attributes.context_type,
            address,
            cleanup: attributes.cleanup,
            destroy: attributes.destroy,
        })
    }

    /// `root` and all below it, children ahead of their parents.
    fn subtree(&self, root: u64) -> Vec<u64> {
        let mut order = vec![root];
        let mut next = 0;
        while let Some(object) = order
            .get(next)
            .and_then(|at| self.framework.objects.get(at))
        {
            order.extend(&object.children);
            next += 1;
        }
        order.reverse();
        order
    }
}

impl Thread {
    /// Deletes an object and all below it: the cleanup callbacks of children run ahead of their
    /// parent's; then each loses its first reference.
    pub(super) fn delete_object(&self, root: u64) -> Result<(), Fault> {
        let order = {
            let mut state = self.lock();
            let order = state.subtree(root);
            for handle in &order {
                if let Some(object) = state.framework.objects.get_mut(handle) {
                    object.deleting = true;
                }
            }
            order
        };
        for &handle in &order {
            for context in self.contexts(handle) {
                if context.cleanup != 0 {
                    self.callback("EvtCleanupCallback", context.cleanup, &[handle])?;
                }
            }
        }
        {
            let mut state = self.lock();
            let parent = state
                .framework
                .objects
                .get(&root)
                .and_then(|object| object.parent);
            if let Some(parent) = parent.and_then(|at| state.framework.objects.get_mut(&at)) {
                parent.children.retain(|child| *child != root);
            }
        }
        for handle in order {
            self.release_object(handle, "WdfObjectDelete")?;
        }
        Ok(())
    }

    /// Gives a reference back; the last one destroys the object.
    pub(super) fn release_object(&self, handle: u64, routine: &str) -> Result<(), Fault> {
        {
            let mut state = self.lock();
            let object = state.framework.get_mut(handle, routine)?;
            object.references -= 1;
            if object.references > 0 {
                return Ok(());
            }
            if !object.deleting {
                let kind = object.kind.name();
                let reason = format!("a {kind} lost its last reference without being deleted");
                return Err(bugcheck::wdf(0x7, handle, 0, reason).into());
            }
        }
        let contexts = self.contexts(handle);
        for context in &contexts {
            if context.destroy != 0 {
                self.callback("EvtDestroyCallback", context.destroy, &[handle])?;
            }
        }
        let mut state = self.lock();
        let removed = state.framework.objects.remove(&handle);
        if let Some(Object {
            kind: Kind::WaitLock(lock),
            ..
        }) = removed
        {
            state.destroy_wait_lock(handle, &lock)?;
        }
        for context in contexts.iter().filter(|context| context.address != 0) {
            let freed = state.memory.pool.free(context.address);
            freed.map_err(|error| free_error(&state.memory, context.address, &error))?;
        }
        Ok(())
    }

    fn contexts(&self, handle: u64) -> Vec<Context> {
        let state = self.lock();
        state
            .framework
            .objects
            .get(&handle)
            .map_or_else(Vec::new, |object| object.contexts.clone())
    }
}

fn delete(thread: &Thread, arguments: &Arguments) -> Result<u64, Fault> {
    let handle = arguments.word(1);
    {
        let state = thread.lock();
        let object = state.framework.get(handle, "WdfObjectDelete")?;
        // The framework deletes these itself.
        if !matches!(object.kind, Kind::WaitLock(_) | Kind::Queue(_)) || object.deleting {
            let reason = format!(
                "WdfObjectDelete was given a {} that the driver may not delete",
                object.kind.name()
            );
            return Err(bugcheck::wdf(0x5, handle, 0, reason).into());
        }
        if let Kind::Queue(queue) = &object.kind
            && queue.default
        {
            let reason = "WdfObjectDelete was given the default queue of a device";
            return Err(bugcheck::wdf(0x5, handle, 0, reason).into());
        }
    }
    thread.delete_object(handle)?;
    Ok(0)
}

fn reference(thread: &Thread, arguments: &Arguments) -> Result<u64, Fault> {
    let mut state = thread.lock();
    let object = state
        .framework
        .get_mut(arguments.word(1), "WdfObjectReference")?;
    object.references += 1;
    Ok(0)
}

fn dereference(thread: &Thread, arguments: &Arguments) -> Result<u64, Fault> {
    thread.release_object(arguments.word(1), "WdfObjectDereference")?;
    Ok(0)
}
