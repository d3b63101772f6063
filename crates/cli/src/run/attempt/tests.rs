use apclab_client::Info;
use apclab_client::target::Scheduled;
use apclab_protocol::build::ProgramBuf;
use apclab_protocol::program::Place;
use apclab_protocol::verify::{Reason, Refusal};

use super::evidence::SEARCHED;
use super::plan::{BY_DEFAULT, CALLERS, quoted};
use super::*;
use crate::verdict::{Obstacle, Problem, Unjudged};

/// A target whose free lanes give one outcome each time, and which another one needs a seed for.
struct Lanes {
    free: i64,
    /// From which seed on a schedule gives `scheduled`.
    from: u64,
    scheduled: i64,
    /// What was asked for: none for free lanes.
    asked: Vec<Option<String>>,
}

impl Lanes {
    fn new(free: i64, scheduled: i64, from: u64) -> Self {
        Self {
            free,
            from,
            scheduled,
            asked: Vec::new(),
        }
    }

    fn asked(&self) -> Vec<Option<&str>> {
        self.asked.iter().map(Option::as_deref).collect()
    }
}

fn result(value: i64, iterations: u32) -> RunResult {
    RunResult {
        histogram: vec![(vec![value], iterations.into())],
        iterations,
        ..RunResult::default()
    }
}

impl Target for Lanes {
    fn name(&self) -> &'static str {
        "host"
    }

    fn info(&mut self) -> Result<Info, TargetError> {
        Err(TargetError::Failed("nobody asks".to_owned()))
    }

    fn run(&mut self, _: &ProgramBuf, options: &RunOptions) -> Result<RunOutcome, TargetError> {
        self.asked.push(None);
        Ok(RunOutcome::Ran(result(self.free, options.iterations)))
    }

    fn run_scheduled(
        &mut self,
        _: &ProgramBuf,
        options: &RunOptions,
        schedules: &Schedules,
    ) -> Result<RunOutcome, TargetError> {
        self.asked.push(Some(schedules.to_string()));
        let (Schedules::Random(seed) | Schedules::Pct { seed, .. }) = schedules else {
            return Err(TargetError::Failed("no seed".to_owned()));
        };
        if *seed < self.from {
            return Ok(RunOutcome::Ran(result(self.free, options.iterations)));
        }
        let mut result = result(self.scheduled, options.iterations);
        let mut known = Scheduled::default();
        known.first.insert(vec![self.scheduled], schedules.clone());
        result.schedules = Some(known);
        Ok(RunOutcome::Ran(result))
    }
}

const RACE: &str = "test race\n\nvar x\n\nlane A\n  store x 1\n\nlane B\n  load x -> r0\n\n";

fn input(source: &str, condition: &str) -> Input {
    let source = format!("{source}{condition}\n");
    let test = apclab_litmus::parse("the race.litmus", &source).expect("a test");
    Input { test, source }
}

fn plan(on: On) -> Plan {
    Plan {
        options: RunOptions::default(),
        on,
        schedules: None,
        free: false,
        machine: " --on host".to_owned(),
    }
}

fn record<'a>(lanes: &mut Lanes, input: &'a Input, plan: &Plan) -> Record<'a> {
    run(lanes, input, plan).expect("the target answers")
}

#[test]
fn what_free_lanes_do_not_show_is_looked_for_with_schedules() {
    let input = input(RACE, "exists (B:r0 = 1)");
    let mut lanes = Lanes::new(0, 1, 51);
    let record = record(&mut lanes, &input, &plan(On::Host));
    assert_eq!(lanes.asked(), [None, Some("random:1"), Some("pct:51:3")]);
    assert_eq!(record.judgement.verdict, Verdict::Ok);
    let second = Note::SecondAttempt(1000, 100, "pct:51:3".to_owned());
    assert!(record.judgement.notes.contains(&second));
    let result = record.result().expect("a result");
    assert_eq!(result.histogram, [(vec![0], 1050), (vec![1], 50)]);
    let coverage = record.judgement.coverage.expect("a sample");
    assert_eq!(coverage.per_cent(), 100);
}

#[test]
fn what_no_attempt_shows_is_not_observed() {
    let input = input(RACE, "exists (B:r0 = 1)");
    let mut lanes = Lanes::new(0, 1, u64::MAX);
    let unseen = record(&mut lanes, &input, &plan(On::Host));
    assert_eq!(lanes.asked.len(), 1 + ATTEMPTS.len());
    assert_eq!(unseen.judgement.verdict, Verdict::NotObserved);
    // Free lanes that are asked for, and those of a device, are all that there is.
    for plan in [
        plan(On::Device),
        Plan {
            free: true,
            ..plan(On::Host)
        },
    ] {
        let mut lanes = Lanes::new(0, 1, 0);
        let unseen = record(&mut lanes, &input, &plan);
        assert_eq!(lanes.asked(), [None]);
        assert_eq!(unseen.judgement.verdict, Verdict::NotObserved);
    }
}

const MAY: &str =
    "test may\nmay deadlock\n\nvar x\n\nlane A\n  store x 1\n\nlane B\n  load x -> r0\n\n";

