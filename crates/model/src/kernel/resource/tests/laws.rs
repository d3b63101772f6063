//! Laws over random calls, against a plain account of who has acquired what how often.

use proptest::prelude::*;

use super::*;

const THREADS: usize = 4;

#[derive(Default)]
struct Account {
    /// How often each thread has acquired it, and whether the one that has it has it alone.
    counts: [u32; THREADS],
    exclusive: bool,
    wanted: [Option<ResourceMode>; THREADS],
}

impl Account {
    fn take(&mut self, t: usize, mode: ResourceMode) -> Result<(), TestCaseError> {
        let others = (0..THREADS).any(|other| other != t && self.counts[other] > 0);
        prop_assert!(
            !(others && (self.exclusive || mode == Exclusive)),
            "{t} is not alone"
        );
        if !others && self.counts[t] == 0 {
            self.exclusive = mode == Exclusive;
        }
        prop_assert!(self.exclusive || mode != Exclusive, "{t} was upgraded");
        self.counts[t] += 1;
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn an_exclusive_owner_is_alone_and_counts_are_exact(
        nt52 in any::<bool>(),
        calls in prop::collection::vec((0..6_usize, 0..THREADS, 0..4_usize, any::<bool>()), 0..80),
    ) {
        let profile = if nt52 { Profile::Nt52 } else { Profile::Documented };
        let (mut kernel, r, threads) = machine::<THREADS>(profile);
        let apcs = threads.map(|t| kernel.create_apc(t, ApcKind::Special));
        let mut account = Account::default();
        for (kind, t, mode, wait) in calls {
            let (id, mode) = (threads[t], MODES[mode]);
            let runs = account.wanted[t].is_none();
            match kind {
                0 if runs => match kernel.acquire_resource(id, r, mode, wait).unwrap() {
                    Acquired::Now => account.take(t, mode)?,
                    Acquired::Blocked => account.wanted[t] = Some(mode),
                    Acquired::Refused => prop_assert!(!wait),
                },
                1 | 2 if runs => {
                    let released = kernel.release_resource(id, r);
                    prop_assert_eq!(released.is_ok(), account.counts[t] > 0);
                    account.counts[t] = account.counts[t].saturating_sub(1);
                }
                3 if kernel.grant(id).is_some() => {
                    let mode = account.wanted[t].take().expect("it waited");
                    account.take(t, mode)?;
                }
                4 if runs => {
                    let exclusive = account.exclusive && account.counts[t] > 0;
                    prop_assert_eq!(kernel.convert_resource(id, r).is_ok(), exclusive);
                    if exclusive {
                        account.exclusive = false;
                    }
                }
                5 => {
                    kernel.insert_apc(apcs[t], threads[0]).unwrap();
                    if kernel.begin_delivery(id).is_some() {
                        kernel.kernel_routine_returned(id).unwrap();
                    }
                }
                _ => {}
            }
            for (t, &id) in threads.iter().enumerate() {
                // What was handed over in the kernel the account has only once it is granted.
                if !kernel.satisfied(id) {
                    let count = kernel.resource_acquired_shared(id, r);
                    prop_assert_eq!(count, account.counts[t]);
                    let alone = account.exclusive && count > 0;
                    prop_assert_eq!(kernel.resource_acquired_exclusive(id, r), alone);
                }
            }
            // Nobody is left waiting for a resource that is free.
            let free = account.counts == [0; THREADS];
            let mut waiting = (0..THREADS).filter(|&t| account.wanted[t].is_some()).peekable();
            if free && waiting.peek().is_some() {
                prop_assert!(waiting.any(|t| kernel.grantable(threads[t]).is_some()));
            }
        }
    }
}
