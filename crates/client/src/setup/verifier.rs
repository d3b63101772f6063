//! Driver Verifier's settings, as the registry keeps them, and in words.
//!
//! They are read from the registry and written by `verifier.exe`: that is the interface which
//! Microsoft documents, and newer versions keep more than these two values.

use serde::{Deserialize, Serialize};

use super::DRIVER_FILE;

/// Below `HKEY_LOCAL_MACHINE`: where Windows keeps the two values that follow.
pub const SETTINGS_KEY: &str =
    r"SYSTEM\CurrentControlSet\Control\Session Manager\Memory Management";
/// A string: the drivers that are verified, blanks between them; `*` is all.
pub const DRIVERS_VALUE: &str = "VerifyDrivers";
/// A number: the flags.
pub const FLAGS_VALUE: &str = "VerifyDriverLevel";

/// Below `HKEY_LOCAL_MACHINE`: the framework's settings for the driver (reference page "Registry
/// Values for Debugging WDF Drivers").
pub const KMDF_KEY: &str = r"SYSTEM\CurrentControlSet\Services\apclab\Parameters\Wdf";
/// A number: whether KMDF Verifier is on.
pub const KMDF_VERIFIER_VALUE: &str = "VerifierOn";
/// Strings: of which handles the framework tracks references; `*` is all.
pub const KMDF_TRACK_VALUE: &str = "TrackHandles";

/// What `verifier.exe` is told to verify the driver with its standard flags. These include DDI
/// compliance checking (reference page "Driver Verifier Command Syntax").
pub const ON: [&str; 3] = ["/standard", "/driver", DRIVER_FILE];
/// What `verifier.exe` is told to verify nothing.
pub const OFF: [&str; 1] = ["/reset"];

/// What Driver Verifier is set to. Settings are in effect from the next start of Windows on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriverVerifier {
    /// The drivers that are verified, in lower case.
    pub drivers: Vec<String>,
    /// The flags, when there are any.
    pub flags: Option<u32>,
    /// Whether KMDF Verifier is switched on for the driver; `None` when Driver Verifier decides.
    pub kmdf: Option<bool>,
}

/// The flags (reference page "Driver Verifier Options") in the order of their bits.
const FLAGS: [(u32, &str); 22] = [
    (0x1, "special pool"),
    (0x2, "force IRQL checking"),
    (0x4, "low resources simulation"),
    (0x8, "pool tracking"),
    (0x10, "I/O verification"),
    (0x20, "deadlock detection"),
    (0x40, "enhanced I/O verification"),
    (0x80, "DMA checking"),
    (0x100, "security checks"),
    (0x200, "force pending I/O requests"),
    (0x400, "IRP logging"),
    (0x800, "miscellaneous checks"),
    (0x2000, "invariant MDL checking for stack"),
    (0x4000, "invariant MDL checking for driver"),
    (0x8000, "power framework delay fuzzing"),
    (0x1_0000, "port/miniport interface checking"),
    (0x2_0000, "DDI compliance checking"),
    (0x4_0000, "systematic low resources simulation"),
    (0x8_0000, "DDI compliance checking (additional)"),
    (0x20_0000, "NDIS/WIFI verification"),
    (0x80_0000, "kernel synchronization delay fuzzing"),
    (0x100_0000, "VM switch verification"),
];

impl DriverVerifier {
    /// The settings as the registry has them.
    pub fn of(drivers: Option<&str>, flags: Option<u32>, kmdf: Option<u32>) -> Self {
        Self {
            drivers: drivers
                .unwrap_or("")
                .split_whitespace()
                .map(str::to_lowercase)
                .collect(),
            flags,
            kmdf: kmdf.map(|value| value != 0),
        }
    }

    /// Whether the driver is verified.
    pub fn has_the_driver(&self) -> bool {
        self.drivers
            .iter()
            .any(|name| name == DRIVER_FILE || name == "*")
    }

    /// The other drivers that are verified.
    pub fn others(&self) -> Vec<&str> {
        let names = self.drivers.iter().map(String::as_str);
        names.filter(|name| *name != DRIVER_FILE).collect()
    }

    /// The settings in words.
    pub fn text(&self) -> String {
        if self.drivers.is_empty() {
            return "off".to_owned();
        }
        let flags = self.flags.unwrap_or(0);
        format!(
            "{} with flags {flags:#x}: {}",
            self.drivers.join(", "),
            flag_names(flags)
        )
    }

    /// KMDF Verifier's setting in words.
    pub const fn kmdf_text(&self) -> &'static str {
        match self.kmdf {
            Some(true) => "on",
            Some(false) => "off",
            None if self.drivers.is_empty() => "off",
            None => "as Driver Verifier has it",
        }
    }
}

/// The flags by name.
fn flag_names(flags: u32) -> String {
    let known = FLAGS.iter().filter(|(bit, _)| flags & bit != 0);
    let mut names: Vec<_> = known.map(|(_, name)| (*name).to_owned()).collect();
    let rest = FLAGS.iter().fold(flags, |rest, (bit, _)| rest & !bit);
    if rest != 0 {
        names.push(format!("unnamed {rest:#x}"));
    }
    if names.is_empty() {
        names.push("no flag".to_owned());
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standard_flags_have_the_names_of_the_reference() {
        let names = flag_names(0x209BB);
        assert_eq!(
            names,
            "special pool, force IRQL checking, pool tracking, I/O verification, deadlock \
             detection, DMA checking, security checks, miscellaneous checks, DDI compliance checking"
        );
        assert_eq!(flag_names(0x8000_0001), "special pool, unnamed 0x80000000");
        assert_eq!(flag_names(0), "no flag");
    }

    #[test]
    fn settings_are_told_apart() {
        let ours = DriverVerifier::of(Some("APCLAB.sys"), Some(0x209BB), None);
        assert!(ours.has_the_driver() && ours.others().is_empty());
        assert_eq!(ours.kmdf_text(), "as Driver Verifier has it");
        let both = DriverVerifier::of(Some(" apclab.sys beep.sys "), Some(1), Some(1));
        assert_eq!(both.others(), ["beep.sys"]);
        assert_eq!(both.kmdf_text(), "on");
        let all = DriverVerifier::of(Some("*"), Some(1), Some(0));
        assert!(all.has_the_driver());
        assert_eq!(all.others(), ["*"]);
        let none = DriverVerifier::of(None, None, None);
        assert_eq!((none.text().as_str(), none.kmdf_text()), ("off", "off"));
        assert!(!none.has_the_driver());
    }
}
