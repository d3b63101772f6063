//! Makes and removes the device, its driver and its package, by SetupAPI and newdev.
#![allow(unsafe_code, reason = "SetupAPI and newdev")]

use std::ffi::c_void;

use windows_sys::Win32::Devices::DeviceAndDriverInstallation as di;
use windows_sys::core::GUID;

use super::device_sets::{Set, blank};
use super::{Win32Error, check, length, library, size, wide};
use crate::setup::HARDWARE_ID;

/// The class System, as apclab.inf has it.
static CLASS: GUID = GUID {
    data1: 0x4D36_E97D,
    data2: 0xE325,
    data3: 0x11CE,
    data4: [0xBF, 0xC1, 0x08, 0x00, 0x2B, 0xE1, 0x03, 0x18],
};

/// The name from which Windows makes the instance ID of the device.
const DEVICE_NAME: &str = "SYSTEM";

/// Makes the device below the root; gives its instance ID.
///
/// # Errors
/// [`Win32Error`]: nothing was made.
pub(crate) fn create() -> Result<String, Win32Error> {
    let set = Set::empty(&CLASS)?;
    let name = wide(DEVICE_NAME);
    let mut device = blank();
    // SAFETY: the set is live, GUID and string live across the call, the structure says its size.
    check(unsafe {
        di::SetupDiCreateDeviceInfoW(
            set.0,
            name.as_ptr(),
            &raw const CLASS,
            std::ptr::null(),
            std::ptr::null_mut(),
            di::DICD_GENERATE_ID,
            &raw mut device,
        )
    })?;
    // A list of one string.
    let mut ids = wide(HARDWARE_ID);
    ids.push(0);
    // SAFETY: set and device belong together, and the buffer has the size that is told.
    check(unsafe {
        di::SetupDiSetDeviceRegistryPropertyW(
            set.0,
            &raw mut device,
            di::SPDRP_HARDWAREID,
            ids.as_ptr().cast(),
            length(ids.len() * 2)?,
        )
    })?;
    // Until it is registered the device lives in the set only.
    // SAFETY: set and device belong together.
    check(unsafe {
        di::SetupDiCallClassInstaller(di::DIF_REGISTERDEVICE, set.0, &raw const device)
    })?;
    set.instance(&device)
}

/// Removes a device; gives whether Windows has to be restarted.
///
/// # Errors
/// [`Win32Error`]: it was not removed.
pub(crate) fn remove(instance: &str) -> Result<bool, Win32Error> {
    let set = Set::empty(&CLASS)?;
    let instance = wide(instance);
    let mut device = blank();
    // SAFETY: the set is live, the string ends with a zero, the structure says its size.
    check(unsafe {
        di::SetupDiOpenDeviceInfoW(
            set.0,
            instance.as_ptr(),
            std::ptr::null_mut(),
            0,
            &raw mut device,
        )
    })?;
    let remove = di::SP_REMOVEDEVICE_PARAMS {
        ClassInstallHeader: di::SP_CLASSINSTALL_HEADER {
            cbSize: size::<di::SP_CLASSINSTALL_HEADER>(),
            InstallFunction: di::DIF_REMOVE,
        },
        Scope: di::DI_REMOVEDEVICE_GLOBAL,
        HwProfile: 0,
    };
    // SAFETY: set and device belong together; the parameters begin with their header and have the
    // size that is told.
    let scoped = check(unsafe {
        di::SetupDiSetClassInstallParamsW(
            set.0,
            &raw const device,
            (&raw const remove).cast(),
            size::<di::SP_REMOVEDEVICE_PARAMS>(),
        )
    });
    if scoped.is_err() {
        // A partial implementation may have no parameters for class installers, and then no class
        // installers either: this is what the system does where no installer does otherwise. The
        // device has left the set then, so that nothing more can be asked of it.
        // SAFETY: set and device belong together.
        check(unsafe { di::SetupDiRemoveDevice(set.0, &raw mut device) })?;
        return Ok(false);
    }
    // SAFETY: set and device belong together.
    check(unsafe { di::SetupDiCallClassInstaller(di::DIF_REMOVE, set.0, &raw const device) })?;
    let mut parameters = di::SP_DEVINSTALL_PARAMS_W {
        cbSize: size::<di::SP_DEVINSTALL_PARAMS_W>(),
        ..Default::default()
    };
    // SAFETY: set and device belong together, and the structure says its size.
    check(unsafe {
        di::SetupDiGetDeviceInstallParamsW(set.0, &raw const device, &raw mut parameters)
    })?;
    Ok(parameters.Flags & (di::DI_NEEDREBOOT | di::DI_NEEDRESTART) != 0)
}

/// The type of UpdateDriverForPlugAndPlayDevicesW (reference page of that name).
type UpdateDriver =
    unsafe extern "system" fn(*mut c_void, *const u16, *const u16, u32, *mut i32) -> i32;

/// Gives our devices the driver of an INF; gives whether Windows has to be restarted.
///
/// # Errors
/// [`Win32Error`]: they did not get it.
pub(crate) fn update_driver(inf: &str) -> Result<bool, Win32Error> {
    // Only this function needs newdev.dll, and this program is to start where there is none.
    let found = library::routine_of_system("newdev.dll", c"UpdateDriverForPlugAndPlayDevicesW")?;
    // SAFETY: the routine of that name has this type.
    let update =
        unsafe { std::mem::transmute::<unsafe extern "system" fn() -> isize, UpdateDriver>(found) };
    let (id, inf) = (wide(HARDWARE_ID), wide(inf));
    let mut restart = 0;
    // SAFETY: both strings end with a zero, no window is allowed, and the answer is a local.
    check(unsafe {
        update(
            std::ptr::null_mut(),
            id.as_ptr(),
            inf.as_ptr(),
            di::INSTALLFLAG_FORCE,
            &raw mut restart,
        )
    })?;
    Ok(restart != 0)
}

/// Removes a package from the driver store.
///
/// * `inf`: the name of its INF there, `oemNN.inf`.
///
/// # Errors
/// [`Win32Error`]: it was not removed.
pub(crate) fn remove_package(inf: &str) -> Result<(), Win32Error> {
    let inf = wide(inf);
    // SAFETY: the string ends with a zero, and the reserved argument is null.
    check(unsafe { di::SetupUninstallOEMInfW(inf.as_ptr(), 0, std::ptr::null()) })
}
