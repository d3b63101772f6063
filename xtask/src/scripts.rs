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
    use std::fs;
    use std::path::Path;
    use std::process::Command;

    use super::mistakes;

    /// Stand-ins for what scripts/qemu/run.sh calls. The machine asks for a restart in the first call, stops in
    /// the second, and ends the third with a failed test.
    const STAND_INS: [(&str, &str); 5] = [
        (
            "qemu-img",
            "[ \"$1\" != info ] || echo '    \"format\": \"qcow2\"'",
        ),
        ("qemu-system-x86_64", "exec /bin/sleep 100"),
        ("sleep", ":"),
        ("scp", "echo scp >> \"$0.log\""),
        (
            "ssh",
            "last=\"${@: -1}\"; echo \"$last\" >> \"$0.log\"
            case $last in
                *LastBootUpTime*) cat \"$0.boot\" ;;
                *apclab.ps1*)
                    echo x >> \"$0.calls\"
                    case $(wc -l < \"$0.calls\") in
                        1) exit 10 ;;
                        2) echo 202601020000 > \"$0.boot\"; exit 255 ;;
                        *) exit 1 ;;
                    esac ;;
                'shutdown /r'*) echo 202601010000 > \"$0.boot\" ;;
            esac",
        ),
    ];

    #[test]
    #[cfg(unix)]
    fn the_script_for_qemu_goes_on_after_restarts_and_bug_checks() {
        use std::os::unix::fs::PermissionsExt as _;

        let place = std::env::temp_dir().join(format!("apclab-qemu-{}", std::process::id()));
        fs::create_dir_all(&place).expect("a folder for temporary files");
        for (name, text) in STAND_INS {
            let path = place.join(name);
            fs::write(&path, format!("#!/bin/bash\n{text}\n")).expect("it can be written");
            let executable = fs::Permissions::from_mode(0o755);
            fs::set_permissions(&path, executable).expect("it is ours");
        }
        fs::write(place.join("ssh.boot"), "202501010000\n").expect("it can be written");
        for name in ["image.qcow2", "apclab.zip"] {
            fs::write(place.join(name), "").expect("it can be written");
        }
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let path = std::env::var("PATH").expect("there is a search path");
        let output = Command::new(root.join("scripts/qemu/run.sh"))
            .current_dir(&place)
            .env("PATH", format!("{}:{path}", place.display()))
            .args([
                "--image",
                "image.qcow2",
                "--package",
                "apclab.zip",
                "--user",
                "tester",
            ])
            .arg("--verifier")
            .output()
            .expect("bash is here");
        let told = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(told.contains("call 3 in the machine"), "{told}");
        assert!(!told.contains("call 4 in the machine"), "{told}");
        let log = fs::read_to_string(place.join("ssh.log")).expect("ssh was called");
        assert_eq!(log.matches("shutdown /r").count(), 1, "{log}");
        assert_eq!(log.matches(" -Verifier").count(), 3, "{log}");
        let copies = fs::read_to_string(place.join("scp.log")).expect("scp was called");
        assert_eq!(
            copies.lines().count(),
            2,
            "the package there, the results back"
        );
        fs::remove_dir_all(&place).expect("it can be removed");
    }

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
