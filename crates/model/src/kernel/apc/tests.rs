//! Each test names the fact that it holds on to (docs/semantics.md, section 2 and docs/model.md, decision 4).

use super::*;
use crate::kernel::{Baseline, Next, PASSIVE_LEVEL};

const BOTH: [Profile; 2] = [Profile::Documented, Profile::Nt52];

struct Lab {
    kernel: Kernel,
    target: ThreadId,
    other: ThreadId,
}

impl Lab {
    fn new(profile: Profile) -> Self {
        let mut kernel = Kernel::new(profile);
        let target = kernel.create_thread(Baseline::default());
        let other = kernel.create_thread(Baseline::default());
        Self {
            kernel,
            target,
            other,
        }
    }

    /// A new APC that another thread has queued to the target.
    fn queued(&mut self, kind: ApcKind) -> ApcId {
        let apc = self.kernel.create_apc(self.target, kind);
        assert_eq!(self.kernel.insert_apc(apc, self.other), Ok(true));
        apc
    }

    /// A new APC that the target has queued to itself.
    fn queued_by_itself(&mut self, kind: ApcKind) -> ApcId {
        let apc = self.kernel.create_apc(self.target, kind);
        assert_eq!(self.kernel.insert_apc(apc, self.target), Ok(true));
        apc
    }

    fn deliverable(&self) -> Option<ApcId> {
        self.kernel.deliverable(self.target)
    }

    fn forced(&self) -> bool {
        self.kernel.forced(self.target)
    }

    /// Delivers one APC whose routines do nothing.
    fn deliver(&mut self) -> Option<ApcId> {
        let (apc, _) = self.kernel.begin_delivery(self.target)?;
        if self.kernel.kernel_routine_returned(self.target) == Ok(Next::NormalRoutine) {
            assert_eq!(self.kernel.normal_routine_returned(self.target), Ok(()));
        }
        Some(apc)
    }
}

/// The kinds that a thread in some state lets run: (special, normal).
fn table(prepare: impl Fn(&mut Kernel, ThreadId) -> Result<(), BugCheck>) -> (bool, bool) {
    let runs = |kind| {
        let mut lab = Lab::new(Profile::Documented);
        prepare(&mut lab.kernel, lab.target).expect("the state is a legal one");
        let apc = lab.queued(kind);
        let runs = lab.deliverable() == Some(apc);
        assert_eq!(lab.kernel.begin_delivery(lab.target).is_some(), runs);
        runs
    };
    (runs(ApcKind::Special), runs(ApcKind::Normal))
}

#[test]
fn in_plain_kernel_code_both_kinds_run() {
    assert_eq!(table(|_, _| Ok(())), (true, true));
}

#[test]
fn in_a_critical_region_only_specials_run() {
    assert_eq!(table(Kernel::enter_critical), (true, false));
}

#[test]
fn in_a_guarded_region_no_kernel_apc_runs() {
    assert_eq!(table(Kernel::enter_guarded), (false, false));
}

#[test]
fn at_apc_level_no_kernel_apc_runs() {
    assert_eq!(
        table(|kernel, t| kernel.raise_irql(t, APC_LEVEL).map(drop)),
        (false, false)
    );
}

#[test]
fn in_a_special_apcs_routine_no_kernel_apc_runs() {
    let in_special = |kernel: &mut Kernel, t| {
        let apc = kernel.create_apc(t, ApcKind::Special);
        kernel.insert_apc(apc, t)?;
        assert_eq!(kernel.begin_delivery(t), Some((apc, ApcKind::Special)));
        assert_eq!(kernel.irql(t), APC_LEVEL);
        Ok(())
    };
    assert_eq!(table(in_special), (false, false));
}

#[test]
fn in_a_normal_apcs_routine_only_specials_run() {
    let in_normal = |kernel: &mut Kernel, t| {
        let apc = kernel.create_apc(t, ApcKind::Normal);
        kernel.insert_apc(apc, t)?;
        assert_eq!(kernel.begin_delivery(t), Some((apc, ApcKind::Normal)));
        assert_eq!(kernel.irql(t), APC_LEVEL);
        assert_eq!(kernel.kernel_routine_returned(t), Ok(Next::NormalRoutine));
        assert_eq!(kernel.irql(t), PASSIVE_LEVEL);
        Ok(())
    };
    assert_eq!(table(in_normal), (true, false));
}

