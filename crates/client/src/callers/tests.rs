//! Lanes against a user of paper, which notes what is asked of it and stops where it is told to.

use apclab_protocol::limits;
use apclab_protocol::program::{Apc, ApcKind};
use apclab_protocol::step::Mode;
use proptest::prelude::*;

use super::*;

/// A lane before it is steps: blocks as blocks.
#[derive(Clone, Debug)]
enum Piece {
    Plain(Step),
    Section(u8, Vec<Self>),
    Try(u8, u8, Vec<Self>),
    Repeat(u32, Vec<Self>),
    Call(u32),
}

const EXCLUSIVE: Mode = Mode::Exclusive;

fn length(steps: &[Step]) -> u32 {
    u32::try_from(steps.len()).expect("few steps")
}

/// The pieces as a lane has them.
fn steps(pieces: &[Piece]) -> Vec<Step> {
    let mut all = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Plain(step) => all.push(*step),
            Piece::Section(lock, inner) => {
                let (lock, mode) = (*lock, EXCLUSIVE);
                all.push(Step::Acquire { lock, mode });
                all.extend(steps(inner));
                all.push(Step::Release { lock });
            }
            Piece::Try(lock, to, inner) => {
                let mut inner = steps(inner);
                inner.push(Step::Release { lock: *lock });
                all.push(Step::Try {
                    lock: *lock,
                    mode: EXCLUSIVE,
                    to: *to,
                    milliseconds: 0,
                    length: length(&inner),
                });
                all.extend(inner);
                all.push(Step::End);
            }
            Piece::Repeat(count, inner) => {
                let inner = steps(inner);
                all.push(Step::Repeat {
                    count: *count,
                    length: length(&inner),
                });
                all.extend(inner);
                all.push(Step::End);
            }
            Piece::Call(length) => {
                all.push(Step::Call { length: *length });
                all.extend(vec![Step::EnterCritical; *length as usize]);
                all.push(Step::End);
            }
        }
    }
    all
}

