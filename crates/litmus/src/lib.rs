//! The language of the litmus tests: from text to a program and what is expected of it, and back.
//!
//! ```
//! let source = r#"
//! test a-region-disables-apcs
//! "KeAreApcsDisabled says yes inside a critical region."
//!
//! lane A
//!   enter critical
//!   apcs-disabled -> r1
//!   leave critical
//!
//! forall (A:r1 = 1)
//! "#;
//! let test = apclab_litmus::parse("region.litmus", source).map_err(|e| e.to_string())?;
//! assert_eq!(test.name, "a-region-disables-apcs");
//! assert_eq!(test.observed_name(0), "A:r1");
//!
//! let mistake = source.replace("enter", "entre");
//! let errors = apclab_litmus::parse("region.litmus", &mistake).unwrap_err();
//! assert!(errors.to_string().contains("did you mean `enter`?"));
//! # Ok::<(), String>(())
//! ```
//!
//! Parsing checks the text, not the rules of [`apclab_protocol::verify`]: a test may expect to be
//! refused by them. [`Test::render_refusal`] shows a refusal where it belongs in the text.
//!
//! The whole language is described in `docs/litmus.md`.

mod condition;
mod diagnostics;
mod lexer;
mod names;
mod outcome;
mod parse;
mod place;
mod print;
mod report;
mod test;
mod token;
mod words;

pub use condition::{Condition, Formula, Quantifier};
pub use diagnostics::{Diagnostic, Diagnostics};
pub use names::Names;
pub use outcome::Outcome;
pub use parse::{MAX_BYTES, MAX_DEPTH, parse, parse_bytes};
pub use place::Place;
pub use test::{ESTIMATE, Expectation, MEASURE, SPECIAL_USER_APC, Test};
pub use words::{apc_word, lock_word, mode_word};
