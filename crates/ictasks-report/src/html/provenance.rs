//! What was run, where and by what; and what the data lacks.

use maud::{Markup, html};

use super::Section;
use super::words;
use crate::findings::{Findings, NodeFacts, RunFacts, SessionFacts};
use crate::units;

/// Most runs, sessions and lines that are shown.
const RUNS: usize = 20;
const SESSIONS: usize = 20;
const LINES: usize = 60;

/// Where software, job and hosts come from.
pub fn section(findings: &Findings) -> Option<Section> {
    let body = html! {
        @for run in findings.runs.iter().take(RUNS) { (provenance(run, findings.runs.len() > 1)) }
        @if findings.runs.len() > RUNS { p { "And " (findings.runs.len() - RUNS) " runs more." } }
    };
    (!findings.runs.is_empty()).then_some(Section { id: "provenance", title: "Where this comes from", body })
}

fn provenance(run: &RunFacts, named: bool) -> Markup {
    html! {
        @if named { h3 { (words::line(&run.run_dir)) } }
        dl.lines {
            dt { "run" } dd { code { (words::line(&run.run_id)) } }
            dt { "directory" } dd { code { (words::line(&run.absolute_run_dir)) } }
            dt { "written by" } dd { "ictasks " (words::line(&run.version)) }
        }
        @for session in run.sessions.iter().take(SESSIONS) { (one_session(session, run.sessions.len() > 1)) }
        @if run.sessions.len() > SESSIONS { p { "And " (run.sessions.len() - SESSIONS) " sessions more." } }
    }
}

fn one_session(session: &SessionFacts, named: bool) -> Markup {
    let command: Vec<String> =
        session.arguments.iter().take(200).map(|argument| words::line(argument)).collect();
    html! {
        @if named { h4 { "Session " (session.session) } }
        dl.lines {
            dt { "from, to" } dd { (session.began_at.for_people()) ", " (session.ended_at.for_people()) }
            @if let Some(how) = &session.how_it_ended { dt { "ended" } dd { (words::line(how)) } }
            @if !command.is_empty() { dt { "command line" } dd { code { (command.join(" ")) } } }
            dt { "in" } dd { code { (words::line(&session.submit_dir)) } }
            dt { "cores" } dd { (units::count(session.core_count)) }
            @if !session.hosts.is_empty() { dt { "hosts" } dd { (hosts(&session.hosts)) } }
            @for (name, value) in session.provenance.iter().take(LINES) { dt { (words::line(name)) } dd { (words::line(value)) } }
        }
        @if !session.warnings.is_empty() {
            p.label { "What the farm warned of" }
            ul { @for warning in session.warnings.iter().take(LINES) { li { (words::line(warning)) } } }
        }
    }
}

/// Hosts of one make as one line.
fn hosts(nodes: &[NodeFacts]) -> Markup {
    let mut makes: Vec<(&NodeFacts, Vec<&str>)> = Vec::new();
    for node in nodes {
        let alike = |other: &NodeFacts| {
            (other.core_count, other.gpu_count, other.memory_total_bytes, &other.cpu_model)
                == (node.core_count, node.gpu_count, node.memory_total_bytes, &node.cpu_model)
        };
        match makes.iter().position(|(make, _)| alike(make)) {
            Some(known) => makes[known].1.push(&node.host),
            None if makes.len() < LINES => makes.push((node, vec![&node.host])),
            None => {}
        }
    }
    html! { ul.plain { @for (make, names) in &makes { li {
        @if names.len() > 1 { (units::count(names.len() as i64)) " × " }
        (units::counted(make.core_count, "core"))
        @if make.gpu_count > 0 { ", " (units::counted(make.gpu_count, "GPU")) }
        @if let Some(memory) = make.memory_total_bytes { ", " (units::bytes(memory)) }
        @if let Some(model) = &make.cpu_model { ", " (words::line(model)) }
        ": " (names.iter().take(8).map(|name| words::line(name)).collect::<Vec<_>>().join(", "))
        @if names.len() > 8 { ", …" }
    } } } }
}

/// What the data lacks, and which parts of the page are missing for it.
pub fn lacks(findings: &Findings) -> Option<Section> {
    let attempts = findings.attempt_count > 0;
    let missing = [
        (findings.memory.peaks.count == 0, "memory"),
        (findings.cores.cpu_efficiency_fraction.is_none(), "how well cores computed"),
        (findings.io == crate::findings::IoFindings::default(), "input and output"),
        (findings.more_cores.is_none(), "what more cores would give"),
    ];
    let missing: Vec<&str> =
        missing.into_iter().filter(|(missing, _)| *missing && attempts).map(|(_, name)| name).collect();
    if findings.lacks.is_empty() && missing.is_empty() && attempts {
        return None;
    }
    let body = html! { ul {
        @for lack in findings.lacks.iter().take(LINES) { li { (words::line(lack)) } }
        @if !attempts { li { "No attempt has ended: there are no durations, no memory and no failures to show." } }
        @if !missing.is_empty() { li { "Parts of the page that are left out, since their figures are not in the record: " (missing.join(", ")) "." } }
    } };
    Some(Section { id: "lacks", title: "What the data lacks", body })
}
