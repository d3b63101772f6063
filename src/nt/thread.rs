//! System threads that are always joined.

use core::ffi::c_void;
use core::ptr::{NonNull, null_mut};
use core::sync::atomic::{AtomicBool, Ordering};

use apclab_guards::Passive;
use apclab_protocol::status::NtStatus;
use wdk_sys::{
    _KWAIT_REASON::Executive, _MODE::KernelMode, CLIENT_ID, HANDLE, OBJ_KERNEL_HANDLE,
    OBJECT_ATTRIBUTES, PKTHREAD, POBJECT_TYPE, THREAD_ALL_ACCESS, ntddk,
};

use super::event::{Events, NOTIFICATION, Waited, wait};
use super::memory::Shared;
use super::system;

#[link(name = "ntoskrnl.exe", kind = "raw-dylib", modifiers = "+verbatim")]
unsafe extern "C" {
    /// The type of thread objects. The export is a variable of that type; C headers declare a pointer
    /// to it because they name the import's slot. wdk-sys has no binding of it.
    static PsThreadType: POBJECT_TYPE;
}

/// What a thread does.
pub(crate) trait Main: Send + Sync + Sized {
    /// The thread's body. It begins at PASSIVE_LEVEL and returns with both APC counters as they
    /// were.
    fn main(&self, irql: Passive);
}

/// What a new thread is told: its work, and whether to do it.
struct Start<M> {
    main: M,
    go: AtomicBool,
    told: Events,
}

impl<M> Start<M> {
    fn tell(&self, go: bool) {
        self.go.store(go, Ordering::Release);
        if let Some(told) = self.told.get(0) {
            told.set();
        }
    }
}

/// How long a new thread sleeps before it looks again whether it was told; its creator tells it in
/// any case.
const TOLD_SLICE_MS: u32 = 1000;

/// A thread object that the driver refers to. Dropping it waits for the thread's end.
struct Joined {
    object: NonNull<c_void>,
    id: usize,
}

// SAFETY: a referenced thread object may be waited for and dereferenced from any thread.
unsafe impl Send for Joined {}
// SAFETY: as above.
unsafe impl Sync for Joined {}

impl Drop for Joined {
    fn drop(&mut self) {
        #[allow(clippy::cast_possible_truncation, reason = "KernelMode is 0")]
        // A wait without a time-out ends only by the thread's end, so its status says nothing. It
        // needs no deadline of its own: every wait inside a thread of ours has one, and the code of
        // the thread must not be unloaded before it ends.
        // SAFETY: the object is referenced.
        let _ = unsafe {
            ntddk::KeWaitForSingleObject(
                self.object.as_ptr(),
                Executive,
                KernelMode as i8,
                0,
                null_mut(),
            )
        };
        // SAFETY: gives back the reference of `create`, once.
        unsafe { ntddk::ObfDereferenceObject(self.object.as_ptr()) };
    }
}

/// A thread that exists and has not begun its work. Dropping it ends it without the work.
pub(crate) struct Held<M: Main> {
    start: Shared<Start<M>>,
    joined: Option<Joined>,
}

/// A thread at work. Dropping it waits for its end.
pub(crate) struct Thread {
    joined: Joined,
}

/// Where the kernel starts a thread of ours.
unsafe extern "C" fn trampoline<M: Main>(context: *mut c_void) {
    // SAFETY: `create` gave one ownership of the start record to this thread.
    let Some(start) = (unsafe { Shared::<Start<M>>::from_raw(context) }) else {
        return;
    };
    // SAFETY: a system thread begins at PASSIVE_LEVEL; this is its only token.
    let irql = unsafe { Passive::assume() };
    if let Some(told) = start.told.get(0) {
        while wait(told, TOLD_SLICE_MS, &irql) == Waited::TimedOut {}
    }
    if start.go.load(Ordering::Acquire) {
        start.main.main(irql);
    }
}

