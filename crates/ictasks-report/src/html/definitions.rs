//! What the words of the page mean, exactly.

use maud::html;

use super::Section;
use crate::findings::Findings;

/// Term, the usual name in the literature, and the definition.
type Definition = (&'static str, &'static str, &'static str);

const TIME: [Definition; 4] = [
    ("Core time", "", "cores that an attempt held × its duration; 3600 core seconds are a core hour"),
    ("From begin to end", "makespan", "the time in which a session was alive, summed over sessions"),
    (
        "Best possible end",
        "lower bound",
        "the larger of core time held / cores, and the longest attempt; Graham showed that starting tasks as workers become \
         free ends at the latest after core time / cores + (1 − 1 / cores) × the longest attempt",
    ),
    (
        "Tail",
        "",
        "from the start of the last task that waited to the end; its cost is the core time idle in it",
    ),
];

const CORES: [Definition; 5] = [
    ("Held by tasks", "occupancy", "core time held by attempts / core time that there was"),
    (
        "Computing while held",
        "CPU efficiency",
        "CPU time, user and system, of an attempt and all its processes / core time held",
    ),
    ("Computing at all", "CPU utilisation", "the product of the two"),
    (
        "Core time that gave results",
        "goodput",
        "core time held by the last attempts of tasks that succeeded; all else held was for attempts that failed, were \
         ended, or were repeated",
    ),
    ("Evenness of the load", "load balance", "busy time of the mean worker / of the busiest one"),
];

const TASKS: [Definition; 5] = [
    (
        "Attempt",
        "",
        "one start of a task; a task that is retried or resumed has several, and counts by its last",
    ),
    ("Quantile", "", "by nearest rank: a value that was measured, not one between two"),
    ("Straggler", "", "at least three times the median of its group, in a group of 20 or more"),
    (
        "Memory of an attempt",
        "",
        "the larger of its largest process and the largest sampled sum over its processes; “enough” is 1.2 × the largest, \
         rounded up",
    ),
    (
        "Slowness of a host",
        "",
        "median duration there / median of the same groups on other hosts; with 5 attempts or more",
    ),
];

/// The definitions.
pub fn section(findings: &Findings) -> Option<Section> {
    let body = html! {
        dl.definitions { @for (term, usual, definition) in TIME.iter().chain(&CORES).chain(&TASKS) {
            div {
                dt { (term) @if !usual.is_empty() { span.soft { " (" (usual) ")" } } }
                dd { (definition) }
            }
        } }
    };
    (findings.attempt_count > 0).then_some(Section {
        id: "definitions",
        title: "What the figures mean",
        body,
    })
}
