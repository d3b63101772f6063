//! Mistakes in caller lanes: their declarations, the steps of user mode, alertable waits.

use apclab_litmus::parse;
use apclab_protocol::build::ProgramBuf;
use apclab_protocol::program::{Apc, ApcKind, LockKind, Place, Program};
use apclab_protocol::step::{Mode, Step, WaitMode};
use apclab_protocol::verify::{Machine, verify};

use super::{errors, rendered};

/// A file around the steps of the caller lane A, which begin on line 8. It declares one of
/// everything, and all of it is used below them.
fn with_callers(steps: &str) -> String {
    format!(
        "test t
apc u user to A
apc i completion to A
apc n normal to B
event e
critical-section c
lane A caller
{steps}
start i
queue u
enter c
leave c
lane B
queue n
set e
lane C caller
forall (true)
"
    )
}

#[test]
fn a_misspelt_word_shows_its_column_and_what_was_meant() {
    assert_eq!(
        rendered(&with_callers("  sleep 5ms alertible -> r1")),
        "\
error: unexpected `alertible`
 --> t.litmus:8:13
  |
8 |   sleep 5ms alertible -> r1
  |             ^^^^^^^^^ expected `alertable`
  |
  = help: did you mean `alertable`?"
    );
}

#[test]
fn steps_of_user_mode_say_what_they_need() {
    for (steps, expected) in [
        (
            "slep 5ms -> r1",
            "8:1 unknown step `slep` (did you mean `sleep`?)",
        ),
        ("sleep -> r1", "8:7 unexpected `->`"),
        (
            "sleep 5 -> r1",
            "8:7 `5` is no sleep (in milliseconds it is `5ms`)",
        ),
        ("sleep 1001ms -> r1", "8:7 this sleep is too long"),
        ("sleep 5ms", "8:10 unexpected end of the line"),
        ("sleep 5ms quickly -> r1", "8:11 unexpected `quickly`"),
        (
            "suspent C",
            "8:1 unknown step `suspent` (did you mean `suspend`?)",
        ),
        ("suspend", "8:8 unexpected end of the line"),
        (
            "suspend D",
            "8:9 unknown lane `D` (it would be declared by `lane D`)",
        ),
        ("suspend u", "8:9 `u` is an APC"),
        ("resume C -> r16", "8:13 there is no register `r16`"),
        (
            "suspend B",
            "8:9 `B` is no caller lane (it would be one with `lane B caller`)",
        ),
        (
            "resume B -> r1",
            "8:8 `B` is no caller lane (it would be one with `lane B caller`)",
        ),
        ("start u", "8:7 `u` is a `user` APC"),
        ("start n", "8:7 `n` is a `normal` APC"),
        ("start e", "8:7 `e` is an event"),
        ("start i -> r1", "8:9 unexpected `->`"),
        (
            "call",
            "8:1 this block does not end (close the block with `end`)",
        ),
        (
            "call\nrepeat 2\nend",
            "8:1 this block does not end (close the block with `end`)",
        ),
        ("call 2\nend", "8:6 unexpected `2`"),
        (
            "clal\nend",
            "8:1 unknown step `clal` (did you mean `call`?)",
        ),
    ] {
        assert_eq!(errors(&with_callers(steps)), [expected], "{steps}");
    }
}

#[test]
fn only_its_own_lane_starts_a_request() {
    let moved = with_callers("lane D caller");
    assert_eq!(errors(&moved), ["9:1 `i` is a completion of lane `A`"]);
    let body = moved.replace("apc n normal to B\n", "apc n normal to B\nstart i\n");
    assert_eq!(errors(&body)[0], "5:1 `i` is a completion of lane `A`");
}

