//! Random programs: how many, and how they went.

use std::cell::RefCell;

use apclab_litmus::{Condition, Expectation, Formula, Names, Quantifier, Test};
use apclab_protocol::build::ProgramBuf;
use apclab_protocol::program::Program;
use apclab_protocol::verify::{Machine, verify};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::compare::Agreement;

/// How many random programs there are, which ones, and with how many schedules.
#[derive(Clone, Copy)]
pub(super) struct Extent {
    pub(super) programs: u32,
    seed: u32,
    pub(super) schedules: u32,
}

impl Extent {
    /// What the environment asks for, or so many.
    pub(super) fn new(programs: u32, schedules: u32) -> Self {
        let number = |name: &str, default| match std::env::var(name) {
            Ok(text) => text.parse().expect("a number"),
            Err(_) => default,
        };
        Self {
            programs: number("APCLAB_AGREEMENT_PROGRAMS", programs),
            seed: number("APCLAB_AGREEMENT_SEED", 1),
            schedules: number("APCLAB_AGREEMENT_SCHEDULES", schedules),
        }
    }

    /// Tries programs until there are enough that both have run, or one of them shows a difference.
    pub(super) fn try_programs(
        self,
        programs: &impl Strategy<Value = ProgramBuf>,
        mut attempt: impl FnMut(&ProgramBuf) -> Result<Agreement, String>,
    ) -> Counts {
        let config = Config {
            cases: self.programs,
            // Most random programs are too large to try every schedule of, or refused.
            max_global_rejects: self.programs.saturating_mul(100),
            failure_persistence: None,
            ..Config::default()
        };
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&self.seed.to_le_bytes());
        let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let counts = RefCell::new(Counts::default());
        let attempt = RefCell::new(&mut attempt);
        let ended = TestRunner::new_with_rng(config, random).run(programs, |program| {
            match attempt.borrow_mut()(&program) {
                Ok(Agreement::NotRun) => prop_assume!(false),
                Ok(agreement) => counts.borrow_mut().add(&agreement),
                Err(why) => prop_assert!(false, "{}\n\n{}", why, litmus(program)),
            }
            Ok(())
        });
        let counts = counts.into_inner();
        println!("seed {}: {counts:?}", self.seed);
        if let Err(failure) = ended {
            panic!("seed {}: {failure}", self.seed);
        }
        counts
    }
}

/// How the random programs went.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Those with the same outcomes.
    pub(super) same: u32,
    /// Those among them with more outcomes than one.
    pub(super) several: u32,
    /// Those among them that can hang.
    pub(super) hang: u32,
    /// Those with more schedules than are tried.
    pub(super) within: u32,
}

impl Counts {
    fn add(&mut self, agreement: &Agreement) {
        match *agreement {
            Agreement::Same { outcomes, hangs } => {
                self.same += 1;
                self.several += u32::from(outcomes > 1);
                self.hang += u32::from(hangs);
            }
            Agreement::Within => self.within += 1,
            Agreement::NotRun => {}
        }
    }
}

/// Whether a program runs, and has no more steps than that to order.
pub(super) fn is_small(program: &ProgramBuf, steps: usize) -> bool {
    let bytes = program.encode();
    program.lanes.iter().map(Vec::len).sum::<usize>() <= steps
        && Program::parse(&bytes).is_ok_and(|parsed| verify(&parsed, Machine::COMPLETE).is_ok())
}

/// The program as a litmus test.
pub(super) fn litmus(program: ProgramBuf) -> String {
    let names = |count: usize, first: &str| (0..count).map(|n| format!("{first}{n}")).collect();
    let names = Names {
        lanes: names(program.lanes.len(), "L"),
        variables: names(program.variables.len(), "x"),
        events: names(program.events.len(), "e"),
        apcs: names(program.apcs.len(), "a"),
        locks: names(program.locks.len(), "k"),
    };
    let anything = Expectation::Condition(Condition {
        quantifier: Quantifier::Exists,
        formula: Formula::True,
    });
    Test::from_program("disagreement", program, names, anything).to_text()
}
