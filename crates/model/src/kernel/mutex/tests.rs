use proptest::prelude::*;

use super::*;
use crate::kernel::{APC_LEVEL, Answer, ApcKind, Baseline, EventKind, Next, Profile};

const BOTH: [Profile; 2] = [Profile::Documented, Profile::Nt52];
const OWNER: Baseline = Baseline {
    kernel: -1,
    special: 0,
};

fn machine<const N: usize>(profile: Profile) -> (Kernel, [ThreadId; N]) {
    let mut kernel = Kernel::new(profile);
    let threads = std::array::from_fn(|_| kernel.create_thread(Baseline::default()));
    (kernel, threads)
}

fn acquire(kernel: &mut Kernel, t: ThreadId, o: ObjectId) {
    assert_eq!(kernel.wait(t, &[o], false, true), Ok(Some(0)));
}

#[test]
fn owning_moves_the_first_counter_once_whatever_the_recursion() {
    for profile in BOTH {
        let (mut kernel, [a, b]) = machine(profile);
        let o = kernel.create_mutex();
        for state in [0, -1, -2] {
            acquire(&mut kernel, a, o);
            assert_eq!((kernel.mutex_state(o), kernel.counters(a)), (state, OWNER));
        }
        assert_eq!(
            kernel.wait(b, &[o], false, false),
            Ok(None),
            "not for another thread"
        );
        assert_eq!(kernel.apcs_disabled(a), Ok(Answer::Is(true)));
        assert_eq!(kernel.all_apcs_disabled(a), Ok(false));
        for previous in [-2, -1] {
            assert_eq!(kernel.release_mutex(a, o), Ok(previous));
            assert_eq!(
                (kernel.mutex_owner(o), kernel.counters(a)),
                (Some(a), OWNER)
            );
        }
        assert_eq!(kernel.release_mutex(a, o), Ok(0));
        assert_eq!((kernel.mutex_owner(o), kernel.mutex_state(o)), (None, 1));
        assert_eq!(kernel.counters(a), Baseline::default());
    }
}

#[test]
fn each_mutex_counts_and_a_region_counts_as_well() {
    let (mut kernel, [a]) = machine(Profile::Documented);
    let mutexes = [(); 2].map(|()| kernel.create_mutex());
    for o in mutexes {
        acquire(&mut kernel, a, o);
    }
    kernel.enter_critical(a).unwrap();
    assert_eq!(kernel.counters(a).kernel, -3);
    kernel.leave_critical(a).unwrap();
    let bug_check = kernel.leave_critical(a).unwrap_err();
    assert_eq!(
        bug_check.parameters[0], 0x3E,
        "a mutex is no region to leave"
    );
    for o in mutexes {
        kernel.release_mutex(a, o).unwrap();
    }
    assert_eq!(kernel.counters(a), Baseline::default());
}

#[test]
fn a_special_runs_in_the_owner_and_a_normal_one_at_the_last_release() {
    for profile in BOTH {
        let (mut kernel, [a]) = machine(profile);
        let o = kernel.create_mutex();
        acquire(&mut kernel, a, o);
        acquire(&mut kernel, a, o);
        let normal = kernel.create_apc(a, ApcKind::Normal);
        let special = kernel.create_apc(a, ApcKind::Special);
        kernel.insert_apc(normal, a).unwrap();
        kernel.insert_apc(special, a).unwrap();
        assert_eq!(kernel.begin_delivery(a), Some((special, ApcKind::Special)));
        assert_eq!(kernel.kernel_routine_returned(a), Ok(Next::Done));
        kernel.release_mutex(a, o).unwrap();
        assert_eq!((kernel.deliverable(a), kernel.forced(a)), (None, false));
        kernel.release_mutex(a, o).unwrap();
        assert_eq!(
            (kernel.deliverable(a), kernel.forced(a)),
            (Some(normal), true)
        );
    }
}

