//! What can go wrong with the record. Messages read after "failed to".

use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why the record could not be written, read or taken over.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// A file operation failed.
    #[error("{action} `{}`", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// There was no room (disk or quota); the reserve was given up so that the end can be written.
    #[error("write `{}`, because the disk or the quota is full", path.display())]
    Full {
        /// The file that was being written.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A Parquet file could not be written or read.
    #[error("{action} the table `{}`", path.display())]
    Table {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the Parquet library said.
        source: parquet::errors::ParquetError,
    },
    /// Rows could not be brought into columns.
    #[error("arrange rows of the record")]
    Rows(#[from] arrow::error::ArrowError),
    /// run.json is not what this version writes.
    #[error("understand `{}`", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// Where it deviates.
        source: serde_json::Error,
    },
    /// Another process writes into the run directory.
    #[error("take `{}`: {holder} is at work in it", path.display())]
    Locked {
        /// The run directory.
        path: PathBuf,
        /// Host and process of the holder, as far as known.
        holder: String,
    },
    /// The recorder's thread is gone.
    #[error("reach the recorder, which has stopped")]
    Stopped,
    /// An error that was reported before and still holds.
    #[error(transparent)]
    Earlier(Arc<RecordError>),
}

/// Says on what file an operation failed.
pub(crate) trait AtPath<T> {
    /// `action` is a verb that reads after "failed to" and before the path.
    fn at(self, action: &'static str, path: &Path) -> Result<T, RecordError>;
}

impl<T> AtPath<T> for std::io::Result<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T, RecordError> {
        self.map_err(|source| RecordError::File { action, path: path.to_path_buf(), source })
    }
}

impl<T> AtPath<T> for parquet::errors::Result<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T, RecordError> {
        self.map_err(|source| RecordError::Table { action, path: path.to_path_buf(), source })
    }
}
