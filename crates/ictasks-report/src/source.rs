//! A run as the report reads it: its tables and `run.json`.
//!
//! The report knows Parquet and nothing of journals: of a run that is alive or was killed, whoever
//! calls it lets `ictasks-record` write tables of what there is into a directory of its own
//! (`ictasks_record::write_snapshot`) and names that directory here.

use std::path::{Path, PathBuf};

use polars::prelude::{LazyFrame, PlRefPath, ScanArgsParquet};

use crate::error::ReportError;
use crate::findings::RunLife;

/// Tables of the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// `tasks.parquet`.
    Tasks,
    /// `attempts.parquet`.
    Attempts,
    /// `events.parquet`.
    Events,
    /// `samples.parquet`.
    Samples,
}

impl Table {
    /// Its file.
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Tasks => "tasks.parquet",
            Self::Attempts => "attempts.parquet",
            Self::Events => "events.parquet",
            Self::Samples => "samples.parquet",
        }
    }
}

/// A run.
#[derive(Clone, Debug)]
pub struct Source {
    /// The directory as the user gave it.
    pub name: String,
    /// The same; task directories and run.json lie there.
    pub run_dir: PathBuf,
    /// Where its tables lie: the run directory, or that of a snapshot.
    pub tables_dir: PathBuf,
    /// Whether it is at work.
    pub life: RunLife,
    /// For people: what could not be read.
    pub damages: Vec<String>,
}

impl Source {
    /// A run that ended, with its tables in place.
    pub fn finished(run_dir: &Path) -> Self {
        Self {
            name: run_dir.display().to_string(),
            run_dir: run_dir.to_path_buf(),
            tables_dir: run_dir.to_path_buf(),
            life: RunLife::Finished,
            damages: Vec::new(),
        }
    }

    /// Path of a table.
    pub fn path(&self, table: Table) -> PathBuf {
        self.tables_dir.join(table.file_name())
    }

    /// Whether there is such a table.
    pub fn has(&self, table: Table) -> bool {
        self.path(table).exists()
    }

    /// A lazy scan of a table.
    ///
    /// # Errors
    /// If it is missing or is no Parquet file.
    pub fn scan(&self, table: Table) -> Result<LazyFrame, ReportError> {
        let path = self.path(table);
        if let Err(source) = std::fs::metadata(&path) {
            return Err(ReportError::File { path, source });
        }
        // A name with `*` or `[` in it is a name, not a pattern.
        let arguments = ScanArgsParquet { glob: false, ..ScanArgsParquet::default() };
        let scanned = LazyFrame::scan_parquet(PlRefPath::try_from_path(&path)?, arguments);
        scanned.map_err(|source| ReportError::Table { path, source })
    }
}
