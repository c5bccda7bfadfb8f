//! What was typed: the configuration file.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::command::Shell;
use crate::error::InputError;
use crate::protocol::WorkingDirectory;

/// The configuration file, as typed. Every key may be left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// The user's name for the run.
    pub job_id: Option<String>,
    /// How cores and GPUs are divided.
    pub task_distribution: TaskDistribution,
    /// The tasks, if they are not in a list of their own.
    pub tasks: Option<TaskItems>,
    /// Environment for all tasks.
    pub environment: BTreeMap<String, String>,
    /// Free labels, kept in run.json.
    pub labels: serde_json::Map<String, serde_json::Value>,
    /// File name of a task's standard output.
    pub stdout_filename: Option<String>,
    /// File name of a task's standard error.
    pub stderr_filename: Option<String>,
    /// How commands are started.
    pub shell: Shell,
    /// Where tasks run.
    pub cwd: WorkingDirectory,
    /// Seconds between samples of young tasks and hosts; 0 takes none.
    pub sample_interval_s: Option<f64>,
}

/// The five `task_distribution` variables as typed; `None` and 0 mean "detect" or the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaskDistribution {
    /// Physical cores a node gives.
    pub cores_per_node: Option<i32>,
    /// Workers that share a core.
    pub threads_per_core: Option<i32>,
    /// Cores a task holds.
    pub cores_per_task: Option<i32>,
    /// GPUs a node gives.
    pub gpus_per_node: Option<i32>,
    /// GPUs a task holds.
    pub gpus_per_task: Option<i32>,
}

/// The tasks of a configuration file, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaskItems(pub Arc<Vec<TaskItem>>);

/// One task as typed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaskItem {
    /// The id; the position where there is none.
    pub id: Option<String>,
    /// The command.
    pub launch_cmd: String,
    /// Environment of this task alone.
    pub environment: BTreeMap<String, String>,
    /// Its parameters, scalars.
    pub params: serde_json::Map<String, serde_json::Value>,
}

impl Config {
    /// Reads and checks a configuration file.
    ///
    /// # Errors
    /// What is wrong, with its place.
    pub fn read(_path: &Path) -> Result<Self, InputError> {
        todo!()
    }

    /// What the user should know: keys that are read but not yet acted on.
    pub fn warnings(&self) -> Vec<String> {
        todo!()
    }

    /// Whether the number of GPUs has to be known ([`crate::machine::Machine::with_gpus`]).
    pub fn asks_for_gpus(&self) -> bool {
        self.task_distribution
            .gpus_per_task
            .is_some_and(|gpus| gpus > 0)
    }
}

/// The JSON schema of the configuration file.
pub fn json_schema() -> serde_json::Value {
    todo!()
}

/// What changes for a file that was written for the Python ictasks 0.2.4.
pub fn notes_for_old_files(_config: &Config) -> Vec<String> {
    todo!()
}
