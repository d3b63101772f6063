//! The conversation against a driver of paper: it reads requests with the protocol's own readers
//! and answers what it was told to.

use std::cell::RefCell;

use apclab_protocol::message::{Context, Header, HistogramReply, Limits, PageRequest, routines};
use apclab_protocol::program::{Observed, Program};
use apclab_protocol::step::Step;
use apclab_protocol::trace::{Kind, Record, TraceReply};
use apclab_protocol::{VERSION, limits};
use proptest::prelude::*;

use super::*;

/// What a paper driver answers.
struct Paper {
    version: u16,
    load_status: NtStatus,
    load: LoadReply,
    run_status: NtStatus,
    baseline: [Context; limits::LANES],
    histogram: Vec<(Vec<i64>, u64)>,
    records: Vec<Record>,
    /// Entries in each page at the most.
    page: usize,
    /// Requests so far: code, session.
    seen: RefCell<Vec<(u32, u32)>>,
}

const SESSION: u32 = 7;

impl Paper {
    fn new(histogram: Vec<(Vec<i64>, u64)>) -> Self {
        Self {
            version: VERSION,
            load_status: status::SUCCESS,
            load: LoadReply {
                session: SESSION,
                reason: 0,
                lane: NONE,
                step: NONE,
                offset: NONE,
                observed: 2,
            },
            run_status: status::SUCCESS,
            baseline: [Context::default(); limits::LANES],
            histogram,
            records: Vec::new(),
            page: usize::MAX,
            seen: RefCell::default(),
        }
    }

    fn answer(&self, code: u32, input: &[u8], output: &mut [u8]) -> Result<usize, NtStatus> {
        if input[..2] != self.version.to_le_bytes() {
            return Err(status::REVISION_MISMATCH);
        }
        if self.version != VERSION {
            return Ok(0);
        }
        let (header, body) = Header::split(input)?;
        self.seen.borrow_mut().push((code, header.session));
        match code {
            ioctl::QUERY => QueryReply {
                dispatch: Context::default(),
                driver: [0, 1, 0],
                routines: routines::APC,
                kernel: [10, 0, 19041],
                processors: 4,
                sessions: 0,
                limits: Limits::BUILT,
            }
            .encode(output),
            ioctl::LOAD => {
                assert!(Program::parse(body).is_ok(), "the program arrives whole");
                self.load.encode(output)
            }
            ioctl::RUN => {
                let (_, body) = Header::split_exact(input)?;
                let request = RunRequest::decode(body)?;
                RunReply {
                    ended: Ended::Complete,
                    iterations: request.iterations,
                    timed_out: 3,
                    overflow: 0,
                    outcomes: u32::try_from(self.histogram.len()).expect("few"),
                    trace_records: u32::try_from(self.records.len()).expect("few"),
                    trace_lost: 0,
                    processors: 4,
                    elapsed_100ns: 25,
                    baseline: self.baseline,
                    missed_overlaps: 2,
                }
                .encode(output)
            }
            ioctl::HISTOGRAM => {
                let (_, body) = Header::split_exact(input)?;
                let first = PageRequest::decode(body)?.first as usize;
                let (head, mut rest) = output.split_at_mut(HistogramReply::SIZE);
                let mut returned = 0;
                let mut written = HistogramReply::SIZE;
                for (values, count) in self.histogram.iter().skip(first).take(self.page) {
                    let Some(size) = HistogramReply::write_entry(rest, *count, values) else {
                        break;
                    };
                    rest = &mut rest[size..];
                    written += size;
                    returned += 1;
                }
                HistogramReply {
                    total: u32::try_from(self.histogram.len()).expect("few"),
                    returned,
                    width: 2,
                }
                .encode(head)?;
                Ok(written)
            }
            ioctl::TRACE => {
                let (_, body) = Header::split_exact(input)?;
                let first = PageRequest::decode(body)?.first as usize;
                let page: Vec<_> = self.records.iter().skip(first).take(self.page).collect();
                TraceReply {
                    total: u32::try_from(self.records.len()).expect("few"),
                    returned: u32::try_from(page.len()).expect("few"),
                    frequency: 10_000_000,
                }
                .encode(output)?;
                let mut written = TraceReply::SIZE;
                for record in page {
                    written += record.encode(&mut output[written..])?;
                }
                Ok(written)
            }
            _ => Err(status::UNKNOWN_CODE),
        }
    }
}

impl Device for Paper {
    fn ioctl(&self, code: u32, input: &[u8], output: &mut [u8]) -> Result<Completion, TargetError> {
        let answer = match code {
            ioctl::RUN if status::is_error(self.run_status) => Err(self.run_status),
            _ => self.answer(code, input, output),
        };
        Ok(match answer {
            Ok(information) => Completion {
                status: match code {
                    ioctl::LOAD => self.load_status,
                    ioctl::RUN => self.run_status,
                    _ => status::SUCCESS,
                },
                information,
            },
            Err(status) => Completion {
                status,
                information: 0,
            },
        })
    }

    fn ioctl_within(
        &self,
        code: u32,
        input: &[u8],
        output: &mut [u8],
        _within: Duration,
    ) -> Result<Completion, TargetError> {
        self.ioctl(code, input, output)
    }
}

fn program() -> ProgramBuf {
    let observed = |register| Observed::Register { lane: 0, register };
    ProgramBuf {
        observed: vec![observed(0), observed(1)],
        lanes: vec![vec![Step::Irql { to: 0 }, Step::ApcsDisabled { to: 1 }]],
        ..ProgramBuf::default()
    }
}

