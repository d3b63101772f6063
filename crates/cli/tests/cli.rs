//! The command line from outside, on the model: what it prints and how it exits.

mod common;

use std::fs;
use std::process::Stdio;

use common::{Answer, Folder};

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
        .complains(&format!(
            "x{}misspelt.litmus:7:9",
            std::path::MAIN_SEPARATOR
        ))
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
        .complains("[possible values: model, host, device]");
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
    assert_eq!(document["schema_version"], 2);
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
    assert_eq!(plain["cells"][0]["question"], "special APC");
    assert_eq!(plain["cells"][0]["measured"], "(no APC routines)");
    assert_eq!(plain["cells"][2]["question"], "KeAreApcsDisabled");
    assert_eq!(plain["cells"][2]["measured"], "FALSE");
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

const RACE: &str = r#"test race
"Lane B queues to lane A, which looks once and waits for an event that B may miss."

apc s special to A
event e synchronization

lane A
  ran s -> r1   # once
  wait e

lane B
  queue s
  set e
  wait e

exists (A:r1 = 1)
"#;

#[test]
fn explore_reads_as_herd_and_shows_a_path_to_everything() {
    let free = RACE.replace("  set e\n  wait e\n", "  set e\n");
    let files = [("race.litmus", RACE), ("free.litmus", &free)];
    let folder = Folder::new("explore", &files);
    let answer = folder.apclab(&["explore", "free.litmus"]);
    answer
        .exits(0)
        .says("Test race Allowed\nStates 2\nA:r1=0;\nA:r1=1;\nOk\nWitnesses\n")
        .says("Positive: 1 Negative: 1\nCondition exists (A:r1 = 1)\n")
        .says("Observation race Sometimes 1 1\nTime race 0.")
        .says("Model documented: ")
        .says(" 0 deadlocks, 0 bug checks\n")
        .says("Outcome 1: A:r1=0;\n")
        .says("  A  ran s -> r1 = 0\n")
        .says("\nOutcome 2: A:r1=1;\n  B  queue s\n  A  s: kernel routine\n  A  ran s -> r1 = 1\n");
    assert!(!answer.stdout.contains("Flag"), "{}", answer.stdout);

    // Whichever lane takes the event, the other one waits for ever.
    folder
        .apclab(&["explore", "race.litmus"])
        .exits(1)
        .says("States 1\ndeadlock\nNo\n")
        .says("Flag deadlock\n")
        .says("\nDeadlock, one of ")
        .says("  wait e (waits on)\n");
    let document = folder
        .apclab(&["explore", "--format", "json", "race.litmus"])
        .exits(1)
        .json();
    assert_eq!(document["command"], "explore");
    assert_eq!(document["outcomes"], serde_json::json!([]));
    let path = document["deadlock_witness"].as_array().expect("a path");
    assert_eq!(path[0]["kind"], "begin");
    let brief = folder.apclab(&["explore", "--no-witnesses", "free.litmus"]);
    assert!(!brief.exits(0).stdout.contains("Outcome"));
}

#[test]
fn explore_looks_at_no_refused_program() {
    let folder = Folder::new("explore-refused", &[("open.litmus", REFUSED)]);
    folder
        .apclab(&["explore", "open.litmus"])
        .exits(0)
        .says("Test open Refused\nleft-open at A end (open.litmus:4:17)\n");
}

#[test]
fn the_profile_and_the_baseline_decide_what_explore_finds() {
    let question = "test q\n\nlane A\n  enter guarded\n  apcs-disabled -> r1\n  leave guarded\n\
                    \n  apcs-disabled -> r2\n\nexists (A:r1 = 1 /\\ A:r2 = 0)\n";
    let folder = Folder::new("profiles", &[("q.litmus", question)]);
    folder
        .apclab(&["explore", "q.litmus"])
        .exits(0)
        .says("States 2\n");
    folder
        .apclab(&["explore", "--profile", "nt52", "q.litmus"])
        .exits(0)
        .says("States 1\nA:r1=1; A:r2=0;\n");
    folder
        .apclab(&["explore", "--baseline", "-1,0", "q.litmus"])
        .exits(1)
        .says("States 1\nA:r1=1; A:r2=1;\n");
}

