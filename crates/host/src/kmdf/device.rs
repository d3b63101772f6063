//! Devices: what is set before they are created, their interface and their symbolic link.

use apclab_model::kernel::BugCheck;

use super::attributes::Attributes;
use super::object::{Kind, bad_handle};
use super::wdm::WdmDispatch;
use crate::bugcheck;
use crate::dispatch::{Arguments, Export, Fault};
use crate::machine::State;
use crate::status;
use crate::thread::Thread;

pub(super) const FUNCTIONS: &[Export] = &[
    Export::plain(
        "WdfDeviceInitSetPnpPowerEventCallbacks",
        set_power_callbacks,
    ),
    Export::plain("WdfDeviceInitSetFileObjectConfig", set_file_config),
    Export::plain("WdfDeviceInitSetRequestAttributes", set_request_attributes),
    Export::plain("WdfDeviceInitSetIoType", set_io_type),
    Export::plain("WdfDeviceInitSetDeviceType", |thread, arguments| {
        init(&mut thread.lock(), arguments, "WdfDeviceInitSetDeviceType").map(|_| 0)
    }),
    Export::plain("WdfDeviceInitSetCharacteristics", |thread, arguments| {
        init(
            &mut thread.lock(),
            arguments,
            "WdfDeviceInitSetCharacteristics",
        )
        .map(|_| 0)
    }),
    Export::plain("WdfDeviceCreate", create).fallible(status::word(status::INSUFFICIENT_RESOURCES)),
    Export::plain("WdfDeviceCreateDeviceInterface", create_interface)
        .fallible(status::word(status::INSUFFICIENT_RESOURCES)),
    Export::plain("WdfDeviceCreateSymbolicLink", create_symbolic_link)
        .fallible(status::word(status::INSUFFICIENT_RESOURCES)),
];

/// How many words WDF_PNPPOWER_EVENT_CALLBACKS has behind its size.
const POWER_CALLBACKS: usize = 17;

/// The callbacks of WDF_FILEOBJECT_CONFIG.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FileCallbacks {
    pub(super) create: u64,
    pub(super) close: u64,
    pub(super) cleanup: u64,
}

/// WDFDEVICE_INIT.
#[derive(Clone, Debug, Default)]
pub(super) struct DeviceInit {
    power: [u64; POWER_CALLBACKS],
    file: FileCallbacks,
    file_attributes: Attributes,
    request_attributes: Attributes,
}

/// A device.
#[derive(Debug)]
pub(super) struct Device {
    settings: DeviceInit,
    pub(super) default_queue: Option<u64>,
    /// What sees device control requests ahead of the queues.
    pub(super) wdm_dispatch: Option<WdmDispatch>,
    /// The address of its DEVICE_OBJECT, which the driver must not look into.
    pub(super) wdm_object: u64,
    /// Its symbolic links.
    pub(super) links: Vec<String>,
    /// How many interfaces it has.
    pub(super) interfaces: usize,
    /// Whether it is in D0, so that power-managed queues deliver.
    pub(super) working: bool,
    /// Whether it is being removed, so that it takes no new handles, and its power-managed queues no
    /// new requests.
    pub(super) removed: bool,
}

impl Device {
    /// The PnP or power callback at `offset` of WDF_PNPPOWER_EVENT_CALLBACKS.
    pub(super) fn power_callback(&self, offset: usize) -> u64 {
        self.settings.power[offset / 8 - 1]
    }

    pub(super) fn file_callbacks(&self) -> FileCallbacks {
        self.settings.file
    }

    pub(super) fn file_attributes(&self) -> Attributes {
        self.settings.file_attributes
    }

    pub(super) fn request_attributes(&self) -> Attributes {
        self.settings.request_attributes
    }
}

/// The DEVICE_INIT that a function of ours is given: alive from EvtDriverDeviceAdd until
/// WdfDeviceCreate.
fn init<'a>(
    state: &'a mut State,
    arguments: &Arguments,
    routine: &str,
) -> Result<&'a mut DeviceInit, Fault> {
    let handle = arguments.word(1);
    state.framework.inits.get_mut(&handle).ok_or_else(|| {
        let reason = format!(
            "{routine} was given {handle:#x}, which is no WDFDEVICE_INIT, or one that \
             WdfDeviceCreate has taken"
        );
        bugcheck::wdf(0x5, handle, 0, reason).into()
    })
}

/// The device behind a handle.
pub(super) fn device<'a>(
    state: &'a mut State,
    handle: u64,
    routine: &str,
) -> Result<&'a mut Device, BugCheck> {
    match &mut state.framework.get_mut(handle, routine)?.kind {
        Kind::Device(device) => Ok(device),
        _ => Err(bad_handle(handle, "WDFDEVICE", routine)),
    }
}

/// A structure whose size is wrong, given to a function that returns nothing.
fn wrong_size(routine: &str, size: u32) -> Fault {
    let reason = format!("{routine} was given a structure of {size} bytes");
    bugcheck::wdf(0x4, u64::from(size), 0, reason).into()
}

