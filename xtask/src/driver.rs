//! The driver, built without a WDK.

use std::fs;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;

use crate::command;
use crate::cross::{Cross, DRIVER, EXAMPLES};
use crate::image;
use crate::reproducible;
use crate::setup::{self, Tools};
use crate::workspace::Workspace;

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
    let tools = setup::require(&workspace, options.setup.toolchain)?;
    let report = build(&workspace, &tools)?;
    println!("{}: {report}", workspace.driver_image().display());
    if options.check_reproducible {
        reproducible::check(&workspace, &tools)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Builds the driver, checks its image and puts it where the host looks for it.
///
/// # Errors
///
/// When something does not compile, or the image fails an assertion.
pub(crate) fn build(workspace: &Workspace, tools: &Tools) -> Result<image::Report> {
    let cross = Cross::prepare(workspace, tools)?;
    command::run(&mut cross.cargo("build"))?;

    let library = cross.output().join("apclab.dll");
    let bytes = fs::read(&library).with_context(|| format!("can't read {}", library.display()))?;
    let report = image::check(&bytes)
        .with_context(|| format!("{} is not fit to be a driver", library.display()))?;
    fs::create_dir_all(workspace.driver_folder())?;
    fs::write(workspace.driver_image(), bytes)?;
    // Names for the addresses in a bug check's report.
    fs::copy(
        cross.output().join("deps/apclab.map"),
        workspace.driver_folder().join("apclab.map"),
    )
    .context("the linker wrote no map")?;
    build_examples(workspace, &cross)?;
    Ok(report)
}

/// Builds the drivers below `examples/`, which have to pass the same checks. One by one: linked at the
/// same time, two packages would write the same files.
fn build_examples(workspace: &Workspace, cross: &Cross<'_>) -> Result<()> {
    for package in EXAMPLES {
        command::run(&mut cross.cargo_on("build", &[package]))?;
        let name = package.replace('-', "_");
        let library = cross.output().join(format!("{name}.dll"));
        let bytes =
            fs::read(&library).with_context(|| format!("can't read {}", library.display()))?;
        image::check(&bytes)
            .with_context(|| format!("{} is not fit to be a driver", library.display()))?;
        fs::write(
            workspace.driver_folder().join(format!("{package}.sys")),
            bytes,
        )?;
    }
    Ok(())
}

/// Lints the driver and what it is built from in this workspace; a warning is an error.
///
/// # Errors
///
/// When there is a warning.
pub(crate) fn lint(workspace: &Workspace, tools: &Tools) -> Result<()> {
    let cross = Cross::prepare(workspace, tools)?;
    let packages: Vec<_> = EXAMPLES.iter().copied().chain([DRIVER]).collect();
    command::run(cross.clippy(&packages).args(["--", "--deny", "warnings"]))
}

/// Makes the driver's documentation, that of private items too: it has no others. A warning is an error.
///
/// # Errors
///
/// When there is a warning.
pub(crate) fn document(workspace: &Workspace, tools: &Tools) -> Result<()> {
    let cross = Cross::prepare(workspace, tools)?;
    command::run(
        cross
            .cargo("doc")
            .args(["--no-deps", "--document-private-items"])
            // What is documented for its developers alone may link to private items.
            .env(
                "RUSTDOCFLAGS",
                "--deny warnings --allow rustdoc::private-intra-doc-links",
            ),
    )
}
