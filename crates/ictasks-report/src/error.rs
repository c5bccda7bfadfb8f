//! What can go wrong with a report. Messages read after "failed to".

use std::path::PathBuf;

use ictasks_core::layout::FORMAT_VERSION;
use polars::error::PolarsError;

use crate::harmless::one_line;
use crate::moment::Moment;

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
    /// The rows of a table could not be read.
    #[error("read the rows of `{}`", path.display())]
    Rows {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        source: arrow::error::ArrowError,
    },
    /// What was made could not be written.
    #[error("write the output")]
    Output(#[source] std::io::Error),
    /// A newer program wrote the record.
    #[error(
        "read `{}`: it has format {found}, and this version of ictasks knows formats up to {FORMAT_VERSION}; use \
         the version that wrote it, or a later one", path.display()
    )]
    Newer {
        /// Where.
        path: PathBuf,
        /// Its version.
        found: u64,
    },
    /// There is no such column.
    #[error("find the column `{name}`; there are: {}", known.join(", "))]
    NoColumn {
        /// As typed.
        name: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// Tasks were to be paired by parameters, and no parameter is one of both runs.
    #[error("pair tasks by parameters: the runs share none (A has {a}; B has {b})")]
    NoSharedParams {
        /// Those of the first run, in words.
        a: String,
        /// Those of the second run, in words.
        b: String,
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
    #[error("find task `{}` in `{}`{}", one_line(id), run_dir.display(), hint(nearest))]
    NoTask {
        /// As typed.
        id: String,
        /// Where it was looked for.
        run_dir: PathBuf,
        /// Ids that there are, the most similar first.
        nearest: Vec<String>,
    },
    /// A task has begun, and the record does not know what came of it.
    #[error(
        "find what came of task `{}` in `{}`: attempt {attempt} began {} on {} (worker {worker_id}, process {pid}), \
         and its end is not recorded; `ictasks output` prints what it has printed",
        one_line(id), run_dir.display(), began_at.for_people(), one_line(host)
    )]
    NotEnded {
        /// As typed.
        id: String,
        /// Where it was looked for.
        run_dir: PathBuf,
        /// The attempt that began last.
        attempt: i64,
        /// When.
        began_at: Moment,
        /// Where.
        host: String,
        /// On which worker.
        worker_id: i64,
        /// Its first process.
        pid: i64,
    },
    /// A computation on the tables failed.
    #[error("compute with the tables")]
    Compute(#[from] PolarsError),
}

fn hint(nearest: &[String]) -> String {
    let quoted: Vec<String> = nearest.iter().map(|id| format!("`{}`", one_line(id))).collect();
    match quoted.as_slice() {
        [] => "; there are no tasks in its record".to_owned(),
        ids => format!("; give the id of one of its tasks, for instance {}", ids.join(", ")),
    }
}
