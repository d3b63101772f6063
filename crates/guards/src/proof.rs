//! Proofs that normal kernel APCs are disabled.
#![allow(unsafe_code, reason = "a trait that unsafe code trusts")]

use crate::{ApcLevel, HoldsKMutex, Kind, OneThread, Region};

mod sealed {
    /// Only what keeps normal kernel APCs out can be a proof of it.
    pub trait Proof {}
    impl<K: crate::Kind> Proof for crate::Region<K> {}
    impl Proof for crate::ApcLevel {}
    impl Proof for crate::HoldsKMutex {}
    impl Proof for super::AnyProof {}
}

/// Proof that normal kernel APCs cannot run in the calling thread, which is what acquiring an
/// executive resource demands (rule WithinCriticalRegion).
///
/// # Safety
/// A value of the type exists on a thread only while normal kernel APCs are disabled there.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not prove that normal kernel APCs are disabled",
    note = "enter a `CriticalRegion` or `GuardedRegion` first, raise to APC_LEVEL, or hold a mutex; \
            \"at most APC_LEVEL\" proves nothing"
)]
pub unsafe trait NormalApcsDisabled: sealed::Proof {
    /// The same proof, without saying what keeps the APCs out: for code that is called with
    /// different proofs, such as code that calls itself. What borrows it borrows the region, the
    /// token or the mutex behind it.
    #[inline]
    fn any(&self) -> &AnyProof {
        AnyProof::as_long_as(self)
    }
}

/// A proof that has forgotten what it is a proof by. It is only ever lent.
#[derive(Debug)]
pub struct AnyProof {
    _one_thread: OneThread,
}

// SAFETY: the guard exists from the enter to the leave and cannot go to another thread.
unsafe impl<K: Kind> NormalApcsDisabled for Region<K> {}
// SAFETY: at exactly APC_LEVEL no kernel APC is delivered, and the token stays on its thread.
unsafe impl NormalApcsDisabled for ApcLevel {}
// SAFETY: owning a KMUTEX disables them; the token is lent for as long, and stays on its thread.
unsafe impl NormalApcsDisabled for HoldsKMutex {}
// SAFETY: it is lent for as long as what it was made from is borrowed, and stays on its thread.
unsafe impl NormalApcsDisabled for AnyProof {}

impl AnyProof {
    /// Of normal kernel APCs that are disabled as long as this is borrowed.
    #[inline]
    pub(crate) const fn as_long_as<T: ?Sized>(_borrowed: &T) -> &Self {
        &Self {
            _one_thread: OneThread::HERE,
        }
    }
}
