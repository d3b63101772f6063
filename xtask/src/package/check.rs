//! What a finished archive has to be.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::archive::{self, Files, SUMS};
use super::{catalog, copied_files, setupapi, sign};
use crate::image;
use crate::setup::WindowsTools;
use crate::setup::packaging::Packaging;
use crate::vendor::hex;
use crate::workspace::Workspace;

/// The files that are made; those that are copied come on top of them.
const MADE: &[&str] = &[
    "README.txt",
    SUMS,
    "apclab.cat",
    "apclab.cer",
    "apclab.exe",
    "apclab.inf",
    "apclab.map",
    "apclab.sys",
];

/// Checks the archive: its list of files, their hashes, the image, both signatures, and how Wine reads the INF.
///
/// # Errors
///
/// Says what is wrong with it.
pub(super) fn check(
    workspace: &Workspace,
    tools: &Packaging,
    windows: &WindowsTools,
    path: &Path,
    folder: &str,
) -> Result<()> {
    let files = archive::read(path, folder)?;
    content(&files, &copied_files(workspace)?)?;
    let place = workspace.package().join("checked");
    if place.exists() {
        fs::remove_dir_all(&place)?;
    }
    fs::create_dir_all(&place)?;
    for name in MADE {
        fs::write(place.join(name), &files[*name])?;
    }
    signatures(tools, &place, &files)
        .with_context(|| format!("{} is not right", path.display()))?;
    setupapi::check(workspace, windows, &place.join("apclab.inf"))
}

/// The archive has the files that it should have, and no others, and its list has their hashes.
fn content(files: &Files, copied: &Files) -> Result<()> {
    let should: BTreeSet<_> = MADE
        .iter()
        .copied()
        .chain(copied.keys().map(String::as_str))
        .collect();
    let is: BTreeSet<_> = files.keys().map(String::as_str).collect();
    ensure!(
        is == should,
        "the archive lacks {:?}, and has besides {:?}",
        should.difference(&is).collect::<Vec<_>>(),
        is.difference(&should).collect::<Vec<_>>()
    );
    ensure!(
        files[SUMS] == archive::sums(files)?.into_bytes(),
        "{SUMS} has not the hashes of the files"
    );
    Ok(())
}

fn signatures(tools: &Packaging, place: &Path, files: &Files) -> Result<()> {
    let [image, list, certificate, pem] =
        ["apclab.sys", "apclab.cat", "apclab.cer", "certificate.pem"].map(|name| place.join(name));
    // Signing keeps what Windows checks of an image, its checksum among it.
    image::check(&files["apclab.sys"]).context("apclab.sys is not fit to be a driver")?;
    sign::pem(tools, &certificate, &pem)?;
    sign::verify(tools, &pem, &image)?;
    sign::verify_by_catalog(tools, &pem, &list, &image)?;
    let members = [
        catalog::File::image("apclab.sys", &files["apclab.sys"])?,
        catalog::File::flat("apclab.inf", &files["apclab.inf"]),
    ];
    let tags = catalog::tags(&files["apclab.cat"])?;
    for member in &members {
        ensure!(
            tags.iter().any(|tag| tag == member.sha256()),
            "the catalog has not the hash of {}, {}",
            member.name(),
            hex(member.sha256())
        );
    }
    // A check that lets everything pass would be none: one changed byte of the code must be noticed.
    let changed = place.join("changed.sys");
    let mut bytes = files["apclab.sys"].clone();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&changed, bytes)?;
    for noticed in [
        sign::verify(tools, &pem, &changed),
        sign::verify_by_catalog(tools, &pem, &list, &changed),
    ] {
        ensure!(
            noticed.is_err(),
            "an image that was changed passes for signed"
        );
    }
    Ok(())
}
