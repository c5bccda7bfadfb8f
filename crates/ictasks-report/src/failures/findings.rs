//! The groups of failures as findings.

use std::collections::HashMap;

use super::stand_out::{self, ColumnCounts};
use super::{NO_GROUP, words};
use crate::analysis::Analysis;
use crate::error::ReportError;
use crate::findings::{FailureFindings, FailureGroup, ValueCount};
use crate::harmless::shortened;
use crate::lines::Lines;
use crate::moment::Moment;

/// Hosts that are listed for a group.
const HOSTS: usize = 5;
/// Values that are listed for a group.
const STANDING_OUT: usize = 5;
/// Lines and characters of the example's output.
const OUTPUT_LINES: usize = 20;
const OUTPUT_CHARACTERS: usize = 2000;

/// Findings on failures while they are put together.
pub(crate) struct Draft {
    findings: FailureFindings,
    /// Numbers of the listed groups.
    listed: Vec<usize>,
    /// The row of the example of each listed group.
    examples: Vec<usize>,
    counts: Vec<ColumnCounts>,
}

/// Sums over a group.
#[derive(Clone, Default)]
struct Sums {
    attempts: i64,
    tasks: i64,
    core_s: f64,
    first_at: Option<i64>,
    last_at: Option<i64>,
    hosts: HashMap<u32, i64>,
    /// An attempt that the filter leaves.
    example: Option<usize>,
}

impl Draft {
    /// Sums over the groups, of the attempts that the filter leaves.
    pub(crate) fn of(analysis: &Analysis<'_>) -> Self {
        let (attempts, gathered) = (&analysis.loaded.attempts, &analysis.gathered);
        let mut sums = vec![Sums::default(); gathered.groups.len()];
        for (row, group) in gathered.group_of.iter().enumerate() {
            let Some(sums) = sums.get_mut(*group as usize).filter(|_| analysis.loaded.is_selected(row))
            else {
                continue;
            };
            sums.attempts += 1;
            sums.tasks += i64::from(attempts.is_last[row]);
            sums.core_s += attempts.core_s(row);
            sums.example = Some(row);
            if attempts.ran(row) {
                let at = attempts.ended_at(row);
                sums.first_at = Some(sums.first_at.map_or(at, |first| first.min(at)));
                sums.last_at = Some(sums.last_at.map_or(at, |last| last.max(at)));
            }
            if let Some(host) = attempts.host(row) {
                *sums.hosts.entry(host).or_default() += 1;
            }
        }
        let mut listed: Vec<usize> = (0..sums.len()).filter(|group| sums[*group].attempts > 0).collect();
        listed.sort_by_key(|group| (std::cmp::Reverse(sums[*group].attempts), *group));
        let group_count = listed.len();
        let mut findings = FailureFindings {
            attempt_count: sums.iter().map(|sums| sums.attempts).sum(),
            task_count: sums.iter().map(|sums| sums.tasks).sum(),
            core_s: sums.iter().map(|sums| sums.core_s).sum(),
            group_count,
            merged: gathered.merged,
            groups: Vec::new(),
        };
        listed.truncate(analysis.options.top);
        findings.groups = listed.iter().map(|group| draft(analysis, *group, &sums[*group])).collect();
        let example = |group: &usize| {
            let of_group = gathered.groups[*group].example;
            if analysis.loaded.is_selected(of_group) {
                of_group
            } else {
                sums[*group].example.unwrap_or(of_group)
            }
        };
        let examples = listed.iter().map(example).collect();
        Self { findings, listed, examples, counts: Vec::new() }
    }

