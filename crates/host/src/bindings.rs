//! What the image's imports are bound to, and the routines that are looked up by name.

use crate::Options;
use crate::bugcheck;
use crate::dispatch::Fault;
use crate::exports;
use crate::kmdf;
use crate::machine::{Machine, ObjectType, Types};
use crate::memory::Request;
use crate::stack::{INTRINSICS, Thunks};

/// Where each library's exports lie in the list of thunks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Libraries {
    ntoskrnl: usize,
    hal: usize,
    loader: usize,
    unload: usize,
    framework: usize,
}

impl Libraries {
    /// Generates the thunks of all libraries.
    pub(crate) fn generate() -> std::io::Result<(Self, Thunks)> {
        let mut all = exports::ntoskrnl();
        let hal = all.len();
        all.extend(exports::hal());
        let loader = all.len();
        all.extend_from_slice(kmdf::LOADER);
        let unload = all.len();
        all.push(kmdf::UNLOAD);
        let framework = all.len();
        all.extend(kmdf::exports());
        let libraries = Self {
            ntoskrnl: 0,
            hal,
            loader,
            unload,
            framework,
        };
        Ok((libraries, Thunks::generate(all)?))
    }
}

impl Machine {
    /// The address of `function` of `dll`.
    pub(crate) fn find_import(&self, dll: &str, function: &str) -> Option<u64> {
        let libraries = self.libraries;
        match dll.to_ascii_lowercase().as_str() {
            "ntoskrnl.exe" => match function {
                "PsThreadType" => Some(self.lock().types.thread.variable),
                "ExEventObjectType" => Some(self.lock().types.event.variable),
                _ => self.system_routine(function),
            },
            "hal.dll" => self.thunks.find(libraries.hal..libraries.loader, function),
            "wdfldr.sys" => self
                .thunks
                .find(libraries.loader..libraries.unload, function),
            _ => None,
        }
    }

    /// The address of a routine of ntoskrnl.exe.
    pub(crate) fn system_routine(&self, name: &str) -> Option<u64> {
        let intrinsic = INTRINSICS.iter().find(|(known, _)| *known == name);
        if let Some((_, routine)) = intrinsic {
            return Some(*routine as *const () as u64);
        }
        self.thunks
            .find(self.libraries.ntoskrnl..self.libraries.hal, name)
    }

    /// The address of entry `index` of the framework's function table.
    pub(crate) fn framework_function(&self, index: usize) -> u64 {
        self.thunks.at(self.libraries.framework + index)
    }

    /// The address of the framework's DriverUnload.
    pub(crate) fn framework_unload(&self) -> u64 {
        self.thunks.at(self.libraries.unload)
    }

    /// Puts `bytes` where the driver can reach them, for as long as the machine lives.
    pub(crate) fn give(&self, bytes: &[u8]) -> Result<u64, Fault> {
        const TAG: u32 = u32::from_le_bytes(*b"Host");
        let mut state = self.lock();
        let at = state
            .memory
            .pool
            .allocate(Request::system(bytes.len(), TAG));
        let Some(at) = at else {
            let reason = "no memory for the driver object";
            return Err(bugcheck::check(bugcheck::HOST_FAILURE, [0; 4], reason).into());
        };
        state.memory.write(at, bytes)?;
        Ok(at)
    }
}

/// A machine without an image, its exports ready.
pub(crate) fn machine(options: Options) -> std::io::Result<std::sync::Arc<Machine>> {
    let (libraries, thunks) = Libraries::generate()?;
    let machine = Machine::new(options, libraries, thunks)?;
    let object_type = || {
        let object = machine.opaque();
        let variable = machine.give(&object.to_le_bytes());
        let variable =
            variable.map_err(|_| std::io::Error::from(std::io::ErrorKind::OutOfMemory))?;
        std::io::Result::Ok(ObjectType { variable, object })
    };
    let types = Types {
        thread: object_type()?,
        event: object_type()?,
    };
    let mut state = machine.lock();
    state.types = types;
    state.framework.unload_thunk = machine.framework_unload();
    drop(state);
    Ok(machine)
}
