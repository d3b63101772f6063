//! Iterations against a driver and threads of paper.

use std::cell::RefCell;
use std::collections::VecDeque;

use apclab_protocol::message::{Context, HistogramReply, RunRequest};
use apclab_protocol::program::Observed;
use apclab_protocol::step::Step;
use apclab_protocol::{ioctl, limits};

use super::*;

/// A driver whose run has given one outcome, that of the last iteration.
#[derive(Default)]
struct Paper {
    outcome: RefCell<i64>,
}

impl Device for &Paper {
    fn ioctl(
        &self,
        code: u32,
        _input: &[u8],
        output: &mut [u8],
    ) -> Result<Completion, TargetError> {
        assert_eq!(code, ioctl::HISTOGRAM);
        let (head, rest) = output.split_at_mut(HistogramReply::SIZE);
        let size = HistogramReply::write_entry(rest, 1, &[*self.outcome.borrow()]);
        HistogramReply {
            total: 1,
            returned: 1,
            width: 1,
        }
        .encode(head)
        .expect("there is room");
        Ok(Completion {
            status: status::SUCCESS,
            information: HistogramReply::SIZE + size.expect("there is room"),
        })
    }

    fn ioctl_within(
        &self,
        _code: u32,
        _input: &[u8],
        _output: &mut [u8],
        _within: Duration,
    ) -> Result<Completion, TargetError> {
        panic!("the crew sends the run")
    }
}

/// What one iteration is to be like.
#[derive(Clone, Default)]
struct Told {
    status: i32,
    outcome: i64,
    ended_late: bool,
    timed_out: u32,
    helped: bool,
    errors: Vec<TargetError>,
}

/// Threads that do as they are told.
struct Threads<'p> {
    paper: &'p Paper,
    told: VecDeque<Told>,
    asked: Vec<RunRequest>,
}

impl Crew for Threads<'_> {
    fn iterate(
        &mut self,
        iteration: &Iteration<'_>,
        output: &mut [u8],
    ) -> Result<Course, TargetError> {
        let (_, body) = Header::split_exact(iteration.input).expect("a request");
        let asked = RunRequest::decode(body).expect("in range");
        assert!(iteration.within > Duration::from_millis(asked.deadline_ms.into()));
        assert_eq!(iteration.patience.as_millis(), asked.deadline_ms.into());
        self.asked.push(asked);
        let told = self.told.pop_front().unwrap_or_default();
        *self.paper.outcome.borrow_mut() = told.outcome;
        let reply = RunReply {
            ended: if told.ended_late {
                Ended::Deadline
            } else {
                Ended::Complete
            },
            iterations: u32::from(!told.ended_late),
            timed_out: told.timed_out,
            overflow: 0,
            outcomes: u32::from(told.timed_out == 0 && !told.ended_late),
            trace_records: 0,
            trace_lost: 0,
            processors: 4,
            elapsed_100ns: 1,
            baseline: [Context::default(); limits::LANES],
            missed_overlaps: 0,
        };
        let information = if status::is_error(told.status) {
            0
        } else {
            reply.encode(output).expect("there is room")
        };
        Ok(Course {
            completion: Completion {
                status: told.status,
                information,
            },
            helped: told.helped,
            errors: told.errors,
        })
    }
}

fn program() -> ProgramBuf {
    ProgramBuf {
        observed: vec![Observed::Register {
            lane: 0,
            register: 0,
        }],
        lanes: vec![vec![Step::Sleep {
            milliseconds: 500,
            alertable: true,
            to: 0,
        }]],
        callers: vec![true],
        ..ProgramBuf::default()
    }
}

fn run(told: Vec<Told>) -> (Result<RunOutcome, TargetError>, Vec<RunRequest>) {
    let paper = Paper::default();
    let iterations = u32::try_from(told.len()).expect("few");
    let mut threads = Threads {
        paper: &paper,
        told: told.into(),
        asked: Vec::new(),
    };
    let options = RunOptions {
        iterations,
        seed: 40,
        wait_deadline: Duration::from_secs(5),
        trace_iteration: Some(2),
        ..RunOptions::default()
    };
    let answer = Session::new(&paper).run_callers(&program(), &options, &mut threads);
    (answer, threads.asked)
}

