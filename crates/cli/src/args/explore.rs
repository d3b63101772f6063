//! The options of `explore`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use apclab_client::exploration::Baseline;
use clap::Args;

use super::{Format, Profile, baseline};

#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line"
)]
#[derive(Debug, Args)]
pub(crate) struct ExploreArgs {
    /// A litmus test
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The APC-disable counters that lanes begin with, as KERNEL,SPECIAL
    #[arg(
        long,
        value_name = "KERNEL,SPECIAL",
        default_value = "0,0",
        allow_hyphen_values = true,
        value_parser = baseline
    )]
    pub(crate) baseline: Baseline,
    /// Which kernel the model is
    #[arg(long, value_enum, default_value = "documented")]
    pub(crate) profile: Profile,
    /// Leave the paths out
    #[arg(long)]
    pub(crate) no_witnesses: bool,
    /// Take every order of steps that commute, too
    #[arg(long)]
    pub(crate) no_por: bool,
    /// Tell identical lanes apart
    #[arg(long)]
    pub(crate) no_symmetry: bool,
    /// Tell values apart that nobody will look at
    #[arg(long)]
    pub(crate) no_dead_values: bool,
    /// On how many threads [default: one for each processor]
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<NonZeroUsize>,
    /// How much memory the search may take, in MiB
    #[arg(long, value_name = "MB", default_value_t = 4096, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) memory: u32,
    /// The path that --svg and --save-witness take: deadlock, bug-check, or the number of an outcome
    /// [default: what speaks against the test, or else what its condition looks for]
    #[arg(long, value_name = "WHICH", value_parser = which, conflicts_with = "no_witnesses")]
    pub(crate) witness: Option<Which>,
    /// Write the path's events to a file
    #[arg(long, value_name = "FILE")]
    pub(crate) save_witness: Option<PathBuf>,
    /// Go along the path in a file instead of searching
    #[arg(long, value_name = "FILE", conflicts_with_all = ["save_witness", "witness", "no_witnesses"])]
    pub(crate) replay: Option<PathBuf>,
    /// Where a picture of the path goes
    #[arg(long, value_name = "OUT")]
    pub(crate) svg: Option<PathBuf>,
    /// How to report
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
}

/// A path among those that a search has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    Deadlock,
    BugCheck,
    /// Counted from 1.
    Outcome(usize),
}

fn which(text: &str) -> Result<Which, String> {
    match text {
        "deadlock" => Ok(Which::Deadlock),
        "bug-check" => Ok(Which::BugCheck),
        number => match number.parse() {
            Ok(number) if number > 0 => Ok(Which::Outcome(number)),
            _ => Err("it is deadlock, bug-check, or a number from 1 on".to_owned()),
        },
    }
}