#[test]
fn at_apc_level_the_last_release_delivers_nothing() {
    let (mut kernel, [a]) = machine(Profile::Nt52);
    let o = kernel.create_mutex();
    acquire(&mut kernel, a, o);
    let normal = kernel.create_apc(a, ApcKind::Normal);
    kernel.insert_apc(normal, a).unwrap();
    kernel.raise_irql(a, APC_LEVEL).unwrap();
    kernel.release_mutex(a, o).unwrap();
    assert_eq!((kernel.deliverable(a), kernel.forced(a)), (None, false));
    kernel.lower_irql(a, 0).unwrap();
    assert!(kernel.forced(a));
}

#[test]
fn the_waiter_that_gets_it_owns_it_before_it_runs() {
    for profile in BOTH {
        let (mut kernel, [a, b, c]) = machine(profile);
        let o = kernel.create_mutex();
        acquire(&mut kernel, a, o);
        assert_eq!(kernel.wait(c, &[o], false, true), Ok(None));
        assert_eq!(kernel.wait(b, &[o], false, true), Ok(None));
        assert_eq!(kernel.counters(b), Baseline::default());
        let takers = kernel.mutex_takers(o);
        match profile {
            Profile::Documented => assert_eq!(takers, [b, c]),
            Profile::Nt52 => assert_eq!(takers, [c]),
        }
        let taker = takers[takers.len() - 1];
        kernel
            .release_mutex_choosing(a, o, takers.len() - 1)
            .unwrap();
        assert_eq!(kernel.mutex_owner(o), Some(taker));
        assert_eq!(kernel.counters(taker), OWNER);
        let apc = kernel.create_apc(taker, ApcKind::Normal);
        kernel.insert_apc(apc, a).unwrap();
        assert_eq!(kernel.deliverable(taker), None);
        assert_eq!(kernel.wait(a, &[o], false, false), Ok(None));
        assert_eq!(kernel.grant(taker), Some(0));
        assert_eq!(kernel.release_mutex(taker, o), Ok(0));
        assert!(kernel.forced(taker));
    }
}

#[test]
fn a_kernel_apc_may_run_in_a_wait_for_a_mutex() {
    for profile in BOTH {
        let (mut kernel, [a, b]) = machine(profile);
        let o = kernel.create_mutex();
        acquire(&mut kernel, a, o);
        assert_eq!(kernel.wait(b, &[o], false, true), Ok(None));
        let apc = kernel.create_apc(b, ApcKind::Special);
        kernel.insert_apc(apc, a).unwrap();
        kernel.begin_delivery(b).unwrap();
        kernel.release_mutex(a, o).unwrap();
        assert_eq!(
            kernel.mutex_owner(o),
            None,
            "the interrupted waiter looks when it resumes"
        );
        kernel.kernel_routine_returned(b).unwrap();
        assert_eq!((kernel.mutex_owner(o), kernel.grant(b)), (Some(b), Some(0)));
    }
}

#[test]
fn wait_all_takes_the_mutex_with_the_event_or_not_at_all() {
    let (mut kernel, [a, b]) = machine(Profile::Documented);
    let o = kernel.create_mutex();
    let event = kernel.create_event(EventKind::Synchronization, false);
    assert_eq!(kernel.wait(a, &[o, event], true, true), Ok(None));
    assert_eq!(kernel.mutex_owner(o), None);
    acquire(&mut kernel, b, o);
    kernel.set_event(event);
    assert_eq!(kernel.grantable(a), None);
    kernel.release_mutex(b, o).unwrap();
    assert_eq!(kernel.grant(a), Some(0));
    assert_eq!(
        (kernel.mutex_owner(o), kernel.event_signaled(event)),
        (Some(a), false)
    );
}

#[test]
fn a_release_by_anybody_but_the_owner_is_0x1e() {
    let (mut kernel, [a, b]) = machine(Profile::Documented);
    let o = kernel.create_mutex();
    acquire(&mut kernel, a, o);
    for t in [b, a] {
        if t == a {
            kernel.release_mutex(a, o).unwrap();
        }
        let bug_check = kernel.release_mutex(t, o).unwrap_err();
        assert_eq!(
            (bug_check.code, bug_check.parameters),
            (0x1E, [0xC000_0046, 0, 0, 0])
        );
    }
    assert_eq!(
        kernel.release_mutex(a, o).unwrap_err().reason,
        "A KMUTEX was released that nobody owns."
    );
}

