//! What the errors look like, and where they point.

use apclab_litmus::{MAX_BYTES, MAX_DEPTH, parse, parse_bytes};
use apclab_protocol::program::{Place, Program};
use apclab_protocol::verify::{Refusal, verify};

fn rendered(source: &str) -> String {
    parse("t.litmus", source).unwrap_err().to_string()
}

/// The errors in short: `line:column message`, with the help behind it.
fn errors(source: &str) -> Vec<String> {
    let errors = parse("t.litmus", source).unwrap_err();
    let list = errors.errors().iter().map(|error| {
        let help = error
            .help()
            .map_or(String::new(), |help| format!(" ({help})"));
        format!("{} {}{help}", errors.place(error), error.message())
    });
    list.collect()
}

/// A file around the steps of lane A.
fn around(steps: &str) -> String {
    format!("test t\napc n normal to A\nevent e\nvar x\nlane A\n{steps}\nforall (true)\n")
}

fn repeated(times: usize, piece: impl Fn(usize) -> String) -> String {
    (0..times).map(piece).collect::<Vec<_>>().concat()
}

#[test]
fn a_misspelt_word_shows_its_column_and_what_was_meant() {
    let source = "test t\n\nlane A\n  enter critical\n  leave critcal\n\nforall (true)\n";
    assert_eq!(
        rendered(source),
        "\
error: unexpected `critcal`
 --> t.litmus:5:9
  |
5 |   leave critcal
  |         ^^^^^^^ expected `critical` or `guarded`
  |
  = help: did you mean `critical`?"
    );
}

#[test]
fn each_mistake_is_shown_once_and_at_its_place() {
    let source = "\
test t
apc n normal to B

lnae A
  entre critical
  ran m -> r1

lane B
  quueue n

forall (A:r1 = 0)
";
    assert_eq!(
        rendered(source),
        "\
error: unknown word `lnae`
 --> t.litmus:4:1
  |
4 | lnae A
  | ^^^^ expected a step, another declaration, or a `lane`
  |
  = help: did you mean `lane`?

error: unknown step `entre`
 --> t.litmus:5:3
  |
5 |   entre critical
  |   ^^^^^ expected a step, another `lane`, or the expectation
  |
  = help: did you mean `enter`?

error: unknown APC `m`
 --> t.litmus:6:7
  |
6 |   ran m -> r1
  |       ^ expected the name of an APC
  |
  = help: it would be declared by `apc m normal to LANE`

error: unknown step `quueue`
 --> t.litmus:9:3
  |
9 |   quueue n
  |   ^^^^^^ expected a step, another `lane`, or the expectation
  |
  = help: did you mean `queue`?"
    );
}

#[test]
fn a_name_is_missed_once() {
    assert_eq!(
        errors(&around("wait go\nset go")),
        ["6:6 unknown event `go` (it would be declared by `event go`)"]
    );
    let misspelt = "test t\nevent ready\nlane A\nwait raedy\nset raedy\nforall (true)";
    assert_eq!(
        errors(misspelt),
        ["4:6 unknown event `raedy` (did you mean `ready`?)"]
    );
    // A declaration that cannot be read is the mistake, not the uses of its name.
    let source = "test t\napc n urgent to A\nlane A\nqueue n\nran n -> r1\nforall (A:r1 = 1)";
    assert_eq!(errors(source), ["2:7 unexpected `urgent`"]);
}

#[test]
fn tabs_and_crlf_do_not_shift_the_column() {
    let source = "test t\r\nlane A\r\n\tirqk -> r1\r\nforall (true)\r\n";
    assert_eq!(
        rendered(source),
        "\
error: unknown step `irqk`
 --> t.litmus:3:2
  |
3 |     irqk -> r1
  |     ^^^^ expected a step, another `lane`, or the expectation
  |
  = help: did you mean `irql`?"
    );
}

#[test]
fn columns_count_characters() {
    let source = around("  load x (* äöü \u{1F980} *) r1").replace("forall", "# ü\nforall");
    assert_eq!(errors(&source), ["6:22 unexpected `r1`"]);
    assert!(rendered(&source).contains("t.litmus:6:22"));
}

#[test]
fn a_long_line_is_shown_in_part_with_its_own_column() {
    let source =
        around("irql -> r1").replace("true", &format!("{} B:r1 = 1", "A:r1 = 0 /\\ ".repeat(500)));
    let text = rendered(&source);
    assert!(text.contains("t.litmus:7:6010"), "{text}");
    assert!(text.lines().all(|line| line.len() < 200), "{text}");
}