#[test]
fn waits_that_more_may_end_have_a_time_out() {
    for (wait, expected) in [
        ("user", "8:12 unexpected end of the line"),
        ("alertable", "8:17 unexpected end of the line"),
        ("user alertable -> r1", "8:23 unexpected `->`"),
        ("alertable user for 10ms -> r1", "8:18 unexpected `user`"),
        ("user for 10ms", "8:21 unexpected end of the line"),
        (
            "usr for 10ms -> r1",
            "8:8 unexpected `usr` (did you mean `user`?)",
        ),
        (
            "user alertabel for 10ms -> r1",
            "8:13 unexpected `alertabel` (did you mean `alertable`?)",
        ),
        (
            "user fro 10ms -> r1",
            "8:13 unexpected `fro` (did you mean `for`?)",
        ),
        (
            "alertable for 10001ms -> r1",
            "8:22 this time-out is too long",
        ),
    ] {
        let steps = format!("wait e {wait}");
        assert_eq!(errors(&with_callers(&steps)), [expected], "{steps}");
    }
}

#[test]
fn critical_sections_are_entered_and_left() {
    for (steps, expected) in [
        (
            "acquire c",
            "8:9 `c` is a critical section (write `enter c`)",
        ),
        (
            "release c",
            "8:9 `c` is a critical section (write `leave c`)",
        ),
        ("try c for 10ms -> r1\nend", "8:7 this lock has no time-out"),
        (
            "try c shared -> r1\nend",
            "8:7 `c` is acquired without a mode",
        ),
        ("convert c", "8:9 `c` is a critical section"),
        ("enter e", "8:7 `e` is an event"),
        (
            "enter d",
            "8:7 unknown lock `d` (it would be declared by `critical-section d`)",
        ),
        (
            "enter critcal",
            "8:7 unexpected `critcal` (did you mean `critical`?)",
        ),
        ("leave", "8:6 unexpected end of the line"),
    ] {
        assert_eq!(errors(&with_callers(steps)), [expected], "{steps}");
    }
    let mutex = "test t\nmutex k\nlane A\nenter k\nforall (true)";
    assert_eq!(errors(mutex), ["4:7 `k` is a mutex"]);
    let unknown = "test t\nlane A\nenter there\nforall (true)";
    assert_eq!(errors(unknown), ["3:7 unexpected `there`"]);
    // A name may begin like a region's.
    let near = "test t\ncritical-section critical2\nlane A caller\nenter critical2\nleave critical2\nforall (true)";
    assert!(parse("t", near).is_ok());
}

#[test]
fn lanes_and_apcs_fit_each_other() {
    for (declarations, expected) in [
        ("lane A raw caller", "2:8 a caller lane cannot be raw"),
        ("lane A caller raw", "2:8 a caller lane cannot be raw"),
        (
            "lane A calller",
            "2:8 unexpected `calller` (did you mean `caller`?)",
        ),
        ("lane A quick", "2:8 unexpected `quick`"),
        (
            "apc u user to A\nlane A\nqueue u",
            "2:15 `A` is no caller lane (it would be one with `lane A caller`)",
        ),
        (
            "apc u special-user to A\nlane A raw\nqueue u",
            "2:23 `A` is no caller lane (it would be one with `lane A caller`)",
        ),
        (
            "apc u completion to A\nlane A\nqueue u",
            "2:21 `A` is no caller lane (it would be one with `lane A caller`)",
        ),
        (
            "apc u normal to A\nlane A caller\nran u -> r1",
            "2:17 `A` is a caller lane",
        ),
        (
            "apc u special to A\nlane A caller\nran u -> r1",
            "2:18 `A` is a caller lane",
        ),
        (
            "apc u usre to A\nlane A caller\nqueue u",
            "2:7 unexpected `usre` (did you mean `user`?)",
        ),
        (
            "apc u user to A\n  irql -> r1\n  lower\nlane A caller\nqueue u",
            "3:3 `u` is a `user` APC, which has no body",
        ),
        (
            "apc i completion to A\n  raise apc\nlane A caller\nqueue i",
            "3:3 `i` is a `completion` APC, which has no body",
        ),
        (
            "critical-setcion c\nlane A caller\nenter c",
            "2:1 unknown word `critical-setcion` (did you mean `critical-section`?)",
        ),
        (
            "critical-section c\nlane A caller",
            "2:18 lock `c` is declared and never used",
        ),
    ] {
        let source = format!("test t\n{declarations}\nforall (true)");
        assert_eq!(errors(&source), [expected], "{source}");
    }
}

