//! The command line from outside, on the model: what it prints and how it exits.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const DEFERRED: &str = r#"test deferred
"A normal APC waits for the end of the region."

apc n normal to A

lane A
  enter critical
  queue n
  ran n -> r1
  leave critical
  ran n -> r2

forall (A:r1 = 0 /\ A:r2 = 1)
"#;

const REFUSED: &str = r"test open

lane A
  enter critical

refused left-open at A end
";

/// A folder with litmus tests for one test of the command line.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        if path.exists() {
            fs::remove_dir_all(&path).expect("the folder of an earlier run");
        }
        fs::create_dir_all(&path).expect("a folder");
        for (file, source) in files {
            let file = path.join(file);
            fs::create_dir_all(file.parent().expect("a parent")).expect("a folder");
            fs::write(file, source).expect("a file");
        }
        Self(path)
    }

    fn apclab(&self, args: &[&str]) -> Answer {
        let output = self.command(args).output().expect("apclab starts");
        Answer::of(&output)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_apclab"));
        command
            .current_dir(&self.0)
            .args(args)
            .env_remove("APCLAB_DRIVER");
        command
    }
}

struct Answer {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Answer {
    fn of(output: &Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    #[track_caller]
    fn exits(&self, code: i32) -> &Self {
        let Self { stdout, stderr, .. } = self;
        assert_eq!(self.code, Some(code), "{stdout}\n{stderr}");
        self
    }

    #[track_caller]
    fn says(&self, text: &str) -> &Self {
        assert!(self.stdout.contains(text), "{text:?} in:\n{}", self.stdout);
        self
    }

    #[track_caller]
    fn complains(&self, text: &str) -> &Self {
        assert!(self.stderr.contains(text), "{text:?} in:\n{}", self.stderr);
        self
    }

    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).expect("one JSON document")
    }
}

#[test]
fn a_good_test_exits_0_and_reads_as_litmus7() {
    let folder = Folder::new("good", &[("litmus/deferred.litmus", DEFERRED)]);
    let answer = folder.apclab(&["run", "--on", "model"]);
    answer
        .exits(0)
        .says("Test deferred Required\nHistogram (1 states)\n1     :>A:r1=0; A:r2=1;\nOk\n")
        .says("\nWitnesses\nPositive: 1, Negative: 0\n")
        .says("Condition forall (A:r1 = 0 /\\ A:r2 = 1) is validated\n")
        .says("Observation deferred Always 1 0\nTime deferred 0.0")
        .says("1 tests on model: 1 ok\n");
    assert!(
        !answer.stdout.contains('\u{1b}'),
        "no colour off a terminal"
    );
}

#[test]
fn iterations_ask_the_model_for_random_paths() {
    let folder = Folder::new("sampling", &[("deferred.litmus", DEFERRED)]);
    let args = [
        "run",
        "--on",
        "model",
        "--iterations",
        "25",
        "deferred.litmus",
    ];
    folder
        .apclab(&args)
        .exits(0)
        .says("\n25    :>A:r1=0; A:r2=1;\n")
        .says("Observation deferred Always 25 0\n");
}

#[test]
fn a_violated_condition_exits_1() {
    let wrong = DEFERRED.replace("A:r1 = 0", "A:r1 = 1");
    let folder = Folder::new("violated", &[("wrong.litmus", &wrong)]);
    folder
        .apclab(&["run", "--on", "model", "wrong.litmus"])
        .exits(1)
        .says("1     *>A:r1=0; A:r2=1;\nNo\n")
        .says("is NOT validated\n")
        .says("1 tests on model: 0 ok, 1 FAILED\n");
}

