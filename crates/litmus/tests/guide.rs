//! The description of the language, `docs/litmus.md`, against the language.

use std::fs;
use std::path::Path;

use apclab_litmus::{Expectation, MAX_BYTES, MAX_DEPTH, Test, parse};
use apclab_protocol::limits;
use apclab_protocol::program::Program;
use apclab_protocol::verify::{Machine, Reason, verify};

fn guide() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/litmus.md");
    fs::read_to_string(path).unwrap().replace("\r\n", "\n")
}

/// The fenced blocks of a kind.
fn blocks<'g>(guide: &'g str, kind: &str) -> Vec<&'g str> {
    let fence = format!("```{kind}\n");
    let parts = guide.split(fence.as_str()).skip(1);
    parts.filter_map(|part| part.split("```").next()).collect()
}

fn examples(guide: &str) -> Vec<(&str, Test)> {
    let tests = blocks(guide, "litmus").into_iter();
    tests
        .map(|source| {
            (
                source,
                parse("interleaved.litmus", source).unwrap_or_else(|e| panic!("\n{e}")),
            )
        })
        .collect()
}

#[test]
fn its_examples_are_tests() {
    let guide = guide();
    assert_eq!(examples(&guide).len(), 6);
    for (source, test) in examples(&guide) {
        let bytes = test.program.encode();
        let judged = verify(&Program::parse(&bytes).unwrap(), Machine::COMPLETE);
        let refused = matches!(test.expectation, Expectation::Refused { .. });
        assert_eq!(judged.is_err(), refused, "{source}");
    }
}

#[test]
fn its_errors_are_what_the_parser_says() {
    let guide = guide();
    let shown = blocks(&guide, "text");
    let (source, refused) = examples(&guide).pop().unwrap();
    let bytes = refused.program.encode();
    let refusal = verify(&Program::parse(&bytes).unwrap(), Machine::COMPLETE).unwrap_err();
    let expected = format!("{}\n", refused.render_refusal(&refusal, source));
    assert!(shown.contains(&expected.as_str()), "{expected}");

    let misspelt = "test t\n\nlane A\n  enter critical\n  leave critcal\nforall (true)\n";
    let expected = format!("{}\n", parse("example.litmus", misspelt).unwrap_err());
    assert!(shown.contains(&expected.as_str()), "{expected}");
}

#[test]
fn it_has_every_reason_and_every_limit() {
    let guide = guide();
    for reason in Reason::ALL {
        assert!(
            guide.contains(&format!("| `{}` |", reason.name())),
            "{}",
            reason.name()
        );
    }
    let thousands = |number: usize| match number {
        0..1000 => number.to_string(),
        _ => format!("{},{:03}", number / 1000, number % 1000),
    };
    let millions = |number: u64| {
        format!(
            "{},{:03},{:03}",
            number / 1_000_000,
            number / 1000 % 1000,
            number % 1000
        )
    };
    assert_eq!(
        [limits::VARIABLES, limits::EVENTS, limits::LOCKS],
        [limits::APCS; 3]
    );
    for row in [
        format!("| lanes | {} |", limits::LANES),
        format!(
            "| registers of a lane or body | {}, `r0` to `r{}` |",
            limits::REGISTERS,
            limits::REGISTERS - 1
        ),
        format!("| variables, events, APCs, locks | {} each |", limits::APCS),
        format!("| observed values | {} |", limits::OBSERVED),
        format!(
            "| steps of a lane | {} |",
            thousands(limits::STEPS_PER_LANE)
        ),
        format!(
            "| open regions of a lane | {} |",
            thousands(limits::NESTING)
        ),
        format!("| steps of a body | {} |", limits::STEPS_PER_BODY),
        format!(
            "| rounds of a `repeat` | {} |",
            thousands(limits::ROUNDS as usize)
        ),
        format!(
            "| steps that a lane executes | {} |",
            millions(limits::EXECUTED_STEPS)
        ),
        format!(
            "| open raises, locks and blocks of a lane | {} |",
            limits::SCOPES
        ),
        format!(
            "| time-outs | {}ms |",
            thousands(limits::WAIT_DEADLINE_MS as usize)
        ),
        format!("| sleeps | {}ms |", thousands(limits::SLEEP_MS as usize)),
        format!("| parentheses and negations inside one another in a condition | {MAX_DEPTH} |"),
        format!("| size of a file | {} MiB |", MAX_BYTES >> 20),
    ] {
        assert!(guide.contains(&row), "{row}");
    }
}
