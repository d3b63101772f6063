//! What a machine is called: by what its results depend on.

use apclab_client::Surroundings;
use apclab_client::surroundings::{Hypervisor, WindowsFacts};
use serde::Serialize;

use super::read::Source;
use crate::info;

/// A machine, or another target that was measured.
#[derive(Debug, Serialize)]
pub(super) struct Machine {
    /// What tells it from the others, part by part.
    pub(super) name: Vec<String>,
    pub(super) report: String,
    pub(super) apclab_version: String,
}

/// The machines of some reports. Those that would have one name get that of their file behind it.
pub(super) fn machines(sources: &[Source]) -> Vec<Machine> {
    let names: Vec<_> = sources.iter().map(name).collect();
    let machine = |(source, own): (&Source, &Vec<String>)| {
        let mut name = own.clone();
        if names.iter().filter(|other| *other == own).count() > 1 {
            name.push(source.path.display().to_string());
        }
        Machine {
            name,
            report: source.path.display().to_string(),
            apclab_version: source.apclab_version.clone(),
        }
    };
    sources.iter().zip(&names).map(machine).collect()
}

fn name(source: &Source) -> Vec<String> {
    let target = &source.target;
    let mut name = vec![target.name.clone()];
    if let Some(driver) = &target.driver {
        name.push(format!("kernel {}", info::version(driver.kernel)));
    }
    if let Some(surroundings) = &target.surroundings {
        name.extend(of_surroundings(surroundings));
    }
    name
}

fn of_surroundings(surroundings: &Surroundings) -> Vec<String> {
    let mut name = vec![match &surroundings.hypervisor {
        Hypervisor::Unknown => "hypervisor unknown".to_owned(),
        Hypervisor::None => "no hypervisor".to_owned(),
        Hypervisor::Present(name) => name.clone(),
    }];
    if let Some(windows) = &surroundings.windows {
        name.extend(of_windows(windows));
    }
    name
}

fn of_windows(windows: &WindowsFacts) -> Vec<String> {
    let mut name = Vec::new();
    if let Some(wine) = &windows.wine {
        name.push(format!("Wine {wine}"));
    }
    let integrity = match windows.memory_integrity {
        Some(true) => "on",
        Some(false) => "off",
        None => "unknown",
    };
    name.push(format!("HVCI {integrity}"));
    // The settings of other drivers have no bearing on ours.
    name.push(match &windows.driver_verifier {
        None => "Driver Verifier unknown".to_owned(),
        Some(verifier) if !verifier.has_the_driver() => "Driver Verifier off".to_owned(),
        Some(verifier) => match verifier.flags {
            None => "Driver Verifier on".to_owned(),
            Some(flags) => format!("Driver Verifier on ({flags:#x})"),
        },
    });
    name
}
