//! What each worker did over time: attempts as bars, or, where there are too many, a heat map with the
//! attempts that matter on it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use maud::{Markup, html};

use super::axis::{self, Tick};
use super::chart::{self, Chart, Key, WIDTH, chart};
use super::table::{self, figures, text};
use super::words::{self, Kind};
use super::{Section, heat};
use crate::findings::{Findings, WorkerBar, WorkerFindings, WorkerRow};
use crate::units;

/// Units of a row from top to bottom.
const ROW: f64 = 100.0;
/// Columns of the heat map's table.
const TABLE_COLUMNS: usize = 12;

/// Top and bottom of a bar, in hundredths of its row: the shape tells the outcome where colour does not.
pub fn shape(class: &str) -> (f64, f64) {
    match class {
        "succeeded" => (18.0, 82.0),
        "late" => (50.0, 98.0),
        "lost" => (2.0, 50.0),
        "open" => (38.0, 62.0),
        _ => (2.0, 98.0),
    }
}

/// Workers over time.
pub fn section(findings: &Findings) -> Option<Section> {
    let workers = &findings.workers;
    if workers.rows.is_empty() || workers.span_s <= 0.0 {
        return None;
    }
    let kinds: BTreeSet<Kind> =
        workers.bars.iter().filter(|bar| shown(workers, bar)).map(|bar| Kind::of(&bar.outcome)).collect();
    let mut keys: Vec<Key<'_>> = kinds.iter().map(|kind| (kind.class(), key_words(*kind))).collect();
    if !workers.bars_are_all {
        keys.insert(0, ("heat", "share of the time in which workers were busy: full colour is all of it"));
    }
    let drawing = drawing(workers);
    let body = html! {
        p { (introduction(workers)) }
        (chart::time_figure(workers.span_s, "", &keys, &drawing, &numbers(workers)))
        @if let Some(share) = findings.cores.load_balance_fraction {
            p {
                "The mean worker was busy for " strong { (units::percent(share)) } " of the time of the busiest one"
                @if share >= 0.8 { ": the load is even." } @else { ": the load is uneven; from 80 % on it counts as even." }
            }
        }
    };
    Some(Section { id: "workers", title: "Workers over time", body })
}

fn introduction(workers: &WorkerFindings) -> &'static str {
    if workers.bars_are_all {
        "A row is a worker, a bar an attempt. Gaps in the middle are waiting; a ragged right edge is the tail."
    } else {
        "A row is a worker, or several neighbours. There are too many attempts for a bar each: colour says how busy \
         workers were, bars stand for attempts that failed or ran out of time. The table below also lists the slowest and \
         the last."
    }
}

const fn key_words(kind: Kind) -> &'static str {
    match kind {
        Kind::Succeeded => "succeeded (bar of middle height)",
        Kind::Failed => "failed (full height)",
        Kind::TimedOut => "timed out (lower half)",
        Kind::Lost => "cancelled or lost (upper half)",
        Kind::Open => "running (thin)",
    }
}

/// On a heat map only what went wrong has a bar.
fn shown(workers: &WorkerFindings, bar: &WorkerBar) -> bool {
    bar.row < workers.rows.len()
        && (workers.bars_are_all || matches!(Kind::of(&bar.outcome), Kind::Failed | Kind::TimedOut))
}

fn drawing(workers: &WorkerFindings) -> Markup {
    let rows = workers.rows.len();
    let row_height = (440.0 / rows as f64).clamp(7.0, 22.0);
    let units_high = ROW * rows as f64;
    let heat = if workers.bars_are_all { None } else { picture(&workers.rows) };
    let plot = html! {
        @if let Some(uri) = heat {
            image.heat href=(uri) width=(format!("{WIDTH:.0}")) height=(format!("{units_high:.0}")) preserveAspectRatio="none" {}
        }
        @for kind in Kind::ALL {
            @let path = bars(workers, kind);
            @if !path.is_empty() { path class={ "attempts " (kind.class()) } d=(path) {} }
        }
        @if workers.bars_are_all { path.edges d=(edges(workers)) {} }
    };
    let wrong = workers.bars.iter().filter(|bar| Kind::of(&bar.outcome) != Kind::Succeeded).count();
    let description = format!(
        "{} over {}; {} of the attempts listed did not succeed. The table has each of them.",
        units::counted(workers.rows.iter().map(|row| row.worker_count).sum(), "worker"),
        units::duration(workers.span_s),
        units::count(wrong as i64),
    );
    chart(&Chart {
        id: "workers-over-time",
        title: "What each worker did over time",
        description: &description,
        height: row_height * rows as f64,
        units: units_high,
        x: &axis::time(workers.span_s),
        y: &names(&workers.rows),
        plot: &plot,
        notes: &[],
        named_rows: true,
    })
}