#[test]
fn tests_that_may_deadlock_are_scheduled_unless_told_otherwise() {
    let input = input(MAY, "exists (B:r0 = 1)");
    let mut lanes = Lanes::new(0, 1, 0);
    let by_default = record(&mut lanes, &input, &plan(On::Host));
    assert_eq!(lanes.asked(), [Some("random:1")]);
    assert_eq!(
        by_default.result().map(|it| it.iterations),
        Some(BY_DEFAULT)
    );
    let polled = RunOptions {
        polled: true,
        ..RunOptions::default()
    };
    for plan in [
        plan(On::Model),
        Plan {
            free: true,
            ..plan(On::Host)
        },
        Plan {
            options: polled,
            ..plan(On::Host)
        },
    ] {
        let mut lanes = Lanes::new(1, 1, 0);
        record(&mut lanes, &input, &plan);
        assert_eq!(lanes.asked(), [None]);
    }
}

#[test]
fn what_should_not_be_is_traced_and_had_again() {
    let input = input(RACE, "forall (B:r0 = 0)");
    let mut lanes = Lanes::new(1, 1, 0);
    let violated = record(&mut lanes, &input, &plan(On::Host));
    assert_eq!(violated.judgement.problems, [Problem::Violated]);
    let evidence = violated.evidence.as_ref().expect("a schedule shows it");
    assert_eq!(
        (&evidence.outcome, evidence.result.iterations),
        (&vec![1], 1)
    );
    let command =
        "apclab run 'the race.litmus' --on host --schedule random:1 --iterations 1".to_owned();
    let again = Note::Again(vec![(Some(vec![1]), command)]);
    assert!(violated.judgement.notes.contains(&again));

    let mut elsewhere = Lanes::new(1, 0, 0);
    let violated = record(&mut elsewhere, &input, &plan(On::Host));
    assert!(violated.evidence.is_none());
    let none = Note::NoTrace(Some(SEARCHED));
    assert!(violated.judgement.notes.contains(&none));
}

#[test]
fn estimates_and_open_questions_on_a_device_are_reported_and_never_fail() {
    for (tag, why) in [
        ("estimate", Unjudged::Estimate),
        ("measure", Unjudged::Measure),
    ] {
        let source = RACE.replacen("\n\n", &format!("\ntags {tag}\n\n"), 1);
        let input = input(&source, "forall (B:r0 = 0)");
        let doubtful = record(&mut Lanes::new(1, 1, 0), &input, &plan(On::Device));
        assert_eq!(doubtful.judgement.verdict, Verdict::NotObserved);
        let note = Note::Unjudged(why, vec![Problem::Violated]);
        assert!(doubtful.judgement.notes.contains(&note));
        let asserted = record(&mut Lanes::new(1, 1, 0), &input, &plan(On::Host));
        assert_eq!(asserted.judgement.verdict, Verdict::Failed);
    }
}

#[test]
fn iterations_with_caller_lanes_are_fewer_on_the_host() {
    let source = "test calls\n\nlane A caller\n  sleep 0ms -> r0\n\n";
    let ends = input(source, "forall (A:r0 = 0)");
    let iterations = |on, free| {
        let plan = Plan { free, ..plan(on) };
        let record = record(&mut Lanes::new(0, 0, 0), &ends, &plan);
        match record.outcome {
            Some(RunOutcome::Ran(result)) => result.iterations,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(iterations(On::Host, false), CALLERS);
    assert_eq!(iterations(On::Host, true), 1000);
    assert_eq!(iterations(On::Device, false), 1000);
    // Where a thread may stay suspended, time had better be virtual.
    let stalls = input(source, "forall (A:r0 = 0 /\\ ~deadlock)");
    let mut lanes = Lanes::new(0, 0, 0);
    let record = record(&mut lanes, &stalls, &plan(On::Host));
    assert_eq!(lanes.asked(), [Some("random:1")]);
    let note = Note::ScheduledByDefault("random:1".to_owned());
    assert!(record.judgement.notes.contains(&note));
}

#[test]
fn what_a_machine_cannot_end_or_lacks_is_not_run_there() {
    let input = input(MAY, "exists (B:r0 = 1)");
    let judged = |reason, polled| {
        let refusal = Refusal {
            place: Place::Lane(0),
            step: 0,
            reason,
        };
        let case = Case {
            expectation: &input.test.expectation,
            unjudged: None,
            polled,
        };
        let judgement = judge(case, &RunOutcome::Refused(refusal), Err("not asked"));
        assert_eq!(judgement.verdict, Verdict::NotRunnable);
        judgement.notes
    };
    let obstacle = |obstacle| [Note::NotRunnable(obstacle)];
    let may = Reason::MayDeadlock;
    assert_eq!(judged(may, false), obstacle(Obstacle::MayDeadlock));
    assert_eq!(judged(may, true), obstacle(Obstacle::PolledPushLocks));
    assert_eq!(
        judged(Reason::NoPushLocks, false),
        obstacle(Obstacle::NoPushLocks)
    );
    let case = Case {
        expectation: &input.test.expectation,
        unjudged: None,
        polled: false,
    };
    let judgement = judge(case, &RunOutcome::NoSpecialUserApcs, Err("not asked"));
    assert_eq!(judgement.notes, obstacle(Obstacle::NoSpecialUserApcs));
}

#[test]
fn words_are_quoted_where_a_shell_needs_it() {
    assert_eq!(quoted("litmus/a-b.litmus"), "litmus/a-b.litmus");
    assert_eq!(quoted("it's"), "'it'\\''s'");
}
