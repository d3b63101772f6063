//! What the cross build needs from the system, and how it is installed.
//!
//! Nothing is put on the search path: Debian's cargo and rustc, where they are used, are called by their
//! full paths, so that the user's own stay what `cargo` means.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};

use crate::command;
use crate::workspace::Workspace;

/// What the driver is compiled for.
pub(crate) const TARGET: &str = "x86_64-pc-windows-msvc";

/// Which Rust compiler builds the driver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Toolchain {
    /// The user's own if it has the Windows target, or rustup can add it, else Debian's.
    #[default]
    Auto,
    /// The user's own.
    Own,
    /// Debian's rustc-web, with the standard library built from rust-web-src.
    Debian,
}

#[derive(Args, Clone, Copy, Debug, Default)]
#[group(skip)]
pub(crate) struct Options {
    /// Which Rust compiler builds the driver.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) toolchain: Toolchain,
}

/// The programs, libraries and headers of the cross build, each where it was found.
#[derive(Debug)]
pub(crate) struct Tools {
    pub(crate) cargo: PathBuf,
    pub(crate) rustc: PathBuf,
    /// The sources of the standard library, where the compiler has no compiled one for the target.
    pub(crate) library_sources: Option<PathBuf>,
    pub(crate) clang: PathBuf,
    /// The folder of clang's own headers.
    pub(crate) clang_resources: PathBuf,
    /// The folder of libclang, which bindgen loads.
    pub(crate) libclang: PathBuf,
    pub(crate) lld_link: PathBuf,
    pub(crate) llvm_dlltool: PathBuf,
    /// The librarian; it works as lib.exe does when it is called by the name llvm-lib.
    pub(crate) llvm_ar: PathBuf,
    /// mingw-w64's headers; those of the DDK are in `ddk/`.
    pub(crate) headers: PathBuf,
}

/// One thing that was not found.
#[derive(Debug)]
struct Missing {
    what: &'static str,
    /// The packages of Debian 12 that have it.
    packages: &'static [&'static str],
}

/// Installs what is missing.
pub(crate) fn run(options: Options) -> Result<ExitCode> {
    let workspace = Workspace::current()?;
    install(&workspace, options.toolchain)?;
    println!("setup: everything that the cross build needs is there");
    Ok(ExitCode::SUCCESS)
}

/// Installs what is missing, and returns where everything is.
///
/// # Errors
///
/// When something is missing that can't be installed here; names it.
pub(crate) fn install(workspace: &Workspace, toolchain: Toolchain) -> Result<Tools> {
    add_target(workspace, toolchain);
    let missing = match find(toolchain) {
        Ok(tools) => return Ok(tools),
        Err(missing) => missing,
    };
    if cfg!(windows) {
        bail!(
            "Windows has the WDK, which this build stands in for: run `cargo make` in its prompt"
        );
    }
    if !is_debian_12() {
        bail!(
            "missing: {}. Only on Debian 12 can this program install that; its packages there are {}",
            names(&missing),
            packages(&missing).join(", ")
        );
    }
    let packages = packages(&missing);
    println!("setup: missing: {}", names(&missing));
    println!("setup: installing with apt: {}", packages.join(" "));
    apt(&["update", "--quiet"])?;
    let mut install = vec!["install", "--quiet", "--yes", "--no-install-recommends"];
    install.extend(&packages);
    apt(&install)?;
    find(toolchain).map_err(|missing| {
        anyhow::anyhow!(
            "apt installed {}, but still missing: {}",
            packages.join(" "),
            names(&missing)
        )
    })
}

/// Where everything is.
///
/// # Errors
///
/// When something is missing; names it and the command that installs it.
pub(crate) fn require(workspace: &Workspace, toolchain: Toolchain) -> Result<Tools> {
    add_target(workspace, toolchain);
    find(toolchain).map_err(|missing| {
        anyhow::anyhow!(
            "missing: {}. `cargo xtask setup` installs that",
            names(&missing)
        )
    })
}

fn names(missing: &[Missing]) -> String {
    missing
        .iter()
        .map(|one| one.what)
        .collect::<Vec<_>>()
        .join(", ")
}

fn packages(missing: &[Missing]) -> Vec<&'static str> {
    let mut packages: Vec<_> = missing
        .iter()
        .flat_map(|one| one.packages)
        .copied()
        .collect();
    packages.sort_unstable();
    packages.dedup();
    packages
}

fn is_debian_12() -> bool {
    fs::read_to_string("/etc/os-release").is_ok_and(|release| {
        let has = |line| release.lines().any(|other| other == line);
        has("ID=debian") && has("VERSION_ID=\"12\"")
    })
}

