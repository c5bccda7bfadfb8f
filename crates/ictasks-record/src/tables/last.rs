//! Which row of the journal is a task's last one.
//!
//! Nearly every task has one row. Memory is a bit for each task, and an entry for each of
//! those that have several rows.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Float64Builder, Int32Array, Int64Array,
    Int64Builder, RecordBatch, StringArray,
};
use arrow::datatypes::{Float64Type, Int32Type, Int64Type};
use ictasks_core::event::EventKind;

use crate::recovery::AttemptSet;

/// Columns that this module reads.
pub(crate) const COLUMNS: [&str; 5] = ["seq", "kind", "task_index", "attempt", "wall_s"];

/// Tasks whose rows are being told apart.
#[derive(Default)]
pub(crate) struct LastRows {
    /// Tasks that have a row, 4096 to an entry.
    seen: BTreeMap<i64, Box<[u64; 64]>>,
    /// Tasks that have several.
    several: HashMap<i64, Several>,
    /// Attempts that have ended.
    ended: AttemptSet,
    /// Attempts with several ends, and the event of the last one: an attempt that was given up with
    /// its node, and whose success was found in a slot log later.
    ended_again: HashMap<(i64, i32), i64>,
}

/// What is known of a task with several rows.
#[derive(Clone, Copy, Default)]
struct Several {
    /// Which row counts: an attempt before a row without one, the later attempt before the
    /// earlier, the later event before the earlier.
    last: (bool, i32, i64),
    attempt_count: i64,
    total_wall_s: Option<f64>,
}

/// The columns of a batch of events that tell.
struct Rows<'a> {
    seq: &'a Int64Array,
    kind: &'a StringArray,
    task_index: &'a Int64Array,
    attempt: &'a Int32Array,
    wall_s: &'a Float64Array,
}

impl<'a> Rows<'a> {
    fn of(batch: &'a RecordBatch) -> Option<Self> {
        Some(Self {
            seq: batch.column_by_name("seq")?.as_primitive_opt::<Int64Type>()?,
            kind: batch.column_by_name("kind")?.as_string_opt::<i32>()?,
            task_index: batch.column_by_name("task_index")?.as_primitive_opt::<Int64Type>()?,
            attempt: batch.column_by_name("attempt")?.as_primitive_opt::<Int32Type>()?,
            wall_s: batch.column_by_name("wall_s")?.as_primitive_opt::<Float64Type>()?,
        })
    }

    /// Whether a row ends an attempt (true), says that there was none (false), or neither.
    fn ended(&self, row: usize) -> Option<bool> {
        let kind = self.kind.value(row);
        if kind == EventKind::TaskFinished.as_str() {
            Some(true)
        } else if kind == EventKind::TaskPending.as_str() {
            Some(false)
        } else {
            None
        }
    }

    fn wall_s(&self, row: usize) -> Option<f64> {
        self.wall_s.is_valid(row).then(|| self.wall_s.value(row))
    }

    fn rank(&self, row: usize, ended: bool) -> (bool, i32, i64) {
        (ended, self.attempt.value(row), self.seq.value(row))
    }
}

impl LastRows {
    /// First pass: finds the tasks with several rows.
    pub(crate) fn look(&mut self, batch: &RecordBatch) {
        let Some(rows) = Rows::of(batch) else { return };
        for row in 0..batch.num_rows() {
            let Some(ended) = rows.ended(row) else { continue };
            let task = rows.task_index.value(row);
            if ended {
                let attempt = rows.attempt.value(row);
                if self.ended.contains(task, attempt) {
                    self.ended_again.insert((task, attempt), 0);
                }
                self.ended.insert(task, attempt);
            }
            let bits = self.seen.entry(task.div_euclid(4096)).or_insert_with(|| Box::new([0; 64]));
            let place = usize::try_from(task.rem_euclid(4096)).unwrap_or(0);
            let (word, bit) = (&mut bits[place / 64], 1 << (place % 64));
            if *word & bit != 0 {
                self.several.entry(task).or_default();
            }
            *word |= bit;
        }
    }

    /// Whether a second pass is needed.
    pub(crate) fn any_several(&self) -> bool {
        !self.several.is_empty()
    }

    /// Second pass: finds the last row of the tasks with several.
    pub(crate) fn compare(&mut self, batch: &RecordBatch) {
        let Some(rows) = Rows::of(batch) else { return };
        for row in 0..batch.num_rows() {
            let Some(ended) = rows.ended(row) else { continue };
            let Some(task) = self.several.get_mut(&rows.task_index.value(row)) else {
                continue;
            };
            task.last = task.last.max(rows.rank(row, ended));
            if ended {
                let key = (rows.task_index.value(row), rows.attempt.value(row));
                let is_again = self.ended_again.get_mut(&key).is_some_and(|last| {
                    let before = std::mem::replace(last, rows.seq.value(row) + 1);
                    before > 0
                });
                task.attempt_count += i64::from(!is_again);
                if let Some(wall_s) = rows.wall_s(row) {
                    task.total_wall_s = Some(task.total_wall_s.unwrap_or(0.0) + wall_s);
                }
            }
        }
    }

    /// Which rows of a batch belong into attempts.parquet.
    pub(crate) fn mask_of_attempts(&self, batch: &RecordBatch) -> BooleanArray {
        let Some(rows) = Rows::of(batch) else {
            return BooleanArray::from(vec![false; batch.num_rows()]);
        };
        (0..batch.num_rows())
            .map(|row| {
                let is_last = || {
                    let key = (rows.task_index.value(row), rows.attempt.value(row));
                    self.ended_again.get(&key).is_none_or(|last| *last == rows.seq.value(row) + 1)
                };
                Some(rows.ended(row) == Some(true) && is_last())
            })
            .collect()
    }

    /// Which rows of a batch belong into tasks.parquet.
    pub(crate) fn mask(&self, batch: &RecordBatch) -> BooleanArray {
        let Some(rows) = Rows::of(batch) else {
            return BooleanArray::from(vec![false; batch.num_rows()]);
        };
        (0..batch.num_rows())
            .map(|row| {
                let belongs = rows.ended(row).is_some_and(|ended| {
                    let several = self.several.get(&rows.task_index.value(row));
                    several.is_none_or(|task| task.last == rows.rank(row, ended))
                });
                Some(belongs)
            })
            .collect()
    }

    /// `attempt_count` and `total_wall_s` for rows that [`LastRows::mask`] chose.
    pub(crate) fn sums(&self, batch: &RecordBatch) -> [ArrayRef; 2] {
        let mut counts = Int64Builder::new();
        let mut walls = Float64Builder::new();
        if let Some(rows) = Rows::of(batch) {
            for row in 0..batch.num_rows() {
                if let Some(task) = self.several.get(&rows.task_index.value(row)) {
                    counts.append_value(task.attempt_count);
                    walls.append_option(task.total_wall_s);
                } else {
                    counts.append_value(i64::from(rows.ended(row) == Some(true)));
                    walls.append_option(rows.wall_s(row));
                }
            }
        }
        [Arc::new(counts.finish()), Arc::new(walls.finish())]
    }
}