/// What was asked of the user.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Asked {
    Call(Registers),
    Done(Registers),
    Sleep(u32, bool),
    Queue(u8),
    Ran(u8),
    Start(u8),
    Suspend(u8),
    Resume(u8),
    Enter(u8),
    Try(u8),
    Leave(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    Never,
    /// A call comes back halted.
    Halted,
    /// The iteration is over ahead of a step.
    Over,
    /// Something fails.
    Error,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Failed {
    Told,
    Step(NotOfUserMode),
}

impl From<NotOfUserMode> for Failed {
    fn from(step: NotOfUserMode) -> Self {
        Self::Step(step)
    }
}

/// Answers are a count of what was asked, so that the order shows in the registers.
struct Paper {
    asked: Vec<Asked>,
    stop: Stop,
    /// After so many questions it stops.
    after: usize,
    entered: [u32; limits::LOCKS],
}

impl Paper {
    fn new(stop: Stop, after: usize) -> Self {
        Self {
            asked: Vec::new(),
            stop,
            after,
            entered: [0; limits::LOCKS],
        }
    }

    fn answer(&self) -> u32 {
        u32::try_from(self.asked.len() % 7).expect("small")
    }

    fn ask(&mut self, asked: Asked) -> Result<u32, Failed> {
        let fails = self.stop == Stop::Error && self.asked.len() == self.after;
        self.asked.push(asked);
        if fails {
            return Err(Failed::Told);
        }
        Ok(self.answer())
    }
}

impl User for Paper {
    type Error = Failed;

    fn over(&self) -> bool {
        self.stop == Stop::Over && self.asked.len() >= self.after
    }

    fn call(&mut self, _step: u32, registers: &mut Registers) -> Result<Called, Failed> {
        let halted = self.stop == Stop::Halted && self.asked.len() >= self.after;
        registers[15] += i64::from(self.ask(Asked::Call(*registers))?);
        Ok(if halted { Called::Halted } else { Called::Done })
    }

    fn done(&mut self, registers: &Registers) -> Result<(), Failed> {
        self.ask(Asked::Done(*registers)).map(drop)
    }

    fn sleep(&mut self, milliseconds: u32, alertable: bool) -> Result<i64, Failed> {
        self.ask(Asked::Sleep(milliseconds, alertable))
            .map(i64::from)
    }

    fn queue(&mut self, apc: u8) -> Result<bool, Failed> {
        self.ask(Asked::Queue(apc)).map(|answer| answer % 2 == 0)
    }

    fn ran(&mut self, apc: u8) -> Result<i64, Failed> {
        self.ask(Asked::Ran(apc)).map(i64::from)
    }

    fn start(&mut self, apc: u8) -> Result<(), Failed> {
        self.ask(Asked::Start(apc)).map(drop)
    }

    fn suspend(&mut self, lane: u8) -> Result<u32, Failed> {
        self.ask(Asked::Suspend(lane))
    }

    fn resume(&mut self, lane: u8) -> Result<u32, Failed> {
        self.ask(Asked::Resume(lane))
    }

    fn enter(&mut self, section: u8) -> Result<(), Failed> {
        self.ask(Asked::Enter(section))?;
        self.entered[usize::from(section)] += 1;
        Ok(())
    }

    fn try_enter(&mut self, section: u8) -> Result<bool, Failed> {
        let entered = self.ask(Asked::Try(section))? % 3 != 0;
        self.entered[usize::from(section)] += u32::from(entered);
        Ok(entered)
    }

    fn leave(&mut self, section: u8) -> Result<(), Failed> {
        let depth = &mut self.entered[usize::from(section)];
        assert_ne!(*depth, 0, "what is left has been entered");
        *depth -= 1;
        // A leave that fails has left: what else could be done about it?
        self.ask(Asked::Leave(section)).map(drop)
    }
}

/// What the pieces mean, said without indices and blocks: executed one inside the other.
fn expect(pieces: &[Piece], registers: &mut Registers, user: &mut Paper) -> Result<(), Failed> {
    for piece in pieces {
        match piece {
            Piece::Plain(step) => match *step {
                Step::Sleep {
                    milliseconds,
                    alertable,
                    to,
                } => registers[usize::from(to)] = user.sleep(milliseconds, alertable)?,
                Step::Queue { apc, to } => {
                    let queued = user.queue(apc)?;
                    if let Some(to) = to {
                        registers[usize::from(to)] = queued.into();
                    }
                }
                Step::Ran { apc, to } => registers[usize::from(to)] = user.ran(apc)?,
                Step::Start { apc } => user.start(apc)?,
                Step::Suspend { lane, to } => {
                    let before = user.suspend(lane)?;
                    if let Some(to) = to {
                        registers[usize::from(to)] = before.into();
                    }
                }
                Step::Resume { lane, to } => {
                    let before = user.resume(lane)?;
                    if let Some(to) = to {
                        registers[usize::from(to)] = before.into();
                    }
                }
                other => panic!("{other:?} is not made here"),
            },
            Piece::Section(lock, inner) => {
                user.enter(*lock)?;
                expect(inner, registers, user)?;
                user.leave(*lock)?;
            }
            Piece::Try(lock, to, inner) => {
                let entered = user.try_enter(*lock)?;
                registers[usize::from(*to)] = entered.into();
                if entered {
                    expect(inner, registers, user)?;
                    user.leave(*lock)?;
                }
            }
            Piece::Repeat(count, inner) => {
                for _ in 0..*count {
                    expect(inner, registers, user)?;
                }
            }
            Piece::Call(_) => drop(user.call(0, registers)?),
        }
    }
    Ok(())
}

fn plain() -> impl Strategy<Value = Step> {
    let register = 0_u8..15;
    let maybe = proptest::option::of(register.clone());
    prop_oneof![
        (0_u32..50, any::<bool>(), register.clone()).prop_map(|(milliseconds, alertable, to)| {
            Step::Sleep {
                milliseconds,
                alertable,
                to,
            }
        }),
        (0_u8..4, maybe.clone()).prop_map(|(apc, to)| Step::Queue { apc, to }),
        (0_u8..4, register).prop_map(|(apc, to)| Step::Ran { apc, to }),
        (0_u8..4).prop_map(|apc| Step::Start { apc }),
        (0_u8..6, maybe.clone()).prop_map(|(lane, to)| Step::Suspend { lane, to }),
        (0_u8..6, maybe).prop_map(|(lane, to)| Step::Resume { lane, to }),
    ]
}

fn pieces() -> impl Strategy<Value = Vec<Piece>> {
    let leaf = prop_oneof![
        3 => plain().prop_map(Piece::Plain),
        1 => (0_u32..4).prop_map(Piece::Call),
    ];
    let piece = leaf.prop_recursive(4, 40, 5, |inner| {
        let inner = proptest::collection::vec(inner, 0..5);
        prop_oneof![
            (0_u8..16, inner.clone()).prop_map(|(lock, inner)| Piece::Section(lock, inner)),
            (0_u8..16, 0_u8..15, inner.clone())
                .prop_map(|(lock, to, inner)| Piece::Try(lock, to, inner)),
            (1_u32..4, inner).prop_map(|(count, inner)| Piece::Repeat(count, inner)),
        ]
    });
    proptest::collection::vec(piece, 0..8)
}

proptest! {
    /// A lane that nothing stops does what its blocks say, in their order, and says so once.
    #[test]
    fn blocks_are_executed_one_inside_the_other(pieces in pieces()) {
        let mut user = Paper::new(Stop::Never, 0);
        let executed = Lane::new(steps(&pieces)).execute(&mut user);
        prop_assert_eq!(executed, Ok(()));
        let mut expected = Paper::new(Stop::Never, 0);
        let mut registers = [0; limits::REGISTERS];
        expect(&pieces, &mut registers, &mut expected).expect("nothing fails");
        expected.asked.push(Asked::Done(registers));
        prop_assert_eq!(user.asked, expected.asked);
    }

    /// Wherever a lane is stopped, it leaves what it has entered and says that it is done, once, and
    /// does nothing else any more.
    #[test]
    fn a_lane_that_is_stopped_leaves_and_is_done(
        pieces in pieces(), after in 0_usize..60,
        stop in prop_oneof![Just(Stop::Halted), Just(Stop::Over), Just(Stop::Error)],
    ) {
        let mut lane = Lane::new(steps(&pieces));
        let mut whole = Paper::new(Stop::Never, 0);
        lane.execute(&mut whole).expect("nothing fails");
        let mut user = Paper::new(stop, after);
        let executed = lane.execute(&mut user);
        prop_assert_eq!(user.entered, [0; limits::LOCKS]);
        let (last, before) = user.asked.split_last().expect("done at least");
        prop_assert!(matches!(last, Asked::Done(_)));
        prop_assert!(!before.iter().any(|asked| matches!(asked, Asked::Done(_))));
        let same = user.asked.iter().zip(&whole.asked).take_while(|(a, b)| a == b).count();
        let stopped = match stop {
            Stop::Error => after.saturating_add(1),
            Stop::Over => after,
            // At the first call from there on.
            _ => before
                .iter()
                .enumerate()
                .skip(after)
                .find(|(_, asked)| matches!(asked, Asked::Call(_)))
                .map_or(before.len(), |(at, _)| at + 1),
        };
        prop_assert!(before.iter().skip(stopped).all(|asked| matches!(asked, Asked::Leave(_))));
        prop_assert!(same >= stopped.min(before.len()), "until then it is the same");
        prop_assert_eq!(executed.is_err(), stop == Stop::Error && after < whole.asked.len());
    }
}

#[test]
fn a_step_of_the_kernel_is_not_executed_in_user_mode() {
    let mut user = Paper::new(Stop::Never, 0);
    let (lock, mode) = (3, EXCLUSIVE);
    let lane = vec![Step::Acquire { lock, mode }, Step::EnterCritical];
    let executed = Lane::new(lane).execute(&mut user);
    let error = Failed::Step(NotOfUserMode { step: 1 });
    assert_eq!(executed, Err(error));
    let done = Asked::Done([0; limits::REGISTERS]);
    assert_eq!(user.asked, [Asked::Enter(3), Asked::Leave(3), done]);
    // An end that ends nothing, and a release of what is not the innermost.
    for stray in [Step::End, Step::Release { lock: 4 }] {
        let mut user = Paper::new(Stop::Never, 0);
        let executed = Lane::new(vec![Step::Acquire { lock, mode }, stray]).execute(&mut user);
        assert!(executed.is_err());
        assert_eq!(user.entered, [0; limits::LOCKS]);
    }
}

#[test]
fn what_a_program_needs_is_seen() {
    let mut program = ProgramBuf {
        apcs: vec![
            Apc {
                kind: ApcKind::User,
                lane: 1,
            },
            Apc {
                kind: ApcKind::SpecialUser,
                lane: 1,
            },
        ],
        locks: vec![LockKind::Mutex, LockKind::CriticalSection],
        lanes: vec![vec![], vec![Step::Queue { apc: 0, to: None }]],
        ..ProgramBuf::default()
    };
    assert!(!has_callers(&program) && !is_caller(&program, 1));
    program.callers = vec![false, true];
    assert!(has_callers(&program) && is_caller(&program, 1) && !is_caller(&program, 0));
    assert!(!is_section(&program, 0) && is_section(&program, 1) && !is_section(&program, 2));
    assert!(!queues_special(&program));
    program.lanes[1].push(Step::Queue { apc: 1, to: None });
    assert!(queues_special(&program));
}
