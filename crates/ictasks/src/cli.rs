//! What can be typed.

pub mod compare;
pub mod export;
pub mod report;
pub mod submit;
pub mod taskfarm;

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
    /// 0.2.4's option before the subcommand: all but 0 is a dry run
    #[arg(long = "dry_run", hide = true, value_name = "N", value_parser = clap::value_parser!(i32).range(0..=2))]
    pub old_dry_run: Option<i32>,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  all tasks succeeded
  1  some tasks did not succeed
  2  bad usage or input; nothing was run, or what ran was finished
  3  the record could not be kept, or the farm itself was in trouble
  130, 143, 129  interrupted by SIGINT, SIGTERM, SIGHUP";

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the tasks of a list or a configuration, each in a directory of its own
    #[command(after_help = [taskfarm::EXAMPLES, EXIT_CODES].join("\n\n"))]
    Taskfarm(taskfarm::TaskfarmArguments),
    /// Have Slurm run it: write a batch script and submit it: `ictasks submit --config my.yaml --nodes 2 --time 2h`
    #[command(after_help = submit::EXAMPLES)]
    Submit(submit::SubmitArguments),
    /// Show the state of a run, alive or not, from its files: `ictasks watch runs/first`
    Watch(WatchArguments),
    /// Ask a run to stop, from any host that sees its directory: `ictasks stop runs/first --drain`
    Stop(StopArguments),
    /// Summarise a run: what happened, what failed and why, what to change: `ictasks report runs/first`
    #[command(after_help = report::EXAMPLES)]
    Report(report::ReportArguments),
    /// Show what changed from one run to another: `ictasks compare runs/before runs/after`
    #[command(after_help = compare::EXAMPLES)]
    Compare(compare::CompareArguments),
    /// Print what a task printed: `ictasks output runs/first 17 --stderr`
    #[command(after_help = export::OUTPUT_EXAMPLES)]
    Output(export::OutputArguments),
    /// Write a run in a format of other programs: `ictasks export runs/first --format csv`
    #[command(after_help = export::EXPORT_EXAMPLES)]
    Export(export::ExportArguments),
    /// Print the JSON schema of the configuration file, or of a page in JSON: `ictasks schema report`
    Schema {
        /// Of what
        #[arg(value_enum, default_value_t = SchemaOf::Config, value_name = "WHAT")]
        of: SchemaOf,
    },
}

/// What has a JSON schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SchemaOf {
    /// The configuration file
    Config,
    /// `ictasks report --format json`
    Report,
    /// `ictasks report --task ID --format json`
    Task,
    /// `ictasks compare --format json`
    Compare,
}

/// What `ictasks watch` takes.
#[derive(Debug, Args)]
pub struct WatchArguments {
    /// The run directory
    #[arg(value_name = "RUN_DIR", default_value = ".")]
    pub run_dir: PathBuf,
    /// Seconds between two looks; without a terminal there is one look: `--interval 5`
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0, value_parser = interval)]
    pub interval: f64,
}

fn interval(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.1..=86_400.0).contains(&seconds) => Ok(seconds),
        _ => Err("give seconds, 0.1 or more".to_owned()),
    }
}

/// What `ictasks stop` takes.
#[derive(Debug, Args)]
pub struct StopArguments {
    /// The run directory, or that of all shards
    #[arg(value_name = "RUN_DIR", default_value = ".")]
    pub run_dir: PathBuf,
    /// Let the tasks that run finish, and start no others: `--drain`
    #[arg(long)]
    pub drain: bool,
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
