//! What the errors look like, and where they point.

mod callers;
mod limits;
mod locks;
mod steps;

use apclab_litmus::parse;
use apclab_protocol::program::{Place, Program};
use apclab_protocol::verify::{Machine, Refusal, verify};

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
fn a_refusal_is_shown_at_its_line() {
    let source = "test t\nlane A\n  enter critical # open\nlane Empty\nforall (true)\n";
    let test = parse("t.litmus", source).unwrap();
    let bytes = test.program.encode();
    let refusal = verify(&Program::parse(&bytes).unwrap(), Machine::COMPLETE).unwrap_err();
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
