//! Random conversations of threads that mean harm: whatever they send, through whichever handle, and whenever
//! they suspend each other, withdraw a request, close a handle or lose the device, each request is answered,
//! each thread leaves the kernel as it entered it, and nothing stays behind.
//!
//! `APCLAB_CONVERSATIONS` says how many; a good deal more than by default is worth an hour now and then.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use apclab_host::{File, Host, HostError, Pending, UserEvent, UserHandle, UserRef, UserThread};
use apclab_protocol::build::ProgramBuf;
use apclab_protocol::call::{CallReply, CallRequest, HoldRequest};
use apclab_protocol::ioctl;
use apclab_protocol::limits;
use apclab_protocol::message::{LoadReply, PageRequest, Reply, RunReply, RunRequest};
use apclab_protocol::program::{Apc, ApcKind, Program};
use apclab_protocol::status::{self, NtStatus};
use apclab_protocol::step::Step;
use apclab_protocol::verify::{Machine, verify};
use apclab_tests::{Handle, bounds, machine, request, stop};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::{SOON, any_moment, asks, begin, calls, ended};

/// The process of most handles and threads, and another one.
const PROCESSES: [u64; 2] = [1000, 2000];
/// The handles of a conversation: all but the last one of the first process.
const HANDLES: usize = 4;
/// What the I/O manager says to a handle that is closed: STATUS_INVALID_HANDLE.
const INVALID_HANDLE: NtStatus = 0xC000_0008_u32.cast_signed();

/// Which event a HOLD names.
#[derive(Clone, Debug)]
enum Named {
    /// The one that its completion signals.
    Own,
    /// Another one.
    Another,
    /// One whose handle is closed.
    Closed,
    /// None at all.
    Nothing(u64),
}

/// What a thread does next.
#[derive(Clone, Debug)]
enum Move {
    Load {
        fresh: bool,
        change: Option<(Index, u8)>,
    },
    Run {
        iterations: u32,
        deadline_ms: u32,
        wait_deadline_ms: u32,
    },
    /// One call, with so many bytes missing of the input and the output.
    Call {
        lane: u8,
        step: Which,
        register: i64,
        missing: (usize, usize),
    },
    /// All calls of a lane, in their order.
    Lane(u8),
    Hold {
        apc: u8,
        event: Named,
    },
    /// Cancels a request of this thread's that is pending.
    Withdraw(Index),
    /// Cancels all that was sent through the handle.
    WithdrawAll,
    /// Waits for a request of this thread's that is pending.
    Await(Index, u64),
    Cancel,
    Page(u32),
    Bytes(u32, Vec<u8>, usize),
    Close,
    /// Suspends a thread, and resumes it after so many microseconds if that is said.
    Suspend(Index, Option<u64>),
    Resume(Index),
    Queue(Index, bool),
    Terminate(Index),
    Sleep(u32, bool),
}

/// The `call` that is meant.
#[derive(Clone, Debug)]
enum Which {
    Call(Index),
    Any(u32),
    Done,
}

/// One thread: its process, and for each move the handle that it uses.
#[derive(Clone, Debug)]
struct Actor {
    foreign: bool,
    moves: Vec<(usize, Move)>,
}

/// How a conversation ends.
#[derive(Clone, Copy, Debug)]
enum End {
    /// All threads come to their ends.
    Quiet,
    /// The device is pulled out after so many microseconds.
    Removed(u64),
    /// The machine is switched off after so many.
    SwitchedOff(u64),
}

fn named() -> impl Strategy<Value = Named> {
    prop_oneof![
        6 => Just(Named::Own),
        1 => Just(Named::Another),
        1 => Just(Named::Closed),
        1 => prop_oneof![Just(0), Just(u64::MAX), 1_u64..64, any::<u64>()].prop_map(Named::Nothing),
    ]
}

fn step() -> impl Strategy<Value = Which> {
    prop_oneof![
        8 => any::<Index>().prop_map(Which::Call),
        1 => prop_oneof![0_u32..40, any::<u32>()].prop_map(Which::Any),
        1 => Just(Which::Done),
    ]
}

