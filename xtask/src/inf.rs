//! The rules that `inf/apclab.inx` keeps, and the INF that is made of it: of those that InfVerif and the
//! reference pages on INF files have for a driver package that Windows 10 and later install, all that this
//! package is touched by. There is no InfVerif outside Windows.

mod parse;
mod stamp;

use std::collections::BTreeSet;

use anyhow::{Result, ensure};

use parse::{Entry, Problem, Section, Sections, parse};
pub(crate) use stamp::{Stamp, stamp};

const SYSTEM_CLASS: &str = "{4d36e97d-e325-11ce-bfc1-08002be10318}";

/// The sections that are read because of their name; the others have to be named by one of these.
const NAMED: &[&str] = &[
    "version",
    "sourcedisksnames",
    "sourcedisksfiles",
    "destinationdirs",
    "manufacturer",
    "strings",
];

/// The directives that a section of this package may have, by the section's name in lower case. A name that
/// is misspelt is one that Windows ignores. Sections that are lists have no directives.
const DIRECTIVES: &[(&str, &[&str])] = &[
    (
        "version",
        &[
            "Signature",
            "Class",
            "ClassGuid",
            "Provider",
            "CatalogFile",
            "DriverVer",
            "PnpLockdown",
        ],
    ),
    ("destinationdirs", &["DefaultDestDir"]),
    ("device.nt", &["CopyFiles"]),
    ("device.nt.hw", &["AddReg"]),
    ("device.nt.services", &["AddService"]),
    (
        "service",
        &[
            "DisplayName",
            "ServiceType",
            "StartType",
            "ErrorControl",
            "ServiceBinary",
        ],
    ),
    ("device.nt.wdf", &["KmdfService"]),
    ("framework", &["KmdfLibraryVersion"]),
];

/// Folders that a package which is run from the driver store must not write to, as DIRIDs: Windows, System32,
/// its drivers, INF, and so on. What is allowed is 13, the package's own folder in the store, and 01, where
/// the INF lies.
const ISOLATED: &[u32] = &[1, 13];

/// Which of the two files it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// `apclab.inx`, which has `$ARCH$` and `$KMDFVERSION$`, and no version.
    Template,
    /// `apclab.inf`, with these in their place.
    Stamped(Stamp),
}

impl Form {
    fn text(&self, template: &str) -> String {
        match self {
            Self::Template => template.to_owned(),
            Self::Stamped(stamp) => stamp.replace(template),
        }
    }
}

/// The checks; every rule that is broken gives a problem.
struct Check<'a> {
    form: &'a Form,
    sections: Sections,
    problems: Vec<Problem>,
    read: BTreeSet<String>,
}

