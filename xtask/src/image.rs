//! What an image must be for Windows to load it as a driver, also with memory integrity (HVCI) on.

use std::fmt;

use anyhow::{Context, Result, bail, ensure};
use object::LittleEndian as LE;
use object::pe;
use object::read::pe::{ImageNtHeaders as _, ImageOptionalHeader as _, Import, PeFile64};
use sha2::{Digest, Sha256};

use crate::vendor::hex;

/// The modules that the driver may import from. Their names have no case.
const MODULES: &[&str] = &["ntoskrnl.exe", "HAL.dll", "WDFLDR.SYS"];

/// Where the checksum lies, from the start of the PE header: its signature (4 bytes), the file header
/// (20 bytes), and 64 bytes of the optional header are ahead of it.
const CHECKSUM_OFFSET: usize = 4 + 20 + 64;

/// The size of a page. Memory integrity protects whole pages, so sections must not share one.
const PAGE: u32 = 4096;

/// What an image that passed is.
#[derive(Debug)]
pub(crate) struct Report {
    size: usize,
    sha256: String,
    /// Each module with the names that are imported from it.
    imports: Vec<(String, Vec<String>)>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes, SHA-256 {}", self.size, self.sha256)?;
        for (module, names) in &self.imports {
            write!(
                f,
                "\n  {module}, {} imports: {}",
                names.len(),
                names.join(" ")
            )?;
        }
        Ok(())
    }
}

/// Checks an image's bytes.
///
/// # Errors
///
/// Says in a sentence what is wrong with the image.
pub(crate) fn check(bytes: &[u8]) -> Result<Report> {
    let image = PeFile64::parse(bytes).context("it is no 64-bit PE image")?;
    check_headers(&image)?;
    check_checksum(&image, bytes)?;
    check_sections(&image)?;
    check_relocations(&image)?;
    let imports = imports(&image)?;
    for (module, names) in &imports {
        ensure!(
            MODULES
                .iter()
                .any(|allowed| allowed.eq_ignore_ascii_case(module)),
            "it imports {} from {module}; a driver of ours imports from {} only",
            names.join(", "),
            MODULES.join(", ")
        );
    }
    Ok(Report {
        size: bytes.len(),
        sha256: hex(&Sha256::digest(bytes)),
        imports,
    })
}

fn check_headers(image: &PeFile64<'_>) -> Result<()> {
    let file = image.nt_headers().file_header();
    let machine = file.machine.get(LE);
    ensure!(
        machine == pe::IMAGE_FILE_MACHINE_AMD64,
        "its machine is {machine:#x}, not x64"
    );
    let characteristics = file.characteristics.get(LE);
    ensure!(
        characteristics.contains(pe::IMAGE_FILE_EXECUTABLE_IMAGE),
        "its header does not mark it as executable: it has unresolved references"
    );

    let optional = image.nt_headers().optional_header();
    let subsystem = optional.subsystem();
    ensure!(
        subsystem == pe::IMAGE_SUBSYSTEM_NATIVE,
        "its subsystem is {subsystem}, not NATIVE ({})",
        pe::IMAGE_SUBSYSTEM_NATIVE
    );
    let flags = optional.dll_characteristics();
    for (flag, name, meaning) in [
        (
            pe::IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE,
            "DYNAMIC_BASE",
            "it can't be loaded at any address",
        ),
        (
            pe::IMAGE_DLLCHARACTERISTICS_NX_COMPAT,
            "NX_COMPAT",
            "its data would be executable",
        ),
        (
            pe::IMAGE_DLLCHARACTERISTICS_FORCE_INTEGRITY,
            "FORCE_INTEGRITY",
            "it could be loaded without a check of its signature",
        ),
    ] {
        ensure!(flags.contains(flag), "it lacks the flag {name}: {meaning}");
    }
    let alignment = optional.section_alignment();
    ensure!(
        alignment >= PAGE,
        "its sections are aligned to {alignment} bytes, less than a page"
    );
    Ok(())
}

