//! Writing the journal: a live part grows by batches; a full one becomes a Parquet file.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::ipc::writer::StreamWriter;
use ictasks_core::column::Cell;

use super::{journal_dir, part_path, parts, stream};
use crate::error::{AtPath, RecordError};
use crate::files::{Reserve, ReservedWriter, put_in_place, remove_if_there, sync_directory, temporary};
use crate::parquet_file::{Opened, ParquetFile};
use crate::rows::{BATCH_ROWS, RowBuilder};
use crate::schema::{Table, part_schema};
use crate::table_file::{FileFacts, Purpose, TableFile};

/// Rows after which a part is finished. Small enough for the conversion to stay below the
/// channel's patience, large enough for Parquet to pay. Tests want several in a short run.
const PART_ROWS: usize = if cfg!(test) { 256 } else { 8192 };

/// Rows of a short run that are kept in memory as well take no more than this.
const KEPT_BYTES: usize = 8 << 20;

/// The growing end of one table of the journal.
pub(crate) struct LiveTable {
    table: Table,
    directory: PathBuf,
    facts: FileFacts,
    reserve: Reserve,
    rows: RowBuilder,
    part: Option<LivePart>,
    next_number: u32,
    /// All rows of the run so far, as long as they are few: its end, which the user waits for, need not
    /// read them back. `None` once they are many, or where there were others before.
    kept: Option<Kept>,
}

#[derive(Default)]
struct Kept {
    batches: Vec<RecordBatch>,
    bytes: usize,
}

struct LivePart {
    number: u32,
    path: PathBuf,
    file: ReservedWriter<File>,
    /// Encodes into memory, so that a batch is one write.
    stream: StreamWriter<Vec<u8>>,
    rows: usize,
}

impl LiveTable {
    /// Goes on after the parts that are there, and after those that the table holds.
    pub(crate) fn new(
        run_dir: &Path,
        table: Table,
        facts: FileFacts,
        reserve: &Reserve,
    ) -> Result<Self, RecordError> {
        let directory = journal_dir(run_dir);
        let in_journal = parts(&directory, table)?.last().map(|part| part.number);
        let before = ParquetFile::open(&run_dir.join(table.file_name()))?;
        let is_first = in_journal.is_none() && matches!(before, Opened::Absent);
        let in_table = match before {
            Opened::Whole(file) => file.last_part,
            Opened::Absent | Opened::Damaged(_) => None,
        };
        let last = in_journal.max(in_table);
        Ok(Self {
            table,
            directory,
            facts,
            reserve: reserve.clone(),
            rows: RowBuilder::new(table.columns()),
            part: None,
            next_number: last.map_or(0, |number| number + 1),
            kept: is_first.then(Kept::default),
        })
    }

    /// Takes a row into the batch that is being gathered; writes the batch if it is full.
    pub(crate) fn push(&mut self, cells: impl FnOnce(&mut dyn FnMut(Cell<'_>))) -> Result<(), RecordError> {
        self.rows.push(cells);
        if self.rows.len() >= BATCH_ROWS {
            self.flush()?;
        }
        Ok(())
    }

    /// Writes what has been gathered. True if there was anything.
    pub(crate) fn flush(&mut self) -> Result<bool, RecordError> {
        if self.rows.len() == 0 {
            return Ok(false);
        }
        let batch = self.rows.take()?;
        let part = match &mut self.part {
            Some(part) => part,
            none => none.insert(LivePart::create(
                &self.directory,
                self.table,
                self.next_number,
                &self.rows,
                &self.reserve,
            )?),
        };
        part.append(&batch)?;
        if part.rows >= PART_ROWS {
            self.finish_part()?;
        }
        self.keep(batch);
        Ok(true)
    }

    fn keep(&mut self, batch: RecordBatch) {
        let Some(kept) = &mut self.kept else { return };
        // Of memory that columns share each counts its part.
        let sizes = batch.columns().iter().map(|column| column.to_data().get_slice_memory_size());
        kept.bytes += sizes.map(|size| size.unwrap_or(KEPT_BYTES)).sum::<usize>();
        kept.batches.push(batch);
        if self.part.is_none() || kept.bytes > KEPT_BYTES {
            self.kept = None;
        }
    }

    /// All rows that the run directory has of this table, in one batch at least, and the number of their part, if
    /// they are few enough to have been kept.
    pub(crate) fn take_kept(&mut self) -> Option<(Vec<RecordBatch>, Option<u32>)> {
        let mut kept = self.kept.take()?.batches;
        if kept.is_empty() {
            kept.push(RecordBatch::new_empty(Arc::clone(self.rows.schema())));
        }
        Some((kept, self.part.as_ref().map(|part| part.number)))
    }

    /// Brings the live part to the disk.
    pub(crate) fn sync(&mut self) -> Result<(), RecordError> {
        match &self.part {
            Some(part) => part.file.inner().sync_data().at("sync", &part.path),
            None => Ok(()),
        }
    }

    /// Closes the live part, which is not needed any more.
    pub(crate) fn close(&mut self) {
        self.part = None;
    }

    /// Turns the live part into a Parquet file. Where that fails, for instance because the disk
    /// is full, the live part stays: it holds everything.
    fn finish_part(&mut self) -> Result<(), RecordError> {
        let Some(part) = self.part.take() else {
            return Ok(());
        };
        self.next_number = part.number + 1;
        let finished = part_path(&self.directory, self.table, part.number, true);
        let converted = self.convert(&part, &finished);
        if !matches!(converted, Ok(true)) {
            part.file.inner().sync_data().at("sync", &part.path)?;
            remove_if_there(&temporary(&finished))?;
            return converted.map(|_| ());
        }
        remove_if_there(&part.path)
    }

    /// False if somebody wrote into our file. It stays as it is then, and the end will say so.
    fn convert(&self, part: &LivePart, finished: &Path) -> Result<bool, RecordError> {
        let columns = self.table.columns();
        let mut file =
            TableFile::create(finished, part_schema(columns), &self.facts, Purpose::Record(&self.reserve))?;
        let damage = stream::read(&part.path, columns, &mut |batch| file.write(batch))?;
        if damage.is_some() {
            return Ok(false);
        }
        file.close()?;
        put_in_place(finished)?;
        sync_directory(&self.directory)?;
        Ok(true)
    }
}

impl LivePart {
    fn create(
        directory: &Path,
        table: Table,
        number: u32,
        rows: &RowBuilder,
        reserve: &Reserve,
    ) -> Result<Self, RecordError> {
        let path = part_path(directory, table, number, false);
        let file = OpenOptions::new().append(true).create_new(true).open(&path);
        let file = file.at("create", &path)?;
        Ok(Self {
            number,
            file: ReservedWriter::new(file, &path, Some(reserve)),
            path,
            stream: StreamWriter::try_new(Vec::new(), rows.schema())?,
            rows: 0,
        })
    }

    fn append(&mut self, batch: &RecordBatch) -> Result<(), RecordError> {
        self.stream.write(batch)?;
        self.file.write_all(self.stream.get_ref()).at("write", &self.path)?;
        self.stream.get_mut().clear();
        self.rows += batch.num_rows();
        Ok(())
    }
}
