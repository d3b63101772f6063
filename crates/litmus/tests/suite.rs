//! The test suite in `litmus/` against the parser, the verifier and the list of facts.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use apclab_litmus::{ESTIMATE, Expectation, MEASURE, SPECIAL_USER_APC, Test, parse};
use apclab_protocol::build::ProgramBuf;
use apclab_protocol::program::{ApcKind, LockKind, Place, Program, flags};
use apclab_protocol::step::Step;
use apclab_protocol::verify::{Machine, Reason, Refusal, verify};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, into);
        } else {
            into.push(path);
        }
    }
}

/// Every file of the suite, parsed, by its path under `litmus/`.
fn suite() -> BTreeMap<PathBuf, Test> {
    let folder = root().join("litmus");
    let mut paths = Vec::new();
    files(&folder, &mut paths);
    paths
        .into_iter()
        .map(|path| {
            let source = fs::read_to_string(&path).unwrap();
            let short = path.strip_prefix(&folder).unwrap().to_owned();
            let test = parse(&short.to_string_lossy(), &source).unwrap_or_else(|e| panic!("\n{e}"));
            (short, test)
        })
        .collect()
}

fn judge(test: &Test) -> Result<(), Refusal> {
    judge_on(&test.program, Machine::COMPLETE)
}

fn judge_on(program: &ProgramBuf, machine: Machine) -> Result<(), Refusal> {
    let bytes = program.encode();
    let program = Program::parse(&bytes).expect("what parses is well-formed");
    verify(&program, machine).map(|_| ())
}

fn is_refused(path: &Path) -> bool {
    path.starts_with("refused")
}

/// The ids of the table rows in each section of `docs/facts.md`.
fn facts() -> BTreeMap<String, BTreeSet<String>> {
    let text = fs::read_to_string(root().join("docs/facts.md")).unwrap();
    let mut facts = BTreeMap::<String, BTreeSet<String>>::new();
    let (mut section, mut all) = (String::new(), BTreeSet::new());
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            heading.clone_into(&mut section);
        } else if let Some((id, _)) = line.strip_prefix("| `").and_then(|row| row.split_once('`')) {
            assert!(all.insert(id.to_owned()), "{id} is listed twice");
            facts
                .entry(section.clone())
                .or_default()
                .insert(id.to_owned());
        }
    }
    facts
}

#[test]
fn the_suite_is_as_large_as_it_should_be() {
    let (refused, run): (Vec<_>, Vec<_>) = suite().into_keys().partition(|path| is_refused(path));
    assert!(run.len() >= 300, "{}", run.len());
    assert!(refused.len() >= 100, "{}", refused.len());
    let of_locks = |path: &&PathBuf| path.starts_with("resources") || path.starts_with("locks");
    let of_locks = run.iter().filter(of_locks).count();
    assert!(of_locks >= 120, "{of_locks}");
    let of_callers = suite()
        .into_iter()
        .filter(|(path, test)| !is_refused(path) && test.program.callers.contains(&true));
    assert!(of_callers.count() >= 160);
}

#[test]
fn each_file_is_named_as_its_test_and_says_what_it_is_about() {
    let mut names = BTreeSet::new();
    for (path, test) in suite() {
        assert_eq!(path.extension().unwrap(), "litmus", "{}", path.display());
        assert_eq!(path.file_stem().unwrap().to_string_lossy(), test.name);
        assert!(!test.description.is_empty(), "{}", test.name);
        assert!(
            names.insert(test.name.clone()),
            "{} exists twice",
            test.name
        );
    }
}

#[test]
fn tests_show_facts_and_facts_are_shown() {
    let facts = facts();
    let may_be_shown = &facts["Shown by tests"];
    let mut shown = BTreeSet::new();
    for (path, test) in suite() {
        assert!(!test.shows.is_empty(), "{} shows nothing", path.display());
        for fact in test.shows {
            assert!(
                may_be_shown.contains(&fact),
                "{}: `{fact}` is not among the facts that tests may show",
                path.display()
            );
            shown.insert(fact);
        }
    }
    assert_eq!(&shown, may_be_shown, "every fact is shown by a test");
}

/// Facts of which only one half is sure, see `docs/facts.md`.
const MEASURED: [&str; 2] = ["kernel-alertable-wait", "alertable-wait-in-region"];

/// Whether a lane or body enters a guarded region inside a guarded one.
fn nests_guarded_regions(steps: &[Step]) -> bool {
    let mut open = 0_usize;
    steps.iter().any(|step| {
        match step {
            Step::EnterGuarded => open += 1,
            Step::LeaveGuarded => open = open.saturating_sub(1),
            _ => {}
        }
        open > 1
    })
}

#[test]
fn tags_are_described_and_tell_the_truth() {
    let guide = fs::read_to_string(root().join("docs/litmus.md")).unwrap();
    for (path, test) in suite() {
        for tag in &test.tags {
            assert!(guide.contains(&format!("| `{tag}` |")), "{tag}");
        }
        let mut places = test.program.lanes.iter().chain(&test.program.bodies);
        assert_eq!(
            test.tags.iter().any(|tag| tag == "nested-guarded"),
            places.any(|steps| nests_guarded_regions(steps)) && !is_refused(&path),
            "{}",
            path.display()
        );
        if is_refused(&path) {
            continue;
        }
        let mut apcs = test.program.apcs.iter();
        assert_eq!(
            test.has_tag(SPECIAL_USER_APC),
            apcs.any(|apc| apc.kind == ApcKind::SpecialUser),
            "{}",
            path.display()
        );
        let half_sure = |fact: &String| MEASURED.contains(&fact.as_str());
        assert_eq!(
            test.has_tag(MEASURE),
            test.shows.iter().any(half_sure),
            "{}",
            path.display()
        );
    }
}