fn set_power_callbacks(thread: &Thread, arguments: &Arguments) -> Result<u64, Fault> {
    const ROUTINE: &str = "WdfDeviceInitSetPnpPowerEventCallbacks";
    let mut state = thread.lock();
    let config = arguments.word(2);
    let size = state.memory.read_u32(config)?;
    if size != 144 {
        return Err(wrong_size(ROUTINE, size));
    }
    let mut callbacks = [0; POWER_CALLBACKS];
    for (index, callback) in callbacks.iter_mut().enumerate() {
        *callback = state
            .memory
            .read_u64(config.wrapping_add(8 + 8 * index as u64))?;
    }
    init(&mut state, arguments, ROUTINE)?.power = callbacks;
    Ok(0)
}

fn set_file_config(thread: &Thread, arguments: &Arguments) -> Result<u64, Fault> {
    const ROUTINE: &str = "WdfDeviceInitSetFileObjectConfig";
    let mut state = thread.lock();
    let config = arguments.word(2);
    let size = state.memory.read_u32(config)?;
    if size != 40 {
        return Err(wrong_size(ROUTINE, size));
    }
    let word = |offset: u64| state.memory.read_u64(config.wrapping_add(offset));
    let file = FileCallbacks {
        create: word(8)?,
        close: word(16)?,
        cleanup: word(24)?,
    };
    let attributes = Attributes::read(&state.memory, arguments.word(3))?;
    let init = init(&mut state, arguments, ROUTINE)?;
    init.file = file;
    init.file_attributes = attributes.map_err(|_| wrong_size(ROUTINE, 0))?;
    Ok(0)
}

fn set_request_attributes(thread: &Thread, arguments: &Arguments) -> Result<u64, Fault> {
    const ROUTINE: &str = "WdfDeviceInitSetRequestAttributes";
    let mut state = thread.lock();
    let attributes = Attributes::read(&state.memory, arguments.word(2))?;
    let init = init(&mut state, arguments, ROUTINE)?;
    init.request_attributes = attributes.map_err(|_| wrong_size(ROUTINE, 0))?;
    Ok(0)
}

fn set_io_type(thread: &Thread, arguments: &Arguments) -> Result<u64, Fault> {
    init(&mut thread.lock(), arguments, "WdfDeviceInitSetIoType")?;
    // The I/O type is about reads and writes; IOCTLs carry their method in their code.
    let kind = arguments.long(2);
    if !(1..=4).contains(&kind) {
        let reason = format!("WdfDeviceInitSetIoType was given {kind}");
        return Err(bugcheck::wdf(0x4, u64::from(kind), 0, reason).into());
    }
    Ok(0)
}

/// `WdfDeviceCreate(DeviceInit, DeviceAttributes, Device)`: takes the DEVICE_INIT away.
fn create(thread: &Thread, arguments: &Arguments) -> Result<u64, Fault> {
    const ROUTINE: &str = "WdfDeviceCreate";
    let mut state = thread.lock();
    bugcheck::irql_at_most(state.kernel.irql(thread.id), 0, ROUTINE)?;
    let init = state.memory.read_u64(arguments.word(1))?;
    let attributes = match Attributes::read(&state.memory, arguments.word(2))? {
        Ok(attributes) if attributes.parent == 0 => attributes,
        Ok(_) => return Ok(status::word(status::INVALID_PARAMETER)),
        Err(refused) => return Ok(status::word(refused)),
    };
    let Some(settings) = state.framework.inits.get(&init).cloned() else {
        return Err(bad_handle(init, "WDFDEVICE_INIT", ROUTINE).into());
    };
    let kind = Kind::Device(Box::new(Device {
        settings,
        default_queue: None,
        wdm_dispatch: None,
        wdm_object: thread.machine.opaque(),
        links: Vec::new(),
        interfaces: 0,
        working: false,
        removed: false,
    }));
    let parent = state.framework.driver;
    let handle = thread.machine.opaque();
    if let Err(refused) = state.create_object(handle, kind, &attributes, parent, ROUTINE)? {
        return Ok(status::word(refused));
    }
    state.framework.inits.remove(&init);
    state.framework.device = Some(handle);
    state.memory.write_u64(arguments.word(1), 0)?;
    state.memory.write_u64(arguments.word(3), handle)?;
    Ok(status::word(status::SUCCESS))
}

/// `WdfDeviceCreateDeviceInterface(Device, InterfaceClassGUID, ReferenceString)`.
fn create_interface(thread: &Thread, arguments: &Arguments) -> Result<u64, Fault> {
    let mut state = thread.lock();
    state.memory.read::<16>(arguments.word(2))?;
    device(
        &mut state,
        arguments.word(1),
        "WdfDeviceCreateDeviceInterface",
    )?
    .interfaces += 1;
    Ok(status::word(status::SUCCESS))
}

/// `WdfDeviceCreateSymbolicLink(Device, SymbolicLinkName)`.
fn create_symbolic_link(thread: &Thread, arguments: &Arguments) -> Result<u64, Fault> {
    let mut state = thread.lock();
    let name = state.memory.read_unicode_string(arguments.word(2))?;
    let device = device(&mut state, arguments.word(1), "WdfDeviceCreateSymbolicLink")?;
    if device.links.contains(&name) {
        return Ok(status::word(status::OBJECT_NAME_COLLISION));
    }
    device.links.push(name);
    Ok(status::word(status::SUCCESS))
}
