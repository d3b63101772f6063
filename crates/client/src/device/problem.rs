//! What Windows says when something does not work, as sentences that say what to do.

use super::node::{Node, NodeState};
use crate::TargetError;

/// Win32 error codes (reference page "System Error Codes" and `setupapi.h`).
pub mod win32 {
    /// ERROR_FILE_NOT_FOUND.
    pub const FILE_NOT_FOUND: u32 = 2;
    /// ERROR_PATH_NOT_FOUND.
    pub const PATH_NOT_FOUND: u32 = 3;
    /// ERROR_ACCESS_DENIED.
    pub const ACCESS_DENIED: u32 = 5;
    /// ERROR_BAD_COMMAND: the device is being removed or restarted.
    pub const BAD_COMMAND: u32 = 22;
    /// ERROR_SHARING_VIOLATION.
    pub const SHARING_VIOLATION: u32 = 32;
    /// ERROR_NO_MORE_ITEMS.
    pub const NO_MORE_ITEMS: u32 = 259;
    /// ERROR_NO_SYSTEM_RESOURCES.
    pub const NO_SYSTEM_RESOURCES: u32 = 1450;
    /// ERROR_NO_SUCH_DEVINST.
    pub const NO_SUCH_DEVICE: u32 = 0xE000_020B;
    /// ERROR_NO_CATALOG_FOR_OEM_INF.
    pub const NO_CATALOG: u32 = 0xE000_022F;
    /// ERROR_INVALID_TARGET.
    pub const INVALID_TARGET: u32 = 0xE000_0233;
    /// ERROR_IN_WOW64.
    pub const IN_WOW64: u32 = 0xE000_0235;
    /// ERROR_AUTHENTICODE_TRUSTED_PUBLISHER.
    pub const TRUSTED_PUBLISHER: u32 = 0xE000_0241;
    /// ERROR_AUTHENTICODE_TRUST_NOT_ESTABLISHED.
    pub const TRUST_NOT_ESTABLISHED: u32 = 0xE000_0242;
    /// ERROR_AUTHENTICODE_PUBLISHER_NOT_TRUSTED.
    pub const PUBLISHER_NOT_TRUSTED: u32 = 0xE000_0243;
    /// CERT_E_UNTRUSTEDROOT.
    pub const UNTRUSTED_ROOT: u32 = 0x800B_0109;
    /// TRUST_E_NOSIGNATURE.
    pub const NO_SIGNATURE: u32 = 0x800B_0100;
    /// ERROR_DRIVER_STORE_ADD_FAILED.
    pub const STORE_ADD_FAILED: u32 = 0xE000_0247;
}

/// Why the device could not be opened.
///
/// * `error`: the Win32 error of the attempt.
/// * `devices`: our devices, as the Plug and Play manager knows them.
/// * `elevated`: whether this process is elevated, if that is known.
/// * `system`: what the system calls the error.
pub fn open(error: u32, devices: &[Node], elevated: Option<bool>, system: &str) -> TargetError {
    let sentence = match error {
        win32::FILE_NOT_FOUND | win32::PATH_NOT_FOUND => missing(devices),
        win32::ACCESS_DENIED if elevated == Some(true) => {
            "access to the device was denied, although this process is elevated: the security \
             descriptor of the device is not the one that apclab.inf sets; install it again with \
             `apclab install`"
                .to_owned()
        }
        win32::ACCESS_DENIED => {
            "access to the device was denied: only administrators may open it, \
                                 so run this in an elevated prompt"
                .to_owned()
        }
        win32::BAD_COMMAND => {
            "the device is being removed or restarted: try again, or look with `apclab status`"
                .to_owned()
        }
        win32::NO_SYSTEM_RESOURCES => {
            "the driver got no memory for another handle: close other programs that use the device"
                .to_owned()
        }
        other => format!("the device could not be opened: {system} (error {other})"),
    };
    TargetError::NotAvailable(sentence)
}

