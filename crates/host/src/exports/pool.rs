//! The pool routines.

use apclab_model::kernel::{APC_LEVEL, BugCheck, DISPATCH_LEVEL};

use crate::bugcheck::{self, check};
use crate::dispatch::{Arguments, Export, Fault};
use crate::machine::State;
use crate::memory::{Owner, Request, tag_text};
use crate::pool_errors::free_error;
use crate::thread::Thread;

pub(super) const EXPORTS: &[Export] = &[
    Export::plain("ExAllocatePool2", allocate).fallible(0),
    Export::plain("ExFreePool", |thread, arguments| {
        free(thread, arguments.word(0), None)
    }),
    Export::plain("ExFreePoolWithTag", |thread, arguments| {
        free(thread, arguments.word(0), Some(arguments.long(1)))
    }),
];

/// `ExAllocatePool2(Flags, NumberOfBytes, Tag)`.
fn allocate(thread: &Thread, arguments: &Arguments) -> Result<u64, Fault> {
    const UNINITIALIZED: u64 = 0x2;
    const NON_PAGED: u64 = 0x40;
    const NON_PAGED_EXECUTE: u64 = 0x80;
    const PAGED: u64 = 0x100;
    let (flags, size, tag) = (arguments.word(0), arguments.word(1), arguments.long(2));
    let mut state = thread.lock();
    let irql = state.kernel.irql(thread.id);
    let kinds = [NON_PAGED, NON_PAGED_EXECUTE, PAGED];
    let paged = flags & PAGED != 0;
    if kinds.iter().filter(|&&kind| flags & kind != 0).count() != 1 {
        let reason = format!("ExAllocatePool2 with flags {flags:#x}: not exactly one kind of pool");
        return Err(bad(0, [flags, size, u64::from(tag)], reason).into());
    }
    if irql > if paged { APC_LEVEL } else { DISPATCH_LEVEL } {
        let reason = format!("ExAllocatePool2 with flags {flags:#x} at IRQL {irql}");
        return Err(bad(0x8, [u64::from(irql), flags, size], reason).into());
    }
    if tag == 0 {
        let reason = format!("{size} bytes of pool were requested with the tag 0");
        return Err(bad(0x9B, [flags, size, arguments.site], reason).into());
    }
    if size == 0 {
        let reason = format!(
            "0 bytes of pool were requested with tag '{}'",
            tag_text(tag)
        );
        return Err(bad(0, [0, flags, u64::from(tag)], reason).into());
    }
    state.memory.pool.requests += 1;
    let Ok(size) = usize::try_from(size) else {
        return Ok(0);
    };
    let zeroed = flags & UNINITIALIZED == 0;
    let owner = Owner::Driver;
    let caller = arguments.site;
    let block = state.memory.pool.allocate(Request {
        size,
        tag,
        owner,
        paged,
        zeroed,
        caller,
    });
    Ok(block.unwrap_or(0))
}

fn free(thread: &Thread, address: u64, tag: Option<u32>) -> Result<u64, Fault> {
    let mut state = thread.lock();
    let irql = state.kernel.irql(thread.id);
    if let Some(block) = state.memory.pool.get(address) {
        let limit = if block.paged {
            APC_LEVEL
        } else {
            DISPATCH_LEVEL
        };
        if irql > limit {
            let reason = format!("pool at {address:#x} was freed at IRQL {irql}");
            return Err(bad(0x9, [u64::from(irql), 0, address], reason).into());
        }
        if block.owner != Owner::Driver {
            let reason = format!("the driver freed {address:#x}, which belongs to the system");
            return Err(bad(0x46, [address, 0, 0], reason).into());
        }
        // A tag of 0 frees whatever the tag is.
        if let Some(tag) = tag.filter(|&tag| tag != 0 && tag != block.tag) {
            let reason = format!(
                "pool with tag '{}' was freed with tag '{}'",
                tag_text(block.tag),
                tag_text(tag)
            );
            let parameters = [address, u64::from(block.tag), u64::from(tag)];
            return Err(bad(0xA, parameters, reason).into());
        }
    }
    free_block(&mut state, address)?;
    Ok(0)
}

/// Frees a block and what the kernel had in it.
pub(crate) fn free_block(state: &mut State, address: u64) -> Result<(), BugCheck> {
    if let Some(block) = state.memory.pool.get(address) {
        let range = address..address + block.size as u64;
        state.forget_all(&range, "freed")?;
        if let Some(lock) = state.spin_locks.keys().find(|lock| range.contains(*lock)) {
            let reason = format!("the spin lock at {lock:#x} was freed while it was held");
            return Err(bugcheck::verifier(0, *lock, reason));
        }
    }
    match state.memory.pool.free(address) {
        Ok(_) => Ok(()),
        Err(error) => Err(free_error(&state.memory, address, &error)),
    }
}

fn bad(kind: u64, rest: [u64; 3], reason: String) -> BugCheck {
    check(
        bugcheck::BAD_POOL_CALLER,
        [kind, rest[0], rest[1], rest[2]],
        reason,
    )
}