impl Check<'_> {
    fn section(&mut self, name: &str) -> Section {
        let name = name.to_ascii_lowercase();
        self.read.insert(name.clone());
        let found = self.sections.get(&name).cloned();
        found.unwrap_or_else(|| {
            self.problem(0, format!("there is no section [{name}]"));
            Section::default()
        })
    }

    fn problem(&mut self, line: usize, text: impl Into<String>) {
        self.problems.push(Problem::new(line, text));
    }

    /// The one line with this key.
    fn entry(&mut self, section: &str, key: &str) -> Option<Entry> {
        let Section { line, entries } = self.section(section);
        let mut found = entries
            .into_iter()
            .filter(|entry| entry.key.eq_ignore_ascii_case(key));
        let what = if key.is_empty() { "line" } else { key };
        match (found.next(), found.next()) {
            (Some(entry), None) => Some(entry),
            (None, _) => {
                self.problem(line, format!("[{section}] has no {what}"));
                None
            }
            (_, Some(second)) => {
                self.problem(second.line, format!("[{section}] has {what} twice"));
                None
            }
        }
    }

    fn expect(&mut self, section: &str, key: &str, fields: &[&str]) {
        let section = self.form.text(section);
        let Some(found) = self.entry(&section, &self.form.text(key)) else {
            return;
        };
        let fields: Vec<_> = fields.iter().map(|field| self.form.text(field)).collect();
        let same = found.fields.len() == fields.len()
            && found
                .fields
                .iter()
                .zip(&fields)
                .all(|(one, other)| one.eq_ignore_ascii_case(other));
        if !same {
            let what = if key.is_empty() { "a line" } else { key };
            self.problem(
                found.line,
                format!(
                    "[{section}] {what} is {}, not {}",
                    found.fields.join(","),
                    fields.join(",")
                ),
            );
        }
    }

    /// Follows the line from the manufacturer to the device, and everything that hangs on it.
    fn package(&mut self) {
        for (key, fields) in [
            ("Signature", vec!["\"$WINDOWS NT$\""]),
            ("Class", vec!["System"]),
            ("ClassGuid", vec![SYSTEM_CLASS]),
            ("Provider", vec!["%Provider%"]),
            ("CatalogFile", vec!["apclab.cat"]),
            ("PnpLockdown", vec!["1"]),
        ] {
            self.expect("Version", key, &fields);
        }
        match self.form.clone() {
            // For stampinf, which would also add the line.
            Form::Template => self.expect("Version", "DriverVer", &[""]),
            Form::Stamped(stamp) => {
                self.expect("Version", "DriverVer", &[&stamp.date, &stamp.version]);
            }
        }
        self.expect("DestinationDirs", "DefaultDestDir", &["13"]);
        self.expect("SourceDisksFiles", "apclab.sys", &["1", "", ""]);
        self.expect("SourceDisksNames", "1", &["%DiskName%", "", "", "\"\""]);
        self.expect(
            "Manufacturer",
            "%Provider%",
            &["Models", "NT$ARCH$.10.0...19041"],
        );
        self.expect(
            "Models.NT$ARCH$.10.0...19041",
            "%DeviceDescription%",
            &["Device", "Root\\apclab"],
        );
        self.expect("Device.NT", "CopyFiles", &["Files"]);
        self.expect("Files", "", &["apclab.sys"]);
        self.expect("Device.NT.HW", "AddReg", &["DeviceSecurity"]);
        self.expect(
            "DeviceSecurity",
            "",
            &["HKR", "", "Security", "", "\"D:P(A;;GA;;;SY)(A;;GA;;;BA)\""],
        );
        self.expect(
            "Device.NT.Services",
            "AddService",
            &["apclab", "%SPSVCINST_ASSOCSERVICE%", "Service"],
        );
        for (key, field) in [
            ("ServiceType", "%SERVICE_KERNEL_DRIVER%"),
            ("StartType", "%SERVICE_DEMAND_START%"),
            ("ErrorControl", "%SERVICE_ERROR_NORMAL%"),
            ("ServiceBinary", "%13%\\apclab.sys"),
        ] {
            self.expect("Service", key, &[field]);
        }
        self.expect("Device.NT.Wdf", "KmdfService", &["apclab", "Framework"]);
        self.expect("Framework", "KmdfLibraryVersion", &["$KMDFVERSION$"]);
        for (key, field) in [
            ("SPSVCINST_ASSOCSERVICE", "0x00000002"),
            ("SERVICE_KERNEL_DRIVER", "1"),
            ("SERVICE_DEMAND_START", "3"),
            ("SERVICE_ERROR_NORMAL", "1"),
        ] {
            self.expect("Strings", key, &[field]);
        }
    }

    /// Each `%token%` is a string of the file, unless it is a number, which names a folder; each string is
    /// defined once and used.
    fn strings(&mut self) {
        let strings = self.section("Strings");
        let mut defined = BTreeSet::new();
        for entry in &strings.entries {
            if !defined.insert(entry.key.to_ascii_lowercase()) {
                self.problem(
                    entry.line,
                    format!("the string {} is there twice", entry.key),
                );
            }
        }
        let mut used = BTreeSet::new();
        let mut problems = Vec::new();
        for entry in self.sections.values().flat_map(|section| &section.entries) {
            for text in std::iter::once(&entry.key).chain(&entry.fields) {
                if !text.matches('%').count().is_multiple_of(2) {
                    problems.push(Problem::new(entry.line, format!("a % is alone in {text}")));
                }
                // What stands between the first two signs, the next two, and so on.
                for token in text.split('%').skip(1).step_by(2) {
                    let token = token.to_ascii_lowercase();
                    if token.parse::<u32>().is_err() && !defined.contains(&token) {
                        let text = format!("%{token}% is not in [Strings]");
                        problems.push(Problem::new(entry.line, text));
                    }
                    used.insert(token);
                }
            }
        }
        self.problems.append(&mut problems);
        for entry in &strings.entries {
            if !used.contains(&entry.key.to_ascii_lowercase()) {
                self.problem(
                    entry.line,
                    format!("the string {} is used nowhere", entry.key),
                );
            }
        }
    }

    /// The package writes to the driver store and to the device's own key, and nowhere else.
    fn isolation(&mut self) {
        let mut problems = Vec::new();
        for (name, section) in &self.sections {
            for entry in &section.entries {
                let mut refuse = |text: String| problems.push(Problem::new(entry.line, text));
                let root = entry.fields.first().map_or("", String::as_str);
                if ["HKLM", "HKCR", "HKCU", "HKU"]
                    .iter()
                    .any(|other| root.eq_ignore_ascii_case(other))
                {
                    refuse(format!("[{name}] writes below {root}, not below HKR"));
                }
                for text in &entry.fields {
                    let folders = text.split('%').skip(1).step_by(2);
                    for folder in folders.filter_map(|token| token.parse::<u32>().ok()) {
                        if !ISOLATED.contains(&folder) {
                            refuse(format!(
                                "[{name}] names folder {folder}, and not the driver store's (13)"
                            ));
                        }
                    }
                }
                if name == "destinationdirs" && root != "13" {
                    refuse(format!("[{name}] {} is folder {root}, not 13", entry.key));
                }
            }
        }
        self.problems.append(&mut problems);
    }

    /// What is copied is on the disk that the package is, and a copied file is what the service runs.
    fn files(&mut self) {
        let files: Vec<_> = self.section("SourceDisksFiles").entries;
        let disks: Vec<_> = self.section("SourceDisksNames").entries;
        for file in &files {
            let disk = file.fields.first().map_or("", String::as_str);
            if !disks.iter().any(|other| other.key == disk) {
                self.problem(
                    file.line,
                    format!(
                        "{} is on disk {disk}, which is not in [SourceDisksNames]",
                        file.key
                    ),
                );
            }
        }
        let known = |name: &str| files.iter().any(|file| file.key.eq_ignore_ascii_case(name));
        let copied: Vec<_> = self.section("Files").entries;
        for entry in &copied {
            let name = entry.fields.first().map_or("", String::as_str);
            if !known(name) {
                self.problem(
                    entry.line,
                    format!("{name} is copied, and not in [SourceDisksFiles]"),
                );
            }
        }
    }

    /// Sections have the directives of this package only.
    fn directives(&mut self) {
        let mut problems = Vec::new();
        for (name, allowed) in DIRECTIVES {
            for entry in self
                .sections
                .get(*name)
                .into_iter()
                .flat_map(|s| &s.entries)
            {
                if !allowed
                    .iter()
                    .any(|other| other.eq_ignore_ascii_case(&entry.key))
                {
                    let what = if entry.key.is_empty() {
                        entry.fields.join(",")
                    } else {
                        entry.key.clone()
                    };
                    let text = format!("[{name}] has {what}, which this package has no use for");
                    problems.push(Problem::new(entry.line, text));
                }
            }
        }
        self.problems.append(&mut problems);
    }

    /// A section that nothing names is one whose name is misspelt, or one that is not allowed: Windows
    /// ignores the first kind, and InfVerif refuses co-installers and sections of a class.
    fn rest(&mut self) {
        let rest: Vec<_> = self
            .sections
            .iter()
            .filter(|(name, _)| !NAMED.contains(&name.as_str()) && !self.read.contains(*name))
            .map(|(name, section)| (name.clone(), section.line))
            .collect();
        for (name, line) in rest {
            self.problem(line, format!("section [{name}] is not part of the package"));
        }
    }
}

