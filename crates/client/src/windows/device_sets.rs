//! Device information sets: interfaces and devices, by SetupAPI, which every Windows has.
#![allow(unsafe_code, reason = "SetupAPI")]

use windows_sys::Win32::Devices::DeviceAndDriverInstallation as di;
use windows_sys::core::GUID;

use super::{Win32Error, check, length, narrow, size, wide};
use crate::device::node::{Node, NodeState};
use crate::device::problem::win32;
use crate::setup::HARDWARE_ID;
use crate::setup::package::multi_string;

/// The enumerator of devices below the root.
const ENUMERATOR: &str = "ROOT";

/// The longest instance ID, MAX_DEVICE_ID_LEN.
const INSTANCE_UNITS: usize = 200;

/// A device information set, destroyed at the end.
pub(super) struct Set(pub(super) di::HDEVINFO);

impl Drop for Set {
    fn drop(&mut self) {
        // SAFETY: the set is ours, and nothing uses it after this.
        let destroyed = unsafe { di::SetupDiDestroyDeviceInfoList(self.0) };
        debug_assert_ne!(destroyed, 0);
    }
}

impl Set {
    /// Takes a set that a function gave.
    fn own(set: di::HDEVINFO) -> Result<Self, Win32Error> {
        // INVALID_HANDLE_VALUE
        if set == -1 {
            Err(Win32Error::last())
        } else {
            Ok(Self(set))
        }
    }

    /// All devices below the root, also those that are not present.
    fn of_the_root() -> Result<Self, Win32Error> {
        let enumerator = wide(ENUMERATOR);
        // SAFETY: no class is allowed with DIGCF_ALLCLASSES; the string ends with a zero.
        Self::own(unsafe {
            di::SetupDiGetClassDevsW(
                std::ptr::null(),
                enumerator.as_ptr(),
                std::ptr::null_mut(),
                di::DIGCF_ALLCLASSES,
            )
        })
    }

    /// An empty set for devices of a class.
    pub(super) fn empty(class: &GUID) -> Result<Self, Win32Error> {
        // SAFETY: the GUID lives across the call; no window is allowed.
        Self::own(unsafe { di::SetupDiCreateDeviceInfoList(class, std::ptr::null_mut()) })
    }

    /// The device with that number.
    fn device(&self, number: u32) -> Result<Option<di::SP_DEVINFO_DATA>, Win32Error> {
        let mut device = blank();
        // SAFETY: the set is live, and the structure says its size.
        let found = unsafe { di::SetupDiEnumDeviceInfo(self.0, number, &raw mut device) };
        more(found).map(|found| found.then_some(device))
    }

    /// The hardware IDs of a device; none when it has none.
    fn hardware_ids(&self, device: &di::SP_DEVINFO_DATA) -> Vec<String> {
        let mut units = [0_u16; 1024];
        let mut needed = 0;
        // SAFETY: set and device belong together, and the buffer has the size that is told.
        let read = unsafe {
            di::SetupDiGetDeviceRegistryPropertyW(
                self.0,
                device,
                di::SPDRP_HARDWAREID,
                std::ptr::null_mut(),
                units.as_mut_ptr().cast(),
                size::<[u16; 1024]>(),
                &raw mut needed,
            )
        };
        if read == 0 {
            return Vec::new();
        }
        multi_string(units.get(..needed as usize / 2).unwrap_or(&units))
    }

    /// The instance ID of a device.
    pub(super) fn instance(&self, device: &di::SP_DEVINFO_DATA) -> Result<String, Win32Error> {
        let mut units = [0_u16; INSTANCE_UNITS];
        // SAFETY: set and device belong together, and the buffer has the size that is told.
        check(unsafe {
            di::SetupDiGetDeviceInstanceIdW(
                self.0,
                device,
                units.as_mut_ptr(),
                length(INSTANCE_UNITS)?,
                std::ptr::null_mut(),
            )
        })?;
        Ok(narrow(&units))
    }
}