/// Runs apt-get as root, through sudo where this process is not.
fn apt(arguments: &[&str]) -> Result<()> {
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

fn find(toolchain: Toolchain) -> Result<Tools, Vec<Missing>> {
    let mut missing = Vec::new();
    let mut need = |found: Option<PathBuf>, what, packages| {
        found.unwrap_or_else(|| {
            missing.push(Missing { what, packages });
            PathBuf::new()
        })
    };
    let clang = need(llvm_program("clang"), "clang", &["clang-19"]);
    let clang_resources = need(
        clang_resources(&clang),
        "clang's own headers",
        &["clang-19"],
    );
    let libclang = need(libclang(), "libclang", &["libclang-19-dev"]);
    let lld_link = need(llvm_program("lld-link"), "lld-link", &["lld-19"]);
    let llvm_dlltool = need(llvm_program("llvm-dlltool"), "llvm-dlltool", &["llvm-19"]);
    let llvm_ar = need(llvm_program("llvm-ar"), "llvm-ar", &["llvm-19"]);
    let headers = need(
        ddk_headers(),
        "mingw-w64's DDK headers",
        &["mingw-w64-x86-64-dev"],
    );
    let rust = match toolchain {
        Toolchain::Auto => own_rust().or_else(debian_rust),
        Toolchain::Own => own_rust(),
        Toolchain::Debian => debian_rust(),
    };
    let Some((cargo, rustc, library_sources)) = rust else {
        missing.push(Missing {
            what: "a Rust compiler with the target x86_64-pc-windows-msvc or the sources of its library",
            packages: &["rustc-web", "cargo-web", "rust-web-src"],
        });
        return Err(missing);
    };
    if !missing.is_empty() {
        return Err(missing);
    }
    Ok(Tools {
        cargo,
        rustc,
        library_sources,
        clang,
        clang_resources,
        libclang,
        lld_link,
        llvm_dlltool,
        llvm_ar,
        headers,
    })
}

/// A program of LLVM: where Debian has version 19, else on the search path.
fn llvm_program(name: &str) -> Option<PathBuf> {
    let debian = Path::new("/usr/lib/llvm-19/bin").join(name);
    if debian.is_file() {
        return Some(debian);
    }
    on_path(&format!("{name}-19")).or_else(|| on_path(name))
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

fn clang_resources(clang: &Path) -> Option<PathBuf> {
    let folder = command::output(Command::new(clang).arg("-print-resource-dir")).ok()?;
    let folder = PathBuf::from(folder.trim());
    folder
        .join("include/mm_malloc.h")
        .is_file()
        .then_some(folder)
}

fn libclang() -> Option<PathBuf> {
    [
        "/usr/lib/llvm-19/lib",
        "/usr/lib64",
        "/usr/lib/x86_64-linux-gnu",
        "/usr/lib",
    ]
    .into_iter()
    .map(PathBuf::from)
    .find(|folder| {
        fs::read_dir(folder).is_ok_and(|entries| {
            entries.flatten().any(|entry| {
                let name = entry.file_name();
                let name = name.to_string_lossy();
                name.starts_with("libclang.so") || name.starts_with("libclang-19.so")
            })
        })
    })
}

fn ddk_headers() -> Option<PathBuf> {
    [
        "/usr/x86_64-w64-mingw32/include",
        "/usr/x86_64-w64-mingw32/sys-root/mingw/include",
    ]
    .into_iter()
    .map(PathBuf::from)
    .find(|folder| folder.join("ddk/ntifs.h").is_file())
}

/// Cargo, rustc, and the sources of the library if it has to be built.
type Rust = (PathBuf, PathBuf, Option<PathBuf>);

/// The user's cargo and rustc, if they have the target's library.
fn own_rust() -> Option<Rust> {
    let rustc = own_program("rustc")?;
    let mut print = Command::new(&rustc);
    let library =
        command::output(print.args(["--print", "target-libdir", "--target", TARGET])).ok()?;
    let has_core = fs::read_dir(library.trim())
        .ok()?
        .flatten()
        .any(|entry| entry.file_name().to_string_lossy().starts_with("libcore-"));
    if !has_core {
        return None;
    }
    Some((own_program("cargo")?, rustc, None))
}

/// A program of the user's Rust by its full path: below rustup, the program itself and not rustup's proxy.
fn own_program(name: &str) -> Option<PathBuf> {
    command::output(Command::new("rustup").args(["which", name]))
        .ok()
        .map(|path| PathBuf::from(path.trim()))
        .or_else(|| on_path(name))
}

fn debian_rust() -> Option<Rust> {
    let (cargo, rustc) = (
        PathBuf::from("/usr/bin/cargo"),
        PathBuf::from("/usr/bin/rustc"),
    );
    let sources = PathBuf::from("/usr/lib/rustlib/src/rust/library");
    (cargo.is_file() && rustc.is_file() && sources.join("core/src/lib.rs").is_file()).then_some((
        cargo,
        rustc,
        Some(sources),
    ))
}

/// Lets rustup add the target, once in a checkout: a machine without a network falls back to Debian's
/// compiler without trying again each time.
fn add_target(workspace: &Workspace, toolchain: Toolchain) {
    if toolchain == Toolchain::Debian || own_rust().is_some() {
        return;
    }
    let tried = workspace.cross().join("rustup-tried");
    if tried.exists() {
        return;
    }
    // Without rustup, or without its server, the answer is an error: Debian's compiler is the fallback,
    // and `find` reports what is missing for it.
    let _ = command::output(Command::new("rustup").args(["target", "add", TARGET]));
    let _ = fs::create_dir_all(workspace.cross()).and_then(|()| fs::write(tried, ""));
}