fn any_move() -> impl Strategy<Value = Move> {
    let missing = prop_oneof![
        12 => Just((0, 0)),
        1 => (1_usize..200, Just(0)),
        1 => (Just(0), 1_usize..200),
    ];
    let code = || prop::sample::select(ioctl::ALL.map(|(code, _)| code).to_vec());
    prop_oneof![
        2 => (any::<bool>(), prop::option::weighted(0.3, any::<(Index, u8)>()))
            .prop_map(|(fresh, change)| Move::Load { fresh, change }),
        8 => (prop_oneof![8 => Just(1_u32), 1 => 0_u32..4], 5_u32..60, prop_oneof![8 => 1_u32..20, 1 => 1_u32..4000])
            .prop_map(|(iterations, deadline_ms, wait_deadline_ms)| Move::Run { iterations, deadline_ms, wait_deadline_ms }),
        10 => (prop_oneof![8 => 0_u8..4, 1 => any::<u8>()], step(), any::<i64>(), missing)
            .prop_map(|(lane, step, register, missing)| Move::Call { lane, step, register, missing }),
        6 => (0_u8..4).prop_map(Move::Lane),
        5 => (prop_oneof![8 => 0_u8..3, 1 => any::<u8>()], named())
            .prop_map(|(apc, event)| Move::Hold { apc, event }),
        3 => any::<Index>().prop_map(Move::Withdraw),
        2 => (any::<Index>(), 0_u64..20).prop_map(|(which, ms)| Move::Await(which, ms)),
        3 => Just(Move::Cancel),
        1 => prop::sample::select(vec![ioctl::QUERY, ioctl::HISTOGRAM, ioctl::TRACE]).prop_map(Move::Page),
        1 => (code(), prop::collection::vec(any::<u8>(), 0..200), 0_usize..200)
            .prop_map(|(code, bytes, output)| Move::Bytes(code, bytes, output)),
        1 => Just(Move::Close),
        1 => Just(Move::WithdrawAll),
        1 => any::<Index>().prop_map(Move::Terminate),
        4 => (any::<Index>(), prop::option::weighted(0.8, 0_u64..3000))
            .prop_map(|(who, micros)| Move::Suspend(who, micros)),
        2 => any::<Index>().prop_map(Move::Resume),
        3 => (any::<Index>(), any::<bool>()).prop_map(|(who, special)| Move::Queue(who, special)),
        2 => (0_u32..4, any::<bool>()).prop_map(|(ms, alertable)| Move::Sleep(ms, alertable)),
    ]
}

fn actor() -> impl Strategy<Value = Actor> {
    let moves = prop::collection::vec((0..HANDLES, any_move()), 1..16);
    (prop::bool::weighted(0.15), moves).prop_map(|(foreign, moves)| Actor { foreign, moves })
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        6 => Just(End::Quiet),
        2 => (0_u64..20_000).prop_map(End::Removed),
        1 => (0_u64..20_000).prop_map(End::SwitchedOff),
    ]
}

/// Steps of a call as those of a lane of the driver's.
fn of_kernel(steps: &[Step]) -> Vec<Step> {
    let steps = steps.iter().filter_map(|step| match *step {
        Step::Start { .. } | Step::Call { .. } | Step::End => None,
        Step::WaitAs {
            event,
            to,
            milliseconds,
            ..
        } => Some(Step::WaitFor {
            event,
            to,
            milliseconds,
        }),
        step => Some(step),
    });
    steps.collect()
}

/// Programs of caller lanes, most of them with a lane of the driver's, whose APC completes a request.
fn program() -> impl Strategy<Value = ProgramBuf> {
    let programs = (any_moment::program(), any::<bool>()).prop_map(|(mut program, kernel)| {
        if kernel && let Some(last) = program.lanes.last() {
            let mut steps = of_kernel(last);
            steps.insert(
                0,
                Step::Queue {
                    apc: 2,
                    to: Some(6),
                },
            );
            let lane = u8::try_from(program.lanes.len()).unwrap();
            program.lanes.push(steps);
            program.callers.push(false);
            program.apcs.push(Apc {
                kind: ApcKind::Special,
                lane,
            });
            let completes = Step::Queue {
                apc: 0,
                to: Some(0),
            };
            program.bodies = vec![vec![], vec![], vec![completes]];
        }
        program
    });
    // What is refused is loaded by changed bytes.
    programs.prop_filter("refused", |program| {
        let bytes = program.encode();
        Program::parse(&bytes).is_ok_and(|program| verify(&program, Machine::COMPLETE).is_ok())
    })
}

/// What all threads of a conversation know.
struct World {
    handles: Vec<Handle>,
    program: ProgramBuf,
    /// The last one that was loaded.
    session: AtomicU32,
    users: OnceLock<Vec<UserRef>>,
    /// What should not have been.
    wrong: Mutex<Vec<String>>,
}

