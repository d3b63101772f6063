//! Tables: with borders for a terminal, as plain aligned columns for everybody else, in Markdown for
//! those who ask for it.

use std::fmt;

use comfy_table::TableStyle;
use comfy_table::presets::{ASCII_MARKDOWN, NOTHING, UTF8_BORDERS_ONLY};

use crate::out::Out;

/// A table with a header.
pub(crate) struct Table {
    table: comfy_table::Table,
}

impl Table {
    pub(crate) fn new(out: &Out, header: &[&str]) -> Self {
        let style = if out.is_terminal() {
            UTF8_BORDERS_ONLY
        } else {
            NOTHING
        };
        Self::with_style(style, header)
    }

    /// A table in Markdown. Header and cells are text in Markdown, each of one line.
    pub(crate) fn markdown(header: &[&str]) -> Self {
        Self::with_style(ASCII_MARKDOWN, header)
    }

    fn with_style(style: TableStyle, header: &[&str]) -> Self {
        let mut table = comfy_table::Table::new();
        table.load_style(style);
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
