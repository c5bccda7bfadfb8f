//! What `ictasks taskfarm` takes.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use ictasks_core::config::BackendChoice;
use ictasks_core::task_list::Shard;

/// Examples for the help.
pub const EXAMPLES: &str = "\
Examples:
  ictasks taskfarm --tasklist tasks.dat
  ictasks taskfarm --config my.yaml --run-dir runs/first
  ictasks taskfarm --config my.yaml --tasklist tasks.jsonl --workers 4
  ictasks taskfarm --config my.yaml --run-dir runs/first --resume
  ictasks taskfarm --config sweep.yaml --dry-run      # `sweep:` makes tasks of parameters
  seq 100 | sed 's|^|%SUBMITDIR%/simulate |' | ictasks taskfarm --tasklist - --run-dir sweep";

/// The arguments.
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
