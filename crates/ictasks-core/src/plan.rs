//! What will be done: complete and immutable, resolved once from what was typed and the machine.
//!
//! - `distribution`: the arithmetic of `task_distribution`;
//! - `allotment`: which worker holds which CPUs and GPUs.

mod allotment;
mod distribution;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::command::Shell;
use crate::config::Config;
use crate::error::PlanError;
use crate::machine::Machine;
use crate::protocol::{Worker, WorkingDirectory};
use allotment::workers;
use distribution::Shares;

/// A run as it will be done. It goes into run.json.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    /// The user's name for the run.
    pub job_id: String,
    /// The run directory, absolute.
    pub run_dir: PathBuf,
    /// The directory that the command was given in, absolute.
    pub submit_dir: PathBuf,
    /// How cores and GPUs are divided, all figures resolved.
    pub task_distribution: Distribution,
    /// The workers of a node.
    pub workers: Vec<Worker>,
    /// How commands are started.
    pub shell: Shell,
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
    /// How the figures came about, a line each, for `--dry-run` and `-v`.
    #[serde(skip)]
    pub arithmetic: Vec<String>,
    /// What the user should know before the run.
    #[serde(skip)]
    pub warnings: Vec<String>,
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
        let run_dir = command_line.run_dir.as_deref().unwrap_or(&submit_dir);
        let run_dir = absolute(&submit_dir, run_dir);
        let job_id = config.job_id.clone().filter(|job_id| !job_id.is_empty());
        let mut shares = Shares::of(&config.task_distribution, command_line.workers, machine)?;
        let mut warnings = config.warnings();
        let workers = workers(&shares, machine, &mut warnings);
        if machine.limiting_quota().is_some() {
            let line = "workers are not pinned: the cgroup's quota may be spent on any CPU";
            shares.arithmetic.push(line.to_owned());
        }
        let name =
            |typed: &Option<String>, default: &str| typed.clone().unwrap_or_else(|| default.to_owned());
        Ok(Self {
            job_id: job_id.unwrap_or_else(|| last_name(&run_dir)),
            run_dir,
            submit_dir,
            task_distribution: shares.distribution,
            workers,
            shell: config.shell.clone(),
            cwd: config.cwd,
            stdout_filename: name(&config.stdout_filename, "task_stdout.txt"),
            stderr_filename: name(&config.stderr_filename, "task_stderr.txt"),
            environment: config.environment.clone(),
            labels: config.labels.clone(),
            sample_interval_s: config.sample_interval_s.unwrap_or(1.0),
            arithmetic: shares.arithmetic,
            warnings,
        })
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
