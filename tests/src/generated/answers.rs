//! What happened in a simulated run, counted as it happened.

use std::collections::BTreeMap;

use ictasks_core::attempt::{Attempt, Outcome};
use serde_json::{Value, json};

use super::attempt::{microseconds, seconds};

/// Sums over attempts.
#[derive(Clone, Debug, Default)]
pub struct Sums {
    /// Attempts that ran.
    pub attempt_count: i64,
    /// Of these, failed.
    pub failed_count: i64,
    /// Held cores × microseconds.
    core_us: i64,
    /// CPU time.
    pub cpu_s: f64,
    /// Durations, where they are kept.
    pub wall_s: Vec<f64>,
}

impl Sums {
    fn add(&mut self, row: &Attempt) {
        self.attempt_count += 1;
        self.failed_count += i64::from(row.outcome.is_failure());
        let wall_us = microseconds(row.wall_s.unwrap_or(0.0));
        self.core_us += wall_us * i64::from(row.core_count.unwrap_or(0));
        self.cpu_s += row.user_s.unwrap_or(0.0) + row.system_s.unwrap_or(0.0);
    }

    /// Held cores × seconds.
    pub fn core_s(&self) -> f64 {
        seconds(self.core_us)
    }

    fn json(&self) -> Value {
        let mut sums = json!({
            "attempt_count": self.attempt_count,
            "failed_count": self.failed_count,
            "core_s": self.core_s(),
            "cpu_s": self.cpu_s,
        });
        if !self.wall_s.is_empty() {
            let mut sorted = self.wall_s.clone();
            sorted.sort_unstable_by(f64::total_cmp);
            let quantiles = FRACTIONS.map(|fraction| json!([fraction, quantile(&sorted, fraction)]));
            sums["wall_s"] = json!(quantiles);
        }
        sums
    }
}

/// Quantiles that are told.
const FRACTIONS: [f64; 8] = [0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0];

/// A quantile by nearest rank: the smallest value that is not below this share of the values.
///
/// # Panics
/// If there are no values.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub fn quantile(sorted: &[f64], fraction: f64) -> f64 {
    // 0.95 × 20 is a little more than 19 in floating point.
    let rank = (fraction * sorted.len() as f64 - 1e-9).ceil() as usize;
    sorted[rank.clamp(1, sorted.len()) - 1]
}

/// How an attempt failed: outcome, exit code, signal, and the name of the failure.
pub type FailureKey = (&'static str, Option<i32>, Option<i32>, String);

/// What a report has to find.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    /// Tasks that have a row.
    pub task_count: i64,
    /// All attempts.
    pub all: Sums,
    /// Attempts beyond the first of their task.
    pub retried_count: i64,
    /// Tasks by the outcome of their last attempt.
    pub task_outcomes: BTreeMap<&'static str, i64>,
    /// Attempts by outcome.
    pub attempt_outcomes: BTreeMap<&'static str, Sums>,
    /// Last attempts of tasks that succeeded.
    pub useful: Sums,
    /// Time in which a session was alive.
    pub makespan_s: f64,
    /// Cores that there were, from when their nodes joined to the end of the session, over time.
    pub available_core_s: f64,
    /// Number of sessions.
    pub session_count: i64,
    /// By host.
    pub hosts: BTreeMap<String, Sums>,
    /// By the parameter `method`, with durations.
    pub groups: BTreeMap<&'static str, Sums>,
    /// Attempts that failed, by how.
    pub failures: BTreeMap<FailureKey, Sums>,
}

impl Answers {
    /// Counts an attempt; `is_last` if its task gets no other.
    pub(super) fn add(&mut self, row: &Attempt, group: &'static str, failure: Option<String>, is_last: bool) {
        self.all.add(row);
        self.retried_count += i64::from(row.attempt > 1);
        self.attempt_outcomes.entry(row.outcome.as_str()).or_default().add(row);
        if let Some(host) = &row.host {
            match self.hosts.get_mut(host) {
                Some(sums) => sums.add(row),
                None => self.hosts.entry(host.clone()).or_default().add(row),
            }
        }
        let of_group = self.groups.entry(group).or_default();
        of_group.add(row);
        of_group.wall_s.extend(row.wall_s);
        if let Some(failure) = failure {
            let key = (row.outcome.as_str(), row.exit_code, row.signal, failure);
            self.failures.entry(key).or_default().add(row);
        }
        if is_last {
            self.task_count += 1;
            *self.task_outcomes.entry(row.outcome.as_str()).or_default() += 1;
            if row.outcome == Outcome::Succeeded {
                self.useful.add(row);
            }
        }
    }

    /// Durations of all attempts, sorted.
    pub fn all_wall_s(&self) -> Vec<f64> {
        let mut all: Vec<f64> = self.groups.values().flat_map(|group| &group.wall_s).copied().collect();
        all.sort_unstable_by(f64::total_cmp);
        all
    }

    /// All of it, for people and programs.
    pub fn json(&self) -> Value {
        let of = |sums: &BTreeMap<&'static str, Sums>| -> BTreeMap<String, Value> {
            sums.iter().map(|(name, sums)| ((*name).to_owned(), sums.json())).collect()
        };
        let hosts: BTreeMap<&str, Value> =
            self.hosts.iter().map(|(host, sums)| (host.as_str(), sums.json())).collect();
        let failures = self.failures.iter().map(|((outcome, exit_code, signal, name), sums)| {
            json!({
                "outcome": outcome, "exit_code": exit_code, "signal": signal, "name": name,
                "attempt_count": sums.attempt_count, "core_s": sums.core_s(),
            })
        });
        let all = Sums { wall_s: self.all_wall_s(), ..self.all.clone() };
        json!({
            "task_count": self.task_count,
            "all": all.json(),
            "retried_count": self.retried_count,
            "task_outcomes": self.task_outcomes,
            "attempt_outcomes": of(&self.attempt_outcomes),
            "useful": self.useful.json(),
            "makespan_s": self.makespan_s,
            "available_core_s": self.available_core_s,
            "session_count": self.session_count,
            "hosts": hosts,
            "groups": of(&self.groups),
            "failures": failures.collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_were_measured() {
        let twenty: Vec<f64> = (1..=20).map(f64::from).collect();
        let found = FRACTIONS.map(|fraction| quantile(&twenty, fraction));
        assert_eq!(found, [1.0, 1.0, 5.0, 10.0, 15.0, 19.0, 20.0, 20.0]);
        assert!((quantile(&[7.0], 0.5) - 7.0).abs() < 1e-12);
    }
}
