//! Threads of real lanes against a driver of paper, which executes a few steps in the thread that asks.

#![allow(unsafe_code, reason = "the driver of paper completes requests")]

use std::collections::BTreeMap;
use std::os::windows::io::{AsRawHandle, RawHandle};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};

use apclab_protocol::call::{CallReply, CallRequest, HoldRequest, Registers};
use apclab_protocol::message::{
    Context, Ended, Header, HistogramReply, Reply, RunReply, RunRequest,
};
use apclab_protocol::program::{Apc, ApcKind, LockKind, Observed};
use apclab_protocol::status;
use apclab_protocol::step::{Mode, Step, WaitMode, answer};

use super::threads::SpecialUserApcs;
use super::*;
use crate::session::{Completion, Device, Session};
use crate::target::{RunOptions, RunOutcome, RunResult};
use crate::windows::event::{Event, Reset};
use crate::windows::transfer::Pended;

const MODE: Mode = Mode::Exclusive;

/// A driver of paper. It takes its locks for moments in which nobody is suspended.
struct Paper {
    program: ProgramBuf,
    state: Mutex<State>,
    variable: AtomicI64,
    signaled: AtomicBool,
    halted: AtomicBool,
    lanes: AtomicUsize,
}

#[derive(Default)]
struct State {
    run: Option<Pended>,
    holds: BTreeMap<u8, Pended>,
    /// The events of the requests of completions.
    events: BTreeMap<u8, u64>,
    registers: [Registers; limits::LANES],
}

