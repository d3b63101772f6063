//! The zip file: the same files give the same bytes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use crate::vendor::hex;

/// The list of hashes.
pub(super) const SUMS: &str = "SHA256SUMS";

/// Files by their names below the archive's one folder, with `/` between the parts of a name.
pub(super) type Files = BTreeMap<String, Vec<u8>>;

/// The hashes of all files but the list itself, as sha256sum writes and checks them.
pub(super) fn sums(files: &Files) -> Result<String> {
    let mut sums = String::new();
    for (name, bytes) in files {
        if name != SUMS {
            writeln!(sums, "{}  {name}", hex(&Sha256::digest(bytes)))?;
        }
    }
    Ok(sums)
}

/// Writes the files into a folder of the archive. They have no times: those of a zip file have no time zone,
/// and 1980 is the first that they can have.
///
/// # Errors
///
/// When the archive can't be written.
pub(super) fn write(path: &Path, folder: &str, files: &Files) -> Result<()> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(zip::DateTime::default())
        .unix_permissions(0o644);
    let file = File::create(path).with_context(|| format!("can't write {}", path.display()))?;
    let mut archive = ZipWriter::new(file);
    for (name, bytes) in files {
        let options = if Path::new(name).extension() == Some("sh".as_ref()) {
            options.unix_permissions(0o755)
        } else {
            options
        };
        archive.start_file(format!("{folder}/{name}"), options)?;
        archive.write_all(bytes)?;
    }
    archive.finish()?;
    Ok(())
}

/// Reads the files of an archive that has them all in that folder.
///
/// # Errors
///
/// When it can't be read, or has something outside of the folder.
pub(super) fn read(path: &Path, folder: &str) -> Result<Files> {
    let file = File::open(path).with_context(|| format!("can't read {}", path.display()))?;
    let mut archive = ZipArchive::new(file)?;
    let mut files = Files::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index)?;
        let name = entry.name()?.into_owned();
        let Some(inside) = name
            .strip_prefix(folder)
            .and_then(|rest| rest.strip_prefix('/'))
        else {
            bail!("{} has {name}, outside of {folder}", path.display());
        };
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        ensure!(
            files.insert(inside.to_owned(), bytes).is_none(),
            "{} has {name} twice",
            path.display()
        );
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_files_give_the_same_bytes_and_come_back() {
        let folder = std::env::temp_dir().join(format!("apclab-archive-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder for temporary files");
        let mut files = Files::new();
        files.insert("b/two.txt".to_owned(), b"two\n".to_vec());
        files.insert("a.sh".to_owned(), vec![0; 10_000]);
        let (one, other) = (folder.join("one.zip"), folder.join("other.zip"));
        write(&one, "top", &files).expect("it can be written");
        write(&other, "top", &files).expect("it can be written");
        let bytes = |path| std::fs::read(path).expect("it was written");
        assert_eq!(bytes(&one), bytes(&other));
        assert_eq!(read(&one, "top").expect("it is an archive"), files);
        assert!(read(&one, "elsewhere").is_err());
        std::fs::remove_dir_all(&folder).expect("it can be removed");
    }

    #[test]
    fn the_list_has_every_file_but_itself() {
        let mut files = Files::new();
        files.insert("empty".to_owned(), Vec::new());
        files.insert(SUMS.to_owned(), b"x".to_vec());
        assert_eq!(
            sums(&files).expect("strings can be written"),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  empty\n"
        );
    }
}
