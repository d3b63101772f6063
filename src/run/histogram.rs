//! How often each outcome came out, in memory that does not grow.

use alloc::vec::Vec;

use apclab_protocol::limits;
use apclab_protocol::message::{HistogramReply, Reply};
use apclab_protocol::status::{NtStatus, OUTPUT_TOO_SHORT};

use crate::nt::memory::try_vec;

/// Twice the outcomes, so that a search ends soon. A power of two.
const BUCKETS: usize = (limits::OUTCOMES * 2).next_power_of_two();

/// Outcomes of `width` values each, and their counts.
pub(crate) struct Histogram {
    width: usize,
    values: Vec<i64>,
    counts: Vec<u64>,
    /// For each bucket 1 + the index of an outcome, or 0.
    buckets: Vec<u16>,
    overflow: u32,
}

/// FNV-1a over the values' bytes.
fn hash(values: &[i64]) -> usize {
    let mut hash = 0xCBF2_9CE4_8422_2325_u64;
    for byte in values.iter().flat_map(|value| value.to_le_bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
    }
    #[allow(
        clippy::cast_possible_truncation,
        reason = "a bucket number wants the low bits"
    )]
    let low = (hash ^ (hash >> 32)) as usize;
    low
}

impl Histogram {
    /// An empty histogram with room for [`limits::OUTCOMES`] outcomes.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    pub(crate) fn try_new(width: usize) -> Result<Self, NtStatus> {
        let mut values = Vec::new();
        values
            .try_reserve_exact(width.saturating_mul(limits::OUTCOMES))
            .map_err(|_| apclab_protocol::status::INSUFFICIENT_RESOURCES)?;
        let mut counts = Vec::new();
        counts
            .try_reserve_exact(limits::OUTCOMES)
            .map_err(|_| apclab_protocol::status::INSUFFICIENT_RESOURCES)?;
        Ok(Self {
            width,
            values,
            counts,
            buckets: try_vec(BUCKETS, |_| 0)?,
            overflow: 0,
        })
    }

    fn outcome(&self, index: usize) -> &[i64] {
        let start = index * self.width;
        self.values
            .get(start..start + self.width)
            .unwrap_or_default()
    }

    /// Counts an outcome of exactly `width` values. Does not allocate.
    pub(crate) fn count(&mut self, values: &[i64]) {
        let mut bucket = hash(values) & (BUCKETS - 1);
        loop {
            let Some(&entry) = self.buckets.get(bucket) else {
                return;
            };
            let Some(index) = usize::from(entry).checked_sub(1) else {
                break;
            };
            if self.outcome(index) == values {
                if let Some(count) = self.counts.get_mut(index) {
                    *count += 1;
                }
                return;
            }
            bucket = (bucket + 1) & (BUCKETS - 1);
        }
        let next = self.counts.len();
        if next == limits::OUTCOMES || values.len() != self.width {
            self.overflow = self.overflow.saturating_add(1);
            return;
        }
        if let (Some(entry), Ok(number)) = (self.buckets.get_mut(bucket), u16::try_from(next + 1)) {
            *entry = number;
            // Within the capacity that was reserved.
            self.values.extend_from_slice(values);
            self.counts.push(1);
        }
    }

    /// Different outcomes so far.
    pub(crate) fn len(&self) -> usize {
        self.counts.len()
    }

    /// Iterations whose outcome found no place.
    pub(crate) const fn overflow(&self) -> u32 {
        self.overflow
    }

    /// Writes the outcomes from `first` on, as many as fit; gives the bytes written.
    ///
    /// # Errors
    /// [`OUTPUT_TOO_SHORT`]: not even the head fits.
    pub(crate) fn write(&self, first: u32, output: &mut [u8]) -> Result<usize, NtStatus> {
        let mut returned = 0_u32;
        let (head, mut rest) = output
            .split_at_mut_checked(HistogramReply::SIZE)
            .ok_or(OUTPUT_TOO_SHORT)?;
        let mut written = HistogramReply::SIZE;
        for (index, count) in self.counts.iter().enumerate().skip(first as usize) {
            let Some(bytes) = HistogramReply::write_entry(rest, *count, self.outcome(index)) else {
                break;
            };
            rest = rest.get_mut(bytes..).unwrap_or_default();
            written += bytes;
            returned += 1;
        }
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let reply = HistogramReply {
            total: number(self.len()),
            returned,
            width: number(self.width),
        };
        reply.encode(head)?;
        Ok(written)
    }
}
