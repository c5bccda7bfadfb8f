//! The journal: what is kept of a run while it is alive.
//!
//! `journal/events-000000.parquet` is a finished part, `events-000001.arrows` the live one, an
//! Arrow IPC stream that grows by a batch at least every 50 ms. `samples-*` likewise.
//! [`live`] writes and finishes parts, [`stream`] reads a live part up to its first damage.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use ictasks_core::layout;

use crate::error::{AtPath, RecordError};
use crate::parquet_file::{Opened, ParquetFile};
use crate::schema::Table;

pub(crate) mod live;
mod shape;
pub(crate) mod stream;

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
    /// Of a finished part: the stream that it was made from, where a crash left that.
    stream: Option<PathBuf>,
}

/// Why a file could not be read to its end. All that was read before is true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub path: PathBuf,
    /// Up to which byte it is good, where that can be told.
    pub good_bytes: u64,
    /// What is wrong there.
    pub what: String,
}

impl Damage {
    pub(crate) fn new(path: &Path, good_bytes: u64, what: impl Into<String>) -> Self {
        Self { path: path.to_path_buf(), good_bytes, what: what.into() }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is damaged", self.path.display())?;
        if self.good_bytes > 0 {
            write!(f, " after byte {}", self.good_bytes)?;
        }
        write!(f, ": {}; what follows there is lost", self.what)
    }
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
            parts.push(Part { number, path, finished, stream: None });
        }
    }
    parts.sort_by_key(|part| (part.number, !part.finished));
    parts.dedup_by(|stream, finished| {
        let is_same = stream.number == finished.number;
        if is_same {
            finished.stream = Some(std::mem::take(&mut stream.path));
        }
        is_same
    });
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
        damages.extend(read_part(&part, table, only, take)?);
    }
    Ok(damages)
}

/// Reads the bytes of a live part of events or samples, whatever they are, and returns the number of
/// rows: for tests that make up such bytes.
#[doc(hidden)]
pub fn read_live_part(bytes: &[u8], table: Table) -> usize {
    let mut rows = 0;
    let read = stream::read_bytes(bytes, table.columns(), &mut |batch| {
        rows += batch.num_rows();
        Ok(())
    });
    // Reading from memory does not fail; damage is what such tests are for.
    drop(read);
    rows
}

/// Reads one part up to its end or its first damage.
pub(crate) fn read_part(
    part: &Part,
    table: Table,
    only: Option<&[&str]>,
    take: TakeBatch<'_>,
) -> Result<Option<Damage>, RecordError> {
    let columns = table.columns();
    let of_stream = |path: &Path, take: TakeBatch<'_>| {
        stream::read(path, columns, &mut |batch| take(&project(batch, only)?))
    };
    if !part.finished {
        return of_stream(&part.path, take);
    }
    match (ParquetFile::open(&part.path)?, &part.stream) {
        (Opened::Whole(file), _) => file.read(columns, only, take),
        (_, Some(stream)) => of_stream(stream, take),
        (Opened::Damaged(damage), None) => Ok(Some(damage)),
        (Opened::Absent, None) => Ok(None),
    }
}

pub(crate) fn project(batch: &RecordBatch, only: Option<&[&str]>) -> Result<RecordBatch, RecordError> {
    let Some(names) = only else { return Ok(batch.clone()) };
    let schema = batch.schema();
    let fields = schema.fields().iter().enumerate();
    let asked = fields.filter(|(_, field)| names.contains(&field.name().as_str()));
    let positions: Vec<usize> = asked.map(|(position, _)| position).collect();
    Ok(batch.project(&positions)?)
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
