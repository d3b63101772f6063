//! The program for Windows on a machine without our driver: under Wine, and on Windows itself.
#![cfg(windows)]

#[path = "../common/mod.rs"]
mod common;

#[cfg(target_vendor = "win7")]
mod imports;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use common::Folder;

/// What is installed on the machine: one test changes it.
static MACHINE: Mutex<()> = Mutex::new(());

fn machine() -> MutexGuard<'static, ()> {
    // A test that failed has told so itself.
    MACHINE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn a_device_that_is_not_installed_says_what_to_do() {
    let _machine = machine();
    let folder = Folder::new("no-device", &[]);
    for command in ["info", "matrix"] {
        let answer = folder.apclab(&[command, "--on", "device"]);
        answer
            .exits(3)
            .complains("error: the driver is not installed: run `apclab install`");
        assert_eq!(answer.stdout, "");
    }
    folder
        .apclab(&["status"])
        .exits(3)
        .says("device                none\n")
        .says("driver                does not answer: the driver is not installed");
    let answer = folder.apclab(&["status", "--format", "json"]);
    let document = answer.exits(3).json();
    assert_eq!(document["command"], "status");
    assert_eq!(document["exit_code"], 3);
    assert_eq!(document["devices"], serde_json::json!([]));
    assert_eq!(document["driver"]["answers"], false);
}

#[test]
fn the_device_is_the_default_and_the_host_says_where_it_is_available() {
    let _machine = machine();
    let folder = Folder::new("default", &[]);
    folder
        .apclab(&["info"])
        .exits(3)
        .complains("the driver is not installed");
    folder
        .apclab(&["info", "--on", "host"])
        .exits(3)
        .complains("the host is available on x86-64 Linux only");
}

#[test]
fn nothing_is_installed_so_that_nothing_is_removed() {
    let _machine = machine();
    let folder = Folder::new("nothing", &[]);
    folder
        .apclab(&["uninstall"])
        .exits(0)
        .says("note: nothing is installed\n");
    folder
        .apclab(&["verifier", "status"])
        .exits(0)
        .says("Driver Verifier       off\n");
    let document = folder
        .apclab(&["verifier", "status", "--format", "json"])
        .exits(0)
        .json();
    assert_eq!(
        document["driver_verifier"]["drivers"],
        serde_json::json!([])
    );
    folder
        .apclab(&["verifier", "off"])
        .exits(0)
        .says("note: apclab.sys is not verified by anything\n");
}

#[test]
fn dry_runs_change_nothing() {
    let _machine = machine();
    let folder = Folder::new("dry-run", &[]);
    folder
        .apclab(&["install", "--dry-run", "--inf", "apclab.inf"])
        .exits(0)
        .says("would create the device Root\\apclab\n")
        .says("nothing was changed\n");
    folder
        .apclab(&["verifier", "on", "--dry-run"])
        .exits(0)
        .says("would verifier /standard /driver apclab.sys\n");
    folder
        .apclab(&["status"])
        .exits(3)
        .says("device                none\n");
    folder
        .apclab(&["install", "--inf", "no-such.inf"])
        .exits(2)
        .complains("name the package's INF with --inf");
}

#[test]
fn the_suite_runs_on_the_model() {
    let folder = Folder::new("suite", &[]);
    let suite = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../litmus");
    let suite = suite.to_str().expect("a path in Unicode");
    let answer = folder.apclab(&["run", suite, "--on", "model", "--format", "json"]);
    let document = answer.exits(0).json();
    let tests = document["tests"].as_array().expect("a list");
    assert!(tests.len() > 100, "{} tests", tests.len());
    assert!(
        !answer.stdout.contains('\u{1b}'),
        "no colour off a terminal"
    );
    assert_eq!(answer.stderr, "", "no progress off a terminal");
}

/// Wine makes the device and takes the package, but has nobody who would start the driver: the step that
/// looks for that fails, and what was done before it is undone.
#[test]
fn an_install_that_fails_is_undone() {
    // On Windows itself a test has no business with what is installed.
    if !Path::new(r"C:\windows\system32\wineboot.exe").exists() {
        return;
    }
    let _machine = machine();
    let inf = include_str!("../../../../inf/apclab.inx")
        .replace("$ARCH$", "amd64")
        .replace("$KMDFVERSION$", "1.15")
        .replace("; stampinf sets it", "11/21/2026,1.0.0.0");
    let files = [
        ("apclab.inf", inf.as_str()),
        ("apclab.sys", "no driver"),
        ("apclab.cat", "no catalog"),
    ];
    let folder = Folder::new("install", &files);
    folder
        .apclab(&["install", "--inf", "apclab.inf"])
        .exits(1)
        .says("create the device Root\\apclab\nput ")
        .says("check that the device has started\nremove the device ROOT\\SYSTEM\\")
        .complains("error: could not check that the device has started: the device ROOT\\SYSTEM\\")
        .complains("what was done before it has been undone");
    folder
        .apclab(&["status"])
        .exits(3)
        .says("device                none\n");
}
