use super::*;
use crate::kernel::{APC_LEVEL, ApcKind, Profile};

fn machine() -> (Kernel, ThreadId) {
    let mut kernel = Kernel::new(Profile::Documented);
    let t = kernel.create_thread(Baseline::default());
    (kernel, t)
}

#[test]
fn ending_a_thread_flushes_its_queue_in_order() {
    let (mut kernel, t) = machine();
    let other = kernel.create_thread(Baseline::default());
    let normal = kernel.create_apc(t, ApcKind::Normal);
    let special = kernel.create_apc(t, ApcKind::Special);
    kernel.insert_apc(normal, other).unwrap();
    kernel.insert_apc(special, other).unwrap();
    assert_eq!(kernel.end_thread(t), Ok(vec![special, normal]));
    assert!(!kernel.inserted(normal));
    assert_eq!(kernel.remove_apc(normal), Ok(()));
    assert_eq!(kernel.remove_apc(special), Ok(()));
}

#[test]
fn ending_a_thread_in_a_region_above_passive_level_or_in_an_apc_is_0x20() {
    let (mut kernel, t) = machine();
    kernel.enter_critical(t).unwrap();
    let bug_check = kernel.end_thread(t).unwrap_err();
    assert_eq!(
        (bug_check.code, bug_check.parameters),
        (0x20, [0, 0xFFFF, 0, 0])
    );
    kernel.leave_critical(t).unwrap();
    kernel.raise_irql(t, APC_LEVEL).unwrap();
    assert_eq!(kernel.end_thread(t).unwrap_err().parameters, [0, 0, 1, 0]);
    kernel.lower_irql(t, PASSIVE_LEVEL).unwrap();
    let apc = kernel.create_apc(t, ApcKind::Normal);
    kernel.insert_apc(apc, t).unwrap();
    kernel.begin_delivery(t);
    kernel.kernel_routine_returned(t).unwrap();
    assert_eq!(kernel.end_thread(t).unwrap_err().code, 0x20);
    kernel.normal_routine_returned(t).unwrap();
    assert_eq!(kernel.end_thread(t), Ok(vec![]));
}

#[test]
fn a_thread_ends_at_its_baseline_whatever_that_is() {
    let (mut kernel, _) = machine();
    let t = kernel.create_thread(Baseline {
        kernel: -1,
        special: 0,
    });
    assert_eq!(kernel.end_thread(t), Ok(vec![]));
}

#[test]
fn returning_with_another_counter_is_0x1_with_both_in_parameter_3() {
    let (mut kernel, t) = machine();
    let before = kernel.counters(t);
    assert_eq!(kernel.check_return(t, before, PASSIVE_LEVEL), Ok(()));
    kernel.enter_guarded(t).unwrap();
    kernel.enter_critical(t).unwrap();
    kernel.enter_critical(t).unwrap();
    let bug_check = kernel.check_return(t, before, PASSIVE_LEVEL).unwrap_err();
    assert_eq!(
        (bug_check.code, bug_check.parameters),
        (0x1, [0, 0, 0xFFFF_FFFE, 0])
    );
}

#[test]
fn returning_at_another_irql_is_0x4a() {
    let (mut kernel, t) = machine();
    kernel.raise_irql(t, APC_LEVEL).unwrap();
    let bug_check = kernel
        .check_return(t, Baseline::default(), PASSIVE_LEVEL)
        .unwrap_err();
    assert_eq!((bug_check.code, bug_check.parameters), (0x4A, [0, 1, 0, 0]));
}

#[test]
fn a_threads_number_is_used_again_and_its_apcs_name_nobody() {
    let (mut kernel, t) = machine();
    let other = kernel.create_thread(Baseline::default());
    let apc = kernel.create_apc(t, ApcKind::Special);
    let object = kernel.thread_object(t);
    assert_eq!(
        kernel.remove_object(object).unwrap_err().code,
        0x139,
        "it has not ended"
    );
    kernel.end_thread(t).unwrap();
    assert_eq!(kernel.remove_object(object), Ok(()));
    assert_eq!(kernel.create_thread(Baseline::default()), t);
    assert_eq!(kernel.insert_apc(apc, other).unwrap_err().code, 0x139);
    assert_eq!(kernel.remove_apc(apc), Ok(()));
}