#[test]
fn a_trace_is_a_picture_with_lanes_steps_and_a_legend() {
    let folder = Folder::new("trace", &[("deferred.litmus", DEFERRED)]);
    let args = ["trace", "--on", "model", "deferred.litmus", "--svg"];
    folder.apclab(&[&args[..], &["out.svg"]].concat()).exits(0);
    let picture = fs::read_to_string(folder.0.join("out.svg")).expect("a picture");
    for text in [
        "lane A",
        "enter critical",
        "ran n -&gt; r1 = 0",
        "ran n -&gt; r2 = 1",
        "n: kernel routine",
        "n: normal routine",
        "critical region",
        "normal APC arrives and is queued",
        "model, outcome 1: A:r1=0; A:r2=1;",
    ] {
        assert!(picture.contains(text), "{text} in {picture}");
    }
    assert!(
        !picture.contains("guarded region"),
        "the legend has what occurs"
    );
    let printed = folder.apclab(&[&args[..], &["-"]].concat());
    assert_eq!(printed.exits(0).stdout, format!("{picture}\n"));
    folder
        .apclab(&args[..4])
        .exits(0)
        .says(
            "Trace deferred model, outcome 1: A:r1=0; A:r2=1;\n  A  enter critical\n  A  queue n\n",
        )
        .says("  A  leave critical\n  A  n: kernel routine\n  A  n: normal routine\n");
    folder
        .apclab(&[
            "trace",
            "--on",
            "model",
            "deferred.litmus",
            "--iteration",
            "2",
        ])
        .exits(1)
        .complains("there is no trace 2: deferred has 1 outcomes");
}

#[test]
fn what_the_condition_looks_for_is_traced() {
    let free = RACE.replace("  set e\n  wait e\n", "  set e\n");
    let folder = Folder::new("trace-wanted", &[("free.litmus", &free)]);
    let args = ["trace", "--on", "model", "free.litmus"];
    folder.apclab(&args).exits(0).says("outcome 2: A:r1=1;");
    folder
        .apclab(&[&args[..], &["--iteration", "1"]].concat())
        .exits(0)
        .says("outcome 1: A:r1=0;");
}

#[test]
fn junit_counts_failures_and_skipped_tests() {
    let wrong = DEFERRED
        .replacen("deferred", "wrong", 1)
        .replace("A:r2 = 1", "A:r2 = 0");
    let files = [
        ("a/deferred.litmus", DEFERRED),
        ("b/wrong.litmus", &wrong),
        ("c/open.litmus", REFUSED),
    ];
    let folder = Folder::new("junit", &files);
    let args = ["run", "--on", "model", "--format", "junit", "."];
    let answer = folder.apclab(&args);
    answer
        .exits(1)
        .says("<testsuite name=\"model\" tests=\"3\" skipped=\"0\" errors=\"0\" failures=\"1\"")
        .says("<testcase name=\"wrong\" classname=\"b\"")
        .says("<failure message=\"the condition does not hold\"/>")
        .says("1     *&gt;A:r1=0; A:r2=1;");
    let answer = folder.apclab(&[&args[..], &["--without-apc-routines"]].concat());
    answer.exits(0).says("tests=\"3\" skipped=\"2\"");
    assert_eq!(answer.stderr, "", "no progress where nobody sees it");
}

#[test]
fn html_is_one_page_with_source_histogram_and_trace() {
    let folder = Folder::new(
        "html",
        &[("deferred.litmus", DEFERRED), ("open.litmus", REFUSED)],
    );
    let answer = folder.apclab(&["run", "--on", "model", "--format", "html", "."]);
    answer
        .exits(0)
        .says("<!DOCTYPE html>")
        .says("2 tests: 2 ok")
        .says("  ran n -&gt; r1\n  leave critical\n")
        .says("Histogram (1 states)\n1     :&gt;A:r1=0; A:r2=1;")
        .says("<svg ")
        .says("model, outcome 1: A:r1=0; A:r2=1;")
        .says("no trace");
    let page = answer.stdout.replace("http://www.w3.org/2000/svg", "");
    for outside in ["<script", "http:", "https:", "src="] {
        assert!(!page.contains(outside), "{outside}");
    }
}