#[test]
fn steps_say_what_they_need() {
    for (steps, expected) in [
        ("enter", "6:6 unexpected end of the line"),
        ("raise dispatch", "6:7 unexpected `dispatch`"),
        ("lower apc", "6:7 unexpected `apc`"),
        ("ran n", "6:6 unexpected end of the line"),
        ("ran n -> r16", "6:10 there is no register `r16`"),
        ("ran n -> r01", "6:10 there is no register `r01`"),
        (
            "ran n -> R1",
            "6:10 `R1` is no register (did you mean `r1`?)",
        ),
        ("ran n -> 1", "6:10 unexpected `1`"),
        ("wait n", "6:6 `n` is an APC"),
        ("store x", "6:8 unexpected end of the line"),
        ("store x r1", "6:9 r1 has no value yet"),
        ("store x 1_0", "6:9 `1_0` is not a number"),
        (
            "store x 9223372036854775808",
            "6:9 this number does not fit",
        ),
        (
            "store x -9223372036854775809",
            "6:9 this number does not fit",
        ),
        (
            "store x 0x1ffffffffffffffff",
            "6:9 this number does not fit",
        ),
        (
            "irql -> r1\nstore x r1-1",
            "7:9 `r1-1` is no register (with spaces it is a difference: `r1 - 1`)",
        ),
        ("lane A", "6:6 `A` is declared twice"),
        ("var y", "6:1 `var` comes too late"),
        ("nonsense", "6:1 unknown step `nonsense`"),
    ] {
        assert_eq!(errors(&around(steps))[0], expected, "{steps}");
    }
}

/// A file around the steps of lane A, with a lock of each kind.
fn with_locks(steps: &str) -> String {
    format!(
        "test t\nfast-mutex f\nmutex k\nevent e\nlane A\n{steps}\nacquire f\nacquire k\nset e\nforall (true)\n"
    )
}

#[test]
fn locks_and_blocks_say_what_they_need() {
    for (steps, expected) in [
        (
            "acquire g",
            "6:9 unknown lock `g` (it would be declared by `fast-mutex g`)",
        ),
        ("release e", "6:9 `e` is an event"),
        ("wait f", "6:6 `f` is a lock"),
        ("acquire f -> r1", "6:11 unexpected `->`"),
        (
            "aquire f",
            "6:1 unknown step `aquire` (did you mean `acquire`?)",
        ),
        ("wait e for -> r1", "6:12 unexpected `->`"),
        (
            "wait e for 10 -> r1",
            "6:12 `10` is no time-out (in milliseconds it is `10ms`)",
        ),
        ("wait e for 10s -> r1", "6:12 `10s` is no time-out"),
        ("wait e for 0x10ms -> r1", "6:12 `0x10ms` is no time-out"),
        ("wait e for 10001ms -> r1", "6:12 this time-out is too long"),
        (
            "wait e for 99999999999999999999ms -> r1",
            "6:12 this time-out is too long",
        ),
        ("wait e for 10ms", "6:16 unexpected end of the line"),
        ("wait e -> r1", "6:8 unexpected `->`"),
        ("try f\nend", "6:6 unexpected end of the line"),
        ("try f for 10ms -> r1\nend", "6:7 this lock has no time-out"),
        (
            "try f -> r1",
            "6:1 this block does not end (close the block with `end`)",
        ),
        ("repeat\nend", "6:7 unexpected end of the line"),
        ("repeat 0\nend", "6:8 a block cannot be repeated so often"),
        (
            "repeat 10001\nend",
            "6:8 a block cannot be repeated so often",
        ),
        ("repeat -1\nend", "6:8 unexpected `-`"),
        (
            "repeat 2\nrepeat 3\nend",
            "6:1 this block does not end (close the block with `end`)",
        ),
        ("lane B rwa", "6:8 unexpected `rwa` (did you mean `raw`?)"),
        ("lane B quick", "6:8 unexpected `quick`"),
        ("mutex j", "6:1 `mutex` comes too late"),
    ] {
        assert_eq!(errors(&with_locks(steps))[0], expected, "{steps}");
    }
    let unused = "test t\nmutex k\nlane A\nforall (true)";
    assert_eq!(errors(unused), ["2:7 lock `k` is declared and never used"]);
}

