//! What a resource says of itself and of what it refuses.

use core::fmt;

/// Why a resource was not acquired. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refused {
    /// A try that would have had to wait.
    Busy,
    /// The calling thread has it exclusively: a second reference would alias `&mut T`.
    Recursive,
    /// The calling thread shares it: exclusive would wait for itself.
    Upgrade,
    /// The calling thread shares it, and would wait behind threads that wait for it.
    BehindItself,
    /// The calling thread has it as often as the kernel can count.
    TooOften,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Busy => "the resource was not to be had without waiting",
            Self::Recursive => "the calling thread has the resource exclusively",
            Self::Upgrade => "the calling thread shares the resource and would wait for itself",
            Self::BehindItself => {
                "the calling thread shares the resource and would wait behind those that wait for it"
            }
            Self::TooOften => "the calling thread has the resource as often as the kernel can count",
        })
    }
}

impl core::error::Error for Refused {}

/// How the calling thread holds a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldAs {
    /// Not at all.
    Not,
    /// Shared, so often.
    Shared(u32),
    /// Exclusively, so often.
    Exclusive(u32),
}

/// The calling thread owns the resource through a guard that it forgot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StillOwned;

impl fmt::Display for StillOwned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the calling thread owns the resource through a guard that it forgot")
    }
}

impl core::error::Error for StillOwned {}

/// The calling thread does not have the resource exclusively.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotExclusive;

impl fmt::Display for NotExclusive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the calling thread does not have the resource exclusively")
    }
}

impl core::error::Error for NotExclusive {}
