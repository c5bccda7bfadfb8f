//! Tables of single attempts.

use std::collections::BTreeSet;

use maud::{Markup, html};

use super::Section;
use super::table::{self, Column, figures, text};
use super::words;
use crate::findings::{Findings, TaskLine};
use crate::moment::Moment;
use crate::units;

/// Slow, failed and retried ones.
pub fn section(findings: &Findings) -> Option<Section> {
    let tables = [
        ("The slowest attempts", None, &findings.slowest),
        ("Failed tasks", Some("The latest first."), &findings.failed),
        (
            "Tasks with more than one attempt",
            Some("Their last attempt; most attempts first."),
            &findings.retried,
        ),
        (
            "Stragglers",
            Some("Attempts that took at least three times the median of their group of 20 or more."),
            &findings.stragglers,
        ),
    ];
    let tables: Vec<_> = tables.into_iter().filter(|(_, _, lines)| !lines.is_empty()).collect();
    let body = html! {
        p { "All about one of them: " code { "ictasks report --task ID" } "." }
        @for (name, words, lines) in &tables {
            h3 { (name) }
            @if let Some(words) = words { p { (words) } }
            (tasks(name, lines))
        }
    };
    (!tables.is_empty()).then_some(Section { id: "tasks", title: "Single tasks", body })
}

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;

/// Which columns have anything to say.
struct Shown {
    message: bool,
    efficiency: bool,
    memory: bool,
    date: bool,
}

/// Attempts, one a row.
pub fn tasks(name: &str, lines: &[TaskLine]) -> Markup {
    let shown = Shown {
        message: lines.iter().any(|line| line.message.is_some()),
        efficiency: lines.iter().any(|line| line.cpu_efficiency_fraction.is_some()),
        memory: lines.iter().any(|line| line.memory_bytes.is_some()),
        date: lines
            .iter()
            .filter_map(|line| line.started_at)
            .map(|at| at.0 / DAY)
            .collect::<BTreeSet<i64>>()
            .len()
            > 1,
    };
    table::table(name, &columns(&shown), &html! { @for line in lines { (row(line, &shown)) } })
}

fn columns(shown: &Shown) -> Vec<Column> {
    let columns = [
        (true, text("task")),
        (true, text("outcome")),
        (true, figures("duration")),
        (shown.efficiency, figures("computing")),
        (shown.memory, figures("memory")),
        (true, text("host")),
        (true, text("started (UTC)")),
        (shown.message, text("last words")),
        (true, text("command")),
    ];
    columns.into_iter().filter(|(shown, _)| *shown).map(|(_, column)| column).collect()
}

fn row(line: &TaskLine, shown: &Shown) -> Markup {
    html! { tr {
        td { (words::task_name(line)) }
        td {
            (words::outcome_mark(&line.outcome))
            @if let Some(code) = words::code(line) { span.soft { ", " (code) } }
        }
        (table::figure_or_none(line.wall_s, units::duration))
        @if shown.efficiency { (table::figure_or_none(line.cpu_efficiency_fraction, units::percent)) }
        @if shown.memory { (table::figure_or_none(line.memory_bytes.map(|bytes| bytes as f64), |_| units::bytes(line.memory_bytes.unwrap_or(0)))) }
        td { @if let Some(host) = &line.host { (words::line(host)) } @else { "–" } }
        td.when {
            @if let Some(started) = line.started_at { (started_words(started, shown.date)) } @else { "–" }
        }
        @if shown.message { td.prose { @if let Some(message) = &line.message { (words::folded(message)) } } }
        td.prose { (words::folded(&line.command)) }
    } }
}

/// With its date where there are several.
fn started_words(started: Moment, date: bool) -> String {
    let words = started.for_people();
    let words = words.trim_end_matches(" UTC");
    match words.split_once(' ') {
        Some((_, time)) if !date => time.to_owned(),
        _ => words.to_owned(),
    }
}