fn failed(status: i32) -> TargetError {
    TargetError::Ioctl {
        operation: "call",
        status,
    }
}

#[test]
fn each_iteration_is_a_request_of_its_own() {
    let outcome = |outcome| Told {
        outcome,
        ..Told::default()
    };
    let (answer, asked) = run(vec![outcome(3), outcome(4), outcome(3)]);
    let Ok(RunOutcome::Ran(result)) = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(result.histogram, [(vec![3], 2), (vec![4], 1)]);
    assert_eq!((result.iterations, result.timed_out), (3, 0));
    let seeds: Vec<_> = asked.iter().map(|request| request.seed).collect();
    assert_eq!(seeds, [41, 42, 43]);
    let traced: Vec<_> = asked
        .iter()
        .map(|request| request.trace_iteration)
        .collect();
    assert_eq!(traced, [0, 1, 0]);
    for request in asked {
        assert_eq!((request.iterations, request.wait_deadline_ms), (1, 2000));
        assert_eq!(request.deadline_ms, 2500, "with the time of the sleep");
    }
}

#[test]
fn iterations_that_do_not_end_are_counted() {
    let late = Told {
        ended_late: true,
        // What its lanes are told then.
        errors: vec![failed(status::OUT_OF_SEQUENCE), failed(status::CANCELLED)],
        ..Told::default()
    };
    let timed_out = Told {
        timed_out: 1,
        helped: true,
        ..Told::default()
    };
    let helped = Told {
        outcome: 7,
        helped: true,
        ..Told::default()
    };
    let (answer, _) = run(vec![late, timed_out, helped, Told::default()]);
    let Ok(RunOutcome::Ran(result)) = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(result.histogram, [(vec![0], 1)]);
    assert_eq!((result.iterations, result.timed_out), (4, 3));
    assert!(!result.cut_short);
}

#[test]
fn what_fails_in_a_lane_is_what_is_told() {
    let missing = TargetError::Failed("no such routine".to_owned());
    let late = Told {
        timed_out: 1,
        errors: vec![failed(status::OUT_OF_SEQUENCE), missing.clone()],
        ..Told::default()
    };
    assert_eq!(run(vec![late]).0, Err(missing));
    // In an iteration that has come to its end nobody is told that it is over.
    let early = Told {
        errors: vec![failed(status::OUT_OF_SEQUENCE)],
        ..Told::default()
    };
    assert_eq!(run(vec![early]).0, Err(failed(status::OUT_OF_SEQUENCE)));
    let cancelled = Told {
        status: status::CANCELLED,
        errors: vec![failed(status::CANCELLED)],
        ..Told::default()
    };
    let expected = TargetError::Ioctl {
        operation: "run",
        status: status::CANCELLED,
    };
    assert_eq!(run(vec![cancelled]).0, Err(expected));
    let disabled = Told {
        status: status::BASELINE_DISABLED,
        ..Told::default()
    };
    let expected = RunOutcome::BaselineDisabled(vec![Context::default()]);
    assert_eq!(run(vec![disabled]).0, Ok(expected));
}

#[test]
fn requests_of_lanes_have_head_and_body() {
    let registers = std::array::from_fn(|r| i64::try_from(r).expect("small") - 3);
    let bytes = call_request(7, 2, Some(9), &registers);
    let (header, body) = Header::split_exact(&bytes).expect("a request");
    let call = CallRequest::decode(body).expect("in range");
    let step = Some(9);
    assert_eq!(header.session, 7);
    let expected = CallRequest {
        lane: 2,
        step,
        registers,
    };
    assert_eq!(call, expected);
    let bytes = hold_request(7, 3, 0x1234_5678_9ABC);
    let (_, body) = Header::split_exact(&bytes).expect("a request");
    let (apc, event) = (3, 0x1234_5678_9ABC);
    assert_eq!(HoldRequest::decode(body), Ok(HoldRequest { apc, event }));
}
