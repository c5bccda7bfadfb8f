//! Rules about failures.

use ictasks_core::attempt::Outcome;

use super::Case;
use crate::definitions::distribution;
use crate::findings::{Advice, FailureGroup};
use crate::harmless::{one_line, shortened};
use crate::units::{bytes, core_time, count, counted, duration, percent};

/// Share of all attempts from which on a group of failures is worth a note.
const SHARE: f64 = 0.05;

/// Tasks whose programs cannot be started.
pub(super) fn programs_that_do_not_start(case: &Case<'_>) -> Option<Advice> {
    let groups: Vec<_> = case
        .findings
        .failures
        .groups
        .iter()
        .filter(|group| does_not_start(group) && group.task_count > 0)
        .collect();
    let largest = groups.first()?;
    let attempts = groups.iter().map(|group| group.attempt_count).sum();
    if !is_many(case, attempts) {
        return None;
    }
    let tasks = groups.iter().map(|group| group.task_count).sum();
    Some(Advice {
        rule: "missing_program".to_owned(),
        title: format!("Correct the command: {} could not be started", counted(tasks, "task")),
        evidence: said(largest),
        setting: largest.remedy.clone(),
        // Nothing of these tasks was done: all of their time is to be gained.
        saves_core_s: lost_chance(case, attempts).max(groups.iter().map(|group| group.core_s).sum()),
    })
}

fn does_not_start(group: &FailureGroup) -> bool {
    group.outcome == "spawn_failed" || matches!(group.exit_code, Some(126 | 127))
}

#[allow(clippy::cast_precision_loss)]
fn is_many(case: &Case<'_>, attempts: i64) -> bool {
    attempts as f64 >= SHARE * case.findings.attempt_count as f64
}

/// The share of all core seconds that belongs to so many attempts.
#[allow(clippy::cast_precision_loss)]
fn lost_chance(case: &Case<'_>, attempts: i64) -> f64 {
    case.findings.cores.available_core_s * attempts as f64 / case.findings.attempt_count.max(1) as f64
}

fn said(group: &FailureGroup) -> String {
    let line = group.example.message.as_deref().unwrap_or("(no output)");
    format!("{}: {}", group.meaning, shortened(&one_line(line), 200))
}

/// Attempts with a value below which nothing is concluded.
const OF_VALUE: i64 = 5;

/// A value of a parameter with which every task fails, while others succeed.
pub(super) fn values_that_always_fail(case: &Case<'_>) -> Option<Advice> {
    let mut worst: Option<(i64, &str, &str)> = None;
    for column in case.counts.iter().filter(|column| column.column != "host") {
        let (all, failed): (i64, i64) = (column.of_all.iter().sum(), column.failed.iter().sum());
        for (value, of_all) in column.of_all.iter().enumerate() {
            let always = *of_all >= OF_VALUE && column.failed[value] == *of_all;
            // Elsewhere failures are rare.
            let others_fail = (failed - of_all) * 2 > (all - of_all);
            if always && !others_fail && worst.is_none_or(|(count, ..)| *of_all > count) {
                worst = Some((*of_all, &column.column, &column.values[value]));
            }
        }
    }
    let (of_value, column, value) = worst?;
    let group =
        case.findings.failures.groups.iter().find(|group| {
            group.over_represented.iter().any(|over| over.column == column && over.value == value)
        });
    let says = group.map_or_else(String::new, |group| format!("; {}", said(group)));
    let name = column.trim_start_matches("param_");
    Some(Advice {
        rule: "failing_value".to_owned(),
        title: format!("Look at {name} = {}: every task with it fails", one_line(value)),
        evidence: format!(
            "all {} with {name} = {} failed{says}",
            counted(of_value, "attempt"),
            one_line(value)
        ),
        setting: group.map(|group| group.rerun.clone()),
        saves_core_s: lost_chance(case, of_value),
    })
}

