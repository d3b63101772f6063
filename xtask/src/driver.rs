//! The cross build of the driver.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;

use crate::command;
use crate::image;
use crate::reproducible;
use crate::setup::{self, TARGET, Toolchain, Tools};
use crate::tree::{self, GNU_VERSION, Programs};
use crate::vendor;
use crate::workspace::Workspace;

/// The cargo profile of the driver.
const PROFILE: &str = "driver";

#[derive(Args, Clone, Copy, Debug, Default)]
#[group(skip)]
pub(crate) struct Options {
    #[command(flatten)]
    setup: setup::Options,
    /// Builds once more in a copy of the tracked files, and compares the two images.
    #[arg(long)]
    check_reproducible: bool,
}

/// Builds the driver and says what it is.
pub(crate) fn run(options: Options) -> Result<ExitCode> {
    let workspace = Workspace::current()?;
    let toolchain = options.setup.toolchain;
    let report = build(&workspace, toolchain)?;
    println!("{}: {report}", workspace.driver_image().display());
    if options.check_reproducible {
        reproducible::check(&workspace, toolchain)?;
        println!("driver: a build in another folder has the same bytes");
    }
    Ok(ExitCode::SUCCESS)
}

/// Builds the driver, checks its image and puts it where the host looks for it.
///
/// # Errors
///
/// When something is missing, does not compile, or the image fails an assertion.
pub(crate) fn build(workspace: &Workspace, toolchain: Toolchain) -> Result<image::Report> {
    let tools = setup::require(workspace, toolchain)?;
    vendor::prepare(workspace, &tools)?;
    let (programs, new_tree) = tree::prepare(workspace, &tools)?;
    write_cargo_home(workspace, &tools)?;
    if new_tree {
        forget_headers(workspace, &tools, &programs)?;
    }

    let mut build = cargo(workspace, &tools, &programs);
    build.args([
        "build",
        "--package",
        "apclab",
        "--locked",
        "--profile",
        PROFILE,
        "--target",
        TARGET,
    ]);
    if tools.library_sources.is_some() {
        // Debian has the library as source only, and building it is an unstable feature of cargo.
        build
            .arg("-Zbuild-std=core,alloc")
            .env("RUSTC_BOOTSTRAP", "1");
    }
    command::run(&mut build)?;

    let folder = target_folder(workspace).join(TARGET).join(PROFILE);
    let library = folder.join("apclab.dll");
    let bytes = fs::read(&library).with_context(|| format!("can't read {}", library.display()))?;
    let report = image::check(&bytes)
        .with_context(|| format!("{} is not fit to be a driver", library.display()))?;
    fs::create_dir_all(workspace.driver_folder())?;
    fs::write(workspace.driver_image(), bytes)?;
    // Names for the addresses in a bug check's report.
    fs::copy(
        folder.join("deps/apclab.map"),
        workspace.driver_folder().join("apclab.map"),
    )
    .context("the linker wrote no map")?;
    Ok(report)
}

fn target_folder(workspace: &Workspace) -> PathBuf {
    workspace.cross().join("build")
}

fn cargo_home(workspace: &Workspace) -> PathBuf {
    workspace.cross().join("cargo-home")
}

/// Cargo with the environment of the cross build, and nothing of this process's own.
fn cargo(workspace: &Workspace, tools: &Tools, programs: &Programs) -> std::process::Command {
    let mut cargo = command::clean(&tools.cargo);
    cargo
        .current_dir(workspace.root())
        // A cargo home of its own: wdk-build runs `cargo metadata`, which has to see the same crates.
        .env("CARGO_HOME", cargo_home(workspace))
        .env("CARGO_TARGET_DIR", target_folder(workspace))
        .env("RUSTC", &tools.rustc)
        .env("WDKContentRoot", workspace.wdk())
        .env("LIBCLANG_PATH", &tools.libclang)
        .env("CC_x86_64_pc_windows_msvc", &programs.clang_cl)
        .env("AR_x86_64_pc_windows_msvc", &programs.llvm_lib)
        .env(
            "CFLAGS_x86_64_pc_windows_msvc",
            format!("/clang:{GNU_VERSION} /w /kernel /GS- /Brepro"),
        )
        // libclang does not find clang's own headers by itself.
        .env(
            "BINDGEN_EXTRA_CLANG_ARGS_x86_64_pc_windows_msvc",
            format!(
                "{GNU_VERSION} -resource-dir={}",
                tools.clang_resources.display()
            ),
        )
        .env("CARGO_PROFILE_DRIVER_DEBUG", "false");
    cargo
}

/// The configuration that cargo reads, and that the `cargo metadata` which wdk-build runs reads as well.
fn write_cargo_home(workspace: &Workspace, tools: &Tools) -> Result<()> {
    let quoted = |text: &dyn std::fmt::Display| format!("'{text}'");
    let root = workspace.root().display();
    let vendored = workspace.vendored_crates();
    let flags = [
        // The later of two prefixes that match counts.
        format!("--remap-path-prefix={root}=apclab"),
        format!("--remap-path-prefix={}=crates", vendored.display()),
        format!(
            "--remap-path-prefix={}=build",
            target_folder(workspace).display()
        ),
        "--remap-path-prefix=/usr/src=rust".to_owned(),
        "-Clink-arg=/Brepro".to_owned(),
        // A PDB has the paths of the objects, and the image has the PDB's hash. The map has the names.
        "-Clink-arg=/DEBUG:NONE".to_owned(),
        // Windows checks a driver's checksum, and only release images have one.
        "-Clink-arg=/RELEASE".to_owned(),
    ];
    let mut config = String::new();
    writeln!(config, "[source.crates-io]\nreplace-with = 'vendored'\n")?;
    writeln!(
        config,
        "[source.vendored]\ndirectory = {}\n",
        quoted(&vendored.display())
    )?;
    writeln!(config, "[net]\noffline = true\n")?;
    writeln!(
        config,
        "[target.{TARGET}]\nlinker = {}",
        quoted(&tools.lld_link.display())
    )?;
    let flags: Vec<_> = flags.iter().map(|flag| quoted(flag)).collect();
    writeln!(config, "rustflags = [{}]", flags.join(", "))?;

    let home = cargo_home(workspace);
    fs::create_dir_all(&home)?;
    let path = home.join("config.toml");
    if fs::read_to_string(&path).is_ok_and(|old| old == config) {
        return Ok(());
    }
    fs::write(path, config)?;
    Ok(())
}

/// Makes cargo run wdk-sys's build script and the linker again: it tracks neither the headers nor the
/// libraries of the WDK.
fn forget_headers(workspace: &Workspace, tools: &Tools, programs: &Programs) -> Result<()> {
    let mut clean = cargo(workspace, tools, programs);
    clean.args([
        "clean",
        "--quiet",
        "--locked",
        "--profile",
        PROFILE,
        "--target",
        TARGET,
    ]);
    clean.args(["--package", "wdk-sys", "--package", "apclab"]);
    command::run(&mut clean)
}
