//! What the driver can import: one file a subject.

mod apc;
mod clock;
mod debug;
mod events;
mod io;
mod irql;
mod mutexes;
mod objects;
mod pool;
mod push_locks;
mod regions;
mod resources;
mod rtl;
mod threads;

pub(crate) use pool::free_block;
pub(crate) use threads::SYSTEM_THREAD;

use crate::dispatch::Export;

/// Every function of ntoskrnl.exe that the host has, apart from those in
/// [`INTRINSICS`](crate::stack::INTRINSICS).
pub(crate) fn ntoskrnl() -> Vec<Export> {
    [
        apc::EXPORTS,
        debug::EXPORTS,
        events::EXPORTS,
        io::EXPORTS,
        irql::EXPORTS,
        mutexes::EXPORTS,
        objects::EXPORTS,
        pool::EXPORTS,
        push_locks::EXPORTS,
        regions::EXPORTS,
        resources::EXPORTS,
        rtl::EXPORTS,
        threads::EXPORTS,
    ]
    .concat()
}

/// Every function of HAL.dll that the host has.
pub(crate) fn hal() -> Vec<Export> {
    clock::EXPORTS.to_vec()
}
