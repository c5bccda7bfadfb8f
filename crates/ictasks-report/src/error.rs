//! What can go wrong with a report. Messages read after "failed to".

use std::path::PathBuf;

use polars::error::PolarsError;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A file could not be read.
    #[error("read `{}`", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A table could not be read.
    #[error("read the table `{}`", path.display())]
    Table {
        /// Which.
        path: PathBuf,
        /// What polars said.
        source: PolarsError,
    },
    /// A newer program wrote the record.
    #[error(
        "read `{}`: its record has format version {found}, and this program ({program}) knows {known} and \
         below: use a newer `ictasks`", path.display()
    )]
    Newer {
        /// Where.
        path: PathBuf,
        /// Its version.
        found: u64,
        /// The version known here.
        known: u32,
        /// Version of this program.
        program: &'static str,
    },
    /// run.json is not what any version writes.
    #[error("understand `{}`", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// Where it deviates.
        source: serde_json::Error,
    },
    /// There is no such column.
    #[error("find the column `{name}`; there are: {}", known.join(", "))]
    NoColumn {
        /// As typed.
        name: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// The expression of `--filter` is not understood.
    #[error("understand the filter `{expression}`: {message}")]
    Filter {
        /// As typed.
        expression: String,
        /// What is wrong, and what would be right.
        message: String,
    },
    /// There is no such task.
    #[error("find task `{id}` in `{}`", run_dir.display())]
    NoTask {
        /// As typed.
        id: String,
        /// Where it was looked for.
        run_dir: PathBuf,
    },
    /// A computation on the tables failed.
    #[error("compute with the tables")]
    Compute(#[from] PolarsError),
}
