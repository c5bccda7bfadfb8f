//! What became of the core time, how well cores computed, and what more of them would give.

use maud::{Markup, html};

use super::Section;
use super::table::{self, bar, figures, percent, text};
use super::time::facts;
use super::words::{self, Kind};
use crate::findings::{CorePart, Findings};
use crate::units;

/// Most groups in the table of CPU efficiency.
const GROUPS: usize = 20;

/// From the core time that there was to that which gave results.
pub fn parts(findings: &Findings) -> Option<Section> {
    let all = findings.cores.available_core_s;
    let parts: Vec<&CorePart> = findings.cores.parts.iter().filter(|part| part.core_s > 0.0).collect();
    if parts.is_empty() || all <= 0.0 {
        return None;
    }
    let mut from = 0.0;
    let placed: Vec<(&CorePart, f64, f64)> = parts
        .into_iter()
        .map(|part| {
            let share = part.core_s / all;
            from += share;
            (part, from - share, share)
        })
        .collect();
    let body = html! {
        p {
            "Of " (units::core_time(all)) " that there were, " strong { (units::core_time(findings.cores.useful_core_s)) }
            " were held by attempts that gave a result. The rest, part by part:"
        }
        (stack(&placed))
        (parts_table(&placed))
    };
    Some(Section { id: "core-time", title: "Where the core time went", body })
}

fn class(name: &str) -> &'static str {
    match name {
        "useful: computing" => "succeeded",
        name if name.starts_with("useful") => "waiting",
        name if name.starts_with("idle") => "idle",
        name if name.starts_with("succeeded") => "lost",
        name => Kind::of(&name.replace(' ', "_")).class(),
    }
}

fn stack(placed: &[(&CorePart, f64, f64)]) -> Markup {
    let sentence: Vec<String> = placed
        .iter()
        .map(|(part, _, share)| format!("{} {}", words::line(&part.name), units::percent(*share)))
        .collect();
    html! {
        svg.stack role="img" aria-labelledby="core-time-title core-time-description" width="100%" height="30" {
            title id="core-time-title" { "Where the core time went" }
            desc id="core-time-description" { (sentence.join(", ")) "." }
            @for (part, from, share) in placed {
                rect class=(class(&part.name)) x=(percent(*from)) width=(percent(*share)) height="30" {}
            }
            @for (_, from, _) in placed.iter().skip(1) {
                line.edge x1=(percent(*from)) x2=(percent(*from)) y2="30" {}
            }
        }
    }
}

fn parts_table(placed: &[(&CorePart, f64, f64)]) -> Markup {
    let columns =
        [text("what became of it"), figures("core time"), figures("share"), text(""), text("what it means")];
    let rows = html! { @for (part, from, share) in placed {
        tr {
            td { (words::line(&part.name)) }
            (table::figure(part.core_s, &units::core_time(part.core_s)))
            (table::figure(*share, &units::percent(*share)))
            td.drawn { (bar(*from, from + share, class(&part.name))) }
            td.prose { (part_meaning(&part.name)) }
        }
    } };
    table::table("Core time by what became of it", &columns, &rows)
}

/// What a part of the core time is.
fn part_meaning(name: &str) -> &'static str {
    match name {
        "useful: computing" => "processors at work, in attempts that gave a result",
        name if name.starts_with("useful") => "held by the same attempts while they waited",
        "idle: tail" => "no task was left to start, while the last ones ran",
        "idle: no task was ready" => {
            "all tasks that there were ran or waited for a retry; others were still to come"
        }
        "idle: between tasks" => "from the end of one task to the start of the next",
        "idle: start, end and other" => {
            "before the first task, after the last, and what nothing else explains"
        }
        "succeeded, and run again" => "attempts whose result a later attempt made again",
        name => words::outcome_meaning(&name.replace(' ', "_")),
    }
}

/// In words, how well tasks use the cores they hold.
pub const fn efficiency_words(share: f64) -> &'static str {
    match share {
        s if s > 1.05 => "more threads than cores asked for",
        s if s >= 0.85 => "cores computed nearly all the time",
        s if s >= 0.5 => "part of the time they waited",
        _ => "most of the time they waited",
    }
}

/// CPU efficiency, whole and by group.
pub fn efficiency(findings: &Findings) -> Option<Section> {
    let cores = &findings.cores;
    let efficiency = cores.cpu_efficiency_fraction?;
    let mut list = vec![(
        units::percent(efficiency),
        "Computing while held",
        "CPU time by core time held (CPU efficiency); the rest is waiting: for files, locks, memory, or cores held for \
         threads that the task does not have",
    )];
    if let Some(occupancy) = cores.occupancy_fraction {
        list.push((
            units::percent(occupancy),
            "Held by tasks",
            "core time held by core time that there was (occupancy)",
        ));
    }
    if let Some(utilisation) = cores.cpu_utilisation_fraction {
        list.push((
            units::percent(utilisation),
            "Computing at all",
            "the product of both: what the cores were used for",
        ));
    }
    let known = findings.groups.iter().filter(|group| group.cpu_efficiency_fraction.is_some());
    let columns = [text("group"), figures("core time held"), figures("computing"), text("")];
    let rows = html! { @for group in known.take(GROUPS) {
        @let share = group.cpu_efficiency_fraction.unwrap_or(0.0);
        tr {
            td.name { (words::folded(&group.name)) }
            (table::figure(group.core_s, &units::core_time(group.core_s)))
            (table::figure(share, &units::percent(share)))
            td.drawn { (bar(0.0, share, "accent")) }
        }
    } };
    let body = html! {
        (facts(&list))
        (table::table("CPU efficiency by group", &columns, &rows))
    };
    Some(Section { id: "cpu", title: "How well cores computed", body })
}

/// A number of cores; half a core occurs where today's are odd.
fn cores(number: f64) -> String {
    if number.fract() == 0.0 { units::count(number as i64) } else { units::significant(number) }
}

/// The makespan with other numbers of cores.
pub fn more_cores(findings: &Findings) -> Option<Section> {
    let more = findings.more_cores.as_ref().filter(|more| more.points.len() > 1)?;
    let largest = more.points.iter().fold(0.0_f64, |largest, point| largest.max(point.makespan_s));
    let columns = [
        figures("cores"),
        text("by today's"),
        figures("from begin to end"),
        text(""),
        figures("cores held by tasks"),
        text(" "),
    ];
    let rows = html! { @for point in &more.points {
        tr class=[(point.factor == 1.0).then_some("here")] {
            (table::figure(point.core_count, &cores(point.core_count)))
            td data-v=(table::number(point.factor)) { (table::number(point.factor)) " ×" }
            (table::figure(point.makespan_s, &units::duration(point.makespan_s)))
            td.drawn { (bar(0.0, point.makespan_s / largest, "accent")) }
            (table::figure(point.occupancy_fraction, &units::percent(point.occupancy_fraction)))
            td.drawn { (bar(0.0, point.occupancy_fraction, "busy")) }
        }
    } };
    let body = html! {
        p {
            "The same tasks with the durations recorded, replayed on other numbers of cores. Above "
            strong { (cores(more.saturation_core_count)) " cores" }
            " more of them change nothing: the longest attempt alone decides."
        }
        (table::table("Time from begin to end by number of cores", &columns, &rows))
    };
    Some(Section { id: "more-cores", title: "What more cores would give", body })
}
