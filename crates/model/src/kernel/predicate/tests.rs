use super::*;
use crate::kernel::{Baseline, Profile};

fn machine(profile: Profile) -> (Kernel, ThreadId) {
    let mut kernel = Kernel::new(profile);
    let t = kernel.create_thread(Baseline::default());
    (kernel, t)
}

#[test]
fn the_predicates_look_at_their_counters_and_one_at_the_irql() {
    for profile in [Profile::Documented, Profile::Nt52] {
        let (mut kernel, t) = machine(profile);
        assert_eq!(kernel.apcs_disabled(t), Ok(Answer::Is(false)));
        assert_eq!(kernel.all_apcs_disabled(t), Ok(false));
        kernel.enter_critical(t).unwrap();
        assert_eq!(kernel.apcs_disabled(t), Ok(Answer::Is(true)));
        assert_eq!(kernel.all_apcs_disabled(t), Ok(false));
        kernel.leave_critical(t).unwrap();
        kernel.raise_irql(t, APC_LEVEL).unwrap();
        assert_eq!(kernel.apcs_disabled(t), Ok(Answer::Is(false)));
        assert_eq!(kernel.all_apcs_disabled(t), Ok(true));
    }
}

#[test]
fn in_a_guarded_region_alone_the_first_predicate_is_disputed() {
    let in_guarded = |profile| {
        let (mut kernel, t) = machine(profile);
        kernel.enter_guarded(t).unwrap();
        assert_eq!(kernel.all_apcs_disabled(t), Ok(true));
        kernel.apcs_disabled(t).unwrap()
    };
    assert_eq!(in_guarded(Profile::Documented), Answer::Either);
    assert_eq!(in_guarded(Profile::Nt52), Answer::Is(true));
}
