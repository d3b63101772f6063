//! Where the programs, libraries and headers of the cross build are.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::rust::{self, Rust};
use super::{Missing, Toolchain};
use crate::command;

/// The programs, libraries and headers of the cross build, each where it was found.
#[derive(Debug)]
pub(crate) struct Tools {
    pub(crate) rust: Rust,
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

/// Finds everything, or says all that is missing.
pub(crate) fn find(toolchain: Toolchain) -> Result<Tools, Vec<Missing>> {
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
    let Some(rust) = rust::find(toolchain) else {
        missing.push(Missing {
            what: "a Rust compiler with the target x86_64-pc-windows-msvc or the sources of its library",
            packages: &["cargo-web", "rust-web-clippy", "rust-web-src", "rustc-web"],
        });
        return Err(missing);
    };
    if !missing.is_empty() {
        return Err(missing);
    }
    Ok(Tools {
        rust,
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

pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
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
