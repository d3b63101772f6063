//! `apclab.inf` from `apclab.inx`, as stampinf makes it on Windows.

use anyhow::{Result, ensure};

/// What stampinf puts in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// `mm/dd/yyyy`, in UTC.
    pub(crate) date: String,
    /// `w.x.y.z`, each at most 65535.
    pub(crate) version: String,
    /// `amd64`.
    pub(crate) architecture: &'static str,
    /// Version of KMDF, `1.15`.
    pub(crate) kmdf: &'static str,
}

impl Stamp {
    /// The text with the architecture and KMDF's version put in.
    pub(super) fn replace(&self, template: &str) -> String {
        template
            .replace("$ARCH$", self.architecture)
            .replace("$KMDFVERSION$", self.kmdf)
    }
}

/// The text of `apclab.inf`, with the line ends of Windows and without the template's comments on stampinf.
///
/// # Errors
///
/// When the template has no line for the version, or has it twice.
pub(crate) fn stamp(template: &str, stamp: &Stamp) -> Result<String> {
    let mut stamped = 0;
    let mut text = String::new();
    for line in template.lines() {
        // What is said of stampinf is said of the template.
        if line.starts_with("; stampinf makes") {
            continue;
        }
        if line.starts_with("DriverVer") {
            stamped += 1;
            text.push_str("DriverVer   = ");
            text.push_str(&stamp.date);
            text.push(',');
            text.push_str(&stamp.version);
            text.push_str("\r\n");
            continue;
        }
        text.push_str(&stamp.replace(line));
        text.push_str("\r\n");
    }
    ensure!(
        stamped == 1,
        "the template has {stamped} lines for the version, not one"
    );
    Ok(text)
}
