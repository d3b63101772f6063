//! The machine that this runs on.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::package::{self, Package};
use super::verifier::{KMDF_KEY, KMDF_TRACK_VALUE, KMDF_VERIFIER_VALUE, OFF, ON};
use super::{Action, Done, State, System};
use crate::device::node::NodeState;
use crate::device::{DeviceTarget, problem};
use crate::windows::{Win32Error, device_sets, facts, installer, registry, service};

/// Exit codes of `verifier.exe`.
const VERIFIER_DONE: i32 = 0;
const VERIFIER_NEEDS_A_RESTART: i32 = 2;

/// What is installed.
///
/// # Errors
/// What Windows does not tell, as a sentence.
pub(super) fn observe() -> Result<State, String> {
    let told = |what: &str, error: Win32Error| format!("Windows does not tell {what}: {error}");
    Ok(State {
        elevated: facts::elevated(),
        test_signing: facts::test_signing(),
        devices: device_sets::ours().map_err(|error| told("its devices", error))?,
        packages: packages()?,
        service: service::state().map_err(|error| told("its services", error))?,
        verifier: facts::driver_verifier()
            .ok_or("Windows does not tell Driver Verifier's settings")?,
    })
}

/// The folder of Windows, and what is below it.
fn windows(below: &str) -> Result<PathBuf, String> {
    // The loader sets it for every process, as the shell's own tools rely on.
    std::env::var_os("SystemRoot")
        .map(|root| Path::new(&root).join(below))
        .ok_or_else(|| "the variable SystemRoot is not set".to_owned())
}

/// Our packages in the driver store, whose INFs are in Windows's folder INF.
fn packages() -> Result<Vec<Package>, String> {
    let folder = windows("INF")?;
    let unreadable = |why: std::io::Error| format!("{} cannot be read: {why}", folder.display());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name().to_string_lossy().to_lowercase();
        let is_inf = Path::new(&name).extension().is_some_and(|it| it == "inf");
        if is_inf && name.starts_with("oem") {
            let bytes = std::fs::read(entry.path()).map_err(unreadable)?;
            found.extend(package::ours(&name, &bytes));
        }
    }
    found.sort_by(|a, b| a.inf.cmp(&b.inf));
    Ok(found)
}

/// This machine.
pub(super) struct ThisSystem;

impl System for ThisSystem {
    fn perform(&mut self, action: &Action) -> Result<Done, String> {
        let text = |error: Win32Error| error.to_string();
        let restart = |restart| Done {
            undo: None,
            restart,
        };
        match action {
            Action::CreateDevice => installer::create()
                .map(|instance| undone_by(Action::RemoveDevice { instance }))
                .map_err(text),
            Action::InstallDriver { inf } => install(inf),
            Action::CheckDevice => check_device().map(|()| Done::default()),
            Action::RemoveDevice { instance } => {
                installer::remove(instance).map(restart).map_err(text)
            }
            Action::RemovePackage { inf } => installer::remove_package(inf)
                .map(|()| Done::default())
                .map_err(text),
            Action::DeleteService => service::delete().map(restart).map_err(text),
            Action::StandardVerifier => Ok(Done {
                undo: Some(Action::ResetVerifier),
                restart: verifier(&ON)?,
            }),
            Action::ResetVerifier => verifier(&OFF).map(restart),
            Action::KmdfVerifierOn => {
                let done = registry::write_number(KMDF_KEY, KMDF_VERIFIER_VALUE, 1)
                    .and_then(|()| registry::write_list(KMDF_KEY, KMDF_TRACK_VALUE, "*"));
                if let Err(error) = done {
                    // Whatever was written is taken back; the first error is the one to tell.
                    let _ = kmdf_off();
                    return Err(error.to_string());
                }
                Ok(Done {
                    undo: Some(Action::KmdfVerifierOff),
                    // The framework reads them when it loads the driver.
                    restart: true,
                })
            }
            Action::KmdfVerifierOff => kmdf_off().map(|()| restart(true)).map_err(text),
        }
    }
}

fn undone_by(undo: Action) -> Done {
    Done {
        undo: Some(undo),
        restart: false,
    }
}

fn kmdf_off() -> Result<(), Win32Error> {
    registry::delete(KMDF_KEY, KMDF_VERIFIER_VALUE)?;
    registry::delete(KMDF_KEY, KMDF_TRACK_VALUE)
}

/// Installs the package. When it fails, Windows may have put it into its store all the same: then it
/// is taken out again.
fn install(inf: &Path) -> Result<Done, String> {
    let before = packages()?;
    let installed = installer::update_driver(&inf.to_string_lossy());
    let new = packages()?
        .into_iter()
        .find(|package| !before.iter().any(|known| known.inf == package.inf));
    match installed {
        Ok(restart) => Ok(Done {
            undo: new.map(|package| Action::RemovePackage { inf: package.inf }),
            restart,
        }),
        Err(error) => {
            let mut why = problem::install(error.0, &error.text());
            if let Some(package) = new
                && let Err(error) = installer::remove_package(&package.inf)
            {
                why = format!(
                    "{why}; {} is left in the driver store: {error}",
                    package.inf
                );
            }
            Err(why)
        }
    }
}

/// Looks whether the device works: it has started, and the driver answers.
fn check_device() -> Result<(), String> {
    let devices = device_sets::ours().map_err(|error| error.to_string())?;
    for device in &devices {
        if device.state != NodeState::Started {
            return Err(format!("the device {}: {}", device.instance, device.state));
        }
    }
    DeviceTarget::open()
        .map(drop)
        .map_err(|error| error.to_string())
}

/// Runs `verifier.exe`; gives whether Windows has to be restarted.
fn verifier(arguments: &[&str]) -> Result<bool, String> {
    let program = windows(r"System32\verifier.exe")?;
    let output = Command::new(&program)
        .args(arguments)
        .output()
        .map_err(|why| format!("{} does not start: {why}", program.display()))?;
    match output.status.code() {
        Some(VERIFIER_DONE) => Ok(false),
        Some(VERIFIER_NEEDS_A_RESTART) => Ok(true),
        code => Err(format!(
            "verifier.exe ended with {}: {}",
            code.map_or_else(|| "no exit code".to_owned(), |code| code.to_string()),
            String::from_utf8_lossy(&output.stdout).trim()
        )),
    }
}