/// A host on which tasks fail while they succeed elsewhere.
#[allow(clippy::cast_precision_loss)]
pub(super) fn failing_host(case: &Case<'_>) -> Option<Advice> {
    let hosts = &case.findings.hosts;
    let failed: i64 = hosts.iter().map(|host| host.failed_count).sum();
    let all: i64 = hosts.iter().map(|host| host.attempt_count).sum();
    let bad = hosts.iter().find(|host| {
        let elsewhere = (failed - host.failed_count) as f64 / (all - host.attempt_count).max(1) as f64;
        let here = host.failed_count as f64 / host.attempt_count.max(1) as f64;
        host.attempt_count >= OF_VALUE && here >= 0.5 && elsewhere < 0.2 * here && hosts.len() > 1
    })?;
    Some(Advice {
        rule: "failing_host".to_owned(),
        title: format!("Leave out {}: tasks fail there and succeed elsewhere", one_line(&bad.host)),
        evidence: format!(
            "{} of {} failed there, {} of {} elsewhere",
            count(bad.failed_count),
            counted(bad.attempt_count, "attempt"),
            count(failed - bad.failed_count),
            count(all - bad.attempt_count)
        ),
        setting: Some(format!("Slurm: --exclude={}", one_line(&bad.host))),
        saves_core_s: lost_chance(case, bad.failed_count),
    })
}

/// Tasks that ran out of memory.
pub(super) fn out_of_memory(case: &Case<'_>) -> Option<Advice> {
    let memory = &case.findings.memory;
    let attempts: i64 = memory.out_of_memory.iter().map(|of| of.attempt_count).sum();
    if attempts == 0 || !is_many(case, attempts) {
        return None;
    }
    let by = memory.out_of_memory.iter().map(|of| format!("{} {}", count(of.attempt_count), of.evidence));
    let advised = memory.advised_bytes.map(crate::definitions::memory::setting);
    let given =
        memory.requested_bytes.map_or_else(String::new, |given| format!(", each given {}", bytes(given)));
    let core_s: f64 = case
        .findings
        .failures
        .groups
        .iter()
        .filter(|group| group.outcome == "out_of_memory")
        .map(|group| group.core_s)
        .sum();
    Some(Advice {
        rule: "out_of_memory".to_owned(),
        title: "Give tasks more memory: some ran out of it".to_owned(),
        evidence: format!("{} ({}){given}", counted(attempts, "attempt"), by.collect::<Vec<_>>().join(", ")),
        setting: advised
            .map(|advised| format!("memory_per_task: {advised} (at least; fewer tasks then run at a time)")),
        saves_core_s: core_s.max(lost_chance(case, attempts)),
    })
}

/// Share of its time below which an attempt did not compute: it hung.
const HUNG: f64 = 0.02;

/// Tasks that their time limit ended, while most did not need so long.
pub(super) fn time_limit(case: &Case<'_>) -> Option<Advice> {
    let groups = || case.findings.failures.groups.iter().filter(|group| group.outcome == "timed_out");
    let attempts: i64 = groups().map(|group| group.attempt_count).sum();
    if !is_many(case, attempts) || case.succeeded() == 0 {
        return None;
    }
    // All of them ran up to the limit.
    let limit_s = groups().filter_map(|group| group.example.wall_s).reduce(f64::max)?;
    let core_s: f64 = groups().map(|group| group.core_s).sum();
    let evidence = format!(
        "{} of {} were ended after {}; the median task takes {}",
        count(attempts),
        counted(case.findings.attempt_count, "attempt"),
        duration(limit_s),
        duration(distribution::at(&case.findings.durations, 0.5).unwrap_or(limit_s))
    );
    let hung = most_hung(case);
    let (rule, title, setting) = if hung {
        let example = groups().next().map(|group| look_at(case, group))?;
        let title = "Find out what tasks wait for: most that the time limit ended computed nothing";
        ("hanging", title, format!("{example} (what it printed last, and how to repeat it)"))
    } else {
        let title = "Give tasks more time: the limit ended some that were at work";
        ("time_limit", title, format!("timeout: {:.0} (twice as long)", 2.0 * limit_s))
    };
    Some(Advice {
        rule: rule.to_owned(),
        title: title.to_owned(),
        evidence: evidence + if hung { "; most of them used no CPU" } else { "" },
        setting: Some(setting),
        saves_core_s: core_s,
    })
}

