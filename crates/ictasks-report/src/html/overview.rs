//! The top of the page: what it is about, how it went, and the figures that everybody asks for; tasks by
//! outcome; the foot.

use maud::{Markup, html};

use super::table::{self, figures, percent, text};
use super::words::{self, Kind};
use super::{Section, cores};
use crate::findings::{Findings, Mood, RunFacts, RunLife, Verdict};
use crate::moment::Moment;
use crate::units;

/// Name, verdict, identity and cards.
pub fn header(findings: &Findings) -> Markup {
    html! {
        header {
            h1 { (words::line(&words::run_name(findings))) }
            @if !findings.verdict.sentence.is_empty() { (verdict(&findings.verdict)) }
            @for run in findings.runs.iter().take(20) { p.identity { (identity(run)) } }
            @if findings.runs.len() > 20 { p.identity { "and " (findings.runs.len() - 20) " more" } }
            @if let Some(filter) = &findings.filter {
                p.notice {
                    "Only tasks for which " code { (words::line(&filter.expression)) } " holds: "
                    (units::count(filter.task_count)) " of " (units::counted(filter.of_task_count, "task"))
                    ". Time, cores, workers, hosts and advice are of the whole run."
                }
            }
            div.cards { (cards(findings)) }
        }
    }
}

/// How it went: sign and sentence.
pub fn verdict(verdict: &Verdict) -> Markup {
    let (class, sign) = match verdict.mood {
        Mood::Good => ("good", "✓"),
        Mood::Mixed => ("mixed", "!"),
        Mood::Bad => ("bad", "✗"),
    };
    html! {
        p.verdict.(class) { span.sign aria-hidden="true" { (sign) } " " (words::line(&verdict.sentence)) }
    }
}

fn identity(run: &RunFacts) -> Markup {
    let life = match run.life {
        RunLife::Alive => "at work when this page was made",
        RunLife::Killed => "killed",
        RunLife::Finished => "finished",
        RunLife::Interrupted => "interrupted",
        RunLife::Failed => "ended by trouble of the farm",
        RunLife::Unknown => "without run.json",
    };
    let hosts = run.sessions.iter().map(|session| session.hosts.len()).max().unwrap_or(0);
    html! {
        code { (words::line(&run.absolute_run_dir)) } " · " (life)
        @if let (Some(first), Some(last)) = (run.sessions.first(), run.sessions.last()) {
            " · " (first.began_at.for_people()) " to " (last.ended_at.for_people())
            @if run.sessions.len() > 1 { " in " (run.sessions.len()) " sessions" }
        }
        @if hosts > 0 { " · " (units::counted(hosts as i64, "host")) }
        @for (name, value) in run.labels.iter().take(20) { " · " (words::line(name)) ": " (words::line(value)) }
    }
}

/// A figure with its words, and a bar if it is a share.
struct Card {
    label: &'static str,
    figure: String,
    note: String,
    meter: Option<Markup>,
}

fn cards(findings: &Findings) -> Markup {
    let cards = [
        tasks(findings),
        makespan(findings),
        useful(findings),
        occupied(findings),
        efficiency(findings),
        memory(findings),
        gpu(findings),
        lost(findings),
    ];
    html! { @for card in cards.into_iter().flatten() {
        div.card {
            p.label { (card.label) }
            p.figure { (card.figure) }
            @if let Some(meter) = card.meter { (meter) }
            p.note { (card.note) }
        }
    } }
}

fn meter(share: f64) -> Option<Markup> {
    Some(table::bar(0.0, share, "accent"))
}

fn tasks(findings: &Findings) -> Option<Card> {
    let succeeded =
        findings.outcomes.iter().find(|row| row.outcome == "succeeded").map_or(0, |row| row.task_count);
    let mut notes = Vec::new();
    if findings.failures.task_count > 0 {
        notes.push(format!("{} failed", units::count(findings.failures.task_count)));
    }
    if findings.running_count > 0 {
        notes.push(format!("{} not ended", units::count(findings.running_count)));
    }
    if findings.retried_count > 0 {
        notes.push(units::counted(findings.retried_count, "repeated attempt"));
    }
    Some(Card {
        label: "tasks succeeded",
        figure: format!("{} of {}", units::count(succeeded), units::count(findings.task_count)),
        note: notes.join(", "),
        meter: Some(outcome_bar(findings)),
    })
}

fn makespan(findings: &Findings) -> Option<Card> {
    let time = &findings.time;
    let note = time
        .lower_bound_s
        .map(|bound| format!("{} at best with these tasks and cores", units::duration(bound)));
    (time.makespan_s > 0.0).then(|| Card {
        label: "from begin to end",
        figure: units::duration(time.makespan_s),
        note: note.unwrap_or_default(),
        meter: time.scheduling_efficiency_fraction.and_then(meter),
    })
}

fn useful(findings: &Findings) -> Option<Card> {
    let cores = &findings.cores;
    (cores.available_core_s > 0.0).then(|| Card {
        label: "core time that gave results",
        figure: units::core_time(cores.useful_core_s),
        note: format!("of {} that there were", units::core_time(cores.available_core_s)),
        meter: meter(cores.useful_core_s / cores.available_core_s),
    })
}

