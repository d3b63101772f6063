//! The two IRQLs at which steps are executed.

use apclab_guards::{AnyProof, ApcLevel, AtMostApcLevel, Passive};

/// What the interpreter may do at an IRQL.
pub(crate) trait Level: AtMostApcLevel {
    /// Calls `f` at APC_LEVEL; `None` where the IRQL is that already.
    fn raise<R: Send>(&mut self, f: impl FnOnce(&mut ApcLevel) -> R + Send) -> Option<R>;

    /// The token of PASSIVE_LEVEL, where that is the IRQL.
    fn passive(&self) -> Option<&Passive>;

    /// The token, and the proof that the IRQL by itself keeps normal kernel APCs out, where it does.
    fn parts(&mut self) -> (&mut Self, Option<&AnyProof>);
}

impl Level for Passive {
    fn raise<R: Send>(&mut self, f: impl FnOnce(&mut ApcLevel) -> R + Send) -> Option<R> {
        Some(self.raise_to_apc_level(f))
    }

    fn passive(&self) -> Option<&Passive> {
        Some(self)
    }

    fn parts(&mut self) -> (&mut Self, Option<&AnyProof>) {
        (self, None)
    }
}

impl Level for ApcLevel {
    fn raise<R: Send>(&mut self, _f: impl FnOnce(&mut ApcLevel) -> R + Send) -> Option<R> {
        None
    }

    fn passive(&self) -> Option<&Passive> {
        None
    }

    fn parts(&mut self) -> (&mut Self, Option<&AnyProof>) {
        let (irql, proof) = Self::parts(self);
        (irql, Some(proof))
    }
}
