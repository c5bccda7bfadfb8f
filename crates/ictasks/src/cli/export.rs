//! What `ictasks export` and `ictasks output` take.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

pub const EXPORT_EXAMPLES: &str = "\
Examples:
  ictasks export runs/first --format perfetto -o trace.json   then open it in https://ui.perfetto.dev
  ictasks export runs/first --format junit -o junit.xml
  ictasks export runs/first --format joblog -o log; parallel --resume --joblog log :::: tasks.dat
  ictasks export runs/first --format csv | head
  ictasks export runs/first --format parquet -o tables        of a run that is alive or was killed";

pub const OUTPUT_EXAMPLES: &str = "\
Examples:
  ictasks output runs/first 17
  ictasks output runs/first 17 --stderr | less
  ictasks output runs/first 17 --stderr --attempt 1";

/// What `ictasks export` takes.
#[derive(Debug, Args)]
pub struct ExportArguments {
    /// The run directory
    #[arg(value_name = "RUN_DIR", default_value = ".")]
    pub run_dir: PathBuf,
    /// What to write: `--format csv`
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: ExportFormat,
    /// Where to write it; by default to standard output; a directory for parquet: `-o tasks.csv`
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// `--format` of `ictasks export`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// A timeline of hosts, workers and attempts for ui.perfetto.dev (Chrome's trace-event JSON)
    Perfetto,
    /// JUnit XML for continuous integration: a test case for each task
    Junit,
    /// The log of GNU parallel's `--joblog`
    Joblog,
    /// The tasks with all their columns, safe for spreadsheets: text that begins like a formula
    /// has an apostrophe in front
    Csv,
    /// The tables tasks, attempts, events and samples, also of a run that is alive or was killed, into a directory
    Parquet,
}

/// What `ictasks output` takes.
#[derive(Debug, Args)]
pub struct OutputArguments {
    /// The run directory
    #[arg(value_name = "RUN_DIR")]
    pub run_dir: PathBuf,
    /// The id of the task
    #[arg(value_name = "TASK", allow_hyphen_values = true)]
    pub task: String,
    /// Its standard error; by default its standard output: `--stderr`
    #[arg(long)]
    pub stderr: bool,
    /// Of this attempt; by default of the last one: `--attempt 1`
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    pub attempt: Option<i64>,
}
