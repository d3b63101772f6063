//! KMDF as the driver uses it: objects with contexts, requests, a lock.
#![allow(
    unsafe_code,
    reason = "calls to KMDF; each module wraps them in a safe interface"
)]

pub(crate) mod context;
pub(crate) mod lock;
pub(crate) mod request;

/// The size of a C structure as its `Size` field wants it.
#[allow(
    clippy::cast_possible_truncation,
    reason = "the framework's structures are below 4 GiB"
)]
pub(crate) const fn size<T>() -> u32 {
    size_of::<T>() as u32
}
