use super::*;
use crate::kernel::{
    APC_LEVEL, ApcKind, Baseline, DISPATCH_LEVEL, EventKind, HIGH_LEVEL, PASSIVE_LEVEL,
};

const BOTH: [Profile; 2] = [Profile::Documented, Profile::Nt52];

fn machine<const N: usize>(profile: Profile) -> (Kernel, [ThreadId; N]) {
    let mut kernel = Kernel::new(profile);
    let threads = std::array::from_fn(|_| kernel.create_thread(Baseline::default()));
    (kernel, threads)
}

fn event(kernel: &mut Kernel, kind: EventKind) -> ObjectId {
    kernel.create_event(kind, false)
}

/// Blocks the thread on one object.
fn block_on(kernel: &mut Kernel, t: ThreadId, o: ObjectId) {
    assert_eq!(kernel.wait(t, &[o], false, true), Ok(None));
    assert!(kernel.waiting(t));
}

/// Runs the next APC of the thread, whose routines do nothing.
fn deliver(kernel: &mut Kernel, t: ThreadId) {
    let (_, kind) = kernel.begin_delivery(t).expect("an APC is deliverable");
    kernel.kernel_routine_returned(t).unwrap();
    if kind == ApcKind::Normal {
        kernel.normal_routine_returned(t).unwrap();
    }
}

#[test]
fn a_notification_event_releases_all_and_stays_signaled() {
    for profile in BOTH {
        let (mut kernel, [a, b, c]) = machine(profile);
        let o = event(&mut kernel, EventKind::Notification);
        block_on(&mut kernel, a, o);
        block_on(&mut kernel, b, o);
        assert!(!kernel.set_event(o));
        assert_eq!((kernel.grant(a), kernel.grant(b)), (Some(0), Some(0)));
        assert!(kernel.event_signaled(o));
        assert_eq!(kernel.wait(c, &[o], false, true), Ok(Some(0)));
        assert!(kernel.reset_event(o));
        assert!(!kernel.event_signaled(o));
    }
}

#[test]
fn a_reset_does_not_take_back_what_the_set_has_released() {
    for profile in BOTH {
        for kind in [EventKind::Notification, EventKind::Synchronization] {
            let (mut kernel, [a]) = machine(profile);
            let o = event(&mut kernel, kind);
            block_on(&mut kernel, a, o);
            kernel.set_event(o);
            kernel.reset_event(o);
            assert_eq!(kernel.grant(a), Some(0));
        }
    }
}

#[test]
fn a_synchronization_event_releases_one_and_two_sets_release_two() {
    for profile in BOTH {
        let (mut kernel, [a, b]) = machine(profile);
        let o = event(&mut kernel, EventKind::Synchronization);
        block_on(&mut kernel, a, o);
        block_on(&mut kernel, b, o);
        kernel.set_event(o);
        assert!(!kernel.event_signaled(o));
        assert_eq!([a, b].map(|t| kernel.grantable(t).is_some()), [true, false]);
        kernel.set_event(o);
        assert_eq!((kernel.grant(a), kernel.grant(b)), (Some(0), Some(0)));
        kernel.set_event(o);
        assert_eq!(kernel.wait(a, &[o], false, true), Ok(Some(0)));
        assert!(!kernel.event_signaled(o));
    }
}

#[test]
fn any_waiter_may_get_the_event_and_in_nt52_the_first() {
    for profile in BOTH {
        let (mut kernel, [a, b]) = machine(profile);
        let o = event(&mut kernel, EventKind::Synchronization);
        block_on(&mut kernel, b, o);
        block_on(&mut kernel, a, o);
        match profile {
            Profile::Documented => {
                assert_eq!(kernel.event_takers(o), [a, b]);
                kernel.set_event_choosing(o, 1);
            }
            Profile::Nt52 => {
                assert_eq!(kernel.event_takers(o), [b]);
                kernel.set_event(o);
            }
        }
        assert_eq!((kernel.grantable(a), kernel.grantable(b)), (None, Some(0)));
    }
}

