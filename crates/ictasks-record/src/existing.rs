//! What an earlier run left in a run directory.
//!
//! A second run in the same place is refused; or it deletes what the first one wrote ([`delete`]), and nothing
//! else: what tasks made of their own stays; or it moves the first one, with all of its tasks, out of the way
//! ([`set_aside`]).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use arrow::array::{AsArray, RecordBatch};
use ictasks_core::layout::{self, RUN_FILE};

use crate::error::{AtPath, RecordError};
use crate::files::temporary;
use crate::journal::{journal_dir, read_journal};
use crate::lock::{LOCK_FILE, RunLock};
use crate::manifest::RunFile;
use crate::parquet_file::{Opened, ParquetFile};
use crate::schema::Table;

mod delete;
mod set_aside;

pub use delete::Deleted;

/// What lies in a run directory.
#[derive(Clone, Debug)]
pub enum Existing {
    /// A record of `ictasks`.
    Record {
        /// Its run.json, where there is one that can be read.
        run: Option<Box<RunFile>>,
        /// Whether there is a journal: the run is alive or was killed.
        journal: bool,
    },
    /// Task directories without a record: of Python ictasks 0.2.4, or the record was lost.
    TaskFiles {
        /// The name of one of the directories.
        example: String,
    },
}

impl Existing {
    /// Looks into a run directory, which need not exist.
    ///
    /// # Errors
    /// If a directory cannot be read.
    pub fn find(run_dir: &Path) -> Result<Option<Self>, RecordError> {
        let journal = has_journal(run_dir)?;
        let tables = Table::ALL.iter().any(|table| run_dir.join(table.file_name()).exists());
        if journal || tables || run_dir.join(RUN_FILE).exists() {
            return Ok(Some(Self::Record {
                run: RunFile::read(run_dir).unwrap_or(None).map(Box::new),
                journal,
            }));
        }
        let mut example = None;
        for_each_task_dir(run_dir, &mut |name| {
            example = Some(name.to_owned());
            Ok(false)
        })?;
        Ok(example.map(|example| Self::TaskFiles { example }))
    }

    /// Deletes what the old record wrote: the tables, run.json, the journal and, of each task
    /// that the record names, `task.json`, the output files, `gpu_ids.txt`, their
    /// `*.attempt-N` copies, and the directory if it is empty then. The task's own files stay.
    ///
    /// Tasks go first, so that a deletion that was cut short can be repeated.
    ///
    /// # Errors
    /// If something cannot be read or removed.
    pub fn delete(&self, lock: &RunLock) -> Result<Deleted, RecordError> {
        let run = match self {
            Self::Record { run, .. } => run.as_deref(),
            Self::TaskFiles { .. } => None,
        };
        delete::delete(lock.run_dir(), run)
    }

    /// Moves the old record and the directories of its tasks, with all that is in them, to
    /// `earlier/<run_id>` in the run directory, and says where that is. Of tasks without a record only what a farm
    /// wrote goes: the rest may have been prepared for the tasks to come.
    ///
    /// # Errors
    /// If something cannot be read or moved.
    pub fn set_aside(&self, lock: &RunLock) -> Result<PathBuf, RecordError> {
        match self {
            Self::Record { run, .. } => set_aside::set_aside(lock.run_dir(), run.as_deref()),
            Self::TaskFiles { .. } => set_aside::set_task_files_aside(lock.run_dir()),
        }
    }
}

/// Whether there is more in the journal's directory than a lock.
pub(crate) fn has_journal(run_dir: &Path) -> Result<bool, RecordError> {
    let directory = journal_dir(run_dir);
    let entries = match fs::read_dir(&directory) {
        Err(error) if is_absent(&error) => return Ok(false),
        entries => entries.at("read", &directory)?,
    };
    for entry in entries {
        if entry.at("read", &directory)?.file_name() != LOCK_FILE {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Calls `take` with the name of the directory of each task that the record names; where it names none,
/// with that of each `task_*` directory that holds a task.json.
fn for_each_recorded_task(
    run_dir: &Path,
    take: &mut dyn FnMut(&str) -> Result<(), RecordError>,
) -> Result<(), RecordError> {
    let mut of_batch = |batch: &RecordBatch| {
        let ids = batch.column_by_name("task_id").and_then(|ids| ids.as_string_opt::<i32>());
        ids.into_iter().flatten().flatten().try_for_each(|id| take(&layout::task_directory(id)))
    };
    let of_table = match ParquetFile::open(&run_dir.join(Table::Tasks.file_name()))? {
        Opened::Whole(file) => file.read(Table::Tasks.columns(), Some(&["task_id"]), &mut of_batch)?,
        Opened::Damaged(damage) => Some(damage),
        Opened::Absent => return for_each_task_dir(run_dir, &mut |name| take(name).map(|()| true)),
    };
    // A table that cannot be read names no tasks; then their directories do.
    if of_table.is_some() {
        return for_each_task_dir(run_dir, &mut |name| take(name).map(|()| true));
    }
    read_journal(run_dir, Table::Events, Some(&["task_id"]), &mut of_batch).map(drop)
}

/// Calls `take` with the name of each `task_*` directory that holds a task.json, until it says
/// no. Links are not followed.
fn for_each_task_dir(
    run_dir: &Path,
    take: &mut dyn FnMut(&str) -> Result<bool, RecordError>,
) -> Result<(), RecordError> {
    let entries = match fs::read_dir(run_dir) {
        Err(error) if is_absent(&error) => return Ok(()),
        entries => entries.at("read", run_dir)?,
    };
    for entry in entries {
        let entry = entry.at("read", run_dir)?;
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| name.starts_with(&layout::task_directory(""))) else {
            continue;
        };
        let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_directory && entry.path().join(layout::TASK_FILE).exists() && !take(name)? {
            break;
        }
    }
    Ok(())
}

/// Files of the record in the run directory itself, run.json last.
fn record_files() -> impl Iterator<Item = &'static str> {
    let tables = Table::ALL.into_iter().map(Table::file_name);
    tables.chain([RUN_FILE])
}

/// Whether a file is what could not be read when a run went on.
fn is_damaged_copy(name: &str) -> bool {
    record_files().any(|ours| name.strip_prefix(ours).is_some_and(|rest| rest.starts_with(".damaged")))
}

/// The paths of a record's file: its own, and the temporary one that a crash may have left.
fn both_names(run_dir: &Path, name: &str) -> [PathBuf; 2] {
    let path = run_dir.join(name);
    [temporary(&path), path]
}
