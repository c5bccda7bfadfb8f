//! What to change: rules, each with the evidence that it follows from and the exact setting.
//!
//! A rule speaks only where what it names cost something: [`WORTH`] of all core seconds, or tasks that failed.
//! Ranked by the core seconds that following it would have saved; at most [`NOTES`].

use crate::analysis::Analysis;
use crate::failures::stand_out::ColumnCounts;
use crate::findings::{Advice, Findings};

mod failing;
mod resources;
mod scheduling;

/// Notes that are given.
const NOTES: usize = 5;
/// Share of the core seconds that there were below which a saving is not worth a note.
pub(crate) const WORTH: f64 = 0.05;
/// Attempts that succeeded below which nothing is concluded about scheduling.
pub(crate) const ATTEMPTS: i64 = 20;

/// What rules look at.
pub(crate) struct Case<'a> {
    pub(crate) analysis: &'a Analysis<'a>,
    pub(crate) findings: &'a Findings,
    pub(crate) counts: &'a [ColumnCounts],
}

impl Case<'_> {
    /// Whether a saving is worth a note.
    pub(crate) fn is_worth(&self, core_s: f64) -> bool {
        core_s >= WORTH * self.findings.cores.available_core_s
    }

    /// Attempts that succeeded.
    pub(crate) fn succeeded(&self) -> i64 {
        let of = self.findings.outcomes.iter().find(|of| of.outcome == "succeeded");
        of.map_or(0, |of| of.attempt_count)
    }
}

type Rule = fn(&Case<'_>) -> Option<Advice>;

/// The notes on a run.
pub(crate) fn advice(analysis: &Analysis<'_>, findings: &Findings, counts: &[ColumnCounts]) -> Vec<Advice> {
    const RULES: [Rule; 14] = [
        failing::programs_that_do_not_start,
        failing::values_that_always_fail,
        failing::failing_host,
        failing::out_of_memory,
        failing::time_limit,
        failing::retries_that_never_help,
        scheduling::slow_host,
        scheduling::long_tail,
        scheduling::imbalance,
        scheduling::starved,
        scheduling::short_tasks,
        resources::memory_requested,
        resources::low_cpu_efficiency,
        resources::gpu_idle,
    ];
    let case = Case { analysis, findings, counts };
    let mut notes: Vec<Advice> = RULES.iter().filter_map(|rule| rule(&case)).collect();
    notes.extend(failing::groups(&case));
    notes.sort_by(|one, other| other.saves_core_s.total_cmp(&one.saves_core_s));
    notes.truncate(NOTES);
    for note in &mut notes {
        note.evidence = sentence(&note.evidence);
    }
    notes
}

/// With a capital and a full stop.
fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first: String = characters.next().into_iter().flat_map(char::to_uppercase).collect();
    let stop = if text.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{}{stop}", characters.as_str())
}
