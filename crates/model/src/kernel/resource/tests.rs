//! The facts of docs/semantics.md, section 3.
#![allow(
    clippy::many_single_char_names,
    reason = "threads are called a, b, c, d"
)]

use super::*;
use crate::kernel::{ApcKind, Baseline, DISPATCH_LEVEL, PASSIVE_LEVEL, Profile};
use ResourceMode::{Exclusive, Shared, SharedStarveExclusive, SharedWaitForExclusive};

mod laws;

const BOTH: [Profile; 2] = [Profile::Documented, Profile::Nt52];
const MODES: [ResourceMode; 4] = [
    Exclusive,
    Shared,
    SharedStarveExclusive,
    SharedWaitForExclusive,
];

/// Threads in a critical region each, and a resource.
fn machine<const N: usize>(profile: Profile) -> (Kernel, ResourceId, [ThreadId; N]) {
    let mut kernel = Kernel::new(profile);
    let threads = std::array::from_fn(|_| {
        let t = kernel.create_thread(Baseline::default());
        kernel.enter_critical(t).unwrap();
        t
    });
    let r = kernel.create_resource();
    (kernel, r, threads)
}

fn acquire(kernel: &mut Kernel, t: ThreadId, r: ResourceId, mode: ResourceMode) {
    assert_eq!(kernel.acquire_resource(t, r, mode, true), Ok(Acquired::Now));
}

fn block(kernel: &mut Kernel, t: ThreadId, r: ResourceId, mode: ResourceMode) {
    let acquired = kernel.acquire_resource(t, r, mode, true);
    assert_eq!(acquired, Ok(Acquired::Blocked));
}

fn refused(kernel: &mut Kernel, t: ThreadId, r: ResourceId, mode: ResourceMode) {
    let acquired = kernel.acquire_resource(t, r, mode, false);
    assert_eq!(acquired, Ok(Acquired::Refused));
    assert!(!kernel.waiting(t));
}

fn release(kernel: &mut Kernel, t: ThreadId, r: ResourceId) {
    kernel.release_resource(t, r).unwrap();
}

#[test]
fn exclusive_is_recursive_and_every_mode_counts_as_one_more_exclusive() {
    let (mut kernel, r, [a, b]) = machine(Profile::Documented);
    acquire(&mut kernel, a, r, Exclusive);
    for mode in MODES {
        acquire(&mut kernel, a, r, mode);
    }
    assert!(kernel.resource_acquired_exclusive(a, r));
    assert_eq!(
        kernel.resource_acquired_shared(a, r),
        5,
        "a count in either mode"
    );
    assert_eq!(kernel.resource_acquired_shared(b, r), 0);
    for _ in 0..4 {
        release(&mut kernel, a, r);
        refused(&mut kernel, b, r, Shared);
    }
    release(&mut kernel, a, r);
    assert!(!kernel.resource_acquired_exclusive(a, r));
    acquire(&mut kernel, b, r, Exclusive);
}

#[test]
fn shared_is_recursive_with_one_release_for_each_acquire() {
    let (mut kernel, r, [a, b]) = machine(Profile::Documented);
    for mode in [Shared, SharedStarveExclusive, SharedWaitForExclusive] {
        acquire(&mut kernel, a, r, mode);
    }
    acquire(&mut kernel, b, r, Shared);
    assert_eq!(
        [a, b].map(|t| kernel.resource_acquired_shared(t, r)),
        [3, 1]
    );
    assert_eq!(
        [a, b].map(|t| kernel.resource_acquired_exclusive(t, r)),
        [false; 2]
    );
    release(&mut kernel, a, r);
    release(&mut kernel, a, r);
    release(&mut kernel, b, r);
    refused(&mut kernel, b, r, Exclusive);
    release(&mut kernel, a, r);
    acquire(&mut kernel, b, r, Exclusive);
}

