//! An IRP: the fields of it that a driver may read and write while it owns it.
//!
//! The layouts are those of wdk-sys' bindings. Each field is read or written by itself, through its
//! offset: the I/O manager may write to others at the same time.

use core::mem::offset_of;
use core::ops::Deref;
use core::ptr::NonNull;

use apclab_protocol::status::{INVALID_PARAMETER, NtStatus};
use wdk_sys::{
    _MODE::UserMode, BOOLEAN, IO_NO_INCREMENT, IO_STACK_LOCATION, IRP, KPROCESSOR_MODE, PETHREAD,
    PFILE_OBJECT, PVOID, SL_PENDING_RETURNED, ntddk,
};

use crate::dispatch::Lengths;

const CANCEL: usize = offset_of!(IRP, Cancel);
const REQUESTOR_MODE: usize = offset_of!(IRP, RequestorMode);
const SYSTEM_BUFFER: usize = offset_of!(IRP, AssociatedIrp.SystemBuffer);
const STATUS: usize = offset_of!(IRP, IoStatus.__bindgen_anon_1.Status);
const INFORMATION: usize = offset_of!(IRP, IoStatus.Information);
const THREAD: usize = offset_of!(IRP, Tail.Overlay.Thread);
const STACK_LOCATION: usize = offset_of!(
    IRP,
    Tail.Overlay
        .__bindgen_anon_2
        .__bindgen_anon_1
        .CurrentStackLocation
);

const CONTROL: usize = offset_of!(IO_STACK_LOCATION, Control);
const FILE_OBJECT: usize = offset_of!(IO_STACK_LOCATION, FileObject);
const INPUT_LENGTH: usize = offset_of!(
    IO_STACK_LOCATION,
    Parameters.DeviceIoControl.InputBufferLength
);
const OUTPUT_LENGTH: usize = offset_of!(
    IO_STACK_LOCATION,
    Parameters.DeviceIoControl.OutputBufferLength
);

/// A field of a structure.
fn field<S, T>(structure: NonNull<S>, offset: usize) -> *mut T {
    structure
        .as_ptr()
        .cast::<u8>()
        .wrapping_add(offset)
        .cast::<T>()
}

/// An IRP of IRP_MJ_DEVICE_CONTROL that may be looked at and that somebody owns.
pub(crate) struct Look(NonNull<IRP>);

// SAFETY: the fields that a look reads do not change while the IRP is live, but for `Cancel`, which any
// thread may read.
unsafe impl Send for Look {}
// SAFETY: as above.
unsafe impl Sync for Look {}

impl Look {
    /// A field of the IRP that nobody changes while the driver owns it.
    ///
    /// # Safety
    /// The offset is that of a field of type `T`.
    unsafe fn read<T: Copy>(&self, offset: usize) -> T {
        // SAFETY: the IRP is live, by the contracts of `Irp::delivered` and `Irp::look`; the rest by the
        // contract of this function.
        unsafe { field::<IRP, T>(self.0, offset).read() }
    }

    fn location(&self) -> Option<NonNull<IO_STACK_LOCATION>> {
        // SAFETY: the field has this type. It is what `IoGetCurrentIrpStackLocation` reads.
        NonNull::new(unsafe { self.read::<*mut IO_STACK_LOCATION>(STACK_LOCATION) })
    }

    /// Whether the request was cancelled.
    pub(crate) fn cancelled(&self) -> bool {
        // SAFETY: the IRP is live; the I/O manager sets the field from any thread.
        unsafe { field::<IRP, BOOLEAN>(self.0, CANCEL).read_volatile() != 0 }
    }

    /// Whether the request was cancelled, or the thread that made it is terminating. IRQL <=
    /// DISPATCH_LEVEL.
    pub(crate) fn abandoned(&self) -> bool {
        if self.cancelled() {
            return true;
        }
        // SAFETY: the field has this type.
        let thread = unsafe { self.read::<PETHREAD>(THREAD) };
        // SAFETY: a thread object lives as long as its requests.
        !thread.is_null() && unsafe { ntddk::PsIsThreadTerminating(thread) != 0 }
    }

    /// Whether user mode made the request.
    pub(crate) fn of_user_mode(&self) -> bool {
        // SAFETY: the field has this type.
        let mode = unsafe { self.read::<KPROCESSOR_MODE>(REQUESTOR_MODE) };
        i32::from(mode) == UserMode
    }

    /// The file object that the request came through, for comparisons alone.
    pub(crate) fn file(&self) -> usize {
        self.location().map_or(0, |location| {
            // SAFETY: the stack location is the IRP's, and the field has this type.
            unsafe { field::<_, PFILE_OBJECT>(location, FILE_OBJECT).read() }.addr()
        })
    }

