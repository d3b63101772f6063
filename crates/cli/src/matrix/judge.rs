//! Which measurements differ from the documentation, and how each is shown.

use apclab_protocol::message::Context;

use super::measure::{ApcCell, ContextCell};
use super::rows::{Answer, Delivery, Row};
use crate::report::{Cell, Gap, MEASURE};

/// The questions about the context, in the table's order.
pub(super) const CONTEXT: [&str; 3] = ["KeAreApcsDisabled", "KeAreAllApcsDisabled", "IRQL"];

/// A cell that holds no measurement.
pub(super) fn gap(question: &str, gap: &Gap, documented: &str) -> Cell {
    let (measured, differs) = match gap {
        Gap::NotRunnable(why) => (format!("({why})"), false),
        Gap::Failed(_) => ("failed".to_owned(), true),
    };
    Cell {
        question: question.to_owned(),
        measured,
        answers: Vec::new(),
        documented: documented.to_owned(),
        differs,
        iterations: None,
        gap: Some(gap.clone()),
    }
}

/// Judges when an APC ran.
pub(super) fn apc(question: &str, row: &Row, cell: &ApcCell, documented: Delivery) -> Cell {
    let word = match documented {
        Delivery::Now => "now",
        Delivery::Deferred => "deferred",
    };
    let seen = match cell {
        Ok(seen) => seen,
        Err(why) => return gap(question, why, word),
    };
    let odd = seen.lost + seen.not_inserted > 0;
    let measured = match (seen.now > 0, seen.deferred > 0) {
        _ if odd => format!(
            "now {}, deferred {}, lost {}, not inserted {}",
            seen.now, seen.deferred, seen.lost, seen.not_inserted
        ),
        (true, true) if row.waits => "now or later".to_owned(),
        (true, true) => format!("now {}, deferred {}", seen.now, seen.deferred),
        (true, false) => "now".to_owned(),
        (false, _) => "deferred".to_owned(),
    };
    let differs = match documented {
        Delivery::Now => seen.now == 0 || (seen.deferred > 0 && !row.waits),
        Delivery::Deferred => seen.now > 0,
    };
    // Where an APC may run inside a wait, it is chance whether the wait was over first.
    let over_first = row.waits && seen.now > 0;
    let answers = [
        ("now or later", over_first),
        ("now", seen.now > 0 && !over_first),
        ("deferred", seen.deferred > 0 && !over_first),
        ("lost", seen.lost > 0),
        ("not inserted", seen.not_inserted > 0),
    ];
    let answers = answers.into_iter().filter(|(_, seen)| *seen);
    Cell {
        question: question.to_owned(),
        measured,
        answers: answers.map(|(answer, _)| answer.to_owned()).collect(),
        documented: word.to_owned(),
        differs: odd || differs,
        iterations: Some(*seen),
        gap: None,
    }
}

/// A row's answers to the questions about the context.
pub(super) fn context(row: &Row, cell: &ContextCell) -> [Cell; 3] {
    let documented = &row.documented;
    let [apcs, all, irql] = CONTEXT;
    let words = [
        (apcs, answer_word(documented.apcs_disabled)),
        (all, answer_word(documented.all_apcs_disabled)),
        (irql, if documented.irql == 0 { "0" } else { "1" }),
    ];
    let measured = match cell {
        Ok(measured) => measured,
        Err(why) => return words.map(|(question, word)| gap(question, why, word)),
    };
    // In a thread that begins with APCs disabled the documented answers are not to be expected.
    let judged = measured.baseline == Context::default();
    let wrong = |seen: &[bool], documented: Answer| match documented {
        Answer::True => seen != [true],
        Answer::False => seen != [false],
        Answer::Measure => false,
    };
    let differs = [
        wrong(&measured.apcs_disabled, documented.apcs_disabled),
        wrong(&measured.all_apcs_disabled, documented.all_apcs_disabled),
        measured.irql != [i64::from(documented.irql)],
    ];
    let [first, second, third] = words;
    [
        answered(
            first,
            predicate(&measured.apcs_disabled),
            judged && differs[0],
        ),
        answered(
            second,
            predicate(&measured.all_apcs_disabled),
            judged && differs[1],
        ),
        answered(third, numbers(&measured.irql), judged && differs[2]),
    ]
}

/// A context of which nobody has published what it is.
pub(super) fn unpublished(measured: &Result<Context, Gap>) -> [Cell; 3] {
    let words = CONTEXT.map(|question| (question, MEASURE));
    let context = match measured {
        Ok(context) => context,
        Err(why) => return words.map(|(question, word)| gap(question, why, word)),
    };
    let [first, second, third] = words;
    [
        answered(first, predicate(&[context.apcs_disabled]), false),
        answered(second, predicate(&[context.all_apcs_disabled]), false),
        answered(third, numbers(&[i64::from(context.irql)]), false),
    ]
}

