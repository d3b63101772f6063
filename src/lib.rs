//! apclab.sys: runs litmus tests of APC-disabling regions on the real kernel.
//!
//! User mode sends programs through the IOCTLs of `apclab-protocol`; the driver verifies them, runs
//! them in threads of its own, and parts of some in threads of user mode, on the guards of `apclab-guards`, and keeps a histogram of what came
//! out.
//!
//! | module | holds |
//! |---|---|
//! | [`device`] | the device: added, powered, cleaned up; its handles |
//! | [`dispatch`] | the IOCTLs |
//! | [`calls`] | the IOCTLs of caller lanes, in the thread that asks |
//! | [`sessions`] | who has loaded and is running what |
//! | [`run`] | a run: runner thread, lanes, interpreter, APCs, barrier, histogram, trace |
//! | [`nt`] | the kernel's services in safe form |
//! | [`wdf`] | KMDF in safe form |
//! | [`wdm`] | IRPs in safe form, ahead of KMDF |
//!
//! Three principles hold everywhere. Nothing runs that the verifier did not accept. Every path
//! returns with the APC counters and the IRQL as it found them: regions live in stacks that leave
//! them when dropped. And nothing outlives what it points to: lanes are joined, APCs are counted,
//! before memory goes.
#![no_std]

extern crate alloc;

mod calls;
mod device;
mod dispatch;
mod nt;
mod run;
mod sessions;
mod wdf;
mod wdm;

use wdk_alloc::WdkAllocator;
// The crate is the panic handler: it is linked for that alone.
use wdk_panic as _;

#[global_allocator]
static GLOBAL_ALLOCATOR: WdkAllocator = WdkAllocator;
