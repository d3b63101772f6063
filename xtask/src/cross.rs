//! Cargo as the cross build calls it: with a WDK of our own, patched crates and nothing of the user's.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::command;
use crate::setup::{TARGET, Tools};
use crate::tree::{self, GNU_VERSION, Programs};
use crate::vendor;
use crate::workspace::Workspace;

/// The driver's package.
pub(crate) const DRIVER: &str = "apclab";
/// The other packages that are built as the driver is.
pub(crate) const EXAMPLES: &[&str] = &["apclab-minimal", "apclab-cost", "apclab-exercise"];

/// The cargo profile of the driver.
const PROFILE: &str = "driver";

/// Everything that lies below `target/cross`, brought up to date.
pub(crate) struct Cross<'a> {
    workspace: &'a Workspace,
    tools: &'a Tools,
    programs: Programs,
}

impl<'a> Cross<'a> {
    /// Makes what is missing or out of date.
    ///
    /// # Errors
    ///
    /// When a file can't be written, a crate can't be fetched or patched, or `cross/` does not compile.
    pub(crate) fn prepare(workspace: &'a Workspace, tools: &'a Tools) -> Result<Self> {
        vendor::prepare(workspace, tools)?;
        let (programs, new_tree) = tree::prepare(workspace, tools)?;
        write_cargo_home(workspace, tools)?;
        let cross = Self {
            workspace,
            tools,
            programs,
        };
        if new_tree {
            // Cargo tracks neither the headers nor the libraries of a WDK: it is told to run wdk-sys's
            // build script and the linker again. In the folder of the crate scratch, wdk-macros keeps the
            // signatures of KMDF's functions for good.
            let mut clean = cross.plain(&tools.rust.cargo, "clean");
            clean.args(["--quiet", "--package", "wdk-sys", "--package", DRIVER]);
            clean.args(["--package", "scratch"]);
            for example in EXAMPLES {
                clean.args(["--package", example]);
            }
            command::run(&mut clean)?;
        }
        Ok(cross)
    }

    /// The folder with the driver as cargo leaves it.
    pub(crate) fn output(&self) -> PathBuf {
        target_folder(self.workspace).join(TARGET).join(PROFILE)
    }

    /// `cargo <subcommand>` for the driver's package.
    pub(crate) fn cargo(&self, subcommand: &str) -> Command {
        self.cargo_on(subcommand, &[DRIVER])
    }

    /// `cargo <subcommand>` for these packages, which are built as the driver is.
    pub(crate) fn cargo_on(&self, subcommand: &str, packages: &[&str]) -> Command {
        self.on(packages, &self.tools.rust.cargo, subcommand)
    }

    /// `cargo clippy` for these packages: of the same toolchain, which need not be the user's own.
    pub(crate) fn clippy(&self, packages: &[&str]) -> Command {
        let rust = &self.tools.rust;
        let mut clippy = self.on(packages, &rust.program("cargo-clippy"), "clippy");
        clippy.env("CARGO", &rust.cargo);
        clippy
    }

    fn on(&self, packages: &[&str], program: &Path, subcommand: &str) -> Command {
        let mut cargo = self.plain(program, subcommand);
        for package in packages {
            cargo.args(["--package", package]);
        }
        if self.tools.rust.library_sources.is_some() {
            // Debian has the library as source only, and building it is an unstable feature of cargo.
            cargo
                .arg("-Zbuild-std=core,alloc")
                .env("RUSTC_BOOTSTRAP", "1")
                // The compiler tells cargo that the target has half-precision floats, cargo does not tell
                // the build script of compiler_builtins, and that leaves out what core calls for them.
                .env("CARGO_CFG_TARGET_HAS_RELIABLE_F16", "");
        }
        cargo
    }

    /// Cargo with the environment of the cross build, and nothing of this process's own.
    fn plain(&self, program: &Path, subcommand: &str) -> Command {
        let (workspace, tools) = (self.workspace, self.tools);
        let mut cargo = command::clean(program);
        cargo
            .current_dir(workspace.root())
            // A cargo home of its own: wdk-build runs `cargo metadata`, which has to see the same crates.
            .env("CARGO_HOME", cargo_home(workspace))
            .env("CARGO_TARGET_DIR", target_folder(workspace))
            .env("RUSTC", &tools.rust.rustc)
            .env("RUSTDOC", tools.rust.program("rustdoc"))
            .env("WDKContentRoot", workspace.wdk())
            .env("LIBCLANG_PATH", &tools.libclang)
            .env("CC_x86_64_pc_windows_msvc", &self.programs.clang_cl)
            .env("AR_x86_64_pc_windows_msvc", &self.programs.llvm_lib)
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
            .env("CARGO_PROFILE_DRIVER_DEBUG", "false")
            .args([subcommand, "--locked", "--profile", PROFILE])
            .args(["--target", TARGET]);
        cargo
    }
}

fn target_folder(workspace: &Workspace) -> PathBuf {
    workspace.cross().join("build")
}

fn cargo_home(workspace: &Workspace) -> PathBuf {
    workspace.cross().join("cargo-home")
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
