//! What has to be done around `cargo build`: `cargo xtask --help` lists it.

mod command;
mod driver;
mod image;
mod reproducible;
mod setup;
mod tree;
mod vendor;
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
    /// Installs what the cross build of the driver needs.
    Setup(setup::Options),
    /// Builds target/driver/apclab.sys without a WDK, and checks the image.
    Driver(driver::Options),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().task {
        Task::Setup(options) => setup::run(options),
        Task::Driver(options) => driver::run(options),
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