#[test]
fn threads_that_begin_with_apcs_disabled_cannot_run_what_queues() {
    let predicate = "test p\n\nlane A\n  apcs-disabled -> r1\n\nforall (A:r1 = 1)\n";
    let files = [("deferred.litmus", DEFERRED), ("p.litmus", predicate)];
    let folder = Folder::new("baseline", &files);
    folder
        .apclab(&["run", "--on", "model", "--baseline", "-1,0", "."])
        .exits(0)
        .says("not runnable here: the threads that run the lanes begin with APCs disabled")
        .says("2 tests on model: 1 ok, 1 not runnable\n");
    folder
        .apclab(&["run", "--on", "model", "--baseline", "1,0", "."])
        .exits(2)
        .complains("two numbers from -32768 to 0");
}

#[test]
fn only_the_host_has_schedules_and_calls_that_fail() {
    let folder = Folder::new("host-only", &[("deferred.litmus", DEFERRED)]);
    for option in [
        &["--schedule", "all"][..],
        &["--fail-each"],
        &["--fail", "3"],
    ] {
        let run = ["run", "--on", "model", "deferred.litmus"];
        folder
            .apclab(&[&run[..], option].concat())
            .exits(2)
            .complains("only --on host");
    }
}

const CROSSED: &str = r"test crossed

mutex m
mutex n

lane A
  acquire m
  acquire n
  release n
  release m

lane B
  acquire n
  acquire m
  release m
  release n

exists deadlock
";

#[test]
fn a_deadlock_is_an_outcome_to_a_condition_that_names_it() {
    let silent = CROSSED.replace("exists deadlock", "exists (true)");
    let files = [("named.litmus", CROSSED), ("silent.litmus", &silent)];
    let folder = Folder::new("deadlock", &files);
    let run = ["run", "--on", "model"];
    folder
        .apclab(&[&run[..], &["named.litmus"]].concat())
        .exits(0)
        .says("Histogram (2 states)\n1     :>\n1     *>deadlock\nOk\n")
        .says("Positive: 1, Negative: 1\n");
    folder
        .apclab(&[&run[..], &["silent.litmus"]].concat())
        .exits(1)
        .says("deadlocks, which the condition does not allow (");
}

#[test]
fn a_path_is_kept_drawn_and_gone_along_again() {
    let folder = Folder::new("witness", &[("crossed.litmus", CROSSED)]);
    let explore = |args: &[&str]| folder.apclab(&[&["explore", "crossed.litmus"], args].concat());
    let keep = ["--save-witness", "path", "--svg", "path.svg"];
    explore(&keep).exits(0).says("Flag deadlock\n");
    let path = fs::read_to_string(folder.0.join("path")).expect("a path");
    assert!(
        path.starts_with("# crossed, profile documented: deadlock\nstep "),
        "{path}"
    );
    let picture = fs::read_to_string(folder.0.join("path.svg")).expect("a picture");
    for text in ["model: deadlock", "KMUTEX owned", "waits"] {
        assert!(picture.contains(text), "{text} in {picture}");
    }
    explore(&["--replay", "path"])
        .exits(0)
        .says("Replay crossed: deadlock\n")
        .says("  acquire n (waits on)\n");
    let replayed = explore(&["--replay", "path", "--format", "json"]);
    assert_eq!(replayed.exits(0).json()["end"], "deadlock");
    explore(&["--witness", "1", "--save-witness", "good"]).exits(0);
    explore(&["--replay", "good"])
        .exits(0)
        .says("Replay crossed: \n");
    explore(&["--witness", "2", "--svg", "none.svg"])
        .exits(2)
        .complains("has found no such path");
    // Of a claim about all outcomes, the one that violates it.
    let free = RACE.replace("  set e\n  wait e\n", "  set e\n");
    let claim = free.replace("exists (A:r1 = 1)", "forall (A:r1 = 0)");
    fs::write(folder.0.join("claim.litmus"), claim).expect("a file");
    let kept = ["explore", "claim.litmus", "--save-witness", "against"];
    folder.apclab(&kept).exits(1);
    let gone = ["explore", "claim.litmus", "--replay", "against"];
    folder.apclab(&gone).exits(0).says("Replay race: A:r1=1;\n");
    fs::write(folder.0.join("bad"), "step 0\nbarrier\n").expect("a file");
    explore(&["--replay", "bad"])
        .exits(2)
        .complains("bad: event 2 (barrier) can't happen there");
    fs::write(folder.0.join("worse"), "step 0\njump\n").expect("a file");
    explore(&["--replay", "worse"])
        .exits(2)
        .complains("worse: line 2: `jump` is no event of a path");
}

