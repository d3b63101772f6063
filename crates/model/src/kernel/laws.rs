//! What holds after any sequence of legal calls, checked against a second, plainer account of
//! what has been called.

use proptest::prelude::*;

use super::*;

const THREADS: usize = 3;
const APCS: usize = 6;
const EVENTS: usize = 2;

#[derive(Clone, Copy, Debug)]
enum Call {
    EnterCritical(usize),
    LeaveCritical(usize),
    EnterGuarded(usize),
    LeaveGuarded(usize),
    Raise(usize),
    Lower(usize),
    AcquireFast(usize),
    ReleaseFast(usize),
    AcquireMutex(usize),
    ReleaseMutex(usize),
    Insert { apc: usize, by: usize },
    Begin(usize),
    Return(usize),
    Wait { t: usize, event: usize },
    Set(usize),
    Reset(usize),
    Grant(usize),
    Expire(usize),
}

fn call() -> impl Strategy<Value = Call> {
    let t = 0..THREADS;
    let event = 0..EVENTS;
    prop_oneof![
        2 => t.clone().prop_map(Call::EnterCritical),
        2 => t.clone().prop_map(Call::LeaveCritical),
        2 => t.clone().prop_map(Call::EnterGuarded),
        2 => t.clone().prop_map(Call::LeaveGuarded),
        1 => t.clone().prop_map(Call::Raise),
        1 => t.clone().prop_map(Call::Lower),
        1 => t.clone().prop_map(Call::AcquireFast),
        1 => t.clone().prop_map(Call::ReleaseFast),
        2 => t.clone().prop_map(Call::AcquireMutex),
        2 => t.clone().prop_map(Call::ReleaseMutex),
        6 => (0..APCS, t.clone()).prop_map(|(apc, by)| Call::Insert { apc, by }),
        4 => t.clone().prop_map(Call::Begin),
        4 => t.clone().prop_map(Call::Return),
        1 => (t.clone(), event.clone()).prop_map(|(t, event)| Call::Wait { t, event }),
        1 => event.clone().prop_map(Call::Set),
        1 => event.prop_map(Call::Reset),
        1 => t.clone().prop_map(Call::Grant),
        1 => t.prop_map(Call::Expire),
    ]
}

/// The plain account of one thread.
#[derive(Default)]
struct Account {
    baseline: Baseline,
    critical: i16,
    guarded: i16,
    raised: bool,
    /// Whether it holds its fast or guarded mutex.
    holds: bool,
    /// How often it has acquired its KMUTEX.
    owns: u32,
    /// Inserted APCs in the order of their insertion, whatever their kind.
    inserted: Vec<usize>,
    /// Running APCs and whether the normal routine runs.
    running: Vec<(usize, bool)>,
}

struct Lab {
    kernel: Kernel,
    /// Each thread has a fast or guarded mutex and a KMUTEX of its own.
    fast: Vec<FastMutexId>,
    mutexes: Vec<ObjectId>,
    accounts: Vec<Account>,
    inserts: [u32; APCS],
    deliveries: [u32; APCS],
}

/// Half of the APCs are special; each thread is the target of one of each kind.
fn kind(apc: usize) -> ApcKind {
    if apc < THREADS {
        ApcKind::Special
    } else {
        ApcKind::Normal
    }
}

fn id(index: usize) -> u32 {
    u32::try_from(index).expect("the tables are small")
}

impl Lab {
    fn new(profile: Profile, baselines: [Baseline; THREADS]) -> Self {
        let mut kernel = Kernel::new(profile);
        for event in 0..EVENTS {
            let kind = [EventKind::Notification, EventKind::Synchronization][event % 2];
            kernel.create_event(kind, false);
        }
        let account = |baseline| {
            kernel.create_thread(baseline);
            Account {
                baseline,
                ..Account::default()
            }
        };
        let accounts = baselines.into_iter().map(account).collect();
        for apc in 0..APCS {
            kernel.create_apc(ThreadId(id(apc % THREADS)), kind(apc));
        }
        let kinds = [FastMutexKind::Fast, FastMutexKind::Guarded];
        let fast = (0..THREADS).map(|t| kernel.create_fast_mutex(kinds[t % 2]));
        let fast = fast.collect();
        let mutexes = (0..THREADS).map(|_| kernel.create_mutex()).collect();
        Self {
            kernel,
            fast,
            mutexes,
            accounts,
            inserts: [0; APCS],
            deliveries: [0; APCS],
        }
    }

