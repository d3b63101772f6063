//! Witnesses of the IRQL.
#![allow(
    unsafe_code,
    reason = "the roots of the witnesses, and a trait that unsafe code trusts"
)]

use crate::{AnyProof, OneThread, backend};

/// Says that the code runs at IRQL <= APC_LEVEL.
///
/// # Safety
/// A value of the type exists only on a thread that runs at that IRQL, and for only as long.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not witness an IRQL of at most APC_LEVEL",
    note = "pass the `Passive` token of the thread or callback, or the `ApcLevel` token that \
            `raise_to_apc_level` lends"
)]
pub unsafe trait AtMostApcLevel: sealed::Sealed {}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Passive {}
    impl Sealed for super::ApcLevel {}
}

/// Says that the code runs at PASSIVE_LEVEL.
///
/// At most one exists for each activation (a callback, a thread): two would let one say
/// PASSIVE_LEVEL while the other has raised the IRQL.
#[derive(Debug)]
pub struct Passive {
    _one_thread: OneThread,
}

#[cfg(feature = "debug")]
impl Drop for Passive {
    /// The activation ends: what is open now is never left.
    fn drop(&mut self) {
        crate::debug::activation_ends();
    }
}

/// Says that the code runs at exactly APC_LEVEL, which keeps every kernel APC out.
#[derive(Debug)]
pub struct ApcLevel {
    _one_thread: OneThread,
}

// SAFETY: `Passive` and `ApcLevel` cannot leave their thread. The roots are unsafe and demand the
// level; `raise_to_apc_level` keeps the `Passive` token borrowed while it lends the other.
unsafe impl AtMostApcLevel for Passive {}
// SAFETY: as above.
unsafe impl AtMostApcLevel for ApcLevel {}

impl Passive {
    /// The root of the witnesses: for the first lines of a callback or of a thread.
    ///
    /// # Safety
    /// The thread runs at PASSIVE_LEVEL, no other token exists in this activation, and the token is
    /// dropped before the activation ends.
    #[inline]
    pub const unsafe fn assume() -> Self {
        Self {
            _one_thread: OneThread::HERE,
        }
    }

    /// Raises the IRQL to APC_LEVEL, calls `f`, lowers it again.
    ///
    /// The closure and its result are `Send`, so that no region guard or token of this thread gets
    /// in or out: a region entered outside cannot be left at the wrong IRQL.
    ///
    /// # Panics
    /// If `f` panics the IRQL is lowered while the panic unwinds (in tests; a driver aborts).
    ///
    /// Reference page: `KeRaiseIrql`, `KeLowerIrql`.
    #[inline]
    pub fn raise_to_apc_level<R: Send>(&mut self, f: impl FnOnce(&mut ApcLevel) -> R + Send) -> R {
        let _raised = Raised {
            old: backend::raise_to_apc_level(),
        };
        f(&mut ApcLevel::reached())
    }
}

impl ApcLevel {
    /// The token, and the proof that normal kernel APCs are disabled: apart, so that the token can be
    /// lent on while a guard borrows the proof.
    #[inline]
    pub const fn parts(&mut self) -> (&mut Self, &AnyProof) {
        // APC_LEVEL lasts as long as the token, which is borrowed as long as the proof.
        (self, AnyProof::as_long_as(&()))
    }

    /// For a lock that raised the IRQL and lends this for as long.
    #[inline]
    pub(crate) const fn reached() -> Self {
        Self {
            _one_thread: OneThread::HERE,
        }
    }

    /// A root for code that the kernel calls at APC_LEVEL: the kernel routine of an APC.
    ///
    /// # Safety
    /// The thread runs at APC_LEVEL, no other token exists in this activation, and the token is
    /// dropped before the activation ends.
    #[inline]
    pub const unsafe fn assume() -> Self {
        Self {
            _one_thread: OneThread::HERE,
        }
    }
}

/// Lowers the IRQL when the scope of a raise ends.
struct Raised {
    old: u8,
}

impl Drop for Raised {
    #[inline]
    fn drop(&mut self) {
        backend::lower_to(self.old);
    }
}