#[test]
fn the_search_can_be_told_how() {
    let folder = Folder::new("search", &[("crossed.litmus", CROSSED)]);
    let explore = |args: &[&str]| {
        let explore = ["explore", "--format", "json", "crossed.litmus"];
        folder
            .apclab(&[&explore[..], args].concat())
            .exits(0)
            .json()
    };
    let plain = [
        "--no-por",
        "--no-symmetry",
        "--no-dead-values",
        "--threads",
        "1",
    ];
    let (reduced, plain) = (explore(&[]), explore(&plain));
    assert_eq!(
        (&reduced["partial_order"], &plain["partial_order"]),
        (&true.into(), &false.into())
    );
    assert_eq!(plain["threads"], 1);
    for same in ["outcomes", "condition"] {
        let values = |document: &serde_json::Value| match &document[same] {
            serde_json::Value::Array(outcomes) => {
                outcomes.iter().map(|it| it["values"].clone()).collect()
            }
            other => other.clone(),
        };
        assert_eq!(values(&reduced), values(&plain));
    }
    let states = |document: &serde_json::Value| document["states"].as_u64();
    assert!(states(&reduced) < states(&plain), "{reduced} {plain}");
}

#[test]
fn a_search_that_needs_too_much_memory_says_so() {
    let lane = |name: char| {
        let steps = "  load x -> r0\n  store x r0 + 1\n".repeat(12);
        format!("lane {name}\n{steps}\n")
    };
    let lanes: String = ['A', 'B', 'C', 'D', 'E'].map(lane).concat();
    let large = format!("test large\n\nvar x\n\n{lanes}exists (x = 1)\n");
    let folder = Folder::new("large", &[("large.litmus", &large)]);
    folder
        .apclab(&["explore", "large.litmus", "--memory", "4"])
        .exits(1)
        .complains("the search took more than 4 MiB of memory after ")
        .complains("raise the limit or make the test smaller");
}

#[test]
fn a_kernel_without_push_locks_runs_none() {
    let push = "test push\n\npush-lock p\n\nlane A\n  enter critical\n  acquire p shared\n  release p\n\
                \n  leave critical\n\nexists (true)\n";
    let folder = Folder::new("push-locks", &[("push.litmus", push)]);
    let run = ["run", "--on", "model", "push.litmus"];
    folder
        .apclab(&run)
        .exits(0)
        .says("1 tests on model: 1 ok\n");
    folder
        .apclab(&[&run[..], &["--without-push-locks"]].concat())
        .exits(0)
        .says("this kernel does not offer the routines of push locks")
        .says("1 tests on model: 0 ok, 1 not runnable\n");
    folder
        .apclab(&["info", "--on", "model", "--without-push-locks"])
        .exits(0)
        .says("push locks            not found\n")
        .says("deadlocks             end\n");
}

#[test]
fn a_system_without_special_user_apcs_runs_none() {
    let special = "test special\n\napc u special-user to A\n\nlane A caller\n  queue u\n  ran u -> r0\n\n\
                   forall (A:r0 = 1)\n";
    let folder = Folder::new("special-user-apcs", &[("special.litmus", special)]);
    let run = ["run", "--on", "model", "special.litmus"];
    folder
        .apclab(&run)
        .exits(0)
        .says("1 tests on model: 1 ok\n");
    folder
        .apclab(&[&run[..], &["--without-special-user-apcs"]].concat())
        .exits(0)
        .says("this system does not offer QueueUserAPC2")
        .says("1 tests on model: 0 ok, 1 not runnable\n");
}

#[test]
fn what_was_polled_is_labelled_so() {
    let folder = Folder::new("polled", &[("crossed.litmus", CROSSED)]);
    let polled = |format: &str| {
        folder.apclab(&[
            "run",
            "--on",
            "model",
            "--polled",
            "--format",
            format,
            "crossed.litmus",
        ])
    };
    let document = polled("json").exits(0).json();
    assert_eq!(document["tests"][0]["result"]["polled"], true);
    for format in ["text", "junit", "html"] {
        polled(format)
            .exits(0)
            .says("polled: waits for locks were loops of tries");
    }
}
