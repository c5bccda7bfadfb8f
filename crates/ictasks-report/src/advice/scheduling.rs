//! Rules about hosts, order, and the list.

use super::{ATTEMPTS, Case};
use crate::definitions::distribution;
use crate::findings::Advice;
use crate::units::{core_time, count, counted, duration, percent};

/// From this factor on a host is slow.
const SLOW: f64 = 1.3;
/// Attempts on a host below which its slowness says nothing.
const ON_HOST: i64 = 20;

/// Hosts that need longer for the same work.
pub(super) fn slow_host(case: &Case<'_>) -> Option<Advice> {
    let slow: Vec<_> = case
        .findings
        .hosts
        .iter()
        .filter(|host| host.attempt_count >= ON_HOST && host.slowness.is_some_and(|factor| factor >= SLOW))
        .collect();
    // Where many are slow, hosts are of several kinds.
    let few = slow.len() * 3 <= case.findings.host_count.max(2) + 1;
    let worst = slow.iter().max_by(|one, other| {
        let factor = |host: &crate::findings::HostFindings| host.slowness.unwrap_or(1.0);
        factor(one).total_cmp(&factor(other))
    })?;
    let loss =
        |host: &&crate::findings::HostFindings| host.core_s * (1.0 - 1.0 / host.slowness.unwrap_or(1.0));
    let saves_core_s: f64 = slow.iter().map(loss).sum();
    // A slow host is worth a word also in a large cluster, where it holds a small share of all.
    let host_share = 0.3 * worst.core_s;
    if !few || saves_core_s <= 0.0 || saves_core_s < 0.2 * host_share {
        return None;
    }
    let names: Vec<&str> = slow.iter().take(5).map(|host| host.host.as_str()).collect();
    Some(Advice {
        rule: "slow_host".to_owned(),
        title: format!("Leave out or check {}: the same tasks take longer there", names.join(", ")),
        evidence: format!(
            "on {} the median task takes {:.1} times as long as elsewhere ({} attempts)",
            worst.host,
            worst.slowness.unwrap_or(1.0),
            count(worst.attempt_count)
        ),
        setting: Some(format!("Slurm: --exclude={}", names.join(","))),
        saves_core_s,
    })
}

/// Up to this ratio of the longest task to the median tasks are alike.
const ALIKE: f64 = 1.5;

fn tasks_are_alike(case: &Case<'_>) -> bool {
    let at = |fraction| distribution::at(&case.findings.durations, fraction);
    at(1.0).zip(at(0.5)).is_some_and(|(longest, median)| longest <= ALIKE * median)
}

/// Rounds of equal tasks in which a last one, or the only one, that is not full costs much.
const ROUNDS: i64 = 5;

/// Tasks of equal length that do not fill the workers: the last round leaves most of them idle.
#[allow(clippy::cast_precision_loss)]
pub(super) fn imbalance(case: &Case<'_>) -> Option<Advice> {
    let workers = case.findings.cores.worker_count;
    let tasks = case.findings.attempt_count;
    if workers < 2 || tasks < 1 || case.findings.runs.iter().map(|run| run.sessions.len()).sum::<usize>() != 1
    {
        return None;
    }
    let rounds = (tasks + workers - 1) / workers;
    // So many end at the same time.
    let enough = (tasks + rounds - 1) / rounds;
    let saves_core_s = case.findings.time.tail_idle_core_s? * (1.0 - enough as f64 / workers as f64);
    if rounds > ROUNDS || !tasks_are_alike(case) || !case.is_worth(saves_core_s) {
        return None;
    }
    let left = tasks - (rounds - 1) * workers;
    Some(Advice {
        rule: "imbalance".to_owned(),
        title: format!(
            "Use {} instead of {}: the run ends as early",
            counted(enough, "worker"),
            count(workers)
        ),
        evidence: format!(
            "{} of about {} on {}: in the last round {} ran and {} stood idle",
            counted(tasks, "task"),
            duration(distribution::at(&case.findings.durations, 0.5)?),
            counted(workers, "worker"),
            count(left),
            counted(workers - left, "worker")
        ),
        setting: Some(format!("cores for {} at a time, or smaller tasks", counted(enough, "task"))),
        saves_core_s,
    })
}

