//! The two predicates: are APCs disabled, and are all of them?

use super::fast_mutex::FastMutexKind;
use super::region::IRQL_KE_APC_LTE2;
use super::{APC_LEVEL, BugCheck, Kernel, Mutant, ThreadId};

/// What a predicate may answer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Answer {
    /// This and nothing else.
    Is(bool),
    /// TRUE or FALSE: the sources contradict each other.
    Either,
}

impl Kernel {
    /// `KeAreApcsDisabled`: TRUE when either counter is not 0; the IRQL does not matter. With a
    /// guarded region alone the sources contradict each other: documentation and NT 5.2 say TRUE,
    /// a report on build 18362 says FALSE (docs/semantics.md, section 1).
    ///
    /// # Errors
    ///
    /// 0xC4/0x20010 (rule IrqlKeApcLte2) above APC_LEVEL.
    pub fn apcs_disabled(&self, t: ThreadId) -> Result<Answer, BugCheck> {
        self.at_most_apc_level(t, IRQL_KE_APC_LTE2, "KeAreApcsDisabled")?;
        let mut counters = self.thread(t).counters;
        match self.mutant {
            Some(Mutant::PredicateCritical) => counters.kernel = -self.owned_mutexes(t),
            Some(Mutant::PredicateMutex) => counters.kernel += self.owned_mutexes(t),
            Some(Mutant::PredicateIgnoresIrql) => counters.kernel -= i16::from(self.thread(t).irql),
            Some(Mutant::PredicatesInApcs) => {
                counters.kernel -= i16::from(self.in_normal_routine(t));
            }
            _ => {}
        }
        Ok(match (counters.kernel != 0, counters.special != 0) {
            (false, true) if self.profile == super::Profile::Documented => Answer::Either,
            (kernel, special) => Answer::Is(kernel || special),
        })
    }

    /// `KeAreAllApcsDisabled`: TRUE when the special counter is not 0 or the IRQL is APC_LEVEL or
    /// above (docs/semantics.md, section 1).
    ///
    /// # Errors
    ///
    /// 0xC4/0x20010 (rule IrqlKeApcLte2) above APC_LEVEL.
    pub fn all_apcs_disabled(&self, t: ThreadId) -> Result<bool, BugCheck> {
        self.at_most_apc_level(t, IRQL_KE_APC_LTE2, "KeAreAllApcsDisabled")?;
        let thread = self.thread(t);
        let mut guarded = thread.counters.special != 0;
        let mut raised = thread.irql >= APC_LEVEL;
        match self.mutant {
            Some(Mutant::PredicateAllGuarded) => guarded = false,
            Some(Mutant::PredicateAllApcLevel) => raised = false,
            Some(Mutant::PredicateAllIgnoresCritical) => guarded |= thread.counters.kernel != 0,
            Some(Mutant::PredicateAllFastMutex) => raised &= !self.holds(t, FastMutexKind::Fast),
            Some(Mutant::PredicateAllGuardedMutex) => {
                raised &= !self.holds(t, FastMutexKind::Guarded);
            }
            _ => {}
        }
        Ok(guarded || raised)
    }
}

#[cfg(test)]
mod tests;
