//! Mutexes, executive resources and push locks: driver memory that the kernel keeps books on.

use std::collections::BTreeMap;
use std::ops::Range;

use apclab_model::kernel::{
    BugCheck, CriticalSectionId, FastMutexId, FastMutexKind, LockId, ObjectId, PushLockId,
    ResourceId,
};

use crate::bugcheck;
use crate::machine::State;

/// The size of a FAST_MUTEX and of a KGUARDED_MUTEX on x64, in bytes.
const FAST_MUTEX_SIZE: u64 = 56;
/// The offset of the event in both.
const EVENT: u64 = 24;
/// The size of a KMUTEX on x64.
const KMUTEX_SIZE: u64 = 56;
/// The size of an ERESOURCE on x64.
const RESOURCE_SIZE: u64 = 104;
/// The size of an EX_PUSH_LOCK.
const PUSH_LOCK_SIZE: u64 = 8;

/// The locks of a machine, by address.
#[derive(Debug, Default)]
pub(crate) struct Locks {
    fast_mutexes: BTreeMap<u64, (FastMutexKind, FastMutexId)>,
    mutexes: BTreeMap<u64, ObjectId>,
    resources: BTreeMap<u64, ResourceId>,
    push: BTreeMap<u64, PushLockId>,
    /// Those of user mode, with numbers that name them.
    critical_sections: BTreeMap<CriticalSectionId, u64>,
    next_critical_section: u64,
}

impl Locks {
    /// Every lock that is no dispatcher object, with a name that has its address.
    pub(crate) fn all(&self) -> impl Iterator<Item = (LockId, String)> {
        let named = |kind: &str, address: u64| format!("the {kind} at {address:#x}");
        let fast = self.fast_mutexes.iter().map(move |(address, (kind, id))| {
            let name = named(fast_mutex_name(*kind), *address);
            (LockId::FastMutex(*id), name)
        });
        let resources = self.resources.iter();
        let resources =
            resources.map(move |(at, id)| (LockId::Resource(*id), named("resource", *at)));
        let push = self.push.iter();
        let push = push.map(move |(at, id)| (LockId::PushLock(*id), named("push lock", *at)));
        let sections = self.critical_sections.iter();
        let sections = sections.map(|(id, n)| {
            (
                LockId::CriticalSection(*id),
                format!("critical section {n}"),
            )
        });
        fast.chain(resources).chain(push).chain(sections)
    }

    /// A critical section of user mode has been made.
    pub(crate) fn add_critical_section(&mut self, id: CriticalSectionId) {
        self.next_critical_section += 1;
        self.critical_sections
            .insert(id, self.next_critical_section);
    }

    /// A critical section of user mode has been deleted.
    pub(crate) fn remove_critical_section(&mut self, id: CriticalSectionId) {
        self.critical_sections.remove(&id);
    }
}

fn fast_mutex_name(kind: FastMutexKind) -> &'static str {
    match kind {
        FastMutexKind::Fast => "fast mutex",
        FastMutexKind::Guarded => "guarded mutex",
    }
}

/// Takes the locks of `size` bytes out of the table that lie in `range`, at least in part.
fn take<Id: Copy>(table: &mut BTreeMap<u64, Id>, size: u64, range: &Range<u64>) -> Vec<(u64, Id)> {
    let from = range.start.saturating_sub(size - 1);
    let touched: Vec<_> = table
        .range(from..range.end)
        .map(|(at, id)| (*at, *id))
        .collect();
    for (address, _) in &touched {
        table.remove(address);
    }
    touched
}

/// What the kernel says to an object that goes while it is in use, with the object's address.
fn at_address(
    removed: Result<(), BugCheck>,
    kind: &str,
    address: u64,
    how: &str,
) -> Result<(), BugCheck> {
    removed.map_err(|check| BugCheck {
        reason: format!("the {kind} at {address:#x} was {how}: {}", check.reason),
        ..check
    })
}

impl State {
    fn nonpaged(&self, address: u64, size: u64, what: &str) -> Result<(), BugCheck> {
        if self.memory.nonpaged(address, size) {
            return Ok(());
        }
        let reason =
            format!("the {what} at {address:#x} is not in nonpaged pool or in the driver's data");
        Err(bugcheck::verifier(0, address, reason))
    }

    fn add_fast_mutex(&mut self, address: u64, kind: FastMutexKind) -> FastMutexId {
        let id = self.kernel.create_fast_mutex(kind);
        self.locks.fast_mutexes.insert(address, (kind, id));
        id
    }

