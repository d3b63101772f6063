//! What is too much, and what is no text at all.

use apclab_litmus::{MAX_BYTES, MAX_DEPTH, parse, parse_bytes};

use super::{around, errors};

fn repeated(times: usize, piece: impl Fn(usize) -> String) -> String {
    (0..times).map(piece).collect::<Vec<_>>().concat()
}

#[test]
fn limits_are_errors_with_a_place() {
    let lanes = repeated(7, |n| format!("lane L{n}\n"));
    assert_eq!(
        errors(&format!("test t\n{lanes}forall (true)")),
        ["8:6 too many lanes"]
    );
    for (kind, what, to) in [
        ("var", "variable", ""),
        ("event", "event", ""),
        ("apc", "APC", " normal to A"),
        ("mutex", "lock", ""),
    ] {
        let many = repeated(17, |n| format!("{kind} n{n}{to}\n"));
        let found = errors(&format!("test t\n{many}lane A\nforall (true)"));
        let column = kind.len() + 2;
        assert_eq!(found, [format!("18:{column} too many {what}s")]);
    }
    let steps = "irql -> r1\n".repeat(4097);
    assert_eq!(
        errors(&format!("test t\nlane A\n{steps}forall (true)")),
        ["4099:1 too many steps"]
    );
    let values = |lane: &str| repeated(16, |r| format!("{lane}:r{r};"));
    let steps = repeated(16, |r| format!("irql -> r{r}\n"));
    let source = format!(
        "test t\nlane A\n{steps}lane B\n{steps}lane C\n{steps}\nlocations [{}{}C:r1;]\nforall (true)",
        values("A"),
        values("B")
    );
    let found = errors(&source);
    assert!(found[0].ends_with("too many observed values"), "{found:?}");
    assert_eq!(found.len(), 1);
}

#[test]
fn nesting_of_a_condition_is_bounded() {
    let nested = |open: &str, close: &str, n: usize| {
        around("store x 1\nset e\nqueue n").replace(
            "true",
            &format!("{}true{}", open.repeat(n), close.repeat(n)),
        )
    };
    // The condition of `around` brings one pair of parentheses of its own.
    for (open, close, each) in [("(", ")", 1), ("~", "", 1), ("~(", ")", 2)] {
        let most = (MAX_DEPTH - 1) / each;
        assert!(parse("t", &nested(open, close, most)).is_ok(), "{open}");
        let message = "the condition has too many parentheses or negations here";
        for n in [most + 1, 100_000] {
            assert!(
                errors(&nested(open, close, n))[0].ends_with(message),
                "{open}"
            );
        }
    }
}

#[test]
fn what_is_no_text_is_said_to_be_none() {
    let first = |bytes: &[u8]| {
        let errors = parse_bytes("t", bytes).unwrap_err();
        assert_eq!(errors.errors().len(), 1);
        let error = &errors.errors()[0];
        format!("{} {}", errors.place(error), error.message())
    };
    assert_eq!(first(b"\0\0\0"), "1:1 unexpected NUL byte: this is no text");
    assert_eq!(
        first(b"test t\n\xc3\xa4 \xff"),
        "2:3 the file is not UTF-8 text"
    );
    let utf16: Vec<u8> = "\u{feff}test t"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    assert_eq!(first(&utf16), "1:1 the file is not UTF-8 text");
    let errors = parse_bytes("t", &utf16).unwrap_err();
    assert!(errors.errors()[0].help().unwrap().contains("UTF-16"));
    let large = vec![b'x'; 10_000_000];
    assert_eq!(
        first(&large),
        format!("1:1 the file has 10000000 bytes; a test has at most {MAX_BYTES}")
    );
    assert_eq!(
        first(&vec![0xff; 10_000_000]),
        "1:1 the file is not UTF-8 text"
    );
}

#[test]
fn a_file_full_of_errors_ends_in_time() {
    let source = around(&"nonsense\n".repeat(100_000));
    let errors = parse("t.litmus", &source).unwrap_err();
    assert_eq!(errors.errors().len(), 20);
    assert!(
        errors
            .to_string()
            .ends_with("error: t.litmus: further errors are not shown")
    );
    let one_line = parse("t.litmus", &"$ ".repeat(MAX_BYTES / 32)).unwrap_err();
    assert_eq!(one_line.errors().len(), 20);
    assert!(one_line.to_string().lines().all(|line| line.len() < 200));
}
