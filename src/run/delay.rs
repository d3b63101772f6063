//! Random delays before the steps of a lane, so that the lanes meet in more ways than their speed alone
//! would let them.

use core::hint::spin_loop;

use apclab_protocol::message::RunRequest;

use crate::nt::clock::{self, Ticks};

/// How often a lane looks at the clock at most: a clock that stands still ends no delay.
const READINGS: u32 = 1 << 16;

/// The delays of one lane: the same seed gives the same ones, in the same order.
pub(crate) struct Delays {
    state: u64,
    /// The longest, in ticks of the performance counter; 0 for none.
    longest: u64,
}

impl Delays {
    /// The delays of a lane in a run.
    pub(crate) fn new(request: &RunRequest, lane: usize) -> Self {
        let longest = u64::from(request.delay_us).saturating_mul(clock::frequency()) / 1_000_000;
        let lane = u64::try_from(lane).unwrap_or(u64::MAX);
        Self {
            state: request
                .seed
                .wrapping_add(lane.wrapping_mul(0xD1B5_4A32_D192_ED03)),
            longest,
        }
    }

    /// The next number of the sequence (SplitMix64).
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Spins for a random time up to the longest. Any IRQL.
    pub(crate) fn spin(&mut self) {
        if self.longest == 0 {
            return;
        }
        let ticks = self
            .next()
            .checked_rem(self.longest.saturating_add(1))
            .unwrap_or(0);
        let begun = Ticks::now();
        for _ in 0..READINGS {
            if begun.elapsed() >= ticks {
                break;
            }
            spin_loop();
        }
    }
}
