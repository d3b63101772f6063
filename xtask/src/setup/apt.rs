//! Installing packages of Debian.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use crate::command;

/// Whether this is the system whose packages [`super::tools`] knows.
pub(crate) fn is_debian_12() -> bool {
    fs::read_to_string("/etc/os-release").is_ok_and(|release| names_debian_12(&release))
}

fn names_debian_12(release: &str) -> bool {
    let has = |line| release.lines().any(|other| other == line);
    has("ID=debian") && has("VERSION_ID=\"12\"")
}

/// Says what it installs, and installs it as root, through sudo where this process is not.
///
/// # Errors
///
/// When apt-get or sudo fails.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    println!("setup: installing with apt-get: {}", packages.join(" "));
    apt_get(&["update", "--quiet"])?;
    let mut install = vec!["install", "--quiet", "--yes", "--no-install-recommends"];
    install.extend(packages);
    apt_get(&install)
}

fn apt_get(arguments: &[&str]) -> Result<()> {
    let root = command::output(Command::new("id").arg("-u"))?.trim() == "0";
    let mut apt = if root {
        Command::new("apt-get")
    } else {
        let mut sudo = Command::new("sudo");
        sudo.args(["--preserve-env=DEBIAN_FRONTEND", "apt-get"]);
        sudo
    };
    command::run(apt.args(arguments).env("DEBIAN_FRONTEND", "noninteractive"))
        .context("the packages can't be installed; install them as root and try again")
}

#[cfg(test)]
mod tests {
    use super::names_debian_12;

    #[test]
    fn only_debian_12_is_debian_12() {
        assert!(names_debian_12("NAME=x\nVERSION_ID=\"12\"\nID=debian\n"));
        assert!(!names_debian_12("VERSION_ID=\"13\"\nID=debian\n"));
        assert!(!names_debian_12(
            "VERSION_ID=\"12\"\nID=other\nID_LIKE=debian\n"
        ));
        assert!(!names_debian_12(""));
    }
}