/// Every step of caller lanes, in one program that may run.
const WHOLE: &str = "test t
apc u user to A
apc v special-user to B
apc i completion to A
event e
var x
critical-section c
lane A caller
start i
sleep 0ms -> r1
sleep 1000ms alertable -> r2
queue v -> r3
ran u -> r4
enter c
try c -> r5
leave c
end
leave c
repeat 2
call
enter critical
queue i -> r6
wait e user for 1ms -> r7
ran i -> r8
wait e alertable for 2ms -> r9
leave critical
load x -> r10
end
end
call
wait e user alertable for 10000ms -> r11
end
lane B caller
suspend A
resume A -> r1
queue u
call
set e
store x 1
end
forall (A:r1 = 0)
";

#[test]
fn every_step_of_caller_lanes_is_read_as_it_is_written() {
    let test = parse("t.litmus", WHOLE).unwrap();
    let (mode, lock) = (Mode::Exclusive, 0);
    let queue = |apc, to| Step::Queue { apc, to };
    let wait = |mode, milliseconds, to| Step::WaitAs {
        event: 0,
        to,
        milliseconds,
        mode,
    };
    let sleep = |milliseconds, alertable, to| Step::Sleep {
        milliseconds,
        alertable,
        to,
    };
    assert_eq!(
        test.steps(Place::Lane(0)),
        [
            Step::Start { apc: 2 },
            sleep(0, false, 1),
            sleep(1000, true, 2),
            queue(1, Some(3)),
            Step::Ran { apc: 0, to: 4 },
            Step::Acquire { lock, mode },
            Step::Try {
                lock,
                mode,
                to: 5,
                milliseconds: 0,
                length: 1
            },
            Step::Release { lock },
            Step::End,
            Step::Release { lock },
            Step::Repeat {
                count: 2,
                length: 9
            },
            Step::Call { length: 7 },
            Step::EnterCritical,
            queue(2, Some(6)),
            wait(WaitMode::User, 1, 7),
            Step::Ran { apc: 2, to: 8 },
            wait(WaitMode::KernelAlertable, 2, 9),
            Step::LeaveCritical,
            Step::Load {
                variable: 0,
                to: 10
            },
            Step::End,
            Step::End,
            Step::Call { length: 1 },
            wait(WaitMode::UserAlertable, 10_000, 11),
            Step::End,
        ]
    );
    assert_eq!(
        test.steps(Place::Lane(1))[..3],
        [
            Step::Suspend { lane: 0, to: None },
            Step::Resume {
                lane: 0,
                to: Some(1)
            },
            queue(0, None),
        ]
    );
    let apc = |kind, lane| Apc { kind, lane };
    let ProgramBuf {
        apcs,
        locks,
        callers,
        ..
    } = &test.program;
    assert_eq!(
        *apcs,
        [
            apc(ApcKind::User, 0),
            apc(ApcKind::SpecialUser, 1),
            apc(ApcKind::Completion, 0)
        ]
    );
    assert_eq!(
        (locks.as_slice(), callers.as_slice()),
        (&[LockKind::CriticalSection][..], &[true; 2][..])
    );
    let bytes = test.program.encode();
    assert!(verify(&Program::parse(&bytes).unwrap(), Machine::COMPLETE).is_ok());
    let printed = test.to_text();
    assert!(
        printed.contains("\n  enter c\n  try c -> r5\n    leave c\n  end\n  leave c\n"),
        "{printed}"
    );
    assert!(
        printed.contains("\n    call\n      enter critical\n"),
        "{printed}"
    );
}
