//! Mistakes in the steps of lanes and bodies.

use apclab_litmus::parse;
use apclab_protocol::program::{Place, Program};
use apclab_protocol::verify::{Machine, verify};

use super::{around, errors};

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
    let many = "irql -> r1\n".repeat(16);
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
    let refusal = verify(&Program::parse(&bytes).unwrap(), Machine::COMPLETE).unwrap_err();
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