#[test]
fn specials_go_ahead_of_normals_and_each_kind_is_fifo() {
    let mut lab = Lab::new(Profile::Documented);
    let kinds = [
        ApcKind::Normal,
        ApcKind::Special,
        ApcKind::Normal,
        ApcKind::Special,
    ];
    let [n1, s1, n2, s2] = kinds.map(|kind| lab.queued(kind));
    let order: Vec<_> = std::iter::from_fn(|| lab.deliver()).collect();
    assert_eq!(order, [s1, s2, n1, n2]);
}

#[test]
fn an_inserted_apc_is_refused_until_its_delivery_begins() {
    let mut lab = Lab::new(Profile::Documented);
    let apc = lab.queued(ApcKind::Special);
    assert_eq!(lab.kernel.insert_apc(apc, lab.other), Ok(false));
    assert_eq!(
        lab.kernel.begin_delivery(lab.target),
        Some((apc, ApcKind::Special))
    );
    assert_eq!(lab.kernel.insert_apc(apc, lab.other), Ok(true));
}

#[test]
fn an_apc_to_an_ended_thread_is_refused() {
    let mut lab = Lab::new(Profile::Documented);
    let apc = lab.kernel.create_apc(lab.target, ApcKind::Normal);
    lab.kernel.end_thread(lab.target).unwrap();
    assert_eq!(lab.kernel.insert_apc(apc, lab.other), Ok(false));
}

#[test]
fn what_a_thread_queues_to_itself_is_forced_and_what_another_queues_is_not() {
    for profile in BOTH {
        let mut lab = Lab::new(profile);
        lab.queued(ApcKind::Special);
        assert!(!lab.forced());
        lab.queued_by_itself(ApcKind::Normal);
        assert!(lab.forced());
        lab.deliver();
        assert!(
            lab.forced(),
            "the special ran first, the normal is still due"
        );
        lab.deliver();
        assert!(!lab.forced());
    }
}

#[test]
fn the_leave_that_enables_an_apc_forces_it() {
    for profile in BOTH {
        let mut lab = Lab::new(profile);
        lab.kernel.enter_critical(lab.target).unwrap();
        lab.kernel.enter_critical(lab.target).unwrap();
        let apc = lab.queued(ApcKind::Normal);
        lab.kernel.leave_critical(lab.target).unwrap();
        assert_eq!(lab.deliverable(), None, "only the outermost leave enables");
        lab.kernel.leave_critical(lab.target).unwrap();
        assert_eq!(lab.deliverable(), Some(apc));
        assert!(lab.forced());
    }
}

#[test]
fn a_leave_forces_a_special_that_it_does_not_enable_in_nt52_only() {
    for profile in BOTH {
        let mut lab = Lab::new(profile);
        lab.kernel.enter_critical(lab.target).unwrap();
        let special = lab.queued(ApcKind::Special);
        assert_eq!(lab.deliverable(), Some(special));
        lab.kernel.leave_critical(lab.target).unwrap();
        assert_eq!(lab.forced(), profile == Profile::Nt52);
    }
}

#[test]
fn leaving_a_guarded_region_in_a_critical_one_runs_specials_and_stops_at_a_normal() {
    for profile in BOTH {
        let mut lab = Lab::new(profile);
        lab.kernel.enter_critical(lab.target).unwrap();
        lab.kernel.enter_guarded(lab.target).unwrap();
        let normal = lab.queued(ApcKind::Normal);
        let special = lab.queued(ApcKind::Special);
        lab.kernel.leave_guarded(lab.target).unwrap();
        assert!(lab.forced());
        assert_eq!(lab.deliver(), Some(special));
        assert_eq!(lab.deliverable(), None);
        assert!(!lab.forced());
        lab.kernel.leave_critical(lab.target).unwrap();
        assert!(lab.forced());
        assert_eq!(lab.deliver(), Some(normal));
    }
}

#[test]
fn a_leave_at_apc_level_delivers_when_the_irql_falls() {
    for profile in BOTH {
        let mut lab = Lab::new(profile);
        lab.kernel.enter_critical(lab.target).unwrap();
        lab.kernel.raise_irql(lab.target, APC_LEVEL).unwrap();
        let apc = lab.queued(ApcKind::Normal);
        lab.kernel.leave_critical(lab.target).unwrap();
        assert!(!lab.forced());
        lab.kernel.lower_irql(lab.target, PASSIVE_LEVEL).unwrap();
        assert_eq!(lab.deliverable(), Some(apc));
        assert!(lab.forced());
    }
}