    /// `KeInitializeGuardedMutex`.
    pub(crate) fn initialize_guarded_mutex(&mut self, address: u64) -> Result<(), BugCheck> {
        self.nonpaged(address, FAST_MUTEX_SIZE, "guarded mutex")?;
        self.forget_all(
            &(address..address + FAST_MUTEX_SIZE),
            "initialised as a guarded mutex",
        )?;
        self.memory.write(address, &1_u64.to_le_bytes())?;
        self.memory.write(address + 8, &[0; 48])?;
        self.add_fast_mutex(address, FastMutexKind::Guarded);
        Ok(())
    }

    /// The mutex at `address`. A fast mutex is initialised by code that is inlined into the
    /// driver: it is known by what that code leaves, a count of one, no owner, no contention, and
    /// a synchronization event.
    pub(crate) fn fast_mutex(
        &mut self,
        address: u64,
        kind: FastMutexKind,
        routine: &str,
    ) -> Result<FastMutexId, BugCheck> {
        let unknown = |what: &str| {
            let reason = format!("{routine} was given {address:#x}, which is {what}");
            bugcheck::verifier(0, address, reason)
        };
        match self.locks.fast_mutexes.get(&address) {
            Some((known, id)) if *known == kind => return Ok(*id),
            Some(_) => return Err(unknown("a mutex of the other kind")),
            None => {}
        }
        if kind == FastMutexKind::Guarded {
            return Err(unknown("no initialised guarded mutex"));
        }
        self.nonpaged(address, FAST_MUTEX_SIZE, "fast mutex")?;
        let initialised = self.memory.read_u32(address)? == 1
            && self.memory.read_u64(address + 8)? == 0
            && self.memory.read_u32(address + 16)? == 0
            && self.is_synchronization_event(address + EVENT);
        if !initialised {
            return Err(unknown("no initialised fast mutex"));
        }
        Ok(self.add_fast_mutex(address, kind))
    }

    /// Makes the Count and Owner in the driver's memory what they are in the kernel.
    pub(crate) fn show_fast_mutex(
        &mut self,
        address: u64,
        id: FastMutexId,
    ) -> Result<(), BugCheck> {
        let owner = self.kernel.fast_mutex_owner(id);
        let owner = owner.and_then(|owner| self.threads.get(&owner));
        let owner = owner.map_or(0, |thread| thread.object);
        let count = i32::from(owner == 0);
        self.memory.write(address, &count.to_le_bytes())?;
        self.memory.write_u64(address.wrapping_add(8), owner)
    }

    /// `KeInitializeMutex`.
    pub(crate) fn initialize_mutex(&mut self, address: u64) -> Result<(), BugCheck> {
        self.nonpaged(address, KMUTEX_SIZE, "KMUTEX")?;
        self.forget_all(&(address..address + KMUTEX_SIZE), "initialised as a KMUTEX")?;
        const { assert!(KMUTEX_SIZE == 56) };
        let mut image = [0_u8; 56];
        // MutantObject, and the size in words.
        image[0] = 2;
        image[2] = 14;
        let list = address.wrapping_add(8).to_le_bytes();
        image[8..16].copy_from_slice(&list);
        image[16..24].copy_from_slice(&list);
        // ApcDisable.
        image[49] = 1;
        self.memory.write(address, &image)?;
        let id = self.kernel.create_mutex();
        self.locks.mutexes.insert(address, id);
        self.show_mutex(address)
    }

    /// The KMUTEX at `address`, if there is one.
    pub(crate) fn find_mutex(&self, address: u64) -> Option<ObjectId> {
        self.locks.mutexes.get(&address).copied()
    }

    /// The KMUTEX at `address`.
    pub(crate) fn mutex(&self, address: u64, routine: &str) -> Result<ObjectId, BugCheck> {
        self.find_mutex(address).ok_or_else(|| {
            let reason =
                format!("{routine} was given {address:#x}, which is no initialised KMUTEX");
            bugcheck::verifier(0, address, reason)
        })
    }

    /// Makes the SignalState and OwnerThread in the driver's memory what they are in the kernel.
    pub(crate) fn show_mutex(&mut self, address: u64) -> Result<(), BugCheck> {
        let Some(id) = self.find_mutex(address) else {
            return Ok(());
        };
        let state = self.kernel.mutex_state(id);
        let owner = self.kernel.mutex_owner(id);
        let owner = owner.and_then(|owner| self.threads.get(&owner));
        let owner = owner.map_or(0, |thread| thread.object);
        self.memory
            .write(address.wrapping_add(4), &state.to_le_bytes())?;
        self.memory.write_u64(address.wrapping_add(40), owner)
    }

