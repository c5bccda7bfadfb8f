//! The journal: what is kept of a run while it is alive.
//!
//! `journal/events-000000.parquet` is a finished part, `events-000001.arrows` the live one, an
//! Arrow IPC stream that grows by a batch at least every 50 ms. `samples-*` likewise.
//! [`live`] writes and finishes parts, [`stream`] reads a live part up to its first damage.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::Schema;
use ictasks_core::layout;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::error::{AtPath, RecordError};
use crate::schema::{Table, part_schema};

pub(crate) mod live;
pub(crate) mod stream;

/// Rows a batch when parts are read.
const BATCH_ROWS: usize = 2048;

/// The journal's directory.
pub(crate) fn journal_dir(run_dir: &Path) -> PathBuf {
    run_dir.join(layout::JOURNAL)
}

/// A file of the journal.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) number: u32,
    pub(crate) path: PathBuf,
    /// Whether it is a Parquet file, whole and synced; else a stream that may end anywhere.
    pub(crate) finished: bool,
}

/// Why a part could not be read to its end. All that was read before is true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The part.
    pub path: PathBuf,
    /// Up to which byte it is good.
    pub good_bytes: u64,
    /// What is wrong there.
    pub what: &'static str,
}

/// Path of a part.
pub(crate) fn part_path(directory: &Path, table: Table, number: u32, finished: bool) -> PathBuf {
    let extension = if finished { "parquet" } else { "arrows" };
    directory.join(format!("{}-{number:06}.{extension}", table.name()))
}

/// The parts of a table in the order of their numbers. Of a part that is there in both forms
/// (a crash came between the two steps that replace one by the other) the finished one counts.
pub(crate) fn parts(directory: &Path, table: Table) -> Result<Vec<Part>, RecordError> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.at("read", directory)?,
    };
    let mut parts = Vec::new();
    for entry in entries {
        let path = entry.at("read", directory)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if let Some((number, finished)) = part_name(&name, table) {
            parts.push(Part { number, path, finished });
        }
    }
    parts.sort_by_key(|part| (part.number, !part.finished));
    parts.dedup_by_key(|part| part.number);
    Ok(parts)
}

/// Number and form of a part, from its name.
fn part_name(name: &str, table: Table) -> Option<(u32, bool)> {
    let rest = name.strip_prefix(table.name())?.strip_prefix('-')?;
    let (number, extension) = rest.split_once('.')?;
    let finished = match extension {
        "parquet" => true,
        "arrows" => false,
        _ => return None,
    };
    Some((number.parse().ok()?, finished))
}

/// Takes the rows of a journal, batch by batch.
pub(crate) type TakeBatch<'a> = &'a mut dyn FnMut(&RecordBatch) -> Result<(), RecordError>;

/// Reads the rows of a table of the journal (events or samples) in order, with plain text
/// instead of dictionaries, and hands them to `take`, batch by batch.
///
/// `only` limits the columns (unknown names are left out). Returns what was damaged: of such a
/// part everything before the damage was handed out.
///
/// # Errors
/// If a file cannot be read, or with the error of `take`.
pub fn read_journal(
    run_dir: &Path,
    table: Table,
    only: Option<&[&str]>,
    take: &mut dyn FnMut(&RecordBatch) -> Result<(), RecordError>,
) -> Result<Vec<Damage>, RecordError> {
    let mut damages = Vec::new();
    for part in parts(&journal_dir(run_dir), table)? {
        if part.finished {
            read_finished(&part.path, only, take)?;
        } else {
            let mut project = |batch: &RecordBatch| take(&project(batch, only)?);
            damages.extend(stream::read(&part.path, table.columns(), &mut project)?);
        }
    }
    Ok(damages)
}

fn project(batch: &RecordBatch, only: Option<&[&str]>) -> Result<RecordBatch, RecordError> {
    Ok(match only {
        Some(names) => batch.project(&positions(&batch.schema(), names))?,
        None => batch.clone(),
    })
}

/// A table of the journal that is read several times: a small one is read once and kept.
pub(crate) struct JournalTable<'a> {
    run_dir: &'a Path,
    table: Table,
    kept: Option<Vec<RecordBatch>>,
    /// Of what was kept.
    damages: Vec<Damage>,
}

impl<'a> JournalTable<'a> {
    pub(crate) fn open(run_dir: &'a Path, table: Table) -> Result<Self, RecordError> {
        let mut opened = Self { run_dir, table, kept: None, damages: Vec::new() };
        // One live part and nothing else: then it is small, and reading it means checking it.
        let small = matches!(&parts(&journal_dir(run_dir), table)?[..], [] | [Part { finished: false, .. }]);
        if small {
            let mut kept = Vec::new();
            opened.damages = read_journal(run_dir, table, None, &mut |batch| {
                kept.push(batch.clone());
                Ok(())
            })?;
            // A batch costs time in every column, however small it is.
            opened.kept = Some(vec![concat_batches(&part_schema(table.columns()), &kept)?]);
        }
        Ok(opened)
    }

    /// Whether it is in memory.
    pub(crate) const fn is_kept(&self) -> bool {
        self.kept.is_some()
    }

    /// As [`read_journal`].
    pub(crate) fn read(
        &self,
        only: Option<&[&str]>,
        take: TakeBatch<'_>,
    ) -> Result<Vec<Damage>, RecordError> {
        let Some(kept) = &self.kept else {
            return read_journal(self.run_dir, self.table, only, take);
        };
        for batch in kept {
            take(&project(batch, only)?)?;
        }
        Ok(self.damages.clone())
    }
}

fn positions(schema: &Schema, names: &[&str]) -> Vec<usize> {
    let fields = schema.fields().iter().enumerate();
    fields.filter(|(_, field)| names.contains(&field.name().as_str())).map(|(position, _)| position).collect()
}

pub(crate) fn read_finished(
    path: &Path,
    only: Option<&[&str]>,
    take: &mut dyn FnMut(&RecordBatch) -> Result<(), RecordError>,
) -> Result<(), RecordError> {
    let file = fs::File::open(path).at("open", path)?;
    let mut builder = ParquetRecordBatchReaderBuilder::try_new(file).at("read", path)?;
    if let Some(names) = only {
        let roots = positions(builder.schema(), names);
        let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
        builder = builder.with_projection(mask);
    }
    let reader = builder.with_batch_size(BATCH_ROWS).build().at("read", path)?;
    for batch in reader {
        take(&batch?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_part_in_both_forms_the_finished_one_counts() {
        let directory = tempfile::tempdir().unwrap();
        for name in [
            "events-000001.arrows",
            "events-000000.arrows",
            "events-000000.parquet",
            ".events-000001.parquet.tmp",
            "samples-000007.arrows",
            "agent-c17-0.log",
            "lock",
        ] {
            fs::write(directory.path().join(name), "").unwrap();
        }
        let parts = parts(directory.path(), Table::Events).unwrap();
        let found: Vec<_> = parts.iter().map(|p| (p.number, p.finished)).collect();
        assert_eq!(found, [(0, true), (1, false)]);
    }
}