fn run(paper: Paper) -> (Result<RunOutcome, TargetError>, Vec<(u32, u32)>) {
    let mut session = Session::new(paper);
    let answer = session.run(&program(), &RunOptions::default());
    (answer, session.into_device().seen.into_inner())
}

proptest! {
    /// However the driver cuts its pages, the histogram arrives whole and sorted.
    #[test]
    fn histograms_survive_paging(
        entries in proptest::collection::vec((any::<[i64; 2]>(), 1_u64..), 0..1500),
        page in 1_usize..40,
    ) {
        let entries: Vec<_> = entries.into_iter().map(|(values, n)| (values.to_vec(), n)).collect();
        let mut paper = Paper::new(entries.clone());
        // One in three drivers fills the client's buffer.
        paper.page = if page % 3 == 0 { usize::MAX } else { page };
        let (answer, _) = run(paper);
        let Ok(RunOutcome::Ran(result)) = answer else {
            panic!("{answer:?}");
        };
        let mut sorted = entries;
        sorted.sort();
        prop_assert_eq!(result.histogram, sorted);
        prop_assert_eq!((result.timed_out, result.baseline.len()), (3, 1));
        prop_assert_eq!(result.elapsed, Duration::from_nanos(2500));
    }
}

#[test]
fn the_session_of_the_load_is_used_from_then_on() {
    let (answer, seen) = run(Paper::new(vec![(vec![0, 1], 5)]));
    assert!(matches!(answer, Ok(RunOutcome::Ran(_))));
    let expected = [
        (ioctl::LOAD, 0),
        (ioctl::RUN, SESSION),
        (ioctl::HISTOGRAM, SESSION),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn traces_are_paged_and_put_in_order() {
    let record = |sequence| Record {
        time: u64::from(sequence) * 10,
        sequence,
        step: 0,
        lane: 0,
        kind: Kind::Step,
        apc: 0xFF,
        context: Context::default(),
        value: 0,
    };
    let mut paper = Paper::new(Vec::new());
    paper.records = [4, 0, 2, 1, 3].map(record).to_vec();
    paper.page = 2;
    let (answer, _) = run(paper);
    let Ok(RunOutcome::Ran(result)) = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(result.trace, [0, 1, 2, 3, 4].map(record));
    assert_eq!(result.trace_frequency, 10_000_000);
}

#[test]
fn refusals_are_read_and_nothing_runs() {
    let mut paper = Paper::new(Vec::new());
    paper.load_status = status::REFUSED;
    paper.load.reason = Reason::NotInnermost as u32;
    (paper.load.lane, paper.load.step) = (Place::Body(2).number(), 5);
    let (answer, seen) = run(paper);
    let refusal = Refusal {
        place: Place::Body(2),
        step: 5,
        reason: Reason::NotInnermost,
    };
    assert_eq!(answer, Ok(RunOutcome::Refused(refusal)));
    assert_eq!(seen, [(ioctl::LOAD, 0)]);

    let mut paper = Paper::new(Vec::new());
    paper.load_status = status::MALFORMED_PROGRAM;
    (paper.load.reason, paper.load.offset) = (1 + Malformation::Index as u32, 48);
    let malformed = Malformed {
        what: Malformation::Index,
        offset: 48,
    };
    assert_eq!(run(paper).0, Ok(RunOutcome::Malformed(malformed)));
}

#[test]
fn a_baseline_that_forbids_the_run_is_no_error() {
    let disabled = Context {
        apcs_disabled: true,
        all_apcs_disabled: false,
        irql: 0,
    };
    let mut paper = Paper::new(Vec::new());
    paper.run_status = status::BASELINE_DISABLED;
    paper.baseline = [disabled; limits::LANES];
    assert_eq!(
        run(paper).0,
        Ok(RunOutcome::BaselineDisabled(vec![disabled]))
    );
}

#[test]
fn replies_that_make_no_sense_are_errors() {
    let mut paper = Paper::new(Vec::new());
    paper.load_status = status::REFUSED;
    paper.load.reason = 9999;
    assert!(matches!(
        run(paper).0,
        Err(TargetError::Reply {
            operation: "load",
            ..
        })
    ));

    let mut paper = Paper::new(Vec::new());
    paper.load.observed = 1;
    assert!(matches!(
        run(paper).0,
        Err(TargetError::Reply {
            operation: "load",
            ..
        })
    ));

    let mut paper = Paper::new(vec![(vec![0, 0], 1)]);
    paper.page = 0;
    assert!(matches!(
        run(paper).0,
        Err(TargetError::Reply {
            operation: "histogram",
            ..
        })
    ));
}

#[test]
fn error_statuses_name_the_request() {
    let mut paper = Paper::new(Vec::new());
    paper.run_status = status::INSUFFICIENT_RESOURCES;
    let expected = TargetError::Ioctl {
        operation: "run",
        status: status::INSUFFICIENT_RESOURCES,
    };
    assert_eq!(run(paper).0, Err(expected));
}

#[test]
fn both_versions_are_told_when_they_differ() {
    let mut paper = Paper::new(Vec::new());
    paper.version = 9;
    let expected = TargetError::Version {
        ours: VERSION,
        theirs: Some(9),
    };
    assert_eq!(Session::new(paper).query(), Err(expected));

    let mut paper = Paper::new(Vec::new());
    paper.version = 9999;
    let unknown = TargetError::Version {
        ours: VERSION,
        theirs: None,
    };
    assert_eq!(Session::new(paper).query(), Err(unknown));
}
