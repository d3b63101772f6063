//! The INF as a second parser reads it: Wine's setupapi, which Windows's programs are written for.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::command;
use crate::inf;
use crate::setup::WindowsTools;
use crate::wine::Wine;
use crate::workspace::Workspace;

/// A small program under Wine takes less than a second.
const LIMIT: Duration = Duration::from_mins(1);

/// Checks that setupapi finds in the INF file what our own parser finds: every line of every section, with
/// its strings put in.
///
/// # Errors
///
/// Shows the first line that is another, or what Wine says.
pub(super) fn check(workspace: &Workspace, tools: &WindowsTools, inf: &Path) -> Result<()> {
    let place = inf.parent().context("the INF lies in a folder")?;
    let (source, program, read) = (
        place.join("setupapi.c"),
        place.join("setupapi.exe"),
        place.join("setupapi.txt"),
    );
    fs::write(&source, include_str!("setupapi.c"))?;
    let mut gcc = Command::new(&tools.gcc);
    gcc.args(["-municode", "-Wall", "-Wextra", "-Werror", "-o"])
        .arg(&program)
        .arg(&source)
        .arg("-lsetupapi");
    command::run(&mut gcc)?;

    let should = inf::expanded(&fs::read_to_string(inf)?)
        .map_err(|problem| anyhow::anyhow!("{}:{problem}", inf.display()))?;
    let wine = Wine::prepare(workspace, tools)?;
    let mut list = wine.command(&program);
    list.arg(&read).arg(inf);
    let mut sections: Vec<_> = should.iter().map(|line| line[0].clone()).collect();
    sections.dedup();
    list.args(&sections);
    wine.run(&mut list, LIMIT)?;
    let text = fs::read_to_string(&read)?;
    compare(&text, &should)?;
    println!(
        "{}: setupapi reads the same {} lines in {} sections",
        inf.display(),
        should.len(),
        sections.len()
    );
    Ok(())
}

/// The lines that setupapi found are those that should be there.
fn compare(text: &str, should: &[Vec<String>]) -> Result<()> {
    let is: Vec<Vec<&str>> = text
        .lines()
        .map(|line| line.split('\t').collect())
        .collect();
    for (is, should) in is.iter().zip(should) {
        let same = is.len() == should.len()
            && is
                .iter()
                .zip(should)
                .all(|(is, should)| match should.strip_prefix("%13%") {
                    // The folder in the driver store is not known ahead of the installation.
                    Some(name) => is.ends_with(name) && !is.contains('%'),
                    None => is == should,
                });
        ensure!(same, "setupapi reads {is:?}, and not {should:?}");
    }
    ensure!(
        is.len() == should.len(),
        "setupapi reads {} lines, and not {}",
        is.len(),
        should.len()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::compare;

    #[test]
    fn a_line_that_setupapi_reads_otherwise_is_noticed() {
        let line = |fields: &[&str]| fields.iter().map(|&field| field.to_owned()).collect();
        let should: [Vec<String>; 2] = [
            line(&["service", "ServiceBinary", "%13%\\a.sys"]),
            line(&["files", "a.sys", "a.sys"]),
        ];
        let good = "service\tServiceBinary\tC:\\store\\a.sys\nfiles\ta.sys\ta.sys\n";
        compare(good, &should).expect("they are the same");
        for bad in [
            "service\tServiceBinary\t%13%\\a.sys\nfiles\ta.sys\ta.sys\n",
            "service\tServiceBinary\tC:\\store\\a.sys\nfiles\ta.sys\n",
            "service\tServiceBinary\tC:\\store\\a.sys\n",
        ] {
            compare(bad, &should).expect_err("they differ");
        }
    }
}
