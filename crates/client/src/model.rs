//! The model as a target.

use std::time::{Duration, Instant};

use apclab_model::kernel::{Baseline, BugCheck, Profile};
use apclab_protocol::build::ProgramBuf;
use apclab_protocol::message::{Context, Limits, routines};
use apclab_protocol::program::Program;
use apclab_protocol::verify::{Machine, verify};

use crate::prediction::Prediction;
use crate::target::{Info, RunOptions, RunOutcome, RunResult, Target};
use crate::{TargetError, callers, exploration};

/// What the model is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// For every outcome that the documentation allows, each counted once.
    Exhaustive,
    /// For as many random paths as there are iterations. The counts say nothing about the schedules
    /// of a real kernel.
    Sampling,
}

/// The model. It verifies a program as the driver does before it looks at what the program may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelTarget {
    mode: Mode,
    apc_routines: bool,
    push_locks: bool,
    special_user_apcs: bool,
    baseline: Baseline,
}

impl ModelTarget {
    /// The model, asked in this way.
    pub const fn new(mode: Mode) -> Self {
        Self {
            mode,
            apc_routines: true,
            push_locks: true,
            special_user_apcs: true,
            baseline: Baseline {
                kernel: 0,
                special: 0,
            },
        }
    }

    /// The counters that each lane begins with; zeros by default.
    #[must_use]
    pub const fn with_baseline(mut self, baseline: Baseline) -> Self {
        self.baseline = baseline;
        self
    }

    /// Whether the kernel offers `KeInitializeApc` and `KeInsertQueueApc`; it does by default.
    #[must_use]
    pub const fn with_apc_routines(mut self, offered: bool) -> Self {
        self.apc_routines = offered;
        self
    }

    /// Whether the kernel offers the routines of push locks; it does by default.
    #[must_use]
    pub const fn with_push_locks(mut self, offered: bool) -> Self {
        self.push_locks = offered;
        self
    }

    /// Whether user mode offers `QueueUserAPC2`; it does by default.
    #[must_use]
    pub const fn with_special_user_apcs(mut self, offered: bool) -> Self {
        self.special_user_apcs = offered;
        self
    }

    fn look(self, program: &Program<'_>, options: &RunOptions) -> Result<RunResult, TargetError> {
        let baselines = vec![self.baseline; program.lanes()];
        if self.mode == Mode::Exhaustive {
            let prediction = Prediction::of_parsed(program, &baselines)?;
            let trace = match options.trace_iteration {
                None => Vec::new(),
                Some(number) => exploration::witness_of(program, &baselines, number)?,
            };
            return Ok(RunResult {
                trace,
                histogram: prediction
                    .documented
                    .into_iter()
                    .map(|outcome| (outcome, 1))
                    .collect(),
                exhaustive: true,
                deadlocks: prediction.deadlocks,
                bug_checks: prediction.bug_checks,
                ..RunResult::default()
            });
        }
        let (seed, iterations) = (options.seed, options.iterations);
        let sample = apclab_model::sample(
            program,
            Profile::Documented,
            &baselines,
            seed,
            iterations.into(),
        );
        Ok(RunResult {
            histogram: sample.outcomes.into_iter().collect(),
            iterations,
            timed_out: u32::try_from(sample.deadlocks).unwrap_or(u32::MAX),
            bug_checks: sample.bug_checks.keys().map(BugCheck::to_string).collect(),
            ..RunResult::default()
        })
    }
}

