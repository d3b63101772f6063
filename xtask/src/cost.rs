//! What the guards cost: the instructions of guarded code beside those of the same code without guards.
//!
//! `examples/cost-image` exports each piece twice, as `guarded_x` and `raw_x`. Both are read from its
//! image; nothing runs.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context, Result, ensure};
use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction, OpKind};
use object::LittleEndian as LE;
use object::pe;
use object::read::pe::{ImageNtHeaders as _, ImageOptionalHeader as _, Import, PeFile64};

/// The most instructions that a function of the image may have.
const MOST: usize = 400;

/// What one function does, without the registers that it does it in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Code {
    /// The imports that it calls, in the order of its instructions. Functions of its own image that it
    /// calls or jumps to are followed; what its argument points to is `work`.
    pub(crate) calls: Vec<String>,
    pub(crate) branches: usize,
    /// Calls of functions of its own image that are more than the way to an import.
    pub(crate) own_calls: usize,
    pub(crate) instructions: usize,
}

/// A function in both forms.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) name: String,
    pub(crate) guarded: Code,
    pub(crate) raw: Code,
}

impl Pair {
    /// Whether the guards add neither a call nor a branch.
    pub(crate) fn is_free(&self) -> bool {
        let (guarded, raw) = (&self.guarded, &self.raw);
        guarded.calls == raw.calls
            && guarded.branches <= raw.branches
            && guarded.own_calls <= raw.own_calls
    }
}

impl Pair {
    /// What the guards add, in words.
    fn added(&self) -> String {
        let mut more = self.guarded.calls.clone();
        for call in &self.raw.calls {
            if let Some(at) = more.iter().position(|name| name == call) {
                more.remove(at);
            }
        }
        if self.is_free() {
            "nothing".to_owned()
        } else if more.is_empty() {
            "branches or calls of its own".to_owned()
        } else {
            more.join(", ")
        }
    }
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:32} {:>8} {:>8} {:>9} {:>9}  {}",
            self.name,
            self.raw.instructions,
            self.guarded.instructions,
            self.raw.branches,
            self.guarded.branches,
            self.added()
        )
    }
}

/// The table's head.
pub(crate) fn head() -> String {
    format!(
        "{:32} {:>8} {:>8} {:>9} {:>9}  {}",
        "instructions, branches", "raw", "guarded", "raw", "guarded", "the guards add"
    )
}

/// Compares all pairs of an image.
///
/// # Errors
///
/// When the image can't be read, or an export has no counterpart.
pub(crate) fn compare(bytes: &[u8]) -> Result<Vec<Pair>> {
    let image = Image::read(bytes)?;
    let mut pairs = Vec::new();
    for (name, &guarded) in &image.exports {
        let Some(name) = name.strip_prefix("guarded_") else {
            continue;
        };
        let raw = image
            .exports
            .get(&format!("raw_{name}"))
            .with_context(|| format!("guarded_{name} has no raw_{name}"))?;
        pairs.push(Pair {
            name: name.to_owned(),
            guarded: image.code(guarded)?,
            raw: image.code(*raw)?,
        });
    }
    ensure!(!pairs.is_empty(), "the image exports no guarded code");
    Ok(pairs)
}

struct Image<'a> {
    file: PeFile64<'a>,
    /// Addresses relative to the image's base.
    exports: BTreeMap<String, u64>,
    /// The import tables' entries.
    imports: BTreeMap<u64, String>,
}

