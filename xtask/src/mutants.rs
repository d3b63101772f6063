//! Which test notices when the model gets a fact wrong.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, anyhow, ensure};
use apclab_litmus::{Expectation, Outcome, Quantifier, Test};
use apclab_model::kernel::{Kernel, Profile};
use apclab_model::program::State;
use apclab_model::{Limits, Mutant, Outcomes, explore_from};
use apclab_protocol::program::Program;
use clap::Args;
use comfy_table::Table;
use comfy_table::presets::NOTHING;

use crate::workspace::Workspace;

/// A test and its program as bytes.
struct Loaded {
    test: Test,
    program: Vec<u8>,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// Only the mutants of these facts [default: all].
    facts: Vec<String>,
}

/// Prints, for each fact with a mutant, the tests that name the fact and notice the mutant. Fails
/// when a mutant survives, or when a test fails on the model as it is.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let workspace = Workspace::current()?;
    let tests = load(&workspace.root().join("litmus"))?;
    for loaded in &tests {
        if let Some(why) = complaint(loaded, None)? {
            return Err(anyhow!(
                "{} fails without a mutant: {why}",
                loaded.test.name
            ));
        }
    }
    let mut naming: BTreeMap<&str, Vec<&Loaded>> = BTreeMap::new();
    for loaded in &tests {
        for fact in &loaded.test.shows {
            naming.entry(fact).or_default().push(loaded);
        }
    }
    let chosen = |mutant: &&Mutant| {
        options.facts.is_empty() || options.facts.iter().any(|fact| fact == mutant.fact())
    };
    let mutants: Vec<Mutant> = Mutant::ALL.iter().filter(chosen).copied().collect();
    ensure!(
        !mutants.is_empty(),
        "no mutant gets {} wrong",
        options.facts.join(" or ")
    );
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_header(["fact", "mutant", "killed by"]);
    let mut survivors = Vec::new();
    for mutant in mutants {
        let mut killers = Vec::new();
        for loaded in naming.get(mutant.fact()).into_iter().flatten() {
            if complaint(loaded, Some(mutant))?.is_some() {
                killers.push(loaded.test.name.as_str());
            }
        }
        let killed = match killers.split_first() {
            None => {
                survivors.push(mutant.fact());
                "NOBODY".to_owned()
            }
            Some((first, [])) => (*first).to_owned(),
            Some((first, more)) => format!("{first} and {} more", more.len()),
        };
        table.add_row([mutant.fact(), mutant.what(), &killed]);
    }
    println!("{}", table.trim_fmt());
    if options.facts.is_empty() {
        let known = |fact: &str| Mutant::ALL.iter().any(|mutant| mutant.fact() == fact);
        let without: Vec<_> = naming.keys().filter(|fact| !known(fact)).copied().collect();
        println!("\nwithout a mutant: {}", without.join(", "));
    }
    let count = table.row_count();
    if survivors.is_empty() {
        println!("\n{count} mutants, all killed by tests that name their facts");
        Ok(ExitCode::SUCCESS)
    } else {
        println!("\n{count} mutants; survived: {}", survivors.join(", "));
        Ok(ExitCode::FAILURE)
    }
}

/// All tests that run: what is refused never gets to the model.
fn load(folder: &Path) -> Result<Vec<Loaded>> {
    let mut tests = Vec::new();
    for path in files(folder)? {
        let source = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let test = apclab_litmus::parse(&path.display().to_string(), &source)
            .map_err(|errors| anyhow!("{errors}"))?;
        if matches!(test.expectation, Expectation::Condition(_)) {
            tests.push(Loaded {
                program: test.program.encode(),
                test,
            });
        }
    }
    Ok(tests)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "litmus")
        {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// What a test has to say against the model, or against a mutant of it: `None` when all is as the
/// test wants it. What may happen by the documents need not happen in `Nt52`, which is narrower.
fn complaint(loaded: &Loaded, mutant: Option<Mutant>) -> Result<Option<String>> {
    let program = Program::parse(&loaded.program)
        .map_err(|malformed| anyhow!("{}: {malformed:?}", loaded.test.name))?;
    let profiles: &[Profile] = match &loaded.test.expectation {
        Expectation::Condition(condition) if condition.quantifier == Quantifier::Exists => {
            &[Profile::Documented]
        }
        _ => &[Profile::Documented, Profile::Nt52],
    };
    for &profile in profiles {
        let state = State::initial_on(Kernel::new_with(profile, mutant), &program, &[]);
        let outcomes = match explore_from(state, &program, Limits::default()) {
            Ok(outcomes) => outcomes,
            // A mutant may make a test endless, which nobody fails to notice.
            Err(limit) if mutant.is_some() => return Ok(Some(limit.to_string())),
            Err(limit) => return Err(anyhow!("{}: {limit}", loaded.test.name)),
        };
        if let Some(why) = judge(&loaded.test, &outcomes) {
            return Ok(Some(why));
        }
    }
    Ok(None)
}

fn judge(test: &Test, outcomes: &Outcomes) -> Option<String> {
    let Expectation::Condition(condition) = &test.expectation else {
        return None;
    };
    if let Some(bug_check) = outcomes.bug_checks.first() {
        return Some(bug_check.to_string());
    }
    let deadlocks = outcomes.deadlocks != 0;
    if deadlocks && !condition.names_deadlock() {
        return Some("it can hang".to_owned());
    }
    let ended = outcomes.outcomes.keys().map(Outcome::from);
    let mut seen = ended.chain(deadlocks.then_some(Outcome::Deadlock));
    let as_wanted = match condition.quantifier {
        Quantifier::Forall => seen.all(|outcome| condition.holds_for(outcome)),
        Quantifier::Exists => seen.any(|outcome| condition.holds_for(outcome)),
        Quantifier::NotExists => !seen.any(|outcome| condition.holds_for(outcome)),
    };
    (!as_wanted).then(|| format!("{condition} does not hold"))
}