/// The names of rows, as many as there is room for, in the middle of their rows.
fn names(rows: &[WorkerRow]) -> Vec<Tick> {
    let every = rows.len().div_ceil(30).max(1);
    let at = |number: usize| 1.0 - (number as f64 + 0.5) / rows.len() as f64;
    let tick =
        |(number, row): (usize, &WorkerRow)| Tick { at: at(number), label: words::narrow(&row.name, 13) };
    rows.iter().enumerate().step_by(every).map(tick).collect()
}

fn picture(rows: &[WorkerRow]) -> Option<String> {
    heat::data_uri(&rows.iter().map(|row| row.busy_by_step.as_slice()).collect::<Vec<_>>())
}

/// All bars of a kind as one path.
fn bars(workers: &WorkerFindings, kind: Kind) -> String {
    let (top, bottom) = shape(kind.class());
    let mut path = String::new();
    for bar in workers.bars.iter().filter(|bar| Kind::of(&bar.outcome) == kind && shown(workers, bar)) {
        let (from, to) = extent(workers, bar);
        let y = ROW.mul_add(bar.row as f64, top);
        // Writing to a string cannot fail.
        let _ = write!(path, "M{from:.0} {y:.0}h{:.0}v{:.0}h-{:.0}z", to - from, bottom - top, to - from);
    }
    path
}

fn extent(workers: &WorkerFindings, bar: &WorkerBar) -> (f64, f64) {
    let at = |second: f64| (second / workers.span_s).clamp(0.0, 1.0) * WIDTH;
    (at(bar.start_s).round(), at(bar.end_s).max(at(bar.start_s)).round())
}

/// Where bars begin, so that neighbours are seen apart; not of bars that are hardly wider than a line.
fn edges(workers: &WorkerFindings) -> String {
    let mut path = String::new();
    for bar in workers.bars.iter().filter(|bar| shown(workers, bar)) {
        let (from, to) = extent(workers, bar);
        if to - from > WIDTH / 250.0 {
            // Writing to a string cannot fail.
            let _ = write!(path, "M{from:.0} {:.0}v{ROW:.0}", ROW * bar.row as f64);
        }
    }
    path
}

fn numbers(workers: &WorkerFindings) -> Markup {
    let columns = [text("worker"), figures("from (s)"), figures("to (s)"), text("outcome"), text("task")];
    let rows = html! { @for bar in &workers.bars {
        @if let Some(row) = workers.rows.get(bar.row) {
            tr data-r=(bar.row) {
                td { (words::narrow(&row.name, 40)) }
                td { (table::number(bar.start_s)) }
                td { (table::number(bar.end_s)) }
                td { (words::outcome(&bar.outcome)) }
                td { (words::narrow(&bar.task_id, words::ID_LIMIT)) }
            }
        }
    } };
    html! {
        @if !workers.bars_are_all { (busy_table(workers)) }
        (table::table_with_id(Some("bars"), "Attempts by worker", &columns, &rows))
    }
}

/// How busy each row was, by twelfths of the time.
fn busy_table(workers: &WorkerFindings) -> Markup {
    let twelfths = |row: &WorkerRow| -> Vec<String> {
        let steps = &row.busy_by_step;
        let part = |number: usize| {
            &steps[steps.len() * number / TABLE_COLUMNS..steps.len() * (number + 1) / TABLE_COLUMNS]
        };
        let mean =
            |part: &[u8]| part.iter().map(|&busy| f64::from(busy)).sum::<f64>() / 255.0 / part.len() as f64;
        let show = |part: &[u8]| if part.is_empty() { "–".to_owned() } else { units::percent(mean(part)) };
        (0..TABLE_COLUMNS).map(|number| show(part(number))).collect()
    };
    html! {
        div.scroll tabindex="0" role="region" aria-label="How busy workers were, by twelfths of the time" {
            table.data {
                caption.unseen { "How busy workers were, by twelfths of the time" }
                thead { tr {
                    th scope="col" { "worker" }
                    @for number in 0..TABLE_COLUMNS {
                        @let from_s = workers.span_s * number as f64 / TABLE_COLUMNS as f64;
                        th.figures scope="col" { "from " (units::duration(from_s)) }
                    }
                } }
                tbody { @for row in &workers.rows { tr {
                    td { (words::narrow(&row.name, 40)) }
                    @for share in twelfths(row) { td.figures { (share) } }
                } } }
            }
        }
    }
}