    /// `ExInitializeResourceLite`.
    pub(crate) fn initialize_resource(&mut self, address: u64) -> Result<(), BugCheck> {
        if !address.is_multiple_of(8) {
            let reason = format!("the ERESOURCE at {address:#x} is not aligned");
            // Its address is the fourth parameter on the page.
            let check = bugcheck::verifier(0x3D, 0, reason);
            return Err(BugCheck {
                parameters: [0x3D, 0, 0, address],
                ..check
            });
        }
        self.nonpaged(address, RESOURCE_SIZE, "ERESOURCE")?;
        if self.locks.resources.contains_key(&address) {
            let reason = format!(
                "the ERESOURCE at {address:#x} was initialised again before it was deleted"
            );
            return Err(bugcheck::verifier(0xD0, address, reason));
        }
        self.forget_all(
            &(address..address + RESOURCE_SIZE),
            "initialised as an ERESOURCE",
        )?;
        const { assert!(RESOURCE_SIZE == 104) };
        let mut image = [0_u8; 104];
        let list = address.to_le_bytes();
        image[..8].copy_from_slice(&list);
        image[8..16].copy_from_slice(&list);
        self.memory.write(address, &image)?;
        let id = self.kernel.create_resource();
        self.locks.resources.insert(address, id);
        Ok(())
    }

    /// The resource at `address`; `kind` is the number that Driver Verifier has for another one.
    pub(crate) fn resource(
        &self,
        address: u64,
        kind: u64,
        routine: &str,
    ) -> Result<ResourceId, BugCheck> {
        self.locks.resources.get(&address).copied().ok_or_else(|| {
            let reason = format!(
                "{routine} was given {address:#x}, which is no ERESOURCE, or one that has been \
                 moved or deleted"
            );
            bugcheck::verifier(kind, address, reason)
        })
    }

    /// The resource at `address` has been deleted.
    pub(crate) fn remove_resource(&mut self, address: u64) {
        self.locks.resources.remove(&address);
    }

    /// `ExInitializePushLock`.
    pub(crate) fn initialize_push_lock(&mut self, address: u64) -> Result<(), BugCheck> {
        self.forget_all(
            &(address..address.saturating_add(PUSH_LOCK_SIZE)),
            "initialised as a push lock",
        )?;
        self.memory.write_u64(address, 0)
    }

    /// The push lock at `address`. A word of zero is one that nobody has used.
    pub(crate) fn push_lock(
        &mut self,
        address: u64,
        routine: &str,
    ) -> Result<PushLockId, BugCheck> {
        if let Some(id) = self.locks.push.get(&address) {
            return Ok(*id);
        }
        if !address.is_multiple_of(8) || self.memory.read_u64(address)? != 0 {
            let reason =
                format!("{routine} was given {address:#x}, which is no initialised push lock");
            return Err(bugcheck::verifier(0, address, reason));
        }
        let id = self.kernel.create_push_lock();
        self.locks.push.insert(address, id);
        Ok(id)
    }

    /// The memory in `range` is no longer what it was: `how` says why.
    ///
    /// # Errors
    /// A bug check when something in it is still in use: 0xC4/0xD2 for a resource that has not
    /// been deleted, for everything else what the kernel's rules say.
    pub(crate) fn forget_all(&mut self, range: &Range<u64>, how: &str) -> Result<(), BugCheck> {
        self.forget_apcs(range, how)?;
        self.forget_locks(range, how)?;
        self.forget_events(range, how)
    }

    /// The same for locks alone.
    pub(crate) fn forget_locks(&mut self, range: &Range<u64>, how: &str) -> Result<(), BugCheck> {
        let Self { kernel, locks, .. } = self;
        for (address, (kind, id)) in take(&mut locks.fast_mutexes, FAST_MUTEX_SIZE, range) {
            let name = fast_mutex_name(kind);
            at_address(kernel.remove_fast_mutex(id), name, address, how)?;
        }
        for (address, id) in take(&mut locks.mutexes, KMUTEX_SIZE, range) {
            at_address(kernel.remove_object(id), "KMUTEX", address, how)?;
        }
        for (address, id) in take(&mut locks.push, PUSH_LOCK_SIZE, range) {
            at_address(kernel.remove_push_lock(id), "push lock", address, how)?;
        }
        match take(&mut locks.resources, RESOURCE_SIZE, range).first() {
            Some((address, _)) => {
                let reason =
                    format!("the ERESOURCE at {address:#x} was {how} before it was deleted");
                let mut check = bugcheck::verifier(0xD2, *address, reason);
                (check.parameters[2], check.parameters[3]) = (range.start, range.end - range.start);
                Err(check)
            }
            None => Ok(()),
        }
    }
}
