//! IRPs in memory, as the driver reads them: x64, one stack location.
//!
//! The offsets are those of wdm.h, as the driver's bindings (wdk-sys) and another compiler with
//! another set of headers (mingw-w64) give them.

use apclab_model::kernel::BugCheck;

use crate::bugcheck;
use crate::io::Major;
use crate::machine::State;
use crate::memory::Request;
use crate::status;

/// The size of an IRP without stack locations.
const IRP_SIZE: usize = 208;
/// The size of an IO_STACK_LOCATION.
const LOCATION_SIZE: usize = 72;
const SIZE: usize = IRP_SIZE + LOCATION_SIZE;
const TAG: u32 = u32::from_le_bytes(*b"Irp ");

const SYSTEM_BUFFER: usize = 24;
const THREAD_LIST_ENTRY: usize = 32;
const STATUS: u64 = 48;
const INFORMATION: u64 = 56;
const REQUESTOR_MODE: usize = 64;
const STACK_COUNT: usize = 66;
const CURRENT_LOCATION: usize = 67;
const CANCEL: u64 = 68;
const USER_EVENT: usize = 80;
const CANCEL_ROUTINE: u64 = 104;
const THREAD: usize = 152;
const CURRENT_STACK_LOCATION: usize = 184;
const ORIGINAL_FILE_OBJECT: usize = 192;

/// The offsets in the stack location, from the IRP.
const LOCATION: usize = IRP_SIZE;
const CONTROL: u64 = LOCATION as u64 + 3;
const OUTPUT_LENGTH: usize = LOCATION + 8;
const INPUT_LENGTH: usize = LOCATION + 16;
const CODE: usize = LOCATION + 24;
const DEVICE_OBJECT: usize = LOCATION + 40;
const FILE_OBJECT: usize = LOCATION + 48;

/// IO_TYPE_IRP.
const IRP_TYPE: u8 = 6;
/// IRP_BUFFERED_IO and IRP_DEALLOCATE_BUFFER.
const BUFFERED: u8 = 0x30;
/// IRP_INPUT_OPERATION: there is output to copy back.
const INPUT_OPERATION: u8 = 0x40;
/// UserMode.
const USER_MODE: u8 = 1;
/// IRP_MJ_DEVICE_CONTROL.
pub(crate) const DEVICE_CONTROL: u8 = 0x0E;
/// SL_PENDING_RETURNED, which IoMarkIrpPending sets.
const PENDING_RETURNED: u8 = 1;

/// What is known of a request whose IRP the driver has seen.
#[derive(Debug)]
pub(crate) struct Wdm {
    /// Where the IRP is, until it is completed.
    pub(crate) address: Option<u64>,
    /// What the framework recognises the dispatch by.
    pub(crate) context: u64,
    /// What has become of it.
    pub(crate) fate: Fate,
}

/// What has become of an IRP that the driver was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The driver has it.
    Driver,
    /// The driver has given it to the framework, which has returned the status, or will.
    Framework(Option<i32>),
    /// The driver has completed it.
    Completed {
        /// The status.
        status: i32,
        /// Whether it had been marked pending.
        marked: bool,
    },
}

/// What an IRP says at the moment when the driver completes it.
pub(crate) struct Final {
    pub(crate) status: i32,
    pub(crate) information: u64,
    pub(crate) cancel_routine: u64,
    pub(crate) marked: bool,
}

impl State {
    /// Makes the IRP of a device control request. `false` when there is no memory for it.
    /// `thread` and `device` are the addresses of the objects that it names.
    pub(crate) fn make_irp(
        &mut self,
        id: u64,
        context: u64,
        thread: u64,
        device: u64,
    ) -> Result<Option<u64>, BugCheck> {
        let Some(irp) = self.io.irps.get(&id) else {
            return Ok(None);
        };
        let Major::Control {
            code,
            input,
            output,
        } = irp.major
        else {
            return Ok(None);
        };
        let file = self.io.files.get(&irp.file).map_or(0, |file| file.address);
        let event = irp.requester.and_then(|requester| requester.event);
        let buffer = irp.buffer.unwrap_or(0);
        let Some(address) = self.memory.pool.allocate(Request::system(SIZE, TAG)) else {
            return Ok(None);
        };
        let mut image = [0_u8; SIZE];
        image[0] = IRP_TYPE;
        image[2..4].copy_from_slice(&u16::try_from(SIZE).unwrap_or(0).to_le_bytes());
        let flags = if output > 0 { INPUT_OPERATION } else { 0 };
        image[16] = if buffer == 0 { 0 } else { BUFFERED | flags };
        image[REQUESTOR_MODE] = USER_MODE;
        image[STACK_COUNT] = 1;
        image[CURRENT_LOCATION] = 1;
        image[LOCATION] = DEVICE_CONTROL;
        image[CODE..CODE + 4].copy_from_slice(&code.to_le_bytes());
        let long = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
        image[OUTPUT_LENGTH..OUTPUT_LENGTH + 4].copy_from_slice(&long(output));
        image[INPUT_LENGTH..INPUT_LENGTH + 4].copy_from_slice(&long(input));
        let list = address + THREAD_LIST_ENTRY as u64;
        for (offset, word) in [
            (SYSTEM_BUFFER, buffer),
            (THREAD_LIST_ENTRY, list),
            (THREAD_LIST_ENTRY + 8, list),
            (USER_EVENT, event.unwrap_or(0)),
            (THREAD, thread),
            (CURRENT_STACK_LOCATION, address + LOCATION as u64),
            (ORIGINAL_FILE_OBJECT, file),
            (DEVICE_OBJECT, device),
            (FILE_OBJECT, file),
        ] {
            image[offset..offset + 8].copy_from_slice(&word.to_le_bytes());
        }
        self.memory.write(address, &image)?;
        let cancelled = irp_cancelled(self, id);
        self.memory.write(address + CANCEL, &[cancelled])?;
        if let Some(irp) = self.io.irps.get_mut(&id) {
            irp.wdm = Some(Wdm {
                address: Some(address),
                context,
                fate: Fate::Driver,
            });
        }
        Ok(Some(address))
    }

