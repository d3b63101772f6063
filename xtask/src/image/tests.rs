//! A small image that passes, and one test for each way in which a changed one is refused.

use super::*;

const PE: usize = 0x40;
const OPTIONAL: usize = PE + 24;
const SECTIONS: usize = OPTIONAL + 240;
const TEXT: usize = 0x400;
const RDATA: usize = 0x600;
const RELOC: usize = 0x800;
const END: usize = 0xa00;

fn put16(image: &mut [u8], at: usize, value: u16) {
    image[at..at + 2].copy_from_slice(&value.to_le_bytes());
}

fn put32(image: &mut [u8], at: usize, value: u32) {
    image[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

fn put_text(image: &mut [u8], at: usize, text: &str) {
    image[at..at + text.len()].copy_from_slice(text.as_bytes());
}

/// Writes the checksum that the bytes have.
fn seal(image: &mut [u8]) {
    let sum = checksum(image, PE + CHECKSUM_OFFSET);
    put32(image, PE + CHECKSUM_OFFSET, sum);
}

fn section(image: &mut [u8], index: usize, name: &str, rva: u32, raw: usize, flags: u32) {
    let at = SECTIONS + index * 40;
    put_text(image, at, name);
    put32(image, at + 8, 0x200);
    put32(image, at + 12, rva);
    put32(image, at + 16, 0x200);
    put32(image, at + 20, u32::try_from(raw).unwrap());
    put32(image, at + 36, flags);
}

/// An image with code, one import from ntoskrnl.exe and one relocation.
fn driver() -> Vec<u8> {
    let mut image = vec![0; END];
    put_text(&mut image, 0, "MZ");
    put32(&mut image, 0x3c, 0x40);
    put_text(&mut image, PE, "PE\0\0");
    put16(&mut image, PE + 4, 0x8664);
    put16(&mut image, PE + 6, 3);
    put16(&mut image, PE + 20, 240);
    put16(&mut image, PE + 22, 0x0022);
    put16(&mut image, OPTIONAL, 0x20b);
    put32(&mut image, OPTIONAL + 16, 0x1000);
    put32(&mut image, OPTIONAL + 32, 0x1000);
    put32(&mut image, OPTIONAL + 36, 0x200);
    put32(&mut image, OPTIONAL + 56, 0x4000);
    put32(&mut image, OPTIONAL + 60, 0x400);
    put16(&mut image, OPTIONAL + 68, 1);
    put16(&mut image, OPTIONAL + 70, 0x0040 | 0x0080 | 0x0100);
    put32(&mut image, OPTIONAL + 108, 16);
    // The second data directory is that of imports, the sixth that of relocations.
    put32(&mut image, OPTIONAL + 112 + 8, 0x2000);
    put32(&mut image, OPTIONAL + 112 + 12, 40);
    put32(&mut image, OPTIONAL + 112 + 40, 0x3000);
    put32(&mut image, OPTIONAL + 112 + 44, 12);
    section(&mut image, 0, ".text", 0x1000, TEXT, 0x6000_0020);
    section(&mut image, 1, ".rdata", 0x2000, RDATA, 0x4000_0040);
    section(&mut image, 2, ".reloc", 0x3000, RELOC, 0x4200_0040);
    // One import descriptor and the empty one that ends the table; then the two thunk tables and names.
    put32(&mut image, RDATA, 0x2040);
    put32(&mut image, RDATA + 12, 0x2080);
    put32(&mut image, RDATA + 16, 0x2060);
    put32(&mut image, RDATA + 0x40, 0x20a0);
    put32(&mut image, RDATA + 0x60, 0x20a0);
    put_text(&mut image, RDATA + 0x80, "ntoskrnl.exe");
    put_text(&mut image, RDATA + 0xa2, "KeEnterCriticalRegion");
    // One block of two entries, of which the second only fills it up.
    put32(&mut image, RELOC, 0x1000);
    put32(&mut image, RELOC + 4, 12);
    put16(&mut image, RELOC + 8, 0xa000);
    seal(&mut image);
    image
}

/// Why the image is refused once it is changed and has its checksum again.
fn refusal(change: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut image = driver();
    change(&mut image);
    seal(&mut image);
    format!("{:#}", check(&image).unwrap_err())
}

#[test]
fn a_driver_passes_and_its_imports_are_listed() {
    let report = check(&driver()).unwrap();
    assert_eq!(
        report.imports,
        [(
            "ntoskrnl.exe".to_owned(),
            vec!["KeEnterCriticalRegion".to_owned()]
        )]
    );
    assert_eq!(report.size, END);
}

#[test]
fn every_flipped_bit_is_refused() {
    let image = driver();
    for at in 0..image.len() {
        for bit in 0..8 {
            let mut flipped = image.clone();
            flipped[at] ^= 1 << bit;
            assert!(check(&flipped).is_err(), "bit {bit} of byte {at:#x}");
        }
    }
}

#[test]
fn a_stale_checksum_is_refused() {
    let mut image = driver();
    image[TEXT] ^= 1;
    let refusal = format!("{:#}", check(&image).unwrap_err());
    assert!(refusal.starts_with("its checksum is 0x"), "{refusal}");
}

#[test]
fn the_checksum_folds_its_carries_and_takes_an_odd_last_byte() {
    // 0xffff + 0x0002 = 0x10001, folded 0x0002; the field at 4 counts as 0; + 0x01 + the 9 bytes.
    let bytes = [0xff, 0xff, 0x02, 0x00, 0xaa, 0xaa, 0xaa, 0xaa, 0x01];
    assert_eq!(checksum(&bytes, 4), 2 + 1 + 9);
}

#[test]
fn another_machine_is_refused() {
    assert_eq!(
        refusal(|image| put16(image, PE + 4, 0xaa64)),
        "its machine is 0xaa64, not x64"
    );
}

#[test]
fn an_image_that_is_not_executable_is_refused() {
    let refusal = refusal(|image| put16(image, PE + 22, 0x0020));
    assert!(
        refusal.contains("does not mark it as executable"),
        "{refusal}"
    );
}

#[test]
fn another_subsystem_is_refused() {
    let refusal = refusal(|image| put16(image, OPTIONAL + 68, 3));
    assert_eq!(refusal, "its subsystem is 3, not NATIVE (1)");
}

#[test]
fn each_missing_flag_is_refused_by_name() {
    for (flag, name) in [
        (0x40, "DYNAMIC_BASE"),
        (0x100, "NX_COMPAT"),
        (0x80, "FORCE_INTEGRITY"),
    ] {
        let refusal = refusal(|image| put16(image, OPTIONAL + 70, 0x01c0 & !flag));
        assert!(
            refusal.starts_with(&format!("it lacks the flag {name}:")),
            "{refusal}"
        );
    }
}

#[test]
fn sections_that_share_a_page_are_refused() {
    let refusal = refusal(|image| put32(image, OPTIONAL + 32, 0x200));
    assert_eq!(
        refusal,
        "its sections are aligned to 512 bytes, less than a page"
    );
}

#[test]
fn a_writable_and_executable_section_is_refused() {
    let refusal = refusal(|image| put32(image, SECTIONS + 36, 0xe000_0020));
    assert!(refusal.contains("section .text"), "{refusal}");
    assert!(refusal.contains("is writable and executable"), "{refusal}");
}

#[test]
fn an_entry_point_outside_the_code_is_refused() {
    let refusal = refusal(|image| put32(image, OPTIONAL + 16, 0x2000));
    assert_eq!(
        refusal,
        "its entry point, 0x2000, lies in no executable section"
    );
}

#[test]
fn missing_relocations_are_refused() {
    let refusal = refusal(|image| {
        put32(image, OPTIONAL + 112 + 40, 0);
        put32(image, OPTIONAL + 112 + 44, 0);
    });
    assert!(refusal.starts_with("it has no relocations"), "{refusal}");
}

#[test]
fn an_empty_table_of_relocations_is_refused() {
    let refusal = refusal(|image| put32(image, OPTIONAL + 112 + 44, 0));
    assert_eq!(refusal, "its table of relocations is empty");
}

#[test]
fn an_image_without_imports_is_refused() {
    let refusal = refusal(|image| put32(image, OPTIONAL + 112 + 8, 0));
    assert!(refusal.starts_with("it imports nothing"), "{refusal}");
}

#[test]
fn stripped_relocations_are_refused() {
    assert_eq!(
        refusal(|image| put16(image, PE + 22, 0x0023)),
        "its relocations are stripped"
    );
}

#[test]
fn an_import_from_another_module_is_refused_by_name() {
    let refusal = refusal(|image| put_text(image, RDATA + 0x80, "kernel32.dll"));
    assert!(
        refusal.starts_with("it imports KeEnterCriticalRegion from kernel32.dll"),
        "{refusal}"
    );
}

#[test]
fn what_is_no_image_is_refused() {
    assert_eq!(
        format!("{}", check(b"MZ").unwrap_err()),
        "it is no 64-bit PE image"
    );
}
