//! All rows of events or samples that a run directory holds: those of the table that the sessions
//! before left, and those of the journal that the table does not hold.
//!
//! Events have numbers, and the table says which is its last (`ictasks.last_seq`). Samples have
//! none: their table says which part of the journal is its last (`ictasks.last_part`).

use std::path::Path;

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::{Field, Int64Type};

use crate::error::RecordError;
use crate::journal::{Damage, Part, TakeBatch, journal_dir, parts, read_part};
use crate::parquet_file::{Opened, ParquetFile};
use crate::schema::{Table, part_schema};

/// Events or samples of a run directory, to be read several times.
pub(crate) struct Recorded {
    table: Table,
    /// What the sessions before left.
    before: Option<ParquetFile>,
    parts: Vec<Part>,
    /// A small journal is read once and kept.
    kept: Option<Vec<RecordBatch>>,
    /// The table where it cannot be read, and what was damaged in that which was kept.
    damages: Vec<Damage>,
}

impl Recorded {
    pub(crate) fn open(run_dir: &Path, table: Table) -> Result<Self, RecordError> {
        let mut damages = Vec::new();
        let before = match ParquetFile::open(&run_dir.join(table.file_name()))? {
            Opened::Absent => None,
            Opened::Whole(file) => Some(file),
            Opened::Damaged(damage) => {
                damages.push(damage);
                None
            }
        };
        let last_part = before.as_ref().and_then(|file| file.last_part);
        let mut parts = parts(&journal_dir(run_dir), table)?;
        parts.retain(|part| last_part.is_none_or(|last| part.number > last));
        Ok(Self { table, before, parts, kept: None, damages })
    }

    /// Reads a small journal into memory: one live part and nothing else. Reading that means
    /// checking every row, and a batch costs time in every column, however small it is.
    pub(crate) fn keep_if_small(mut self) -> Result<Self, RecordError> {
        let is_small =
            self.before.is_none() && matches!(&self.parts[..], [] | [Part { finished: false, .. }]);
        if is_small {
            let mut batches = Vec::new();
            let damages = self.read_journal(None, &mut |batch| {
                batches.push(batch.clone());
                Ok(())
            })?;
            self.damages.extend(damages);
            self.kept = Some(vec![concat_batches(&part_schema(self.table.columns()), &batches)?]);
        }
        Ok(self)
    }

    /// Whether it is in memory.
    pub(crate) const fn is_kept(&self) -> bool {
        self.kept.is_some()
    }

    /// The last part of the journal, or the last one that the table holds.
    pub(crate) fn last_part(&self) -> Option<u32> {
        let in_journal = self.parts.last().map(|part| part.number);
        in_journal.or_else(|| self.before.as_ref().and_then(|file| file.last_part))
    }

    /// The last event that the table holds.
    pub(crate) fn last_seq(&self) -> Option<i64> {
        self.before.as_ref().and_then(|file| file.last_seq)
    }

    /// Columns `param_*` or `result_*` of the table, with their types.
    pub(crate) fn named(&self, prefix: &str) -> Vec<Field> {
        self.before.as_ref().map(|file| file.named(prefix)).unwrap_or_default()
    }

    /// Hands out all rows, in order. `only` limits the columns; of events `seq` has to be among
    /// them. Returns what was damaged: everything before was handed out.
    pub(crate) fn read(
        &self,
        only: Option<&[&str]>,
        take: TakeBatch<'_>,
    ) -> Result<Vec<Damage>, RecordError> {
        let mut damages = self.damages.clone();
        if let Some(before) = &self.before {
            damages.extend(before.read(self.table.columns(), only, take)?);
        }
        if let Some(kept) = &self.kept {
            for batch in kept {
                take(&crate::journal::project(batch, only)?)?;
            }
        } else {
            damages.extend(self.read_journal(only, take)?);
        }
        Ok(damages)
    }

    fn read_journal(&self, only: Option<&[&str]>, take: TakeBatch<'_>) -> Result<Vec<Damage>, RecordError> {
        let last_seq = self.last_seq();
        let mut damages = Vec::new();
        for part in &self.parts {
            let damage = read_part(part, self.table, only, &mut |batch| match last_seq {
                Some(last) => take(&above(batch, last)?),
                None => take(batch),
            })?;
            damages.extend(damage);
        }
        Ok(damages)
    }
}

/// The rows whose `seq` lies above that of a table.
fn above(batch: &RecordBatch, last_seq: i64) -> Result<RecordBatch, RecordError> {
    let seq = batch.column_by_name("seq").and_then(|column| column.as_primitive_opt::<Int64Type>());
    let Some(seq) = seq else { return Ok(batch.clone()) };
    if arrow::compute::min(seq).is_none_or(|first| first > last_seq) {
        return Ok(batch.clone());
    }
    let mask: BooleanArray = seq.iter().map(|seq| Some(seq > Some(last_seq))).collect();
    Ok(filter_record_batch(batch, &mask)?)
}
