//! Placing a PE32+ kernel image in memory, the way the kernel's loader does.

use object::LittleEndian as LE;
use object::pe;
use object::read::pe::{ImageNtHeaders as _, PeFile64};

use super::{checksum, imports};
use crate::mapping::{Access, Mapping, PAGE};

/// Why an image was not loaded.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum LoadError {
    /// It is damaged or of the wrong kind.
    Image(String),
    /// It imports what the host does not have.
    MissingImport {
        /// The library.
        dll: String,
        /// The function.
        function: String,
    },
}

impl From<object::read::Error> for LoadError {
    fn from(error: object::read::Error) -> Self {
        Self::Image(error.to_string())
    }
}

/// A loaded image.
#[derive(Debug)]
pub(crate) struct Image {
    mapping: Mapping,
    entry: u64,
    sections: Vec<(std::ops::Range<u64>, Access)>,
}

/// The largest image that is taken, in bytes.
const LARGEST: usize = 64 << 20;

impl Image {
    /// Loads the PE file `bytes`, whose imports `find` gives the addresses of.
    ///
    /// # Errors
    /// When the file is not a PE32+ image for x64 of the native subsystem, when it cannot be
    /// relocated, when a section is both writable and executable, or when an import is missing.
    pub(crate) fn load(
        bytes: &[u8],
        find: &mut dyn FnMut(&str, &str) -> Option<u64>,
    ) -> Result<Self, LoadError> {
        let refuse = |reason: &str| Err(LoadError::Image(reason.to_owned()));
        let file = PeFile64::parse(bytes)?;
        let header = file.nt_headers().file_header();
        let optional = &file.nt_headers().optional_header;
        if header.machine.get(LE) != pe::IMAGE_FILE_MACHINE_AMD64 {
            return refuse("the image is not for x64");
        }
        if optional.subsystem.get(LE) != pe::IMAGE_SUBSYSTEM_NATIVE {
            return refuse("the image's subsystem is not NATIVE");
        }
        let stated = optional.check_sum.get(LE);
        // The field lies 64 bytes into the optional header, which follows the 24 bytes of
        // signature and file header.
        let field = file.dos_header().nt_headers_offset() as usize + 24 + 64;
        let actual = checksum::compute(bytes, field);
        if stated != actual {
            return refuse(&format!(
                "the image's checksum is {stated:#x}, its content adds up to {actual:#x}"
            ));
        }
        let size = optional.size_of_image.get(LE) as usize;
        if size == 0 || size > LARGEST {
            return refuse(&format!("an image of {size} bytes"));
        }
        let mut image = vec![0_u8; size.next_multiple_of(PAGE)];
        let headers = (optional.size_of_headers.get(LE) as usize).min(bytes.len());
        place(&mut image, 0, &bytes[..headers])?;

        let mut sections = Vec::new();
        for section in file.section_table().iter() {
            let (start, length) = section.pe_address_range();
            let (start, length) = (start as usize, length as usize);
            let flags = section.characteristics.get(LE);
            let name = String::from_utf8_lossy(section.raw_name()).into_owned();
            let writable = flags.0 & pe::IMAGE_SCN_MEM_WRITE.0 != 0;
            let executable = flags.0 & pe::IMAGE_SCN_MEM_EXECUTE.0 != 0;
            if writable && executable {
                return refuse(&format!("section {name} is both writable and executable"));
            }
            let end = start.checked_add(length).filter(|&end| end <= image.len());
            let Some(end) = end else {
                return refuse(&format!("section {name} lies outside the image"));
            };
            if start % PAGE != 0 {
                return refuse(&format!("section {name} does not start on a page"));
            }
            let data = section.pe_data(bytes)?;
            place(&mut image, start, &data[..data.len().min(length)])?;
            let access = match (writable, executable) {
                (true, _) => Access::ReadWrite,
                (false, true) => Access::ReadExecute,
                (false, false) => Access::Read,
            };
            sections.push((start..end.next_multiple_of(PAGE), access));
        }

        let mapping = Mapping::reserve(image.len())
            .map_err(|error| LoadError::Image(format!("no memory for the image: {error}")))?;
        relocate(&file, bytes, &mut image, mapping.base() as u64)?;
        for slot in imports::resolve(&file, find)? {
            place(&mut image, slot.offset, &slot.address.to_le_bytes())?;
        }

        let whole = 0..image.len();
        let broken = |error: std::io::Error| LoadError::Image(error.to_string());
        mapping
            .protect(whole.clone(), Access::ReadWrite)
            .map_err(broken)?;
        mapping.write(0, &image);
        mapping.protect(whole, Access::Read).map_err(broken)?;
        let base = mapping.base() as u64;
        for (range, access) in &sections {
            mapping.protect(range.clone(), *access).map_err(broken)?;
        }
        let entry = optional.address_of_entry_point.get(LE) as usize;
        let code = |(range, access): &(std::ops::Range<usize>, Access)| {
            *access == Access::ReadExecute && range.contains(&entry)
        };
        if !sections.iter().any(code) {
            return refuse("the entry point is not in an executable section");
        }
        let sections = sections
            .into_iter()
            .map(|(range, access)| (base + range.start as u64..base + range.end as u64, access))
            .collect();
        Ok(Self {
            entry: base + entry as u64,
            mapping,
            sections,
        })
    }