/// The checksum that Windows computes when it loads a driver: the 16-bit words of the file, with the
/// checksum itself as 0, added up with the carry added back in, plus the file's length.
fn checksum(bytes: &[u8], field: usize) -> u32 {
    let mut sum: u32 = 0;
    for (index, word) in bytes.chunks(2).enumerate() {
        let at = index * 2;
        if at == field || at == field + 2 {
            continue;
        }
        let high = word.get(1).copied().unwrap_or(0);
        sum += u32::from(u16::from_le_bytes([word[0], high]));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    // A driver of 4 GiB can't be loaded: what a length above that is cut off to does not matter.
    sum.wrapping_add(u32::try_from(bytes.len()).unwrap_or(u32::MAX))
}

fn check_checksum(image: &PeFile64<'_>, bytes: &[u8]) -> Result<()> {
    let written = image.nt_headers().optional_header().check_sum();
    let field = image.dos_header().nt_headers_offset() as usize + CHECKSUM_OFFSET;
    let computed = checksum(bytes, field);
    ensure!(
        written == computed,
        "its checksum is {written:#x}, but its bytes have {computed:#x}"
    );
    Ok(())
}

fn check_sections(image: &PeFile64<'_>) -> Result<()> {
    let entry = image
        .nt_headers()
        .optional_header()
        .address_of_entry_point();
    let mut entry_is_code = false;
    for section in image.section_table().iter() {
        let flags = section.characteristics.get(LE);
        let executable = flags.contains(pe::IMAGE_SCN_MEM_EXECUTE);
        let name = String::from_utf8_lossy(section.raw_name());
        ensure!(
            !executable || !flags.contains(pe::IMAGE_SCN_MEM_WRITE),
            "its section {name} is writable and executable, which memory integrity refuses"
        );
        let start = section.virtual_address.get(LE);
        let size = section.virtual_size.get(LE);
        entry_is_code |= executable && entry.checked_sub(start).is_some_and(|offset| offset < size);
    }
    ensure!(
        entry_is_code,
        "its entry point, {entry:#x}, lies in no executable section"
    );
    Ok(())
}

fn check_relocations(image: &PeFile64<'_>) -> Result<()> {
    let characteristics = image.nt_headers().file_header().characteristics.get(LE);
    ensure!(
        !characteristics.contains(pe::IMAGE_FILE_RELOCS_STRIPPED),
        "its relocations are stripped"
    );
    let blocks = image
        .data_directories()
        .relocation_blocks(image.data(), &image.section_table())
        .context("its relocations can't be read")?;
    let Some(mut blocks) = blocks else {
        bail!("it has no relocations: it can't be loaded at any address but its preferred one");
    };
    let mut count = 0;
    while let Some(block) = blocks.next().context("its relocations can't be read")? {
        count += block.count();
    }
    ensure!(count > 0, "its table of relocations is empty");
    Ok(())
}

fn imports(image: &PeFile64<'_>) -> Result<Vec<(String, Vec<String>)>> {
    let table = image.import_table().context("its imports can't be read")?;
    let table = table.context("it imports nothing, not even the framework's loader")?;
    let mut modules = Vec::new();
    let mut descriptors = table.descriptors().context("its imports can't be read")?;
    while let Some(descriptor) = descriptors.next().context("its imports can't be read")? {
        let module = table
            .name(descriptor.name.get(LE))
            .context("a module has no name")?;
        let module = String::from_utf8_lossy(module).into_owned();
        let first = descriptor.original_first_thunk.get(LE);
        let mut thunks = table
            .thunks(first)
            .context("a module's imports can't be read")?;
        let mut names = Vec::new();
        while let Some(thunk) = thunks
            .next::<pe::ImageNtHeaders64>()
            .context("a module's imports can't be read")?
        {
            let import = table
                .import::<pe::ImageNtHeaders64>(thunk)
                .context("a module's imports can't be read")?;
            names.push(match import {
                Import::Name(_, name) => String::from_utf8_lossy(name).into_owned(),
                Import::Ordinal(ordinal) => format!("#{ordinal}"),
            });
        }
        modules.push((module, names));
    }
    Ok(modules)
}

#[cfg(test)]
mod tests;
