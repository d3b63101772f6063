//! Plans on a machine of paper.

use std::collections::BTreeSet;
use std::path::Path;

use proptest::prelude::*;

use super::state::Service;
use super::verifier::DriverVerifier;
use super::*;
use crate::device::node::{Node, NodeState};
use crate::setup::package::Package;

/// A machine that keeps in mind what is on it, and fails where it is told to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Paper {
    things: BTreeSet<&'static str>,
    fail_at: Option<Action>,
    restart_at: Option<Action>,
    performed: Vec<Action>,
}

const INSTANCE: &str = r"ROOT\SYSTEM\0007";

impl System for Paper {
    fn perform(&mut self, action: &Action) -> Result<Done, String> {
        if self.fail_at.as_ref() == Some(action) {
            return Err("told to".to_owned());
        }
        self.performed.push(action.clone());
        let (add, thing, undo) = match action {
            Action::CreateDevice => (true, "device", Some(remove_device())),
            Action::RemoveDevice { .. } => (false, "device", None),
            Action::InstallDriver { .. } => (true, "package", Some(remove_package())),
            Action::RemovePackage { .. } => (false, "package", None),
            Action::CheckDevice => return Ok(Done::default()),
            Action::DeleteService => (false, "service", None),
            Action::StandardVerifier => (true, "verifier", Some(Action::ResetVerifier)),
            Action::ResetVerifier => (false, "verifier", None),
            Action::KmdfVerifierOn => (true, "kmdf", Some(Action::KmdfVerifierOff)),
            Action::KmdfVerifierOff => (false, "kmdf", None),
        };
        let changed = if add {
            self.things.insert(thing)
        } else {
            self.things.remove(thing)
        };
        if !changed {
            return Err(format!("{thing} was so already"));
        }
        Ok(Done {
            undo,
            restart: self.restart_at.as_ref() == Some(action),
        })
    }
}

fn remove_device() -> Action {
    Action::RemoveDevice {
        instance: INSTANCE.to_owned(),
    }
}

fn remove_package() -> Action {
    Action::RemovePackage {
        inf: "oem7.inf".to_owned(),
    }
}

fn install() -> Plan {
    State::default().install(Path::new(r"C:\apclab\apclab.inf"))
}

fn installed() -> State {
    State {
        devices: vec![Node {
            instance: INSTANCE.to_owned(),
            state: NodeState::Started,
        }],
        packages: vec![Package {
            inf: "oem7.inf".to_owned(),
            version: None,
        }],
        service: Some(Service::Running),
        ..State::default()
    }
}

#[test]
fn what_an_install_does_an_uninstall_takes_away() {
    let mut machine = Paper::default();
    let mut told = Vec::new();
    let plan = install();
    let done = carry_out(&plan, &mut machine, &mut |action| told.push(action.clone()));
    assert_eq!(done, Ok(false));
    assert_eq!(told, plan.actions, "each step is told before it is done");
    machine.things.insert("service");
    assert_eq!(
        carry_out(&installed().uninstall(), &mut machine, &mut |_| {}),
        Ok(false)
    );
    assert_eq!(machine.things, BTreeSet::new());
}

#[test]
fn a_device_that_waits_for_a_restart_is_not_checked() {
    let plan = install();
    let mut machine = Paper {
        restart_at: plan.actions.get(1).cloned(),
        fail_at: Some(Action::CheckDevice),
        ..Paper::default()
    };
    assert_eq!(carry_out(&plan, &mut machine, &mut |_| {}), Ok(true));
}

#[test]
fn a_second_install_makes_no_second_device() {
    let plan = installed().install(Path::new("x.inf"));
    assert!(!plan.actions.contains(&Action::CreateDevice));
    assert!(plan.notes[0].contains(INSTANCE));
    let unsigned = State {
        test_signing: Some(false),
        ..State::default()
    };
    assert!(unsigned.install(Path::new("x.inf")).notes[0].contains("testsigning on"));
}

#[test]
fn nothing_installed_is_nothing_to_remove() {
    let plan = State::default().uninstall();
    assert!(plan.actions.is_empty());
    assert_eq!(plan.notes, ["nothing is installed"]);
}

#[test]
fn other_drivers_settings_are_not_touched() {
    let with = |drivers: &str, kmdf| State {
        verifier: DriverVerifier::of(Some(drivers), Some(1), kmdf),
        ..State::default()
    };
    for drivers in ["beep.sys", "apclab.sys beep.sys", "*"] {
        let refused = with(drivers, None).verifier_on().expect_err("not ours");
        assert!(refused.to_string().contains("verifier.exe"), "{refused}");
    }
    assert!(with("apclab.sys beep.sys", None).verifier_off().is_err());
    let off = with("beep.sys", None)
        .verifier_off()
        .expect("nothing to do");
    assert!(off.actions.is_empty());
    let off = with("apclab.sys", Some(1)).verifier_off().expect("ours");
    assert_eq!(
        off.actions,
        [Action::ResetVerifier, Action::KmdfVerifierOff]
    );
}

#[test]
fn changes_need_an_administrator() {
    let user = State {
        elevated: Some(false),
        ..State::default()
    };
    let refused = user.may_change().expect_err("not elevated");
    assert!(refused.is_unavailable() && refused.to_string().contains("elevated prompt"));
    assert_eq!(State::default().may_change(), Ok(()));
}

#[test]
fn steps_are_told_in_words_that_can_be_typed() {
    assert_eq!(
        Action::StandardVerifier.to_string(),
        "verifier /standard /driver apclab.sys"
    );
    assert_eq!(
        Action::KmdfVerifierOn.to_string(),
        r#"set VerifierOn = 1 and TrackHandles = "*" in HKLM\SYSTEM\CurrentControlSet\Services\apclab\Parameters\Wdf"#
    );
}

proptest! {
    /// Whichever step fails, the machine is what it was before.
    #[test]
    fn a_plan_that_fails_leaves_nothing_behind(verifier: bool, step in 0_usize..3) {
        let plan = if verifier {
            State::default().verifier_on().expect("nothing is verified")
        } else {
            install()
        };
        let failing = plan.actions[step.min(plan.actions.len() - 1)].clone();
        let mut machine = Paper { fail_at: Some(failing.clone()), ..Paper::default() };
        let stopped = carry_out(&plan, &mut machine, &mut |_| {}).expect_err("it fails");
        prop_assert_eq!(&stopped.action, &failing);
        prop_assert!(stopped.not_undone.is_empty());
        prop_assert_eq!(machine.things, BTreeSet::new());
    }
}
