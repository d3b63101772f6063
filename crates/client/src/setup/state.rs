//! What is installed, and the plans that follow from it.

use std::path::Path;

use super::package::Package;
use super::plan::{Action, Plan};
use super::verifier::DriverVerifier;
use super::{DRIVER_FILE, SERVICE};
use crate::TargetError;
use crate::device::node::Node;

/// What is installed on a machine. The default is a machine where nothing is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Whether this process may change anything; `None` when it is not known.
    pub elevated: Option<bool>,
    /// Whether drivers with a test signature are loaded; `None` when it is not known.
    pub test_signing: Option<bool>,
    /// Our devices, also those that are not present.
    pub devices: Vec<Node>,
    /// Our packages in the driver store.
    pub packages: Vec<Package>,
    /// Whether the driver's service exists, and runs.
    pub service: Option<Service>,
    /// Driver Verifier's settings.
    pub verifier: DriverVerifier,
}

/// A driver's service that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// The driver is loaded.
    Running,
    /// The driver is not loaded.
    Stopped,
}

impl State {
    /// What installing takes.
    pub fn install(&self, inf: &Path) -> Plan {
        let mut plan = Plan::default();
        if self.test_signing == Some(false) {
            plan.notes.push(
                "test-signing is off: Windows will load the driver only with a signature of \
                 Microsoft's (`bcdedit /set testsigning on` and a restart switch it on)"
                    .to_owned(),
            );
        }
        match self.devices.as_slice() {
            [] => plan.actions.push(Action::CreateDevice),
            [device] => plan.notes.push(format!(
                "the device {} is there already and gets the driver",
                device.instance
            )),
            several => plan.notes.push(format!(
                "there are {} devices, and the driver serves one: `apclab uninstall` first is \
                 advisable",
                several.len()
            )),
        }
        plan.actions.push(Action::InstallDriver {
            inf: inf.to_owned(),
        });
        plan.actions.push(Action::CheckDevice);
        plan
    }

    /// What taking it away takes.
    pub fn uninstall(&self) -> Plan {
        let mut plan = Plan::default();
        let devices = self.devices.iter().map(|device| Action::RemoveDevice {
            instance: device.instance.clone(),
        });
        plan.actions.extend(devices);
        if self.service.is_some() {
            plan.actions.push(Action::DeleteService);
        }
        let packages = self.packages.iter().map(|package| Action::RemovePackage {
            inf: package.inf.clone(),
        });
        plan.actions.extend(packages);
        if plan.actions.is_empty() {
            plan.notes.push("nothing is installed".to_owned());
        }
        if self.verifier.has_the_driver() {
            plan.notes.push(format!(
                "Driver Verifier still verifies {DRIVER_FILE}: `apclab verifier off` ends that"
            ));
        }
        plan
    }

    /// What switching Driver Verifier on takes.
    ///
    /// # Errors
    /// [`TargetError::Failed`]: it verifies other drivers, whose settings would be lost.
    pub fn verifier_on(&self) -> Result<Plan, TargetError> {
        self.only_ours()?;
        let mut plan = Plan {
            actions: vec![Action::StandardVerifier, Action::KmdfVerifierOn],
            notes: Vec::new(),
        };
        if self.service.is_none() {
            plan.notes.push(format!(
                "there is no service {SERVICE} yet: `apclab install` makes it"
            ));
        }
        Ok(plan)
    }

    /// What switching Driver Verifier off takes.
    ///
    /// # Errors
    /// [`TargetError::Failed`]: it verifies other drivers, whose settings would be lost.
    pub fn verifier_off(&self) -> Result<Plan, TargetError> {
        let mut plan = Plan::default();
        if self.verifier.has_the_driver() {
            self.only_ours()?;
            plan.actions.push(Action::ResetVerifier);
        }
        if self.verifier.kmdf.is_some() {
            plan.actions.push(Action::KmdfVerifierOff);
        }
        if plan.actions.is_empty() {
            plan.notes
                .push(format!("{DRIVER_FILE} is not verified by anything"));
        }
        Ok(plan)
    }

    fn only_ours(&self) -> Result<(), TargetError> {
        let others = self.verifier.others();
        if others.is_empty() {
            return Ok(());
        }
        Err(TargetError::Failed(format!(
            "Driver Verifier verifies other drivers too ({}), and their settings would be lost: \
             change them with verifier.exe",
            others.join(", ")
        )))
    }

    /// That this process may change what it finds.
    ///
    /// # Errors
    /// [`TargetError::NotAvailable`]: it is not elevated.
    pub fn may_change(&self) -> Result<(), TargetError> {
        match self.elevated {
            Some(false) => Err(TargetError::NotAvailable(
                "only an administrator may do this: run it in an elevated prompt".to_owned(),
            )),
            Some(true) | None => Ok(()),
        }
    }
}
