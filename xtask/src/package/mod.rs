//! The package for a test machine: driver, command line, tests and scripts in one zip file.
//!
//! The same sources, tools and certificate give the same files, but for the time that each of the two
//! signatures has in it.

mod archive;
mod catalog;
mod check;
mod setupapi;
mod sign;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::command;
use crate::driver;
use crate::inf::{self, Form, Stamp};
use crate::setup::{self, Toolchain, WindowsTools, packaging};
use crate::windows::{self, Windows};
use crate::workspace::Workspace;
use archive::{Files, SUMS};
use sign::Signer;

/// The version of the workspace, which all its packages have.
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The device that the INF installs.
const HARDWARE_ID: &str = "Root\\apclab";
/// What is copied as it is, with the folders below it.
const COPIED: &[&str] = &[
    "litmus",
    "scripts",
    "include",
    "LICENSE-APACHE",
    "LICENSE-MIT",
];

#[derive(Args, Clone, Copy, Debug, Default)]
#[group(skip)]
pub(crate) struct Options {
    #[command(flatten)]
    setup: setup::Options,
}

/// Makes the package, checks it and says where it is.
pub(crate) fn run(options: Options) -> Result<ExitCode> {
    let workspace = Workspace::current()?;
    make(&workspace, options.setup.toolchain)?;
    Ok(ExitCode::SUCCESS)
}

/// Builds driver and command line, and makes the package of them.
///
/// # Errors
///
/// When something does not compile, can't be signed, or the finished package is not as it should be.
pub(crate) fn make(workspace: &Workspace, toolchain: Toolchain) -> Result<()> {
    let tools = packaging::require()?;
    let windows = setup::require_windows(workspace, toolchain)?;
    driver::build(workspace, &setup::require(workspace, toolchain)?)?;
    let commit = Commit::of(workspace)?;
    let signer = Signer::prepare(&tools, &workspace.package().join("certificate"))?;

    let mut files = copied_files(workspace)?;
    let built = |name: &str| {
        let path = workspace.driver_folder().join(name);
        fs::read(&path).with_context(|| format!("can't read {}", path.display()))
    };
    let image = signer.sign("apclab.sys", &built("apclab.sys")?)?;
    let inf = inf(workspace, &commit)?.into_bytes();
    let members = [
        catalog::File::image("apclab.sys", &image)?,
        catalog::File::flat("apclab.inf", &inf),
    ];
    let list = catalog::unsigned(&members, HARDWARE_ID, commit.time)?;
    let readme = include_str!("readme.txt")
        .replace("{version}", VERSION)
        .replace("{commit}", &commit.name)
        .replace('\n', "\r\n");
    for (name, bytes) in [
        ("apclab.cat", signer.sign("apclab.cat", &list)?),
        ("apclab.cer", signer.der()?),
        ("apclab.exe", program(workspace, &windows, &commit)?),
        ("apclab.inf", inf),
        ("apclab.map", built("apclab.map")?),
        ("apclab.sys", image),
        ("README.txt", readme.into_bytes()),
    ] {
        files.insert(name.to_owned(), bytes);
    }
    files.insert(SUMS.to_owned(), archive::sums(&files)?.into_bytes());

    let folder = format!("apclab-{VERSION}-x64");
    let path = workspace.package().join(format!("{folder}.zip"));
    // What fails the checks does not get the name of a package.
    let unchecked = path.with_extension("unchecked");
    archive::write(&unchecked, &folder, &files)?;
    check::check(workspace, &tools, &windows, &unchecked, &folder)?;
    fs::rename(&unchecked, &path)?;
    println!(
        "{}: {} files, {} bytes; signatures and hashes are right",
        path.display(),
        files.len(),
        fs::metadata(&path)?.len()
    );
    Ok(())
}

/// The command line for Windows, without the debugger's part, which is ten times as long.
fn program(workspace: &Workspace, tools: &WindowsTools, commit: &Commit) -> Result<Vec<u8>> {
    command::run(Windows::new(workspace, tools).cargo("build").args([
        "--release",
        "--package",
        "apclab-cli",
    ]))?;
    let stripped = workspace.package().join("apclab.exe");
    let gcc = tools.gcc.to_string_lossy();
    let (prefix, _) = gcc
        .rsplit_once("-gcc")
        .with_context(|| format!("{gcc} is no GCC"))?;
    let mut strip = command::clean(format!("{prefix}-strip"));
    strip
        // Else it writes the time into the header.
        .env("SOURCE_DATE_EPOCH", commit.time.as_secs().to_string())
        .arg("-o")
        .arg(&stripped)
        .arg(
            workspace
                .windows()
                .join(windows::TARGET)
                .join("release/apclab.exe"),
        );
    command::run(&mut strip)?;
    fs::read(&stripped).with_context(|| format!("can't read {}", stripped.display()))
}

/// The stamped INF, checked.
fn inf(workspace: &Workspace, commit: &Commit) -> Result<String> {
    let path = workspace.root().join("inf/apclab.inx");
    let template =
        fs::read_to_string(&path).with_context(|| format!("can't read {}", path.display()))?;
    inf::check("inf/apclab.inx", &template, &Form::Template)?;
    let stamp = Stamp {
        date: commit.date.clone(),
        version: format!("{VERSION}.{}", commit.count),
        architecture: "amd64",
        kmdf: "1.15",
    };
    let inf = inf::stamp(&template, &stamp)?;
    inf::check("apclab.inf", &inf, &Form::Stamped(stamp))?;
    Ok(inf)
}

/// What is copied, as git tracks it and as it stands in the work tree.
fn copied_files(workspace: &Workspace) -> Result<Files> {
    let listed = command::output(
        Command::new("git")
            .current_dir(workspace.root())
            .args(["ls-files", "-z", "--"])
            .args(COPIED),
    )
    .context("the package has what git tracks")?;
    let mut files = Files::new();
    for name in listed.split_terminator('\0') {
        let path = workspace.root().join(name);
        let bytes = fs::read(&path).with_context(|| format!("can't read {}", path.display()))?;
        files.insert(name.to_owned(), bytes);
    }
    for copied in COPIED {
        ensure!(
            files.keys().any(|name| Path::new(name).starts_with(copied)),
            "git tracks nothing below {copied}"
        );
    }
    Ok(files)
}

/// The last commit: version and date of the driver are its, so that the same sources have the same ones.
struct Commit {
    /// With the mark `-dirty` when the work tree has changes.
    name: String,
    /// Since 1970.
    time: Duration,
    /// `mm/dd/yyyy`, in UTC.
    date: String,
    /// How many commits there are up to it.
    count: u16,
}

impl Commit {
    fn of(workspace: &Workspace) -> Result<Self> {
        let git = |arguments: &[&str]| {
            let mut git = Command::new("git");
            git.current_dir(workspace.root())
                .env("TZ", "UTC")
                .args(arguments);
            command::output(&mut git).map(|answer| answer.trim().to_owned())
        };
        let date = "--date=format-local:%m/%d/%Y";
        let count = git(&["rev-list", "--count", "HEAD"])?;
        Ok(Self {
            name: git(&[
                "describe",
                "--always",
                "--dirty",
                "--abbrev=12",
                "--exclude=*",
            ])?,
            time: Duration::from_secs(git(&["log", "-1", "--format=%ct"])?.parse()?),
            date: git(&["log", "-1", date, "--format=%cd"])?,
            count: count
                .parse()
                .with_context(|| format!("{count} commits are more than a version can have"))?,
        })
    }
}

/// Where the package is made.
impl Workspace {
    fn package(&self) -> PathBuf {
        self.root().join("target/package")
    }
}