#[test]
fn one_block_without_an_end_is_one_error() {
    let steps = "repeat 2\nirql -> r1\nrepeat 3\nirql -> r1\nend";
    assert_eq!(errors(&with_locks(steps)).len(), 1);
    // A line that cannot be read may have been the end.
    let found = errors(&with_locks("repeat 2\nirql -> r1\nedn"));
    assert_eq!(found, ["8:1 unknown step `edn` (did you mean `end`?)"]);
}

/// A file around the body of APC `n`, which ends on line 6.
fn with_body(steps: &str) -> String {
    format!(
        "test t\napc m normal to A\n  queue n\napc n normal to A\n  ran m -> r1\n{steps}\nvar x\nlane A\n  queue m\n  store x 1\nforall (n:r1 = 0)\n"
    )
}

#[test]
fn bodies_say_what_they_need() {
    assert!(parse("t.litmus", &with_body("load x -> r2\nstore x r2 + 1")).is_ok());
    for (steps, expected) in [
        (
            "laod x -> r2",
            "6:1 unknown word `laod` (did you mean `load`?)",
        ),
        ("vra y", "6:1 unknown word `vra` (did you mean `var`?)"),
        (
            "load y2 -> r2",
            "6:6 unknown variable `y2` (it would be declared by `var y2`)",
        ),
        ("load x -> r16", "6:11 there is no register `r16`"),
        ("load x -> r2 r3", "6:14 unexpected `r3`"),
        ("store x r3", "6:9 r3 has no value yet"),
        ("lnae B", "6:1 unknown word `lnae` (did you mean `lane`?)"),
        (
            "event e\n  irql -> r1\n",
            "7:3 the step `irql` is outside of a lane",
        ),
    ] {
        assert_eq!(errors(&with_body(steps))[0], expected, "{steps}");
    }
    let many = repeated(16, |_| "irql -> r1\n".to_owned());
    assert_eq!(errors(&with_body(&many)), ["21:1 too many steps"]);
}

#[test]
fn values_and_refusals_name_apcs() {
    for (expectation, expected) in [
        ("forall (n:r2 = 0)", "11:9 no step of APC `n` writes r2"),
        ("forall (A:r1 = 0)", "11:9 no step of lane `A` writes r1"),
        (
            "refused left-open at n step 3",
            "11:29 the APC has no such step",
        ),
        ("refused left-open at x end", "11:22 `x` is a variable"),
    ] {
        let source = with_body("").replace("forall (n:r1 = 0)", expectation);
        assert_eq!(errors(&source)[0], expected, "{expectation}");
    }
    let source = with_body("enter critical").replace(
        "forall (n:r1 = 0)",
        "locations [n:r1; x;]\nrefused left-open at n end",
    );
    let test = parse("t.litmus", &source).unwrap();
    assert_eq!(test.observed_name(0), "n:r1");
    assert_eq!(test.place_of(Place::Body(1), 1).to_string(), "6:1");
    let bytes = test.program.encode();
    let refusal = verify(&Program::parse(&bytes).unwrap(), true).unwrap_err();
    assert_eq!(
        test.render_refusal(&refusal, &source),
        "\
error: refused: left-open at n end
 --> t.litmus:6:15
  |
6 | enter critical
  |               ^ the steps end with this scope still open"
    );
}

#[test]
fn tags_are_words_in_their_place() {
    for (source, expected) in [
        (
            "test t\ntags a, a\nlane A\nforall (true)",
            "2:9 `a` is named twice",
        ),
        (
            "test t\ntags\nlane A\nforall (true)",
            "2:5 unexpected end of the line",
        ),
        (
            "test t\nlane A\ntags a\nforall (true)",
            "3:1 `tags` comes too late",
        ),
    ] {
        assert_eq!(errors(source)[0], expected, "{source}");
    }
    let test = parse("t", "test t\nshows a\ntags b, c\nlane A\nforall (true)").unwrap();
    assert_eq!(test.tags, ["b", "c"]);
}

