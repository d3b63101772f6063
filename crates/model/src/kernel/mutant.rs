//! Mutants: machines that get exactly one fact wrong.
//!
//! A condition that a test states proves something only if it can fail. So for each fact that
//! tests can reach there is a machine in which it does not hold; a test that names the fact has
//! to notice. The facts are those of `docs/facts.md`, by their ids.

use super::{Kernel, Profile};

macro_rules! mutants {
    ($($variant:ident $fact:literal $what:literal,)+) => {
        /// A machine that gets one fact wrong, named by the fact.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Mutant {
            $(#[doc = $what] $variant,)+
        }

        impl Mutant {
            /// Every mutant, in the order of the facts.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The id of the fact that it gets wrong, in `docs/facts.md`.
            pub const fn fact(self) -> &'static str {
                match self {
                    $(Self::$variant => $fact,)+
                }
            }

            /// What it does instead, in a sentence.
            pub const fn what(self) -> &'static str {
                match self {
                    $(Self::$variant => $what,)+
                }
            }
        }
    };
}

mutants! {
    CriticalDefersNormal "critical-defers-normal" "Normal APCs run inside critical regions.",
    CriticalLetsSpecial "critical-lets-special" "Critical regions defer special APCs too.",
    CriticalNests "critical-nests" "A second critical region ends the effect of the first.",
    CriticalLeaveDelivers "critical-leave-delivers" "The leave of a critical region forces nothing.",
    GuardedDefersNormal "guarded-defers-normal" "Normal APCs run inside guarded regions.",
    GuardedDefersSpecial "guarded-defers-special" "Special APCs run inside guarded regions.",
    GuardedNests "guarded-nests" "A second guarded region ends the effect of the first.",
    GuardedLeaveDelivers "guarded-leave-delivers" "The leave of a guarded region forces nothing.",
    KindsCountApart "kinds-count-apart" "A critical region ends the effect of a guarded one.",
    GuardedLeaveInsideCritical "guarded-leave-inside-critical" "The leave of a guarded region runs normal APCs inside a critical one.",
    RegionsArePerThread "regions-are-per-thread" "A region holds up the APCs of every thread.",
    RegionsKeepIrql "regions-keep-irql" "A thread in a region is at APC_LEVEL as far as it can see.",
    RegionsAtApcLevel "regions-at-apc-level" "Entering or leaving a region at APC_LEVEL is a bug check.",
    LeavesInAnyOrder "leaves-in-any-order" "The leave of a critical region has no effect inside a guarded one.",
    LeavesAtRaisedIrql "leaves-at-raised-irql" "The leave of a region lowers the IRQL to PASSIVE_LEVEL.",
    ApcLevelDefers "apc-level-defers" "APCs run at APC_LEVEL.",
    LowerDelivers "lower-delivers" "Lowering the IRQL forces nothing.",
    LowerInsideRegion "lower-inside-region" "Lowering the IRQL runs what a region defers.",
    LeaveAtApcLevelDeliversNothing "leave-at-apc-level-delivers-nothing" "The leave of the last region delivers at APC_LEVEL.",
    FastMutexRaises "fast-mutex-raises" "The holder of a fast mutex keeps its IRQL as far as it can see.",
    FastMutexRestoresIrql "fast-mutex-restores-irql" "The release of a fast mutex lowers the IRQL to PASSIVE_LEVEL.",
    FastMutexDefers "fast-mutex-defers" "APCs run in the holder of a fast mutex.",
    FastMutexReleaseDelivers "fast-mutex-release-delivers" "The release of a fast mutex forces nothing.",
    FastMutexExcludes "fast-mutex-excludes" "A fast mutex that is held may be acquired.",
    FastMutexNotRecursive "fast-mutex-not-recursive" "Who holds a fast or guarded mutex gets it again.",
    FastMutexTry "fast-mutex-try" "A try of a fast mutex raises the IRQL also when it fails.",
    GuardedMutexRaises "guarded-mutex-raises" "The holder of a guarded mutex keeps its IRQL as far as it can see.",
    GuardedMutexDefers "guarded-mutex-defers" "APCs run in the holder of a guarded mutex.",
    GuardedMutexReleaseDelivers "guarded-mutex-release-delivers" "The release of a guarded mutex forces nothing.",
    GuardedMutexExcludes "guarded-mutex-excludes" "A guarded mutex that is held may be acquired.",
    GuardedMutexTry "guarded-mutex-try" "A try of a guarded mutex always fails.",
    ReleaseInsideRegion "release-inside-region" "The release of a fast or guarded mutex runs what a region defers.",
    MutexDefersNormal "mutex-defers-normal" "Normal APCs run in the owner of a KMUTEX.",
    MutexLetsSpecial "mutex-lets-special" "A KMUTEX defers special APCs too.",
    MutexReleaseDelivers "mutex-release-delivers" "The last release of a KMUTEX forces nothing.",
    MutexCountsOnce "mutex-counts-once" "Every acquire of a KMUTEX counts, and its last release alone counts back.",
    MutexCountsEach "mutex-counts-each" "Only the first KMUTEX that a thread owns counts.",
    MutexInRegion "mutex-in-region" "A KMUTEX that is acquired in a critical region does not count.",
    MutexKeepsIrql "mutex-keeps-irql" "The owner of a KMUTEX is at APC_LEVEL as far as it can see.",
    MutexExcludes "mutex-excludes" "A KMUTEX that is owned may be acquired by others.",
    MutexRecursive "mutex-recursive" "The owner of a KMUTEX waits for itself.",
    MutexTry "mutex-try" "A wait with a time-out of 0 does not acquire a free KMUTEX.",
    MutexTimeOut "mutex-time-out" "A wait for a KMUTEX never times out.",
    MutexWaitIsOpen "mutex-wait-is-open" "Normal APCs are deferred in a wait for a KMUTEX.",
    MutexReleaseAtApcLevel "mutex-release-at-apc-level" "The last release of a KMUTEX delivers at APC_LEVEL.",
    PredicateCritical "predicate-critical" "KeAreApcsDisabled does not look at critical regions.",
    PredicateIgnoresIrql "predicate-ignores-irql" "KeAreApcsDisabled is TRUE at APC_LEVEL.",
    PredicateAllGuarded "predicate-all-guarded" "KeAreAllApcsDisabled does not look at guarded regions.",
    PredicateAllApcLevel "predicate-all-apc-level" "KeAreAllApcsDisabled does not look at the IRQL.",
    PredicateAllIgnoresCritical "predicate-all-ignores-critical" "KeAreAllApcsDisabled is TRUE in a critical region.",
    PredicateAllFastMutex "predicate-all-fast-mutex" "KeAreAllApcsDisabled is FALSE for the holder of a fast mutex.",
    PredicateAllGuardedMutex "predicate-all-guarded-mutex" "KeAreAllApcsDisabled is FALSE for the holder of a guarded mutex.",
    PredicateMutex "predicate-mutex" "KeAreApcsDisabled does not look at KMUTEXes.",
    PredicatesInApcs "predicates-in-apcs" "KeAreApcsDisabled is TRUE in a normal APC's routine.",
    PredicatesBalance "predicates-balance" "The leave of the outermost guarded region leaves a critical one as well.",
    ResourceExcludes "resource-excludes" "A resource that is owned exclusively may be acquired.",
    ResourceShares "resource-shares" "A resource that somebody shares is shared with nobody else.",
    ResourceSharersExclude "resource-sharers-exclude" "Whoever comes by gets a resource exclusively that others share.",
    ResourceTry "resource-try" "An acquire that does not wait fails.",
    ResourceReleaseWakes "resource-release-wakes" "Who waits for a resource never gets it.",
    ResourceExclusiveRecursive "resource-exclusive-recursive" "The exclusive owner of a resource that acquires it exclusively waits for itself.",
    ResourceSharedRecursive "resource-shared-recursive" "A sharer of a resource that shares it once more waits for itself.",
    ResourceOwnerShares "resource-owner-shares" "The exclusive owner of a resource that asks for shared access waits for itself.",
    ResourceReleasesEach "resource-releases-each" "One release gives a resource up, however often it was acquired.",
    ResourceUpgradeFails "resource-upgrade-fails" "The only sharer of a resource gets it exclusively, if it does not wait.",
    ResourceUpgradeDeadlocks "resource-upgrade-deadlocks" "The only sharer of a resource gets it exclusively, if it waits.",
    ResourceSharedQueues "resource-shared-queues" "A new sharer passes those that wait for exclusive.",
    ResourceSharerPasses "resource-sharer-passes" "Who shares a resource already queues behind those that wait for exclusive.",
    ResourceStarvePasses "resource-starve-passes" "ExAcquireSharedStarveExclusive queues behind those that wait for exclusive.",
    ResourceWaitQueues "resource-wait-queues" "ExAcquireSharedWaitForExclusive passes those that wait for exclusive.",
    ResourceNoOrder "resource-no-order" "A resource that becomes free is given at once to those that wait, the first lane first.",
    ResourceConvertKeeps "resource-convert-keeps" "A converted resource is held once, however often it was acquired.",
    ResourceConvertAdmits "resource-convert-admits" "Who waits to share a resource gets it only when it is free.",
    ResourceConvertHoldsOff "resource-convert-holds-off" "Who waits for exclusive gets a resource that others share.",
    ResourceAsksExclusive "resource-asks-exclusive" "ExIsResourceAcquiredExclusiveLite is TRUE for sharers.",
    ResourceAsksCount "resource-asks-count" "ExIsResourceAcquiredSharedLite is 1 however often the thread has acquired the resource.",
    ResourceAsksExclusiveWaiters "resource-asks-exclusive-waiters" "ExGetExclusiveWaiterCount is 0.",
    ResourceAsksSharedWaiters "resource-asks-shared-waiters" "ExGetSharedWaiterCount is 0.",
    ResourceAsksInApcs "resource-asks-in-apcs" "In an APC's routine a thread owns no resource as far as it can see.",
    ResourceKeepsRegions "resource-keeps-regions" "The release of a resource runs what a region defers.",
    ResourceApcLevel "resource-apc-level" "Acquiring a resource at APC_LEVEL is a bug check.",
    ResourceWaitLetsSpecial "resource-wait-lets-special" "No APC runs inside a wait for a resource.",
    ResourceWaitDefers "resource-wait-defers" "A wait for a resource lets in what a region or the IRQL defers.",
    ResourceEnterAcquire "resource-enter-acquire" "The combined routines enter and leave no region.",
    ResourceEntersFirst "resource-enters-first" "In the wait of a combined routine nothing is deferred by its region.",
    ResourceReleasesFirst "resource-releases-first" "ExReleaseResourceAndLeaveCriticalRegion leaves, delivers, and releases last.",
    ResourceHandOver "resource-hand-over" "A resource that is handed over is free.",
    ResourceReleaseFor "resource-release-for" "ExReleaseResourceForThreadLite releases nothing for an owner pointer.",
    ResourceHandOverCount "resource-hand-over-count" "One release gives up what was handed over, however often it was acquired.",
    ResourceReinitialize "resource-reinitialize" "A resource that is reinitialised is owned by nobody that could release it.",
    PushLockExcludes "push-lock-excludes" "A push lock that is held exclusively may be acquired.",
    PushLockShares "push-lock-shares" "A push lock is shared with nobody.",
    PushLockSharersExclude "push-lock-sharers-exclude" "A push lock that is shared may be acquired exclusively.",
    PushLockReleaseWakes "push-lock-release-wakes" "Who waits for a push lock never gets it.",
    PushLockNotRecursive "push-lock-not-recursive" "Who holds a push lock gets it again.",
    PushLockKeepsRegions "push-lock-keeps-regions" "The release of a push lock runs what a region defers.",
    PushLockWaitLetsSpecial "push-lock-wait-lets-special" "No APC runs inside a wait for a push lock.",
    SelfQueueRunsAtOnce "self-queue-runs-at-once" "What a thread queues to itself may come later.",
    InsertOnce "insert-once" "Inserting an inserted APC returns TRUE.",
    InsertAgain "insert-again" "An APC that has run can't be inserted again.",
    SpecialsFirst "specials-first" "Specials queue behind normals.",
    FifoWithinKind "fifo-within-kind" "The last APC of a kind runs first.",
    SpecialAtApcLevel "special-at-apc-level" "A special APC's routine keeps the IRQL of what it interrupts.",
    NormalAtPassiveLevel "normal-at-passive-level" "A normal APC's normal routine runs at APC_LEVEL.",
    SpecialPreemptsNormal "special-preempts-normal" "No special APC runs inside a normal one's routine.",
    NormalsDoNotNest "normals-do-not-nest" "A normal APC runs inside another's routine.",
    SpecialRoutineDefers "special-routine-defers" "APCs run inside a special one's routine.",
    RegionsInApcs "regions-in-apcs" "Regions have no effect in the routines of APCs.",
    ApcRunsInWait "apc-runs-in-wait" "No APC runs inside a wait.",
    ApcEndsNoWait "apc-ends-no-wait" "An APC ends the wait that it interrupts.",
    WaitInRegion "wait-in-region" "A wait lets in what a region defers.",
    TimeOutEndsWait "time-out-ends-wait" "A wait for an event never times out.",
    ZeroTimeOutLooks "zero-time-out-looks" "A wait with a time-out of 0 finds no event signaled.",
    NotificationStays "notification-stays" "A notification event satisfies one wait.",
    SynchronizationResets "synchronization-resets" "A synchronization event stays signaled.",
    ResetClears "reset-clears" "A reset has no effect.",
    UserApcAlertableWait "user-apc-alertable-wait" "The user APCs that end an alertable wait don't run.",
    UserApcNotWithoutAlert "user-apc-not-without-alert" "Ordinary user APCs run wherever their thread is in user mode.",
    UserApcInOrder "user-apc-in-order" "The last ordinary user APC runs first.",
    UserApcEndsWait "user-apc-ends-wait" "User APCs end no wait.",
    UserApcRunsOnReturn "user-apc-runs-on-return" "The user APCs that end an alertable wait may come later than the return.",
    UserWaitNotAlertable "user-wait-not-alertable" "User APCs end waits in user mode that are not alertable.",
    SpecialUserApcNeedsNoAlert "special-user-apc-needs-no-alert" "Special user APCs run after alertable waits only.",
    SpecialUserApcAfterCall "special-user-apc-after-call" "Special user APCs may come later than the return to user mode.",
    SpecialUserApcEndsNoWait "special-user-apc-ends-no-wait" "Special user APCs end waits in user mode that are not alertable.",
    KernelAlertableWait "kernel-alertable-wait" "What ends an alertable wait in kernel mode runs on the return.",
    AlertableWaitInRegion "alertable-wait-in-region" "User APCs run after an alertable wait in a region, whatever has ended it.",
    UserApcAfterRegion "user-apc-after-region" "The user APCs that end an alertable wait in a region don't run.",
    SuspendDefersInRegion "suspend-defers-in-region" "A thread is suspended in a critical region.",
    SuspendDefersInGuardedRegion "suspend-defers-in-guarded-region" "A thread is suspended in a guarded region.",
    SuspendStopsOutsideRegion "suspend-stops-outside-region" "A thread that is suspended goes on.",
    SuspendInWait "suspend-in-wait" "A suspension ends the wait that it interrupts, as a user APC may.",
    SuspendCount "suspend-count" "One resume lets a thread go, however often it was suspended.",
    ResumeLetsGo "resume-lets-go" "A thread that is resumed stays suspended.",
    SuspendLetsSpecial "suspend-lets-special" "No special APC runs in a thread from when somebody suspends it.",
    CompletionIsSpecial "completion-is-special" "A critical region defers the completion of a request.",
    CompletionDeferredInGuardedRegion "completion-deferred-in-guarded-region" "The completion of a request runs in a guarded region.",
    CompletionDeferredAtApcLevel "completion-deferred-at-apc-level" "The completion of a request runs at APC_LEVEL.",
    CompletionInWait "completion-in-wait" "The completion of a request ends the wait that it interrupts, as a user APC may.",
    CsExcludes "cs-excludes" "A critical section that is owned may be entered.",
    CsRecursive "cs-recursive" "The owner of a critical section that enters it again waits for itself.",
    CsTry "cs-try" "A try of a critical section always fails.",
    CsReleaseWakes "cs-release-wakes" "Who waits for a critical section never gets it.",
    CsKeepsApcs "cs-keeps-apcs" "No user APC runs in the owner of a critical section.",
    CsSuspendedOwnerBlocks "cs-suspended-owner-blocks" "A critical section whose owner is suspended may be entered.",
}

impl Kernel {
    /// A machine without threads, with or without a mutation.
    pub fn new_with(profile: Profile, mutant: Option<Mutant>) -> Self {
        Self {
            mutant,
            ..Self::new(profile)
        }
    }

    /// The fact that the machine gets wrong.
    pub fn mutant(&self) -> Option<Mutant> {
        self.mutant
    }

    /// Whether the machine is this mutant.
    pub(super) fn gets_wrong(&self, fact: Mutant) -> bool {
        self.mutant == Some(fact)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_fact_has_one_mutant() {
        let facts: BTreeSet<_> = Mutant::ALL.iter().map(|mutant| mutant.fact()).collect();
        assert_eq!(facts.len(), Mutant::ALL.len());
        assert!(
            Mutant::ALL
                .iter()
                .all(|mutant| mutant.what().ends_with('.'))
        );
    }
}
