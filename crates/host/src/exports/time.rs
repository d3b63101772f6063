//! Time: NT time-outs, and the performance counter.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::dispatch::{Arguments, Export, Fault};
use crate::thread::Thread;

pub(super) const EXPORTS: &[Export] = &[Export::plain(
    "KeQueryPerformanceCounter",
    performance_counter,
)];

/// The frequency of the performance counter: 10 MHz, as on Windows 10.
const FREQUENCY: u64 = 10_000_000;
/// 1601-01-01 to 1970-01-01 in units of 100 ns.
const EPOCH: i128 = 116_444_736_000_000_000;

fn performance_counter(thread: &Thread, arguments: &Arguments) -> Result<u64, Fault> {
    if arguments.word(0) != 0 {
        thread
            .lock()
            .memory
            .write_u64(arguments.word(0), FREQUENCY)?;
    }
    let ticks = thread.machine.started.elapsed().as_nanos() / 100;
    Ok(u64::try_from(ticks).unwrap_or(u64::MAX))
}

/// The end of an NT time-out in units of 100 ns: relative when negative, absolute since 1601 when
/// positive. `None` when it lies beyond what the system's clock can express.
pub(crate) fn deadline(timeout: i64) -> Option<Instant> {
    let now = Instant::now();
    let hundreds = if timeout <= 0 {
        i128::from(timeout).unsigned_abs()
    } else {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let clock = i128::try_from(since.as_nanos() / 100).unwrap_or(i128::MAX) + EPOCH;
        u128::try_from(i128::from(timeout) - clock).unwrap_or(0)
    };
    let seconds = u64::try_from(hundreds / 10_000_000).ok()?;
    let rest = u32::try_from(hundreds % 10_000_000 * 100).ok()?;
    now.checked_add(Duration::new(seconds, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn negative_time_outs_are_relative() {
        let before = Instant::now();
        let end = deadline(-10_000_000).unwrap();
        let distance = end.duration_since(before);
        assert!(distance >= Duration::from_secs(1) && distance < Duration::from_secs(2));
    }

    #[test]
    fn positive_time_outs_are_absolute() {
        assert!(deadline(1).unwrap() <= Instant::now(), "1601 has passed");
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_nanos()
            / 100;
        let soon = i64::try_from(i128::try_from(since).unwrap() + EPOCH).unwrap() + 50_000_000;
        let distance = deadline(soon).unwrap().duration_since(Instant::now());
        assert!(distance > Duration::from_secs(3) && distance <= Duration::from_secs(5));
    }

    #[test]
    fn the_longest_time_out_does_not_overflow() {
        assert!(deadline(i64::MIN).is_none_or(|end| end > Instant::now()));
    }
}