/// There is no device to open.
fn missing(devices: &[Node]) -> String {
    let Some(node) = devices.first() else {
        return "the driver is not installed: run `apclab install` in an elevated prompt; \
                docs/windows.md says what Windows needs for it"
            .to_owned();
    };
    match node.state {
        NodeState::Started => format!(
            "the device {} has started, but it has neither the interface nor the name of this \
             version's driver: install the driver that belongs to this program with `apclab install`",
            node.instance
        ),
        state => format!(
            "the driver is installed, but its device {} does not work: {state}",
            node.instance
        ),
    }
}

/// Why the driver could not be installed.
///
/// * `error`: the Win32 error of SetupAPI or newdev.
/// * `system`: what the system calls it.
pub fn install(error: u32, system: &str) -> String {
    let hint = match error {
        win32::FILE_NOT_FOUND | win32::PATH_NOT_FOUND => {
            "there is no such INF, or a file that it names is missing beside it"
        }
        win32::ACCESS_DENIED => "run this in an elevated prompt",
        win32::NO_MORE_ITEMS => "the driver that the device has is no older than this one",
        win32::NO_SUCH_DEVICE => {
            "the INF has no driver for the device on this Windows: it needs Windows 10 version 2004 \
             (build 19041) or later, 64 bits"
        }
        win32::IN_WOW64 => "this is the 32-bit program on a 64-bit Windows: use the 64-bit one",
        win32::NO_CATALOG | win32::NO_SIGNATURE => {
            "the package has no signed catalog: apclab.cat has to be beside the INF"
        }
        win32::TRUSTED_PUBLISHER
        | win32::TRUST_NOT_ESTABLISHED
        | win32::PUBLISHER_NOT_TRUSTED
        | win32::UNTRUSTED_ROOT
        | win32::INVALID_TARGET => {
            "Windows does not trust the package's certificate: put the .cer into the stores Root \
             and TrustedPublisher with `certutil -addstore`"
        }
        win32::STORE_ADD_FAILED => {
            "Windows did not take the package into its driver store: \
             C:\\Windows\\INF\\setupapi.dev.log says why"
        }
        _ => return format!("{system} (error {error:#x})"),
    };
    format!("{hint} ({system}, error {error:#x})")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::node::UNSIGNED_DRIVER;

    fn node(state: NodeState) -> Vec<Node> {
        vec![Node {
            instance: r"ROOT\SYSTEM\0001".to_owned(),
            state,
        }]
    }

    #[test]
    fn a_missing_device_says_why_it_is_missing() {
        let said = |devices: &[Node]| {
            let error = open(win32::FILE_NOT_FOUND, devices, None, "not found");
            assert!(error.is_unavailable());
            error.to_string()
        };
        assert!(said(&[]).starts_with("the driver is not installed: run `apclab install`"));
        assert!(said(&node(NodeState::Problem(UNSIGNED_DRIVER))).contains("testsigning on"));
        assert!(said(&node(NodeState::NotPresent)).contains("not present"));
        assert!(said(&node(NodeState::Started)).contains("this version's driver"));
    }

    #[test]
    fn denied_access_tells_who_may() {
        let said = |elevated| open(win32::ACCESS_DENIED, &[], elevated, "").to_string();
        assert!(said(Some(false)).contains("elevated prompt"));
        assert!(said(None).contains("elevated prompt"));
        assert!(said(Some(true)).contains("security descriptor"));
        let other = open(31, &[], None, "not functioning").to_string();
        assert!(other.ends_with("not functioning (error 31)"));
    }

    #[test]
    fn failed_installs_say_what_to_do() {
        assert!(install(win32::UNTRUSTED_ROOT, "x").contains("certutil"));
        assert!(install(win32::NO_SUCH_DEVICE, "x").contains("19041"));
        assert_eq!(install(31, "strange"), "strange (error 0x1f)");
    }
}