#[test]
fn a_test_is_an_estimate_only_if_it_has_to_be() {
    let mut estimates = 0;
    for (path, mut test) in suite() {
        if !test.has_tag(ESTIMATE) {
            continue;
        }
        estimates += 1;
        test.tags.retain(|tag| tag != ESTIMATE);
        let errors = parse(&test.file, &test.to_text()).unwrap_err();
        for error in errors.errors() {
            let message = error.message();
            assert!(message.ends_with("is an estimate"), "{}", path.display());
        }
    }
    assert!(estimates > 0);
}

#[test]
fn a_test_may_deadlock_only_if_it_has_to() {
    let impatient = Machine {
        ends_deadlocks: false,
        ..Machine::COMPLETE
    };
    let waived = [
        Reason::LockOrder,
        Reason::WaitsForItself,
        Reason::HeldAlready,
        Reason::HandedOver,
    ];
    let tests = suite().into_iter();
    let tests = tests.filter(|(path, test)| test.may_deadlock() && !is_refused(path));
    let mut seen = BTreeSet::new();
    for (path, test) in tests {
        let name = path.display();
        let refusal = judge_on(&test.program, impatient).unwrap_err();
        assert_eq!(refusal.reason, Reason::MayDeadlock, "{name}");
        let mut program = test.program;
        program.flags |= flags::POLLED;
        let push_locks = program.locks.contains(&LockKind::PushLock);
        let polled = judge_on(&program, impatient);
        assert_eq!(polled.is_err(), push_locks, "{name}");
        program.flags = 0;
        let reason = judge_on(&program, impatient).unwrap_err().reason;
        assert!(waived.contains(&reason), "{name}: {reason:?}");
        seen.insert(reason.name());
    }
    assert_eq!(seen, waived.map(Reason::name).into());
}

#[test]
fn what_is_to_be_measured_is_marked() {
    let text = fs::read_to_string(root().join("docs/facts.md")).unwrap();
    let marked: BTreeSet<String> = text
        .lines()
        .filter(|line| line.contains("| [measure]"))
        .filter_map(|line| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned()))
        .collect();
    assert_eq!(facts()["Measured, not asserted [measure]"], marked);
}

#[test]
fn refused_programs_are_refused_as_they_say_and_all_others_may_run() {
    let mut reasons = BTreeSet::new();
    for (path, test) in suite() {
        let name = path.display();
        match (&test.expectation, judge(&test)) {
            (Expectation::Condition(_), Ok(())) => assert!(!is_refused(&path), "{name}"),
            (
                Expectation::Refused {
                    reason,
                    place,
                    step,
                },
                Err(refusal),
            ) => {
                assert!(is_refused(&path), "{name}");
                let found = (refusal.reason, refusal.place, refusal.step as usize);
                assert_eq!(found, (*reason, *place, *step), "{name}");
                reasons.insert(reason.name());
            }
            (expected, found) => panic!("{name}: expected {expected:?}, found {found:?}"),
        }
    }
    // The deepest nesting would make an unreadable file, see the test below; and what a machine does
    // not offer is no property of a program.
    let elsewhere = [
        Reason::TooDeep,
        Reason::NoApcRoutines,
        Reason::NoPushLocks,
        Reason::MayDeadlock,
    ];
    let expected = Reason::ALL
        .iter()
        .filter(|reason| !elsewhere.contains(reason));
    assert_eq!(reasons, expected.map(|reason| reason.name()).collect());
}

#[test]
fn a_program_that_nests_too_deep_is_refused_at_its_step() {
    let source = format!(
        "test deep\nlane A\n{}refused too-deep at A step 1025\n",
        "enter critical\n".repeat(1025)
    );
    let test = parse("deep.litmus", &source).unwrap();
    let refusal = judge(&test).unwrap_err();
    let expected = Expectation::Refused {
        reason: refusal.reason,
        place: Place::Lane(0),
        step: refusal.step as usize,
    };
    assert_eq!(test.expectation, expected);
    assert_eq!(test.place_of(Place::Lane(0), 1024).to_string(), "1027:1");
}

#[test]
fn a_test_of_blocks_alone_survives_being_printed() {
    let deep = 2048;
    let source = format!(
        "test deep\nlane A\n{}{}forall (true)\n",
        "repeat 1\n".repeat(deep),
        "end\n".repeat(deep)
    );
    let test = parse("deep.litmus", &source).unwrap();
    let again = parse("deep.litmus", &test.to_text()).unwrap();
    assert_eq!(again.program, test.program);
    assert_eq!(judge(&test).unwrap_err().reason, Reason::TooManyScopes);
}

#[test]
fn the_suite_survives_being_printed() {
    for (path, test) in suite() {
        let text = test.to_text();
        let again = parse(&test.file, &text).unwrap_or_else(|e| panic!("{}\n{e}", path.display()));
        assert_eq!(again.program, test.program, "{text}");
        let decoded = ProgramBuf::decode(&test.program.encode());
        assert_eq!(decoded.as_ref(), Ok(&test.program), "{text}");
        assert_eq!(again.names, test.names, "{text}");
        assert_eq!(again.expectation, test.expectation, "{text}");
        assert_eq!(again.description, test.description, "{text}");
        assert_eq!(again.shows, test.shows, "{text}");
        assert_eq!(again.tags, test.tags, "{text}");
        assert_eq!(again.to_text(), text);
    }
}
