//! The import table: a program starts only where all of it is there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use object::LittleEndian;
use object::read::pe::{ImageNtHeaders, ImageThunkData, Import, PeFile64};

/// Libraries in lower case, and their functions.
type Imports = BTreeMap<String, BTreeSet<String>>;

/// What may be imported.
fn allowed() -> Imports {
    let mut allowed = Imports::new();
    let mut library = "";
    for line in include_str!("imports.txt").lines() {
        if line.starts_with('#') || line.is_empty() {
            continue;
        }
        match line.strip_prefix("  ") {
            None => library = line,
            Some(functions) => allowed
                .entry(library.to_owned())
                .or_default()
                .extend(functions.split_whitespace().map(str::to_owned)),
        }
    }
    allowed
}

/// What a program imports.
fn imports(bytes: &[u8]) -> object::Result<Imports> {
    fn text(bytes: &[u8]) -> String {
        String::from_utf8_lossy(bytes).into_owned()
    }
    fn read<Pe: ImageNtHeaders>(
        file: &object::read::pe::PeFile<'_, Pe>,
    ) -> object::Result<Imports> {
        let mut found = Imports::new();
        let Some(table) = file.import_table()? else {
            return Ok(found);
        };
        let mut descriptors = table.descriptors()?;
        while let Some(descriptor) = descriptors.next()? {
            let library = text(table.name(descriptor.name.get(LittleEndian))?).to_lowercase();
            let functions = found.entry(library).or_default();
            let mut thunks = table.thunks(descriptor.original_first_thunk.get(LittleEndian))?;
            while let Some(thunk) = thunks.next::<Pe>()? {
                functions.insert(match table.import::<Pe>(thunk)? {
                    Import::Ordinal(number) => {
                        debug_assert!(thunk.is_ordinal());
                        format!("#{number}")
                    }
                    Import::Name(_, name) => text(name),
                });
            }
        }
        Ok(found)
    }
    read(&PeFile64::parse(bytes)?)
}

#[test]
fn the_program_imports_nothing_that_windows_7_lacks() {
    let program = fs::read(env!("CARGO_BIN_EXE_apclab")).expect("the program");
    let imports = imports(&program).expect("its imports");
    let allowed = allowed();
    assert!(imports.contains_key("kernel32.dll"), "{imports:?}");
    let none = BTreeSet::new();
    let newer: Vec<_> = imports
        .iter()
        .flat_map(|(library, functions)| {
            let known = allowed.get(library).unwrap_or(&none);
            functions
                .difference(known)
                .map(move |function| format!("{library}!{function}"))
        })
        .collect();
    assert_eq!(newer, Vec::<String>::new(), "imports.txt says what to do");
}
