//! The table of who may run where, and the tables of the mutants.

use super::{ApcKind, Notice, Queued};
use crate::kernel::delivery::Frame;
use crate::kernel::fast_mutex::FastMutexKind;
use crate::kernel::thread::Thread;
use crate::kernel::{APC_LEVEL, Kernel, Mutant, ThreadId};

/// Which kinds the state of a thread lets run.
#[derive(Clone, Copy)]
pub(in crate::kernel) struct Allowed {
    special: bool,
    normal: bool,
}

impl Allowed {
    pub(super) fn of(self, kind: ApcKind) -> bool {
        match kind {
            ApcKind::Special => self.special,
            ApcKind::Normal => self.normal,
            // The queue of user APCs has rules of its own.
            ApcKind::User | ApcKind::SpecialUser => false,
        }
    }
}

impl Kernel {
    /// The table of docs/semantics.md, section 2. A normal APC behind a special one is held up by the
    /// order of the queue, not here.
    pub(in crate::kernel) fn allowed(&self, t: ThreadId) -> Allowed {
        if let Some(mutant) = self.mutant {
            return self.allowed_in_mutant(t, mutant);
        }
        let thread = self.thread(t);
        let special = thread.counters.special == 0 && thread.irql < APC_LEVEL;
        let in_progress = thread.frames.iter().any(Frame::in_progress);
        Allowed {
            special,
            normal: special && thread.counters.kernel == 0 && !in_progress,
        }
    }

    /// The table with one fact wrong.
    fn allowed_in_mutant(&self, t: ThreadId, mutant: Mutant) -> Allowed {
        let thread = self.thread(t);
        let any =
            |inside: fn(&Thread) -> bool| self.threads.iter().any(|(_, thread)| inside(thread));
        let mut critical = thread.counters.kernel != 0;
        let mut guarded = thread.counters.special != 0;
        let mut raised = thread.irql >= APC_LEVEL;
        let mut in_progress = thread.frames.iter().any(Frame::in_progress);
        let mut none = false;
        match mutant {
            Mutant::CriticalDefersNormal => critical = false,
            Mutant::CriticalNests => critical = thread.counters.kernel % 2 != 0,
            Mutant::GuardedNests => guarded = thread.counters.special % 2 != 0,
            Mutant::KindsCountApart => guarded &= !critical,
            Mutant::RegionsArePerThread => {
                critical = any(|thread| thread.counters.kernel != 0);
                guarded = any(|thread| thread.counters.special != 0);
            }
            Mutant::ApcLevelDefers => raised = false,
            Mutant::FastMutexDefers => raised &= !self.holds(t, FastMutexKind::Fast),
            Mutant::GuardedMutexDefers => raised &= !self.holds(t, FastMutexKind::Guarded),
            Mutant::SpecialRoutineDefers => {
                raised &= !thread.frames.last().is_some_and(Frame::special);
            }
            Mutant::MutexWaitIsOpen => critical |= self.waits_for_mutex(t),
            Mutant::RegionsInApcs if !thread.frames.is_empty() => {
                (critical, guarded) = (false, false);
            }
            Mutant::WaitInRegion if thread.wait.is_some() => (critical, guarded) = (false, false),
            Mutant::ApcRunsInWait => none = thread.wait.is_some(),
            Mutant::ResourceWaitLetsSpecial => none = self.waits_for_resource(t),
            Mutant::PushLockWaitLetsSpecial => none = self.waits_for_push_lock(t),
            Mutant::ResourceWaitDefers if self.waits_for_resource(t) => {
                (critical, guarded, raised) = (false, false, false);
            }
            Mutant::ResourceEntersFirst if self.waits_for_resource(t) => {
                critical = thread.counters.kernel < -1;
            }
            Mutant::NormalsDoNotNest => in_progress = false,
            // The normal APCs of threads of user mode are those that suspend them.
            Mutant::SuspendDefersInRegion => critical &= thread.user.is_none(),
            Mutant::CompletionDeferredInGuardedRegion => guarded &= thread.user.is_none(),
            Mutant::CompletionDeferredAtApcLevel => raised &= thread.user.is_none(),
            _ => {}
        }
        let not_special = match mutant {
            Mutant::CriticalLetsSpecial => critical,
            Mutant::SpecialPreemptsNormal => in_progress,
            Mutant::CompletionIsSpecial => critical && thread.user.is_some(),
            Mutant::SuspendLetsSpecial => {
                let user = thread.user.as_ref();
                user.is_some_and(|user| user.suspended > 0)
            }
            _ => false,
        };
        let open = !raised && !none;
        let suspends = mutant == Mutant::SuspendDefersInGuardedRegion && thread.user.is_some();
        let guarded_for = |wrong| guarded && mutant != wrong;
        Allowed {
            special: open && !guarded_for(Mutant::GuardedDefersSpecial) && !not_special,
            normal: open
                && (suspends || !guarded_for(Mutant::GuardedDefersNormal))
                && !critical
                && !in_progress,
        }
    }

    /// Whether the state of the thread lets the APC run. In the mutants that deliver too early, so
    /// does what has made it due.
    pub(super) fn may_run(&self, queued: &Queued, allowed: Allowed) -> bool {
        let too_early = matches!(
            self.mutant,
            Some(
                Mutant::GuardedLeaveInsideCritical
                    | Mutant::LowerInsideRegion
                    | Mutant::ReleaseInsideRegion
                    | Mutant::LeaveAtApcLevelDeliversNothing
                    | Mutant::MutexReleaseAtApcLevel
                    | Mutant::ResourceKeepsRegions
                    | Mutant::PushLockKeepsRegions
            )
        );
        allowed.of(queued.kind) || (too_early && queued.notice == Notice::Due)
    }
}
