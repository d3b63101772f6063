//! How far a search is: a line that changes for a person at a terminal, a line every few seconds where
//! the standard error stream goes elsewhere.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use apclab_client::exploration::Progress;
use indicatif::ProgressBar;

/// How often a line is written where nobody watches.
const EVERY: Duration = Duration::from_secs(5);

/// Shows progress on the standard error stream.
pub(super) struct Shown {
    started: Instant,
    /// When the last line was written.
    last: Instant,
    spinner: Option<ProgressBar>,
}

impl Shown {
    pub(super) fn new() -> Self {
        let terminal = std::io::stderr().is_terminal();
        let now = Instant::now();
        Self {
            started: now,
            last: now,
            spinner: terminal.then(ProgressBar::new_spinner),
        }
    }

    pub(super) fn show(&mut self, progress: Progress) {
        let elapsed = self.started.elapsed();
        if let Some(spinner) = &self.spinner {
            spinner.set_message(line(progress, elapsed));
            spinner.tick();
        } else if self.last.elapsed() >= EVERY {
            self.last = Instant::now();
            // Who has closed the stream does not want to know.
            let _ = writeln!(std::io::stderr(), "{}", line(progress, elapsed));
        }
    }

    pub(super) fn finish(&self) {
        if let Some(spinner) = &self.spinner {
            spinner.finish_and_clear();
        }
    }
}

fn line(progress: Progress, elapsed: Duration) -> String {
    let Progress {
        states,
        frontier,
        level,
        bytes,
        ..
    } = progress;
    format!(
        "{:.0} s: {states} states ({}), {frontier} to do, {level} events deep, {} MiB",
        elapsed.as_secs_f64(),
        rate(states, elapsed),
        bytes >> 20
    )
}

/// States in a second.
#[allow(
    clippy::cast_precision_loss,
    reason = "the digits that a double loses are not shown"
)]
pub(super) fn rate(states: u64, elapsed: Duration) -> String {
    let rate = states as f64 / elapsed.as_secs_f64().max(1e-9);
    if rate >= 1e6 {
        format!("{:.2} million states/s", rate / 1e6)
    } else {
        format!("{rate:.0} states/s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_and_how_fast() {
        let progress = Progress {
            states: 3_000_000,
            transitions: 5_000_000,
            level: 17,
            frontier: 1_000,
            bytes: 64 << 20,
        };
        assert_eq!(
            line(progress, Duration::from_secs(2)),
            "2 s: 3000000 states (1.50 million states/s), 1000 to do, 17 events deep, 64 MiB"
        );
        assert_eq!(rate(500, Duration::from_secs(2)), "250 states/s");
    }
}