/// Whether at least half of the attempts that the time limit ended hung.
fn most_hung(case: &Case<'_>) -> bool {
    let attempts = &case.analysis.loaded.attempts;
    let ended = || (0..attempts.len()).filter(|row| attempts.outcome[*row] == Outcome::TimedOut);
    let hung = ended().filter(|row| attempts.cpu_s[*row] < HUNG * attempts.wall_s[*row]).count();
    2 * hung >= ended().count()
}

/// Retries after which tasks failed again.
pub(super) fn retries_that_never_help(case: &Case<'_>) -> Option<Advice> {
    let attempts = &case.analysis.loaded.attempts;
    let again: Vec<usize> = (0..attempts.len()).filter(|row| attempts.is_retry[*row]).collect();
    let failed = again.iter().filter(|row| attempts.outcome[**row].is_failure()).count();
    let core_s: f64 = again.iter().map(|row| attempts.core_s(*row)).sum();
    if again.len() < 5 || failed * 20 < again.len() * 19 || !case.is_worth(core_s) {
        return None;
    }
    Some(Advice {
        rule: "retries".to_owned(),
        title: "Do not try again: what failed once failed every time".to_owned(),
        evidence: format!(
            "{} of {} failed, and took {}",
            failed,
            counted(i64::try_from(again.len()).unwrap_or(i64::MAX), "further attempt"),
            core_time(core_s)
        ),
        setting: Some("retries: 0".to_owned()),
        saves_core_s: core_s,
    })
}

/// Groups of failures that have a note of their own, at most.
const GROUPS: usize = 3;

/// The dearest groups of failures whose reason no other rule names.
pub(super) fn groups(case: &Case<'_>) -> Vec<Advice> {
    let is_named = |group: &&FailureGroup| {
        let is_of_limit = group.outcome == "timed_out" && case.succeeded() > 0;
        does_not_start(group) || is_of_limit || group.outcome == "out_of_memory"
    };
    let mut groups: Vec<&FailureGroup> = case.findings.failures.groups.iter().collect();
    // Where all that failed was tried again and succeeded there is nothing to do.
    groups.retain(|group| !is_named(group) && group.task_count > 0 && is_many(case, group.attempt_count));
    groups.sort_by(|one, other| other.core_s.total_cmp(&one.core_s));
    groups.truncate(GROUPS);
    groups.into_iter().map(|group| of_group(case, group)).collect()
}

/// The command that shows the example of a group.
fn look_at(case: &Case<'_>, group: &FailureGroup) -> String {
    let of_run = case.findings.runs.first().map(|run| run.run_dir.as_str());
    let run_dir = group.example.run.as_deref().or(of_run).unwrap_or(".");
    // A name with a zero byte does not exist.
    let run_dir = shlex::try_quote(run_dir).unwrap_or_default();
    format!("ictasks report {} --task {}", one_line(&run_dir), one_line(&group.example.task_id))
}

/// The parameter value or host that stands out most.
fn in_common(group: &FailureGroup) -> String {
    let Some(over) = group.over_represented.first() else { return String::new() };
    let name = over.column.trim_start_matches("param_");
    let all = over.fraction_of_group >= 1.0;
    let share = if all { "all".to_owned() } else { percent(over.fraction_of_group) };
    format!("; {share} of them have {} = {}", one_line(name), one_line(&over.value))
}

#[allow(clippy::cast_precision_loss)]
fn of_group(case: &Case<'_>, group: &FailureGroup) -> Advice {
    let part = |count: i64, of: i64| count as f64 / of.max(1) as f64;
    let share = percent(part(group.attempt_count, case.findings.attempt_count));
    let unknown = || {
        format!(
            "Find out why {} failed: run one by hand ({})",
            counted(group.task_count, "task"),
            look_at(case, group)
        )
    };
    Advice {
        rule: "failures".to_owned(),
        title: group.remedy.clone().unwrap_or_else(unknown),
        evidence: format!(
            "{} ({share}) ended so: {}{}",
            counted(group.attempt_count, "attempt"),
            said(group),
            in_common(group)
        ),
        setting: Some(format!("after that: {}", group.rerun)),
        // Less than what the rules say that know the reason. What retries took is the business of another.
        saves_core_s: group.core_s * part(group.task_count, group.attempt_count),
    }
}