#[test]
fn wait_any_gives_the_index_and_consumes_that_object_only() {
    let (mut kernel, [a]) = machine(Profile::Documented);
    let objects = [0; 3].map(|_| event(&mut kernel, EventKind::Synchronization));
    assert_eq!(kernel.wait(a, &objects, false, true), Ok(None));
    kernel.set_event(objects[2]);
    assert_eq!(kernel.grant(a), Some(2));
    assert_eq!(objects.map(|o| kernel.event_signaled(o)), [false; 3]);
    kernel.set_event(objects[1]);
    kernel.set_event(objects[2]);
    assert_eq!(kernel.wait(a, &objects, false, true), Ok(Some(1)));
    assert_eq!(
        objects.map(|o| kernel.event_signaled(o)),
        [false, false, true]
    );
}

#[test]
fn wait_all_takes_its_objects_together_or_not_at_all() {
    for profile in BOTH {
        let (mut kernel, [a]) = machine(profile);
        let x = event(&mut kernel, EventKind::Synchronization);
        let y = event(&mut kernel, EventKind::Notification);
        assert_eq!(kernel.wait(a, &[x, y], true, true), Ok(None));
        kernel.set_event(x);
        assert_eq!(kernel.grantable(a), None);
        assert!(
            kernel.event_signaled(x),
            "nothing is taken before all are signaled"
        );
        kernel.set_event(y);
        assert_eq!(kernel.grant(a), Some(0));
        assert_eq!([x, y].map(|o| kernel.event_signaled(o)), [false, true]);
        assert_eq!(kernel.wait(a, &[x, y], true, true), Ok(None), "x was taken");
        kernel.set_event(y);
        assert_eq!(kernel.grantable(a), None, "y alone is not enough");
        kernel.set_event(x);
        assert_eq!(kernel.grant(a), Some(0));
    }
}

#[test]
fn a_thread_object_is_signaled_once_the_thread_has_ended() {
    let (mut kernel, [a, b]) = machine(Profile::Nt52);
    let o = kernel.thread_object(b);
    block_on(&mut kernel, a, o);
    assert_eq!(
        kernel.remove_object(o).unwrap_err().code,
        0x139,
        "a thread waits on it"
    );
    kernel.end_thread(b).unwrap();
    assert_eq!(kernel.grant(a), Some(0));
    assert_eq!(kernel.wait(a, &[o], false, true), Ok(Some(0)));
    assert_eq!(kernel.remove_object(o), Ok(()));
}

#[test]
fn without_blocking_a_wait_times_out_at_once() {
    let (mut kernel, [a]) = machine(Profile::Documented);
    let o = event(&mut kernel, EventKind::Synchronization);
    kernel.raise_irql(a, DISPATCH_LEVEL).unwrap();
    assert_eq!(kernel.wait(a, &[o], false, false), Ok(None));
    assert!(!kernel.waiting(a));
    kernel.set_event(o);
    assert_eq!(kernel.wait(a, &[o], false, false), Ok(Some(0)));
}

#[test]
fn blocking_waits_are_legal_up_to_apc_level() {
    let (mut kernel, [a]) = machine(Profile::Documented);
    let o = kernel.create_event(EventKind::Notification, true);
    kernel.raise_irql(a, APC_LEVEL).unwrap();
    assert_eq!(kernel.wait(a, &[o], false, true), Ok(Some(0)));
    kernel.raise_irql(a, DISPATCH_LEVEL).unwrap();
    let bug_check = kernel.wait(a, &[o], false, true).unwrap_err();
    assert_eq!(
        (bug_check.code, bug_check.parameters),
        (0xC4, [0x122, 2, 0, 0])
    );
    kernel.raise_irql(a, HIGH_LEVEL).unwrap();
    assert_eq!(
        kernel.wait(a, &[o], false, false).unwrap_err().parameters[0],
        0x120
    );
}

