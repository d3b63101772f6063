//! The scripts of the repository. Those for a shell are checked by shellcheck, those for PowerShell by a parser
//! of its language: there is no PowerShell outside of Windows that could be counted on.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tree_sitter::{Node, Parser};

use crate::command;
use crate::setup::packaging;
use crate::workspace::Workspace;

/// Checks every script that git tracks.
///
/// # Errors
///
/// When shellcheck has something to say, a script for PowerShell does not parse, or there are no scripts.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let tools = packaging::require()?;
    let scripts = tracked(workspace, &["*.sh", ".ci/run"])?;
    let mut shellcheck = command::clean(&tools.shellcheck);
    shellcheck.current_dir(workspace.root()).args(&scripts);
    command::run(&mut shellcheck)?;
    println!("shellcheck: nothing to say of {}", scripts.join(", "));

    let scripts = tracked(workspace, &["*.ps1", "*.psm1"])?;
    let mut problems = Vec::new();
    for script in &scripts {
        let text = fs::read_to_string(workspace.root().join(script))
            .with_context(|| format!("can't read {script}"))?;
        problems.extend(
            mistakes(&text)?
                .into_iter()
                .map(|line| format!("{script}:{line}: this is no PowerShell")),
        );
    }
    ensure!(problems.is_empty(), "{}", problems.join("\n"));
    println!("PowerShell: {} parse", scripts.join(", "));
    Ok(())
}

fn tracked(workspace: &Workspace, patterns: &[&str]) -> Result<Vec<String>> {
    let listed = command::output(
        Command::new("git")
            .current_dir(workspace.root())
            .args(["ls-files", "-z", "--"])
            .args(patterns),
    )?;
    let scripts: Vec<_> = listed.split_terminator('\0').map(str::to_owned).collect();
    ensure!(!scripts.is_empty(), "git tracks no {}", patterns.join(", "));
    Ok(scripts)
}

/// The lines with a mistake in the syntax.
fn mistakes(text: &str) -> Result<Vec<usize>> {
    let mut parser = Parser::new();
    parser.set_language(&tree_sitter_powershell::LANGUAGE.into())?;
    let tree = parser
        .parse(text, None)
        .context("the parser has given up")?;
    let mut lines = Vec::new();
    collect(tree.root_node(), &mut lines);
    Ok(lines)
}

fn collect(node: Node<'_>, lines: &mut Vec<usize>) {
    if node.is_error() || node.is_missing() {
        lines.push(node.start_position().row + 1);
        return;
    }
    if node.has_error() {
        for child in node.children(&mut node.walk()) {
            collect(child, lines);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::mistakes;

    #[test]
    fn a_mistake_in_powershell_is_found_with_its_line() {
        let good =
            "function Get-It {\n    param([string] $Name)\n    if ($Name) { \"$Name\" }\n}\n";
        assert!(mistakes(good).expect("it parses").is_empty());
        for bad in [
            good.replace("($Name) {", "($Name {"),
            good.replace("}\n}", "}\n"),
            good.replace("\"$Name\" }", "\"$Name }"),
        ] {
            assert!(!mistakes(&bad).expect("it parses").is_empty(), "{bad}");
        }
    }
}