#[test]
fn the_frame_says_what_it_needs() {
    for (source, expected) in [
        ("", "1:1 the file holds no test"),
        ("# nothing\n", "2:1 the file holds no test"),
        ("lane A\nforall (true)", "1:1 the test has no name"),
        ("hello\nworld\n", "1:1 unknown word `hello`"),
        ("test\n", "1:5 unexpected end of the line"),
        ("test # t\r\n", "1:5 unexpected end of the line"),
        ("test 7\n", "1:6 unexpected `7`"),
        ("test t\n", "1:7 the file ends without an expectation"),
        ("test t\nforall (true)", "2:14 the test has no lane"),
        (
            "test t\ntest u\nlane A\nforall (true)",
            "2:1 `test` comes too late",
        ),
        (
            "test t\nirql -> r1\nforall (true)",
            "2:1 the step `irql` is outside of a lane",
        ),
        (
            "test t\nvar lane\nlane A\nforall (true)",
            "2:5 `lane` cannot be a name",
        ),
        (
            "test t\nvar r1\nlane A\nforall (true)",
            "2:5 `r1` cannot be a name",
        ),
        (
            "test t\nvar x\nlane A\nforall (true)",
            "2:5 variable `x` is declared and never used",
        ),
        (
            "test t\nlane A\nforall (true)\nlane B",
            "4:1 unexpected `lane`",
        ),
        (
            "test t\nlane A\nrefused left-open at A end\nlane B",
            "4:1 nothing follows the expectation",
        ),
        (
            "test t\nlane A\nrefused left-opne at A end",
            "3:9 unknown reason `left-opne` (did you mean `left-open`?)",
        ),
        (
            "test t\nlane A\nrefused left-open at A step 0",
            "3:29 the lane has no such step",
        ),
        (
            "test t\nlane A\nrefused left-open at A step 2",
            "3:29 the lane has no such step",
        ),
        (
            "test t\nshows a, a\nlane A\nforall (true)",
            "2:10 `a` is named twice",
        ),
    ] {
        assert_eq!(errors(source)[0], expected, "{source}");
    }
}

#[test]
fn conditions_say_what_they_need() {
    for (condition, expected) in [
        ("forall", "7:7 unexpected end of the file"),
        ("forall (A:r1 = 0", "7:17 unexpected end of the file"),
        (
            "forall (A:r1 == 0)",
            "7:14 unexpected `==` (equality is written `=`)",
        ),
        (
            "forall (A:r1 = 0 && x = 1)",
            r"7:18 unexpected `&&` (the conjunction is written `/\`)",
        ),
        (
            "forall (r1 = 0)",
            "7:9 `r1` of which lane? (registers are written with their lane: `A:r1`)",
        ),
        ("forall (A:r2 = 0)", "7:9 no step of lane `A` writes r2"),
        (
            "forall (C:r1 = 0)",
            "7:9 unknown lane `C` (it would be declared by `lane C`)",
        ),
        ("forall (A = 0)", "7:9 `A` is a lane"),
        ("forall (x = y)", "7:13 unexpected `y`"),
        ("~forall (x = 0)", "7:2 unexpected `forall`"),
        (
            "exsits (x = 0)",
            "7:1 unknown step `exsits` (did you mean `exists`?)",
        ),
    ] {
        let source = around("irql -> r1\n").replace("\n\nforall (true)", &format!("\n{condition}"));
        assert_eq!(errors(&source)[0], expected, "{source}");
    }
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

#[test]
fn a_refusal_is_shown_at_its_line() {
    let source = "test t\nlane A\n  enter critical # open\nlane Empty\nforall (true)\n";
    let test = parse("t.litmus", source).unwrap();
    let bytes = test.program.encode();
    let refusal = verify(&Program::parse(&bytes).unwrap(), true).unwrap_err();
    assert_eq!(
        test.render_refusal(&refusal, source),
        "\
error: refused: left-open at A end
 --> t.litmus:3:17
  |
3 |   enter critical # open
  |                 ^ the steps end with this scope still open"
    );
    let at_step = Refusal { step: 0, ..refusal };
    let shown = test.render_refusal(&at_step, source);
    let title = "error: refused: left-open at A step 1\n";
    assert!(shown.starts_with(title), "{shown}");
    assert!(shown.contains("t.litmus:3:3"), "{shown}");
    let empty_lane = Refusal {
        place: Place::Lane(1),
        step: 0,
        ..refusal
    };
    assert!(
        test.render_refusal(&empty_lane, source)
            .contains("t.litmus:4:11")
    );
    // The source may have changed meanwhile, and a refusal may come from elsewhere.
    assert!(test.render_refusal(&at_step, "").contains("t.litmus:1:1"));
    let nowhere = Refusal {
        place: Place::Lane(9),
        step: 9,
        ..refusal
    };
    assert!(test.render_refusal(&nowhere, source).contains("?9 end"));
}
