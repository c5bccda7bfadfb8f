//! What will be done: complete and immutable, resolved once from what was typed and the machine.
//!
//! - `distribution`: the arithmetic of `task_distribution`;
//! - `allotment`: which worker holds which CPUs and GPUs;
//! - `share`: the same for a node that joins;
//! - `backend`: where agents run.

mod allotment;
mod backend;
mod distribution;
mod share;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::column::Timestamp;
use crate::command::Shell;
use crate::config::{Config, GpuBinding, OutputLimits, PinCores, StoppingCondition, TaskFiles};
use crate::error::PlanError;
use crate::layout;
use crate::machine::Machine;
use crate::protocol::{Worker, WorkingDirectory};
use crate::task_list::Shard;
use allotment::workers;
use distribution::Shares;

pub use backend::{Backend, MpiNodes, SlurmJob, SshHosts};
pub use share::{NodeShare, TypedShares};

/// What is kept of an allocation's end for the record by default, seconds. A million tasks need two or three.
const RECORDING_TIME_S: f64 = 20.0;

/// A run as it will be done. It goes into run.json.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    /// The user's name for the run.
    pub job_id: String,
    /// The run directory, absolute.
    pub run_dir: PathBuf,
    /// The directory that the command was given in, absolute.
    pub submit_dir: PathBuf,
    /// Which part of the list it runs, if not all of it.
    pub shard: Option<Shard>,
    /// How cores and GPUs are divided, all figures resolved.
    pub task_distribution: Distribution,
    /// The workers of a node.
    pub workers: Vec<Worker>,
    /// How commands are started.
    pub shell: Shell,
    /// The program that runs function calls, and its arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_server: Option<Vec<String>>,
    /// Where tasks run.
    pub cwd: WorkingDirectory,
    /// File name of a task's standard output.
    pub stdout_filename: String,
    /// File name of a task's standard error.
    pub stderr_filename: String,
    /// Environment for all tasks.
    pub environment: BTreeMap<String, String>,
    /// The user's labels.
    pub labels: serde_json::Map<String, serde_json::Value>,
    /// Seconds between samples of young tasks and hosts; 0 takes none.
    pub sample_interval_s: f64,
    /// Whether tasks are bound to the CPUs of their workers.
    pub pin_cores: bool,
    /// What is done about tasks that fail or take too much.
    pub limits: Limits,
    /// When the allocation ends that the run has, if it does.
    pub deadline: Option<Timestamp>,
    /// The Slurm job that the run is in, if it is in one: an end that is moved, and preemption.
    pub slurm_job: Option<String>,
    /// How much of a task's output is kept.
    pub max_output: OutputLimits,
    /// Which tasks keep the files that the agent writes.
    pub task_files: TaskFiles,
    /// How tasks learn of their GPUs.
    pub gpu_binding: GpuBinding,
    /// Where agents run.
    pub backend: Backend,
    /// What was typed about cores and GPUs, for nodes that join.
    #[serde(skip)]
    pub typed: TypedShares,
    /// How the figures came about, a line each, for `--dry-run` and `-v`.
    #[serde(skip)]
    pub arithmetic: Vec<String>,
    /// What the user should know before the run.
    #[serde(skip)]
    pub warnings: Vec<String>,
}

/// What is done about tasks that fail or take too much. Tasks may have their own retries, time limit
/// and expected outputs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Limits {
    /// Further attempts at a task that fails.
    pub retries: i32,
    /// Seconds before the first of them.
    pub retry_delay_s: f64,
    /// Each further pause is so many times longer.
    pub retry_backoff: f64,
    /// Seconds a task may take.
    pub timeout_s: Option<f64>,
    /// Seconds that a task will probably take.
    pub expected_time_s: Option<f64>,
    /// Seconds from the end of what runs to the end of the allocation.
    pub walltime_margin_s: f64,
    /// Seconds between SIGTERM and SIGKILL when a task is ended.
    pub kill_grace_s: f64,
    /// Files that a task must make.
    pub expected_outputs: Vec<String>,
    /// So many failed tasks, and no further task starts.
    pub max_failures: Option<i32>,
    /// So many attempts without a success at the beginning, and no further task starts; 0 only warns.
    pub stop_if_none_succeed: i32,
    /// What in a task's directory means that no further task starts.
    pub stopping_conditions: Vec<StoppingCondition>,
    /// Memory a task may use, bytes.
    pub memory_per_task_bytes: Option<i64>,
    /// Whether a task that uses more is ended.
    pub enforce_memory: bool,
    /// A task that was lost with so many nodes is not tried again.
    pub node_loss_retries: i32,
}

