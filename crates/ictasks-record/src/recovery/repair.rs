//! Bringing into the journal what no event tells, and only then giving up where it was found.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use ictasks_core::column::Timestamp;

use super::known::Known;
use super::missing::Sources;
use crate::error::{AtPath, RecordError};
use crate::event_row;
use crate::files::{remove_if_there, sync_directory};
use crate::journal::live::LiveTable;
use crate::journal::{journal_dir, parts};
use crate::schema::Table;

/// What the recorder of a run that goes on does first.
#[derive(Clone, Debug)]
pub struct Repair {
    pub(crate) sources: Sources,
    /// What events tell.
    pub(crate) known: Known,
    pub(crate) run_id: String,
    /// Number of the first event that is added.
    pub(crate) first_seq: i64,
    /// How many are added.
    pub(crate) count: i64,
    /// Files that cannot be read; they are kept under another name.
    pub(crate) set_aside: Vec<PathBuf>,
}

impl Repair {
    /// How many ends of attempts are added to the journal.
    pub const fn added_count(&self) -> i64 {
        self.count
    }

    /// Adds the events, brings the whole journal to the disk, and only then removes the slot
    /// logs and sets aside what cannot be read.
    pub(crate) fn apply(mut self, run_dir: &Path, events: &mut LiveTable) -> Result<(), RecordError> {
        let directory = journal_dir(run_dir);
        let now = Timestamp::now();
        let (mut seq, end) = (self.first_seq, self.first_seq + self.count);
        self.sources.read(&self.run_id, &mut self.known, &mut |found| {
            if seq < end {
                events.push(|take| {
                    event_row::cells_of_attempt(seq, found.at(now), found.kind, found.cells, take);
                })?;
                seq += 1;
            }
            Ok(())
        })?;
        events.flush()?;
        // A killed recorder may have left the last second of its journal in memory only.
        for table in [Table::Events, Table::Samples] {
            for part in parts(&directory, table)? {
                let file = File::open(&part.path).at("open", &part.path)?;
                file.sync_data().at("sync", &part.path)?;
            }
        }
        sync_directory(&directory)?;
        for log in &self.sources.logs {
            remove_if_there(log)?;
        }
        for path in &self.set_aside {
            let aside = free_name(path);
            fs::rename(path, &aside).at("set aside", path)?;
        }
        sync_directory(run_dir)
    }
}

/// `NAME.damaged`, or the first `NAME.damaged-N` that is free.
pub(crate) fn free_name(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let numbered = (2..).map(|number| path.with_file_name(format!("{name}.damaged-{number}")));
    let mut names = std::iter::once(path.with_file_name(format!("{name}.damaged"))).chain(numbered);
    names.find(|name| !name.exists()).unwrap_or_else(|| path.with_extension("damaged"))
}
