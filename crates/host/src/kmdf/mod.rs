//! The framework, as far as the driver uses it: KMDF 1.15 by its function table.

mod attributes;
mod bind;
mod callback;
mod context;
mod device;
mod driver;
mod file;
mod lock;
mod names;
mod object;
mod power;
mod queue;
mod request;
mod table;
mod wdm;

pub(crate) use bind::LOADER;
pub(crate) use driver::{DRIVER_UNLOAD, UNLOAD};
pub(crate) use object::Framework;
pub(crate) use power::Power;
pub(crate) use table::exports;
