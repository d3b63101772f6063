//! Requests as the I/O manager delivers them, ahead of the framework: what caller lanes need.
//!
//! KMDF enters a critical region before it makes a request of an IRP, so that none of its callbacks runs in
//! the requesting thread as user mode has left it. A dispatch callback of WDM does
//! (`WdfDeviceConfigureWdmIrpDispatchCallback`; docs/semantics.md, section 5).
#![allow(
    unsafe_code,
    reason = "raw IRPs; each module wraps them in a safe interface"
)]

pub(crate) mod dispatch;
pub(crate) mod irp;