    /// Sizes of the buffers in bytes, as user mode said.
    pub(crate) fn lengths(&self) -> Lengths {
        let Some(location) = self.location() else {
            return Lengths {
                input: 0,
                output: 0,
            };
        };
        // SAFETY: the stack location is the IRP's, of IRP_MJ_DEVICE_CONTROL, and the field has this type.
        let input = unsafe { field::<_, u32>(location, INPUT_LENGTH).read() };
        // SAFETY: as above.
        let output = unsafe { field::<_, u32>(location, OUTPUT_LENGTH).read() };
        Lengths {
            input: input as usize,
            output: output as usize,
        }
    }

    fn buffer(&self) -> Option<NonNull<u8>> {
        // SAFETY: the field has this type.
        NonNull::new(unsafe { self.read::<PVOID>(SYSTEM_BUFFER) }.cast::<u8>())
    }
}

/// An IRP that the driver owns: delivered to it and not completed.
#[must_use = "an IRP is completed, or kept until it is"]
pub(crate) struct Irp(Look);

impl Deref for Irp {
    type Target = Look;

    fn deref(&self) -> &Look {
        &self.0
    }
}

impl Irp {
    /// Takes ownership of an IRP of IRP_MJ_DEVICE_CONTROL with METHOD_BUFFERED.
    ///
    /// # Safety
    /// The I/O manager has delivered the IRP to this driver, which has not completed it nor passed it on,
    /// and makes no second `Irp` of it.
    pub(crate) unsafe fn delivered(irp: NonNull<IRP>) -> Self {
        Self(Look(irp))
    }

    /// Lets somebody else look at the IRP.
    ///
    /// # Safety
    /// The look is gone before the IRP is completed.
    pub(crate) unsafe fn look(&self) -> Look {
        Look(self.0.0)
    }

    /// Calls `f` with the input. Input and output are the same memory, which is why neither is lent for
    /// longer than a call.
    ///
    /// # Errors
    /// What `f` fails with, or [`INVALID_PARAMETER`] when there is no buffer.
    pub(crate) fn with_input<R>(
        &self,
        f: impl FnOnce(&[u8]) -> Result<R, NtStatus>,
    ) -> Result<R, NtStatus> {
        let length = self.lengths().input;
        if length == 0 {
            return f(&[]);
        }
        let buffer = self.buffer().ok_or(INVALID_PARAMETER)?;
        // SAFETY: the I/O manager has copied that many bytes to the system buffer, which stays until the
        // request is completed; the driver alone has it, and nobody writes to it while `f` does.
        f(unsafe { core::slice::from_raw_parts(buffer.as_ptr(), length) })
    }

    /// Calls `f` with the output buffer; `f` gives the bytes written.
    ///
    /// # Errors
    /// As [`Irp::with_input`].
    pub(crate) fn with_output(
        &mut self,
        f: impl FnOnce(&mut [u8]) -> Result<usize, NtStatus>,
    ) -> Result<usize, NtStatus> {
        let length = self.lengths().output;
        if length == 0 {
            return f(&mut []);
        }
        let buffer = self.buffer().ok_or(INVALID_PARAMETER)?;
        // SAFETY: the system buffer has the size of the larger of both, whatever its bytes are; the input is
        // no longer lent, so this is the only reference.
        f(unsafe { core::slice::from_raw_parts_mut(buffer.as_ptr(), length) })
    }

    /// `IoMarkIrpPending`: the dispatch callback returns STATUS_PENDING now, whoever completes the IRP, and
    /// be it before the callback has returned.
    pub(crate) fn mark_pending(&self) {
        let Some(location) = self.location() else {
            return;
        };
        let control = field::<_, u8>(location, CONTROL);
        // SAFETY: the current stack location belongs to the driver that owns the IRP.
        let old = unsafe { control.read() };
        #[allow(clippy::cast_possible_truncation, reason = "SL_PENDING_RETURNED is 1")]
        // SAFETY: as above.
        unsafe {
            control.write(old | SL_PENDING_RETURNED as u8);
        }
    }

    /// `IoCompleteRequest`, without a boost. IRQL <= DISPATCH_LEVEL. Gives the status.
    pub(crate) fn complete(self, status: NtStatus, written: usize) -> NtStatus {
        let Self(Look(irp)) = self;
        // SAFETY: the driver owns the IRP, and the field has this type.
        unsafe { field::<IRP, NtStatus>(irp, STATUS).write(status) };
        // SAFETY: as above.
        unsafe { field::<IRP, u64>(irp, INFORMATION).write(written as u64) };
        #[allow(clippy::cast_possible_truncation, reason = "IO_NO_INCREMENT is 0")]
        // SAFETY: the driver owns the IRP, which has no cancel routine; this is its end.
        unsafe {
            ntddk::IofCompleteRequest(irp.as_ptr(), IO_NO_INCREMENT as i8);
        }
        status
    }
}