#[test]
fn a_begun_delivery_drains_the_queue_in_nt52_only() {
    for profile in BOTH {
        let mut lab = Lab::new(profile);
        lab.queued(ApcKind::Special);
        lab.queued(ApcKind::Normal);
        assert!(!lab.forced());
        lab.deliver();
        assert_eq!(lab.forced(), profile == Profile::Nt52);
    }
}

#[test]
fn a_special_preempts_a_normal_routine_and_returns_to_it() {
    for profile in BOTH {
        let mut lab = Lab::new(profile);
        let normal = lab.queued(ApcKind::Normal);
        lab.kernel.begin_delivery(lab.target);
        lab.kernel.kernel_routine_returned(lab.target).unwrap();
        lab.queued(ApcKind::Normal);
        let special = lab.queued(ApcKind::Special);
        assert_eq!(lab.deliver(), Some(special));
        assert_eq!(lab.deliverable(), None, "normals don't nest");
        assert_eq!(
            lab.kernel.running(lab.target),
            Some((normal, ApcKind::Normal))
        );
        assert_eq!(lab.kernel.normal_routine_returned(lab.target), Ok(()));
        assert_eq!(lab.kernel.running(lab.target), None);
        assert!(lab.deliverable().is_some());
    }
}

#[test]
fn an_apc_routine_must_return_with_its_irql_and_counters() {
    let mut lab = Lab::new(Profile::Documented);
    lab.queued(ApcKind::Normal);
    lab.kernel.begin_delivery(lab.target);
    let begun = lab.kernel.clone();

    lab.kernel.lower_irql(lab.target, PASSIVE_LEVEL).unwrap();
    let bug_check = lab.kernel.kernel_routine_returned(lab.target).unwrap_err();
    assert_eq!(
        (bug_check.code, bug_check.parameters[0]),
        (0xC8, 0x00_01_00)
    );

    lab.kernel = begun.clone();
    lab.kernel.enter_guarded(lab.target).unwrap();
    let bug_check = lab.kernel.kernel_routine_returned(lab.target).unwrap_err();
    assert_eq!(
        (bug_check.code, bug_check.parameters[2]),
        (0x1, 0xFFFF_0000)
    );

    lab.kernel = begun;
    lab.kernel.kernel_routine_returned(lab.target).unwrap();
    let in_normal = lab.kernel.clone();
    lab.kernel.raise_irql(lab.target, APC_LEVEL).unwrap();
    let bug_check = lab.kernel.normal_routine_returned(lab.target).unwrap_err();
    assert_eq!(
        (bug_check.code, bug_check.parameters[0]),
        (0xC8, 0x01_00_01)
    );

    lab.kernel = in_normal;
    lab.kernel.enter_critical(lab.target).unwrap();
    let bug_check = lab.kernel.normal_routine_returned(lab.target).unwrap_err();
    assert_eq!(
        (bug_check.code, bug_check.parameters[2]),
        (0x1, 0x0000_FFFF)
    );
}

#[test]
fn an_apc_is_not_freed_while_it_is_inserted_or_runs() {
    let mut lab = Lab::new(Profile::Documented);
    let apc = lab.queued(ApcKind::Special);
    assert_eq!(lab.kernel.remove_apc(apc).unwrap_err().code, 0x139);
    lab.kernel.begin_delivery(lab.target);
    assert_eq!(lab.kernel.remove_apc(apc).unwrap_err().code, 0x139);
    lab.kernel.kernel_routine_returned(lab.target).unwrap();
    assert_eq!(lab.kernel.remove_apc(apc), Ok(()));
    assert_eq!(
        lab.kernel.create_apc(lab.target, ApcKind::Normal),
        apc,
        "the number is free"
    );
}

#[test]
fn inserting_above_dispatch_level_is_refused() {
    let mut lab = Lab::new(Profile::Documented);
    let apc = lab.kernel.create_apc(lab.target, ApcKind::Special);
    lab.kernel.raise_irql(lab.other, DISPATCH_LEVEL).unwrap();
    assert_eq!(lab.kernel.insert_apc(apc, lab.other), Ok(true));
    lab.kernel
        .raise_irql(lab.other, DISPATCH_LEVEL + 1)
        .unwrap();
    assert_eq!(
        lab.kernel.insert_apc(apc, lab.other).unwrap_err().code,
        0xC4
    );
}
