//! A folder with the shape of an installed WDK, made from mingw-w64's headers and `cross/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::command;
use crate::setup::{TARGET, Tools};
use crate::vendor::hex;
use crate::workspace::{Workspace, symlink};

/// The WDK version that the folder's names claim.
const SDK: &str = "10.0.22621.0";

/// Import libraries: the name that the wdk crates link, which is also that of the .def file.
const IMPORT_LIBRARIES: &[&str] = &["ntoskrnl", "hal", "wmilib", "WdfLdr"];

/// mingw-w64's headers take clang with the msvc target for a compiler that they do not know. As a GCC of
/// this version it compiles them without an error.
pub(crate) const GNU_VERSION: &str = "-fgnuc-version=4.8";

/// The folders below the WDK's root.
struct Layout {
    /// First on the include path: our headers, which stand in front of mingw-w64's.
    shims: PathBuf,
    headers: PathBuf,
    shared: PathBuf,
    kmdf: PathBuf,
    /// On the include path, and has to exist.
    ufx: PathBuf,
    libraries: PathBuf,
    kmdf_libraries: PathBuf,
}

impl Layout {
    fn of(root: &Path) -> Self {
        let include = root.join("Include");
        let km = include.join(SDK).join("km");
        Self {
            shims: km.join("crt"),
            ufx: km.join("ufx/1.1"),
            headers: km,
            shared: include.join(SDK).join("shared"),
            kmdf: include.join("wdf/kmdf/1.15"),
            libraries: root.join("Lib").join(SDK).join("km/x64"),
            kmdf_libraries: root.join("Lib/wdf/kmdf/x64/1.15"),
        }
    }
}

/// The programs that the build scripts call, under the names that they call them by.
pub(crate) struct Programs {
    pub(crate) clang_cl: PathBuf,
    pub(crate) llvm_lib: PathBuf,
}

impl Programs {
    fn of(workspace: &Workspace) -> Self {
        let bin = workspace.cross().join("bin");
        Self {
            clang_cl: bin.join("clang-cl"),
            llvm_lib: bin.join("llvm-lib"),
        }
    }
}

/// What the folder is made from: when it differs, the folder is made again.
fn inputs(workspace: &Workspace, tools: &Tools) -> Result<String> {
    let mut hash = Sha256::new();
    let mut files = Vec::new();
    list(&workspace.cross_sources(), &mut files)?;
    files.sort();
    for file in files {
        hash.update(file.to_string_lossy().as_bytes());
        hash.update(Sha256::digest(fs::read(&file)?));
    }
    hash.update(include_bytes!("tree.rs"));
    hash.update(command::output(
        Command::new(&tools.clang).arg("--version"),
    )?);
    hash.update(format!("{tools:?}"));
    Ok(hex(&hash.finalize()))
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("can't list {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            list(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

/// Makes the folder, or leaves it as it is when nothing that it is made from has changed.
/// The second value says whether it was made.
///
/// # Errors
///
/// When a file can't be written, or `cross/` does not compile or fails its layout checks.
pub(crate) fn prepare(workspace: &Workspace, tools: &Tools) -> Result<(Programs, bool)> {
    let programs = Programs::of(workspace);
    let stamp = workspace.cross().join("wdk.stamp");
    let inputs = inputs(workspace, tools)?;
    if fs::read_to_string(&stamp).is_ok_and(|made_from| made_from == inputs) {
        return Ok((programs, false));
    }
    let root = workspace.wdk();
    println!("driver: making {}", root.display());
    for folder in [&root, &workspace.cross().join("bin")] {
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        fs::create_dir_all(folder)?;
    }
    symlink(&tools.clang, &programs.clang_cl)?;
    symlink(&tools.llvm_ar, &programs.llvm_lib)?;

    let layout = Layout::of(&root);
    let sources = workspace.cross_sources();
    headers(&layout, &sources, tools)?;
    check_layout(&layout, &programs, &sources)?;
    libraries(&layout, &programs, tools, &sources)?;
    fs::write(&stamp, inputs)?;
    Ok((programs, true))
}

fn headers(layout: &Layout, sources: &Path, tools: &Tools) -> Result<()> {
    for folder in [&layout.shims, &layout.ufx, &layout.kmdf] {
        fs::create_dir_all(folder)?;
    }
    for entry in fs::read_dir(tools.headers.join("ddk"))? {
        let entry = entry?;
        symlink(entry.path(), layout.headers.join(entry.file_name()))?;
    }
    symlink(&tools.headers, &layout.shared)?;
    for (from, to) in [
        ("include/shim", &layout.shims),
        ("include/kmdf", &layout.kmdf),
    ] {
        for entry in fs::read_dir(sources.join(from))? {
            let entry = entry?;
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

/// clang-cl with the flags that wdk-build gives a KMDF driver's C code.
fn compiler(layout: &Layout, programs: &Programs) -> Command {
    let mut compiler = command::clean(&programs.clang_cl);
    compiler
        .arg(format!("--target={TARGET}"))
        .arg(format!("/clang:{GNU_VERSION}"));
    compiler.args(["/nologo", "/w", "/kernel", "/GS-", "/O1", "/Brepro", "/WX"]);
    for define in [
        "_WIN64",
        "_AMD64_",
        "AMD64",
        "_KERNEL_MODE",
        "KMDF_VERSION_MAJOR=1",
        "KMDF_VERSION_MINOR=15",
    ] {
        compiler.arg(format!("/D{define}"));
    }
    for folder in [&layout.shims, &layout.headers, &layout.shared, &layout.kmdf] {
        compiler.arg("/I").arg(folder);
    }
    compiler
}

/// Compiles the assertions on our KMDF header and on mingw-w64's structures.
fn check_layout(layout: &Layout, programs: &Programs, sources: &Path) -> Result<()> {
    let assertions = sources.join("layout.c");
    // `--`: a path that starts with a slash would be taken for an option.
    command::output(
        compiler(layout, programs)
            .args(["/Zs", "--"])
            .arg(assertions),
    )
    .context("the headers do not have the layouts of the Windows ABI")?;
    Ok(())
}

fn libraries(layout: &Layout, programs: &Programs, tools: &Tools, sources: &Path) -> Result<()> {
    for folder in [&layout.libraries, &layout.kmdf_libraries] {
        fs::create_dir_all(folder)?;
    }
    let sources = sources.join("lib");
    for name in IMPORT_LIBRARIES {
        command::output(
            Command::new(&tools.llvm_dlltool)
                .args(["-m", "i386:x86-64", "-d"])
                .arg(sources.join(format!("{name}.def")))
                .arg("-l")
                .arg(layout.libraries.join(format!("{name}.lib"))),
        )?;
    }
    for (name, folder) in [
        ("BufferOverflowFastFailK", &layout.libraries),
        ("WdfDriverEntry", &layout.kmdf_libraries),
    ] {
        let object = folder.join(format!("{name}.obj"));
        command::output(
            compiler(layout, programs)
                .arg("/c")
                .arg(format!("/Fo{}", object.display()))
                .arg("--")
                .arg(sources.join(format!("{name}.c"))),
        )?;
        command::output(
            Command::new(&programs.llvm_lib)
                .arg("/nologo")
                .arg(format!(
                    "/out:{}",
                    folder.join(format!("{name}.lib")).display()
                ))
                .arg(&object),
        )?;
        fs::remove_file(&object)?;
    }
    Ok(())
}
