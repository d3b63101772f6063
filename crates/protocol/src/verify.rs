//! What may run in ring 0.
//!
//! The verifier trusts nobody: it looks at the bytes that will be executed, on every lane, before
//! anything runs. What it accepts leaves each thread with the counters and the IRQL it began with,
//! also when the run is cancelled at any step.

use crate::limits;
use crate::program::Program;
use crate::step::Step;

/// Why a program is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Reason {
    /// A leave or lower without the enter or raise that it would end.
    NothingToLeave = 100,
    /// A leave or lower that would end another scope than the innermost open one.
    NotInnermost = 101,
    /// The lane ends with a region or an IRQL scope still open.
    LeftOpen = 102,
    /// More regions open at the same time than [`limits::NESTING`].
    TooDeep = 103,
    /// A raise inside a raise.
    RaisedTwice = 104,
    /// A barrier or a wait at APC_LEVEL, where the lane would hold up the APCs that others wait for.
    BlocksAtApcLevel = 105,
    /// The lanes have different numbers of barriers.
    UnequalBarriers = 106,
    /// The program queues APCs, and `KeInitializeApc` or `KeInsertQueueApc` was not found.
    NoApcRoutines = 107,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 8] = [
        Self::NothingToLeave,
        Self::NotInnermost,
        Self::LeftOpen,
        Self::TooDeep,
        Self::RaisedTwice,
        Self::BlocksAtApcLevel,
        Self::UnequalBarriers,
        Self::NoApcRoutines,
    ];

    /// The word by which litmus files and reports name the reason.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NothingToLeave => "nothing-to-leave",
            Self::NotInnermost => "not-innermost",
            Self::LeftOpen => "left-open",
            Self::TooDeep => "too-deep",
            Self::RaisedTwice => "raised-twice",
            Self::BlocksAtApcLevel => "blocks-at-apc-level",
            Self::UnequalBarriers => "unequal-barriers",
            Self::NoApcRoutines => "no-apc-routines",
        }
    }

    /// A sentence for people.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::NothingToLeave => "nothing is open that this step could leave",
            Self::NotInnermost => "this step leaves another scope than the innermost open one",
            Self::LeftOpen => "the lane ends with this scope still open",
            Self::TooDeep => "more than 1024 regions are open here",
            Self::RaisedTwice => "the IRQL is raised already; one raise is as deep as they go",
            Self::BlocksAtApcLevel => "a lane may not wait or meet others at APC_LEVEL",
            Self::UnequalBarriers => "every lane must have the same number of barriers",
            Self::NoApcRoutines => {
                "this kernel does not offer KeInitializeApc and KeInsertQueueApc, so no APC can be queued"
            }
        }
    }

    /// The reason with that number.
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|reason| *reason as u32 == number)
    }

    /// The reason with that [`name`](Self::name).
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }
}

/// A refused program: where, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The lane, counted from 0.
    pub lane: u32,
    /// The step in the lane, counted from 0; the number of steps when its end is at fault.
    pub step: u32,
    /// The rule that it breaks.
    pub reason: Reason,
}

/// What a lane has open.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    Critical,
    Guarded,
    Raise,
}

/// The open scopes of a lane, innermost last, in two bits each: as deep as [`limits::NESTING`] and
/// small enough for the kernel stack.
struct Scopes {
    words: [u32; Self::WORDS],
    depth: usize,
}

impl Scopes {
    const PER_WORD: usize = 16;
    /// One scope more than the regions: the raise.
    const WORDS: usize = limits::NESTING / Self::PER_WORD + 1;

    const fn new() -> Self {
        Self {
            words: [0; Self::WORDS],
            depth: 0,
        }
    }

    fn push(&mut self, scope: Scope) -> bool {
        let Some(word) = self.words.get_mut(self.depth / Self::PER_WORD) else {
            return false;
        };
        let shift = (self.depth % Self::PER_WORD) * 2;
        *word = (*word & !(3 << shift)) | ((scope as u32) << shift);
        self.depth += 1;
        true
    }