    /// The request whose IRP is at `address`.
    pub(crate) fn find_irp(&self, address: u64) -> Option<u64> {
        let is = |irp: &crate::io::Irp| {
            irp.wdm
                .as_ref()
                .is_some_and(|wdm| wdm.address == Some(address))
        };
        let mut irps = self.io.irps.iter();
        irps.find(|(_, irp)| is(irp)).map(|(id, _)| *id)
    }

    /// Whether the IRP has been marked pending.
    pub(crate) fn marked_pending(&self, address: u64) -> Result<bool, BugCheck> {
        Ok(self.memory.read_u8(address + CONTROL)? & PENDING_RETURNED != 0)
    }

    /// Marks the IRP pending, as the framework does with those that it queues.
    pub(crate) fn mark_pending(&mut self, address: u64) -> Result<(), BugCheck> {
        let control = self.memory.read_u8(address + CONTROL)?;
        self.memory
            .write(address + CONTROL, &[control | PENDING_RETURNED])
    }

    /// What the driver has written into an IRP that it completes.
    pub(crate) fn final_irp(&self, address: u64) -> Result<Final, BugCheck> {
        Ok(Final {
            status: self.memory.read_u32(address + STATUS)?.cast_signed(),
            information: self.memory.read_u64(address + INFORMATION)?,
            cancel_routine: self.memory.read_u64(address + CANCEL_ROUTINE)?,
            marked: self.marked_pending(address)?,
        })
    }

    /// Sets Irp->Cancel of a request whose IRP the driver has.
    ///
    /// # Errors
    /// A bug check of the host's when the IRP has a cancel routine: those are not simulated.
    pub(crate) fn cancel_irp_in_memory(&mut self, id: u64) -> Result<(), BugCheck> {
        let irp = self.io.irps.get(&id);
        let wdm = irp.and_then(|irp| irp.wdm.as_ref());
        let Some(address) = wdm.and_then(|wdm| wdm.address) else {
            return Ok(());
        };
        self.memory.write(address + CANCEL, &[1])?;
        if self.memory.read_u64(address + CANCEL_ROUTINE)? == 0 {
            return Ok(());
        }
        let reason = format!("the IRP at {address:#x} has a cancel routine: the host calls none");
        Err(bugcheck::verifier(0, address, reason))
    }

    /// Checks what a dispatch routine has returned for a request, which is pending from now on if it
    /// is not completed (pages of IoMarkIrpPending and EVT_WDFDEVICE_WDM_IRP_DISPATCH, rules
    /// MarkIrpPending and MarkIrpPending2).
    pub(crate) fn check_dispatch(&mut self, id: u64, returned: i32) -> Result<(), BugCheck> {
        let wdm = self.io.irps.get(&id).and_then(|irp| irp.wdm.as_ref());
        let Some(&Wdm { address, fate, .. }) = wdm else {
            return Ok(());
        };
        let pending = returned == status::PENDING;
        let wrong = match (fate, address) {
            (Fate::Framework(given), _) => (given != Some(returned))
                .then_some("not the status that WdfDeviceWdmDispatchIrp gave"),
            (Fate::Completed { marked: true, .. }, _) if !pending => {
                Some("an IRP that was marked pending is returned with another status")
            }
            (Fate::Completed { marked: false, .. }, _) if pending => {
                Some("the IRP was not marked pending")
            }
            (
                Fate::Completed {
                    status,
                    marked: false,
                },
                _,
            ) if status != returned => Some("the IRP was completed with another status"),
            (Fate::Completed { .. }, _) | (Fate::Driver, None) => None,
            (Fate::Driver, Some(address)) => match (self.marked_pending(address)?, pending) {
                (true, true) => None,
                (true, false) => {
                    Some("an IRP that was marked pending is returned with another status")
                }
                (false, true) => Some("the IRP was not marked pending"),
                (false, false) => Some("the IRP was neither completed nor marked pending"),
            },
        };
        if let Some(irp) = self.io.irps.get_mut(&id) {
            irp.pending = pending;
        }
        match wrong {
            None => Ok(()),
            Some(what) => {
                let reason = format!("a dispatch routine returned {returned:#x}: {what}");
                Err(bugcheck::verifier(0, address.unwrap_or(0), reason))
            }
        }
    }
}

fn irp_cancelled(state: &State, id: u64) -> u8 {
    state
        .io
        .irps
        .get(&id)
        .map_or(0, |irp| u8::from(irp.cancelled))
}
