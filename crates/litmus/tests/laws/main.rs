//! Laws: printing and parsing are inverse, and no input makes the parser panic or point outside of
//! the file.

mod random;

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use apclab_litmus::{Diagnostics, Expectation, parse, parse_bytes};
use apclab_protocol::program::{Place, Program};
use apclab_protocol::verify::{Machine, verify};
use proptest::prelude::*;
use proptest::sample::{Index, select};

use random::test;

/// Every file of the suite.
static SUITE: LazyLock<Vec<String>> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../litmus");
    let folders = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let files = folders.flat_map(|folder| fs::read_dir(folder).unwrap());
    files
        .map(|file| fs::read_to_string(file.unwrap().path()).unwrap())
        .collect()
});

/// Errors point into the file, have a place in it, and can be shown.
fn check(errors: &Diagnostics, length: usize, lines: usize) -> Result<(), TestCaseError> {
    prop_assert!(!errors.errors().is_empty());
    let shown = errors.to_string();
    for error in errors.errors() {
        let span = error.span();
        prop_assert!(span.start <= span.end && span.end <= length, "{error:?}");
        let place = errors.place(error);
        prop_assert!(place.line >= 1 && place.line <= lines, "{place}");
        prop_assert!(place.column >= 1 && place.column <= length + 1, "{place}");
        prop_assert!(
            shown.contains(&format!("file:{place}")),
            "{place} in {shown}"
        );
    }
    prop_assert!(
        errors.render(true).len() > shown.len(),
        "colours add to the text"
    );
    Ok(())
}

fn check_source(source: &str) -> Result<(), TestCaseError> {
    match parse("file", source) {
        Ok(test) => prop_assert!(parse("file", &test.to_text()).is_ok(), "{}", test.to_text()),
        Err(errors) => check(&errors, source.len(), source.matches('\n').count() + 1)?,
    }
    Ok(())
}

