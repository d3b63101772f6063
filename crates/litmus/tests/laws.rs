//! Laws: printing and parsing are inverse, and no input makes the parser panic or point outside of
//! the file.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use apclab_litmus::{
    Condition, Diagnostics, Expectation, Formula, Names, Quantifier, Test, parse, parse_bytes,
};
use apclab_protocol::build::ProgramBuf;
use apclab_protocol::program::{Apc, ApcKind, Event, EventKind, LockKind, Observed, Place};
use apclab_protocol::step::Step;
use apclab_protocol::verify::Reason;
use proptest::prelude::*;
use proptest::sample::{Index, select};

fn constant() -> impl Strategy<Value = i64> {
    prop_oneof![-3_i64..4, any::<i64>(), Just(i64::MIN), Just(i64::MAX)]
}

/// A step. It stores only from `r0`, which every lane of [`test`] has written.
fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::EnterCritical),
        Just(Step::LeaveCritical),
        Just(Step::EnterGuarded),
        Just(Step::LeaveGuarded),
        Just(Step::RaiseApc),
        Just(Step::Lower),
        Just(Step::Barrier),
        (0_u8..16).prop_map(|to| Step::ApcsDisabled { to }),
        (0_u8..16).prop_map(|to| Step::AllApcsDisabled { to }),
        (0_u8..16).prop_map(|to| Step::Irql { to }),
        (0_u8..2, proptest::option::of(0_u8..16)).prop_map(|(apc, to)| Step::Queue { apc, to }),
        (0_u8..2, 0_u8..16).prop_map(|(apc, to)| Step::Ran { apc, to }),
        (0_u8..2).prop_map(|event| Step::Set { event }),
        (0_u8..2).prop_map(|event| Step::Reset { event }),
        (0_u8..2).prop_map(|event| Step::Wait { event }),
        (0_u8..2, proptest::option::of(Just(0)), constant()).prop_map(
            |(variable, from, constant)| Step::Store {
                variable,
                from,
                constant
            }
        ),
        (0_u8..2, 0_u8..16).prop_map(|(variable, to)| Step::Load { variable, to }),
        (0_u8..2, 0_u8..16, 0_u32..=10_000).prop_map(|(event, to, milliseconds)| Step::WaitFor {
            event,
            to,
            milliseconds
        }),
        (0_u8..3).prop_map(|lock| Step::Acquire { lock }),
        (0_u8..3).prop_map(|lock| Step::Release { lock }),
        Just(Step::End),
    ]
}

/// A step that begins a block, whose length is not known yet.
fn block() -> impl Strategy<Value = Step> {
    let attempt = |lock, to, milliseconds| Step::Try {
        lock,
        to,
        milliseconds,
        length: 0,
    };
    prop_oneof![
        (0_u8..2, 0_u8..16).prop_map(move |(lock, to)| attempt(lock, to, 0)),
        (0_u8..16, 0_u32..=10_000).prop_map(move |(to, time)| attempt(2, to, time)),
        (1_u32..=10_000).prop_map(|count| Step::Repeat { count, length: 0 }),
    ]
}

/// Steps with blocks in one another, and with ends too many.
fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![5 => step(), 1 => block()];
    proptest::collection::vec(step, 0..most / 2).prop_map(|mut steps| {
        let mut open = Vec::new();
        let mut index = 0;
        while index < steps.len() || !open.is_empty() {
            if index == steps.len() {
                steps.push(Step::End);
            }
            match steps[index] {
                Step::Try { .. } | Step::Repeat { .. } => open.push(index),
                Step::End => {
                    if let Some(begin) = open.pop()
                        && let Step::Try { length, .. } | Step::Repeat { length, .. } =
                            &mut steps[begin]
                    {
                        *length = u32::try_from(index - begin - 1).unwrap();
                    }
                }
                _ => {}
            }
            index += 1;
        }
        steps
    })
}

/// Steps that use everything that is declared and write `r0`.
fn prologue() -> Vec<Step> {
    let each = |index| {
        [
            Step::Queue {
                apc: index,
                to: None,
            },
            Step::Set { event: index },
            Step::Load {
                variable: index,
                to: 0,
            },
        ]
    };
    let locks = (0..3).map(|lock| Step::Acquire { lock });
    [each(0), each(1)]
        .concat()
        .into_iter()
        .chain(locks)
        .collect()
}

/// A body that may be empty. One that is not writes `r0`.
fn first(body: Vec<Step>) -> Vec<Step> {
    let ran = Step::Ran { apc: 0, to: 0 };
    let ran = (!body.is_empty()).then_some(ran);
    ran.into_iter().chain(body).collect()
}

/// The values that formulas speak of, by the index that stands for them until they are numbered.
const VALUES: [(&str, Observed); 5] = [
    (
        "A:r0",
        Observed::Register {
            lane: 0,
            register: 0,
        },
    ),
    (
        "second-lane:r0",
        Observed::Register {
            lane: 1,
            register: 0,
        },
    ),
    (
        "apc-2:r0",
        Observed::ApcRegister {
            apc: 1,
            register: 0,
        },
    ),
    ("x", Observed::Variable(0)),
    ("y_2", Observed::Variable(1)),
];

