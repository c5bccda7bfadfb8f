//! Tasks by the outcome of their last attempt.

use ictasks_core::attempt::Outcome;
use polars::prelude::*;

use super::attempts::Attempts;
use super::batches;
use super::filter::Selection;
use super::interned::Interned;
use super::row_count;
use crate::error::ReportError;
use crate::findings::RunLife;
use crate::source::{Source, Table};

/// How many there are of each outcome.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TaskCounts([i64; Outcome::ALL.len()]);

impl TaskCounts {
    /// Tasks with this outcome.
    pub(crate) const fn of(&self, outcome: Outcome) -> i64 {
        self.0[outcome as usize]
    }

    /// All of them.
    pub(crate) fn sum(&self) -> i64 {
        self.0.iter().sum()
    }

    /// Counts the tasks of all runs: those that have attempts by their last one, all others never ran.
    pub(super) fn of_all(sources: &[Source], attempts: &Attempts) -> Result<Self, ReportError> {
        let mut counts = Self::default();
        for row in (0..attempts.len()).filter(|row| attempts.is_last[*row]) {
            counts.0[attempts.outcome[row] as usize] += 1;
        }
        let mut tasks = 0;
        for source in sources.iter().filter(|source| source.has(Table::Tasks)) {
            tasks += i64::try_from(row_count(source, Table::Tasks)?).unwrap_or(i64::MAX);
        }
        counts.0[Outcome::Pending as usize] += (tasks - counts.sum()).max(0);
        Ok(counts)
    }

    /// Counts the tasks of all runs that a filter leaves.
    pub(super) fn selected(sources: &[Source], selection: &Selection) -> Result<Self, ReportError> {
        let mut counts = Self::default();
        for (run, source) in sources.iter().enumerate().filter(|(_, source)| source.has(Table::Tasks)) {
            let tasks = source.scan(Table::Tasks)?.select([col("outcome"), col("task_index")]);
            batches::for_each(tasks, &mut |batch| {
                let mut names = Interned::default();
                let outcomes = batches::categories(batch, "outcome", &mut names)?;
                let indices = batches::integers(batch, "task_index", -1)?;
                for (outcome, task_index) in outcomes.into_iter().zip(indices) {
                    if selection.contains(run, task_index) {
                        counts.add(names.text(outcome), 1);
                    }
                }
                Ok(())
            })?;
        }
        Ok(counts)
    }

    fn add(&mut self, name: &str, count: i64) {
        if let Some(outcome) = Outcome::ALL.iter().find(|outcome| outcome.as_str() == name) {
            self.0[*outcome as usize] += count;
        }
    }
}

/// Tasks of a run that is alive or was killed which have begun and not ended: starts without an end.
pub(super) fn running(source: &Source) -> Result<i64, ReportError> {
    if !matches!(source.life, RunLife::Alive | RunLife::Killed) || !source.has(Table::Events) {
        return Ok(0);
    }
    let events = source.scan(Table::Events)?.with_columns([col("kind").cast(DataType::String)]);
    let keys = [col("task_index"), col("attempt")];
    let ends = events.clone().filter(col("kind").eq(lit("task_finished"))).select(keys.clone());
    let open = events
        .filter(col("kind").eq(lit("task_started")).and(col("session").eq(col("session").max())))
        .select(keys.clone())
        .join(ends, keys.clone(), keys, JoinArgs::new(JoinType::Anti))
        .select([len().alias("count")])
        .collect()?;
    Ok(batches::integers(&open, "count", 0)?.first().copied().unwrap_or(0))
}
