//! The example in C: it compiles without a warning, and its program is the one that it says.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use apclab_protocol::build::ProgramBuf;
use apclab_protocol::program::{Apc, ApcKind, Observed, Program};
use apclab_protocol::step::Step;
use apclab_protocol::verify;
use object::{Object as _, ObjectSection as _, ObjectSymbol as _};

use crate::command;
use crate::setup;
use crate::workspace::Workspace;

/// Compiles the example for Windows, as C and as C++, and reads its program back.
///
/// # Errors
///
/// When it does not compile, or its program is another.
pub(super) fn check(workspace: &Workspace) -> Result<()> {
    let folder = workspace.root().join("target/header");
    fs::create_dir_all(&folder)?;
    let source = workspace.root().join("include/example.c");
    let object = folder.join("example.o");
    compile(&source, &object, &["-std=c11", "-x", "c"])?;
    let cpp = folder.join("apclab.cpp");
    fs::write(&cpp, "#include \"apclab.h\"\n")?;
    compiler_of_cpp(workspace, &cpp)?;
    let bytes = fs::read(&object)?;
    let program = symbol(&bytes, "program")?;
    let parsed = Program::parse(&program)
        .map_err(|malformed| anyhow::anyhow!("the example's program: {malformed:?}"))?;
    verify::verify(&parsed, verify::Machine::COMPLETE)
        .map_err(|refusal| anyhow::anyhow!("the example's program: {refusal:?}"))?;
    ensure!(
        program == expected().encode(),
        "the example's program is not the litmus test that it names"
    );
    println!(
        "{}: compiles, and its program is the litmus test's",
        source.display()
    );
    Ok(())
}

const WARNINGS: &[&str] = &[
    "-Wall",
    "-Wextra",
    "-Wpedantic",
    "-Wconversion",
    "-Wshadow",
    "-Wpadded",
    "-Werror",
];

fn compile(source: &Path, object: &Path, language: &[&str]) -> Result<()> {
    let mut compiler = Command::new(setup::packaging::require()?.gcc);
    compiler
        .args(language)
        .args(WARNINGS)
        .args(["-O1", "-c"])
        .arg(source)
        .arg("-o")
        .arg(object);
    command::run(&mut compiler)
}

/// The header has to be C++ too. mingw's g++ is a package of its own; clang, which the driver's build needs
/// anyway, compiles C++ without one: the header includes nothing that a C library lacks.
fn compiler_of_cpp(workspace: &Workspace, source: &Path) -> Result<()> {
    let tools = setup::require(workspace, setup::Toolchain::Auto)?;
    let mut clang = Command::new(&tools.clang);
    clang
        .args(["--target=x86_64-w64-mingw32", "-fsyntax-only", "-std=c++11"])
        .args(WARNINGS)
        .arg("-nostdlibinc")
        .arg("-isystem")
        .arg(&tools.headers)
        .arg("-I")
        .arg(workspace.root().join("include"))
        .arg(source);
    command::run(&mut clang)
}

/// The bytes of a symbol in an object file, up to the end of its section's data that belongs to it.
fn symbol(object: &[u8], name: &str) -> Result<Vec<u8>> {
    let file = object::File::parse(object).context("the compiler wrote no object file")?;
    let symbol = file
        .symbols()
        .find(|symbol| symbol.name() == Ok(name))
        .with_context(|| format!("the example has no `{name}`"))?;
    let section = symbol
        .section_index()
        .context("it lies in no section")
        .and_then(|index| Ok(file.section_by_index(index)?))?;
    let data = section.data()?;
    let start = usize::try_from(symbol.address())?;
    let rest = data
        .get(start..)
        .context("it lies outside of its section")?;
    // COFF has no sizes of symbols; a program has its own.
    let length = rest
        .get(12..16)
        .and_then(|bytes| bytes.try_into().ok())
        .map(u32::from_le_bytes)
        .context("it is shorter than a program")?;
    let program = rest
        .get(..usize::try_from(length)?)
        .context("it is shorter than its length says")?;
    Ok(program.to_vec())
}

/// `litmus/critical-region`, as the README has it.
fn expected() -> ProgramBuf {
    ProgramBuf {
        apcs: vec![Apc {
            kind: ApcKind::Normal,
            lane: 0,
        }],
        observed: vec![
            Observed::Register {
                lane: 0,
                register: 1,
            },
            Observed::Register {
                lane: 0,
                register: 2,
            },
        ],
        lanes: vec![vec![
            Step::EnterCritical,
            Step::Queue { apc: 0, to: None },
            Step::Ran { apc: 0, to: 1 },
            Step::LeaveCritical,
            Step::Ran { apc: 0, to: 2 },
        ]],
        ..ProgramBuf::default()
    }
}
