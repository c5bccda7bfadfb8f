//! What an earlier run left in a run directory.
//!
//! A second run in the same place is refused, or deletes what the first one wrote ([`delete`]),
//! and nothing else: what tasks made of their own stays.

use std::fs;
use std::io;
use std::path::Path;

use ictasks_core::layout::{self, RUN_FILE};

use crate::error::{AtPath, RecordError};
use crate::files::temporary;
use crate::journal::journal_dir;
use crate::lock::{LOCK_FILE, RunLock};
use crate::manifest::RunFile;
use crate::schema::Table;

mod delete;

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

/// The paths of a record's file: its own, and the temporary one that a crash may have left.
fn both_names(run_dir: &Path, name: &str) -> [std::path::PathBuf; 2] {
    let path = run_dir.join(name);
    [temporary(&path), path]
}
