//! Spin: compiling a Promela model, and running what comes of it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::explorer::{Cost, Found, outcomes};
use crate::command;

/// Deeper than any path of the models.
const DEPTH: &str = "-m1000000";
/// How much memory pan may take, in MiB.
const MEMORY: &str = "-DMEMLIM=16000";

/// What Spin says that it is.
///
/// # Errors
///
/// When it is not installed, with how to get it.
pub(super) fn version() -> Result<String> {
    let version = command::output(Command::new("spin").arg("-V")).context(
        "the explorer is measured beside Spin, which is not there; on Debian: apt-get install \
         --no-install-recommends spin gcc",
    )?;
    Ok(version.trim().to_owned())
}

/// A verifier of one model.
pub(super) struct Pan {
    program: PathBuf,
    /// How long Spin and the C compiler took for it.
    pub(super) compile_seconds: f64,
}

impl Pan {
    /// Makes a verifier in a folder of its own below `folder`. `flags` are for the C compiler.
    pub(super) fn compile(model: &Path, folder: &Path, name: &str, flags: &[&str]) -> Result<Self> {
        Self::compile_with(model, folder, name, &[], flags)
    }

    /// As [`Pan::compile`], with flags for Spin.
    pub(super) fn compile_with(
        model: &Path,
        folder: &Path,
        name: &str,
        promela: &[&str],
        flags: &[&str],
    ) -> Result<Self> {
        let folder = folder.join(name);
        std::fs::create_dir_all(&folder)?;
        let start = Instant::now();
        let mut spin = Command::new("spin");
        // Without -o2 Spin forgets variables that are only written and printed: outcomes would be
        // missing.
        let spin = spin.current_dir(&folder).args(promela);
        spin.args(["-o2", "-a"]).arg(model);
        command::output(spin)?;
        let mut gcc = Command::new("gcc");
        gcc.current_dir(&folder)
            .args(["-O2", "-DSAFETY", MEMORY])
            .args(flags)
            .args(["-o", "pan", "pan.c"]);
        command::output(&mut gcc)?;
        Ok(Self {
            program: folder.join("pan"),
            compile_seconds: start.elapsed().as_secs_f64(),
        })
    }

    /// Searches the whole model.
    pub(super) fn run(&self) -> Result<Found> {
        let start = Instant::now();
        let mut run = Command::new(&self.program);
        let text = command::output(run.arg(DEPTH))?;
        let seconds = start.elapsed().as_secs_f64();
        read(&text, seconds)
    }
}

/// What pan prints.
fn read(text: &str, seconds: f64) -> Result<Found> {
    ensure!(text.contains("errors: 0"), "pan found an error:\n{text}");
    ensure!(
        !text.contains("Search not completed") && !text.contains("max search depth too small"),
        "pan did not search everything:\n{text}"
    );
    let before = |name: &str| {
        let mut lines = text
            .lines()
            .filter_map(|line| line.trim().strip_suffix(name));
        let number = lines
            .next()
            .with_context(|| format!("no `{name}` in what pan prints"))?;
        Ok::<f64, anyhow::Error>(number.trim().parse()?)
    };
    let (states, mebibytes) = (
        before("states, stored")?,
        before("total actual memory usage")?,
    );
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "pan prints counts, from 1e8 on as 1e+08"
    )]
    let (states, memory) = (states as u64, (mebibytes * 1024.0 * 1024.0) as u64);
    Ok(Found {
        cost: Cost {
            seconds,
            states,
            memory,
        },
        outcomes: outcomes(text)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = "      outcome 7 8\nState-vector 84 byte, depth reached 93, errors: 0\n  \
                           6640265 states, stored\n   479.734\ttotal actual memory usage\n";

    #[test]
    fn what_pan_prints_is_read() {
        let found = read(PRINTED, 1.0).unwrap();
        assert_eq!(found.cost.states, 6_640_265);
        assert_eq!(found.cost.memory >> 20, 479);
        assert!(found.outcomes.contains(&vec![7, 8]));
    }

    #[test]
    fn a_search_that_found_an_error_or_did_not_end_is_none() {
        assert!(read(&PRINTED.replace("errors: 0", "errors: 1"), 1.0).is_err());
        let cut = format!("{PRINTED}Warning: Search not completed\n");
        assert!(read(&cut, 1.0).is_err());
    }
}
