//! How fast the explorer is on tests that grow with lanes and rounds. It measures and asserts nothing.
//!
//! `cargo bench -p apclab-model -- [lanes] [rounds] [threads]`

use std::num::NonZeroUsize;
use std::time::Instant;

use apclab_model::explore::{Options, Reductions, search};
use apclab_model::kernel::Profile;
use apclab_model::program::State;
use apclab_protocol::build::ProgramBuf;
use apclab_protocol::program::{LockKind, Observed, Program};
use apclab_protocol::step::Step;

/// Each lane enters a region, acquires a fast mutex, loads and stores, releases, leaves.
fn bump(lanes: usize, rounds: u32) -> ProgramBuf {
    let round = [
        Step::EnterCritical,
        Step::Acquire { lock: 0 },
        Step::Load { variable: 0, to: 0 },
        Step::Store {
            variable: 0,
            from: Some(0),
            constant: 1,
        },
        Step::Release { lock: 0 },
        Step::LeaveCritical,
    ];
    let length = u32::try_from(round.len()).expect("a round is short");
    let mut lane = vec![Step::Repeat {
        count: rounds,
        length,
    }];
    lane.extend(round);
    lane.push(Step::End);
    ProgramBuf {
        variables: vec![0],
        locks: vec![LockKind::FastMutex],
        observed: vec![Observed::Variable(0)],
        lanes: vec![lane; lanes],
        ..ProgramBuf::default()
    }
}

fn main() {
    let numbers = std::env::args().filter_map(|argument| argument.parse::<u32>().ok());
    let numbers: Vec<_> = numbers.collect();
    let [lanes, rounds, threads] = match numbers[..] {
        [lanes, rounds, threads] => [lanes, rounds, threads],
        [lanes, rounds] => [lanes, rounds, 1],
        _ => [3, 3, 1],
    };
    let bytes = bump(lanes as usize, rounds).encode();
    let program = Program::parse(&bytes).expect("the program is well formed");
    let initial = State::initial(&program, Profile::Documented, &[]);
    let options = Options {
        threads: NonZeroUsize::new(threads as usize).unwrap_or(NonZeroUsize::MIN),
        bytes: 16 << 30,
        reductions: if std::env::var_os("REDUCE").is_some() {
            Reductions::ALL
        } else {
            Reductions::NONE
        },
        witnesses: std::env::var_os("WITNESSES").is_some(),
        ..Options::default()
    };
    let (start, mut most) = (Instant::now(), 0);
    let found = search(&initial, &program, &options, &mut |progress| {
        most = most.max(progress.bytes);
    });
    let seconds = start.elapsed().as_secs_f64();
    let found = found.expect("within the limits");
    #[allow(clippy::cast_precision_loss, reason = "figures for people")]
    let rate = found.states as f64 / seconds / 1e6;
    println!(
        "{lanes} lanes, {rounds} rounds, {threads} threads: {:?}, {} deadlocks, {} states, {} transitions, \
         {seconds:.3} s, {rate:.2} million states/s, {} MiB",
        found.outcomes,
        found.deadlocks,
        found.states,
        found.transitions,
        most >> 20
    );
}
