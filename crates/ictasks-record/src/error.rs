//! What can go wrong with the record. Messages read after "failed to".

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::errors::ParquetError;

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
    /// There was no room (disk or quota); the reserve is given up then, so that the end can be written.
    #[error(
        "write `{}`, because the disk or the quota is full; what was recorded is kept: free some space, then \
         go on with `--resume`", path.display()
    )]
    Full {
        /// The file that was being written.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The user's limit on the size of files was reached.
    #[error(
        "write `{}`, because no file may be that large here; raise `ulimit -f`, then go on with `--resume`",
        path.display()
    )]
    TooLarge {
        /// The file that was being written.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// At the end of a run its journal does not hold what was written into it.
    #[error("keep the record: files in `{}` were removed or damaged while the run went on", path.display())]
    JournalLost {
        /// The journal's directory.
        path: PathBuf,
    },
    /// A Parquet file could not be written or read.
    #[error("{action} the table `{}`", path.display())]
    Table {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the Parquet library said.
        source: ParquetError,
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
    /// A newer version wrote the record.
    #[error(
        "read `{}`: it has format {found}, and this version of ictasks knows formats up to {}; use the \
         version that wrote it, or a later one", path.display(), crate::FORMAT_VERSION
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// A coordinator elsewhere touched run.json a short while ago.
    #[error(
        "take `{}`: process {pid} on {host} was at work in it {age_s} s ago; if that is dead, it counts as \
         dead in {left_s} s: try again then", path.display()
    )]
    Leased {
        /// The run directory.
        path: PathBuf,
        /// Host of the coordinator.
        host: String,
        /// Its process.
        pid: u32,
        /// Seconds since it was seen last.
        age_s: i64,
        /// Seconds until it counts as dead.
        left_s: i64,
    },
    /// Agents of a dead coordinator have not ended.
    #[error(
        "go on in `{}`: after {waited_s} s an agent of an earlier start is still ending its tasks ({agents}); \
         end it, or try again later", path.display()
    )]
    AgentsAlive {
        /// The run directory.
        path: PathBuf,
        /// Their logs.
        agents: String,
        /// How long they were waited for.
        waited_s: u64,
    },
    /// There is no record.
    #[error("find the record of a run in `{}`; name the run directory", path.display())]
    NoRecord {
        /// The directory.
        path: PathBuf,
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

/// Whether the error says that disk or quota are full.
pub(crate) fn is_full(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
}

impl<T> AtPath<T> for std::io::Result<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T, RecordError> {
        self.map_err(|source| of_file(action, path.to_path_buf(), source))
    }
}

impl<T> AtPath<T> for parquet::errors::Result<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T, RecordError> {
        self.map_err(|source| {
            let path = path.to_path_buf();
            match source {
                ParquetError::External(cause) => match cause.downcast::<std::io::Error>() {
                    Ok(cause) => of_file(action, path, *cause),
                    Err(cause) => RecordError::Table { action, path, source: ParquetError::External(cause) },
                },
                source => RecordError::Table { action, path, source },
            }
        })
    }
}

fn of_file(action: &'static str, path: PathBuf, source: std::io::Error) -> RecordError {
    match source.kind() {
        _ if is_full(&source) => RecordError::Full { path, source },
        std::io::ErrorKind::FileTooLarge => RecordError::TooLarge { path, source },
        _ => RecordError::File { action, path, source },
    }
}
