//! `include/apclab.h`, made from `crates/protocol`.
//!
//! A generator that reads types, such as cbindgen, has nothing to read here: the protocol writes its
//! messages byte by byte, and no Rust structure has their layout. What the header says is therefore found
//! in what the protocol encodes, and its constants are those that this program is linked with.

mod constants;
mod docs;
mod example;
mod layouts;

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use apclab_protocol::ioctl::{INTERFACE_GUID, WIN32_PATH};
use clap::Args;

use crate::workspace::Workspace;
use constants::Group;
use layouts::{Layout, Member};

#[derive(Args, Clone, Copy, Debug)]
#[group(skip)]
pub(crate) struct Options {
    /// Writes nothing: fails when the header is not what would be written, or its example does not
    /// compile.
    #[arg(long)]
    check: bool,
}

/// Writes the header, or checks it.
pub(crate) fn run(options: Options) -> Result<ExitCode> {
    let workspace = Workspace::current()?;
    if options.check {
        check(&workspace)?;
    } else {
        let path = path(&workspace);
        fs::create_dir_all(path.parent().context("the header lies in a folder")?)?;
        fs::write(&path, generate()?)?;
        println!("{}", path.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// Checks that the header is that of the protocol, and that the example compiles with it and says in C
/// what the litmus test says.
///
/// # Errors
///
/// When one does not hold, or there is no C compiler for Windows.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let path = path(workspace);
    let header = fs::read_to_string(&path).with_context(|| format!("no {}", path.display()))?;
    ensure!(
        header == generate()?,
        "{} is not that of the protocol: `cargo xtask header` writes it anew",
        path.display()
    );
    println!("{}: as the protocol has it", path.display());
    example::check(workspace)
}

fn path(workspace: &Workspace) -> PathBuf {
    workspace.root().join("include/apclab.h")
}

const TOP: &str = "\
/*
 * apclab.h: the IOCTLs of the driver apclab, for C and C++.
 *
 * Generated from crates/protocol by `cargo xtask header`; do not edit it. All numbers are little-endian,
 * which x64 is. Reserved members are zero in requests. include/example.c shows how to use it.
 *
 * A warning status (APCLAB_STATUS_REFUSED and its like) makes DeviceIoControl fail although it has written a
 * reply: open the device for overlapped I/O, and take the status from OVERLAPPED.Internal.
 */
#ifndef APCLAB_H
#define APCLAB_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define APCLAB_ASSERT(condition) static_assert(condition, #condition)
extern \"C\" {
#else
#define APCLAB_ASSERT(condition) _Static_assert(condition, #condition)
#endif
";

const CONTEXT: &str = "
/* A context: both predicates and the IRQL in one byte. */
#define APCLAB_CONTEXT_APCS_DISABLED(context) ((context) & 1u)
#define APCLAB_CONTEXT_ALL_APCS_DISABLED(context) ((context) >> 1 & 1u)
#define APCLAB_CONTEXT_IRQL(context) ((context) >> 4 & 15u)

/* Bytes of one outcome with so many observed values in a histogram. */
#define APCLAB_OUTCOME_SIZE(width) (8u + 8u * (width))
";

const END: &str = "
#ifdef __cplusplus
}
#endif

#endif
";

/// The text of the header.
fn generate() -> Result<String> {
    let mut text = TOP.to_owned();
    for group in constants::groups()? {
        write_group(&mut text, &group)?;
    }
    write_names(&mut text)?;
    text.push_str(CONTEXT);
    for layout in layouts::layouts()? {
        write_layout(&mut text, &layout)?;
    }
    text.push_str(END);
    Ok(text)
}

fn write_comment(text: &mut String, indent: &str, comment: &str) -> Result<()> {
    const WIDTH: usize = 104;
    if comment.is_empty() {
        return Ok(());
    }
    let mut line = format!("{indent}/*");
    for word in comment.split_whitespace() {
        if line.len() + 1 + word.len() > WIDTH {
            writeln!(text, "{line}")?;
            line = format!("{indent}  ");
        }
        line.push(' ');
        line.push_str(word);
    }
    writeln!(text, "{line} */")?;
    Ok(())
}

fn write_group(text: &mut String, group: &Group) -> Result<()> {
    text.push('\n');
    write_comment(text, "", &format!("{}.", group.title))?;
    if let Some(name) = group.enumeration {
        writeln!(text, "enum {name} {{")?;
        for constant in &group.constants {
            write_comment(text, "    ", &constant.comment)?;
            writeln!(text, "    {} = {},", constant.name, constant.value)?;
        }
        // C++ before 11 and C before 99 allow no comma there; nobody else minds its absence.
        text.truncate(text.trim_end_matches(",\n").len());
        text.push_str("\n};\n");
        return Ok(());
    }
    text.push('\n');
    for constant in &group.constants {
        write_comment(text, "", &constant.comment)?;
        writeln!(text, "#define {} {}", constant.name, constant.value)?;
    }
    Ok(())
}

fn write_names(text: &mut String) -> Result<()> {
    let path = WIN32_PATH.replace('\\', "\\\\");
    let (first, second, third, rest) = INTERFACE_GUID;
    let rest: Vec<_> = rest.iter().map(|byte| format!("0x{byte:02X}")).collect();
    writeln!(
        text,
        "\n/* The device, for CreateFileA and CreateFileW. */\n\
         #define APCLAB_WIN32_PATH \"{path}\"\n\
         #define APCLAB_WIN32_PATH_W L\"{path}\"\n\
         /* The device interface class, as the initializer of a GUID. */\n\
         #define APCLAB_INTERFACE_GUID_INIT \\\n    \
         {{ 0x{first:08X}, 0x{second:04X}, 0x{third:04X}, {{ {} }} }}",
        rest.join(", ")
    )?;
    Ok(())
}

fn write_layout(text: &mut String, layout: &Layout) -> Result<()> {
    let name = layout.name;
    text.push('\n');
    write_comment(text, "", layout.comment)?;
    writeln!(text, "typedef struct {name} {{")?;
    for member in &layout.members {
        let Member {
            name,
            kind,
            count,
            comment,
            ..
        } = member;
        let count = count.map_or(String::new(), |count| format!("[{count}]"));
        write!(text, "    {kind} {name}{count};")?;
        if !comment.is_empty() {
            write!(text, " /* {comment} */")?;
        }
        text.push('\n');
    }
    writeln!(text, "}} {name};")?;
    writeln!(
        text,
        "APCLAB_ASSERT(sizeof(struct {name}) == {});",
        layout.size
    )?;
    for member in &layout.members {
        writeln!(
            text,
            "APCLAB_ASSERT(offsetof(struct {name}, {}) == {});",
            member.name, member.offset
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_that_of_the_protocol() {
        let generated = generate().expect("the protocol can be described");
        let written = include_str!("../../../include/apclab.h");
        for (number, (is, should)) in written.lines().zip(generated.lines()).enumerate() {
            assert_eq!(
                is,
                should,
                "include/apclab.h, line {}: `cargo xtask header` writes it anew",
                number + 1
            );
        }
        assert_eq!(written.len(), generated.len());
    }

    #[test]
    fn what_the_driver_checks_is_in_the_header() {
        let generated = generate().expect("the protocol can be described");
        for line in [
            "#define APCLAB_IOCTL_QUERY 0x0022E000u",
            "#define APCLAB_WIN32_PATH \"\\\\\\\\.\\\\apclab\"",
            "#define APCLAB_STATUS_REFUSED ((int32_t)0xA0AC0002)",
            "    APCLAB_OP_ENTER_CRITICAL = 1,",
            "APCLAB_ASSERT(sizeof(struct apclab_step) == 16);",
        ] {
            assert!(generated.lines().any(|found| found == line), "{line}");
        }
    }
}
