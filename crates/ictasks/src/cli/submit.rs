//! What `ictasks submit` takes.

use std::path::PathBuf;

use clap::Args;
use ictasks_core::slurm::Shards;

use super::taskfarm::ListFormat;

/// Examples for the help.
pub const EXAMPLES: &str = "\
Examples:
  ictasks submit --config my.yaml --nodes 2 --time 2:00:00 --partition main
  ictasks submit --tasklist tasks.dat --run-dir runs/first --time 2h --dry-run
  ictasks submit --config my.yaml --run-dir runs/long --time 1-0 --requeue
  ictasks submit --config my.yaml --run-dir runs/wide --array 100%20 --nodes 10 --time 4h
  ictasks report runs/wide                       # all shards as one

Every other option is one of sbatch. `slurm:` in the configuration holds them, too: `slurm: {nodes: 2, time: 2h,
setup: [module load gcc], requeue: true}`; the command line wins. Without a word about CPUs the nodes are taken as
a whole (--exclusive).";

/// The arguments.
#[derive(Clone, Debug, Args)]
pub struct SubmitArguments {
    /// Configuration in YAML: `--config my.yaml`
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Tasks, one command or JSON object a line: `--tasklist tasks.dat`
    #[arg(long, value_name = "FILE")]
    pub tasklist: Option<PathBuf>,
    /// How the task list is written: `--tasklist-format jsonl`
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub tasklist_format: Option<ListFormat>,
    /// Where the record and the batch script go; by default the current directory: `--run-dir runs/first`
    #[arg(long, aliases = ["work-dir", "work_dir"], value_name = "DIR")]
    pub run_dir: Option<PathBuf>,
    /// Tasks at a time on each node: `--workers 4`
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    pub workers: Option<i32>,
    /// Split the list into K jobs that know nothing of one another, of which M run at a time: `--array 100%20`
    #[arg(long, short = 'a', value_name = "K[%M]")]
    pub array: Option<Shards>,
    /// Have the job requeue itself until all is done: `--requeue`
    #[arg(long)]
    pub requeue: bool,
    /// Go on with the run in the run directory: `--resume`
    #[arg(long)]
    pub resume: bool,
    /// Show the batch script, and submit nothing: `--dry-run`
    #[arg(long)]
    pub dry_run: bool,
    /// Options of sbatch, such as `--nodes 2 --time 2:00:00`
    #[arg(last = true, value_name = "SBATCH_OPTION", allow_hyphen_values = true)]
    pub sbatch: Vec<String>,
}
