//! `apclab compare` from the reports that `apclab matrix` writes.

mod common;

use std::fs;

use common::{Answer, Folder};
use serde_json::{Value, json};

/// A folder with the matrix of the model as `a.json`.
fn measured(name: &str) -> (Folder, Value) {
    let folder = Folder::new(name, &[]);
    let matrix = ["matrix", "--on", "model", "--format", "json"];
    let report = folder.apclab(&matrix).exits(0).json();
    write(&folder, "a.json", &report);
    (folder, report)
}

fn write(folder: &Folder, file: &str, report: &Value) {
    fs::write(folder.0.join(file), report.to_string()).expect("a file");
}

/// The row of a table that begins with a context and a question.
fn row(answer: &Answer, context: &str, question: &str) -> Vec<String> {
    let rows = answer.stdout.lines().map(|line| {
        let cells = line
            .split("  ")
            .map(str::trim)
            .filter(|cell| !cell.is_empty());
        cells.map(str::to_owned).collect::<Vec<_>>()
    });
    let mut rows = rows.filter(|row| row.first().is_some_and(|it| it == context));
    rows.find(|row| row[1] == question).expect("a row")
}

#[test]
fn a_cell_that_differs_is_marked() {
    let (folder, mut report) = measured("compare");
    write(&folder, "b.json", &report);
    let compare = ["compare", "a.json", "b.json"];
    folder
        .apclab(&compare)
        .exits(0)
        .says("model, a.json: a.json, apclab ")
        .says("the machines differ in 0; 0 answers differ from the documentation\n");

    let region = &mut report["matrix"][1];
    assert_eq!(region["context"], "critical region");
    let normal = &mut region["cells"][1];
    assert_eq!(normal["question"], "normal APC");
    normal["measured"] = "now".into();
    normal["answers"] = json!(["now"]);
    normal["differs"] = true.into();
    region["cells"][0]["question"] = "user APC".into();
    write(&folder, "b.json", &report);
    let answer = folder.apclab(&compare);
    answer
        .exits(0)
        .says("the machines differ in 1; 1 answers differ from the documentation\n");
    let critical = |question| row(&answer, "critical region", question);
    assert_eq!(
        critical("normal APC")[2..],
        ["deferred", "deferred *", "now !*"]
    );
    assert_eq!(critical("KeAreApcsDisabled")[2..], ["TRUE"; 3]);
    assert_eq!(critical("special APC")[2..], ["now", "now", "not measured"]);
    assert_eq!(critical("user APC")[2..], ["now", "not measured", "now"]);
    let unpublished = answer.stdout.split("What is not published").nth(1);
    let unpublished = unpublished.expect("a table of its own");
    assert!(unpublished.contains("guarded region"), "{unpublished}");

    let with = |format| folder.apclab(&[&compare[..], &["--format", format]].concat());
    let markdown = with("markdown");
    markdown.exits(0).says("# Which APC runs where");
    let line = "| critical region | normal APC | deferred | deferred \\* | now !\\* |";
    let squeezed: Vec<_> = markdown
        .stdout
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    assert!(squeezed.iter().any(|it| it == line), "{}", markdown.stdout);
    with("html")
        .exits(0)
        .says("<!DOCTYPE html>")
        .says("<td class=\"open\">deferred *</td><td class=\"failed\">now !*</td></tr>");
    let document = with("json").exits(0).json();
    assert_eq!(document["schema"], "apclab-report");
    assert_eq!(document["command"], "compare");
    assert_eq!(document["machines"][1]["report"], "b.json");
    let facts = document["documented"].as_array().expect("a list");
    let differing: Vec<_> = facts
        .iter()
        .filter(|it| it["machines_differ"] == true)
        .collect();
    assert_eq!(differing.len(), 1);
    assert_eq!(differing[0]["question"], "normal APC");
    assert_eq!(differing[0]["cells"][1]["measured"], "now");
}

#[test]
fn a_report_that_windows_powershell_redirected_is_read() {
    let (folder, report) = measured("compare-wide");
    let wide = format!("\u{feff}{report}");
    let wide: Vec<u8> = wide.encode_utf16().flat_map(u16::to_le_bytes).collect();
    fs::write(folder.0.join("wide.json"), wide).expect("a file");
    folder
        .apclab(&["compare", "wide.json", "a.json"])
        .exits(0)
        .says("2 reports, ");
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let (folder, report) = measured("compare-wrong");
    let wrong = |bad: &str, messages: &[&str]| {
        fs::write(folder.0.join("bad.json"), bad).expect("a file");
        let answer = folder.apclab(&["compare", "a.json", "bad.json"]);
        answer.exits(2);
        assert_eq!(answer.stdout, "");
        for message in messages {
            answer.complains(message);
        }
    };
    let changed = |pointer: &str, value: Value| {
        let mut report = report.clone();
        *report.pointer_mut(pointer).expect("a place") = value;
        report.to_string()
    };
    let without = |pointer: &str, key: &str| {
        let mut report = report.clone();
        let place = report.pointer_mut(pointer).and_then(Value::as_object_mut);
        place.and_then(|it| it.remove(key)).expect("a field");
        report.to_string()
    };
    wrong(
        "no report",
        &["error: bad.json: it is not JSON: ", "at line 1 column 2"],
    );
    let whole = report.to_string();
    wrong(
        &whole[..whole.len() / 2],
        &["bad.json: it is not JSON: EOF"],
    );
    wrong(
        &format!("{whole} x"),
        &["bad.json: it is not JSON: trailing"],
    );
    wrong(
        "{\"a\": 1}",
        &["bad.json: it is not a report of apclab: missing field `schema`"],
    );
    wrong(
        "[1]",
        &["bad.json: it is not a report of apclab: ", "line 1"],
    );
    wrong(
        &changed("/schema", "other".into()),
        &["it is not a report of apclab: `schema` is \"other\""],
    );
    wrong(
        &changed("/command", "info".into()),
        &["bad.json: it is a report of `apclab info`; what `apclab matrix --format json` writes"],
    );
    wrong(
        &changed("/schema_version", 1.into()),
        &[
            "error: a.json: it has version 2 of the report's format",
            "error: bad.json: it has version 1 of the report's format",
        ],
    );
    wrong(
        &changed("/matrix/3/cells/1/measured", 5.into()),
        &[
            "error: bad.json: matrix[3].cells[1].measured: invalid type: integer `5`, expected a string at line 1 \
             column ",
        ],
    );
    wrong(
        &without("/matrix/2/cells/0", "documented"),
        &["bad.json: matrix[2].cells[0]: missing field `documented` at line 1 column "],
    );
    wrong(
        &without("", "matrix"),
        &["bad.json: missing field `matrix`"],
    );
    wrong(
        &without("", "target"),
        &["bad.json: missing field `target`"],
    );
    let again = report["matrix"][0]["context"].clone();
    wrong(
        &changed("/matrix/1/context", again),
        &["bad.json: it has two cells plain code, PASSIVE_LEVEL: special APC"],
    );
    folder
        .apclab(&["compare", "a.json", "none.json", "a.json"])
        .exits(2)
        .complains("error: none.json: it cannot be read: ")
        .complains("error: a.json: it is named twice");
    folder.apclab(&["compare"]).exits(2).complains("<REPORT>");

    // A version that no program here knows, in every file.
    let newer = changed("/schema_version", 99.into());
    fs::write(folder.0.join("newer.json"), newer).expect("a file");
    folder
        .apclab(&["compare", "newer.json"])
        .exits(2)
        .complains("newer.json: it has version 99 of the report's format, of apclab ")
        .complains("compares reports of version 2 only");
}
