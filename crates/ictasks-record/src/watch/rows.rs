//! Events and samples as somebody who looks on needs them.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use ictasks_core::attempt::Outcome;
use ictasks_core::column::Timestamp;
use ictasks_core::event::EventKind;

use super::{Failure, RunningTask};
use crate::recovery::outcome;

/// Columns of events that are read.
pub(super) const COLUMNS: [&str; 15] = [
    "seq",
    "at",
    "kind",
    "session",
    "task_id",
    "task_index",
    "attempt",
    "host",
    "worker_id",
    "pid",
    "outcome",
    "exit_code",
    "signal",
    "error",
    "stderr_tail",
];

/// An event.
pub(super) struct Row {
    pub(super) seq: i64,
    pub(super) at: Timestamp,
    pub(super) session: i32,
    pub(super) what: What,
}

/// What it says.
pub(super) enum What {
    Started(RunningTask),
    Ended {
        task_index: i64,
        attempt: i32,
        outcome: Outcome,
        failure: Option<Failure>,
    },
    /// This attempt is going to be made.
    Retried {
        task_index: i64,
        attempt: i32,
    },
    RunFinished,
    Other,
}

/// A batch of which single cells are asked for.
struct Cells<'a>(&'a RecordBatch);

impl<'a> Cells<'a> {
    fn int64(&self, name: &str, row: usize) -> Option<i64> {
        let column = self.0.column_by_name(name)?.as_primitive_opt::<Int64Type>()?;
        column.is_valid(row).then(|| column.value(row))
    }

    fn int32(&self, name: &str, row: usize) -> Option<i32> {
        let column = self.0.column_by_name(name)?.as_primitive_opt::<Int32Type>()?;
        column.is_valid(row).then(|| column.value(row))
    }

    fn time(&self, name: &str, row: usize) -> Option<Timestamp> {
        let column = self.0.column_by_name(name)?.as_primitive_opt::<TimestampMicrosecondType>()?;
        column.is_valid(row).then(|| Timestamp(column.value(row)))
    }

    fn text(&self, name: &str, row: usize) -> Option<&'a str> {
        let column = self.0.column_by_name(name)?.as_string_opt::<i32>()?;
        column.is_valid(row).then(|| column.value(row))
    }

    fn row(&self, row: usize) -> Option<Row> {
        let at = self.time("at", row)?;
        let kind = self.text("kind", row)?;
        let what = if kind == EventKind::TaskStarted.as_str() {
            self.started(row, at).map(What::Started)
        } else if kind == EventKind::TaskFinished.as_str() || kind == EventKind::TaskPending.as_str() {
            self.ended(row, at)
        } else if kind == EventKind::TaskRetried.as_str() {
            self.retried(row)
        } else {
            (kind == EventKind::RunFinished.as_str()).then_some(What::RunFinished)
        };
        Some(Row {
            seq: self.int64("seq", row)?,
            at,
            session: self.int32("session", row)?,
            what: what.unwrap_or(What::Other),
        })
    }

    fn started(&self, row: usize, at: Timestamp) -> Option<RunningTask> {
        Some(RunningTask {
            task_id: self.text("task_id", row)?.to_owned(),
            task_index: self.int64("task_index", row)?,
            attempt: self.int32("attempt", row)?,
            host: self.text("host", row)?.to_owned(),
            worker_id: self.int32("worker_id", row)?,
            pid: self.int64("pid", row)?,
            started_at: at,
            rss_bytes: None,
        })
    }

    fn retried(&self, row: usize) -> Option<What> {
        Some(What::Retried {
            task_index: self.int64("task_index", row)?,
            attempt: self.int32("attempt", row)?,
        })
    }

    fn ended(&self, row: usize, at: Timestamp) -> Option<What> {
        let outcome = outcome(self.text("outcome", row)?)?;
        let attempt = self.int32("attempt", row)?;
        let failure = outcome.is_failure().then(|| Failure {
            task_id: self.text("task_id", row).unwrap_or_default().to_owned(),
            attempt,
            outcome,
            exit_code: self.int32("exit_code", row),
            signal: self.int32("signal", row),
            at,
            last_line: self
                .text("stderr_tail", row)
                .and_then(last_line)
                .or_else(|| self.text("error", row).map(str::to_owned)),
        });
        Some(What::Ended { task_index: self.int64("task_index", row)?, attempt, outcome, failure })
    }
}

/// The last line that is not blank.
fn last_line(text: &str) -> Option<String> {
    let line = text.lines().rev().map(str::trim).find(|line| !line.is_empty());
    line.map(str::to_owned)
}

/// The events of a batch above `last_seq`.
pub(super) fn rows_of(batch: &RecordBatch, last_seq: Option<i64>) -> impl Iterator<Item = Row> {
    let cells = Cells(batch);
    let is_new = move |row: &usize| cells.int64("seq", *row) > last_seq;
    let cells = Cells(batch);
    (0..batch.num_rows()).filter(is_new).filter_map(move |row| cells.row(row))
}

/// Notes the memory of tasks that run.
pub(super) fn take_samples(batch: &RecordBatch, running: &mut BTreeMap<i64, RunningTask>) {
    let cells = Cells(batch);
    let mut last = BTreeMap::new();
    for row in 0..batch.num_rows() {
        if let (Some(task), Some(attempt), Some(rss)) =
            (cells.text("task_id", row), cells.int32("attempt", row), cells.int64("rss_bytes", row))
        {
            last.insert((task, attempt), rss);
        }
    }
    for task in running.values_mut() {
        if let Some(rss) = last.get(&(task.task_id.as_str(), task.attempt)) {
            task.rss_bytes = Some(*rss);
        }
    }
}
