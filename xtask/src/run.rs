//! The main job: the litmus tests and the matrix, measured through the real driver in the host.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use crate::cli::Cli;
use crate::command;
use crate::driver;
use crate::setup;
use crate::workspace::Workspace;

#[derive(Args, Clone, Copy, Debug)]
#[group(skip)]
pub(crate) struct Options {
    #[command(flatten)]
    setup: setup::Options,
    /// Iterations of each litmus test.
    #[arg(long, value_name = "N", default_value_t = ITERATIONS)]
    iterations: u32,
}

/// Enough for the outcomes that depend on timing to show, and still seconds for the whole suite.
pub(crate) const ITERATIONS: u32 = 1_000;

/// Builds what is needed, runs the suite, measures the matrix.
pub(crate) fn run(options: Options) -> Result<ExitCode> {
    let workspace = Workspace::current()?;
    let tools = setup::install(&workspace, options.setup.toolchain)?;
    driver::build(&workspace, &tools)?;
    let cli = Cli::build(&workspace)?;
    let iterations = options.iterations.to_string();
    let arguments = ["run", "litmus", "--on", "host", "--iterations", &iterations];
    let suite = command::status(&mut cli.command(&arguments))?;
    // Last, and also after a failure: the table is what one wants to see, and it says more about why.
    println!("\nWhich APC runs where, measured through the driver in the host:");
    let matrix = command::status(&mut cli.command(&["matrix", "--on", "host"]))?;
    Ok(if matrix.success() && suite.success() {
        ExitCode::SUCCESS
    } else {
        eprintln!("error: `apclab run` ended with {suite}, `apclab matrix` with {matrix}");
        ExitCode::FAILURE
    })
}
