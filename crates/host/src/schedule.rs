//! Schedules: which thread of a deterministic machine runs next, and how all of them are tried.

/// How the threads of a machine take turns.
///
/// In every mode but [`Schedule::Free`] the machine is deterministic: it has one processor, one
/// thread runs at a time, and time is virtual. A thread goes on until it blocks or comes to a
/// *scheduling point*, which is a call of `KeQueryPerformanceCounter` that asks for the frequency
/// too, below `DISPATCH_LEVEL`. (A call without the frequency just reads the clock.) A driver that
/// reads the clock in this way before each step of a program thus lets every step of every thread
/// be ordered; one that reads it only then adds nothing else to the search.
///
/// At a scheduling point, and wherever a thread blocks, the machine chooses among
///
/// - the threads that stand at a scheduling point: each may go on to its next one;
/// - the APCs that may be delivered now, be it to a thread at a scheduling point or in a wait. One
///   that the kernel forces ([`Kernel::forced`](apclab_model::kernel::Kernel::forced)) keeps its
///   thread from doing anything else;
/// - the threads that wait for a lock which they could have now, where the kernel hands it to
///   nobody;
/// - the waits that may time out: short ones
///   ([`Options::short_timeout`](crate::Options::short_timeout)) at any time, longer ones when
///   nothing else can happen. Virtual time goes on then.
///
/// It does not choose where nothing depends on it: a thread that is new, whose wait has been
/// satisfied, or that begins a request of user mode, runs to its first scheduling point ahead of
/// everything else. So choices begin when the first threads stand at scheduling points, which for
/// a driver that records one iteration of its program are the threads of that iteration.
///
/// In the profile `Documented` it is also chosen who gets a synchronization event or a KMUTEX, and
/// whether a thread that shares a push lock queues where no page says so.
/// `KeAreApcsDisabled` is not chosen where the sources contradict each other: it answers TRUE.
///
/// Only what the driver does is ordered. A request that user mode sends while others run, such as
/// a cancellation, comes when it comes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Schedule {
    /// All threads run at the same time, and the time-outs are real.
    #[default]
    Free,
    /// Each choice is drawn from a generator with this seed.
    Random(u64),
    /// The n-th choice is the n-th number, counted from 0, and 0 after the last one.
    Replay(Vec<u32>),
    /// Probabilistic concurrency testing (Burckhardt and others, ASPLOS 2010): each thread has a
    /// random priority, the first one in it goes on, and at `depth - 1` random choices the first
    /// one becomes the last. An error that needs `depth` events to come in a certain order is found
    /// with a probability of at least one in (threads × choices to the power of `depth - 1`), also
    /// where a thread has to stay behind for long, which [`Schedule::Random`] makes unlikely. APCs
    /// and time-outs have priorities of their own.
    Pct {
        /// The seed of the generator.
        seed: u64,
        /// How many events have to come in a certain order, 1 at least.
        depth: u32,
    },
}

/// A choice that a deterministic machine has made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// How many ways there were, two at least.
    pub alternatives: u32,
    /// Which one was taken, counted from 0.
    pub taken: u32,
}

/// What [`explore_schedules`] has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exploration {
    /// How many schedules were run.
    pub schedules: u64,
    /// Whether these were all.
    pub complete: bool,
}

/// Calls `run` with every schedule, depth first, at most `limit` times. `run` has the machine
/// follow the schedule ([`Host::set_schedule`](crate::Host::set_schedule)), does with it what is
/// to be explored, and gives the choices that were made
/// ([`Host::choices`](crate::Host::choices)). It must do the same each time.
///
/// # Errors
/// The first error of `run`.
pub fn explore_schedules<E>(
    limit: u64,
    mut run: impl FnMut(Schedule) -> Result<Vec<Choice>, E>,
) -> Result<Exploration, E> {
    let mut schedules = 0;
    let mut next = Some(Vec::new());
    while let Some(prefix) = next {
        if schedules == limit {
            return Ok(Exploration {
                schedules,
                complete: false,
            });
        }
        let choices = run(Schedule::Replay(prefix))?;
        schedules += 1;
        next = successor(&choices);
    }
    Ok(Exploration {
        schedules,
        complete: true,
    })
}

/// The choices up to the last one that has another way, which is taken.
fn successor(choices: &[Choice]) -> Option<Vec<u32>> {
    let open = |choice: &Choice| choice.taken + 1 < choice.alternatives;
    let last = choices.iter().rposition(open)?;
    let mut prefix: Vec<_> = choices[..=last].iter().map(|choice| choice.taken).collect();
    prefix[last] += 1;
    Some(prefix)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::convert::Infallible;

    use super::*;

    /// A run with `steps[n]` steps of each thread n: gives the order as a string.
    fn interleave(steps: &[u32], schedule: Schedule) -> (String, Vec<Choice>) {
        let Schedule::Replay(prefix) = schedule else {
            panic!("the exploration replays")
        };
        let mut left = steps.to_vec();
        let (mut order, mut choices) = (String::new(), Vec::new());
        loop {
            let able: Vec<_> = (0..left.len()).filter(|&n| left[n] > 0).collect();
            let taken = match able.len() {
                0 => return (order, choices),
                1 => 0,
                alternatives => {
                    let taken = prefix.get(choices.len()).copied().unwrap_or(0);
                    choices.push(Choice {
                        alternatives: u32::try_from(alternatives).unwrap(),
                        taken,
                    });
                    taken
                }
            };
            let thread = able[taken as usize];
            left[thread] -= 1;
            order.push(char::from(b'A' + u8::try_from(thread).unwrap()));
        }
    }

    fn explore(steps: &[u32], limit: u64) -> (Exploration, BTreeSet<String>) {
        let mut orders = BTreeSet::new();
        let explored = explore_schedules(limit, |schedule| {
            let (order, choices) = interleave(steps, schedule);
            assert!(orders.insert(order), "each order once");
            Ok::<_, Infallible>(choices)
        });
        let Ok(explored) = explored;
        (explored, orders)
    }

    #[test]
    fn every_order_is_tried_once() {
        let (explored, orders) = explore(&[3, 2], u64::MAX);
        let ten = Exploration {
            schedules: 10,
            complete: true,
        };
        assert_eq!((explored, orders.len()), (ten, 10));
        let (explored, _) = explore(&[2, 2, 2], u64::MAX);
        assert_eq!(explored.schedules, 90);
        assert_eq!(explore(&[5], u64::MAX).0.schedules, 1);
    }

    #[test]
    fn a_limit_is_kept_and_told() {
        let (explored, orders) = explore(&[3, 2], 4);
        assert_eq!((explored.complete, orders.len()), (false, 4));
        assert!(explore(&[3, 2], 10).0.complete, "exactly enough");
    }

    #[test]
    fn an_error_ends_the_exploration() {
        let result = explore_schedules(9, |_| Err("no"));
        assert_eq!(result, Err("no"));
    }
}
