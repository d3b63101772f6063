//! Which measurements differ from the documentation, and how each is shown.

use apclab_protocol::message::Context;
use serde::Serialize;

use super::measure::{ApcCell, ContextCell, Deliveries, Gap};
use super::rows::{Answer, Delivery, Row};

/// A cell as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Cell {
    pub(super) measured: String,
    pub(super) documented: &'static str,
    pub(super) differs: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) iterations: Option<Deliveries>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) gap: Option<Gap>,
}

impl Cell {
    /// The text in the table; a cell that differs is marked.
    pub(super) fn text(&self) -> String {
        let mark = if self.differs { " !" } else { "" };
        format!("{}{mark}", self.measured)
    }

    /// Why the cell holds no measurement, if that is a failure.
    pub(super) fn failure(&self) -> Option<&str> {
        match &self.gap {
            Some(Gap::Failed(why)) => Some(why),
            _ => None,
        }
    }

    fn gap(gap: &Gap, documented: &'static str) -> Self {
        let (measured, differs) = match gap {
            Gap::NotRunnable(why) => (format!("({why})"), false),
            Gap::Failed(_) => ("failed".to_owned(), true),
        };
        Self {
            measured,
            documented,
            differs,
            iterations: None,
            gap: Some(gap.clone()),
        }
    }
}

/// Judges when an APC ran.
pub(super) fn apc(row: &Row, cell: &ApcCell, documented: Delivery) -> Cell {
    let word = match documented {
        Delivery::Now => "now",
        Delivery::Deferred => "deferred",
    };
    let seen = match cell {
        Ok(seen) => seen,
        Err(gap) => return Cell::gap(gap, word),
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
    Cell {
        measured,
        documented: word,
        differs: odd || differs,
        iterations: Some(*seen),
        gap: None,
    }
}

/// A row's answers to the three questions of context, in the table's order.
pub(super) fn context(row: &Row, cell: &ContextCell) -> [Cell; 3] {
    let documented = &row.documented;
    let words = [
        answer_word(documented.apcs_disabled),
        answer_word(documented.all_apcs_disabled),
        if documented.irql == 0 { "0" } else { "1" },
    ];
    let measured = match cell {
        Ok(measured) => measured,
        Err(gap) => return words.map(|word| Cell::gap(gap, word)),
    };
    // In a thread that begins with APCs disabled the documented answers are not to be expected.
    let judged = measured.baseline == Context::default();
    let predicate = |seen: &[bool], documented: Answer, word| Cell {
        measured: join(seen.iter().map(|yes| if *yes { "TRUE" } else { "FALSE" })),
        documented: word,
        differs: judged
            && match documented {
                Answer::True => seen != [true],
                Answer::False => seen != [false],
                Answer::Measure => false,
            },
        iterations: None,
        gap: None,
    };
    [
        predicate(&measured.apcs_disabled, documented.apcs_disabled, words[0]),
        predicate(
            &measured.all_apcs_disabled,
            documented.all_apcs_disabled,
            words[1],
        ),
        Cell {
            measured: join(measured.irql.iter().map(ToString::to_string)),
            documented: words[2],
            differs: judged && measured.irql != [i64::from(documented.irql)],
            iterations: None,
            gap: None,
        },
    ]
}

const fn answer_word(answer: Answer) -> &'static str {
    match answer {
        Answer::True => "TRUE",
        Answer::False => "FALSE",
        Answer::Measure => "[measure]",
    }
}

fn join<T: Into<String>>(words: impl Iterator<Item = T>) -> String {
    words.map(Into::into).collect::<Vec<_>>().join(" or ")
}

#[cfg(test)]
mod tests {
    use super::super::measure::Measured;
    use super::super::rows::ROWS;
    use super::*;

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
        let text = |seen, documented| apc(plain, &Ok(seen), documented).text();
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
        let text = |seen, documented| apc(waiting, &Ok(seen), documented).text();
        assert_eq!(text(seen(1, 9), Delivery::Now), "now or later");
        assert_eq!(text(seen(0, 9), Delivery::Now), "deferred !");
        assert_eq!(text(seen(1, 9), Delivery::Deferred), "now or later !");
    }

    #[test]
    fn gaps_say_so() {
        let missing = Err(Gap::NotRunnable("no APC routines"));
        let cell = apc(row("guarded region"), &missing, Delivery::Deferred);
        assert_eq!(
            (cell.text().as_str(), cell.differs),
            ("(no APC routines)", false)
        );
        let failed = Err(Gap::Failed("bug check".to_owned()));
        assert!(apc(row("guarded region"), &failed, Delivery::Deferred).differs);
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
