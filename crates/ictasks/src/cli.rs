//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Runs many small programs on all processors and records what happened to every one of them.
#[derive(Debug, Parser)]
#[command(name = "ictasks", version, propagate_version = true, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    /// When to use colours (NO_COLOR is respected): `--color never`
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    pub color: Color,
    /// Say more, for instance how the number of workers came about: `-v`
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub verbose: bool,
    /// Say nothing but errors: `-q`
    #[arg(short, long, global = true)]
    pub quiet: bool,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  all tasks succeeded
  1  some tasks did not succeed
  2  bad usage or input; nothing was run, or what ran was finished
  3  the record could not be kept, or the farm itself was in trouble
  130, 143  interrupted by SIGINT, SIGTERM";

const TASKFARM_EXAMPLES: &str = "\
Examples:
  ictasks taskfarm --tasklist tasks.dat
  ictasks taskfarm --config my.yaml --run-dir runs/first
  ictasks taskfarm --config my.yaml --tasklist tasks.jsonl --workers 4
  seq 100 | sed 's|^|%SUBMITDIR%/simulate |' | ictasks taskfarm --tasklist - --run-dir sweep";

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the tasks of a list or a configuration, each in a directory of its own
    #[command(after_help = [TASKFARM_EXAMPLES, EXIT_CODES].join("\n\n"))]
    Taskfarm(TaskfarmArguments),
    /// Print the JSON schema of the configuration file: `ictasks schema > ictasks.schema.json`
    Schema,
}

/// What `ictasks taskfarm` takes.
#[derive(Debug, Args)]
pub struct TaskfarmArguments {
    /// Configuration in YAML, `-` for standard input: `--config my.yaml`
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Tasks, one command or JSON object a line, `-` for standard input; they win over those of
    /// the configuration: `--tasklist tasks.dat`
    #[arg(long, value_name = "FILE")]
    pub tasklist: Option<PathBuf>,
    /// How the task list is written; by default JSON lines if its name ends in .jsonl:
    /// `--tasklist - --tasklist-format jsonl`
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub tasklist_format: Option<ListFormat>,
    /// Where the record and the tasks' directories go; by default the current directory:
    /// `--run-dir runs/first`
    #[arg(long, aliases = ["work-dir", "work_dir"], value_name = "DIR")]
    pub run_dir: Option<PathBuf>,
    /// Tasks at a time; by default one for each processor or as `task_distribution` says: `--workers 4`
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    pub workers: Option<i32>,
    /// Show what would be run, where and how, and run nothing: `--dry-run`
    #[arg(long)]
    pub dry_run: bool,
    /// Delete what an earlier run recorded in the run directory; files that its tasks made of
    /// their own stay: `--overwrite`
    #[arg(long)]
    pub overwrite: bool,
    /// What to show while tasks run; auto is a bar on a terminal and else a line now and then:
    /// `--progress plain`
    #[arg(long, value_enum, default_value_t = Progress::Auto, value_name = "HOW")]
    pub progress: Progress,
}

/// `--tasklist-format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ListFormat {
    /// One command a line
    Lines,
    /// One JSON task a line
    Jsonl,
}

/// `--progress`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Progress {
    /// A bar on a terminal, else lines
    Auto,
    /// A bar
    Bar,
    /// A line after 10 s, then rarer, down to one in 5 min
    Plain,
    /// Nothing
    None,
}

/// `--color`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Errors.
    Quiet,
    /// Also warnings and the summary.
    Normal,
    /// Also how things came about.
    Verbose,
}

impl Cli {
    /// Of `-v` and `-q`.
    pub const fn verbosity(&self) -> Verbosity {
        match (self.quiet, self.verbose) {
            (true, _) => Verbosity::Quiet,
            (false, true) => Verbosity::Verbose,
            (false, false) => Verbosity::Normal,
        }
    }
}
