//! What can be typed.

pub mod export;
pub mod report;
pub mod submit;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use ictasks_core::config::BackendChoice;
use ictasks_core::task_list::Shard;

pub mod compare;

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
  130, 143, 129  interrupted by SIGINT, SIGTERM, SIGHUP";

const TASKFARM_EXAMPLES: &str = "\
Examples:
  ictasks taskfarm --tasklist tasks.dat
  ictasks taskfarm --config my.yaml --run-dir runs/first
  ictasks taskfarm --config my.yaml --tasklist tasks.jsonl --workers 4
  ictasks taskfarm --config my.yaml --run-dir runs/first --resume
  ictasks taskfarm --config sweep.yaml --dry-run      # `sweep:` makes tasks of parameters
  seq 100 | sed 's|^|%SUBMITDIR%/simulate |' | ictasks taskfarm --tasklist - --run-dir sweep";

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the tasks of a list or a configuration, each in a directory of its own
    #[command(after_help = [TASKFARM_EXAMPLES, EXIT_CODES].join("\n\n"))]
    Taskfarm(TaskfarmArguments),
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

/// What `ictasks taskfarm` takes.
#[derive(Clone, Debug, Args)]
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
    /// Where tasks run; auto is all nodes of a Slurm allocation of more than this one, else this
    /// machine: `--backend slurm`
    #[arg(long, value_enum, value_name = "WHERE")]
    pub backend: Option<Backend>,
    /// Show what would be run, where and how, and run nothing: `--dry-run`
    #[arg(long)]
    pub dry_run: bool,
    /// Delete what an earlier run recorded in the run directory; files that its tasks made of
    /// their own stay: `--overwrite`
    #[arg(long)]
    pub overwrite: bool,
    /// Move an earlier run in the run directory to earlier/RUN_ID there, its tasks' files too: `--set-aside`
    #[arg(long, conflicts_with = "overwrite")]
    pub set_aside: bool,
    /// Go on with the run in the run directory: what succeeded is left out, all else runs; without
    /// a record there a new run begins. Without --config and --tasklist the input of the last
    /// start is taken: `--run-dir runs/first --resume`
    #[arg(long, conflicts_with_all = ["overwrite", "set_aside"])]
    pub resume: bool,
    /// With --resume: run tasks again that succeeded with another command: `--resume --rerun-changed`
    #[arg(long, requires = "resume")]
    pub rerun_changed: bool,
    /// With --resume: run only what never finished or waited for a retry, not what failed:
    /// `--resume --skip-failed`
    #[arg(long, requires = "resume")]
    pub skip_failed: bool,
    /// With --resume: run just the tasks whose ids stand in the file, one a line, also those that
    /// succeeded; `-` is standard input: `--resume --only ids.txt`
    #[arg(long, requires = "resume", conflicts_with = "skip_failed", value_name = "FILE")]
    pub only: Option<PathBuf>,
    /// Run only this part of the list, in a run directory of its own below that of the whole; `ictasks report` reads
    /// them as one. `3/10` is every tenth task, beginning with the third: `--shard 3/10`
    #[arg(long, value_name = "I/K")]
    pub shard: Option<Shard>,
    /// Inside a Slurm job: requeue it where its time did not suffice, as `slurm: {requeue: true}`: `--requeue`
    #[arg(long)]
    pub requeue: bool,
    /// What to show while tasks run; auto is a bar on a terminal and else a line now and then:
    /// `--progress plain`
    #[arg(long, value_enum, default_value_t = Progress::Auto, value_name = "HOW")]
    pub progress: Progress,
    /// Write what happens as JSON lines to this open descriptor, for programs that drive the farm:
    /// `--events-fd 3 3>events.jsonl`
    #[arg(long, value_name = "N")]
    pub events_fd: Option<i32>,
    /// Leave out of these events what a task used: `--events-fd 3 --brief-events`
    #[arg(long, requires = "events_fd")]
    pub brief_events: bool,
    /// End the run when this process ends, the one that drives it; the tasks that it writes to standard input end
    /// with a line `{}`: `--events-fd 3 --attended-by 4711`
    #[arg(long, requires = "events_fd", value_name = "PID", value_parser = clap::value_parser!(i32).range(1..))]
    pub attended_by: Option<i32>,
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

/// `--backend`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Backend {
    /// Slurm's nodes, or this machine
    Auto,
    /// This machine
    Local,
    /// The nodes of a Slurm job
    Slurm,
    /// The nodes that mpiexec knows, or `hosts` of the configuration
    Mpi,
    /// The `hosts` of the configuration
    Ssh,
}

impl From<Backend> for BackendChoice {
    fn from(backend: Backend) -> Self {
        match backend {
            Backend::Auto => Self::Auto,
            Backend::Local => Self::Local,
            Backend::Slurm => Self::Slurm,
            Backend::Mpi => Self::Mpi,
            Backend::Ssh => Self::Ssh,
        }
    }
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