#[test]
fn a_wait_on_too_many_objects_is_0xc() {
    let (mut kernel, [a]) = machine(Profile::Documented);
    let o = kernel.create_event(EventKind::Notification, true);
    assert_eq!(kernel.wait(a, &[o; 64], true, true), Ok(Some(0)));
    assert_eq!(kernel.wait(a, &[o; 65], true, true).unwrap_err().code, 0xC);
    assert_eq!(kernel.wait(a, &[], true, true).unwrap_err().code, 0xC);
}

#[test]
fn an_expired_wait_takes_nothing_and_a_satisfied_one_does_not_expire() {
    for profile in BOTH {
        let (mut kernel, [a, b]) = machine(profile);
        let o = event(&mut kernel, EventKind::Synchronization);
        block_on(&mut kernel, a, o);
        block_on(&mut kernel, b, o);
        assert!(kernel.expire(a));
        assert!(!kernel.waiting(a));
        kernel.set_event(o);
        assert!(!kernel.expire(b));
        assert_eq!(kernel.grant(b), Some(0));
    }
}

#[test]
fn an_allowed_apc_is_forced_before_a_wait_blocks() {
    for profile in BOTH {
        let (mut kernel, [a, b]) = machine(profile);
        let o = event(&mut kernel, EventKind::Synchronization);
        let apc = kernel.create_apc(a, ApcKind::Normal);
        kernel.insert_apc(apc, b).unwrap();
        assert!(!kernel.forced(a));
        block_on(&mut kernel, a, o);
        assert!(kernel.forced(a));
        assert_eq!(kernel.event_takers(o), [], "it has not blocked yet");
        deliver(&mut kernel, a);
        assert_eq!(kernel.event_takers(o), [a]);
    }
}

#[test]
fn a_wait_that_is_satisfied_at_once_forces_nothing() {
    let (mut kernel, [a, b]) = machine(Profile::Nt52);
    let o = kernel.create_event(EventKind::Notification, true);
    let apc = kernel.create_apc(a, ApcKind::Special);
    kernel.insert_apc(apc, b).unwrap();
    assert_eq!(kernel.wait(a, &[o], false, true), Ok(Some(0)));
    assert!(!kernel.forced(a));
}

#[test]
fn an_apc_runs_inside_a_wait_which_then_resumes_by_itself() {
    for profile in BOTH {
        for kind in [ApcKind::Special, ApcKind::Normal] {
            let (mut kernel, [a, b]) = machine(profile);
            let o = event(&mut kernel, EventKind::Synchronization);
            block_on(&mut kernel, a, o);
            let apc = kernel.create_apc(a, kind);
            kernel.insert_apc(apc, b).unwrap();
            assert_eq!(kernel.deliverable(a), Some(apc));
            assert_eq!(kernel.forced(a), profile == Profile::Nt52);
            deliver(&mut kernel, a);
            assert!(kernel.waiting(a), "kernel APCs never make a wait return");
            assert_eq!(kernel.grantable(a), None);
            kernel.set_event(o);
            assert_eq!(kernel.grant(a), Some(0));
        }
    }
}

#[test]
fn no_apc_runs_inside_a_wait_that_the_table_defers_it_in() {
    let (mut kernel, [a, b]) = machine(Profile::Nt52);
    let o = event(&mut kernel, EventKind::Synchronization);
    kernel.enter_critical(a).unwrap();
    block_on(&mut kernel, a, o);
    let apc = kernel.create_apc(a, ApcKind::Normal);
    kernel.insert_apc(apc, b).unwrap();
    assert_eq!(kernel.deliverable(a), None);
    assert!(!kernel.forced(a));
}