impl Target for ModelTarget {
    fn name(&self) -> &'static str {
        "model"
    }

    fn info(&mut self) -> Result<Info, TargetError> {
        let how = match self.mode {
            Mode::Exhaustive => "all outcomes",
            Mode::Sampling => "random paths",
        };
        Ok(Info {
            description: format!("the model, profile `documented`, {how}"),
            driver: None,
            apc_routines: routines::DEADLOCKS_END
                | if self.apc_routines { routines::APC } else { 0 }
                | if self.push_locks {
                    routines::PUSH_LOCKS
                } else {
                    0
                },
            limits: Limits::BUILT,
            surroundings: None,
        })
    }

    fn run(
        &mut self,
        program: &ProgramBuf,
        options: &RunOptions,
    ) -> Result<RunOutcome, TargetError> {
        let special = callers::queues_special(program);
        let bytes = options.program(program).encode();
        let program = match Program::parse(&bytes) {
            Ok(program) => program,
            Err(malformed) => return Ok(RunOutcome::Malformed(malformed)),
        };
        let machine = Machine {
            apc_routines: self.apc_routines,
            push_locks: self.push_locks,
            ..Machine::COMPLETE
        };
        let verified = match verify(&program, machine) {
            Ok(verified) => verified,
            Err(refusal) => return Ok(RunOutcome::Refused(refusal)),
        };
        if special && !self.special_user_apcs {
            return Ok(RunOutcome::NoSpecialUserApcs);
        }
        let baseline = vec![context(self.baseline); program.lanes()];
        if verified.queues_apcs && self.baseline != Baseline::default() {
            return Ok(RunOutcome::BaselineDisabled(baseline));
        }
        let started = Instant::now();
        let result = self.look(&program, options)?;
        Ok(RunOutcome::Ran(RunResult {
            elapsed: started.elapsed().max(Duration::from_nanos(1)),
            polled: options.polled,
            baseline,
            ..result
        }))
    }
}

/// What a lane with these counters finds when it begins.
const fn context(baseline: Baseline) -> Context {
    Context {
        apcs_disabled: baseline.kernel != 0 || baseline.special != 0,
        all_apcs_disabled: baseline.special != 0,
        irql: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use apclab_protocol::program::{Apc, ApcKind, Observed, Place};
    use apclab_protocol::step::Step;
    use apclab_protocol::verify::Reason;

    /// Lane B queues a special APC to lane A, which looks whether it has run.
    fn race() -> ProgramBuf {
        ProgramBuf {
            apcs: vec![Apc {
                kind: ApcKind::Special,
                lane: 0,
            }],
            observed: vec![Observed::Register {
                lane: 0,
                register: 0,
            }],
            lanes: vec![
                vec![Step::Ran { apc: 0, to: 0 }],
                vec![Step::Queue { apc: 0, to: None }],
            ],
            ..ProgramBuf::default()
        }
    }

    fn run(target: ModelTarget, program: &ProgramBuf, iterations: u32) -> RunOutcome {
        let options = RunOptions {
            iterations,
            ..RunOptions::default()
        };
        let mut target = target;
        target.run(program, &options).expect("the model answers")
    }

    #[test]
    fn all_outcomes_or_as_many_as_asked_for() {
        let RunOutcome::Ran(all) = run(ModelTarget::new(Mode::Exhaustive), &race(), 1) else {
            panic!("a good program");
        };
        assert_eq!(all.histogram, [(vec![0], 1), (vec![1], 1)]);
        assert!(all.exhaustive);
        let RunOutcome::Ran(some) = run(ModelTarget::new(Mode::Sampling), &race(), 500) else {
            panic!("a good program");
        };
        assert!(!some.exhaustive);
        assert_eq!(some.histogram.iter().map(|(_, n)| n).sum::<u64>(), 500);
        assert_eq!(some.histogram.len(), 2);
    }

    #[test]
    fn refused_as_the_driver_would() {
        let target = ModelTarget::new(Mode::Exhaustive).with_apc_routines(false);
        let RunOutcome::Refused(refusal) = run(target, &race(), 1) else {
            panic!("there is no routine to queue with");
        };
        assert_eq!((refusal.place, refusal.step), (Place::Lane(1), 0));
        assert_eq!(refusal.reason, Reason::NoApcRoutines);
        let nothing = run(target, &ProgramBuf::default(), 1);
        assert!(matches!(nothing, RunOutcome::Malformed(_)));
    }
}
