//! Going from the host into the driver's code and back: two stacks a thread, and the switch.

mod intrinsics;
mod kernel_stack;
mod switch;
mod thunks;

pub(crate) use intrinsics::INTRINSICS;
pub(crate) use kernel_stack::KernelStack;
pub(crate) use switch::{ARGUMENTS, Block, abandon, abandon_address, call, install};
pub(crate) use thunks::Thunks;
