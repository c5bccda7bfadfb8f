//! The tables of a run that is alive or was killed, written elsewhere for those who look on.
//!
//! They are made by the code that makes them at the end of a run, from the tables of its earlier
//! starts and its journal. The run directory is only read; the run may go on, or end, meanwhile.

use std::io::ErrorKind;
use std::path::Path;

use ictasks_core::column::Timestamp;

use crate::error::RecordError;
use crate::files::put_in_place;
use crate::journal::{journal_dir, parts};
use crate::life::Life;
use crate::manifest::RunFile;
use crate::parquet_file::{Opened, ParquetFile};
use crate::recorded::Recorded;
use crate::recovery::{Unrecorded, has_slot_log, is_record};
use crate::schema::Table;
use crate::table_file::{FileFacts, Purpose};
use crate::tables;

/// How often it is tried again when files become other files while they are read.
const ATTEMPTS: usize = 10;

/// What there is to say about tables that were written by [`write_snapshot`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// For people: what could not be read, and what became of values that have no column.
    pub damages: Vec<String>,
}

/// Whether the tables of a run directory do not tell all that the run recorded: one of them is
/// missing or cannot be opened, or there is a journal, because the run is alive or was killed.
///
/// # Errors
/// [`RecordError::NoRecord`] if there is no record; [`RecordError::Newer`] if a newer version wrote it;
/// [`RecordError::File`] if something may not be read.
pub fn needs_snapshot(run_dir: &Path) -> Result<bool, RecordError> {
    if !is_record(run_dir)? {
        return Err(RecordError::NoRecord { path: run_dir.to_path_buf() });
    }
    for table in Table::ALL {
        if !matches!(ParquetFile::open(&run_dir.join(table.file_name()))?, Opened::Whole(_)) {
            return Ok(true);
        }
    }
    for table in [Table::Events, Table::Samples] {
        if !parts(&journal_dir(run_dir), table)?.is_empty() {
            return Ok(true);
        }
    }
    has_slot_log(run_dir)
}

/// Writes the four tables of a run, as they would be if it ended now, into another directory. Of a
/// run that was killed the logs of the agents are read too: they may know more than the coordinator
/// did. What ran at that moment has no row in attempts.parquet, only the event of its start.
///
/// Nothing in the run directory is changed, and no lock is taken.
///
/// # Errors
/// [`RecordError::NoRecord`] if there is no record; [`RecordError::Newer`] if a newer version wrote it;
/// [`RecordError::File`] if something may not be read, or cannot be written. Damage is no error.
pub fn write_snapshot(run_dir: &Path, into: &Path) -> Result<Snapshot, RecordError> {
    if !is_record(run_dir)? {
        return Err(RecordError::NoRecord { path: run_dir.to_path_buf() });
    }
    for _ in 1..ATTEMPTS {
        match write_once(run_dir, into) {
            // A part that vanishes between two steps has become another file.
            Ok(None) => {}
            Err(RecordError::File { source, path, .. })
                if source.kind() == ErrorKind::NotFound && !path.starts_with(into) => {}
            Ok(Some(snapshot)) => return Ok(snapshot),
            Err(error) => return Err(error),
        }
    }
    // It changes all the time; half of it would be worse than to say so.
    let changed = std::io::Error::other("its files change faster than they can be read");
    let path = journal_dir(run_dir);
    write_once(run_dir, into)?.ok_or(RecordError::File { action: "read", path, source: changed })
}

/// `None` if files that were to be read are gone.
fn write_once(run_dir: &Path, into: &Path) -> Result<Option<Snapshot>, RecordError> {
    let mut damages = Vec::new();
    let run = match RunFile::read(run_dir) {
        Err(RecordError::Manifest { path, source }) => {
            damages.push(format!("`{}` is damaged: {source}", path.display()));
            None
        }
        run => run?,
    };
    let is_alive = Life::of(run.as_ref(), Timestamp::now()) == Life::Alive;
    let mut events = Recorded::open(run_dir, Table::Events)?.keep_live_parts(is_alive)?;
    let samples = Recorded::open(run_dir, Table::Samples)?.keep_live_parts(is_alive)?;
    let run_id = run.as_ref().map(|run| run.run_id.clone());
    let found = Unrecorded::find(run_dir, run_id, &events, is_alive)?;
    events.add(found.rows);
    let facts = FileFacts {
        version: run.map(|run| run.version).or(found.version).unwrap_or_default(),
        run_id: found.run_id.unwrap_or_default(),
        last_seq: None,
        last_part: None,
    };
    let tables = tables::write(&events, &samples, into, facts, Purpose::Copy, i64::MAX)?;
    if !events.is_still_there() || !samples.is_still_there() {
        return Ok(None);
    }
    for table in Table::ALL {
        put_in_place(&into.join(table.file_name()))?;
    }
    damages.extend(found.losses);
    damages.extend(tables.warnings);
    Ok(Some(Snapshot { damages }))
}

#[cfg(test)]
mod tests;