/// A structure for a function to fill.
pub(super) fn blank() -> di::SP_DEVINFO_DATA {
    di::SP_DEVINFO_DATA {
        cbSize: size::<di::SP_DEVINFO_DATA>(),
        ..Default::default()
    }
}

/// The answer of an enumeration: whether there was another.
fn more(answer: i32) -> Result<bool, Win32Error> {
    match check(answer) {
        Ok(()) => Ok(true),
        Err(Win32Error(win32::NO_MORE_ITEMS)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The paths of the interfaces of a class that can be opened now.
///
/// # Errors
/// [`Win32Error`]: Windows does not tell.
pub(crate) fn interfaces(class: &GUID) -> Result<Vec<String>, Win32Error> {
    // SAFETY: the GUID lives across the call; neither enumerator nor window is needed.
    let set = Set::own(unsafe {
        di::SetupDiGetClassDevsW(
            class,
            std::ptr::null(),
            std::ptr::null_mut(),
            di::DIGCF_PRESENT | di::DIGCF_DEVICEINTERFACE,
        )
    })?;
    let mut paths = Vec::new();
    for number in 0.. {
        let mut interface = di::SP_DEVICE_INTERFACE_DATA {
            cbSize: size::<di::SP_DEVICE_INTERFACE_DATA>(),
            ..Default::default()
        };
        // SAFETY: the set is live, the structure says its size, and no device is allowed.
        let found = unsafe {
            di::SetupDiEnumDeviceInterfaces(
                set.0,
                std::ptr::null(),
                class,
                number,
                &raw mut interface,
            )
        };
        if !more(found)? {
            break;
        }
        paths.push(path(&set, &interface)?);
    }
    Ok(paths)
}

/// The path of an interface.
fn path(set: &Set, interface: &di::SP_DEVICE_INTERFACE_DATA) -> Result<String, Win32Error> {
    /// Room for the structure with a path behind its size, aligned as it wants to be.
    #[repr(C)]
    struct Detail {
        size: u32,
        path: [u16; 1024],
    }
    let mut detail = Detail {
        size: size::<di::SP_DEVICE_INTERFACE_DETAIL_DATA_W>(),
        path: [0; 1024],
    };
    // SAFETY: set and interface belong together; the buffer begins with the size of the fixed part,
    // as the reference wants it, and has the size that is told.
    check(unsafe {
        di::SetupDiGetDeviceInterfaceDetailW(
            set.0,
            interface,
            (&raw mut detail).cast(),
            size::<Detail>(),
            std::ptr::null_mut(),
            std::ptr::null_mut(),
        )
    })?;
    Ok(narrow(&detail.path))
}

/// Our devices.
///
/// # Errors
/// [`Win32Error`]: Windows does not tell.
pub(crate) fn ours() -> Result<Vec<Node>, Win32Error> {
    let set = Set::of_the_root()?;
    let mut nodes = Vec::new();
    for number in 0.. {
        let Some(device) = set.device(number)? else {
            break;
        };
        let ids = set.hardware_ids(&device);
        if ids.iter().any(|id| id.eq_ignore_ascii_case(HARDWARE_ID)) {
            nodes.push(Node {
                instance: set.instance(&device)?,
                state: state(&device),
            });
        }
    }
    Ok(nodes)
}

/// How a device is.
fn state(device: &di::SP_DEVINFO_DATA) -> NodeState {
    let (mut bits, mut problem) = (0, 0);
    // SAFETY: the two pointers are to locals.
    let answer =
        unsafe { di::CM_Get_DevNode_Status(&raw mut bits, &raw mut problem, device.DevInst, 0) };
    if answer == di::CR_SUCCESS {
        NodeState::of(bits, problem)
    } else {
        // The configuration manager has status for devices only that are in its tree.
        NodeState::NotPresent
    }
}
