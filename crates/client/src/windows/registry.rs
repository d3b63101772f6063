//! Values below HKEY_LOCAL_MACHINE.
#![allow(unsafe_code, reason = "the registry's functions")]

use windows_sys::Win32::System::Registry as reg;

use super::{Win32Error, length, narrow, wide};
use crate::device::problem::win32;

/// An open key, closed at the end.
struct Key(reg::HKEY);

impl Drop for Key {
    fn drop(&mut self) {
        // SAFETY: the key is ours, and nothing uses it after this.
        let closed = unsafe { reg::RegCloseKey(self.0) };
        debug_assert_eq!(closed, 0);
    }
}

fn check(answer: u32) -> Result<(), Win32Error> {
    if answer == 0 {
        Ok(())
    } else {
        Err(Win32Error(answer))
    }
}

/// Nothing, when what was looked for is not there.
fn there<T>(answer: Result<T, Win32Error>) -> Result<Option<T>, Win32Error> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(Win32Error(win32::FILE_NOT_FOUND | win32::PATH_NOT_FOUND)) => Ok(None),
        Err(error) => Err(error),
    }
}

fn open(path: &str, access: reg::REG_SAM_FLAGS) -> Result<Key, Win32Error> {
    let path = wide(path);
    let mut key = std::ptr::null_mut();
    // SAFETY: the string ends with a zero, and the key is a local.
    check(unsafe {
        reg::RegOpenKeyExW(
            reg::HKEY_LOCAL_MACHINE,
            path.as_ptr(),
            0,
            access,
            &raw mut key,
        )
    })?;
    Ok(Key(key))
}

/// A value's type and bytes.
fn read(path: &str, name: &str) -> Result<Option<(u32, Vec<u8>)>, Win32Error> {
    let Some(key) = there(open(path, reg::KEY_QUERY_VALUE))? else {
        return Ok(None);
    };
    let name = wide(name);
    let mut bytes = vec![0_u8; 4096];
    let mut written = length(bytes.len())?;
    let mut kind = 0;
    // SAFETY: the key is open, the string ends with a zero, the buffer has the size that is told.
    let answer = check(unsafe {
        reg::RegQueryValueExW(
            key.0,
            name.as_ptr(),
            std::ptr::null(),
            &raw mut kind,
            bytes.as_mut_ptr(),
            &raw mut written,
        )
    });
    bytes.truncate(written as usize);
    Ok(there(answer)?.map(|()| (kind, bytes)))
}

/// A REG_DWORD; `None` when there is none.
///
/// # Errors
/// [`Win32Error`]: it cannot be read.
pub(crate) fn number(path: &str, name: &str) -> Result<Option<u32>, Win32Error> {
    Ok(read(path, name)?.and_then(|(kind, bytes)| {
        let bytes = bytes.first_chunk::<4>()?;
        (kind == reg::REG_DWORD).then(|| u32::from_le_bytes(*bytes))
    }))
}

/// A REG_SZ; `None` when there is none.
///
/// # Errors
/// [`Win32Error`]: it cannot be read.
pub(crate) fn string(path: &str, name: &str) -> Result<Option<String>, Win32Error> {
    Ok(read(path, name)?.and_then(|(kind, bytes)| {
        let pairs = bytes.chunks_exact(2);
        let units: Vec<_> = pairs
            .filter_map(|pair| Some(u16::from_le_bytes(*pair.first_chunk::<2>()?)))
            .collect();
        (kind == reg::REG_SZ).then(|| narrow(&units))
    }))
}

fn write(path: &str, name: &str, kind: u32, bytes: &[u8]) -> Result<(), Win32Error> {
    let (path, name) = (wide(path), wide(name));
    let mut key = std::ptr::null_mut();
    // SAFETY: the string ends with a zero, and the key is a local; the rest may be null.
    check(unsafe {
        reg::RegCreateKeyExW(
            reg::HKEY_LOCAL_MACHINE,
            path.as_ptr(),
            0,
            std::ptr::null(),
            reg::REG_OPTION_NON_VOLATILE,
            reg::KEY_SET_VALUE,
            std::ptr::null(),
            &raw mut key,
            std::ptr::null_mut(),
        )
    })?;
    let key = Key(key);
    // SAFETY: the key is open, the string ends with a zero, the bytes have the size that is told.
    check(unsafe {
        reg::RegSetValueExW(
            key.0,
            name.as_ptr(),
            0,
            kind,
            bytes.as_ptr(),
            length(bytes.len())?,
        )
    })
}

/// Writes a REG_DWORD, with the key if it is not there.
///
/// # Errors
/// [`Win32Error`]: it was not written.
pub(crate) fn write_number(path: &str, name: &str, value: u32) -> Result<(), Win32Error> {
    write(path, name, reg::REG_DWORD, &value.to_le_bytes())
}

/// Writes a REG_MULTI_SZ of one string, with the key if it is not there.
///
/// # Errors
/// [`Win32Error`]: it was not written.
pub(crate) fn write_list(path: &str, name: &str, only: &str) -> Result<(), Win32Error> {
    let units = wide(only).into_iter().chain([0]);
    let bytes: Vec<u8> = units.flat_map(u16::to_le_bytes).collect();
    write(path, name, reg::REG_MULTI_SZ, &bytes)
}

/// Deletes a value, if it is there.
///
/// # Errors
/// [`Win32Error`]: it is there still.
pub(crate) fn delete(path: &str, name: &str) -> Result<(), Win32Error> {
    let Some(key) = there(open(path, reg::KEY_SET_VALUE))? else {
        return Ok(());
    };
    let name = wide(name);
    // SAFETY: the key is open, and the string ends with a zero.
    let answer = check(unsafe { reg::RegDeleteValueW(key.0, name.as_ptr()) });
    there(answer).map(|_| ())
}