#[test]
fn refusals_are_compared_with_the_expected_one() {
    let otherwise = REFUSED.replace("left-open at A end", "left-open at A step 1");
    let accepted = REFUSED.replace("enter critical", "enter critical\n  leave critical");
    let files = [
        ("a-right.litmus", REFUSED),
        ("b-step.litmus", &otherwise),
        ("c-runs.litmus", &accepted),
    ];
    let folder = Folder::new("refused", &files);
    folder
        .apclab(&["run", "--on", "model", "a-right.litmus"])
        .exits(0)
        .says("Test open Refused\nleft-open at A end (a-right.litmus:4:17)\n");
    folder
        .apclab(&["run", "--on", "model", "b-step.litmus"])
        .exits(1)
        .says("the steps end with this scope still open")
        .says("expected was left-open at A step 1 (b-step.litmus:4:3)\n");
    folder
        .apclab(&["run", "--on", "model", "c-runs.litmus"])
        .exits(1)
        .says("it ran; expected was a refusal: left-open at A");
}

#[test]
fn what_a_kernel_cannot_run_is_told_and_is_no_failure() {
    let folder = Folder::new("routines", &[("deferred.litmus", DEFERRED)]);
    folder
        .apclab(&["run", "--on", "model", "--without-apc-routines", "."])
        .exits(0)
        .says("this kernel does not offer the routines that queue APCs")
        .says("1 tests on model: 0 ok, 1 not runnable\n");
}

#[test]
fn a_misspelt_test_exits_2_and_is_shown_with_its_place() {
    let misspelt = DEFERRED.replace("  enter critical", "  enter critcal");
    let folder = Folder::new(
        "misspelt",
        &[
            ("x/misspelt.litmus", &misspelt),
            ("x/good.litmus", DEFERRED),
        ],
    );
    let answer = folder.apclab(&["run", "--on", "model", "x"]);
    answer
        .exits(2)
        .complains("x/misspelt.litmus:7:9")
        .complains("enter critcal")
        .complains("did you mean `critical`?");
    assert_eq!(answer.stdout, "", "nothing runs when anything is wrong");
}

#[test]
fn a_wrong_command_line_exits_2() {
    let folder = Folder::new("wrong", &[("empty/readme.txt", "")]);
    let run = |args: &[&str]| folder.apclab(args);
    run(&["run", "--on", "model"])
        .exits(2)
        .complains("error: litmus cannot be read")
        .complains("name a litmus test or a folder");
    run(&["run", "--on", "model", "empty"])
        .exits(2)
        .complains("there is no *.litmus file in empty");
    run(&["run", "--on", "nowhere"])
        .exits(2)
        .complains("[possible values: model, host]");
    run(&["run", "--iterations", "0"])
        .exits(2)
        .complains("0 is not in 1..=100000000");
    run(&["run", "--deadline", "5"])
        .exits(2)
        .complains("ms, s or m");
    run(&[]).exits(2);
    run(&["--help"]).exits(0).says("Exit codes");
}

#[test]
fn a_driver_that_is_not_there_exits_3() {
    let folder = Folder::new("no-driver", &[("deferred.litmus", DEFERRED)]);
    for command in [&["run", "deferred.litmus"][..], &["matrix"], &["info"]] {
        let driver = ["--on", "host", "--driver", "no/apclab.sys"];
        folder.apclab(&[command, &driver].concat()).exits(3);
    }
}

#[test]
fn folders_are_walked_in_sorted_order() {
    let test = |name: &str| DEFERRED.replacen("deferred", name, 1);
    let files = [
        ("b.litmus", test("second")),
        ("a/z.litmus", test("first")),
        ("c/a.litmus", test("third")),
        ("c/notes.txt", "no test".to_owned()),
    ];
    let files = files
        .each_ref()
        .map(|(file, source)| (*file, source.as_str()));
    let folder = Folder::new("order", &files);
    let document = folder
        .apclab(&["run", "--on", "model", "--format", "json", "."])
        .exits(0)
        .json();
    let tests = document["tests"].as_array().expect("a list");
    let names: Vec<_> = tests.iter().map(|report| &report["name"]).collect();
    assert_eq!(names, ["first", "second", "third"]);
}

