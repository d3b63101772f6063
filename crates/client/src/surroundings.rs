//! What a result depends on, beside target and driver.

use serde::{Deserialize, Serialize};

/// What a result depends on, as far as it could be found out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Surroundings {
    /// How requests reach the driver.
    pub handle: String,
    /// Whether processors are shared with others, who may stop one at any instruction.
    pub hypervisor: Hypervisor,
    /// Processors that threads of this process may run on; 0 when that is not known.
    pub processors: usize,
    /// What only Windows has.
    pub windows: Option<WindowsFacts>,
}

/// Whether a hypervisor runs below the system, as the processor says (CPUID leaf 1, ECX bit 31, and
/// leaf 0x40000000).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", from = "String")]
pub enum Hypervisor {
    /// The processor does not say.
    #[default]
    Unknown,
    /// There is none.
    None,
    /// One that calls itself so.
    Present(String),
}

/// What Windows says of itself. `None` everywhere is "unknown": the system does not tell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowsFacts {
    /// The kernel's version as user mode is told: major, minor, build.
    pub version: Option<[u32; 3]>,
    /// The version of Wine, if this is Wine.
    pub wine: Option<String>,
    /// Whether this process has an elevated token.
    pub elevated: Option<bool>,
    /// Whether drivers with a test signature are loaded.
    pub test_signing: Option<bool>,
    /// Whether the hypervisor keeps kernel code unchangeable: memory integrity, HVCI.
    pub memory_integrity: Option<bool>,
    /// What Driver Verifier is set to; `None` when the registry cannot be read.
    pub driver_verifier: Option<crate::setup::verifier::DriverVerifier>,
    /// User-mode routines that not every Windows has, and whether they are here.
    pub optional_routines: Vec<(String, bool)>,
}

impl Surroundings {
    /// What can be found out on every system.
    pub fn of_the_processor(handle: impl Into<String>) -> Self {
        Self {
            handle: handle.into(),
            hypervisor: Hypervisor::here(),
            processors: std::thread::available_parallelism().map_or(0, usize::from),
            windows: None,
        }
    }
}

impl Hypervisor {
    #[cfg(target_arch = "x86_64")]
    fn here() -> Self {
        let cpuid = raw_cpuid::CpuId::new();
        match cpuid.get_feature_info() {
            None => Self::Unknown,
            Some(features) if !features.has_hypervisor() => Self::None,
            Some(_) => Self::Present(
                cpuid
                    .get_hypervisor_info()
                    .map_or_else(|| "without a name".to_owned(), |info| name(&info)),
            ),
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    const fn here() -> Self {
        Self::Unknown
    }

    /// The answer in words.
    pub fn text(&self) -> String {
        match self {
            Self::Unknown => "unknown".to_owned(),
            Self::None => "none".to_owned(),
            Self::Present(name) => name.clone(),
        }
    }
}

impl From<Hypervisor> for String {
    fn from(hypervisor: Hypervisor) -> Self {
        hypervisor.text()
    }
}

/// Reads what [`Hypervisor::text`] writes.
impl From<String> for Hypervisor {
    fn from(text: String) -> Self {
        match text.as_str() {
            "unknown" => Self::Unknown,
            "none" => Self::None,
            _ => Self::Present(text),
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn name(info: &raw_cpuid::HypervisorInfo<raw_cpuid::native_cpuid::CpuIdReaderNative>) -> String {
    use raw_cpuid::Hypervisor as Known;
    match info.identify() {
        Known::HyperV => "Hyper-V".to_owned(),
        Known::KVM => "KVM".to_owned(),
        Known::VMware => "VMware".to_owned(),
        Known::Xen => "Xen".to_owned(),
        Known::QEMU => "QEMU without acceleration".to_owned(),
        Known::Bhyve => "bhyve".to_owned(),
        Known::QNX => "QNX".to_owned(),
        Known::ACRN => "ACRN".to_owned(),
        Known::Unknown(b, c, d) => {
            let letters = [b, c, d].map(u32::to_le_bytes).concat();
            String::from_utf8_lossy(&letters)
                .trim_end_matches('\0')
                .to_owned()
        }
    }
}

/// Bits of `CodeIntegrityOptions` (reference page `NtQuerySystemInformation`,
/// SYSTEM_CODEINTEGRITY_INFORMATION).
pub mod code_integrity {
    /// CODEINTEGRITY_OPTION_ENABLED.
    pub const ENABLED: u32 = 0x1;
    /// CODEINTEGRITY_OPTION_TESTSIGN.
    pub const TEST_SIGNING: u32 = 0x2;
    /// CODEINTEGRITY_OPTION_HVCI_KMCI_ENABLED.
    pub const MEMORY_INTEGRITY: u32 = 0x400;

    /// Whether test-signed drivers are loaded: also when signatures are not looked at.
    pub const fn test_signing(options: u32) -> bool {
        options & TEST_SIGNING != 0 || options & ENABLED == 0
    }

    /// Whether memory integrity is on.
    pub const fn memory_integrity(options: u32) -> bool {
        options & MEMORY_INTEGRITY != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_integrity_is_read_bit_by_bit() {
        use code_integrity::{memory_integrity, test_signing};
        assert!(!test_signing(0x1) && !memory_integrity(0x1));
        assert!(test_signing(0x3));
        assert!(test_signing(0), "signatures are not looked at");
        assert!(memory_integrity(0x401) && !test_signing(0x401));
    }

    #[test]
    fn a_hypervisor_is_read_as_it_was_written() {
        let named = Hypervisor::Present("Hyper-V".to_owned());
        for hypervisor in [Hypervisor::Unknown, Hypervisor::None, named] {
            assert_eq!(Hypervisor::from(hypervisor.text()), hypervisor);
        }
    }

    #[test]
    fn this_processor_says_something() {
        let here = Surroundings::of_the_processor("none");
        assert!(here.processors > 0);
        assert!(!here.hypervisor.text().is_empty());
        assert_eq!(here.windows, None);
    }
}
