//! How far a run is, for a person at a terminal.

use indicatif::{ProgressBar, ProgressStyle};

const TEMPLATE: &str = "{bar:32} {pos}/{len} {msg}";

/// A bar on the standard error stream. It is not drawn when that stream is no terminal.
pub(super) fn bar(tests: usize) -> ProgressBar {
    let bar = ProgressBar::new(tests as u64);
    if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
        bar.set_style(style);
    }
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_one() {
        assert!(ProgressStyle::with_template(TEMPLATE).is_ok());
    }
}