fn formula() -> impl Strategy<Value = Formula> {
    let leaf = prop_oneof![
        Just(Formula::True),
        Just(Formula::False),
        (0..VALUES.len(), constant()).prop_map(|(observed, value)| Formula::Equal {
            observed,
            name: VALUES[observed].0.to_owned(),
            value
        }),
    ];
    leaf.prop_recursive(6, 40, 4, |inner| {
        prop_oneof![
            inner
                .clone()
                .prop_map(|inner| Formula::Not(Box::new(inner))),
            proptest::collection::vec(inner.clone(), 2..4).prop_map(Formula::And),
            proptest::collection::vec(inner, 2..4).prop_map(Formula::Or),
        ]
    })
}

/// Numbers the values of a formula by first mention.
fn number(formula: &mut Formula, list: &mut Vec<Observed>) {
    match formula {
        Formula::True | Formula::False => {}
        Formula::Equal { observed, .. } => {
            let value = VALUES[*observed].1;
            *observed = list
                .iter()
                .position(|known| *known == value)
                .unwrap_or_else(|| {
                    list.push(value);
                    list.len() - 1
                });
        }
        Formula::Not(inner) => number(inner, list),
        Formula::And(parts) | Formula::Or(parts) => {
            for part in parts {
                number(part, list);
            }
        }
    }
}

/// Lanes and bodies of [`test`] that have at least six steps.
const PLACES: [Place; 3] = [Place::Lane(0), Place::Lane(1), Place::Body(1)];

fn expectation() -> impl Strategy<Value = Expectation> {
    let quantifier = select(vec![
        Quantifier::Forall,
        Quantifier::Exists,
        Quantifier::NotExists,
    ]);
    prop_oneof![
        3 => (quantifier, formula()).prop_map(|(quantifier, formula)| {
            Expectation::Condition(Condition { quantifier, formula })
        }),
        1 => (select(Reason::ALL.to_vec()), select(PLACES.to_vec()), 0_usize..7)
            .prop_map(|(reason, place, step)| Expectation::Refused { reason, place, step }),
    ]
}

/// Ids of facts, or tags.
fn words() -> impl Strategy<Value = Vec<String>> {
    proptest::collection::btree_set("[a-z]{1,5}(-[a-z0-9]{1,3}){0,3}", 0..3)
        .prop_map(|words| words.into_iter().collect())
}

fn test() -> impl Strategy<Value = Test> {
    (
        [steps(40), steps(40)],
        [steps(16), steps(7)],
        [constant(), constant()],
        any::<[bool; 8]>(),
        expectation(),
        proptest::collection::vec(0..VALUES.len(), 0..4),
        r#"[a-zA-Z0-9 "\\.é(*#)]{0,30}"#,
        [words(), words()],
    )
        .prop_map(
            |(
                [a, b],
                [first_body, second_body],
                variables,
                bits,
                mut expectation,
                locations,
                description,
                [shows, tags],
            )| {
                let mut observed = Vec::new();
                if let Expectation::Condition(condition) = &mut expectation {
                    number(&mut condition.formula, &mut observed);
                }
                for value in locations {
                    if !observed.contains(&VALUES[value].1) {
                        observed.push(VALUES[value].1);
                    }
                }
                let event = |synchronization, signaled| Event {
                    kind: if synchronization {
                        EventKind::Synchronization
                    } else {
                        EventKind::Notification
                    },
                    signaled,
                };
                let apc = |special, lane: bool| Apc {
                    kind: if special {
                        ApcKind::Special
                    } else {
                        ApcKind::Normal
                    },
                    lane: lane.into(),
                };
                let program = ProgramBuf {
                    variables: variables.to_vec(),
                    events: vec![event(bits[0], bits[1]), event(bits[2], bits[3])],
                    apcs: vec![apc(bits[4], bits[5]), apc(bits[5], bits[0])],
                    observed,
                    lanes: vec![[prologue(), a].concat(), [prologue(), b].concat()],
                    bodies: vec![first(first_body), [prologue(), second_body].concat()],
                    locks: vec![LockKind::FastMutex, LockKind::GuardedMutex, LockKind::Mutex],
                    raw: match (bits[6], bits[7]) {
                        (first, true) => vec![first, true],
                        (true, false) => vec![true],
                        (false, false) => vec![],
                    },
                };
                let words = |words: &[&str]| words.iter().map(|&w| w.to_owned()).collect();
                let names = Names {
                    lanes: words(&["A", "second-lane"]),
                    variables: words(&["x", "y_2"]),
                    events: words(&["go", "E"]),
                    apcs: words(&["n", "apc-2"]),
                    locks: words(&["f", "g", "k"]),
                };
                let mut test = Test::from_program("made-up", program, names, expectation);
                test.description = description;
                (test.shows, test.tags) = (shows, tags);
                test
            },
        )
}

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
            "tags",
            "mutex k",
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

    /// Each step is at the place that the test says, which is where its word stands.
    #[test]
    fn places_are_where_the_steps_stand(test in test()) {
        let text = test.to_text();
        let test = parse("file", &text).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let heads = ["lane A", "lane second-lane", "apc n ", "apc apc-2 "];
        let places = [Place::Lane(0), Place::Lane(1), Place::Body(0), Place::Body(1)];
        for (place, head) in places.into_iter().zip(heads) {
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