#[test]
fn an_upgrade_is_refused_without_waiting_and_waits_for_itself_otherwise() {
    for profile in BOTH {
        let (mut kernel, r, [a, b]) = machine(profile);
        acquire(&mut kernel, a, r, Shared);
        acquire(&mut kernel, b, r, Shared);
        refused(&mut kernel, a, r, Exclusive);
        block(&mut kernel, a, r, Exclusive);
        release(&mut kernel, b, r);
        assert_eq!(
            (kernel.grant(a), kernel.give_lock(a)),
            (None, false),
            "a itself shares it"
        );
    }
}

#[test]
fn an_exclusive_waiter_holds_up_new_sharers_but_not_those_that_share_already() {
    for profile in BOTH {
        let (mut kernel, r, [a, b, c]) = machine(profile);
        acquire(&mut kernel, a, r, Shared);
        block(&mut kernel, b, r, Exclusive);
        assert_eq!(
            (kernel.exclusive_waiters(r), kernel.shared_waiters(r)),
            (1, 0)
        );
        acquire(&mut kernel, a, r, Shared);
        refused(&mut kernel, c, r, Shared);
        refused(&mut kernel, c, r, SharedWaitForExclusive);
        refused(&mut kernel, a, r, SharedWaitForExclusive);
        assert_eq!(
            kernel.acquire_resource(c, r, SharedStarveExclusive, false),
            Ok(Acquired::Now)
        );
        release(&mut kernel, c, r);
        block(&mut kernel, c, r, Shared);
        assert_eq!(
            (kernel.exclusive_waiters(r), kernel.shared_waiters(r)),
            (1, 1)
        );
        assert_eq!(
            kernel.grant(c),
            None,
            "it is queued behind the exclusive waiter"
        );
    }
}

#[test]
fn a_sharer_that_lets_exclusive_waiters_pass_waits_for_itself() {
    for profile in BOTH {
        let (mut kernel, r, [a, b]) = machine(profile);
        acquire(&mut kernel, a, r, Shared);
        block(&mut kernel, b, r, Exclusive);
        block(&mut kernel, a, r, SharedWaitForExclusive);
        assert_eq!([a, b].map(|t| kernel.grantable(t)), [None; 2]);
    }
}

#[test]
fn an_exclusive_release_lets_all_sharers_in_first_in_nt52_and_anybody_by_the_documents() {
    let start = |profile| {
        let (mut kernel, r, [a, b, c, d]) = machine(profile);
        acquire(&mut kernel, a, r, Exclusive);
        block(&mut kernel, b, r, Exclusive);
        block(&mut kernel, c, r, Shared);
        block(&mut kernel, d, r, SharedWaitForExclusive);
        release(&mut kernel, a, r);
        (kernel, r, [a, b, c, d])
    };
    let (mut kernel, r, [a, b, c, d]) = start(Profile::Nt52);
    assert_eq!([b, c, d].map(|t| kernel.satisfied(t)), [false, true, true]);
    refused(&mut kernel, a, r, Exclusive);
    assert_eq!([b, c, d].map(|t| kernel.grant(t)), [None, Some(0), Some(0)]);
    release(&mut kernel, c, r);
    release(&mut kernel, d, r);
    assert_eq!(
        (kernel.grant(b), kernel.resource_acquired_exclusive(b, r)),
        (Some(0), true)
    );

    let (mut kernel, r, [a, b, c, d]) = start(Profile::Documented);
    assert_eq!([b, c, d].map(|t| kernel.satisfied(t)), [false; 3]);
    let mut exclusive_first = kernel.clone();
    assert!(exclusive_first.give_lock(b));
    assert_eq!(
        [c, d].map(|t| exclusive_first.lock_available(t)),
        [false; 2]
    );
    let mut passer_by = kernel.clone();
    acquire(&mut passer_by, a, r, Exclusive);
    assert_eq!([b, c, d].map(|t| passer_by.lock_available(t)), [false; 3]);
    assert!(kernel.give_lock(d));
    assert_eq!(
        [b, c].map(|t| kernel.lock_available(t)),
        [false, true],
        "sharers come together"
    );
}

