//! What `ictasks report` takes.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Examples for the help.
pub const EXAMPLES: &str = "\
Examples:
  ictasks report runs/first
  ictasks report runs/first --failures
  ictasks report runs/first --format html
  ictasks report runs/first --group-by param_solver --top 20
  ictasks report runs/first --filter \"outcome != 'succeeded' and host = 'c17'\" --format ids
  ictasks report runs/first --task 17
  ictasks report 'runs/*' --format json -o all.json

Columns of --filter and --group-by are those of tasks.parquet, `param_*` and `result_*` too; --filter also
knows `failure_group` (of --failures) and `run` (the directory), and takes text for a time:
\"started_at > '2026-03-01 12:00'\" (UTC; with a zone: '2026-03-01T12:00:00+01:00').";

/// The arguments.
#[derive(Clone, Debug, Args)]
pub struct ReportArguments {
    /// Run directories, or patterns such as 'runs/*'; several are one report
    #[arg(value_name = "RUN_DIR", default_value = ".")]
    pub run_dirs: Vec<PathBuf>,
    /// What to write: `--format markdown`
    #[arg(long, value_enum, default_value_t = Format::Text, value_name = "FORMAT")]
    pub format: Format,
    /// Where to write it, `-` for standard output; by default standard output, and of HTML
    /// RUN_DIR/report.html: `-o report.md`
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// By what to group: any column; by default the command's program, or its template where
    /// commands differ only in numbers: `--group-by param_solver`
    #[arg(long, value_name = "COLUMN")]
    pub group_by: Option<String>,
    /// Lines of each list; by default 5 in text, 100 elsewhere: `--top 20`
    #[arg(long, value_name = "N")]
    pub top: Option<usize>,
    /// Only tasks for which this holds, in SQL: `--filter "exit_code = 3 or wall_s > 60"`
    #[arg(long, value_name = "EXPR")]
    pub filter: Option<String>,
    /// The groups of failures in full: `--failures`
    #[arg(long, conflicts_with = "task")]
    pub failures: bool,
    /// Everything about one task: `--task 17`
    #[arg(long, value_name = "ID", allow_hyphen_values = true, conflicts_with_all = ["filter", "group_by"])]
    pub task: Option<String>,
    /// Columns of text; by default those of the terminal, else 80: `--width 120`
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(40..))]
    pub width: Option<u16>,
}

/// `--format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For a terminal
    Text,
    /// Markdown tables
    Markdown,
    /// Every number; `ictasks schema report` prints its schema
    Json,
    /// One file for a browser, also offline
    Html,
    /// The ids of tasks, a line each
    Ids,
    /// What the end of a run shows: why tasks failed, and the first advice
    Summary,
}