    /// Counts values of parameters and hosts, where anything failed.
    ///
    /// # Errors
    /// If a table cannot be read.
    pub(crate) fn count_values(&mut self, analysis: &Analysis<'_>) -> Result<(), ReportError> {
        if self.listed.is_empty() {
            return Ok(());
        }
        let mut place = vec![NO_GROUP; analysis.gathered.groups.len()];
        for (index, group) in self.listed.iter().enumerate() {
            place[*group] = u32::try_from(index).unwrap_or(NO_GROUP);
        }
        // Groups that are not listed count as failed too: as one group behind the listed ones.
        let rest = u32::try_from(self.listed.len()).unwrap_or(NO_GROUP);
        let of_row = |group: &u32| match place.get(*group as usize) {
            None => NO_GROUP,
            Some(&NO_GROUP) => rest,
            Some(place) => *place,
        };
        let group_of: Vec<u32> = analysis.gathered.group_of.iter().map(of_row).collect();
        let loaded = &analysis.loaded;
        let groups = self.listed.len() + 1;
        self.counts =
            stand_out::count(analysis.sources, &loaded.attempts, &loaded.first_rows, &group_of, groups)?;
        let all = i64::try_from(loaded.attempts.len()).unwrap_or(i64::MAX);
        let looked_at = self.counts.iter().map(|column| column.values.len()).sum();
        for (index, group) in self.findings.groups.iter_mut().enumerate() {
            let mut found: Vec<_> =
                self.counts.iter().flat_map(|column| column.of(index, all, looked_at)).collect();
            found.sort_by(|one, other| {
                let lift = |value: &crate::findings::OverRepresented| {
                    value.fraction_of_group - value.fraction_of_all
                };
                lift(other).total_cmp(&lift(one))
            });
            found.truncate(STANDING_OUT);
            group.over_represented = found;
        }
        Ok(())
    }

    /// Rows of the examples.
    pub(crate) fn example_rows(&self) -> &[usize] {
        &self.examples
    }

    /// How often values of parameters and hosts occur among failures.
    pub(crate) fn counts(&self) -> &[ColumnCounts] {
        &self.counts
    }

    /// Puts the examples in.
    pub(crate) fn fill(&mut self, analysis: &Analysis<'_>, lines: &Lines) {
        for (group, row) in self.findings.groups.iter_mut().zip(&self.examples) {
            group.example = lines.line(&analysis.loaded, *row);
        }
    }

    /// The findings.
    pub(crate) fn findings(&self) -> FailureFindings {
        self.findings.clone()
    }
}

fn draft(analysis: &Analysis<'_>, number: usize, sums: &Sums) -> FailureGroup {
    let group = &analysis.gathered.groups[number];
    let mut hosts: Vec<ValueCount> = sums
        .hosts
        .iter()
        .map(|(host, count)| ValueCount {
            value: analysis.loaded.attempts.hosts[*host as usize].clone(),
            count: *count,
        })
        .collect();
    hosts.sort_by(|one, other| other.count.cmp(&one.count).then_with(|| one.value.cmp(&other.value)));
    let host_count = hosts.len();
    hosts.truncate(HOSTS);
    let filter = format!("failure_group = '{}'", group.key.short());
    let run_dir = analysis.loaded.runs.first().map_or(".", |run| run.run_dir.as_str());
    FailureGroup {
        outcome: group.key.outcome.clone(),
        exit_code: group.key.exit_code,
        signal: group.key.signal,
        cause: group.cause.clone(),
        cause_evidence: group.evidence.clone(),
        meaning: words::meaning(&group.key, group.cause.as_deref()),
        template: group.key.template.clone(),
        attempt_count: sums.attempts,
        task_count: sums.tasks,
        core_s: sums.core_s,
        first_at: sums.first_at.map(Moment),
        last_at: sums.last_at.map(Moment),
        hosts,
        host_count,
        example_output: end_of(&group.output),
        remedy: words::remedy(&group.key, group.cause.as_deref(), &group.output),
        rerun: rerun(run_dir, &filter),
        filter,
        ..FailureGroup::default()
    }
}

/// The command line that runs the tasks again that a filter selects.
pub(crate) fn rerun(run_dir: &str, filter: &str) -> String {
    // A name with a zero byte does not exist.
    let directory = shlex::try_quote(run_dir).unwrap_or_default();
    format!(
        "ictasks report {directory} --filter \"{filter}\" --format ids | ictasks taskfarm --run-dir {directory} --resume --only -"
    )
}

fn end_of(output: &str) -> String {
    let lines: Vec<&str> = output.trim_end().lines().collect();
    let from = lines.len().saturating_sub(OUTPUT_LINES);
    let end = lines[from..].join("\n");
    let skipped = end.chars().count().saturating_sub(OUTPUT_CHARACTERS);
    let end: String = end.chars().skip(skipped).collect();
    shortened(&end, OUTPUT_CHARACTERS).into_owned()
}
