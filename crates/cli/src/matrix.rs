//! `apclab matrix`: which APC runs where, measured through programs, next to the documentation.

mod callers;
mod judge;
mod measure;
mod rows;

use apclab_client::journal::TestId;
use apclab_client::model::Mode;
use apclab_client::target::DriverInfo;
use apclab_client::{RunOptions, Target, TargetError};
use apclab_protocol::program::ApcKind;

use self::rows::{ROWS, Row};
use crate::args::{Format, MatrixArgs};
use crate::failure::{self, Failure};
use crate::info;
use crate::log::Log;
use crate::out::Out;
use crate::report::{Cell, Document, Gap, MatrixBody, RowReport, TargetReport};
use crate::table::Table;
use crate::target;

/// The questions about APCs, in the table's order.
const APCS: [&str; 2] = ["special APC", "normal APC"];

/// Where a thread that the driver creates is when it begins, which is not published.
const THREAD: &str = "a driver's thread begins";
/// Where the framework calls the driver with a request, which is not published.
const DISPATCH: &str = "the framework dispatches a request";

/// How often a thread of user mode is measured in each context, if nobody says how often.
const CALLER_ITERATIONS: u32 = 20;

/// Where the driver is called ahead of the framework, in the thread that asks, which is not published.
const CALL: &str = "a request reaches the driver ahead of the framework";

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
        let id = row_id(row.context);
        log.begin(&id, &options)?;
        matrix.push(measure(target.as_mut(), row, &options));
        log.end(&id, Some("measured"))?;
    }
    // Each iteration of these is a conversation of several threads with the driver.
    let of_callers = RunOptions {
        iterations: args.limits.iterations.unwrap_or(CALLER_ITERATIONS),
        ..options
    };
    for row in &callers::ROWS {
        let id = row_id(row.context);
        log.begin(&id, &of_callers)?;
        matrix.push(callers::measure(target.as_mut(), row, &of_callers));
        log.end(&id, Some("measured"))?;
    }
    if let Some(driver) = &info.driver {
        let id = row_id(THREAD);
        log.begin(&id, &options)?;
        matrix.extend(beginnings(target.as_mut(), driver));
        log.end(&id, Some("measured"))?;
    }
    log.done()?;
    let ended = target.finish();
    let cells = matrix.iter().flat_map(|row| &row.cells);
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
fn row_id(context: &str) -> TestId {
    TestId {
        file: "matrix".to_owned(),
        test: context.to_owned(),
    }
}

/// Measures a row.
fn measure(target: &mut dyn Target, row: &Row, options: &RunOptions) -> RowReport {
    let special = measure::apc(target, row, ApcKind::Special, options);
    let normal = measure::apc(target, row, ApcKind::Normal, options);
    let context = measure::context(target, row, options);
    let [special_apc, normal_apc] = APCS;
    let mut cells = vec![
        judge::apc(special_apc, row, &special, row.documented.special),
        judge::apc(normal_apc, row, &normal, row.documented.normal),
    ];
    cells.extend(judge::context(row, &context));
    RowReport {
        context: row.context.to_owned(),
        cells,
    }
}

/// The contexts that a driver finds itself in. The model has none: there these are given.
fn beginnings(target: &mut dyn Target, driver: &DriverInfo) -> Vec<RowReport> {
    let told = |context: Option<_>| context.ok_or_else(|| Gap::NotRunnable("not told".to_owned()));
    let failed = |error: TargetError| Gap::Failed(error.to_string());
    let thread = info::measure_baseline(target)
        .map_err(failed)
        .and_then(told);
    let mut rows = vec![
        (THREAD.to_owned(), thread),
        (DISPATCH.to_owned(), Ok(driver.dispatch)),
    ];
    match target.call_contexts() {
        Ok(calls) => rows.extend(calls.into_iter().map(|call| {
            let handle = call
                .handle
                .map_or_else(String::new, |handle| format!(", through {handle}"));
            (format!("{CALL}{handle}"), Ok(call.context))
        })),
        Err(error) => rows.push((CALL.to_owned(), Err(failed(error)))),
    }
    let rows = rows.into_iter().map(|(context, measured)| RowReport {
        context,
        cells: judge::unpublished(&measured).into(),
    });
    rows.collect()
}

/// A table of rows, with what is documented after each group of questions.
fn table(groups: &[&[&str]], rows: &[&RowReport], out: &Out) -> String {
    let mut header = vec!["context"];
    for questions in groups {
        header.extend(*questions);
        header.push("documented");
    }
    let mut table = Table::new(out, &header);
    for row in rows {
        let cells = |questions: &[&str], say: fn(&Cell) -> String| -> Vec<String> {
            let cells = questions.iter().map(|question| row.cell(question).map(say));
            cells.map(Option::unwrap_or_default).collect()
        };
        let mut line = vec![row.context.clone()];
        for questions in groups {
            line.extend(cells(questions, Cell::text));
            let documented = cells(questions, |cell| cell.documented.clone());
            let said = documented.into_iter().filter(|word| !word.is_empty());
            line.push(said.collect::<Vec<_>>().join(", "));
        }
        table.row(line);
    }
    table.to_string()
}

fn text(name: &str, matrix: &[RowReport], differing: usize, out: &mut Out) {
    let of_callers = |row: &&RowReport| row.cell(callers::QUESTIONS[0]).is_some();
    let (user, driver): (Vec<_>, Vec<_>) = matrix.iter().partition(of_callers);
    for (title, groups, rows) in [
        (
            "Threads of the driver",
            &[&APCS[..], &judge::CONTEXT][..],
            driver,
        ),
        ("Threads of user mode", &[&callers::QUESTIONS[..]], user),
    ] {
        out.line(title);
        out.line(&table(groups, &rows, out));
        out.line("");
    }
    out.line("now: the APC had run by this point; deferred: it ran later.");
    out.line("now or later: it ran inside the wait, or the wait was over first.");
    out.line("completion: of an overlapped request, a special kernel APC; suspension: SuspendThread, a normal one.");
    out.line("ends the wait: a user APC did, and ran on the return to user mode; on return: it ran there, and ended no wait;");
    out.line("alertable wait: it ran in the next alertable wait of user mode.");
    out.line(
        "[measure]: the sources contradict each other or are silent; the answer is not judged.",
    );
    for row in matrix {
        // What fails in one cell of a row mostly fails in all: the first one is told.
        if let Some(why) = row.cells.iter().find_map(Cell::failure) {
            out.line(&format!("failed in {}: {why}", row.context));
        }
    }
    out.line(&match differing {
        0 => format!("{name}: no cell differs from the documentation"),
        1 => format!("{name}: 1 cell differs from the documentation, marked !"),
        _ => format!("{name}: {differing} cells differ from the documentation, marked !"),
    });
}