/// Creates a thread that waits to be told. IRQL: PASSIVE_LEVEL.
///
/// # Errors
/// `STATUS_INSUFFICIENT_RESOURCES`, or what `PsCreateSystemThread` or
/// `ObReferenceObjectByHandle` failed with. No thread is left then.
pub(crate) fn create<M: Main>(main: M, _irql: &Passive) -> Result<Held<M>, NtStatus> {
    let start = Shared::try_new(Start {
        main,
        go: AtomicBool::new(false),
        told: Events::try_new(1, |_| NOTIFICATION)?,
    })?;
    #[allow(
        clippy::cast_possible_truncation,
        reason = "the structure has 48 bytes"
    )]
    let mut attributes = OBJECT_ATTRIBUTES {
        Length: size_of::<OBJECT_ATTRIBUTES>() as u32,
        RootDirectory: null_mut(),
        ObjectName: null_mut(),
        Attributes: OBJ_KERNEL_HANDLE,
        SecurityDescriptor: null_mut(),
        SecurityQualityOfService: null_mut(),
    };
    let mut handle: HANDLE = null_mut();
    let mut client = CLIENT_ID::default();
    let context = start.clone().into_raw();
    // SAFETY: the out-pointers are to locals, the trampoline takes up `context` once, and the token
    // shows PASSIVE_LEVEL.
    let status = unsafe {
        ntddk::PsCreateSystemThread(
            &raw mut handle,
            THREAD_ALL_ACCESS,
            &raw mut attributes,
            null_mut(),
            &raw mut client,
            Some(trampoline::<M>),
            context,
        )
    };
    if !wdk::nt_success(status) {
        // SAFETY: no thread was made, so this is the one who takes the ownership back.
        drop(unsafe { Shared::<Start<M>>::from_raw(context) });
        return Err(status);
    }
    let mut object: *mut c_void = null_mut();
    // SAFETY: the kernel fills its variable before any driver is loaded.
    let thread_type = unsafe { PsThreadType };
    #[allow(clippy::cast_possible_truncation, reason = "KernelMode is 0")]
    // SAFETY: the handle was made above and is a kernel handle; the out-pointer is to a local.
    let status = unsafe {
        ntddk::ObReferenceObjectByHandle(
            handle,
            THREAD_ALL_ACCESS,
            thread_type,
            KernelMode as i8,
            &raw mut object,
            null_mut(),
        )
    };
    let referenced = if wdk::nt_success(status) {
        NonNull::new(object)
    } else {
        None
    };
    if referenced.is_none() {
        start.tell(false);
        // SAFETY: the handle is a kernel handle of a thread that ends because it was told so.
        let _ = unsafe { ntddk::ZwWaitForSingleObject(handle, 0, null_mut()) };
    }
    // SAFETY: the handle was made above and is closed once. Closing a good handle cannot fail.
    let _ = unsafe { ntddk::ZwClose(handle) };
    let object = referenced.ok_or(status)?;
    Ok(Held {
        start,
        joined: Some(Joined {
            object,
            id: client.UniqueThread.addr(),
        }),
    })
}

impl<M: Main> Held<M> {
    /// What the thread works with.
    pub(crate) fn main(&self) -> &M {
        &self.start.main
    }

    /// The thread object, for `KeInitializeApc`. It is referenced as long as the thread is held or
    /// at work.
    pub(crate) fn object(&self) -> PKTHREAD {
        self.joined
            .as_ref()
            .map_or(null_mut(), |joined| joined.object.as_ptr().cast())
    }

    /// Lets the thread begin.
    pub(crate) fn run(mut self) -> Option<Thread> {
        let joined = self.joined.take()?;
        self.start.tell(true);
        Some(Thread { joined })
    }
}

impl<M: Main> Drop for Held<M> {
    fn drop(&mut self) {
        if self.joined.is_some() {
            self.start.tell(false);
        }
    }
}

impl Thread {
    /// Whether the caller is this very thread, which therefore must not be waited for.
    pub(crate) fn is_current(&self) -> bool {
        self.joined.id == system::current_thread()
    }

    /// Waits for the thread's end.
    pub(crate) fn join(self, _irql: &Passive) {
        drop(self);
    }
}
