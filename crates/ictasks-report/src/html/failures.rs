//! Why attempts failed: the groups, where they failed, by which codes, and what to do.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::Section;
use super::table::{self, figures, text};
use super::words;
use crate::findings::{FailureFindings, FailureGroup, Findings, ValueCount};
use crate::harmless;
use crate::units;

/// Groups that are unfolded from the start.
const UNFOLDED: usize = 3;
/// Groups that have a line of their own from the start.
const LISTED: usize = 12;
/// A host with this share of a group stands out.
const STANDS_OUT: f64 = 0.2;
/// Most hosts in the table of groups by hosts.
const HOSTS: usize = 12;

/// Failures.
pub fn section(findings: &Findings) -> Option<Section> {
    let failures = &findings.failures;
    if failures.attempt_count == 0 && failures.groups.is_empty() {
        return None;
    }
    let listed = failures.groups.len();
    let body = html! {
        p {
            strong { (units::counted(failures.attempt_count, "attempt")) " failed" } " and cost "
            (units::core_time(failures.core_s)) "; " (units::counted(failures.task_count, "task"))
            " failed for good. Attempts are in one group if they ended in the same way and printed the same, numbers, paths "
            "and the like aside."
            @if failures.merged { " Groups that are nearly alike were put together." }
            @if failures.group_count > listed {
                " The " (listed) " largest of " (units::counted(failures.group_count as i64, "group")) "."
            }
        }
        @for (number, failure) in failures.groups.iter().enumerate().take(LISTED) { (group(number + 1, failure)) }
        @if listed > LISTED {
            details {
                summary { (listed - LISTED) " smaller groups" }
                @for (number, failure) in failures.groups.iter().enumerate().skip(LISTED) { (group(number + 1, failure)) }
            }
        }
        @if let Some(by_host) = by_host(failures) { (by_host) }
        (by_code(failures))
    };
    Some(Section { id: "failures", title: "What failed, and why", body })
}

fn group(number: usize, failure: &FailureGroup) -> Markup {
    html! {
        details.failure open[number <= UNFOLDED] {
            summary {
                span.number { (number) }
                span {
                    strong { (units::counted(failure.attempt_count, "attempt")) ": " (words::line(&failure.meaning)) }
                    @if !failure.template.is_empty() { " " code { (harmless::shortened(&words::line(&failure.template), 160)) } }
                }
            }
            div.inside { (facts(failure)) (example(failure)) (rerun(failure)) }
        }
    }
}

fn facts(failure: &FailureGroup) -> Markup {
    html! {
        @if let Some(remedy) = &failure.remedy { p.remedy { strong { "What to do: " } (words::sentence(remedy)) } }
        ul {
            li {
                (units::counted(failure.task_count, "task")) " failed for good; " (units::core_time(failure.core_s)) " lost"
                @if let (Some(first), Some(last)) = (failure.first_at, failure.last_at) {
                    @if first == last { ", at " (first.for_people()) }
                    @else { ", from " (first.for_people()) " to " (last.for_people()) }
                }
            }
            @if let Some(cause) = &failure.cause {
                li {
                    "cause: " (words::outcome(cause))
                    @if let Some(evidence) = &failure.cause_evidence { " (" (words::line(evidence)) ")" }
                }
            }
            @for value in failure.over_represented.iter().take(5) { li {
                strong { (words::line(value.column.strip_prefix("param_").unwrap_or(&value.column))) " = " code { (words::line(&value.value)) } }
                " in " (units::percent(value.fraction_of_group)) " of them, against " (units::percent(value.fraction_of_all))
                " of all attempts: " (units::count(value.count)) " of the " (units::count(value.of_count)) " attempts with it failed so"
            } }
            @if !failure.hosts.is_empty() { li {
                "on " (units::counted(failure.host_count as i64, "host")) ": "
                @for (number, host) in failure.hosts.iter().enumerate() {
                    @if number > 0 { ", " }
                    (words::line(&host.value)) " (" (units::count(host.count)) ")"
                }
                @if failure.host_count > failure.hosts.len() { ", …" }
            } }
        }
    }
}

fn example(failure: &FailureGroup) -> Markup {
    let task = &failure.example;
    html! {
        div {
            "For instance task " code { (words::task_name(task)) }
            @if let Some(host) = &task.host { " on " (words::line(host)) }
            @if let Some(wall_s) = task.wall_s { ", after " (units::duration(wall_s)) }
            ": " (words::folded(&task.command))
        }
        @if !failure.example_output.is_empty() {
            p.label { "The end of what it printed" }
            pre.output tabindex="0" { code { (words::block(&failure.example_output)) } }
        }
    }
}

