//! How long the run took and why, and its cores over time.

use maud::{Markup, html};

use super::Section;
use super::axis;
use super::chart::{self, Chart, Note, chart};
use super::table::{self, figures};
use super::task_tables;
use crate::findings::{Concurrency, Findings, TimeFindings};
use crate::units;

/// A figure, its name, and what it tells.
type Fact = (String, &'static str, &'static str);

/// Figures with what they tell, one below the other.
pub fn facts(facts: &[Fact]) -> Markup {
    html! {
        dl.facts { @for (figure, name, explanation) in facts {
            div { dt { (name) } dd { strong { (figure) } " " span.soft { (explanation) } } }
        } }
    }
}

/// The makespan, what it could have been, and what held it up.
pub fn section(findings: &Findings) -> Option<Section> {
    let time = &findings.time;
    let body = html! {
        (facts(&time_facts(time)))
        @if !time.tail_tasks.is_empty() {
            h3 { "The tasks that ended last" }
            (task_tables::tasks("The tasks that ended last", &time.tail_tasks))
        }
    };
    (time.makespan_s > 0.0).then_some(Section { id: "time", title: "How long it took, and why", body })
}

fn time_facts(time: &TimeFindings) -> Vec<Fact> {
    let mut facts: Vec<Fact> = vec![(
        units::duration(time.makespan_s),
        "From begin to end",
        "the time in which a session was alive; pauses between sessions do not count",
    )];
    let mut fact = |value: Option<f64>, name, explanation| {
        facts.extend(value.map(|value| (units::duration(value), name, explanation)));
    };
    fact(
        time.lower_bound_s,
        "Best possible end",
        "no order of these tasks on these cores ends sooner: the longest task, or all work spread evenly",
    );
    fact(
        time.longest_first_s,
        "Longest tasks first",
        "the end if the tasks had been started in this order (replayed)",
    );
    fact(
        time.list_scheduling_bound_s,
        "Worst end without pauses",
        "whatever the order: later than that, something other than the order held the run up",
    );
    fact(
        time.tail_s,
        "The tail",
        "from the start of the last task to the end: workers run out of tasks one by one",
    );
    fact(time.wait_median_s, "Typical wait of a task", "median, from when it could run to its start");
    fact(
        time.dispatch_gap_median_s,
        "Gap between two tasks",
        "median, on one worker, while another task was ready; tasks shorter than 20 gaps are better put together",
    );
    let mut core_fact = |value: f64, name, explanation| {
        if value > 0.0 {
            facts.push((units::core_time(value), name, explanation));
        }
    };
    core_fact(time.tail_idle_core_s.unwrap_or(0.0), "Idle in the tail", "core time that stood idle in it");
    core_fact(time.dispatch_gap_core_s, "In gaps", "core time that passed in the gaps between tasks");
    core_fact(
        time.starved_core_s,
        "Without a task",
        "core time in which workers waited because no task was ready",
    );
    facts
}

/// Cores that there were and that tasks held, and the tasks that waited.
pub fn concurrency(findings: &Findings) -> Option<Section> {
    let concurrency = &findings.concurrency;
    if concurrency.available.is_empty() || concurrency.step_s <= 0.0 {
        return None;
    }
    let span_s = concurrency.step_s * concurrency.available.len() as f64;
    let waiting = concurrency.queued.iter().any(|&queued| queued > 0.0);
    let charts = html! {
        (cores(concurrency, span_s))
        @if waiting { h4 { "Tasks that were ready and waited" } (queue(concurrency, span_s)) }
    };
    let keys = [("line available", "cores that there were"), ("busy", "cores that tasks held")];
    let body = html! {
        p {
            "White space below the line is cores without a task. "
            @if waiting { "While tasks wait, there should be none; once none wait, only more tasks could fill it." }
        }
        (chart::time_figure(span_s, "Cores", &keys, &charts, &numbers(concurrency)))
    };
    Some(Section { id: "concurrency", title: "Cores over time", body })
}

fn sessions(concurrency: &Concurrency, span_s: f64) -> Vec<Note> {
    let starts = concurrency.session_starts_s.iter().enumerate().skip(1);
    let note =
        |(number, &at_s): (usize, &f64)| Note { at: at_s / span_s, label: format!("session {number}") };
    starts.map(note).take(12).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

fn cores(concurrency: &Concurrency, span_s: f64) -> Markup {
    let both = concurrency.available.iter().chain(&concurrency.busy);
    let (largest, y) = axis::from_zero(both.fold(0.0_f64, |largest, value| largest.max(*value)));
    let plot = html! {
        path.busy d=(chart::steps(&concurrency.busy, largest, true)) {}
        path.line.available d=(chart::steps(&concurrency.available, largest, false)) {}
    };
    let description = format!(
        "Over {}: {} cores on average, of which tasks held {}.",
        units::duration(span_s),
        units::significant(mean(&concurrency.available)),
        units::significant(mean(&concurrency.busy)),
    );
    chart(&Chart {
        id: "cores-over-time",
        title: "Cores that there were and cores that tasks held, over time",
        description: &description,
        height: 200.0,
        units: chart::HEIGHT,
        x: &axis::time(span_s),
        y: &y,
        plot: &plot,
        notes: &sessions(concurrency, span_s),
        named_rows: false,
    })
}

fn queue(concurrency: &Concurrency, span_s: f64) -> Markup {
    let largest = concurrency.queued.iter().fold(0.0_f64, |largest, value| largest.max(*value));
    let (end, y) = axis::from_zero(largest);
    let description = format!("At most {} tasks waited.", units::significant(largest));
    chart(&Chart {
        id: "queue-over-time",
        title: "Tasks that were ready and waited, over time",
        description: &description,
        height: 90.0,
        units: chart::HEIGHT,
        x: &axis::time(span_s),
        y: &[y[0].clone(), y[y.len() - 1].clone()],
        plot: &html! { path.queued d=(chart::steps(&concurrency.queued, end, true)) {} },
        notes: &[],
        named_rows: false,
    })
}

fn numbers(concurrency: &Concurrency) -> Markup {
    let columns = [
        figures("from (s)"),
        figures("cores that there were"),
        figures("cores that tasks held"),
        figures("tasks that waited"),
    ];
    let at = |values: &[f64], number: usize| table::number(values.get(number).copied().unwrap_or(0.0));
    let rows = html! { @for number in 0..concurrency.available.len() {
        tr {
            td { (table::number(number as f64 * concurrency.step_s)) }
            td { (at(&concurrency.available, number)) }
            td { (at(&concurrency.busy, number)) }
            td { (at(&concurrency.queued, number)) }
        }
    } };
    table::table_with_id(
        Some("concurrency-numbers"),
        "Cores and waiting tasks by step of time",
        &columns,
        &rows,
    )
}