    /// Makes the call if a thread may make it at this moment.
    fn make(&mut self, call: Call) -> Result<(), TestCaseError> {
        let kernel = &mut self.kernel;
        let thread = |t: usize| ThreadId(id(t));
        // A thread makes calls when it runs and has taken what is forced.
        let free = |kernel: &Kernel, t| !kernel.waiting(thread(t)) && !kernel.forced(thread(t));
        let plain = |kernel: &Kernel, t| free(kernel, t) && kernel.running(thread(t)).is_none();
        match call {
            Call::EnterCritical(t) if plain(kernel, t) => {
                kernel.enter_critical(thread(t)).unwrap();
                self.accounts[t].critical += 1;
            }
            Call::EnterGuarded(t) if plain(kernel, t) => {
                kernel.enter_guarded(thread(t)).unwrap();
                self.accounts[t].guarded += 1;
            }
            Call::LeaveCritical(t) if plain(kernel, t) => {
                let left = kernel.leave_critical(thread(t));
                prop_assert_eq!(left.is_ok(), self.accounts[t].critical > 0);
                self.accounts[t].critical -= i16::from(left.is_ok());
            }
            Call::LeaveGuarded(t) if plain(kernel, t) => {
                let left = kernel.leave_guarded(thread(t));
                prop_assert_eq!(left.is_ok(), self.accounts[t].guarded > 0);
                self.accounts[t].guarded -= i16::from(left.is_ok());
            }
            Call::AcquireFast(t) if plain(kernel, t) && !self.accounts[t].holds => {
                let acquired = kernel.acquire_fast_mutex(thread(t), self.fast[t]).unwrap();
                prop_assert_eq!(acquired, Acquired::Now);
                self.accounts[t].holds = true;
            }
            Call::ReleaseFast(t) if plain(kernel, t) && self.accounts[t].holds => {
                kernel.release_fast_mutex(thread(t), self.fast[t]).unwrap();
                self.accounts[t].holds = false;
            }
            Call::AcquireMutex(t) if plain(kernel, t) => {
                let acquired = kernel.wait(thread(t), &[self.mutexes[t]], false, true);
                prop_assert_eq!(acquired, Ok(Some(0)));
                self.accounts[t].owns += 1;
            }
            Call::ReleaseMutex(t) if plain(kernel, t) => {
                let released = kernel.release_mutex(thread(t), self.mutexes[t]);
                prop_assert_eq!(released.is_ok(), self.accounts[t].owns > 0);
                self.accounts[t].owns -= u32::from(released.is_ok());
            }
            Call::Raise(t) if plain(kernel, t) && !self.accounts[t].holds => {
                kernel.raise_irql(thread(t), APC_LEVEL).unwrap();
                self.accounts[t].raised = true;
            }
            Call::Lower(t) if plain(kernel, t) && !self.accounts[t].holds => {
                kernel.lower_irql(thread(t), PASSIVE_LEVEL).unwrap();
                self.accounts[t].raised = false;
            }
            Call::Insert { apc, by } if free(kernel, by) => {
                let inserted = kernel.insert_apc(ApcId(id(apc)), thread(by)).unwrap();
                let account = &mut self.accounts[apc % THREADS];
                prop_assert_eq!(inserted, !account.inserted.contains(&apc));
                if inserted {
                    account.inserted.push(apc);
                    self.inserts[apc] += 1;
                }
            }
            Call::Begin(t) => {
                let expected = self.accounts[t].deliverable();
                let begun = kernel.begin_delivery(thread(t));
                prop_assert_eq!(begun, expected.map(|apc| (ApcId(id(apc)), kind(apc))));
                if let Some(apc) = expected {
                    self.accounts[t].inserted.retain(|&other| other != apc);
                    self.accounts[t].running.push((apc, false));
                    self.deliveries[apc] += 1;
                }
            }
            Call::Return(t) if free(kernel, t) => match self.accounts[t].running.pop() {
                Some((apc, false)) => {
                    let next = kernel.kernel_routine_returned(thread(t)).unwrap();
                    let special = kind(apc) == ApcKind::Special;
                    prop_assert_eq!(next == Next::Done, special);
                    if !special {
                        self.accounts[t].running.push((apc, true));
                    }
                }
                Some((_, true)) => kernel.normal_routine_returned(thread(t)).unwrap(),
                None => {}
            },
            Call::Wait { t, event } if plain(kernel, t) => {
                kernel
                    .wait(thread(t), &[ObjectId(id(event))], false, true)
                    .unwrap();
            }
            Call::Set(event) => {
                kernel.set_event(ObjectId(id(event)));
            }
            Call::Reset(event) => {
                kernel.reset_event(ObjectId(id(event)));
            }
            Call::Grant(t) => {
                let grantable = kernel.grantable(thread(t));
                prop_assert_eq!(kernel.grant(thread(t)), grantable);
            }
            Call::Expire(t) => {
                let grantable = kernel.grantable(thread(t));
                prop_assert!(grantable.is_none() || !kernel.expire(thread(t)));
            }
            _ => {}
        }
        Ok(())
    }