    fn pop(&mut self) -> Option<Scope> {
        let top = self.depth.checked_sub(1)?;
        let word = self.words.get(top / Self::PER_WORD)?;
        self.depth = top;
        Some(match (word >> ((top % Self::PER_WORD) * 2)) & 3 {
            0 => Scope::Critical,
            1 => Scope::Guarded,
            _ => Scope::Raise,
        })
    }
}

/// What the verifier knows of a lane while it walks along it.
struct Walk {
    scopes: Scopes,
    regions: usize,
    raised: bool,
    barriers: u32,
    /// The most regions open at the same time so far.
    deepest: usize,
}

impl Walk {
    const fn new() -> Self {
        Self {
            scopes: Scopes::new(),
            regions: 0,
            raised: false,
            barriers: 0,
            deepest: 0,
        }
    }

    fn enter(&mut self, scope: Scope) -> Result<(), Reason> {
        if self.regions == limits::NESTING || !self.scopes.push(scope) {
            return Err(Reason::TooDeep);
        }
        self.regions += 1;
        self.deepest = self.deepest.max(self.regions);
        Ok(())
    }

    fn leave(&mut self, scope: Scope) -> Result<(), Reason> {
        match self.scopes.pop() {
            None => Err(Reason::NothingToLeave),
            Some(open) if open != scope => Err(Reason::NotInnermost),
            Some(_) => Ok(()),
        }
    }

    fn step(&mut self, step: Step) -> Result<(), Reason> {
        match step {
            Step::EnterCritical => self.enter(Scope::Critical),
            Step::EnterGuarded => self.enter(Scope::Guarded),
            Step::LeaveCritical => {
                self.leave(Scope::Critical)?;
                self.regions -= 1;
                Ok(())
            }
            Step::LeaveGuarded => {
                self.leave(Scope::Guarded)?;
                self.regions -= 1;
                Ok(())
            }
            Step::RaiseApc if self.raised => Err(Reason::RaisedTwice),
            Step::RaiseApc => {
                self.raised = true;
                if self.scopes.push(Scope::Raise) {
                    Ok(())
                } else {
                    Err(Reason::TooDeep)
                }
            }
            Step::Lower => {
                self.leave(Scope::Raise)?;
                self.raised = false;
                Ok(())
            }
            Step::Barrier | Step::Wait { .. } if self.raised => Err(Reason::BlocksAtApcLevel),
            Step::Barrier => {
                self.barriers += 1;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// What is known of a program that was accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// The most regions that any lane has open at the same time.
    pub nesting: usize,
    /// Whether any lane queues an APC.
    pub queues_apcs: bool,
}

fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// Decides whether a program may run.
///
/// `apc_routines` says whether the kernel offers `KeInitializeApc` and `KeInsertQueueApc`.
///
/// # Errors
/// [`Refusal`]: the first lane and step that breaks a rule, and the rule.
pub fn verify(program: &Program<'_>, apc_routines: bool) -> Result<Verified, Refusal> {
    let mut verified = Verified::default();
    let mut barriers = None;
    for lane in 0..program.lanes() {
        let refuse = |step: usize, reason| Refusal {
            lane: number(lane),
            step: number(step),
            reason,
        };
        let mut walk = Walk::new();
        for (index, step) in program.lane_steps(lane).enumerate() {
            walk.step(step).map_err(|reason| refuse(index, reason))?;
            if matches!(step, Step::Queue { .. }) {
                if !apc_routines {
                    return Err(refuse(index, Reason::NoApcRoutines));
                }
                verified.queues_apcs = true;
            }
        }
        let end = program.steps(lane);
        if walk.scopes.depth != 0 {
            return Err(refuse(end, Reason::LeftOpen));
        }
        if *barriers.get_or_insert(walk.barriers) != walk.barriers {
            return Err(refuse(end, Reason::UnequalBarriers));
        }
        verified.nesting = verified.nesting.max(walk.deepest);
    }
    Ok(verified)
}