#[test]
fn a_shared_release_gives_it_to_one_exclusive_waiter_in_nt52() {
    let (mut kernel, r, [a, b, c, d]) = machine(Profile::Nt52);
    acquire(&mut kernel, a, r, Shared);
    block(&mut kernel, c, r, Exclusive);
    block(&mut kernel, d, r, Shared);
    block(&mut kernel, b, r, Exclusive);
    release(&mut kernel, a, r);
    assert_eq!([b, c, d].map(|t| kernel.grant(t)), [None, Some(0), None]);
    release(&mut kernel, c, r);
    assert_eq!([b, d].map(|t| kernel.grant(t)), [None, Some(0)]);
}

#[test]
fn a_conversion_keeps_the_count_and_lets_waiting_sharers_in() {
    for profile in BOTH {
        let (mut kernel, r, [a, b, c]) = machine(profile);
        acquire(&mut kernel, a, r, Exclusive);
        acquire(&mut kernel, a, r, Exclusive);
        block(&mut kernel, b, r, Exclusive);
        block(&mut kernel, c, r, Shared);
        kernel.convert_resource(a, r).unwrap();
        let handed_over = kernel.satisfied(c);
        assert_eq!(handed_over, profile == Profile::Nt52);
        assert!(!kernel.resource_acquired_exclusive(a, r));
        assert_eq!(kernel.resource_acquired_shared(a, r), 2);
        assert_eq!([b, c].map(|t| kernel.grant(t)), [None, Some(0)]);
        assert_eq!(
            kernel.convert_resource(a, r).unwrap_err().code,
            0xE3,
            "a sharer never"
        );
        release(&mut kernel, a, r);
        release(&mut kernel, c, r);
        assert_eq!(kernel.grant(b), None);
        release(&mut kernel, a, r);
        assert_eq!(kernel.grant(b), Some(0));
    }
}

#[test]
fn normal_apcs_are_disabled_from_acquire_to_release() {
    let (mut kernel, r, [a]) = machine(Profile::Documented);
    kernel.leave_critical(a).unwrap();
    let bug_check = kernel.acquire_resource(a, r, Shared, false).unwrap_err();
    assert_eq!(
        (bug_check.code, bug_check.parameters),
        (0xC4, [0x37, 0, 0, 0])
    );
    kernel.raise_irql(a, APC_LEVEL).unwrap();
    acquire(&mut kernel, a, r, Shared);
    kernel.lower_irql(a, PASSIVE_LEVEL).unwrap();
    let bug_check = kernel.release_resource(a, r).unwrap_err();
    assert_eq!(
        (bug_check.code, bug_check.parameters),
        (0xC4, [0x38, 0, 0, 0])
    );
    let mutex = kernel.create_mutex();
    kernel.wait(a, &[mutex], false, true).unwrap();
    release(&mut kernel, a, r);
    kernel.release_mutex(a, mutex).unwrap();
    kernel.enter_guarded(a).unwrap();
    acquire(&mut kernel, a, r, Exclusive);
    release(&mut kernel, a, r);
}

#[test]
fn the_combined_forms_enter_first_and_leave_last() {
    let (mut kernel, r, [a, b]) = machine(Profile::Documented);
    kernel.leave_critical(a).unwrap();
    for mode in [Exclusive, Shared, SharedWaitForExclusive] {
        assert_eq!(
            kernel.enter_and_acquire_resource(a, r, mode),
            Ok(Acquired::Now)
        );
        assert_eq!(kernel.counters(a).kernel, -1);
        let normal = kernel.create_apc(a, ApcKind::Normal);
        kernel.insert_apc(normal, b).unwrap();
        assert_eq!(kernel.deliverable(a), None);
        kernel.release_resource_and_leave(a, r).unwrap();
        assert_eq!(kernel.resource_acquired_shared(a, r), 0);
        assert!(kernel.forced(a), "the leave delivers");
        kernel.begin_delivery(a).unwrap();
        kernel.kernel_routine_returned(a).unwrap();
        kernel.normal_routine_returned(a).unwrap();
    }
    let leave_first = kernel.release_resource_and_leave(a, r).unwrap_err();
    assert_eq!(leave_first.parameters[0], 0x38);
}

