use serde_json::{Value, json};

use super::*;
use crate::compare::read;
use crate::report::SCHEMA_VERSION;

/// A report of a device with these rows: context, question, answers, documented.
fn report(rows: &[(&str, &str, &[&str], &str)], windows: &Value) -> String {
    let row = |(context, question, answers, documented): &(&str, &str, &[&str], &str)| {
        json!({ "context": context, "cells": [{
            "question": question, "measured": answers.join(" or "), "answers": answers,
            "documented": documented, "differs": false,
        }] })
    };
    let limits = [
        "lanes",
        "registers",
        "variables",
        "events",
        "apcs",
        "observed",
        "steps_per_lane",
        "nesting",
        "outcomes",
        "trace_records_per_lane",
    ];
    let limits: serde_json::Map<_, _> = limits
        .map(|name| (name.to_owned(), json!(1)))
        .into_iter()
        .collect();
    let context = json!({ "KeAreApcsDisabled": true, "KeAreAllApcsDisabled": false, "irql": 0 });
    json!({
        "schema": "apclab-report", "schema_version": SCHEMA_VERSION, "apclab_version": "1", "command": "matrix",
        "target": {
            "name": "device", "description": "", "limits": limits,
            "apc_routines": { "KeInitializeApc": true, "KeInsertQueueApc": true, "push_locks": true,
                              "deadlocks_end": false },
            "driver": { "path": null, "version": [0, 1, 0], "kernel": [10, 0, 26100], "processors": 4,
                        "sessions": 0, "dispatch": context },
            "surroundings": { "handle": "", "hypervisor": "Hyper-V", "processors": 4, "windows": windows },
        },
        "differing_cells": 0,
        "matrix": rows.iter().map(row).collect::<Vec<_>>(),
    })
    .to_string()
}

fn windows(integrity: Option<bool>, verified: &[&str]) -> Value {
    json!({
        "version": [10, 0, 26100], "wine": null, "elevated": true, "test_signing": true,
        "memory_integrity": integrity, "optional_routines": [["QueueUserAPC2", true]],
        "driver_verifier": { "drivers": verified, "flags": 0x209bb, "kmdf": null },
    })
}

/// Merges reports, each in a file of its own below a folder of the test's name.
fn merged(test: &str, reports: &[String]) -> Comparison {
    let folder = std::env::temp_dir().join(format!("apclab-{test}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let paths: Vec<_> = (0..reports.len())
        .map(|number| folder.join(format!("{number}.json")))
        .collect();
    for (path, report) in paths.iter().zip(reports) {
        std::fs::write(path, report).expect("a file");
    }
    let sources = read::read(&paths);
    std::fs::remove_dir_all(&folder).expect("the folder goes");
    merge(&sources.expect("reports"))
}

#[test]
fn rows_are_taken_as_they_come() {
    let here = windows(Some(true), &[]);
    let first = report(
        &[("a", "q", &["now"], "now"), ("b", "q", &["1"], "1")],
        &here,
    );
    let second = report(
        &[
            ("c", "new", &["x"], MEASURE),
            ("a", "new", &["y"], "y"),
            ("a", "q", &["now"], "now"),
        ],
        &here,
    );
    let all = merged("rows", &[first, second]);
    let named = |facts: &[Fact]| -> Vec<String> {
        let missing = |fact: &Fact| fact.cells.iter().filter(|cell| cell.is_none()).count();
        let facts = facts.iter();
        facts
            .map(|fact| format!("{} {} {}", fact.context, fact.question, missing(fact)))
            .collect()
    };
    assert_eq!(named(&all.documented), ["a q 0", "a new 1", "b q 1"]);
    assert_eq!(named(&all.unpublished), ["c new 1"]);
}

#[test]
fn only_answers_differ() {
    let here = windows(None, &[]);
    let of = |answers: &[&str], documented| report(&[("a", "q", answers, documented)], &here);
    let differ =
        |test: &str, reports: &[String]| merged(test, reports).documented[0].machines_differ;
    let (now, later) = (of(&["now"], "now"), of(&["deferred"], "now"));
    assert!(differ("one", &[now.clone(), later.clone()]));
    assert!(differ("back", &[now.clone(), later, now.clone()]));
    assert!(!differ("same", &[now.clone(), now.clone()]));
    let nothing = of(&[], "now");
    assert!(!differ("none", &[now.clone(), nothing, now.clone()]));
    let turned = [of(&["0", "1"], "0"), of(&["1", "0"], "0")];
    assert!(!differ("order", &turned));
    let otherwise = merged("documented", &[now, of(&["now"], MEASURE)]);
    assert_eq!(otherwise.documented[0].documented, ["now", MEASURE]);
}

#[test]
fn machines_are_named_by_what_results_depend_on() {
    let rows: [(&str, &str, &[&str], &str); 1] = [("a", "q", &["now"], "now")];
    let reports = [
        windows(Some(true), &["beep.sys"]),
        windows(Some(false), &["apclab.sys"]),
        windows(Some(true), &[]),
    ];
    let all = merged("names", &reports.map(|windows| report(&rows, &windows)));
    let names: Vec<_> = all
        .machines
        .iter()
        .map(|machine| machine.name.join(", "))
        .collect();
    let start = "device, kernel 10.0.26100, Hyper-V, HVCI";
    assert_eq!(
        names[1],
        format!("{start} off, Driver Verifier on (0x209bb)")
    );
    // The first and the third differ in what has no bearing on the driver, and would have one name.
    for (number, file) in [(0, "0.json"), (2, "2.json")] {
        let name = &names[number];
        assert!(
            name.starts_with(&format!("{start} on, Driver Verifier off, ")),
            "{name}"
        );
        assert!(name.ends_with(file), "{name}");
    }
}