/// One or a few long tasks that were started late.
pub(super) fn long_tail(case: &Case<'_>) -> Option<Advice> {
    if tasks_are_alike(case) {
        return None;
    }
    let time = &case.findings.time;
    let (idle, tail_s, best) = (time.tail_idle_core_s?, time.tail_s?, time.longest_first_s?);
    #[allow(clippy::cast_precision_loss)]
    let cores = case.findings.cores.core_count as f64;
    let gain_s = (time.makespan_s - best.max(time.lower_bound_s.unwrap_or(0.0))).max(0.0).min(tail_s);
    let by_order = gain_s * cores;
    let longest = distribution::at(&case.findings.durations, 1.0)?;
    let dominates = longest > 0.5 * time.makespan_s && case.succeeded() > ATTEMPTS;
    let saves_core_s = if dominates { idle.max(by_order) } else { by_order.min(idle) };
    if !case.is_worth(saves_core_s) || idle < 2.0 * super::WORTH * case.findings.cores.available_core_s {
        return None;
    }
    let last = time.tail_tasks.first();
    let who = last.map_or_else(String::new, |task| format!(", the last was task {}", task.task_id));
    let took =
        last.and_then(|task| task.wall_s).map_or_else(String::new, |wall| format!(" ({})", duration(wall)));
    let title = if dominates && by_order < 0.5 * idle {
        "Split the longest tasks, or use fewer cores: one task decides when the run ends"
    } else {
        "Put the longest tasks first in the list"
    };
    Some(Advice {
        rule: "long_tail".to_owned(),
        title: title.to_owned(),
        evidence: format!(
            "in the last {} ({} of the run) {} stood idle while few tasks ran{who}{took}; longest first would end after {} instead of {}",
            duration(tail_s),
            percent(tail_s / time.makespan_s),
            core_time(idle),
            duration(best),
            duration(time.makespan_s)
        ),
        setting: Some("sort the task list by expected time, longest first".to_owned()),
        saves_core_s,
    })
}

/// The list came too slowly.
pub(super) fn starved(case: &Case<'_>) -> Option<Advice> {
    let saves_core_s = case.findings.time.starved_core_s;
    if !case.is_worth(saves_core_s) {
        return None;
    }
    let retries = case.findings.retried_count * 2 > case.findings.attempt_count;
    let (title, setting) = if retries {
        ("Shorten the back-off of retries: workers waited for it", "retry_delay: 0")
    } else {
        (
            "Feed the list faster, or ask for fewer cores: the queue ran dry",
            "write the whole list to a file before the run: --tasklist FILE",
        )
    };
    Some(Advice {
        rule: "starved".to_owned(),
        title: title.to_owned(),
        evidence: format!(
            "for {} no task was ready while workers were free ({} of all core time)",
            core_time(saves_core_s),
            percent(saves_core_s / case.findings.cores.available_core_s)
        ),
        setting: Some(setting.to_owned()),
        saves_core_s,
    })
}

/// Gaps by which the median task is longer where nothing is to be gained by batches.
const GAPS: f64 = 20.0;

/// Tasks so short that starting them costs as much as running them.
pub(super) fn short_tasks(case: &Case<'_>) -> Option<Advice> {
    let gap = case.findings.time.dispatch_gap_median_s?;
    let median = distribution::at(&case.findings.durations, 0.5)?;
    let saves_core_s = case.findings.time.dispatch_gap_core_s;
    if case.succeeded() < ATTEMPTS || median >= GAPS * gap || !case.is_worth(saves_core_s) {
        return None;
    }
    let batch = (100.0 * gap / median.max(1e-4)).ceil().clamp(2.0, 10_000.0);
    Some(Advice {
        rule: "short_tasks".to_owned(),
        title: format!(
            "Put about {batch:.0} of these tasks into one: they are short against the time between two"
        ),
        evidence: format!(
            "the median task takes {}, the gap to the next one {}; gaps cost {}",
            duration(median),
            duration(gap),
            core_time(saves_core_s)
        ),
        setting: Some("a loop over several inputs in each launch_cmd".to_owned()),
        saves_core_s,
    })
}
