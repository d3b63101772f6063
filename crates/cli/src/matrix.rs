//! `apclab matrix`: which APC runs where, measured through programs, next to the documentation.

mod judge;
mod measure;
mod rows;

use apclab_client::journal::TestId;
use apclab_client::model::Mode;
use apclab_client::{RunOptions, Target};
use apclab_protocol::program::ApcKind;
use serde::Serialize;

use self::judge::Cell;
use self::rows::{ROWS, Row};
use crate::args::{Format, MatrixArgs};
use crate::failure::{self, Failure};
use crate::log::Log;
use crate::out::Out;
use crate::report::{Document, TargetReport};
use crate::table::Table;
use crate::target;

/// The body of `matrix`.
#[derive(Serialize)]
struct MatrixBody {
    differing_cells: usize,
    matrix: Vec<RowReport>,
}

/// A row as it was measured.
#[derive(Serialize)]
struct RowReport {
    context: &'static str,
    special_apc: Cell,
    normal_apc: Cell,
    #[serde(rename = "KeAreApcsDisabled")]
    apcs_disabled: Cell,
    #[serde(rename = "KeAreAllApcsDisabled")]
    all_apcs_disabled: Cell,
    irql: Cell,
}

impl RowReport {
    fn measure(target: &mut dyn Target, row: &Row, options: &RunOptions) -> Self {
        let special = measure::apc(target, row, ApcKind::Special, options);
        let normal = measure::apc(target, row, ApcKind::Normal, options);
        let context = measure::context(target, row, options);
        let [apcs_disabled, all_apcs_disabled, irql] = judge::context(row, &context);
        Self {
            context: row.context,
            special_apc: judge::apc(row, &special, row.documented.special),
            normal_apc: judge::apc(row, &normal, row.documented.normal),
            apcs_disabled,
            all_apcs_disabled,
            irql,
        }
    }

    const fn cells(&self) -> [&Cell; 5] {
        [
            &self.special_apc,
            &self.normal_apc,
            &self.apcs_disabled,
            &self.all_apcs_disabled,
            &self.irql,
        ]
    }
}

/// Runs the command; gives the exit code.
///
/// # Errors
/// [`Failure`]: the target cannot be used, or left something behind.
pub(crate) fn run(args: &MatrixArgs, out: &mut Out) -> Result<u8, Failure> {
    let mode = match args.limits.iterations {
        None => Mode::Exhaustive,
        Some(_) => Mode::Sampling,
    };
    let mut target = target::open(&args.target, mode)?;
    let info = target.info()?;
    let options = args.limits.options();
    let mut log = Log::of_command(args.target.on, target.name())?;
    let mut matrix = Vec::new();
    for row in &ROWS {
        let id = row_id(row);
        log.begin(&id, &options)?;
        matrix.push(RowReport::measure(target.as_mut(), row, &options));
        log.end(&id, Some("measured"))?;
    }
    log.done()?;
    let ended = target.finish();
    let cells = matrix.iter().flat_map(RowReport::cells);
    let differing_cells = cells.filter(|cell| cell.differs).count();
    let code = if differing_cells == 0 && ended.is_ok() {
        failure::OK
    } else {
        failure::FAILED
    };
    match args.format {
        Format::Text => {
            text(target.name(), &matrix, differing_cells, out);
            ended?;
        }
        Format::Json => {
            let report = TargetReport::of(target.name(), &info);
            let error = ended.err().map(|error| error.to_string());
            let body = MatrixBody {
                differing_cells,
                matrix,
            };
            out.json(&Document::new("matrix", report, code, error, body));
        }
    }
    Ok(code)
}

/// A row, as a journal names it.
fn row_id(row: &Row) -> TestId {
    TestId {
        file: "matrix".to_owned(),
        test: row.context.to_owned(),
    }
}

fn text(name: &str, matrix: &[RowReport], differing: usize, out: &mut Out) {
    let header = [
        "context",
        "special APC",
        "normal APC",
        "documented",
        "KeAreApcsDisabled",
        "KeAreAllApcsDisabled",
        "IRQL",
        "documented",
    ];
    let mut table = Table::new(out, &header);
    for row in matrix {
        let documented = |cells: &[&Cell]| {
            let words: Vec<_> = cells.iter().map(|cell| cell.documented).collect();
            words.join(", ")
        };
        let [special, normal, apcs, all, irql] = row.cells();
        table.row([
            row.context.to_owned(),
            special.text(),
            normal.text(),
            documented(&[special, normal]),
            apcs.text(),
            all.text(),
            irql.text(),
            documented(&[apcs, all, irql]),
        ]);
    }
    out.line(&table.to_string());
    out.line("");
    out.line("now: the APC had run by this point; deferred: it ran later.");
    out.line("now or later: it ran inside the wait, or the wait was over first.");
    out.line("[measure]: the sources contradict each other; the answer is not judged.");
    for row in matrix {
        // What fails in one cell of a row mostly fails in all: the first one is told.
        if let Some(why) = row.cells().into_iter().find_map(Cell::failure) {
            out.line(&format!("failed in {}: {why}", row.context));
        }
    }
    out.line(&match differing {
        0 => format!("{name}: no cell differs from the documentation"),
        1 => format!("{name}: 1 cell differs from the documentation, marked !"),
        _ => format!("{name}: {differing} cells differ from the documentation, marked !"),
    });
}
