//! Runs that a machine, or whoever ended apclab, has cut short: on the model, with a journal.

mod common;

use std::fs;

use common::Folder;
use serde_json::Value;

/// A test that the model answers at once.
fn test(name: &str, value: u32) -> String {
    format!("test {name}\n\nlane A\n  irql -> r1\n\nforall (A:r1 = {value})\n")
}

/// A folder with three tests, of which the second one fails.
fn folder(name: &str) -> Folder {
    let sources = [("a", 0), ("b", 9), ("c", 0)].map(|(name, value)| test(name, value));
    let [a, b, c] = sources.each_ref().map(String::as_str);
    Folder::new(
        name,
        &[
            ("litmus/a.litmus", a),
            ("litmus/b.litmus", b),
            ("litmus/c.litmus", c),
        ],
    )
}

const RUN: [&str; 5] = ["run", "--on", "model", "--journal", "j"];
const RESUME: [&str; 6] = ["run", "--on", "model", "--journal", "j", "--resume"];

/// The records of the journal, each with its line.
fn journal(folder: &Folder) -> Vec<(String, Value)> {
    let text = fs::read_to_string(folder.0.join("j")).expect("a journal");
    text.lines()
        .map(|line| {
            let (_, record) = line.split_once(' ').expect("a check sum");
            let record = serde_json::from_str(record).expect("a record");
            (format!("{line}\n"), record)
        })
        .collect()
}

/// Cuts the journal after the record with that name for that test, as if apclab had ended there; gives
/// what came behind.
fn cut(folder: &Folder, record: &str, test: &str) -> String {
    let lines = journal(folder);
    let place = lines
        .iter()
        .position(|(_, line)| line["record"] == record && line["test"] == test)
        .expect("the record");
    let join = |lines: &[(String, Value)]| -> String {
        lines.iter().map(|(line, _)| line.as_str()).collect()
    };
    fs::write(folder.0.join("j"), join(&lines[..=place])).expect("a journal");
    join(&lines[place + 1..])
}

#[test]
fn a_journal_has_each_test_before_and_after() {
    let folder = folder("journal");
    folder.apclab(&RUN).exits(1);
    let records = journal(&folder);
    let kinds: Vec<_> = records.iter().map(|(_, line)| &line["record"]).collect();
    let expected = [
        "run", "begin", "end", "begin", "end", "begin", "end", "done",
    ];
    assert_eq!(kinds, expected);
    assert_eq!(records[0].1["target"], "model");
    assert_eq!(records[3].1["test"], "b");
    assert_eq!(records[3].1["first"], 1);
    assert_eq!(records[4].1["verdict"], "FAILED");
    folder.apclab(&RUN).exits(1).says("3 tests on model: 2 ok");
}

#[test]
fn a_resumed_run_names_the_test_that_stopped_it_and_goes_on() {
    let folder = folder("resume");
    folder.apclab(&RUN).exits(1);
    cut(&folder, "begin", "b");
    folder
        .apclab(&RUN)
        .exits(2)
        .complains("the journal j is of a run that did not end: go on with --resume");
    let answer = folder.apclab(&RESUME);
    answer
        .exits(1)
        .says("Verdict b FAILED")
        .says("apclab ended during iterations 1 to 1000 with seed 1")
        .says("Verdict c ok")
        .says("resumed: 1 tests had ended before, 0 of them FAILED");
    assert!(!answer.stdout.contains("Verdict a "), "a ended before");
    folder
        .apclab(&RESUME)
        .exits(2)
        .complains("there is nothing to resume: the run of the journal j came to its end");
}

#[test]
fn a_test_that_failed_before_the_restart_fails_the_resumed_run() {
    let folder = folder("failed-before");
    folder.apclab(&RUN).exits(1);
    let behind = cut(&folder, "end", "b");
    // Half of the next record came to the disk.
    let mut torn = fs::read_to_string(folder.0.join("j")).expect("a journal");
    torn.push_str(&behind[..40]);
    fs::write(folder.0.join("j"), torn).expect("a journal");
    let json = [&RESUME[..], &["--format", "json"]].concat();
    let document = folder.apclab(&json).exits(1).json();
    let ended: Vec<_> = document["ended_before"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|test| (&test["name"], &test["verdict"]))
        .map(|(name, verdict)| format!("{name} {verdict}"))
        .collect();
    assert_eq!(ended, [r#""a" "ok""#, r#""b" "FAILED""#]);
    let tests = document["tests"].as_array().expect("a list");
    assert_eq!(tests.len(), 1);
    assert_eq!(tests[0]["name"], "c");
    assert_eq!(tests[0]["verdict"], "ok");
    assert_eq!(document["exit_code"], 1);
}

#[test]
fn a_test_that_is_not_there_any_more_is_named_all_the_same() {
    let folder = folder("gone");
    folder.apclab(&RUN).exits(1);
    cut(&folder, "begin", "c");
    fs::remove_file(folder.0.join("litmus/c.litmus")).expect("a file");
    folder
        .apclab(&RESUME)
        .exits(1)
        .says("resumed: 3 tests had ended before, 2 of them FAILED\nb had FAILED: ")
        .says("\nc had stopped the run: ");
}

#[test]
fn a_machine_that_was_started_anew_is_told() {
    let folder = folder("restarted");
    folder.apclab(&RUN).exits(1);
    cut(&folder, "begin", "c");
    // A run on a machine that had been up since long before this one was started.
    let lines = journal(&folder);
    let (old, run) = &lines[0];
    let mut run = run.clone();
    let up = run["up"].as_u64().expect("the machine's age");
    run["up"] = (up + 100_000).into();
    let text = run.to_string();
    let sum = text.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
    });
    let path = folder.0.join("j");
    let journal = fs::read_to_string(&path).expect("a journal");
    let changed = journal.replacen(old.as_str(), &format!("{sum:016x} {text}\n"), 1);
    fs::write(path, changed).expect("a journal");
    folder
        .apclab(&RESUME)
        .exits(1)
        .says("the machine was restarted during iterations 1 to 1000")
        .says("resumed: 2 tests had ended before, 1 of them FAILED\nb had FAILED: ");
}

#[test]
fn a_journal_that_cannot_be_written_stops_the_run_before_its_first_test() {
    let folder = folder("no-journal");
    let answer = folder.apclab(&["run", "--on", "model", "--journal", "no/such/folder"]);
    answer.exits(2).complains("cannot be written");
    assert!(!answer.stdout.contains("Verdict"));
    folder
        .apclab(&["run", "--on", "model", "--resume"])
        .exits(2)
        .complains("there is no journal apclab.journal");
}