#[test]
fn a_special_apc_runs_in_the_holder_and_in_the_wait_and_the_waiter_then_queues_again() {
    for profile in BOTH {
        let (mut kernel, r, [a, b, c]) = machine(profile);
        acquire(&mut kernel, a, r, Exclusive);
        block(&mut kernel, b, r, Exclusive);
        block(&mut kernel, c, r, Exclusive);
        for t in [a, b] {
            let special = kernel.create_apc(t, ApcKind::Special);
            kernel.insert_apc(special, c).unwrap();
            assert!(kernel.begin_delivery(t).is_some());
            assert!(!kernel.waiting(t));
            assert_eq!(kernel.exclusive_waiters(r), 2, "it still waits");
            kernel.kernel_routine_returned(t).unwrap();
        }
        assert!(kernel.waiting(b), "kernel APCs never end a wait");
        release(&mut kernel, a, r);
        let open = [b, c].map(|t| kernel.grantable(t).is_some());
        match profile {
            Profile::Documented => assert_eq!(open, [true, true]),
            Profile::Nt52 => assert_eq!(open, [false, true], "b went to the end of the queue"),
        }
    }
}

#[test]
fn a_waiter_may_get_it_while_an_apc_runs_inside_its_wait_and_goes_on_afterwards() {
    let (mut kernel, r, [a, b]) = machine(Profile::Documented);
    acquire(&mut kernel, a, r, Exclusive);
    block(&mut kernel, b, r, Exclusive);
    let special = kernel.create_apc(b, ApcKind::Special);
    kernel.insert_apc(special, a).unwrap();
    kernel.begin_delivery(b).unwrap();
    release(&mut kernel, a, r);
    assert!(kernel.give_lock(b));
    refused(&mut kernel, a, r, Shared);
    assert_eq!(kernel.grant(b), None);
    kernel.kernel_routine_returned(b).unwrap();
    assert_eq!(kernel.grant(b), Some(0));
}

#[test]
fn a_wait_that_resumes_takes_a_free_resource_at_once_in_nt52_and_later_by_the_documents() {
    for profile in BOTH {
        let (mut kernel, r, [a, b]) = machine(profile);
        acquire(&mut kernel, a, r, Exclusive);
        block(&mut kernel, b, r, Exclusive);
        let special = kernel.create_apc(b, ApcKind::Special);
        kernel.insert_apc(special, a).unwrap();
        kernel.begin_delivery(b).unwrap();
        release(&mut kernel, a, r);
        kernel.kernel_routine_returned(b).unwrap();
        let passer_by = kernel.acquire_resource(a, r, Exclusive, false);
        let first = match profile {
            Profile::Documented => Acquired::Now,
            Profile::Nt52 => Acquired::Refused,
        };
        assert_eq!(passer_by, Ok(first));
    }
}

#[test]
fn a_hand_over_moves_the_count_to_the_pointer_which_alone_releases() {
    for mode in [Exclusive, Shared] {
        let (mut kernel, r, [a, b]) = machine(Profile::Documented);
        acquire(&mut kernel, a, r, mode);
        acquire(&mut kernel, a, r, mode);
        let bug_check = kernel.set_resource_owner(a, r, 0x1001).unwrap_err();
        assert_eq!((bug_check.code, bug_check.parameters[3]), (0x132, 0x1001));
        assert_eq!(
            kernel.set_resource_owner(b, r, 0x1003).unwrap_err().code,
            0xE3
        );
        kernel.set_resource_owner(a, r, 0x1003).unwrap();
        assert_eq!(kernel.resource_acquired_shared(a, r), 0);
        assert_eq!(kernel.release_resource(a, r).unwrap_err().code, 0xE3);
        kernel.leave_critical(a).unwrap();
        assert_eq!(kernel.end_thread(a), Ok(vec![]));
        kernel.leave_critical(b).unwrap();
        let heir = ResourceOwner::Pointer(0x1003);
        kernel.release_resource_for(b, r, heir).unwrap();
        assert_eq!(kernel.delete_resource(b, r).unwrap_err().code, 0x139);
        kernel.release_resource_for(b, r, heir).unwrap();
        assert_eq!(
            kernel.release_resource_for(b, r, heir).unwrap_err().code,
            0xE3
        );
        assert_eq!(kernel.delete_resource(b, r), Ok(()));
    }
}

