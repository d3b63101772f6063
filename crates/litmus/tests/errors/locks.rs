//! Mistakes in the steps of resources and push locks, and counts of waiters that are observed.

use apclab_litmus::parse;
use apclab_protocol::program::Place;
use apclab_protocol::step::{Mode, Step};

use super::{errors, rendered};

/// A file around the steps of lane A, which begin on line 6. It declares a lock of each sort.
fn with_locks(steps: &str) -> String {
    format!(
        "test t\nmutex k\nresource r\npush-lock p\nlane A\n{steps}\nlane B\nacquire k\nconvert r\nrelease p\nforall (true)\n"
    )
}

#[test]
fn a_misspelt_mode_shows_its_column_and_what_was_meant() {
    assert_eq!(
        rendered(&with_locks("  acquire r shraed")),
        "\
error: unexpected `shraed`
 --> t.litmus:6:13
  |
6 |   acquire r shraed
  |             ^^^^^^ expected `exclusive`, `shared`, `shared-starve-exclusive` or `shared-wait-for-exclusive`
  |
  = help: did you mean `shared`?"
    );
}

#[test]
fn each_lock_has_its_modes() {
    for (steps, expected) in [
        ("acquire r", "6:10 unexpected end of the line"),
        ("acquire p", "6:10 unexpected end of the line"),
        ("try r -> r1\nend", "6:7 unexpected `->`"),
        ("acquire k shared", "6:11 `k` is acquired without a mode"),
        ("acquire k exclusive", "6:11 `k` is acquired without a mode"),
        (
            "try k exclusive for 10ms -> r1\nend",
            "6:7 `k` is acquired without a mode",
        ),
        (
            "acquire p shared-starve-exclusive",
            "6:11 `p` cannot be acquired `shared-starve-exclusive` here",
        ),
        (
            "enter-acquire r shared-starve-exclusive",
            "6:17 `r` cannot be acquired `shared-starve-exclusive` here",
        ),
        (
            "enter-acquire r exclusiv",
            "6:17 unexpected `exclusiv` (did you mean `exclusive`?)",
        ),
        ("enter-acquire r", "6:16 unexpected end of the line"),
        ("acquire r exclusive shared", "6:21 unexpected `shared`"),
        (
            "try p shared -> r1\nend",
            "6:5 `p` is a push lock, which cannot be tried",
        ),
        (
            "try r shared for 10ms -> r1\nend",
            "6:14 this lock has no time-out",
        ),
    ] {
        assert_eq!(errors(&with_locks(steps)), [expected], "{steps}");
    }
}

#[test]
fn some_steps_are_for_resources_alone() {
    for step in ["release-leave", "convert", "reinitialize", "hand-over"] {
        let column = step.len() + 2;
        assert_eq!(
            errors(&with_locks(&format!("{step} p"))),
            [format!("6:{column} `p` is a push lock")]
        );
        assert_eq!(
            errors(&with_locks(&format!("{step} q"))),
            [format!(
                "6:{column} unknown lock `q` (it would be declared by `resource q`)"
            )]
        );
    }
    for (steps, expected) in [
        ("acquired-shared k -> r1", "6:17 `k` is a mutex"),
        ("acquired-exclusive r", "6:21 unexpected end of the line"),
        ("enter-acquire p exclusive", "6:15 `p` is a push lock"),
        (
            "acquire q shared",
            "6:9 unknown lock `q` (it would be declared by `resource q`)",
        ),
        (
            "reinitialise r",
            "6:1 unknown step `reinitialise` (did you mean `reinitialize`?)",
        ),
        (
            "release-laeve r",
            "6:1 unknown step `release-laeve` (did you mean `release-leave`?)",
        ),
        ("release k of B -> r1", "6:9 `k` is a mutex"),
        ("release r of B", "6:15 unexpected end of the line"),
        (
            "release r of C -> r1",
            "6:14 unknown lane `C` (it would be declared by `lane C`)",
        ),
        ("release r of k -> r1", "6:14 `k` is a lock"),
        ("release r for B -> r1", "6:11 unexpected `for`"),
    ] {
        assert_eq!(errors(&with_locks(steps)), [expected], "{steps}");
    }
}

#[test]
fn words_of_the_language_name_no_lock() {
    for word in [
        "shared", "deadlock", "of", "resource", "convert", "may", "call", "sleep", "user", "caller",
    ] {
        let found = errors(&format!("test t\nresource {word}\nlane A\nforall (true)"));
        assert_eq!(found, [format!("2:10 `{word}` cannot be a name")]);
    }
    let source = "test t\nresuorce r\nlane A\nconvert r\nforall (true)";
    let expected = "2:1 unknown word `resuorce` (did you mean `resource`?)";
    assert_eq!(errors(source), [expected]);
}