/// A thread in a conversation.
struct Talk<'t> {
    world: &'t World,
    user: &'t UserThread<'t>,
    pending: Vec<(Pending, UserEvent)>,
}

/// How far a thread came: the machine may have been switched off.
type Talked<T> = Result<T, HostError>;

/// Nothing comes of what is done to, or by, a thread that has ended.
fn ended_or(result: Talked<()>) -> Talked<()> {
    match result {
        Err(HostError::ThreadEnded) => Ok(()),
        result => result,
    }
}

impl World {
    fn wrong(&self, what: String) {
        self.wrong.lock().unwrap().push(what);
    }

    /// Each status is one of the driver's, or of the I/O manager's, and an error gives no bytes.
    fn look(&self, code: u32, status: NtStatus, written: usize, room: usize) {
        let known = status != status::PENDING
            && (status::name(status).is_some() || status == INVALID_HANDLE);
        if !known || written > room || (status::is_error(status) && written != 0) {
            self.wrong(format!(
                "{code:#x}: {status:#x}, {written} bytes for {room}"
            ));
        }
    }

    fn session(&self) -> u32 {
        self.session.load(Ordering::Relaxed)
    }

    fn user(&self, which: &Index) -> Option<&UserRef> {
        let users = self.users.get()?;
        Some(which.get(users))
    }
}

