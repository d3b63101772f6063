//! APC objects: driver memory that the kernel links into a thread's queue.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use apclab_model::kernel::{ApcId, ApcKind, BugCheck, ThreadId};

use crate::bugcheck;
use crate::machine::State;

/// The size of a KAPC on x64, in bytes.
pub(crate) const KAPC_SIZE: u64 = 88;
/// The value of the Type field.
const APC_OBJECT: u8 = 0x12;
/// The offset of the Inserted field.
const INSERTED: u64 = 0x52;

/// The routines and parameters of an APC.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Routines {
    /// The address of the KAPC.
    pub(crate) address: u64,
    pub(crate) kernel: u64,
    pub(crate) rundown: u64,
    pub(crate) normal: u64,
    pub(crate) context: u64,
    pub(crate) arguments: [u64; 2],
}

#[derive(Debug)]
struct Apc {
    routines: Routines,
    /// Whether the memory at the address is still this APC's.
    attached: bool,
    inserted: bool,
    /// How many deliveries of it have begun and not ended.
    running: u32,
}

/// The APC objects of a machine.
#[derive(Debug, Default)]
pub(crate) struct Apcs {
    by_address: BTreeMap<u64, ApcId>,
    by_id: HashMap<ApcId, Apc>,
}

impl State {
    /// `KeInitializeApc`.
    pub(crate) fn initialize_apc(
        &mut self,
        target: ThreadId,
        target_object: u64,
        routines: Routines,
    ) -> Result<(), BugCheck> {
        let address = routines.address;
        if !self.memory.nonpaged(address, KAPC_SIZE) {
            let reason =
                format!("the KAPC at {address:#x} is not in nonpaged pool or in the driver's data");
            return Err(bugcheck::verifier(0, address, reason));
        }
        self.forget_apcs(&(address..address + 1), "initialised again")?;
        let kind = if routines.normal == 0 {
            ApcKind::Special
        } else {
            ApcKind::Normal
        };
        let id = self.kernel.create_apc(target, kind);
        const { assert!(KAPC_SIZE == 88) };
        let mut image = [0_u8; 88];
        image[0] = APC_OBJECT;
        image[2] = 88;
        let mut put =
            |at: usize, value: u64| image[at..at + 8].copy_from_slice(&value.to_le_bytes());
        put(0x08, target_object);
        put(0x20, routines.kernel);
        put(0x28, routines.rundown);
        put(0x30, routines.normal);
        put(0x38, routines.context);
        self.memory.write(address, &image)?;
        self.apcs.by_address.insert(address, id);
        let apc = Apc {
            routines,
            attached: true,
            inserted: false,
            running: 0,
        };
        self.apcs.by_id.insert(id, apc);
        Ok(())
    }

    /// `KeInsertQueueApc`: FALSE when it is inserted already or its target takes none any more.
    pub(crate) fn insert_apc(
        &mut self,
        address: u64,
        arguments: [u64; 2],
        by: ThreadId,
    ) -> Result<bool, BugCheck> {
        let Some(&id) = self.apcs.by_address.get(&address) else {
            let reason = format!("KeInsertQueueApc was given {address:#x}, which is no KAPC");
            return Err(bugcheck::verifier(0, address, reason));
        };
        if !self.kernel.insert_apc(id, by)? {
            return Ok(false);
        }
        if let Some(apc) = self.apcs.by_id.get_mut(&id) {
            apc.inserted = true;
            apc.routines.arguments = arguments;
        }
        self.memory
            .write(address.wrapping_add(0x40), &arguments[0].to_le_bytes())?;
        self.memory
            .write(address.wrapping_add(0x48), &arguments[1].to_le_bytes())?;
        self.memory.write(address.wrapping_add(INSERTED), &[1])?;
        Ok(true)
    }

    /// The APC has left its queue: its routines run now.
    pub(crate) fn begin_apc(&mut self, id: ApcId) -> Result<Routines, BugCheck> {
        let apc = self
            .apcs
            .by_id
            .get_mut(&id)
            .expect("an APC in a queue is known");
        apc.inserted = false;
        apc.running += 1;
        let routines = apc.routines;
        let address = routines.address;
        let kept = self.memory.read_u8(address)? == APC_OBJECT
            && self.memory.read_u64(address + 0x20)? == routines.kernel
            && self.memory.read_u64(address + 0x30)? == routines.normal;
        if !kept {
            let reason = format!("the KAPC at {address:#x} was overwritten while it was queued");
            let parameters = [3, address, 0, 0];
            return Err(bugcheck::check(
                bugcheck::KERNEL_SECURITY_CHECK_FAILURE,
                parameters,
                reason,
            ));
        }
        self.memory.write(address + INSERTED, &[0])?;
        Ok(routines)
    }

    /// A delivery of the APC has ended.
    pub(crate) fn end_apc(&mut self, id: ApcId) -> Result<(), BugCheck> {
        let Some(apc) = self.apcs.by_id.get_mut(&id) else {
            return Ok(());
        };
        apc.running -= 1;
        if apc.running == 0 && !apc.attached && !apc.inserted {
            self.apcs.by_id.remove(&id);
            self.kernel.remove_apc(id)?;
        }
        Ok(())
    }

    /// The memory in `range` is no longer what it was: `how` says why.
    ///
    /// An APC whose kernel routine has begun may go: the kernel does not look at it any more.
    pub(crate) fn forget_apcs(&mut self, range: &Range<u64>, how: &str) -> Result<(), BugCheck> {
        // A KAPC that begins below the range may reach into it.
        let from = range.start.saturating_sub(KAPC_SIZE - 1);
        let touched: Vec<_> = self
            .apcs
            .by_address
            .range(from..range.end)
            .map(|(at, id)| (*at, *id))
            .collect();
        for (address, id) in touched {
            let Some(apc) = self.apcs.by_id.get_mut(&id) else {
                continue;
            };
            if apc.inserted {
                let reason =
                    format!("the KAPC at {address:#x} was {how} while it was in a thread's queue");
                return Err(bugcheck::check(
                    bugcheck::KERNEL_SECURITY_CHECK_FAILURE,
                    [3, address, 0, 0],
                    reason,
                ));
            }
            self.apcs.by_address.remove(&address);
            apc.attached = false;
            if apc.running == 0 {
                self.apcs.by_id.remove(&id);
                self.kernel.remove_apc(id)?;
            }
        }
        Ok(())
    }
}