    fn check(&self) -> Result<(), TestCaseError> {
        for (t, account) in self.accounts.iter().enumerate() {
            let thread = ThreadId(id(t));
            let counters = Baseline {
                kernel: account.kernel(),
                special: account.baseline.special - account.guarded,
            };
            prop_assert_eq!(self.kernel.counters(thread), counters);
            prop_assert_eq!(self.kernel.irql(thread), account.irql());
            let deliverable = account.deliverable().map(|apc| ApcId(id(apc)));
            prop_assert_eq!(self.kernel.deliverable(thread), deliverable);
            prop_assert!(!self.kernel.forced(thread) || deliverable.is_some());
        }
        for apc in 0..APCS {
            let inserted = self.kernel.inserted(ApcId(id(apc)));
            prop_assert_eq!(
                self.inserts[apc],
                self.deliveries[apc] + u32::from(inserted)
            );
        }
        Ok(())
    }
}

impl Account {
    /// A KMUTEX counts once, whatever the recursion.
    fn kernel(&self) -> i16 {
        self.baseline.kernel - self.critical - i16::from(self.owns > 0)
    }

    fn irql(&self) -> u8 {
        let in_kernel_routine = matches!(self.running.last(), Some((_, false)));
        if self.raised || self.holds || in_kernel_routine {
            APC_LEVEL
        } else {
            PASSIVE_LEVEL
        }
    }

    /// The table of docs/semantics.md, section 2, read row by row.
    fn deliverable(&self) -> Option<usize> {
        let special_off = self.baseline.special - self.guarded != 0;
        let kernel_off = self.kernel() != 0;
        let in_special = self
            .running
            .iter()
            .any(|&(apc, _)| kind(apc) == ApcKind::Special);
        let in_normal = self
            .running
            .iter()
            .any(|&(apc, _)| kind(apc) == ApcKind::Normal);
        if special_off || in_special || self.irql() == APC_LEVEL {
            return None;
        }
        let first = |of| self.inserted.iter().copied().find(|&apc| kind(apc) == of);
        if let Some(special) = first(ApcKind::Special) {
            return Some(special);
        }
        if kernel_off || in_normal {
            None
        } else {
            first(ApcKind::Normal)
        }
    }
}

fn baseline() -> impl Strategy<Value = Baseline> {
    let counter = || prop_oneof![4 => Just(0_i16), 1 => Just(-1_i16)];
    (counter(), counter()).prop_map(|(kernel, special)| Baseline { kernel, special })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn counters_queues_and_deliveries_agree_with_the_table(
        nt52 in any::<bool>(),
        baselines in [baseline(), baseline(), baseline()],
        calls in prop::collection::vec(call(), 0..60),
    ) {
        let profile = if nt52 { Profile::Nt52 } else { Profile::Documented };
        let mut lab = Lab::new(profile, baselines);
        for call in calls {
            lab.make(call)?;
            lab.check()?;
        }
    }
}
