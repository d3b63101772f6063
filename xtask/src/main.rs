//! What has to be done around `cargo build`: `cargo xtask --help` lists it.

mod bench;
mod cli;
mod command;
mod cost;
mod cross;
mod driver;
mod header;
mod image;
mod inf;
mod mutants;
mod package;
mod reproducible;
mod run;
mod scripts;
mod setup;
mod test;
mod tree;
mod vendor;
mod windows;
mod wine;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    about = "Setup, cross build, tests and benchmarks of apclab"
)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what the build and the tests need
    Setup(setup::Options),
    /// Build target/driver/apclab.sys without a WDK, and check the image
    Driver(driver::Options),
    /// Write include/apclab.h from the protocol
    Header(header::Options),
    /// Make target/package/apclab-VERSION-x64.zip for a Windows test machine
    Package(package::Options),
    /// Build everything; run the litmus tests and measure the matrix through the driver in the host
    Run(run::Options),
    /// Build and test everything
    Test(test::Options),
    /// Show which litmus test notices when the model gets a fact wrong
    Mutants(mutants::Options),
    /// Measure the time to the first verdict, and iterations per second
    Bench(bench::Options),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().task {
        Task::Setup(options) => setup::run(options),
        Task::Driver(options) => driver::run(options),
        Task::Header(options) => header::run(options),
        Task::Package(options) => package::run(options),
        Task::Run(options) => run::run(options),
        Task::Test(options) => test::run(&options),
        Task::Mutants(options) => mutants::run(&options),
        Task::Bench(options) => bench::run(options),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::Arguments;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