/// Something to put into a file: a piece of the language, or anything.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        select(vec![
            "test",
            "lane",
            "raw",
            "caller",
            "lane C caller",
            "critical-section c",
            "apc u user to C",
            "apc i completion to C",
            "call",
            "sleep 5ms alertable -> r1",
            "start i",
            "suspend C",
            "resume C -> r1",
            "enter c",
            "leave c",
            "user",
            "alertable",
            "wait e user alertable for 10ms -> r1",
            "tags",
            "mutex k",
            "resource r",
            "push-lock p",
            "may deadlock",
            "acquire r",
            "shared",
            "shared-wait-for-exclusive",
            "enter-acquire r exclusive",
            "exclusive-waiters r -> r1",
            "release r of",
            "deadlock",
            "try k for 10ms",
            "repeat 2",
            "end",
            "for",
            "A",
            "var x",
            "event e",
            "apc n normal to A",
            "enter",
            "critical",
            "->",
            "r1",
            "r99",
            "(",
            ")",
            "(*",
            "*)",
            "\"",
            "\n",
            "\r\n",
            "\t",
            "~",
            "/\\",
            "\\/",
            "=",
            ":",
            ";",
            "[",
            "]",
            "#",
            "-",
            "+",
            "forall",
            "exists",
            "refused left-open at A end",
            "locations [",
            "\0",
            "\u{feff}",
            "é",
            "🦀",
            "\u{202e}",
            "99999999999999999999",
            "0x",
            " ",
        ])
        .prop_map(str::to_owned),
        any::<String>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_is_printed_parses_to_the_same(test in test()) {
        let text = test.to_text();
        let again = match parse("made-up.litmus", &text) {
            Ok(again) => again,
            Err(errors) => return Err(TestCaseError::fail(format!("{errors}\n{text}"))),
        };
        prop_assert_eq!(&again.program, &test.program, "{}", text);
        prop_assert_eq!(&again.names, &test.names);
        prop_assert_eq!(&again.expectation, &test.expectation, "{}", text);
        prop_assert_eq!(&again.name, &test.name);
        prop_assert_eq!(&again.description, &test.description);
        prop_assert_eq!(&again.shows, &test.shows);
        prop_assert_eq!(&again.tags, &test.tags);
        prop_assert_eq!(again.to_text(), text);
    }

    /// Every test makes a program, and if that is refused, a test can say so.
    #[test]
    fn what_is_refused_can_be_expected(mut test in test()) {
        let bytes = test.program.encode();
        let program = match Program::parse(&bytes) {
            Ok(program) => program,
            Err(malformed) => return Err(TestCaseError::fail(format!("{malformed:?}"))),
        };
        let Err(refusal) = verify(&program, Machine::COMPLETE) else {
            return Ok(());
        };
        let (reason, place, step) = (refusal.reason, refusal.place, refusal.step as usize);
        test.expectation = Expectation::Refused { reason, place, step };
        test.program.observed.clear();
        let text = test.to_text();
        let again = parse("made-up.litmus", &text).unwrap();
        prop_assert_eq!(&again.expectation, &test.expectation, "{}", text);
        // The title names the refusal as the test's last line does.
        let shown = again.render_refusal(&refusal, &text);
        let last = text.lines().last().unwrap();
        let refused = last.strip_prefix("refused ").unwrap();
        prop_assert!(shown.starts_with(&format!("error: refused: {refused}\n")), "{}", shown);
        let place = format!(" --> made-up.litmus:{}\n", again.place_of(place, step));
        prop_assert!(shown.contains(&place), "{}", shown);
    }

    /// Each step is at the place that the test says, which is where its word stands.
    #[test]
    fn places_are_where_the_steps_stand(test in test()) {
        let text = test.to_text();
        let test = parse("file", &text).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let heads = ["lane A", "lane second-lane", "lane C caller", "apc n ", "apc apc-2 "];
        let lanes = [Place::Lane(0), Place::Lane(1), Place::Lane(2)];
        let places = lanes.into_iter().chain([Place::Body(0), Place::Body(1)]);
        for (place, head) in places.zip(heads) {
            let above = lines.iter().position(|line| line.starts_with(head)).unwrap() + 1;
            let steps = test.steps(place).len();
            for step in 0..steps {
                let at = test.place_of(place, step);
                prop_assert_eq!(at.line, above + step + 1);
                let (indent, word) = lines[at.line - 1].split_at(at.column - 1);
                prop_assert!(indent.len() >= 2 && indent.trim().is_empty());
                prop_assert!(word.starts_with(|c: char| c.is_ascii_lowercase()));
            }
            let end = test.place_of(place, steps);
            prop_assert_eq!(end.line, above + steps);
            prop_assert_eq!(end.column, lines[end.line - 1].len() + 1);
        }
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Err(errors) = parse_bytes("file", &bytes) {
            let lines = bytes.split(|byte| *byte == b'\n').count();
            check(&errors, bytes.len(), lines)?;
        }
    }

    #[test]
    fn no_text_panics(pieces in proptest::collection::vec(piece(), 0..30)) {
        check_source(&pieces.join(" "))?;
    }

    /// Good files with pieces taken out and put in.
    #[test]
    fn no_changed_file_panics(
        file in any::<Index>(),
        changes in proptest::collection::vec((any::<Index>(), 0_usize..12, piece()), 1..4),
    ) {
        let mut source = file.get(&SUITE).clone();
        for (at, length, piece) in changes {
            let start = source.floor_char_boundary(at.index(source.len() + 1));
            let end = source.floor_char_boundary(start + length);
            source.replace_range(start..end.max(start), &piece);
        }
        check_source(&source)?;
    }

    /// Good files cut off anywhere.
    #[test]
    fn no_cut_panics(file in any::<Index>(), at in any::<Index>()) {
        let source = file.get(&SUITE);
        let end = source.floor_char_boundary(at.index(source.len()));
        check_source(&source[..end])?;
    }
}
