//! The command line.
//!
//! Exit codes: 0 all as expected, 1 a test failed, 2 the input or the command line is wrong, 3 the
//! target is not available.

mod args;
mod compare;
mod describe;
mod explore;
mod failure;
mod histogram;
mod info;
mod input;
mod log;
mod matrix;
mod out;
mod page;
mod report;
mod run;
mod setup;
mod table;
mod target;
mod trace;
mod verdict;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use crate::args::{Cli, Command};
use crate::out::Out;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut out = Out::new();
    let done = match &cli.command {
        Command::Run(args) => run::run(args, &mut out),
        Command::Explore(args) => explore::run(args, &mut out),
        Command::Trace(args) => trace::run(args, &mut out),
        Command::Matrix(args) => matrix::run(args, &mut out),
        Command::Compare(args) => compare::run(args, &mut out),
        Command::Info(args) => info::run(args, &mut out),
        Command::Install(args) => setup::install(args, &mut out),
        Command::Uninstall(args) => setup::uninstall(args, &mut out),
        Command::Status(args) => setup::status(args, &mut out),
        Command::Verifier(command) => setup::verifier(command, &mut out),
    };
    let written = out.finish();
    let mut code = match done {
        Ok(code) => code,
        Err(failure) => {
            complain(&failure.messages());
            failure.exit_code()
        }
    };
    if let Err(error) = written {
        complain(&[format!("error: the output cannot be written: {error}")]);
        code = code.max(failure::FAILED);
    }
    ExitCode::from(code)
}

/// Writes messages to the standard error stream; when that is closed too, there is nobody to tell.
fn complain(messages: &[String]) {
    let mut stderr = std::io::stderr().lock();
    for message in messages {
        let _ = writeln!(stderr, "{message}");
    }
}
