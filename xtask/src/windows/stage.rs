//! The stage `windows`: what has to hold for the programs of Windows' user mode.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::Value;

use super::{Windows, ui};
use crate::command;
use crate::setup::WindowsTools;
use crate::wine::Wine;
use crate::workspace::Workspace;

/// The packages whose tests run under Wine.
const PACKAGES: &[&str] = &["apclab-critical-section", "apclab-client", "apclab-cli"];

/// The package whose documentation has examples that run on Windows alone.
const DOCUMENTED: &str = "apclab-critical-section";

/// Where cargo looks for what starts the target's programs.
const RUNNER: &str = "CARGO_TARGET_X86_64_WIN7_WINDOWS_GNU_RUNNER";

/// How long one program of tests may take; it takes seconds.
const LIMIT: Duration = Duration::from_mins(5);

/// Lints the packages for Windows, checks that what must not compile does not, and runs the tests under Wine.
///
/// # Errors
///
/// When there is a warning, a test fails or does not end, or Wine can't be started.
pub(crate) fn test(workspace: &Workspace, tools: &WindowsTools) -> Result<()> {
    println!("built by {}", tools.rust);
    let windows = Windows::new(workspace, tools);
    let packages = PACKAGES.iter().flat_map(|package| ["--package", package]);

    let mut clippy = windows.clippy();
    // What they are built from is linted by the stage for all packages.
    clippy
        .args(packages.clone())
        .args(["--no-deps", "--all-targets", "--", "--deny", "warnings"]);
    println!("{}", command::line(&clippy));
    command::run(&mut clippy)?;

    let mut document = windows.cargo("doc");
    document
        .args(packages.clone())
        .arg("--no-deps")
        .env("RUSTDOCFLAGS", "--deny warnings");
    println!("{}", command::line(&document));
    command::run(&mut document)?;

    ui::check(workspace, &windows)?;

    let mut build = windows.cargo("test");
    build
        .args(packages)
        .args(["--no-run", "--message-format=json-render-diagnostics"]);
    println!("{}", command::line(&build));
    let tests = executables(&command::answer(&mut build)?);
    ensure!(!tests.is_empty(), "cargo has built no tests");

    let wine = Wine::prepare(workspace, tools)?;
    let mut examples = windows.cargo("test");
    examples
        .args(["--package", DOCUMENTED, "--doc"])
        .env(RUNNER, &tools.wine);
    wine.surround(&mut examples);
    println!("{}", command::line(&examples));
    wine.run(&mut examples, LIMIT)?;

    for test in tests {
        println!("under Wine: {}", test.name);
        let start = Instant::now();
        let mut command = wine.command(&test.program);
        command.current_dir(&test.folder);
        wine.run(&mut command, LIMIT)?;
        println!(
            "under Wine: {}: {:.1} s",
            test.name,
            start.elapsed().as_secs_f64()
        );
    }
    Ok(())
}

/// A program of tests.
#[derive(Debug, PartialEq, Eq)]
struct Tests {
    name: String,
    program: PathBuf,
    /// Its package's folder, where cargo would run it.
    folder: PathBuf,
}

/// The programs of tests among cargo's messages.
fn executables(messages: &str) -> Vec<Tests> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| {
            message["reason"] == "compiler-artifact" && message["profile"]["test"] == true
        })
        .filter_map(|message| {
            let manifest = PathBuf::from(message["manifest_path"].as_str()?);
            Some(Tests {
                name: message["target"]["name"].as_str()?.to_owned(),
                program: message["executable"].as_str()?.into(),
                folder: manifest.parent()?.to_owned(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_programs_of_tests_are_run() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","manifest_path":"/a/Cargo.toml","target":{"name":"lib"},"profile":{"test":false},"executable":null}"#,
            "\n",
            r#"{"reason":"compiler-artifact","manifest_path":"/a/Cargo.toml","target":{"name":"tool"},"profile":{"test":false},"executable":"/t/tool.exe"}"#,
            "\nwhat a build script says\n",
            r#"{"reason":"compiler-artifact","manifest_path":"/a/Cargo.toml","target":{"name":"unwinding"},"profile":{"test":true},"executable":"/t/unwinding-1.exe"}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
        );
        let found = Tests {
            name: "unwinding".to_owned(),
            program: "/t/unwinding-1.exe".into(),
            folder: "/a".into(),
        };
        assert_eq!(executables(messages), [found]);
    }
}