#[test]
fn json_says_what_it_is_and_what_was_seen() {
    let wrong = DEFERRED.replace("A:r2 = 1", "A:r2 = 0");
    let files = [("a.litmus", wrong.as_str()), ("b.litmus", REFUSED)];
    let folder = Folder::new("json", &files);
    let document = folder
        .apclab(&["run", "--on", "model", "--format", "json", "."])
        .exits(1)
        .json();
    assert_eq!(document["schema"], "apclab-report");
    assert_eq!(document["schema_version"], 1);
    assert_eq!(document["command"], "run");
    assert_eq!(document["exit_code"], 1);
    assert_eq!(document["target"]["name"], "model");
    let [failed, refused] = document["tests"].as_array().expect("a list").as_slice() else {
        panic!("two tests in {document}");
    };
    assert_eq!(failed["verdict"], "FAILED");
    assert_eq!(
        failed["result"]["observed"],
        serde_json::json!(["A:r1", "A:r2"])
    );
    let state = &failed["result"]["histogram"][0];
    assert_eq!(state["values"], serde_json::json!([0, 1]));
    assert_eq!(
        (&state["satisfies"], &state["documented"]),
        (&false.into(), &true.into())
    );
    assert_eq!(refused["verdict"], "ok");
    assert_eq!(refused["refusal"]["reason"], "left-open");
    assert_eq!(refused["refusal"], {
        let mut expected = refused["expectation"].clone();
        expected.as_object_mut().expect("an object").remove("kind");
        expected
    });
}

#[test]
fn the_matrix_of_the_model_is_the_documented_one() {
    let folder = Folder::new("matrix", &[]);
    let answer = folder.apclab(&["matrix", "--on", "model"]);
    answer
        .exits(0)
        .says("model: no cell differs from the documentation\n");
    let cells = |context: &str| {
        let row = answer
            .stdout
            .lines()
            .find(|line| line.trim_start().starts_with(context));
        let row = row.unwrap_or_else(|| panic!("no row {context}"));
        row.split("  ")
            .map(str::trim)
            .filter(|cell| !cell.is_empty())
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let region = [
        "critical region",
        "now",
        "deferred",
        "now, deferred",
        "TRUE",
        "FALSE",
        "0",
        "TRUE, FALSE, 0",
    ];
    assert_eq!(cells("critical region  "), region);
    assert_eq!(cells("guarded region  ")[4], "FALSE or TRUE");

    let document = folder
        .apclab(&[
            "matrix",
            "--on",
            "model",
            "--without-apc-routines",
            "--format",
            "json",
        ])
        .exits(0)
        .json();
    assert_eq!(document["differing_cells"], 0);
    let plain = &document["matrix"][0];
    assert_eq!(plain["special_apc"]["measured"], "(no APC routines)");
    assert_eq!(plain["KeAreApcsDisabled"]["measured"], "FALSE");
}

#[test]
fn info_says_what_the_target_is() {
    let folder = Folder::new("info", &[]);
    folder
        .apclab(&["info", "--on", "model"])
        .exits(0)
        .says("KeInsertQueueApc      found\n")
        .says(
            "threads begin with    KeAreApcsDisabled FALSE, KeAreAllApcsDisabled FALSE, IRQL 0\n",
        );
    let document = folder
        .apclab(&["info", "--on", "model", "--format", "json"])
        .exits(0)
        .json();
    assert_eq!(document["baseline"]["irql"], 0);
    assert_eq!(document["target"]["limits"]["lanes"], 6);
}

#[test]
fn a_reader_who_has_gone_changes_no_exit_code() {
    let wrong = DEFERRED.replace("A:r1 = 0", "A:r1 = 1");
    let folder = Folder::new(
        "pipe",
        &[("good.litmus", DEFERRED), ("wrong.litmus", &wrong)],
    );
    for (test, code) in [("good.litmus", 0), ("wrong.litmus", 1)] {
        let mut child = folder
            .command(&["run", "--on", "model", test])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("apclab starts");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("apclab ends");
        let answer = Answer::of(&output);
        answer.exits(code);
        assert_eq!(answer.stderr, "");
    }
}
