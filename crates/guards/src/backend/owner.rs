//! In whose name a resource is held after a hand-over.

use core::sync::atomic::AtomicUsize;

/// Tells the kernel's resource services an owner from a thread.
const OWNER_BITS: usize = 0b11;

/// An owner of resources that is no thread. Its address is its name, so that it stays where it is as
/// long as it owns a resource.
///
/// The page of `ExSetResourceOwnerPointer` wants two bits set, and can be read as meaning the pointer or
/// what it points to: both have them here.
#[derive(Debug)]
pub struct ResourceOwner {
    word: AtomicUsize,
}

impl ResourceOwner {
    /// An owner of nothing.
    pub const fn new() -> Self {
        Self {
            word: AtomicUsize::new(OWNER_BITS),
        }
    }

    /// What the kernel is given for it.
    pub(crate) fn pointer(&self) -> usize {
        core::ptr::from_ref(&self.word).expose_provenance() | OWNER_BITS
    }
}

impl Default for ResourceOwner {
    fn default() -> Self {
        Self::new()
    }
}
