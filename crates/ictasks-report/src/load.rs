//! From files to columns in memory: what all findings are computed from.
//!
//! Tables are streamed batch by batch (polars), and of an attempt only the figures are kept, in columns
//! of plain numbers: about 80 bytes an attempt. Text stays in the files, and is read again for the few
//! rows that are shown ([`crate::lines`]) and for the attempts that failed ([`crate::failures`]).

use polars::prelude::*;

use crate::error::ReportError;
use crate::findings::RunFacts;
use crate::source::{Source, Table};

pub(crate) mod attempts;
mod axis;
pub(crate) mod batches;
mod filter;
pub(crate) mod grouping;
mod interned;
mod manifest;
mod sessions;
mod tasks;

pub(crate) use attempts::Attempts;
pub(crate) use axis::{at_most, makespan_s};
pub(crate) use filter::{Selection, filter_not_understood, filtered};
pub use grouping::GroupBy;
pub(crate) use sessions::{Node, Session, seconds};
pub(crate) use tasks::TaskCounts;

/// Everything that findings are computed from.
pub(crate) struct Loaded {
    /// What run.json tells, a run each.
    pub(crate) runs: Vec<RunFacts>,
    /// The starts of all runs.
    pub(crate) sessions: Vec<Session>,
    /// The attempts of all runs, those of a run one behind the other in the order of its file.
    pub(crate) attempts: Attempts,
    /// Rows of `attempts` that belong to the runs: `first_rows[run]..first_rows[run + 1]`.
    pub(crate) first_rows: Vec<usize>,
    /// Which tasks `--filter` leaves.
    pub(crate) selection: Option<Selection>,
    /// Tasks by outcome, of those that the filter leaves.
    pub(crate) tasks: TaskCounts,
    /// Tasks by outcome, of all.
    pub(crate) all_tasks: TaskCounts,
    /// Tasks that have begun and not ended.
    pub(crate) running: i64,
    /// For people: what is missing or damaged.
    pub(crate) lacks: Vec<String>,
}

impl Loaded {
    /// Reads the runs.
    ///
    /// # Errors
    /// If a table cannot be read, a record is of a newer format, or filter or group are not understood.
    pub(crate) fn read(
        sources: &[Source],
        filter: Option<&str>,
        group_by: &GroupBy,
    ) -> Result<Self, ReportError> {
        let mut runs = Vec::new();
        let mut lacks = Vec::new();
        let mut sessions = Vec::new();
        for (run, source) in sources.iter().enumerate() {
            let (mut facts, mut of_run) = manifest::read(source, run, &mut lacks)?;
            sessions::complete(source, &mut facts, &mut of_run)?;
            lacks.extend(source.damages.iter().cloned());
            runs.push(facts);
            sessions.extend(of_run);
        }
        axis::join_shards(&mut sessions, &runs);
        let (attempts, first_rows) = Attempts::read(sources, &mut sessions, group_by)?;
        sessions::arrange(&mut sessions, &mut runs, &attempts);
        let selection = filter.map(|expression| Selection::read(sources, expression)).transpose()?;
        let all_tasks = TaskCounts::of_all(sources, &attempts)?;
        let tasks = match &selection {
            Some(selection) => TaskCounts::selected(sources, selection)?,
            None => all_tasks.clone(),
        };
        let running = sources.iter().map(tasks::running).sum::<Result<i64, _>>()?;
        Ok(Self { runs, sessions, attempts, first_rows, selection, tasks, all_tasks, running, lacks })
    }

    /// Reads nothing but the attempts.
    ///
    /// # Errors
    /// As for [`Loaded::read`].
    pub(crate) fn attempts_only(sources: &[Source]) -> Result<(Attempts, Vec<usize>), ReportError> {
        Attempts::read(sources, &mut Vec::new(), &GroupBy::default())
    }

    /// The run to which a row of `attempts` belongs, and the row in its file.
    pub(crate) fn place_of(&self, row: usize) -> (usize, usize) {
        let run = self.first_rows.partition_point(|first| *first <= row) - 1;
        (run, row - self.first_rows[run])
    }

    /// Rows of the attempts of tasks that the filter leaves.
    pub(crate) fn selected(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.attempts.len()).filter(|row| self.is_selected(*row))
    }

    /// Whether the filter leaves the task of this row.
    pub(crate) fn is_selected(&self, row: usize) -> bool {
        match &self.selection {
            None => true,
            Some(selection) => selection.contains(self.place_of(row).0, self.attempts.task_index[row]),
        }
    }
}

/// Names of the columns of a table.
pub(crate) fn column_names(source: &Source, table: Table) -> Result<Vec<String>, ReportError> {
    let schema = source.scan(table)?.collect_schema();
    let schema = schema.map_err(|error| ReportError::Table { path: source.path(table), source: error })?;
    Ok(schema.iter_names().map(ToString::to_string).collect())
}

/// How many rows a table has.
pub(crate) fn row_count(source: &Source, table: Table) -> Result<usize, ReportError> {
    let rows = source.scan(table)?.select([len().alias("count")]).collect()?;
    let count = batches::integers(&rows, "count", 0)?.first().copied().unwrap_or(0);
    Ok(usize::try_from(count).unwrap_or(0))
}

/// The expression of a column, or nulls where the table has none of this name.
pub(crate) fn column_or_null(known: &[String], name: &str, kind: DataType) -> Expr {
    if known.iter().any(|column| column == name) { col(name) } else { lit(NULL).cast(kind).alias(name) }
}
