//! The command line as a process, in a folder of its own.
#![allow(
    unreachable_pub,
    dead_code,
    reason = "shared by several test programs, each of which uses a part"
)]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

/// A folder with litmus tests for one test of the command line.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        if path.exists() {
            fs::remove_dir_all(&path).expect("the folder of an earlier run");
        }
        fs::create_dir_all(&path).expect("a folder");
        for (file, source) in files {
            let file = path.join(file);
            fs::create_dir_all(file.parent().expect("a parent")).expect("a folder");
            fs::write(file, source).expect("a file");
        }
        Self(path)
    }

    pub fn apclab(&self, args: &[&str]) -> Answer {
        let output = self.command(args).output().expect("apclab starts");
        Answer::of(&output)
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_apclab"));
        command
            .current_dir(&self.0)
            .args(args)
            .env_remove("APCLAB_DRIVER");
        command
    }
}

pub struct Answer {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Answer {
    pub fn of(output: &Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    #[track_caller]
    pub fn exits(&self, code: i32) -> &Self {
        let Self { stdout, stderr, .. } = self;
        assert_eq!(self.code, Some(code), "{stdout}\n{stderr}");
        self
    }

    #[track_caller]
    pub fn says(&self, text: &str) -> &Self {
        assert!(self.stdout.contains(text), "{text:?} in:\n{}", self.stdout);
        self
    }

    #[track_caller]
    pub fn complains(&self, text: &str) -> &Self {
        assert!(self.stderr.contains(text), "{text:?} in:\n{}", self.stderr);
        self
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).expect("one JSON document")
    }
}
