//! Histograms and traces, which are read page by page.

use apclab_protocol::ioctl;
use apclab_protocol::message::{HistogramReply, PageRequest, Reply};
use apclab_protocol::trace::{Record, TraceReply};

use super::request::{Request, nonsense};
use super::{Device, Session};
use crate::TargetError;

/// Bytes of one page of a histogram or trace.
const PAGE: usize = 16 * 1024;

impl<D: Device> Session<D> {
    /// One page of a histogram or trace, from entry `first` on.
    fn page<'o, R: Reply>(
        &self,
        (code, operation): (u32, &'static str),
        first: usize,
        output: &'o mut [u8],
    ) -> Result<(R, &'o [u8]), TargetError> {
        let body = PageRequest {
            first: u32::try_from(first).unwrap_or(u32::MAX),
        };
        let request = Request {
            code,
            operation,
            session: self.id,
            body: &body.encode(),
            within: None,
        };
        let (reply, _, rest) = self.ask(&request, output)?;
        Ok((reply, rest))
    }

    pub(super) fn histogram(
        &self,
        width: usize,
        total: u32,
    ) -> Result<Vec<(Vec<i64>, u64)>, TargetError> {
        const OPERATION: &str = "histogram";
        let size = HistogramReply::entry_size(width);
        let mut entries = Vec::new();
        let mut output = vec![0; HistogramReply::SIZE + PAGE];
        while entries.len() < total as usize {
            let (reply, rest): (HistogramReply, _) =
                self.page((ioctl::HISTOGRAM, OPERATION), entries.len(), &mut output)?;
            if reply.total != total || reply.width as usize != width || reply.returned == 0 {
                return nonsense(OPERATION, "its counts contradict the run");
            }
            let mut pieces = rest.chunks_exact(size);
            for _ in 0..reply.returned {
                let mut values = vec![0; width];
                let entry = pieces.next().unwrap_or(&[]);
                match HistogramReply::read_entry(entry, &mut values) {
                    Some(count) => entries.push((values, count)),
                    None => return nonsense(OPERATION, "it has fewer entries than it says"),
                }
            }
        }
        Ok(entries)
    }

    pub(super) fn trace(&self, total: u32) -> Result<(Vec<Record>, u64), TargetError> {
        const OPERATION: &str = "trace";
        let mut records = Vec::new();
        let mut frequency = 0;
        let mut output = vec![0; TraceReply::SIZE + PAGE];
        while records.len() < total as usize {
            let (reply, rest): (TraceReply, _) =
                self.page((ioctl::TRACE, OPERATION), records.len(), &mut output)?;
            if reply.total != total || reply.returned == 0 {
                return nonsense(OPERATION, "its counts contradict the run");
            }
            frequency = reply.frequency;
            let mut pieces = rest.chunks_exact(Record::SIZE);
            for _ in 0..reply.returned {
                match Record::decode(pieces.next().unwrap_or(&[])) {
                    Some(record) => records.push(record),
                    None => return nonsense(OPERATION, "a record of it cannot be read"),
                }
            }
        }
        records.sort_by_key(|record| record.sequence);
        Ok((records, frequency))
    }
}
