//! What the commands of a test machine say where there is none, and what they would do.
#![cfg(not(windows))]

mod common;

use common::Folder;

#[test]
fn other_systems_have_no_device() {
    let folder = Folder::new("no-device", &[]);
    for command in [
        &["info", "--on", "device"][..],
        &["matrix", "--on", "device"],
        &["status"],
        &["install"],
        &["uninstall"],
        &["verifier", "on"],
        &["verifier", "off"],
        &["status", "--format", "json"],
        &["verifier", "status"],
        &["verifier", "status", "--format", "json"],
    ] {
        let answer = folder.apclab(command);
        answer.exits(3).complains("error: ").complains("Windows");
        assert_eq!(answer.stdout, "");
    }
}

#[test]
fn a_dry_run_says_what_would_be_done() {
    let folder = Folder::new("dry-run", &[]);
    folder
        .apclab(&["install", "--dry-run", "--inf", "package/apclab.inf"])
        .exits(0)
        .says("would create the device Root\\apclab\n")
        .says("package/apclab.inf into the driver store")
        .says("nothing was changed\n");
    folder
        .apclab(&["uninstall", "--dry-run"])
        .exits(0)
        .says("note: nothing is installed\n");
    folder
        .apclab(&["verifier", "on", "--dry-run"])
        .exits(0)
        .says("would verifier /standard /driver apclab.sys\n")
        .says("VerifierOn = 1");
}

#[test]
fn options_of_simulated_machines_are_not_for_the_device() {
    let folder = Folder::new("device-options", &[]);
    folder
        .apclab(&["info", "--on", "device", "--baseline", "-1,0"])
        .exits(2)
        .complains("with --on device, Windows decides");
}
