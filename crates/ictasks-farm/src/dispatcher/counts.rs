//! How many tasks ended how.

use std::collections::BTreeMap;

use ictasks_core::attempt::Outcome;

/// How many tasks ended how, each by its last attempt; `pending` ones never started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    by_outcome: BTreeMap<Outcome, i64>,
}

impl Counts {
    /// A task that ended so.
    pub fn add(&mut self, outcome: Outcome) {
        *self.by_outcome.entry(outcome).or_default() += 1;
    }

    /// Number of tasks with this outcome.
    pub fn of(&self, outcome: Outcome) -> i64 {
        self.by_outcome.get(&outcome).copied().unwrap_or(0)
    }

    /// Number of tasks in all.
    pub fn total(&self) -> i64 {
        self.by_outcome.values().sum()
    }
}
