//! Event objects: driver memory that threads wait on.

use std::collections::BTreeMap;
use std::ops::Range;

use apclab_model::kernel::{BugCheck, EventKind, ObjectId};

use crate::bugcheck;
use crate::machine::State;

/// The size of a KEVENT on x64, in bytes.
pub(crate) const KEVENT_SIZE: u64 = 24;
/// The Type field of a synchronization event.
const SYNCHRONIZATION: u8 = 1;
/// The offset of the SignalState field.
const SIGNAL_STATE: u64 = 4;

/// The events of a machine, by address.
#[derive(Debug, Default)]
pub(crate) struct Events {
    by_address: BTreeMap<u64, ObjectId>,
}

impl State {
    /// `KeInitializeEvent`. The event may be anywhere in the driver's memory: its waits are
    /// kernel-mode waits, so that a stack is allowed too.
    pub(crate) fn initialize_event(
        &mut self,
        address: u64,
        kind: EventKind,
        signaled: bool,
    ) -> Result<(), BugCheck> {
        let end = address.saturating_add(KEVENT_SIZE);
        self.forget_locks(&(address..end), "initialised again")?;
        self.forget_events(&(address..end), "initialised again")?;
        const { assert!(KEVENT_SIZE == 24) };
        let mut image = [0_u8; 24];
        if kind == EventKind::Synchronization {
            image[0] = SYNCHRONIZATION;
        }
        image[2] = 6;
        image[4] = u8::from(signaled);
        let list = address.wrapping_add(8).to_le_bytes();
        image[8..16].copy_from_slice(&list);
        image[16..24].copy_from_slice(&list);
        self.memory.write(address, &image)?;
        let id = self.kernel.create_event(kind, signaled);
        self.events.by_address.insert(address, id);
        Ok(())
    }

    /// The event at `address`.
    pub(crate) fn event(&self, address: u64, routine: &str) -> Result<ObjectId, BugCheck> {
        self.events
            .by_address
            .get(&address)
            .copied()
            .ok_or_else(|| {
                let reason =
                    format!("{routine} was given {address:#x}, which is no initialised event");
                bugcheck::verifier(0, address, reason)
            })
    }

    /// Sets or resets an event; gives whether it was signaled.
    pub(crate) fn change_event(
        &mut self,
        address: u64,
        set: bool,
        routine: &str,
    ) -> Result<bool, BugCheck> {
        let id = self.event(address, routine)?;
        let previous = if set {
            let taker = self.choose(self.kernel.event_takers(id).len());
            self.kernel.set_event_choosing(id, taker)
        } else {
            self.kernel.reset_event(id)
        };
        self.show_event(address)?;
        self.wake();
        Ok(previous)
    }

    /// Makes the SignalState in the driver's memory what it is in the kernel.
    fn show_event(&mut self, address: u64) -> Result<(), BugCheck> {
        let Some(&id) = self.events.by_address.get(&address) else {
            return Ok(());
        };
        let signaled = i32::from(self.kernel.event_signaled(id));
        self.memory
            .write(address.wrapping_add(SIGNAL_STATE), &signaled.to_le_bytes())
    }

    /// Whether the driver has initialised a synchronization event at `address`.
    pub(crate) fn is_synchronization_event(&self, address: u64) -> bool {
        self.events.by_address.contains_key(&address)
            && self.memory.read_u8(address) == Ok(SYNCHRONIZATION)
    }

    /// The object that a wait is on: an event, a KMUTEX, or a thread by its thread object.
    pub(crate) fn dispatcher_object(
        &self,
        address: u64,
        routine: &str,
    ) -> Result<ObjectId, BugCheck> {
        let thread = self.objects.ended_event(address);
        match thread.or_else(|| self.find_mutex(address)) {
            Some(id) => Ok(id),
            None => self.event(address, routine),
        }
    }

    /// Makes a dispatcher object in the driver's memory what it is in the kernel.
    pub(crate) fn show_object(&mut self, address: u64) -> Result<(), BugCheck> {
        self.show_event(address)?;
        self.show_mutex(address)
    }

    /// The memory in `range` is no longer what it was: `how` says why.
    pub(crate) fn forget_events(&mut self, range: &Range<u64>, how: &str) -> Result<(), BugCheck> {
        let from = range.start.saturating_sub(KEVENT_SIZE - 1);
        let touched: Vec<_> = self
            .events
            .by_address
            .range(from..range.end)
            .map(|(at, id)| (*at, *id))
            .collect();
        for (address, id) in touched {
            self.kernel.remove_object(id).map_err(|mut check| {
                check.reason =
                    format!("the event at {address:#x} was {how} while a thread waited on it");
                check
            })?;
            self.events.by_address.remove(&address);
        }
        Ok(())
    }
}
