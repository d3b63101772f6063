use super::*;
use crate::kernel::{APC_LEVEL, Alert, Begun, WaitMode};

const BOTH: [Profile; 2] = [Profile::Documented, Profile::Nt52];
const ALERTABLE: WaitMode = WaitMode {
    user: true,
    alertable: true,
};

/// A machine with a user thread and one of the driver.
fn machine(profile: Profile) -> (Kernel, ThreadId, ThreadId) {
    let mut kernel = Kernel::new(profile);
    let t = kernel.create_user_thread(Baseline::default());
    let other = kernel.create_thread(Baseline::default());
    (kernel, t, other)
}

#[test]
fn a_system_call_returns_with_the_counters_and_the_irql_of_its_begin() {
    let (mut kernel, t, _) = machine(Profile::Documented);
    assert!(kernel.in_user_mode(t));
    kernel.enter_kernel(t);
    assert!(!kernel.in_user_mode(t));
    kernel.enter_critical(t).unwrap();
    let bug_check = kernel.return_to_user(t).unwrap_err();
    assert_eq!((bug_check.code, bug_check.parameters[2]), (0x1, 0xFFFF));
    kernel.leave_critical(t).unwrap();
    kernel.raise_irql(t, APC_LEVEL).unwrap();
    assert_eq!(kernel.return_to_user(t).unwrap_err().code, 0x4A);
    kernel.lower_irql(t, PASSIVE_LEVEL).unwrap();
    kernel.return_to_user(t).unwrap();
    assert!(kernel.in_user_mode(t));
}

#[test]
fn ordinary_user_apcs_run_once_an_alertable_wait_has_ended_for_them() {
    for profile in BOTH {
        let (mut kernel, t, other) = machine(profile);
        let [first, second] = [ApcKind::User; 2].map(|kind| kernel.create_apc(t, kind));
        for apc in [first, second, first] {
            assert_eq!(kernel.insert_apc(apc, other), Ok(true));
        }
        assert_eq!((kernel.user_deliverable(t), kernel.user_apcs(t)), (None, 3));
        kernel.enter_kernel(t);
        assert_eq!(kernel.delay(t, ALERTABLE, true), Ok(Begun::Alerted));
        assert_eq!(kernel.user_deliverable(t), None, "it is in the kernel");
        kernel.return_to_user(t).unwrap();
        for apc in [first, second, first] {
            assert!(kernel.user_forced(t));
            assert_eq!(kernel.run_user_apc(t), Some(apc));
        }
        assert!(!kernel.user_forced(t));
        // What comes before the thread goes on may still run.
        kernel.insert_apc(second, other).unwrap();
        assert!(!kernel.user_forced(t));
        assert_eq!(kernel.user_deliverable(t), Some(second));
        kernel.begin_user_step(t);
        assert_eq!(kernel.user_deliverable(t), None);
    }
}

#[test]
fn special_ones_run_in_user_mode_and_go_first() {
    let (mut kernel, t, other) = machine(Profile::Nt52);
    let ordinary = kernel.create_apc(t, ApcKind::User);
    let special = kernel.create_apc(t, ApcKind::SpecialUser);
    kernel.enter_kernel(t);
    kernel.insert_apc(ordinary, other).unwrap();
    kernel.insert_apc(special, other).unwrap();
    assert_eq!(kernel.user_deliverable(t), None);
    kernel.return_to_user(t).unwrap();
    assert!(kernel.user_forced(t));
    assert_eq!(kernel.run_user_apc(t), Some(special));
    assert_eq!(kernel.run_user_apc(t), None, "the other one is not pending");
    kernel.insert_apc(special, other).unwrap();
    assert!(!kernel.user_forced(t), "its interrupt may come late");
    assert_eq!(kernel.user_deliverable(t), Some(special));
}