impl Limits {
    fn of(config: &Config) -> Result<Self, PlanError> {
        let impossible = |arithmetic: &str, remedy: &str| PlanError::Impossible {
            arithmetic: arithmetic.to_owned(),
            remedy: remedy.to_owned(),
        };
        let retry_backoff = config.retry_backoff.unwrap_or(2.0);
        if !(1.0..=100.0).contains(&retry_backoff) {
            let arithmetic = format!("`retry_backoff` is {retry_backoff}");
            return Err(impossible(&arithmetic, "give 1 for equal pauses, or up to 100"));
        }
        let enforce_memory = config.enforce_memory.unwrap_or(false);
        if enforce_memory && config.memory_per_task_bytes.is_none() {
            return Err(impossible(
                "`enforce_memory` is true, and no `memory_per_task` is given",
                "give for instance `memory_per_task: 2G`",
            ));
        }
        let max_failures = match (config.max_failures, config.stop_on_error) {
            (Some(0), _) => {
                let remedy = "give 1 or more, or leave it out for no limit";
                return Err(impossible("`max_failures` is 0", remedy));
            }
            (Some(count), _) => Some(count),
            (None, Some(true)) => Some(1),
            (None, _) => None,
        };
        let kill_grace_s = config.kill_grace_s.unwrap_or(10.0);
        Ok(Self {
            retries: config.retries.unwrap_or(0),
            retry_delay_s: config.retry_delay_s.unwrap_or(0.0),
            retry_backoff,
            timeout_s: config.timeout_s.filter(|seconds| *seconds > 0.0),
            expected_time_s: config.expected_time_s.filter(|seconds| *seconds > 0.0),
            walltime_margin_s: config.walltime_margin_s.unwrap_or(kill_grace_s + RECORDING_TIME_S),
            kill_grace_s,
            expected_outputs: config.expected_outputs.clone(),
            max_failures,
            stop_if_none_succeed: config.stop_if_none_succeed.unwrap_or(0),
            stopping_conditions: config.stopping_conditions.clone().unwrap_or_default(),
            memory_per_task_bytes: config.memory_per_task_bytes,
            enforce_memory,
            node_loss_retries: config.node_loss_retries.unwrap_or(3),
        })
    }
}

/// The five `task_distribution` variables, resolved: none is 0 unless there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Distribution {
    /// Physical cores a node gives.
    pub cores_per_node: i32,
    /// Workers that share a core.
    pub threads_per_core: i32,
    /// Cores a task holds.
    pub cores_per_task: i32,
    /// GPUs a node gives.
    pub gpus_per_node: i32,
    /// GPUs a task holds.
    pub gpus_per_task: i32,
}

/// What was given on the command line and wins over the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandLine {
    /// `--run-dir`; the current directory by default.
    pub run_dir: Option<PathBuf>,
    /// `--workers`.
    pub workers: Option<i32>,
    /// Where agents run, from `--backend` or the configuration: see [`Backend::choose`].
    pub backend: Backend,
    /// `--shard`.
    pub shard: Option<Shard>,
}

