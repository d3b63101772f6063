//! The addresses that the driver calls: one small piece of code an export.
#![allow(
    unsafe_code,
    reason = "names the assembly that the generated code jumps to"
)]

use std::io;
use std::ops::Range;

use super::switch::from_driver;
use crate::dispatch::Export;
use crate::mapping::{Access, Mapping};

/// The size of one thunk.
const SIZE: usize = 32;

/// The generated code of one machine, and the exports that it refers to.
#[derive(Debug)]
pub(crate) struct Thunks {
    mapping: Mapping,
    exports: Box<[Export]>,
}

impl Thunks {
    /// Generates a thunk for each of `exports`.
    pub(crate) fn generate(exports: Vec<Export>) -> io::Result<Self> {
        let exports = exports.into_boxed_slice();
        let mapping = Mapping::reserve(exports.len().max(1) * SIZE)?;
        let whole = 0..mapping.range().len();
        mapping.protect(whole.clone(), Access::ReadWrite)?;
        for (index, export) in exports.iter().enumerate() {
            let mut code = Vec::with_capacity(SIZE);
            // mov r10, the export
            code.extend([0x49, 0xBA]);
            code.extend((std::ptr::from_ref(export) as u64).to_le_bytes());
            // mov r11, the common code
            code.extend([0x49, 0xBB]);
            code.extend((from_driver as *const () as u64).to_le_bytes());
            // jmp r11
            code.extend([0x41, 0xFF, 0xE3]);
            mapping.write(index * SIZE, &code);
        }
        mapping.protect(whole, Access::ReadExecute)?;
        Ok(Self { mapping, exports })
    }

    /// The address of the thunk of the export called `name` among those of `range`.
    pub(crate) fn find(&self, range: Range<usize>, name: &str) -> Option<u64> {
        let start = range.start;
        let place = self.exports[range]
            .iter()
            .position(|export| export.name == name)?;
        Some(self.at(start + place))
    }

    /// The address of the thunk number `index`.
    pub(crate) fn at(&self, index: usize) -> u64 {
        (self.mapping.base() + index * SIZE) as u64
    }

    /// The name of the export at `address`, which a thread's block holds.
    pub(crate) fn name_of(&self, address: u64) -> Option<&'static str> {
        let is = |export: &&Export| std::ptr::from_ref(*export) as u64 == address;
        self.exports.iter().find(is).map(|export| export.name)
    }
}