#[test]
fn a_user_apc_that_is_queued_ends_an_alertable_wait_in_user_mode() {
    for profile in BOTH {
        let (mut kernel, t, other) = machine(profile);
        let apc = kernel.create_apc(t, ApcKind::User);
        kernel.enter_kernel(t);
        assert_eq!(kernel.delay(t, ALERTABLE, true), Ok(Begun::Blocked));
        assert!(kernel.expirable(t) && !kernel.end_by_alert(t));
        kernel.insert_apc(apc, other).unwrap();
        assert_eq!(kernel.alert(t), Alert::Must);
        assert_eq!(kernel.alerted(t), profile == Profile::Nt52);
        assert!(!kernel.expirable(t));
        assert!(kernel.end_by_alert(t) && !kernel.waiting(t));
        kernel.return_to_user(t).unwrap();
        assert_eq!(kernel.run_user_apc(t), Some(apc));
    }
}

#[test]
fn what_the_wait_is_decides_whether_a_user_apc_ends_it() {
    let alert = |profile, mode, in_region| {
        let (mut kernel, t, other) = machine(profile);
        let apc = kernel.create_apc(t, ApcKind::SpecialUser);
        kernel.enter_kernel(t);
        if in_region {
            kernel.enter_guarded(t).unwrap();
        }
        assert_eq!(kernel.delay(t, mode, true), Ok(Begun::Blocked));
        kernel.insert_apc(apc, other).unwrap();
        kernel.alert(t)
    };
    let mode = |user, alertable| WaitMode { user, alertable };
    for profile in BOTH {
        let documented = profile == Profile::Documented;
        let measured = |else_| if documented { Alert::May } else { else_ };
        assert_eq!(alert(profile, ALERTABLE, false), Alert::Must);
        assert_eq!(alert(profile, ALERTABLE, true), measured(Alert::Must));
        assert_eq!(
            alert(profile, mode(false, true), false),
            measured(Alert::No)
        );
        assert_eq!(alert(profile, mode(true, false), false), Alert::No);
        assert_eq!(alert(profile, WaitMode::KERNEL, false), Alert::No);
    }
}

#[test]
fn after_an_alert_in_kernel_mode_nothing_is_delivered() {
    let (mut kernel, t, other) = machine(Profile::Documented);
    let apc = kernel.create_apc(t, ApcKind::User);
    let mode = WaitMode {
        user: false,
        alertable: true,
    };
    kernel.enter_kernel(t);
    kernel.delay(t, mode, true).unwrap();
    kernel.insert_apc(apc, other).unwrap();
    assert!(kernel.end_by_alert(t));
    kernel.return_to_user(t).unwrap();
    assert_eq!(kernel.user_deliverable(t), None);
}

#[test]
fn kernel_apcs_come_ahead_of_user_apcs() {
    let (mut kernel, t, other) = machine(Profile::Documented);
    let user = kernel.create_apc(t, ApcKind::SpecialUser);
    let special = kernel.create_apc(t, ApcKind::Special);
    kernel.insert_apc(user, other).unwrap();
    kernel.insert_apc(special, t).unwrap();
    assert!(kernel.forced(t));
    assert_eq!(kernel.user_deliverable(t), None);
    kernel.begin_delivery(t).unwrap();
    assert!(!kernel.in_user_mode(t));
    assert_eq!(kernel.user_deliverable(t), None);
    kernel.kernel_routine_returned(t).unwrap();
    assert_eq!(kernel.user_deliverable(t), Some(user));
}

#[test]
fn a_thread_that_has_ended_takes_no_user_apc_and_its_own_are_lost() {
    let (mut kernel, t, other) = machine(Profile::Documented);
    let apc = kernel.create_apc(t, ApcKind::User);
    kernel.insert_apc(apc, other).unwrap();
    assert!(kernel.inserted(apc) && kernel.remove_apc(apc).is_err());
    kernel.suspend(t, other).unwrap();
    assert_eq!(kernel.end_thread(t), Ok(vec![]));
    assert!(!kernel.inserted(apc));
    assert_eq!(kernel.insert_apc(apc, other), Ok(false));
    let suspension = kernel.suspension(t);
    let object = kernel.thread_object(t);
    kernel.remove_object(object).unwrap();
    kernel.remove_apc(apc).unwrap();
    assert_eq!(
        kernel.create_apc(other, ApcKind::Special),
        suspension.min(apc)
    );
}