impl Plan {
    /// Works out the plan: what was typed, on this machine.
    ///
    /// # Errors
    /// Requests that the machine cannot meet, with the arithmetic.
    pub fn resolve(
        config: &Config,
        command_line: &CommandLine,
        machine: &Machine,
        submit_dir: &Path,
    ) -> Result<Self, PlanError> {
        let submit_dir = absolute(Path::new(""), submit_dir);
        let (run_dir, job_id) = Self::names(config, command_line, &submit_dir);
        let limits = Limits::of(config)?;
        let memory_per_task = limits.memory_per_task_bytes;
        let mut shares =
            Shares::of(&config.task_distribution, command_line.workers, memory_per_task, machine)?;
        let mut warnings = Vec::new();
        if config.check_slurm == Some(true) && command_line.backend.is_local() {
            warnings.push("`check_slurm` finds no Slurm job here: tasks run on this machine".to_owned());
        }
        let workers = workers(&shares, machine, &mut warnings);
        if shares.distribution.gpus_per_task > 0 && config.gpu_binding.is_none() {
            warnings.push(
                "tasks find the ids of their GPUs in `gpu_ids.txt`; with `gpu_binding: visible_devices` they \
                 see no others"
                    .to_owned(),
            );
        }
        if machine.limiting_quota().is_some() && command_line.backend.is_local() {
            let line = "workers are not pinned: the cgroup's quota may be spent on any CPU";
            shares.arithmetic.push(line.to_owned());
        }
        if let Some(place) = command_line.backend.description() {
            shares.arithmetic.insert(0, format!("backend: {place}"));
            let line =
                "each node has the workers that it has room for; the figures here are of one as expected";
            shares.arithmetic.push(line.to_owned());
        }
        let name =
            |typed: &Option<String>, default: &str| typed.clone().unwrap_or_else(|| default.to_owned());
        Ok(Self {
            job_id,
            run_dir,
            submit_dir,
            shard: command_line.shard,
            task_distribution: shares.distribution,
            workers,
            shell: config.shell.clone(),
            call_server: config.call_server.clone(),
            cwd: config.cwd,
            stdout_filename: name(&config.stdout_filename, "task_stdout.txt"),
            stderr_filename: name(&config.stderr_filename, "task_stderr.txt"),
            environment: config.environment.clone(),
            labels: config.labels.clone(),
            sample_interval_s: config.sample_interval_s.unwrap_or(1.0),
            pin_cores: match config.pin_cores {
                PinCores::Auto => machine.is_in_slurm || shares.cores_per_task_is_chosen,
                PinCores::True => true,
                PinCores::False => false,
            },
            limits,
            deadline: None,
            slurm_job: None,
            max_output: config.max_output.limits(),
            task_files: config.task_files,
            gpu_binding: config.gpu_binding.unwrap_or_default(),
            backend: command_line.backend.clone(),
            typed: TypedShares { distribution: config.task_distribution, workers: command_line.workers },
            arithmetic: shares.arithmetic,
            warnings,
        })
    }

    /// The run directory, absolute, and the user's name for the run: that of the configuration, else that of the
    /// directory of the whole.
    pub fn names(config: &Config, command_line: &CommandLine, submit_dir: &Path) -> (PathBuf, String) {
        let whole_dir = command_line.run_dir.as_deref().unwrap_or(submit_dir);
        let whole_dir = absolute(submit_dir, whole_dir);
        let job_id = config.job_id.clone().filter(|job_id| !job_id.is_empty());
        let job_id = job_id.unwrap_or_else(|| last_name(&whole_dir));
        match command_line.shard {
            Some(shard) => (whole_dir.join(layout::shard_directory(shard)), job_id),
            None => (whole_dir, job_id),
        }
    }
}

/// `path` seen from `base`, absolute, without `.` and doubled slashes.
fn absolute(base: &Path, path: &Path) -> PathBuf {
    let joined = base.join(path);
    let joined = std::path::absolute(&joined).unwrap_or(joined);
    joined.components().collect()
}

/// The directory's own name, also where the path ends in `..`.
fn last_name(directory: &Path) -> String {
    let real = std::fs::canonicalize(directory);
    let name = directory.file_name().or_else(|| real.as_deref().ok()?.file_name());
    name.map_or_else(|| "run".to_owned(), |name| name.to_string_lossy().into_owned())
}
