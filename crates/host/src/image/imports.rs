//! Binding of the import address table.

use object::LittleEndian as LE;
use object::pe::ImageNtHeaders64;
use object::read::pe::{Import, PeFile64};

use super::LoadError;

/// One slot of the import address table and what belongs there.
pub(super) struct Slot {
    /// The slot's offset from the image base.
    pub(super) offset: usize,
    /// The address that is written to it.
    pub(super) address: u64,
}

/// Resolves every import of `file`.
pub(super) fn resolve(
    file: &PeFile64<'_>,
    find: &mut dyn FnMut(&str, &str) -> Option<u64>,
) -> Result<Vec<Slot>, LoadError> {
    let mut slots = Vec::new();
    let Some(table) = file.import_table()? else {
        return Ok(slots);
    };
    let mut descriptors = table.descriptors()?;
    while let Some(descriptor) = descriptors.next()? {
        let dll = text(table.name(descriptor.name.get(LE))?);
        let names = match descriptor.original_first_thunk.get(LE) {
            0 => descriptor.first_thunk.get(LE),
            lookup => lookup,
        };
        let mut thunks = table.thunks(names)?;
        let mut offset = descriptor.first_thunk.get(LE) as usize;
        while let Some(thunk) = thunks.next::<ImageNtHeaders64>()? {
            let function = match table.import::<ImageNtHeaders64>(thunk)? {
                Import::Name(_, name) => text(name),
                Import::Ordinal(ordinal) => format!("#{ordinal}"),
            };
            let Some(address) = find(&dll, &function) else {
                return Err(LoadError::MissingImport { dll, function });
            };
            slots.push(Slot { offset, address });
            offset += 8;
        }
    }
    Ok(slots)
}

fn text(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}
