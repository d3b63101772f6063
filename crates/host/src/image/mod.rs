//! The driver's image: read from a PE file, placed in memory, bound to the host's exports.

mod checksum;
mod imports;
mod load;

pub(crate) use load::{Image, LoadError};