#[test]
fn shares_that_are_handed_to_one_pointer_add_up() {
    let (mut kernel, r, [a, b]) = machine(Profile::Nt52);
    for t in [a, b] {
        acquire(&mut kernel, t, r, Shared);
        kernel.set_resource_owner(t, r, 7).unwrap();
    }
    kernel
        .release_resource_for(a, r, ResourceOwner::Pointer(7))
        .unwrap();
    refused(&mut kernel, a, r, Exclusive);
    kernel
        .release_resource_for(a, r, ResourceOwner::Pointer(7))
        .unwrap();
    acquire(&mut kernel, a, r, Exclusive);
}

#[test]
fn releasing_what_is_not_owned_is_0xe3_and_for_a_thread_that_has_not_handed_over_0x162() {
    let (mut kernel, r, [a, b]) = machine(Profile::Documented);
    assert_eq!(kernel.release_resource(a, r).unwrap_err().code, 0xE3);
    acquire(&mut kernel, a, r, Shared);
    assert_eq!(
        kernel.release_resource(b, r).unwrap_err().name(),
        "RESOURCE_NOT_OWNED"
    );
    let for_a = kernel.release_resource_for(b, r, ResourceOwner::Thread(a));
    assert_eq!(for_a.unwrap_err().code, 0x162);
    kernel
        .release_resource_for(a, r, ResourceOwner::Thread(a))
        .unwrap();
    assert_eq!(kernel.release_resource(a, r).unwrap_err().code, 0xE3);
}

#[test]
fn a_thread_that_ends_as_owner_is_0x153() {
    let (mut kernel, r, [a]) = machine(Profile::Documented);
    acquire(&mut kernel, a, r, Shared);
    assert_eq!(
        kernel.end_thread(a).unwrap_err().code,
        0x20,
        "in its region"
    );
    kernel.leave_critical(a).unwrap();
    let bug_check = kernel.end_thread(a).unwrap_err();
    assert_eq!(bug_check.code, 0x153);
    assert_eq!(
        bug_check.reason,
        "The thread ends while it holds a resource."
    );
}

#[test]
fn in_use_it_is_neither_deleted_nor_reinitialised() {
    let (mut kernel, r, [a, b]) = machine(Profile::Documented);
    assert_eq!(kernel.reinitialize_resource(a, r), Ok(()));
    acquire(&mut kernel, a, r, Shared);
    assert_eq!(
        kernel.reinitialize_resource(b, r).unwrap_err().parameters[0],
        0xD0
    );
    assert_eq!(kernel.delete_resource(b, r).unwrap_err().code, 0x139);
    block(&mut kernel, b, r, Exclusive);
    release(&mut kernel, a, r);
    let bug_check = kernel.reinitialize_resource(a, r).unwrap_err();
    assert_eq!(
        bug_check.reason,
        "A resource was reinitialised while a thread waited for it."
    );
    kernel.grant(b).unwrap();
    release(&mut kernel, b, r);
    assert_eq!(kernel.reinitialize_resource(a, r), Ok(()));
    assert_eq!(kernel.delete_resource(a, r), Ok(()));
}

#[test]
fn each_routine_has_its_highest_irql() {
    let (mut kernel, r, [a]) = machine(Profile::Documented);
    acquire(&mut kernel, a, r, Exclusive);
    kernel.raise_irql(a, DISPATCH_LEVEL).unwrap();
    let rule = |result: Result<(), BugCheck>| result.unwrap_err().parameters[0];
    let too_high = [
        rule(kernel.acquire_resource(a, r, Shared, false).map(|_| ())),
        rule(kernel.convert_resource(a, r)),
        rule(kernel.delete_resource(a, r)),
        rule(kernel.reinitialize_resource(a, r)),
        rule(kernel.release_resource_and_leave(a, r)),
    ];
    assert_eq!(too_high, [0x20007; 5]);
    release(&mut kernel, a, r);
    kernel.raise_irql(a, DISPATCH_LEVEL + 1).unwrap();
    assert_eq!(rule(kernel.release_resource(a, r)), 0x20007);
}
