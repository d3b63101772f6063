//! How long one iteration of a program with caller lanes may take.

use std::time::Duration;

use apclab_protocol::build::ProgramBuf;
use apclab_protocol::limits;
use apclab_protocol::step::Step;

/// The longest wait deadline that a run with caller lanes may have.
const LONGEST: Duration = Duration::from_millis(limits::CALLER_WAIT_DEADLINE_MS as u64);

/// The deadline of a wait in a program with caller lanes.
pub(crate) fn wait_deadline(asked: Duration) -> Duration {
    asked.min(LONGEST)
}

/// After what time an iteration has not come to its end: the wait deadline, and all the time that the
/// program itself may spend in sleeps and in waits with time-outs of their own.
pub(crate) fn of_iteration(program: &ProgramBuf, wait_deadline: Duration) -> Duration {
    let own = program.lanes.iter().map(|lane| own_time(lane));
    let own = own.fold(0, u64::saturating_add);
    let own = own.min(limits::RUN_DEADLINE_MS.into());
    let longest = Duration::from_millis(limits::RUN_DEADLINE_MS.into());
    (wait_deadline + Duration::from_millis(own)).min(longest)
}

/// The milliseconds that a lane's own time-outs add up to, with every round of every `repeat`.
fn own_time(steps: &[Step]) -> u64 {
    // How often what stands in the innermost block is executed, and the step that ends it.
    let mut blocks: Vec<(u64, usize)> = Vec::new();
    let mut sum = 0_u64;
    for (index, step) in steps.iter().enumerate() {
        while blocks.last().is_some_and(|(_, end)| *end <= index) {
            blocks.pop();
        }
        let rounds = blocks.last().map_or(1, |(rounds, _)| *rounds);
        let milliseconds = match *step {
            Step::Sleep { milliseconds, .. }
            | Step::WaitFor { milliseconds, .. }
            | Step::WaitAs { milliseconds, .. }
            | Step::Try { milliseconds, .. } => milliseconds,
            _ => 0,
        };
        sum = sum.saturating_add(rounds.saturating_mul(milliseconds.into()));
        if let Some(length) = step.block() {
            let count = match *step {
                Step::Repeat { count, .. } => count.into(),
                _ => 1,
            };
            let end = index.saturating_add(length as usize).saturating_add(1);
            blocks.push((rounds.saturating_mul(count), end));
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use apclab_protocol::step::WaitMode;

    #[test]
    fn the_time_of_a_program_is_what_its_lanes_may_spend() {
        let second = Duration::from_secs(1);
        let sleep = |milliseconds| Step::Sleep {
            milliseconds,
            alertable: false,
            to: 0,
        };
        let wait = Step::WaitAs {
            event: 0,
            to: 1,
            milliseconds: 7,
            mode: WaitMode::User,
        };
        let repeat = |count, length| Step::Repeat { count, length };
        let lane = vec![
            sleep(1),
            repeat(10, 6),
            sleep(20),
            Step::Call { length: 3 },
            repeat(5, 1),
            wait,
            Step::End,
            Step::End,
            Step::End,
            sleep(300),
        ];
        // 1 + 10 · (20 + 5 · 7) + 300
        assert_eq!(own_time(&lane), 851);
        let mut program = ProgramBuf {
            lanes: vec![lane.clone(), vec![sleep(9)]],
            ..ProgramBuf::default()
        };
        let patience = of_iteration(&program, second);
        assert_eq!(patience, Duration::from_millis(1860));
        program
            .lanes
            .push(vec![repeat(10_000, 1), sleep(1000), Step::End]);
        let longest = Duration::from_millis(limits::RUN_DEADLINE_MS.into());
        assert_eq!(of_iteration(&program, second), longest);
        assert_eq!(wait_deadline(second), second);
        assert_eq!(wait_deadline(second * 9), second * 2);
    }
}