impl Paper {
    fn new(program: &ProgramBuf) -> Arc<Self> {
        Arc::new(Self {
            program: program.clone(),
            state: Mutex::default(),
            variable: AtomicI64::new(0),
            signaled: AtomicBool::new(false),
            halted: AtomicBool::new(false),
            lanes: AtomicUsize::new(0),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics with it")
    }

    /// Ends the run, unless it has ended.
    fn end(&self, status: i32, timed_out: u32) {
        self.halted.store(true, Ordering::SeqCst);
        let mut state = self.state();
        let Some(run) = state.run.take() else {
            return;
        };
        for (_, hold) in std::mem::take(&mut state.holds) {
            // SAFETY: it was pended, and has no output.
            unsafe { hold.complete(status::CANCELLED, &[]) };
        }
        let mut bytes = [0; RunReply::SIZE];
        let reply = RunReply {
            ended: Ended::Complete,
            iterations: 1,
            timed_out,
            overflow: 0,
            outcomes: 1 - timed_out,
            trace_records: 0,
            trace_lost: 0,
            processors: 1,
            elapsed_100ns: 1,
            baseline: [Context::default(); limits::LANES],
            missed_overlaps: 0,
        };
        reply.encode(&mut bytes).expect("there is room");
        let written = if status::is_error(status) {
            &[]
        } else {
            &bytes[..]
        };
        // SAFETY: it was pended with room for a reply.
        unsafe { run.complete(status, written) };
    }

    /// A run begins; a thread of its own looks after its deadline.
    fn run(self: &Arc<Self>, transfer: &mut Transfer) -> Begun {
        let (input, _) = transfer.buffers();
        let (_, body) = Header::split_exact(input).expect("a request");
        let request = RunRequest::decode(body).expect("in range");
        let callers = self.program.callers.iter().filter(|caller| **caller);
        self.lanes.store(callers.count(), Ordering::SeqCst);
        self.halted.store(false, Ordering::SeqCst);
        self.signaled.store(false, Ordering::SeqCst);
        self.variable.store(0, Ordering::SeqCst);
        self.state().run = Some(transfer.pend());
        let paper = Arc::clone(self);
        std::thread::spawn(move || {
            let deadline = Instant::now() + Duration::from_millis(request.deadline_ms.into());
            while !paper.halted.load(Ordering::SeqCst) {
                if Instant::now() > deadline {
                    paper.end(status::SUCCESS, 1);
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        Begun::Pending
    }

    fn call(&self, transfer: &mut Transfer) -> Begun {
        let (input, output) = transfer.buffers();
        let (_, body) = Header::split_exact(input).expect("a request");
        let CallRequest {
            lane,
            step,
            mut registers,
        } = CallRequest::decode(body).expect("in range");
        let ended = |status, information| {
            Begun::Ended(Completion {
                status,
                information,
            })
        };
        let Some(step) = step else {
            self.state().registers[usize::from(lane)] = registers;
            if self.lanes.fetch_sub(1, Ordering::SeqCst) == 1 {
                self.end(status::SUCCESS, 0);
            }
            return ended(status::SUCCESS, CallReply::SIZE);
        };
        if self.halted.load(Ordering::SeqCst) {
            return ended(status::OUT_OF_SEQUENCE, 0);
        }
        let steps = &self.program.lanes[usize::from(lane)][step as usize..];
        let Step::Call { length } = steps[0] else {
            panic!("{:?} is no call", steps[0]);
        };
        for step in &steps[1..=length as usize] {
            self.step(*step, &mut registers);
        }
        let reply = CallReply {
            halted: self.halted.load(Ordering::SeqCst),
            context: Context::default(),
            registers,
        };
        ended(
            status::SUCCESS,
            reply.encode(output).expect("there is room"),
        )
    }

    fn step(&self, step: Step, registers: &mut Registers) {
        match step {
            Step::WaitAs {
                to,
                milliseconds,
                mode,
                ..
            } => registers[usize::from(to)] = threads::sleep(milliseconds, mode.alertable()),
            Step::Load { to, .. } => {
                registers[usize::from(to)] = self.variable.load(Ordering::SeqCst);
            }
            Step::Store { from, constant, .. } => {
                let from = from.map_or(0, |from| registers[usize::from(from)]);
                self.variable.store(from + constant, Ordering::SeqCst);
            }
            Step::Set { .. } => self.signaled.store(true, Ordering::SeqCst),
            Step::Wait { .. } => {
                while !self.signaled.load(Ordering::SeqCst) && !self.halted.load(Ordering::SeqCst) {
                    threads::sleep(1, false);
                }
            }
            Step::Queue { apc, to: Some(to) } => {
                let held = self.state().holds.remove(&apc);
                registers[usize::from(to)] = held.is_some().into();
                if let Some(hold) = held {
                    // SAFETY: it was pended, and has no output.
                    unsafe { hold.complete(status::SUCCESS, &[]) };
                }
            }
            Step::Ran { apc, to } => {
                let event = self.state().events.get(&apc).copied().unwrap_or(0);
                let event = usize::try_from(event).expect("64 bits");
                let event = Borrowed(std::ptr::with_exposed_provenance_mut(event));
                registers[usize::from(to)] = event::wait(&event, Some(Duration::ZERO)).into();
            }
            other => panic!("{other:?} is not for paper"),
        }
    }
}

/// A handle that another has.
struct Borrowed(RawHandle);

impl AsRawHandle for Borrowed {
    fn as_raw_handle(&self) -> RawHandle {
        self.0
    }
}

impl Driver for Arc<Paper> {
    fn begin(&self, transfer: &mut Transfer, code: u32) -> Begun {
        match code {
            ioctl::RUN => self.run(transfer),
            ioctl::CALL => self.call(transfer),
            ioctl::HOLD => {
                let (input, _) = transfer.buffers();
                let (_, body) = Header::split_exact(input).expect("a request");
                let HoldRequest { apc, event } = HoldRequest::decode(body).expect("in range");
                let mut state = self.state();
                state.events.insert(apc, event);
                state.holds.insert(apc, transfer.pend());
                Begun::Pending
            }
            other => panic!("no lane sends {other:#x}"),
        }
    }

    fn cancel(&self) {
        self.end(status::CANCELLED, 0);
    }
}

impl Device for Arc<Paper> {
    fn ioctl(&self, code: u32, _: &[u8], output: &mut [u8]) -> Result<Completion, TargetError> {
        assert_eq!(code, ioctl::HISTOGRAM);
        let registers = self.state().registers;
        let value = |observed: &Observed| match *observed {
            Observed::Register { lane, register } => {
                registers[usize::from(lane)][usize::from(register)]
            }
            _ => self.variable.load(Ordering::SeqCst),
        };
        let values: Vec<i64> = self.program.observed.iter().map(value).collect();
        let (head, rest) = output.split_at_mut(HistogramReply::SIZE);
        let size = HistogramReply::write_entry(rest, 1, &values).expect("there is room");
        HistogramReply {
            total: 1,
            returned: 1,
            width: u32::try_from(values.len()).expect("few"),
        }
        .encode(head)
        .expect("there is room");
        Ok(Completion {
            status: status::SUCCESS,
            information: HistogramReply::SIZE + size,
        })
    }

    fn ioctl_within(
        &self,
        code: u32,
        _: &[u8],
        _: &mut [u8],
        _: Duration,
    ) -> Result<Completion, TargetError> {
        panic!("the crew sends {code:#x}")
    }
}

fn stop() -> &'static OwnedHandle {
    let event = Event::new(Reset::Manual).expect("an event");
    Box::leak(Box::new(event.into()))
}

/// A program of caller lanes that observes the first registers of its first lane.
fn program(lanes: Vec<Vec<Step>>, registers: u8) -> ProgramBuf {
    ProgramBuf {
        callers: vec![true; lanes.len()],
        lanes,
        observed: (0..registers)
            .map(|register| Observed::Register { lane: 0, register })
            .collect(),
        apcs: [ApcKind::User, ApcKind::Completion, ApcKind::SpecialUser]
            .map(|kind| Apc { kind, lane: 0 })
            .to_vec(),
        locks: vec![LockKind::CriticalSection],
        ..ProgramBuf::default()
    }
}

fn answer_of(
    program: &ProgramBuf,
    iterations: u32,
    stop: &'static OwnedHandle,
) -> Result<RunOutcome, TargetError> {
    let paper = Paper::new(program);
    let session = Session::new(Arc::clone(&paper));
    let mut threads = Threads::new(program, 7, paper, stop)?;
    let options = RunOptions {
        iterations,
        wait_deadline: Duration::from_millis(200),
        ..RunOptions::default()
    };
    session.run_callers(program, &options, &mut threads)
}

fn ran(program: &ProgramBuf, iterations: u32) -> RunResult {
    match answer_of(program, iterations, stop()) {
        Ok(RunOutcome::Ran(result)) => result,
        other => panic!("{other:?}"),
    }
}

/// Runs a program whose outcome is always the same.
fn always(lanes: Vec<Vec<Step>>, outcome: &[i64]) {
    const ITERATIONS: u32 = 20;
    let registers = u8::try_from(outcome.len()).expect("few");
    let result = ran(&program(lanes, registers), ITERATIONS);
    assert_eq!(
        result.histogram,
        [(outcome.to_vec(), u64::from(ITERATIONS))]
    );
    assert_eq!((result.iterations, result.timed_out), (ITERATIONS, 0));
}

fn sleep(milliseconds: u32, alertable: bool, to: u8) -> Step {
    Step::Sleep {
        milliseconds,
        alertable,
        to,
    }
}

const fn queue(apc: u8) -> Step {
    Step::Queue { apc, to: None }
}

/// The steps as one call.
fn call(steps: &[Step]) -> Vec<Step> {
    let length = u32::try_from(steps.len()).expect("few");
    let mut call = vec![Step::Call { length }];
    call.extend(steps);
    call.push(Step::End);
    call
}

const SET: Step = Step::Set { event: 0 };
const WAIT: Step = Step::Wait { event: 0 };
const ENTER: Step = Step::Acquire {
    lock: 0,
    mode: MODE,
};
const LEAVE: Step = Step::Release { lock: 0 };

#[test]
fn user_apcs_run_in_alertable_sleeps() {
    let lane = vec![
        Step::Ran { apc: 0, to: 0 },
        queue(0),
        queue(0),
        sleep(1, false, 1),
        Step::Ran { apc: 0, to: 2 },
        sleep(1000, true, 3),
        Step::Ran { apc: 0, to: 4 },
        sleep(0, true, 5),
        // What is left is gone in the next iteration.
        queue(0),
    ];
    let (none, apc) = (answer::TIMED_OUT, answer::USER_APC);
    always(vec![lane], &[0, none, 0, apc, 2, none]);
}

#[test]
fn another_lane_ends_an_alertable_wait() {
    let wait = Step::WaitAs {
        event: 0,
        to: 0,
        milliseconds: 1000,
        mode: WaitMode::UserAlertable,
    };
    let mut lane = call(&[wait]);
    lane.push(Step::Ran { apc: 0, to: 1 });
    always(vec![lane, vec![queue(0)]], &[answer::USER_APC, 1]);
}

#[test]
fn special_user_apcs_run_without_an_alert_or_are_told() {
    let lane = vec![queue(2), sleep(1, false, 1), Step::Ran { apc: 2, to: 0 }];
    if SpecialUserApcs::find().is_some() {
        always(vec![lane], &[1]);
    } else {
        let missing = "a caller lane has no routine QueueUserAPC2".to_owned();
        let answer = answer_of(&program(vec![lane], 1), 3, stop());
        assert_eq!(answer, Err(TargetError::Failed(missing)));
    }
}

#[test]
fn threads_are_suspended_as_often_as_they_are_resumed() {
    let suspend = |to| Step::Suspend {
        lane: 1,
        to: Some(to),
    };
    let resume = |to| Step::Resume {
        lane: 1,
        to: Some(to),
    };
    let mut lane = call(&[WAIT]);
    lane.extend([suspend(0), suspend(1), sleep(5, false, 5)]);
    // It does not store while it is suspended.
    lane.extend(call(&[Step::Load { variable: 0, to: 6 }]));
    lane.extend([resume(2), resume(3), resume(4)]);
    let mut other = call(&[SET]);
    other.extend([sleep(1000, false, 0)]);
    other.extend(call(&[Step::Store {
        variable: 0,
        from: None,
        constant: 9,
    }]));
    let result = ran(&program(vec![lane, other], 7), 1);
    let outcome = vec![0, 1, 2, 1, 0, answer::TIMED_OUT, 0];
    assert_eq!(result.histogram, [(outcome, 1)]);
}

#[test]
fn a_lane_that_stays_suspended_is_a_run_that_does_not_end() {
    let lane = vec![
        ENTER,
        Step::Suspend { lane: 0, to: None },
        LEAVE,
        sleep(0, false, 0),
    ];
    let mut other = vec![sleep(20, false, 0), ENTER];
    other.extend(call(&[SET]));
    other.push(LEAVE);
    let program = program(vec![lane, other], 1);
    let result = ran(&program, 3);
    assert_eq!((result.iterations, result.timed_out), (3, 3));
    assert_eq!(result.histogram, []);
    // A lane that is at its end is suspended all the same.
    let mut behind = call(&[WAIT]);
    behind.extend([sleep(50, false, 0), Step::Suspend { lane: 0, to: None }]);
    let lanes = vec![call(&[SET]), behind];
    let result = ran(&self::program(lanes, 1), 2);
    assert_eq!((result.iterations, result.timed_out), (2, 2));
}

#[test]
fn critical_sections_exclude_and_recur() {
    let add = [
        Step::Load { variable: 0, to: 1 },
        Step::Store {
            variable: 0,
            from: Some(1),
            constant: 1,
        },
    ];
    let mut inner = vec![
        ENTER,
        Step::Try {
            lock: 0,
            mode: MODE,
            to: 0,
            milliseconds: 0,
            length: 5,
        },
    ];
    inner.extend(call(&add));
    inner.extend([LEAVE, Step::End, LEAVE]);
    let mut lane = vec![Step::Repeat {
        count: 200,
        length: u32::try_from(inner.len()).expect("few"),
    }];
    lane.extend(inner);
    lane.push(Step::End);
    let mut program = program(vec![lane; 3], 1);
    program.observed.push(Observed::Variable(0));
    let result = ran(&program, 5);
    assert_eq!(result.histogram, [(vec![1, 600], 5)]);
}

#[test]
fn held_requests_complete_in_the_program_or_at_its_end() {
    let queue = |to| Step::Queue {
        apc: 1,
        to: Some(to),
    };
    let ran = |to| Step::Ran { apc: 1, to };
    let mut lane = vec![Step::Start { apc: 1 }];
    lane.extend(call(&[ran(0), queue(1), ran(2), queue(3)]));
    always(vec![lane], &[0, 1, 1, 0]);
    always(vec![vec![Step::Start { apc: 1 }]], &[0]);
}

#[test]
fn a_user_who_wants_to_stop_stops_the_lanes() {
    let lane = vec![
        Step::Repeat {
            count: 10_000,
            length: 1,
        },
        sleep(100, false, 0),
        Step::End,
    ];
    let stop = stop();
    let user = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(100));
        // SAFETY: the event lives as long as the process.
        unsafe { windows_sys::Win32::System::Threading::SetEvent(stop.as_raw_handle()) };
    });
    let started = Instant::now();
    let mut other = call(&[WAIT]);
    other.push(Step::Suspend { lane: 1, to: None });
    let answer = answer_of(&program(vec![lane, other], 1), 1, stop);
    assert_eq!(answer, Err(TargetError::Interrupted));
    assert!(started.elapsed() < Duration::from_secs(5));
    user.join().expect("no panic");
}