impl Talk<'_> {
    fn ioctl(&self, file: &File, code: u32, input: &[u8], room: usize) -> Talked<Vec<u8>> {
        let mut output = vec![0xEE; room];
        let completion = self.user.ioctl(file, code, input, &mut output)?;
        let (status, written) = (completion.status, completion.information);
        self.world.look(code, status, written, room);
        output.truncate(written);
        Ok(output)
    }

    /// A request that may stay pending.
    fn start(
        &mut self,
        file: &File,
        code: u32,
        input: &[u8],
        room: usize,
        event: UserEvent,
    ) -> Talked<()> {
        let pending = self.user.start_ioctl(file, code, input, room, &event)?;
        match pending.done()? {
            Some((completion, _)) => {
                self.world
                    .look(code, completion.status, completion.information, room);
            }
            None => self.pending.push((pending, event)),
        }
        Ok(())
    }

    fn call(
        &self,
        file: &File,
        body: &CallRequest,
        missing: (usize, usize),
    ) -> Talked<Option<CallReply>> {
        let input = request(self.world.session(), &body.encode());
        let input = &input[..input.len().saturating_sub(missing.0)];
        let room = CallReply::SIZE.saturating_sub(missing.1);
        Ok(CallReply::decode(&self.ioctl(
            file,
            ioctl::CALL,
            input,
            room,
        )?))
    }

    /// All calls of a lane as a client makes them.
    fn lane(&self, file: &File, lane: u8) -> Talked<()> {
        let mut registers = [0; limits::REGISTERS];
        let steps = self.world.program.lanes.get(usize::from(lane));
        for (index, step) in (0..).zip(steps.into_iter().flatten()) {
            if !matches!(step, Step::Call { .. }) {
                continue;
            }
            let step = Some(index);
            let body = CallRequest {
                lane,
                step,
                registers,
            };
            match self.call(file, &body, (0, 0))? {
                Some(reply) if !reply.halted => registers = reply.registers,
                _ => break,
            }
        }
        let step = None;
        let body = CallRequest {
            lane,
            step,
            registers,
        };
        self.call(file, &body, (0, 0)).map(drop)
    }

    fn hold(&mut self, file: &File, apc: u8, named: &Named) -> Talked<()> {
        let event = self.user.create_event()?;
        let other = self.user.create_event()?;
        let number = match named {
            Named::Own => event.handle(),
            Named::Another | Named::Closed => other.handle(),
            Named::Nothing(number) => *number,
        };
        if let Named::Closed = named {
            drop(other);
        }
        let body = HoldRequest { apc, event: number }.encode();
        let input = request(self.world.session(), &body);
        self.start(file, ioctl::HOLD, &input, 0, event)
    }

    /// The index of a step as a move means it.
    fn step(&self, lane: u8, step: &Which) -> Option<u32> {
        match step {
            Which::Done => None,
            Which::Any(step) => Some(*step),
            Which::Call(which) => {
                let steps = self.world.program.lanes.get(usize::from(lane))?;
                let calls = (0..).zip(steps);
                let calls: Vec<u32> = calls
                    .filter(|(_, step)| matches!(step, Step::Call { .. }))
                    .map(|(index, _)| index)
                    .collect();
                (!calls.is_empty()).then(|| *which.get(&calls))
            }
        }
    }

    fn load(&self, file: &File, fresh: bool, change: Option<&(Index, u8)>) -> Talked<()> {
        let mut bytes = self.world.program.encode();
        if let Some((at, value)) = change {
            let at = at.index(bytes.len());
            bytes[at] = *value;
        }
        let session = if fresh { 0 } else { self.world.session() };
        let input = request(session, &bytes);
        let output = self.ioctl(file, ioctl::LOAD, &input, LoadReply::SIZE)?;
        if let Some(reply) = LoadReply::decode(&output)
            && reply.session != 0
        {
            self.world.session.store(reply.session, Ordering::Relaxed);
        }
        Ok(())
    }

    fn suspend(&self, who: &UserRef, micros: Option<u64>) -> Talked<()> {
        ended_or(self.user.suspend(who).map(drop))?;
        if let Some(micros) = micros {
            std::thread::sleep(Duration::from_micros(micros));
            self.resume(who)?;
        }
        Ok(())
    }

    fn resume(&self, who: &UserRef) -> Talked<()> {
        ended_or(self.user.resume(who).map(drop))
    }

    fn one(&mut self, handle: usize, next: &Move) -> Talked<()> {
        let world = self.world;
        let file = &world.handles[handle].file;
        let session = world.session();
        match next {
            Move::Load { fresh, change } => self.load(file, *fresh, change.as_ref())?,
            Move::Run {
                iterations,
                deadline_ms,
                wait_deadline_ms,
            } => {
                let bounds = RunRequest {
                    iterations: *iterations,
                    deadline_ms: *deadline_ms,
                    wait_deadline_ms: *wait_deadline_ms,
                    ..bounds(1)
                };
                let input = request(session, &bounds.encode());
                let event = self.user.create_event()?;
                self.start(file, ioctl::RUN, &input, RunReply::SIZE, event)?;
            }
            Move::Call {
                lane,
                step,
                register,
                missing,
            } => {
                let body = CallRequest {
                    lane: *lane,
                    step: self.step(*lane, step),
                    registers: [*register; limits::REGISTERS],
                };
                self.call(file, &body, *missing)?;
            }
            Move::Lane(lane) => self.lane(file, *lane)?,
            Move::Hold { apc, event } => self.hold(file, *apc, event)?,
            Move::Withdraw(which) if !self.pending.is_empty() => {
                self.user.cancel(&which.get(&self.pending).0)?;
            }
            Move::Await(which, ms) if !self.pending.is_empty() => {
                let (pending, event) = which.get(&self.pending);
                if self.user.wait(event, Duration::from_millis(*ms))? && pending.done()?.is_none() {
                    world.wrong("an event is signaled ahead of its request".to_owned());
                }
            }
            Move::Withdraw(_) | Move::Await(..) => {}
            Move::Cancel => {
                self.ioctl(file, ioctl::CANCEL, &request(session, &[]), 0)?;
            }
            Move::Page(code) => {
                let input = match *code {
                    ioctl::QUERY => request(0, &[]),
                    _ => request(session, &PageRequest { first: 0 }.encode()),
                };
                self.ioctl(file, *code, &input, 4096)?;
            }
            Move::Bytes(code, bytes, room) => {
                let event = self.user.create_event()?;
                self.start(file, *code, bytes, *room, event)?;
            }
            Move::Close => file.close_handle()?,
            Move::WithdrawAll => self.user.cancel_all(file)?,
            Move::Terminate(who) => {
                if let Some(who) = world.user(who) {
                    // When that has ended nothing has happened.
                    ended_or(self.user.terminate(who))?;
                }
            }
            Move::Suspend(who, micros) => {
                if let Some(who) = world.user(who) {
                    self.suspend(who, *micros)?;
                }
            }
            Move::Resume(who) => {
                if let Some(who) = world.user(who) {
                    self.resume(who)?;
                }
            }
            Move::Queue(who, special) => {
                if let Some(who) = world.user(who) {
                    self.user.queue_apc(who, *special, Arc::new(|| ()))?;
                }
            }
            Move::Sleep(ms, alertable) => drop(self.user.sleep(*ms, *alertable)?),
        }
        Ok(())
    }
}

fn talk(world: &World, user: &UserThread<'_>, moves: &[(usize, Move)]) -> Talked<()> {
    let pending = Vec::new();
    let mut talk = Talk {
        world,
        user,
        pending,
    };
    for (handle, next) in moves {
        talk.one(*handle, next)?;
    }
    Ok(())
}

