//! Tables: with borders for a terminal, as plain aligned columns for everybody else.

use std::fmt;

use comfy_table::presets::{NOTHING, UTF8_BORDERS_ONLY};

use crate::out::Out;

/// A table with a header.
pub(crate) struct Table {
    table: comfy_table::Table,
}

impl Table {
    pub(crate) fn new(out: &Out, header: &[&str]) -> Self {
        let mut table = comfy_table::Table::new();
        table.load_style(if out.is_terminal() {
            UTF8_BORDERS_ONLY
        } else {
            NOTHING
        });
        table.set_header(header.iter().copied());
        Self { table }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.table.add_row(cells.into_iter());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.table.trim_fmt())
    }
}