/// What is wrong with the text of an INF file, in the order of its lines.
pub(crate) fn problems(text: &str, form: &Form) -> Vec<Problem> {
    let sections = match parse(text) {
        Ok(sections) => sections,
        Err(problem) => return vec![problem],
    };
    let mut check = Check {
        form,
        sections,
        problems: Vec::new(),
        read: BTreeSet::new(),
    };
    check.package();
    check.files();
    check.strings();
    check.isolation();
    check.directives();
    check.rest();
    let mut problems = check.problems;
    problems.sort();
    problems.dedup();
    problems
}

/// Checks the text of the file `name`.
///
/// # Errors
///
/// Names every rule that it breaks, with file and line.
pub(crate) fn check(name: &str, text: &str, form: &Form) -> Result<()> {
    let problems: Vec<_> = problems(text, form)
        .iter()
        .map(|problem| format!("{name}:{problem}"))
        .collect();
    ensure!(problems.is_empty(), "{}", problems.join("\n"));
    Ok(())
}

/// The lines of an INF file as a reader of the file gets them: the section's name in lower case, the key, and
/// the fields, without quotes and with the strings put in. A line without a key has its one field as the key
/// too, as setupapi has it.
///
/// # Errors
///
/// When the text is no INF file.
pub(crate) fn expanded(text: &str) -> Result<Vec<Vec<String>>, Problem> {
    let sections = parse(text)?;
    let strings: Vec<_> = sections
        .get("strings")
        .into_iter()
        .flat_map(|section| &section.entries)
        .map(|entry| {
            let value = entry.fields.join(",").replace('"', "");
            (format!("%{}%", entry.key.to_ascii_lowercase()), value)
        })
        .collect();
    let expand = |text: &str| {
        let text = text.replace('"', "");
        let name = text.to_ascii_lowercase();
        let found = strings.iter().find(|(token, _)| *token == name);
        found.map_or(text, |(_, value)| value.clone())
    };
    let mut lines = Vec::new();
    for (name, section) in &sections {
        for entry in &section.entries {
            let fields: Vec<_> = entry.fields.iter().map(|field| expand(field)).collect();
            let key = match fields.as_slice() {
                [only] if entry.key.is_empty() => only.clone(),
                _ => expand(&entry.key),
            };
            lines.push([name.clone(), key].into_iter().chain(fields).collect());
        }
    }
    Ok(lines)
}

#[cfg(test)]
mod tests;
