//! Time in NT's unit: ticks of 100 ns, which is also the unit of the performance counter.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// 1601-01-01 to 1970-01-01 in ticks.
const EPOCH: u64 = 116_444_736_000_000_000;
const TICKS_PER_SECOND: u64 = 10_000_000;

/// A duration in ticks, rounded down.
pub(crate) fn ticks(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos() / 100).unwrap_or(u64::MAX)
}

/// So many ticks as a duration.
pub(crate) fn duration(ticks: u64) -> Duration {
    let rest = Duration::from_nanos(ticks % TICKS_PER_SECOND * 100);
    Duration::from_secs(ticks / TICKS_PER_SECOND) + rest
}

/// The system's time in ticks since 1601.
pub(crate) fn system_time() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    EPOCH + ticks(since.unwrap_or_default())
}

/// The end of an NT time-out, relative when negative, absolute since 1601 when positive, in ticks
/// since a start that was at `epoch`, when it is `now` such ticks later.
pub(crate) fn deadline(timeout: i64, now: u64, epoch: u64) -> u64 {
    if timeout <= 0 {
        now.saturating_add(timeout.unsigned_abs())
    } else {
        timeout.unsigned_abs().saturating_sub(epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn negative_time_outs_are_relative() {
        assert_eq!(deadline(-10, 5, 1000), 15);
        assert_eq!(deadline(0, 5, 1000), 5);
    }

    #[test]
    fn positive_time_outs_are_absolute() {
        assert_eq!(deadline(1, 5, 1000), 0, "before the start");
        assert_eq!(deadline(1020, 5, 1000), 20);
    }

    #[test]
    fn the_longest_time_out_does_not_overflow() {
        assert_eq!(deadline(i64::MIN, u64::MAX, 0), u64::MAX);
        assert_eq!(duration(u64::MAX).as_nanos(), u128::from(u64::MAX) * 100);
    }

    #[test]
    fn the_systems_time_is_of_this_century() {
        let years = system_time() / TICKS_PER_SECOND / 31_557_600 + 1601;
        assert!((2024..2100).contains(&years), "{years}");
    }

    #[test]
    fn ticks_and_durations_are_inverse() {
        let odd = Duration::new(3, 1_000_100);
        assert_eq!(duration(ticks(odd)), odd);
    }
}
