//! `apclab compare`: the matrices of several machines as one page.

mod machine;
mod merge;
mod read;
mod show;

use crate::args::{CompareArgs, CompareFormat};
use crate::failure::{self, Failure};
use crate::out::Out;
use crate::report::Document;

/// Runs the command; gives the exit code.
///
/// # Errors
/// [`Failure::Input`] with everything that is wrong with any of the files.
pub(crate) fn run(args: &CompareArgs, out: &mut Out) -> Result<u8, Failure> {
    let sources = read::read(&args.reports).map_err(Failure::Input)?;
    let comparison = merge::merge(&sources);
    match args.format {
        CompareFormat::Text => out.text(&show::text(&comparison, out)),
        CompareFormat::Markdown => out.text(&show::markdown(&comparison)),
        CompareFormat::Json => {
            out.json(&Document::without_target(
                "compare",
                failure::OK,
                comparison,
            ));
        }
        CompareFormat::Html => out.text(&show::html(&comparison)),
    }
    Ok(failure::OK)
}