fn occupied(findings: &Findings) -> Option<Card> {
    let cores = &findings.cores;
    cores.occupancy_fraction.map(|share| Card {
        label: "of the cores held by tasks",
        figure: units::percent(share),
        note: format!(
            "{}, {}",
            units::counted(cores.core_count, "core"),
            units::counted(cores.worker_count, "worker")
        ),
        meter: meter(share),
    })
}

fn efficiency(findings: &Findings) -> Option<Card> {
    findings.cores.cpu_efficiency_fraction.map(|share| Card {
        label: "of the time held, cores computed",
        figure: units::percent(share),
        note: cores::efficiency_words(share).to_owned(),
        meter: meter(share.min(1.0)),
    })
}

fn memory(findings: &Findings) -> Option<Card> {
    let memory = &findings.memory;
    let largest = memory.peaks.quantiles.last().filter(|_| memory.peaks.count > 0)?.value;
    let note = match (memory.requested_bytes, memory.advised_bytes) {
        (Some(asked), Some(enough)) if enough < asked => {
            format!("asked {} a task; {} is enough", units::bytes(asked), units::bytes(enough))
        }
        (Some(asked), _) => format!("asked {} a task", units::bytes(asked)),
        (None, Some(enough)) => format!("{} a task is enough", units::bytes(enough)),
        (None, None) => String::new(),
    };
    Some(Card {
        label: "largest memory of a task",
        figure: super::axis::Unit::Bytes.show(largest),
        note,
        meter: memory
            .requested_bytes
            .filter(|&asked| asked > 0)
            .and_then(|asked| meter(largest / asked as f64)),
    })
}

fn gpu(findings: &Findings) -> Option<Card> {
    let gpu = findings.gpu.as_ref()?;
    gpu.busy_fraction.map(|share| Card {
        label: "of the time held, GPUs computed",
        figure: units::percent(share),
        note: units::counted(gpu.gpu_count, "GPU"),
        meter: meter(share),
    })
}

fn lost(findings: &Findings) -> Option<Card> {
    let failures = &findings.failures;
    let ways =
        if failures.group_count == 1 { "1 way".to_owned() } else { format!("{} ways", failures.group_count) };
    (failures.attempt_count > 0).then(|| Card {
        label: "core time lost in failures",
        figure: units::core_time(failures.core_s),
        note: format!("{} failed, in {ways}", units::counted(failures.attempt_count, "attempt")),
        meter: (findings.cores.occupied_core_s > 0.0)
            .then(|| table::bar(0.0, failures.core_s / findings.cores.occupied_core_s, "failed")),
    })
}

/// Tasks by what their outcomes have in common, as one bar.
fn outcome_bar(findings: &Findings) -> Markup {
    let all = findings.outcomes.iter().map(|row| row.task_count).sum::<i64>().max(1) as f64;
    let mut from = 0.0;
    let parts: Vec<(Kind, f64, f64)> = Kind::ALL
        .into_iter()
        .map(|kind| {
            let rows = findings.outcomes.iter().filter(|row| Kind::of(&row.outcome) == kind);
            let share = rows.map(|row| row.task_count).sum::<i64>() as f64 / all;
            from += share;
            (kind, from - share, share)
        })
        .filter(|part| part.2 > 0.0)
        .collect();
    html! {
        svg.bar aria-hidden="true" width="100%" height="12" {
            rect.track width="100%" height="12" {}
            @for (kind, from, share) in parts {
                rect class=(kind.class()) x=(percent(from)) width=(percent(share)) height="12" {}
            }
        }
    }
}

/// Tasks and attempts by outcome.
pub fn outcomes(findings: &Findings) -> Option<Section> {
    if findings.outcomes.is_empty() {
        return None;
    }
    let tasks = findings.outcomes.iter().map(|row| row.task_count).sum::<i64>().max(1) as f64;
    let columns = [
        text("outcome"),
        figures("tasks"),
        figures("share"),
        text(""),
        figures("attempts"),
        figures("core time"),
        text("what it means"),
    ];
    let rows = html! { @for row in &findings.outcomes {
        @let share = row.task_count as f64 / tasks;
        tr {
            td { (words::outcome_mark(&row.outcome)) }
            (table::count(row.task_count))
            (table::figure(share, &units::percent(share)))
            td.drawn { (table::bar(0.0, share, Kind::of(&row.outcome).class())) }
            (table::count(row.attempt_count))
            (table::figure(row.core_s, &units::core_time(row.core_s)))
            td.prose { (words::outcome_meaning(&row.outcome)) }
        }
    } };
    let body = html! {
        p { "Tasks count by their last attempt. A task that failed and then succeeded is a task that succeeded, with two attempts." }
        (table::table("Tasks and attempts by outcome", &columns, &rows))
    };
    Some(Section { id: "outcomes", title: "How tasks ended", body })
}

/// Who made the page, and when.
pub fn footer(findings: &Findings) -> Markup {
    made_by(&findings.ictasks_version, findings.made_at)
}

/// Which program made a page, and when.
pub fn made_by(version: &str, made_at: Moment) -> Markup {
    html! {
        footer { p {
            "Made by ictasks " (words::line(version)) ", " (made_at.for_people())
            ". This file is complete: it loads nothing."
        } }
    }
}