#[test]
fn the_recursion_has_a_limit() {
    let (mut kernel, [a]) = machine(Profile::Documented);
    let o = kernel.create_mutex();
    acquire(&mut kernel, a, o);
    kernel.mutex_mut(o).state = i32::MIN + 1;
    acquire(&mut kernel, a, o);
    let bug_check = kernel.wait(a, &[o], false, false).unwrap_err();
    assert_eq!(
        (bug_check.code, bug_check.parameters[0]),
        (0x1E, 0xC000_0191)
    );
}

#[test]
fn a_thread_that_ends_as_owner_is_0x20() {
    let (mut kernel, [a]) = machine(Profile::Documented);
    let o = kernel.create_mutex();
    acquire(&mut kernel, a, o);
    let bug_check = kernel.end_thread(a).unwrap_err();
    assert_eq!(bug_check.parameters, [0, 0xFFFF, 0, 0]);
    assert_eq!(bug_check.reason, "The thread ends while it owns a KMUTEX.");
    kernel.release_mutex(a, o).unwrap();
    assert_eq!(kernel.end_thread(a), Ok(vec![]));
}

#[test]
fn a_mutex_that_is_owned_or_waited_for_can_t_be_freed() {
    let (mut kernel, [a, b]) = machine(Profile::Documented);
    let o = kernel.create_mutex();
    acquire(&mut kernel, a, o);
    assert_eq!(kernel.remove_object(o).unwrap_err().code, 0x139);
    kernel.wait(b, &[o], false, true).unwrap();
    kernel.release_mutex(a, o).unwrap();
    kernel.grant(b).unwrap();
    kernel.release_mutex(b, o).unwrap();
    assert_eq!(kernel.remove_object(o), Ok(()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Against a plain account of who has acquired what how often.
    #[test]
    fn one_owner_at_a_time_and_counters_come_back(
        nt52 in any::<bool>(),
        calls in prop::collection::vec((0..4_usize, 0..3_usize, 0..2_usize, 0..3_usize), 0..60),
    ) {
        let profile = if nt52 { Profile::Nt52 } else { Profile::Documented };
        let (mut kernel, threads) = machine::<3>(profile);
        let mutexes = [(); 2].map(|()| kernel.create_mutex());
        let mut times = [[0_i32; 2]; 3];
        let mut wanted = [None; 3];
        for (kind, t, m, choice) in calls {
            match kind {
                0 if wanted[t].is_none() => {
                    match kernel.wait(threads[t], &[mutexes[m]], false, true).unwrap() {
                        Some(_) => times[t][m] += 1,
                        None => wanted[t] = Some(m),
                    }
                }
                1 if wanted[t].is_none() => {
                    let takers = kernel.mutex_takers(mutexes[m]).len().max(1);
                    let released = kernel.release_mutex_choosing(threads[t], mutexes[m], choice % takers);
                    prop_assert_eq!(released.is_ok(), times[t][m] > 0);
                    if let Ok(previous) = released {
                        prop_assert_eq!(previous, 1 - times[t][m]);
                        times[t][m] -= 1;
                    }
                }
                2 if kernel.grant(threads[t]).is_some() => {
                    let m = wanted[t].take().expect("it waited");
                    times[t][m] += 1;
                }
                3 if wanted[t].is_some() && kernel.expire(threads[t]) => wanted[t] = None,
                _ => {}
            }
            for t in 0..3 {
                let granted = usize::from(kernel.satisfied(threads[t]));
                let owned = times[t].iter().filter(|&&times| times > 0).count() + granted;
                prop_assert_eq!(usize::try_from(-kernel.counters(threads[t]).kernel), Ok(owned));
            }
            for m in 0..2 {
                let owners = (0..3).filter(|&t| times[t][m] > 0).count();
                prop_assert!(owners <= 1);
                prop_assert!(owners == 0 || kernel.mutex_owner(mutexes[m]).is_some());
            }
        }
    }
}