    /// The address of the entry point.
    pub(crate) fn entry(&self) -> u64 {
        self.entry
    }

    /// The offset of `address` from the image base, when it lies in the image.
    pub(crate) fn offset(&self, address: u64) -> Option<u64> {
        let range = self.mapping.range();
        let inside = usize::try_from(address).is_ok_and(|address| range.contains(&address));
        inside.then(|| address - range.start as u64)
    }

    /// What may be done with the bytes of `range`, when a section holds them all.
    pub(crate) fn access(&self, range: &std::ops::Range<u64>) -> Option<Access> {
        let holds = |section: &std::ops::Range<u64>| {
            section.start <= range.start && range.end <= section.end
        };
        self.sections
            .iter()
            .find(|(section, _)| holds(section))
            .map(|(_, access)| *access)
    }
}

/// Copies `bytes` to `offset` of the image under construction.
fn place(image: &mut [u8], offset: usize, bytes: &[u8]) -> Result<(), LoadError> {
    let target = offset
        .checked_add(bytes.len())
        .and_then(|end| image.get_mut(offset..end))
        .ok_or_else(|| LoadError::Image("something lies outside the image".to_owned()))?;
    target.copy_from_slice(bytes);
    Ok(())
}

/// Applies the base relocations for an image that is placed at `base`.
fn relocate(
    file: &PeFile64<'_>,
    bytes: &[u8],
    image: &mut [u8],
    base: u64,
) -> Result<(), LoadError> {
    let preferred = file.nt_headers().optional_header.image_base.get(LE);
    let delta = base.wrapping_sub(preferred);
    let sections = file.section_table();
    let Some(blocks) = file
        .data_directories()
        .relocation_blocks(bytes, &sections)?
    else {
        return Err(LoadError::Image("the image has no relocations".to_owned()));
    };
    for block in blocks {
        for relocation in block? {
            if relocation.typ != pe::IMAGE_REL_BASED_DIR64 {
                return Err(LoadError::Image(format!(
                    "relocation of type {} is not known on x64",
                    relocation.typ.0
                )));
            }
            let at = relocation.virtual_address as usize;
            let word = at
                .checked_add(8)
                .and_then(|end| image.get_mut(at..end))
                .ok_or_else(|| LoadError::Image("a relocation outside the image".to_owned()))?;
            let mut value = [0; 8];
            value.copy_from_slice(word);
            let moved = u64::from_le_bytes(value).wrapping_add(delta);
            word.copy_from_slice(&moved.to_le_bytes());
        }
    }
    Ok(())
}
