use super::super::{Baseline, DISPATCH_LEVEL, Profile};
use super::*;

fn machine(profile: Profile) -> (Kernel, ThreadId) {
    let mut kernel = Kernel::new(profile);
    let t = kernel.create_thread(Baseline::default());
    (kernel, t)
}

#[test]
fn the_counters_go_down_by_one_a_region_and_wrap() {
    let (mut kernel, t) = machine(Profile::Nt52);
    kernel.enter_critical(t).unwrap();
    kernel.enter_guarded(t).unwrap();
    kernel.enter_guarded(t).unwrap();
    assert_eq!(
        kernel.counters(t),
        Baseline {
            kernel: -1,
            special: -2
        }
    );
    let edge = Baseline {
        kernel: i16::MIN,
        special: 0,
    };
    let wrapping = kernel.create_thread(edge);
    kernel.enter_critical(wrapping).unwrap();
    assert_eq!(kernel.counters(wrapping).kernel, i16::MAX);
    kernel.leave_critical(wrapping).unwrap();
    assert_eq!(kernel.counters(wrapping), edge);
}

#[test]
fn leaving_what_was_not_entered_is_0x3e_and_0x4000e_also_above_a_baseline() {
    let (mut kernel, t) = machine(Profile::Documented);
    assert_eq!(
        kernel.leave_critical(t).unwrap_err().parameters,
        [0x3E, 0, 0, 0]
    );
    assert_eq!(
        kernel.leave_guarded(t).unwrap_err().parameters,
        [0x4000E, 0, 0, 0]
    );
    assert_eq!(kernel.counters(t), Baseline::default());
    let inside = kernel.create_thread(Baseline {
        kernel: -1,
        special: 0,
    });
    assert_eq!(kernel.leave_critical(inside).unwrap_err().code, 0xC4);
}

#[test]
fn region_routines_and_predicates_are_refused_above_apc_level() {
    let (mut kernel, t) = machine(Profile::Documented);
    kernel.raise_irql(t, APC_LEVEL).unwrap();
    kernel.enter_critical(t).unwrap();
    kernel.enter_guarded(t).unwrap();
    assert_eq!(kernel.all_apcs_disabled(t), Ok(true));
    kernel.raise_irql(t, DISPATCH_LEVEL).unwrap();
    let kinds = [
        kernel.enter_critical(t).unwrap_err().parameters,
        kernel.leave_critical(t).unwrap_err().parameters,
        kernel.enter_guarded(t).unwrap_err().parameters,
        kernel.leave_guarded(t).unwrap_err().parameters,
        kernel.apcs_disabled(t).unwrap_err().parameters,
        kernel.all_apcs_disabled(t).unwrap_err().parameters,
    ];
    let rule = [0x20010, 0, 0, 0];
    let expected = [[0x11A, 2, 0, 0], [0x11B, 2, 0, 0], rule, rule, rule, rule];
    assert_eq!(kinds, expected);
}