impl<'a> Image<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self> {
        let file = PeFile64::parse(bytes).context("it is no 64-bit PE image")?;
        let mut exports = BTreeMap::new();
        let table = file.export_table()?.context("it exports nothing")?;
        for export in table.exports()? {
            if let (Some(name), object::read::pe::ExportTarget::Address(at)) =
                (export.name, export.target)
            {
                exports.insert(String::from_utf8_lossy(name).into_owned(), at.into());
            }
        }
        let mut imports = BTreeMap::new();
        let table = file.import_table()?.context("it imports nothing")?;
        let mut descriptors = table.descriptors()?;
        while let Some(descriptor) = descriptors.next()? {
            let mut thunks = table.thunks(descriptor.original_first_thunk.get(LE))?;
            let mut at = u64::from(descriptor.first_thunk.get(LE));
            while let Some(thunk) = thunks.next::<pe::ImageNtHeaders64>()? {
                if let Import::Name(_, name) = table.import::<pe::ImageNtHeaders64>(thunk)? {
                    imports.insert(at, String::from_utf8_lossy(name).into_owned());
                }
                at += 8;
            }
        }
        Ok(Self {
            file,
            exports,
            imports,
        })
    }

    /// The code at an address, and that of the image's functions that it calls.
    fn code(&self, at: u64) -> Result<Code> {
        let mut code = Code::default();
        self.follow(at, &mut code, 0)?;
        Ok(code)
    }

    fn follow(&self, at: u64, code: &mut Code, depth: usize) -> Result<()> {
        ensure!(depth < 8, "calls nest too deep at {at:#x}");
        let rva = u32::try_from(at)?;
        let bytes = self
            .file
            .section_table()
            .pe_data_at(self.file.data(), rva)
            .with_context(|| format!("no code at {at:#x}"))?;
        let base = self.file.nt_headers().optional_header().image_base();
        let mut decoder = Decoder::with_ip(64, bytes, base + at, DecoderOptions::NONE);
        // A function ends at its first return, jump or halt behind which no branch of it leads.
        let mut furthest = 0;
        while decoder.can_decode() {
            let instruction = decoder.decode();
            ensure!(!instruction.is_invalid(), "no code at {at:#x}");
            code.instructions += 1;
            ensure!(
                code.instructions <= MOST,
                "the function at {at:#x} does not end"
            );
            match instruction.flow_control() {
                FlowControl::ConditionalBranch => {
                    code.branches += 1;
                    furthest = furthest.max(instruction.near_branch_target());
                }
                FlowControl::Call => {
                    self.call(&instruction, base, code, depth)?;
                }
                FlowControl::IndirectCall => code.calls.push(self.target(&instruction, base)),
                FlowControl::IndirectBranch => {
                    code.calls.push(self.target(&instruction, base));
                    if instruction.next_ip() > furthest {
                        return Ok(());
                    }
                }
                FlowControl::UnconditionalBranch => {
                    let target = instruction.near_branch_target();
                    if target >= base + at && target <= furthest.max(instruction.next_ip() + 64) {
                        furthest = furthest.max(target);
                    } else {
                        self.call(&instruction, base, code, depth)?;
                        if instruction.next_ip() > furthest {
                            return Ok(());
                        }
                    }
                }
                FlowControl::Return | FlowControl::Exception | FlowControl::Interrupt
                    if instruction.next_ip() > furthest =>
                {
                    return Ok(());
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// A call of, or a jump to, a function of the image: an import's thunk, or code to follow.
    fn call(
        &self,
        instruction: &Instruction,
        base: u64,
        code: &mut Code,
        depth: usize,
    ) -> Result<()> {
        let target = instruction.near_branch_target() - base;
        let before = code.instructions;
        self.follow(target, code, depth + 1)?;
        // The way to an import is one jump.
        code.own_calls += usize::from(code.instructions > before + 1);
        Ok(())
    }

    /// The import behind `[rip + x]`; anything else is the work that the function was given.
    fn target(&self, instruction: &Instruction, base: u64) -> String {
        if instruction.op0_kind() == OpKind::Memory && instruction.is_ip_rel_memory_operand() {
            let slot = instruction.ip_rel_memory_address() - base;
            if let Some(name) = self.imports.get(&slot) {
                return name.clone();
            }
        }
        "work".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Workspace;

    fn pairs() -> Vec<Pair> {
        let workspace = Workspace::current().unwrap();
        let image = workspace.driver_folder().join("apclab-cost.sys");
        let bytes = std::fs::read(&image).unwrap_or_else(|error| {
            panic!("{}: {error}: run `cargo xtask driver`", image.display())
        });
        compare(&bytes).unwrap()
    }

    fn named(name: &str) -> Pair {
        let mut pairs = pairs().into_iter();
        pairs.find(|pair| pair.name == name).unwrap()
    }

    /// Point 12 of what guards are held to.
    #[test]
    fn guards_12_regions_and_combined_forms_are_free() {
        for name in [
            "critical_region",
            "critical_closure",
            "guarded_region",
            "guarded_closure",
            "nested_regions",
            "enter_exclusive_unchecked",
            "enter_shared_unchecked",
            "enter_wait_unchecked",
            "raise",
            "fast_mutex",
            "guarded_mutex",
            "push_lock_exclusive",
            "push_lock_shared",
        ] {
            let pair = named(name);
            assert!(pair.is_free(), "{name}: {pair:?}");
            assert!(pair.raw.calls.contains(&"work".to_owned()), "{pair:?}");
        }
    }

    /// Where a check is needed for soundness, this is all that it adds.
    #[test]
    fn guards_12_a_checked_acquire_asks_first() {
        for (name, acquire) in [
            (
                "enter_exclusive",
                "ExEnterCriticalRegionAndAcquireResourceExclusive",
            ),
            (
                "enter_shared",
                "ExEnterCriticalRegionAndAcquireResourceShared",
            ),
        ] {
            let pair = named(name);
            assert!(!pair.is_free());
            let asked = "ExIsResourceAcquiredSharedLite";
            assert_eq!(pair.guarded.calls.first().map(String::as_str), Some(asked));
            assert!(pair.guarded.calls.contains(&acquire.to_owned()), "{pair:?}");
        }
    }

    #[test]
    fn the_raw_code_is_what_a_c_driver_calls() {
        let calls = |name: &str| named(name).raw.calls;
        assert_eq!(
            calls("critical_region"),
            ["KeEnterCriticalRegion", "work", "KeLeaveCriticalRegion"]
        );
        assert_eq!(
            calls("enter_exclusive"),
            [
                "ExEnterCriticalRegionAndAcquireResourceExclusive",
                "work",
                "ExReleaseResourceAndLeaveCriticalRegion"
            ]
        );
        assert_eq!(
            calls("nested_regions"),
            [
                "KeEnterCriticalRegion",
                "KeEnterGuardedRegion",
                "work",
                "KeLeaveGuardedRegion",
                "KeLeaveCriticalRegion"
            ]
        );
    }
}