/// Waits until all threads have ended, and resumes whoever is suspended, after `patience`.
fn until_all_have_ended(host: &Host, users: &[UserHandle], patience: Duration) -> Talked<()> {
    const SLICE: Duration = Duration::from_millis(5);
    let begun = Instant::now();
    for user in users {
        while let Err(error) = user.join(SLICE) {
            if !matches!(error, HostError::NoAnswer(_)) || begun.elapsed() > SOON {
                return Err(error);
            }
            if begun.elapsed() < patience {
                continue;
            }
            for user in users {
                while host.resume(&user.user_ref())? > 1 {}
            }
        }
    }
    Ok(())
}

/// A conversation, with the deadline of the run that has begun before it, if one has; and whether those who
/// stay suspended stay so for longer than the driver waits for them.
fn conversation(
    program: ProgramBuf,
    begun: Option<u32>,
    actors: Vec<Actor>,
    end: End,
    patient: bool,
) {
    let mut host = machine();
    let open = |index| Handle::open_as(&host, PROCESSES[usize::from(index == HANDLES - 1)]);
    let world = Arc::new(World {
        handles: (0..HANDLES).map(open).collect(),
        program,
        session: AtomicU32::new(0),
        users: OnceLock::new(),
        wrong: Mutex::default(),
    });
    let first = &world.handles[0];
    let session = first.load(0, &world.program).unwrap();
    world.session.store(session, Ordering::Relaxed);
    let run = begun.map(|deadline_ms| {
        let bounds = RunRequest {
            deadline_ms,
            wait_deadline_ms: 10,
            ..bounds(1)
        };
        begin(first, session, &bounds)
    });
    let users: Vec<UserHandle> = actors
        .into_iter()
        .map(|Actor { foreign, moves }| {
            let process = if foreign { HANDLES - 1 } else { 0 };
            let shared = Arc::clone(&world);
            let body = move |user: &UserThread<'_>| {
                let talked = talk(&shared, user, &moves);
                // Whoever was terminated stops talking.
                if let Err(error) = ended_or(talked)
                    && !matches!(end, End::SwitchedOff(_))
                {
                    shared.wrong(error.to_string());
                }
            };
            host.spawn_user(&world.handles[process].file, "user", body)
                .unwrap()
        })
        .collect();
    let references = users.iter().map(UserHandle::user_ref).collect();
    assert!(world.users.set(references).is_ok());
    match end {
        End::Quiet => {}
        End::Removed(micros) => {
            std::thread::sleep(Duration::from_micros(micros));
            host.surprise_remove().unwrap();
        }
        End::SwitchedOff(micros) => {
            std::thread::sleep(Duration::from_micros(micros));
            let begun = Instant::now();
            drop(host);
            assert!(begun.elapsed() < Duration::from_secs(1));
            return;
        }
    }
    let patience = Duration::from_millis(if patient { 2500 } else { 20 });
    let joined = until_all_have_ended(&host, &users, patience);
    let wrong = std::mem::take(&mut *world.wrong.lock().unwrap());
    assert!(joined.is_ok() && wrong.is_empty(), "{joined:?} {wrong:?}");
    for handle in &world.handles {
        handle.file.close_handle().unwrap();
    }
    if let Some(run) = run {
        let (completion, _) = run.wait(SOON).unwrap();
        assert!(
            [status::SUCCESS, status::CANCELLED].contains(&completion.status),
            "{:#x}",
            completion.status
        );
    }
    if let End::Quiet = end {
        let handle = Handle::open(&host);
        let session = handle.load(0, &asks()).unwrap();
        let run = begin(&handle, session, &bounds(1));
        let call = calls(&handle, session, 0, Some(0)).unwrap();
        assert_eq!(call.registers[..3], [0, 1, 0]);
        calls(&handle, session, 0, None).unwrap();
        assert_eq!(ended(&run).unwrap().timed_out, 0);
    }
    stop(host);
}

fn cases() -> u32 {
    let number = std::env::var("APCLAB_CONVERSATIONS");
    number.map_or(256, |number| number.parse().expect("a number"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn no_conversation_of_hostile_threads_harms_the_machine(
        program in program(),
        begun in prop::option::weighted(0.8, 5_u32..60),
        actors in prop::collection::vec(actor(), 1..5),
        end in end(),
        patient in prop::bool::weighted(0.02),
    ) {
        conversation(program, begun, actors, end, patient);
    }
}