fn rerun(failure: &FailureGroup) -> Markup {
    html! { @if !failure.rerun.is_empty() {
        p.label { "Run its tasks again" }
        pre tabindex="0" { code { (words::block(&failure.rerun)) } }
    } }
}

/// Groups by hosts: a failure that keeps to one host points at the host. None where all are spread over
/// many hosts alike.
fn by_host(failures: &FailureFindings) -> Option<Markup> {
    let mut hosts: BTreeMap<&str, i64> = BTreeMap::new();
    for group in &failures.groups {
        let few = group.host_count <= group.hosts.len();
        for host in group.hosts.iter().filter(|host| few || share(host, group) >= STANDS_OUT) {
            *hosts.entry(&host.value).or_default() += host.count;
        }
    }
    let all_hosts = failures.groups.iter().map(|group| group.host_count).max().unwrap_or(0);
    let mut hosts: Vec<(&str, i64)> = hosts.into_iter().collect();
    hosts.sort_by_key(|(host, count)| (-count, *host));
    hosts.truncate(HOSTS);
    if hosts.is_empty() || all_hosts < 2 {
        return None;
    }
    Some(html! {
        h3 { "Failures by host" }
        p {
            "A group that keeps to one host points at the host."
            @if all_hosts > hosts.len() { " Hosts that have a fifth of a group or more; … where a host has less." }
        }
        div.scroll tabindex="0" role="region" aria-label="Failures by host" {
            table.data.matrix {
                caption.unseen { "Failed attempts by group and host" }
                thead { tr {
                    th scope="col" { "group" }
                    th.figures scope="col" { "attempts" }
                    @for (host, _) in &hosts { th.figures scope="col" { (words::narrow(host, 16)) } }
                } }
                tbody { @for (number, group) in failures.groups.iter().enumerate() { tr {
                    td { (number + 1) ": " (harmless::shortened(&words::line(&group.meaning), 60)) }
                    (table::count(group.attempt_count))
                    @for (host, _) in &hosts { (host_cell(group, host)) }
                } } }
            }
        }
    })
}

/// How much of a group a host has.
fn share(host: &ValueCount, group: &FailureGroup) -> f64 {
    host.count as f64 / group.attempt_count.max(1) as f64
}

fn host_cell(group: &FailureGroup, host: &str) -> Markup {
    let all_listed = group.host_count <= group.hosts.len();
    match group.hosts.iter().find(|listed| listed.value == host) {
        Some(listed) => {
            let shade =
                ["shade-1", "shade-2", "shade-3", "shade-4"][((share(listed, group) * 4.0) as usize).min(3)];
            html! { td.figures.(shade) data-v=(listed.count) { (units::count(listed.count)) } }
        }
        None if all_listed => html! { td.figures data-v="0" { "0" } },
        None => html! { td.figures data-v="" { "…" } },
    }
}

/// Attempts that ended alike.
struct Code<'a> {
    group: &'a FailureGroup,
    attempts: i64,
    tasks: i64,
    core_s: f64,
}

/// Attempts by how they ended.
fn by_code(failures: &FailureFindings) -> Markup {
    let mut codes: Vec<Code<'_>> = Vec::new();
    for group in &failures.groups {
        let ended = |group: &FailureGroup| (group.outcome.clone(), group.exit_code, group.signal);
        match codes.iter_mut().find(|code| ended(code.group) == ended(group)) {
            Some(code) => {
                code.attempts += group.attempt_count;
                code.tasks += group.task_count;
                code.core_s += group.core_s;
            }
            None => codes.push(Code {
                group,
                attempts: group.attempt_count,
                tasks: group.task_count,
                core_s: group.core_s,
            }),
        }
    }
    codes.sort_by_key(|code| -code.attempts);
    let columns = [
        text("outcome"),
        text("code"),
        text("what it means"),
        figures("attempts"),
        figures("tasks"),
        figures("core time"),
    ];
    let rows = html! { @for code in &codes {
        tr {
            td { (words::outcome_mark(&code.group.outcome)) }
            td {
                @if let Some(signal) = code.group.signal { "signal " (signal) }
                @else if let Some(exit_code) = code.group.exit_code { (exit_code) }
                @else { "–" }
            }
            td.prose { (words::line(&code.group.meaning)) }
            (table::count(code.attempts))
            (table::count(code.tasks))
            (table::figure(code.core_s, &units::core_time(code.core_s)))
        }
    } };
    html! { h3 { "Failures by code" } (table::table("Failed attempts by outcome and code", &columns, &rows)) }
}
