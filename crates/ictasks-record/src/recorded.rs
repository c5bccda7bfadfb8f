//! All rows of events or samples that a run directory holds: those of the table that the sessions
//! before left, and those of the journal that the table does not hold.
//!
//! Events have numbers, and the table says which is its last (`ictasks.last_seq`). Samples have
//! none: their table says which part of the journal is its last (`ictasks.last_part`).

use std::path::Path;

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Field, Int64Type};

use crate::error::RecordError;
use crate::journal::{Damage, Part, TakeBatch, journal_dir, parts, project, read_part, stream};
use crate::parquet_file::{Opened, ParquetFile};
use crate::schema::Table;

/// Events or samples of a run directory, to be read several times.
pub(crate) struct Recorded {
    table: Table,
    /// What the sessions before left.
    before: Option<ParquetFile>,
    journal: Vec<Piece>,
    /// The last part of the journal.
    last_part: Option<u32>,
    /// The table where it cannot be read, and what was damaged in that which was kept.
    damages: Vec<Damage>,
}

/// A piece of the journal.
enum Piece {
    /// A file.
    File(Part),
    /// One that was read once and kept, or rows from elsewhere.
    Kept(Vec<RecordBatch>),
}

impl Recorded {
    pub(crate) fn open(run_dir: &Path, table: Table) -> Result<Self, RecordError> {
        // Parts come first: of a run that ends between these steps the table has their rows.
        let mut parts = parts(&journal_dir(run_dir), table)?;
        let mut damages = Vec::new();
        let before = match ParquetFile::open(&run_dir.join(table.file_name()))? {
            Opened::Absent => None,
            Opened::Whole(file) => Some(file),
            Opened::Damaged(damage) => {
                damages.push(damage);
                None
            }
        };
        let in_table = before.as_ref().and_then(|file| file.last_part);
        parts.retain(|part| in_table.is_none_or(|last| part.number > last));
        let last_part = parts.last().map(|part| part.number).or(in_table);
        let journal = parts.into_iter().map(Piece::File).collect();
        Ok(Self { table, before, journal, last_part, damages })
    }

    /// Rows in memory that are all there is of a table. They come from one part of the journal.
    pub(crate) fn of_rows(table: Table, rows: Vec<RecordBatch>, last_part: Option<u32>) -> Self {
        let journal = vec![Piece::Kept(rows)];
        Self { table, before: None, journal, last_part, damages: Vec::new() }
    }

    /// Reads all live parts into memory, so that every reading finds the same rows although the
    /// run goes on. That one which `grows` ends within a batch is no damage then.
    pub(crate) fn keep_live_parts(mut self, grows: bool) -> Result<Self, RecordError> {
        for piece in std::mem::take(&mut self.journal) {
            let piece = match piece {
                Piece::File(Part { finished: false, .. }) => Piece::Kept(self.kept(piece)?),
                finished => finished,
            };
            self.journal.push(piece);
        }
        if grows {
            self.damages.retain(|damage| damage.what != stream::ENDS_EARLY);
        }
        Ok(self)
    }

    /// Whether the files are still there: those of a run that ends have become a table.
    pub(crate) fn is_still_there(&self) -> bool {
        self.journal.iter().all(|piece| match piece {
            Piece::File(part) => part.path.exists(),
            Piece::Kept(_) => true,
        })
    }

    /// Adds rows behind all others.
    pub(crate) fn add(&mut self, rows: Vec<RecordBatch>) {
        self.journal.push(Piece::Kept(rows));
    }

    /// The rows of a piece, which is read once; its damage is noted.
    fn kept(&mut self, piece: Piece) -> Result<Vec<RecordBatch>, RecordError> {
        let part = match piece {
            Piece::Kept(batches) => return Ok(batches),
            Piece::File(part) => part,
        };
        let mut batches = Vec::new();
        let damage = read_part(&part, self.table, None, &mut |batch| {
            batches.push(batch.clone());
            Ok(())
        })?;
        self.damages.extend(damage);
        Ok(batches)
    }

    /// All rows, in one batch at least, if they are in memory as one piece and nothing is damaged.
    pub(crate) fn in_memory(&self) -> Option<&[RecordBatch]> {
        match (&self.before, &self.journal[..]) {
            (None, [Piece::Kept(batches)]) if self.damages.is_empty() && !batches.is_empty() => Some(batches),
            _ => None,
        }
    }

    /// The last part of the journal, or the last one that the table holds.
    pub(crate) const fn last_part(&self) -> Option<u32> {
        self.last_part
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
        let last_seq = self.last_seq();
        let mut take_new = |batch: &RecordBatch| match last_seq {
            Some(last) => take(&above(batch, last)?),
            None => take(batch),
        };
        for piece in &self.journal {
            match piece {
                Piece::File(part) => damages.extend(read_part(part, self.table, only, &mut take_new)?),
                Piece::Kept(batches) => {
                    for batch in batches {
                        take_new(&project(batch, only)?)?;
                    }
                }
            }
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
