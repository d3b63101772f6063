//! What a command does to a machine, step by step, and back.

use std::fmt;
use std::path::PathBuf;

use super::verifier::{KMDF_KEY, KMDF_TRACK_VALUE, KMDF_VERIFIER_VALUE, OFF, ON};
use super::{HARDWARE_ID, SERVICE};

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Makes the device below the root.
    CreateDevice,
    /// Puts the package into the driver store and gives the device its driver.
    InstallDriver {
        /// The package's INF, by its full path.
        inf: PathBuf,
    },
    /// Looks whether the device has started.
    CheckDevice,
    /// Removes a device.
    RemoveDevice {
        /// Its instance ID.
        instance: String,
    },
    /// Removes a package from the driver store.
    RemovePackage {
        /// The name of its INF there: `oemNN.inf`.
        inf: String,
    },
    /// Deletes the driver's service.
    DeleteService,
    /// Has Driver Verifier verify the driver.
    StandardVerifier,
    /// Has Driver Verifier verify nothing.
    ResetVerifier,
    /// Switches KMDF Verifier on.
    KmdfVerifierOn,
    /// Leaves KMDF Verifier to Windows again.
    KmdfVerifierOff,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateDevice => write!(f, "create the device {HARDWARE_ID}"),
            Self::InstallDriver { inf } => write!(
                f,
                "put {} into the driver store and give the device this driver",
                inf.display()
            ),
            Self::CheckDevice => write!(f, "check that the device has started"),
            Self::RemoveDevice { instance } => write!(f, "remove the device {instance}"),
            Self::RemovePackage { inf } => write!(f, "remove {inf} from the driver store"),
            Self::DeleteService => write!(f, "delete the service {SERVICE}"),
            Self::StandardVerifier => write!(f, "verifier {}", ON.join(" ")),
            Self::ResetVerifier => write!(f, "verifier {}", OFF.join(" ")),
            Self::KmdfVerifierOn => write!(
                f,
                r#"set {KMDF_VERIFIER_VALUE} = 1 and {KMDF_TRACK_VALUE} = "*" in HKLM\{KMDF_KEY}"#
            ),
            Self::KmdfVerifierOff => write!(
                f,
                r"delete {KMDF_VERIFIER_VALUE} and {KMDF_TRACK_VALUE} in HKLM\{KMDF_KEY}"
            ),
        }
    }
}

/// The steps of a command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// In this order.
    pub actions: Vec<Action>,
    /// What the user should know.
    pub notes: Vec<String>,
}

/// A step that has been done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// What takes it back; `None` when it changed nothing that could be taken back.
    pub undo: Option<Action>,
    /// Whether it needs a restart of Windows.
    pub restart: bool,
}

/// A machine on which steps are done.
pub trait System {
    /// Does a step.
    ///
    /// # Errors
    /// Why it could not be done, as a sentence; the machine is as it was before the step.
    fn perform(&mut self, action: &Action) -> Result<Done, String>;
}

/// Why a plan stopped, and what has become of the steps before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// The step that failed.
    pub action: Action,
    /// Why.
    pub why: String,
    /// The steps that were taken to undo those before it.
    pub undone: Vec<Action>,
    /// Those that failed, each with the reason.
    pub not_undone: Vec<(Action, String)>,
}

/// Carries a plan out; gives whether Windows has to be restarted for it to be in effect.
///
/// `before` is called ahead of each step, also of those that undo others.
///
/// # Errors
/// [`Stopped`]: a step failed, and those before it have been undone, the last one first.
pub fn carry_out(
    plan: &Plan,
    system: &mut dyn System,
    before: &mut dyn FnMut(&Action),
) -> Result<bool, Stopped> {
    let mut restart = false;
    let mut undo = Vec::new();
    for action in &plan.actions {
        if restart && *action == Action::CheckDevice {
            // A device that waits for a restart has not started, and need not have.
            continue;
        }
        before(action);
        match system.perform(action) {
            Ok(done) => {
                restart |= done.restart;
                undo.extend(done.undo);
            }
            Err(why) => return Err(take_back(action, why, undo, system, before)),
        }
    }
    Ok(restart)
}

fn take_back(
    failed: &Action,
    why: String,
    undo: Vec<Action>,
    system: &mut dyn System,
    before: &mut dyn FnMut(&Action),
) -> Stopped {
    let mut stopped = Stopped {
        action: failed.clone(),
        why,
        undone: Vec::new(),
        not_undone: Vec::new(),
    };
    for action in undo.into_iter().rev() {
        before(&action);
        match system.perform(&action) {
            Ok(_) => stopped.undone.push(action),
            Err(why) => stopped.not_undone.push((action, why)),
        }
    }
    stopped
}