#[test]
fn a_release_may_name_a_lane_further_below() {
    let test = parse(
        "t",
        &with_locks("release r of B -> r3\nrelease r of A -> r4"),
    )
    .unwrap();
    let of = |lane, to| Step::ReleaseFor { lock: 1, lane, to };
    assert_eq!(test.steps(Place::Lane(0)), [of(1, 3), of(0, 4)]);
    let enter = parse(
        "t",
        &with_locks("enter-acquire r shared-wait-for-exclusive"),
    )
    .unwrap();
    let mode = Mode::SharedWaitForExclusive;
    assert_eq!(
        enter.steps(Place::Lane(0)),
        [Step::EnterAcquire { lock: 1, mode }]
    );
}

#[test]
fn may_deadlock_is_a_line_of_the_header() {
    for (source, expected) in [
        (
            "test t\nmay deadlok\nlane A\nforall (true)",
            "2:5 unexpected `deadlok` (did you mean `deadlock`?)",
        ),
        (
            "test t\nmay\nlane A\nforall (true)",
            "2:4 unexpected end of the line",
        ),
        (
            "test t\nmay deadlock\ntags a\nlane A\nforall (true)",
            "3:1 `tags` comes too late",
        ),
        (
            "test t\nmay deadlock\nmay deadlock\nlane A\nforall (true)",
            "3:1 `may` comes too late",
        ),
        (
            "test t\nvar x\nmay deadlock\nlane A\nload x -> r1\nforall (true)",
            "3:1 `may` comes too late",
        ),
    ] {
        assert_eq!(errors(source), [expected], "{source}");
    }
    let test = parse("t", "test t\nmay deadlock\nlane A\nexists deadlock").unwrap();
    assert!(test.may_deadlock());
    let test = parse("t", "test t\nlane A\n~exists (deadlock)").unwrap();
    assert!(!test.may_deadlock());
    assert_eq!(
        errors("test t\nlane A\nexists deadlock = 1"),
        ["3:17 unexpected `=`"]
    );
    assert_eq!(
        errors("test t\nlane A\nexists deadlok"),
        ["3:8 unexpected `deadlok` (did you mean `deadlock`?)"]
    );
}

/// A test in which lane A asks and lane B does something with the resource.
fn asking(header: &str, b: &str, last: &str) -> String {
    format!(
        "test t\n{header}resource r\nvar x\napc n special to A\n  shared-waiters r -> r5\nlane A\n  queue n\n  exclusive-waiters r -> r1\n  store x r1 + 1\nlane B\n  enter critical\n  {b}\n  load x -> r2\n  irql -> r3\n{last}\n"
    )
}

#[test]
fn counts_of_waiters_are_observed_only_where_nobody_waits() {
    let help = "(with `tags estimate` the model and the host assert it, and a device reports it)";
    let waits = "acquire r shared";
    for (last, expected) in [
        ("forall (A:r1 = 0)", "15:9 `A:r1` is an estimate"),
        ("forall (x = 1)", "15:9 `x` is an estimate"),
        ("exists (B:r2 = 1)", "15:9 `B:r2` is an estimate"),
        ("forall (n:r5 = 0)", "15:9 `n:r5` is an estimate"),
        (
            "locations [B:r3; B:r2;]\nforall (true)",
            "15:18 `B:r2` is an estimate",
        ),
    ] {
        let found = errors(&asking("", waits, last));
        assert_eq!(found, [format!("{expected} {help}")], "{last}");
        assert!(parse("t", &asking("tags estimate\n", waits, last)).is_ok());
        let tried = "try r shared -> r4\n  end";
        assert!(parse("t", &asking("", tried, last)).is_ok(), "{last}");
    }
    assert!(parse("t", &asking("", waits, "forall (B:r3 = 0)")).is_ok());
    // A lane does not wait while it asks; but an APC may interrupt its wait.
    let own = asking("", "irql -> r4", "forall (A:r1 = 0)");
    let own = own.replace("  queue n\n", "  queue n\n  acquire r exclusive\n");
    assert!(parse("t", &own).is_ok());
    let own = own.replace("A:r1 = 0", "n:r5 = 0");
    assert_eq!(errors(&own), [format!("16:9 `n:r5` is an estimate {help}")]);
}
