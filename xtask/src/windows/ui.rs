//! What must not compile: small programs, each with the errors that it must give.
//!
//! trybuild compiles for the machine that it runs on, and these programs exist on Windows only. So cargo
//! checks them for Windows, as programs of a package that is made below `target/`, and this module compares.
//! An expectation has each error's code, message, place and labels, and not the notes, which are worded anew
//! by every version of the compiler.

use std::collections::BTreeMap;
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::Windows;
use crate::workspace::Workspace;

/// Where the programs are, each `name.rs` with its errors in `name.stderr`; one without must compile.
const FOLDER: &str = "crates/critical-section/tests/ui";
/// Set to `overwrite`, it has the expectations written instead of compared, as trybuild does.
const OVERWRITE: &str = "TRYBUILD";

/// Compares the errors of all programs.
///
/// # Errors
///
/// When a program compiles that must not, or the other way round, or its errors are not those expected.
pub(super) fn check(workspace: &Workspace, windows: &Windows<'_>) -> Result<()> {
    let folder = workspace.root().join(FOLDER);
    let names = programs(&folder)?;
    ensure!(!names.is_empty(), "{} has no programs", folder.display());
    let package = workspace.windows().join("ui");
    write_package(workspace, &package, &names)?;

    let mut check = windows.elsewhere("check");
    check
        .arg("--manifest-path")
        .arg(package.join("Cargo.toml"))
        .args(["--bins", "--keep-going", "--message-format=json", "--quiet"]);
    let output = check.output().context("can't start cargo")?;
    let messages = String::from_utf8_lossy(&output.stdout);
    let found = errors(&messages, &folder);
    let compiled = compiled(&messages);

    let overwrite = env::var_os(OVERWRITE).is_some_and(|value| value == "overwrite");
    let mut failures = String::new();
    for name in &names {
        let expectation = folder.join(format!("{name}.stderr"));
        let expected = fs::read_to_string(&expectation).unwrap_or_default();
        let errors = found.get(name).map_or("", String::as_str);
        // A program that was not looked at at all has no errors either.
        if errors.is_empty() && !compiled.contains(name) {
            bail!(
                "cargo did not get as far as {name}:\n{}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        if errors == expected {
            continue;
        }
        if overwrite && !errors.is_empty() {
            fs::write(&expectation, errors)?;
            println!("written: {}", expectation.display());
            continue;
        }
        write!(
            failures,
            "\n{name}.rs: expected\n{}\nbut got\n{}\n",
            or_none(expected.trim_end()),
            or_none(errors.trim_end())
        )?;
    }
    ensure!(
        failures.is_empty(),
        "{failures}\n{OVERWRITE}=overwrite writes what it got"
    );
    println!("{} programs give the errors that they must", names.len());
    Ok(())
}

fn or_none(errors: &str) -> &str {
    if errors.is_empty() {
        "no error"
    } else {
        errors
    }
}

/// The names of the programs, in order.
fn programs(folder: &Path) -> Result<Vec<String>> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("can't read {}", folder.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs")
            && let Some(stem) = path.file_stem()
        {
            names.push(stem.to_string_lossy().into_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Writes a package with these programs, in a workspace of its own and with this workspace's `Cargo.lock`.
fn write_package(workspace: &Workspace, package: &Path, names: &[String]) -> Result<()> {
    let root = workspace.root();
    let mut manifest = String::from(
        "[package]\nname = \"ui\"\nversion = \"0.0.0\"\nedition = \"2024\"\npublish = false\n\
         autobins = false\n\n[workspace]\n\n[dependencies]\n",
    );
    writeln!(
        manifest,
        "apclab-critical-section = {{ path = '{}' }}",
        root.join("crates/critical-section").display()
    )?;
    for name in names {
        writeln!(
            manifest,
            "\n[[bin]]\nname = '{name}'\npath = '{}'",
            root.join(FOLDER).join(format!("{name}.rs")).display()
        )?;
    }
    fs::create_dir_all(package)?;
    fs::write(package.join("Cargo.toml"), manifest)?;
    // The versions are those of the repository; what the package does not need, cargo takes out.
    fs::copy(root.join("Cargo.lock"), package.join("Cargo.lock"))?;
    Ok(())
}

/// The errors of each program among cargo's messages, in the form of the expectations.
fn errors(messages: &str, folder: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::<String, String>::new();
    for message in parse(messages) {
        let inner = &message["message"];
        // The compiler ends with an error that counts the others: it has no place.
        if message["reason"] != "compiler-message"
            || inner["level"] != "error"
            || inner["spans"].as_array().is_none_or(Vec::is_empty)
        {
            continue;
        }
        let Some(name) = message["target"]["name"].as_str() else {
            continue;
        };
        let errors = found.entry(name.to_owned()).or_default();
        if !errors.is_empty() {
            errors.push('\n');
        }
        errors.push_str(&describe(inner, folder));
    }
    found
}

fn describe(error: &Value, folder: &Path) -> String {
    let code = error["code"]["code"]
        .as_str()
        .map_or(String::new(), |code| format!("[{code}]"));
    let mut text = format!(
        "error{code}: {}\n",
        error["message"].as_str().unwrap_or_default()
    );
    for span in error["spans"].as_array().into_iter().flatten() {
        let file = Path::new(span["file_name"].as_str().unwrap_or_default());
        // Places in the library and in the standard library move whenever those change.
        if !file.starts_with(folder) {
            continue;
        }
        let arrow = if span["is_primary"] == true {
            "-->"
        } else {
            "   "
        };
        let (line, column) = (&span["line_start"], &span["column_start"]);
        let place = format!("{arrow} {line}:{column}");
        // A closure's type is named by where it is.
        let label = span["label"].as_str().unwrap_or_default();
        let label = label.replace(&format!("{}/", folder.display()), "");
        text.push_str(format!("  {place} {label}").trim_end());
        text.push('\n');
    }
    text
}

/// The programs that compile.
fn compiled(messages: &str) -> Vec<String> {
    parse(messages)
        .filter(|message| message["reason"] == "compiler-artifact")
        .filter_map(|message| message["target"]["name"].as_str().map(str::to_owned))
        .collect()
}

fn parse(messages: &str) -> impl Iterator<Item = Value> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_its_code_message_places_and_labels() {
        let messages = concat!(
            r#"{"reason":"compiler-message","target":{"name":"sent"},"message":{"level":"error","code":{"code":"E0277"},"message":"no","spans":["#,
            r#"{"file_name":"/u/sent.rs","line_start":7,"column_start":5,"is_primary":true,"label":"in closure@/u/sent.rs:7:5"},"#,
            r#"{"file_name":"/std/thread.rs","line_start":1,"column_start":1,"is_primary":false,"label":"bound"},"#,
            r#"{"file_name":"/u/sent.rs","line_start":8,"column_start":9,"is_primary":false,"label":null}]}}"#,
            "\n",
            r#"{"reason":"compiler-message","target":{"name":"sent"},"message":{"level":"error","code":null,"message":"aborting due to 1 previous error","spans":[]}}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"passes"}}"#,
        );
        let found = errors(messages, Path::new("/u"));
        assert_eq!(found.len(), 1);
        assert_eq!(
            found["sent"],
            "error[E0277]: no\n  --> 7:5 in closure@sent.rs:7:5\n      8:9\n"
        );
        assert_eq!(compiled(messages), ["passes"]);
    }
}
