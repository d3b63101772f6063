//! The rules that `inf/apclab.inx` keeps, of those that InfVerif and the reference pages on INF files have
//! for a driver package that Windows 10 and later install. There is no InfVerif outside Windows.

use std::collections::{BTreeMap, BTreeSet};

/// A section's lines: what is left of the first `=`, if there is one, and the fields right of it.
type Section = Vec<(String, Vec<String>)>;

/// Sections by their names in lower case: INF files have no case.
type Sections = BTreeMap<String, Section>;

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

fn parse(text: &str) -> Result<Sections, String> {
    let mut sections = Sections::new();
    let mut current: Option<String> = None;
    for (number, line) in text.lines().enumerate() {
        let line = without_comment(line).trim();
        if line.is_empty() {
            continue;
        }
        if let Some(name) = line.strip_prefix('[') {
            let name = name
                .strip_suffix(']')
                .ok_or_else(|| format!("line {}: no closing bracket", number + 1))?
                .to_ascii_lowercase();
            if sections.insert(name.clone(), Section::new()).is_some() {
                return Err(format!("section [{name}] stands there twice"));
            }
            current = Some(name);
            continue;
        }
        let section = current
            .as_ref()
            .and_then(|name| sections.get_mut(name))
            .ok_or_else(|| format!("line {}: it is in no section", number + 1))?;
        let (key, value) = match split_outside_quotes(line, '=').as_slice() {
            [value] => (String::new(), value.clone()),
            [key, rest @ ..] => (key.clone(), rest.join("=")),
            [] => continue,
        };
        let fields = split_outside_quotes(&value, ',');
        section.push((key, fields));
    }
    Ok(sections)
}

fn without_comment(line: &str) -> &str {
    let mut quoted = false;
    for (at, character) in line.char_indices() {
        match character {
            '"' => quoted = !quoted,
            ';' if !quoted => return &line[..at],
            _ => {}
        }
    }
    line
}

fn split_outside_quotes(text: &str, separator: char) -> Vec<String> {
    let mut quoted = false;
    let pieces = text.split(|character| {
        if character == '"' {
            quoted = !quoted;
        }
        character == separator && !quoted
    });
    pieces.map(|piece| piece.trim().to_owned()).collect()
}

/// The checks; every rule that is broken gives a sentence.
struct Check {
    sections: Sections,
    problems: Vec<String>,
    read: BTreeSet<String>,
}

impl Check {
    fn section(&mut self, name: &str) -> Section {
        let name = name.to_ascii_lowercase();
        self.read.insert(name.clone());
        let found = self.sections.get(&name).cloned();
        found.unwrap_or_else(|| {
            self.problems.push(format!("there is no section [{name}]"));
            Section::new()
        })
    }

    /// The fields of the one line with this key.
    fn fields(&mut self, section: &str, key: &str) -> Vec<String> {
        let lines = self.section(section);
        let mut found = lines
            .into_iter()
            .filter(|(other, _)| other.eq_ignore_ascii_case(key));
        match (found.next(), found.next()) {
            (Some((_, fields)), None) => fields,
            (None, _) => {
                self.problems.push(format!("[{section}] has no {key}"));
                Vec::new()
            }
            _ => {
                self.problems.push(format!("[{section}] has {key} twice"));
                Vec::new()
            }
        }
    }

    fn expect(&mut self, section: &str, key: &str, fields: &[&str]) {
        let found = self.fields(section, key);
        let same = found.len() == fields.len()
            && found
                .iter()
                .zip(fields)
                .all(|(one, other)| one.eq_ignore_ascii_case(other));
        if !found.is_empty() && !same {
            self.problems.push(format!(
                "[{section}] {key} is {}, not {}",
                found.join(","),
                fields.join(",")
            ));
        }
    }

    /// Follows the line from the manufacturer to the device, and everything that hangs on it.
    fn package(&mut self) {
        for (key, fields) in [
            ("Signature", ["\"$WINDOWS NT$\""]),
            ("Class", ["System"]),
            ("ClassGuid", [SYSTEM_CLASS]),
            ("Provider", ["%Provider%"]),
            ("CatalogFile", ["apclab.cat"]),
            ("PnpLockdown", ["1"]),
            // For stampinf, which would also add the line.
            ("DriverVer", [""]),
        ] {
            self.expect("Version", key, &fields);
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
    /// used.
    fn strings(&mut self) {
        let mut used = BTreeSet::new();
        for section in self.sections.values() {
            for (key, fields) in section {
                for text in std::iter::once(key).chain(fields) {
                    // What stands between the first two signs, the next two, and so on.
                    used.extend(
                        text.split('%')
                            .skip(1)
                            .step_by(2)
                            .map(str::to_ascii_lowercase),
                    );
                }
            }
        }
        used.retain(|token| token.parse::<u32>().is_err());
        let defined: BTreeSet<_> = self
            .section("Strings")
            .into_iter()
            .map(|(key, _)| key.to_ascii_lowercase())
            .collect();
        for token in used.difference(&defined) {
            self.problems.push(format!("%{token}% is not in [Strings]"));
        }
        for token in defined.difference(&used) {
            self.problems
                .push(format!("the string {token} is used nowhere"));
        }
    }

    /// A section that nothing names is one whose name is misspelt, or one that is not allowed: Windows
    /// ignores the first kind, and InfVerif refuses co-installers and sections of a class.
    fn rest(&mut self) {
        for name in self.sections.keys() {
            if !NAMED.contains(&name.as_str()) && !self.read.contains(name) {
                self.problems
                    .push(format!("section [{name}] is not part of the package"));
            }
        }
    }
}

fn problems(text: &str) -> Vec<String> {
    let sections = match parse(text) {
        Ok(sections) => sections,
        Err(problem) => return vec![problem],
    };
    let mut check = Check {
        sections,
        problems: Vec::new(),
        read: BTreeSet::new(),
    };
    check.package();
    check.strings();
    check.rest();
    check.problems
}

mod tests;