#[test]
fn a_set_while_an_apc_interrupts_the_wait_is_found_when_it_resumes() {
    for profile in BOTH {
        let (mut kernel, [a, b]) = machine(profile);
        let o = event(&mut kernel, EventKind::Synchronization);
        block_on(&mut kernel, a, o);
        let apc = kernel.create_apc(a, ApcKind::Special);
        kernel.insert_apc(apc, b).unwrap();
        kernel.begin_delivery(a).unwrap();
        assert!(!kernel.waiting(a));
        assert!(!kernel.expire(a));
        assert_eq!(kernel.remove_object(o).unwrap_err().code, 0x139);
        kernel.set_event(o);
        assert_eq!(
            kernel.grantable(a),
            None,
            "not while an APC runs inside the wait"
        );
        assert!(kernel.event_signaled(o), "nobody is linked to it");
        kernel.kernel_routine_returned(a).unwrap();
        assert_eq!(kernel.grant(a), Some(0));
        assert_eq!(kernel.irql(a), PASSIVE_LEVEL);
    }
}

#[test]
fn a_resumed_wait_queues_behind_the_others_in_nt52() {
    let (mut kernel, [a, b]) = machine(Profile::Nt52);
    let o = event(&mut kernel, EventKind::Synchronization);
    block_on(&mut kernel, a, o);
    block_on(&mut kernel, b, o);
    assert_eq!(kernel.event_takers(o), [a]);
    let apc = kernel.create_apc(a, ApcKind::Special);
    kernel.insert_apc(apc, b).unwrap();
    deliver(&mut kernel, a);
    assert_eq!(kernel.event_takers(o), [b]);
}

#[test]
fn a_normal_routine_may_wait_inside_an_interrupted_wait() {
    let (mut kernel, [a, b]) = machine(Profile::Documented);
    let outer = event(&mut kernel, EventKind::Synchronization);
    let inner = event(&mut kernel, EventKind::Synchronization);
    block_on(&mut kernel, a, outer);
    let apc = kernel.create_apc(a, ApcKind::Normal);
    kernel.insert_apc(apc, b).unwrap();
    kernel.begin_delivery(a);
    kernel.kernel_routine_returned(a).unwrap();
    block_on(&mut kernel, a, inner);
    kernel.set_event(outer);
    assert_eq!(kernel.grantable(a), None);
    kernel.set_event(inner);
    assert_eq!(kernel.grant(a), Some(0));
    kernel.normal_routine_returned(a).unwrap();
    assert_eq!(kernel.grant(a), Some(0));
}

#[test]
fn in_nt52_the_drain_comes_before_the_resumed_wait_looks_at_its_objects() {
    let (mut kernel, [a, b]) = machine(Profile::Nt52);
    let o = event(&mut kernel, EventKind::Synchronization);
    block_on(&mut kernel, a, o);
    for kind in [ApcKind::Special, ApcKind::Normal] {
        let apc = kernel.create_apc(a, kind);
        kernel.insert_apc(apc, b).unwrap();
    }
    kernel.begin_delivery(a).unwrap();
    kernel.set_event(o);
    kernel.kernel_routine_returned(a).unwrap();
    assert!(kernel.forced(a));
    assert!(kernel.reset_event(o), "nobody has taken it");
    deliver(&mut kernel, a);
    assert_eq!(kernel.grantable(a), None);
    kernel.set_event(o);
    assert_eq!(kernel.grant(a), Some(0));
}

#[test]
fn a_satisfied_wait_is_granted_after_the_forced_apcs() {
    let (mut kernel, [a, b]) = machine(Profile::Nt52);
    let o = event(&mut kernel, EventKind::Synchronization);
    block_on(&mut kernel, a, o);
    kernel.set_event(o);
    for kind in [ApcKind::Special, ApcKind::Special] {
        let apc = kernel.create_apc(a, kind);
        kernel.insert_apc(apc, b).unwrap();
    }
    assert!(!kernel.forced(a), "the wait is over");
    deliver(&mut kernel, a);
    assert!(kernel.forced(a));
    assert_eq!(kernel.grant(a), None);
    deliver(&mut kernel, a);
    assert_eq!(kernel.grant(a), Some(0));
}