/// A cell with the answers to a question of which this is documented.
fn answered((question, documented): (&str, &str), answers: Vec<String>, differs: bool) -> Cell {
    Cell {
        question: question.to_owned(),
        measured: answers.join(" or "),
        answers,
        documented: documented.to_owned(),
        differs,
        iterations: None,
        gap: None,
    }
}

const fn answer_word(answer: Answer) -> &'static str {
    match answer {
        Answer::True => "TRUE",
        Answer::False => "FALSE",
        Answer::Measure => MEASURE,
    }
}

fn predicate(seen: &[bool]) -> Vec<String> {
    let words = seen.iter().map(|yes| if *yes { "TRUE" } else { "FALSE" });
    words.map(ToOwned::to_owned).collect()
}

fn numbers(seen: &[i64]) -> Vec<String> {
    seen.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::super::measure::Measured;
    use super::super::rows::ROWS;
    use super::*;
    use crate::report::Deliveries;

    fn row(context: &str) -> &'static Row {
        ROWS.iter()
            .find(|row| row.context == context)
            .expect("a row of that name")
    }

    fn seen(now: u64, deferred: u64) -> Deliveries {
        Deliveries {
            now,
            deferred,
            ..Deliveries::default()
        }
    }

    #[test]
    fn apcs_that_run_at_another_time_are_marked() {
        let plain = row("critical region");
        let text = |seen, documented| apc("APC", plain, &Ok(seen), documented).text();
        assert_eq!(text(seen(5, 0), Delivery::Now), "now");
        assert_eq!(text(seen(5, 0), Delivery::Deferred), "now !");
        assert_eq!(text(seen(0, 5), Delivery::Now), "deferred !");
        assert_eq!(text(seen(4, 1), Delivery::Now), "now 4, deferred 1 !");
        let lost = Deliveries {
            lost: 1,
            ..Deliveries::default()
        };
        assert!(text(lost, Delivery::Deferred).ends_with("lost 1, not inserted 0 !"));
    }

    #[test]
    fn a_wait_may_be_over_before_the_apc_runs() {
        let waiting = row("waiting in plain code");
        let text = |seen, documented| apc("APC", waiting, &Ok(seen), documented).text();
        assert_eq!(text(seen(1, 9), Delivery::Now), "now or later");
        assert_eq!(text(seen(0, 9), Delivery::Now), "deferred !");
        assert_eq!(text(seen(1, 9), Delivery::Deferred), "now or later !");
    }

    #[test]
    fn machines_are_not_compared_by_chance() {
        let answers = |context, seen| {
            let cell = apc("APC", row(context), &Ok(seen), Delivery::Now);
            cell.answers.join(", ")
        };
        let waiting = "waiting in plain code";
        assert_eq!(answers(waiting, seen(1, 9)), answers(waiting, seen(10, 0)));
        assert_eq!(answers(waiting, seen(0, 10)), "deferred");
        assert_eq!(answers("critical region", seen(4, 1)), "now, deferred");
        assert_eq!(answers("critical region", seen(1, 4)), "now, deferred");
        assert_eq!(answers("critical region", seen(5, 0)), "now");
    }

    #[test]
    fn gaps_say_so() {
        let missing = Err(Gap::NotRunnable("no APC routines".to_owned()));
        let cell = apc("APC", row("guarded region"), &missing, Delivery::Deferred);
        assert_eq!(
            (cell.text().as_str(), cell.differs),
            ("(no APC routines)", false)
        );
        let failed = Err(Gap::Failed("bug check".to_owned()));
        assert!(apc("APC", row("guarded region"), &failed, Delivery::Deferred).differs);
    }

    #[test]
    fn disputed_answers_and_other_baselines_are_not_judged() {
        let measured = |apcs: &[bool], all: &[bool], irql: &[i64], baseline| {
            Ok(Measured {
                apcs_disabled: apcs.to_vec(),
                all_apcs_disabled: all.to_vec(),
                irql: irql.to_vec(),
                baseline,
            })
        };
        let plain = Context::default();
        let texts = |row, cell: ContextCell| context(row, &cell).map(|cell| cell.text());
        let disputed = measured(&[false, true], &[false], &[0], plain);
        assert_eq!(
            texts(row("guarded region"), disputed),
            ["FALSE or TRUE", "FALSE !", "0"]
        );
        let wrong = measured(&[false], &[true], &[1], plain);
        assert_eq!(
            texts(row("critical region"), wrong.clone()),
            ["FALSE !", "TRUE !", "1 !"]
        );
        let disabled = Context {
            apcs_disabled: true,
            ..plain
        };
        let elsewhere = wrong.map(|cell| Measured {
            baseline: disabled,
            ..cell
        });
        assert!(
            context(row("critical region"), &elsewhere)
                .iter()
                .all(|cell| !cell.differs)
        );
    }
}
