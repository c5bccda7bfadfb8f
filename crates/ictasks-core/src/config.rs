//! What was typed: the configuration file.
//!
//! - `keys`: known keys, the user's own (`x-…`), errors about all others;
//! - `scalar`: single values, checked while they are read;
//! - `yaml`: from a file to a [`Config`], and from the parser's errors to ours;
//! - `locate`: places of values, for errors that are noticed later;
//! - `sweep`: parameters;
//! - `slurm`: what a job is asked for with;
//! - `schema`: the JSON schema, from the same types;
//! - `old`: what changes for files of the Python ictasks 0.2.4.

pub(crate) mod keys;
mod locate;
mod old;
pub(crate) mod scalar;
mod schema;
mod slurm;
mod sweep;
#[cfg(test)]
mod tests;
pub(crate) mod yaml;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::command::Shell;
use crate::error::Place;
use crate::protocol::WorkingDirectory;
use keys::deserialize_with_keys;

pub use old::notes_for_old_files;
pub use schema::json_schema;
pub use slurm::SlurmOptions;
pub use sweep::{Sweep, SweepPart};

/// Serde's derive needs the name of the trait; what it makes is called by `deserialize_with_keys!`.
use serde::Deserialize as DeriveDeserialize;
use serde::Serialize;

/// The configuration file, as typed. Every key may be left out.
#[derive(Clone, Debug, Default, PartialEq, DeriveDeserialize, JsonSchema)]
#[serde(remote = "Self", deny_unknown_fields, default)]
#[schemars(rename = "Config", title = "Configuration of ictasks taskfarm")]
pub struct Config {
    /// Your name for the run; by default the name of the run directory.
    #[serde(deserialize_with = "scalar::name")]
    #[schemars(schema_with = "schema::text")]
    pub job_id: Option<String>,
    /// How cores and GPUs are divided among tasks.
    pub task_distribution: TaskDistribution,
    /// The tasks, if they are not in a list of their own.
    #[serde(deserialize_with = "task_items")]
    #[schemars(with = "TaskItems")]
    pub tasks: Option<TaskItems>,
    /// The command of a sweep, for instance `sim --x {x}`; `{{x}}` is the text `{x}`.
    #[serde(deserialize_with = "scalar::some_command")]
    #[schemars(schema_with = "schema::some_command")]
    pub launch_cmd: Option<String>,
    /// The ids of a sweep, for instance `x{x}-n{n}`; by default names and values.
    #[serde(deserialize_with = "scalar::id")]
    #[schemars(schema_with = "schema::id")]
    pub id: Option<String>,
    /// Parameters: each task is run with all of their values.
    #[schemars(with = "Sweep")]
    pub sweep: Option<Arc<Sweep>>,
    /// Where some of its values stand.
    #[serde(skip)]
    pub places: Places,
    /// Environment variables for all tasks.
    #[serde(deserialize_with = "scalar::environment")]
    #[schemars(schema_with = "schema::texts")]
    pub environment: BTreeMap<String, String>,
    /// Free labels, kept in run.json.
    #[serde(deserialize_with = "scalar::labels")]
    pub labels: serde_json::Map<String, serde_json::Value>,
    /// File name of a task's standard output; `task_stdout.txt` by default.
    #[serde(deserialize_with = "scalar::file_name")]
    #[schemars(schema_with = "schema::file_name")]
    pub stdout_filename: Option<String>,
    /// File name of a task's standard error; `task_stderr.txt` by default.
    #[serde(deserialize_with = "scalar::file_name")]
    #[schemars(schema_with = "schema::file_name")]
    pub stderr_filename: Option<String>,
    /// How commands are started.
    pub shell: Shell,
    /// The program that runs the calls of functions, for instance `python -m ictasks._call_server`: words, started
    /// without a shell.
    #[serde(deserialize_with = "scalar::words")]
    #[schemars(schema_with = "schema::words")]
    pub call_server: Option<Vec<String>>,
    /// Where tasks run: in their own directories or in the submit directory.
    pub cwd: WorkingDirectory,
    /// Seconds between samples of young tasks and hosts, also `500ms` or `2s`; 0 takes none.
    #[serde(rename = "sample_interval", deserialize_with = "scalar::seconds")]
    #[schemars(schema_with = "schema::duration")]
    pub sample_interval_s: Option<f64>,
    /// Further attempts at a task that fails; 0 by default.
    #[serde(deserialize_with = "scalar::count")]
    #[schemars(range(min = 0))]
    pub retries: Option<i32>,
    /// Pause before the first retry, for instance `30s`; none by default.
    #[serde(rename = "retry_delay", deserialize_with = "scalar::seconds")]
    #[schemars(schema_with = "schema::duration")]
    pub retry_delay_s: Option<f64>,
    /// How many times longer each further pause is, up to an hour; 2 by default.
    #[schemars(range(min = 1, max = 100))]
    pub retry_backoff: Option<f64>,
    /// Time limit of a task: seconds, or for instance `90s`, `1h30m`; none by default.
    #[serde(rename = "timeout", deserialize_with = "scalar::seconds")]
    #[schemars(schema_with = "schema::duration")]
    pub timeout_s: Option<f64>,
    /// How long a task will probably take, for instance `20m`: where the farm's own time is limited (Slurm), none
    /// starts that will not fit, until 20 that have ended tell it better.
    #[serde(rename = "expected_time", deserialize_with = "scalar::seconds")]
    #[schemars(schema_with = "schema::duration")]
    pub expected_time_s: Option<f64>,
    /// How long before the end of a Slurm allocation tasks that still run are ended, so that the record is complete
    /// in time; `kill_grace` and 20 s by default.
    #[serde(rename = "walltime_margin", deserialize_with = "scalar::seconds")]
    #[schemars(schema_with = "schema::duration")]
    pub walltime_margin_s: Option<f64>,
    /// Between SIGTERM and SIGKILL when a task is ended; 10 s by default.
    #[serde(rename = "kill_grace", deserialize_with = "scalar::seconds")]
    #[schemars(schema_with = "schema::duration")]
    pub kill_grace_s: Option<f64>,
    /// Files that a task must have made in its current directory; without them it has failed.
    #[serde(deserialize_with = "scalar::paths")]
    #[schemars(schema_with = "schema::names")]
    pub expected_outputs: Vec<String>,
    /// Start no further task once so many have failed; no limit by default.
    #[serde(deserialize_with = "scalar::count")]
    #[schemars(range(min = 1))]
    pub max_failures: Option<i32>,
    /// A task that was lost with so many nodes is not tried again; 3 by default.
    #[serde(deserialize_with = "scalar::count")]
    #[schemars(range(min = 0))]
    pub node_loss_retries: Option<i32>,
    /// 0.2.4's key: `true` is `max_failures: 1`.
    pub stop_on_error: Option<bool>,
    /// Start no further task when one of the first so many attempts has to succeed and none did;
    /// 0, the default, only warns.
    #[serde(deserialize_with = "scalar::count")]
    #[schemars(range(min = 0))]
    pub stop_if_none_succeed: Option<i32>,
    /// Start no further task once a task's directory meets one of these conditions.
    pub stopping_conditions: Option<Vec<StoppingCondition>>,
    /// Memory a task needs, for instance `2G` (1024³ bytes each): fewer workers where there is less.
    #[serde(rename = "memory_per_task", deserialize_with = "scalar::bytes")]
    #[schemars(schema_with = "schema::bytes")]
    pub memory_per_task_bytes: Option<i64>,
    /// Whether a task that uses more than `memory_per_task` is ended; `false` by default.
    pub enforce_memory: Option<bool>,
    /// How much of a task's output is kept, for instance `100M`, or `{stdout: none, stderr: 1G}`,
    /// the default: of more, the beginning and the end.
    pub max_output: MaxOutput,
    /// Which tasks keep the files that the farm writes into their directories.
    pub task_files: TaskFiles,
    /// How tasks learn of their GPUs.
    pub gpu_binding: Option<GpuBinding>,
    /// Whether tasks are bound to the CPUs of their workers.
    #[serde(deserialize_with = "scalar::pin_cores")]
    #[schemars(schema_with = "schema::pin_cores")]
    pub pin_cores: PinCores,
    /// What `ictasks submit` asks Slurm for.
    pub slurm: Option<SlurmOptions>,
    /// Where tasks run.
    pub backend: Option<BackendChoice>,
    /// Names of hosts, for `backend: ssh`, and for `backend: mpi` where `mpiexec` does not find them by itself.
    #[serde(deserialize_with = "scalar::names")]
    #[schemars(schema_with = "schema::names")]
    pub hosts: Vec<String>,
    /// 0.2.4's key: run by `srun` also where the Slurm job has one node.
    pub check_slurm: Option<bool>,
    /// The Slurm job to run in; by default the one that the farm is started in.
    pub slurm_job: Option<SlurmJob>,
}

/// Where values stand that are looked at again once everything was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// Of `launch_cmd:`.
    pub launch_cmd: Place,
    /// Of `id:`.
    pub id: Place,
    /// Of `sweep:`.
    pub sweep: Place,
    /// Of the parts of the sweep, by key.
    pub parts: BTreeMap<&'static str, Place>,
}

impl Places {
    /// Of a part of the sweep.
    pub fn of_part(&self, key: &str) -> Place {
        self.parts.get(key).unwrap_or(&self.sweep).clone()
    }
}

/// The five `task_distribution` variables as typed; `None` and 0 mean "detect" or the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, DeriveDeserialize, JsonSchema)]
#[serde(remote = "Self", deny_unknown_fields, default)]
#[schemars(rename = "TaskDistribution")]
pub struct TaskDistribution {
    /// Physical cores a node gives; 0, the default, takes those within the affinity mask.
    #[serde(deserialize_with = "scalar::count")]
    #[schemars(range(min = 0))]
    pub cores_per_node: Option<i32>,
    /// Workers that share a core; 0, the default, takes the core's threads where
    /// `cores_per_node` is 0, too, else 1.
    #[serde(deserialize_with = "scalar::count")]
    #[schemars(range(min = 0))]
    pub threads_per_core: Option<i32>,
    /// Cores a task holds; 1 by default, or what the GPUs leave for each worker.
    #[serde(deserialize_with = "scalar::count")]
    #[schemars(range(min = 0))]
    pub cores_per_task: Option<i32>,
    /// GPUs a node gives; 0, the default, takes those that are there.
    #[serde(deserialize_with = "scalar::count")]
    #[schemars(range(min = 0))]
    pub gpus_per_node: Option<i32>,
    /// GPUs a task holds; 0 by default.
    #[serde(deserialize_with = "scalar::count")]
    #[schemars(range(min = 0))]
    pub gpus_per_task: Option<i32>,
}

/// The tasks of a configuration file, in order: a list, or a map with the list under `items`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaskItems(pub Arc<Vec<TaskItem>>);

/// One task as typed.
#[derive(Clone, Debug, Default, PartialEq, DeriveDeserialize, JsonSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schemars(rename = "Task")]
pub struct TaskItem {
    /// The id: letters, digits and `. _ - = , + @ :`; the position where there is none.
    #[serde(default, deserialize_with = "scalar::id")]
    #[schemars(schema_with = "schema::id")]
    pub id: Option<String>,
    /// The command; `%TASKID%` and `%SUBMITDIR%` are replaced.
    #[serde(deserialize_with = "scalar::command")]
    #[schemars(schema_with = "schema::command")]
    pub launch_cmd: String,
    /// Environment variables of this task alone.
    #[serde(default, deserialize_with = "scalar::environment")]
    #[schemars(schema_with = "schema::texts")]
    pub environment: BTreeMap<String, String>,
    /// Its parameters, which become columns `param_*` of the record.
    #[serde(default, deserialize_with = "scalar::params")]
    #[schemars(schema_with = "schema::params")]
    pub params: serde_json::Map<String, serde_json::Value>,
    /// As the key of the same name for all tasks.
    #[serde(default, deserialize_with = "scalar::count")]
    #[schemars(range(min = 0))]
    pub retries: Option<i32>,
    /// As the key of the same name for all tasks.
    #[serde(default, rename = "timeout", deserialize_with = "scalar::seconds")]
    #[schemars(schema_with = "schema::duration")]
    pub timeout_s: Option<f64>,
    /// How long it will probably take; by default as `expected_time` of the file says.
    #[serde(default, rename = "expected_time", deserialize_with = "scalar::seconds")]
    #[schemars(schema_with = "schema::duration")]
    pub expected_time_s: Option<f64>,
    /// As the key of the same name for all tasks.
    #[serde(default, deserialize_with = "scalar::optional_paths")]
    #[schemars(schema_with = "schema::names")]
    pub expected_outputs: Option<Vec<String>>,
    /// The file of a function call, absolute: `call_server` runs it, and the command is only its text.
    #[serde(default, deserialize_with = "scalar::call")]
    #[schemars(schema_with = "schema::call")]
    pub call: Option<PathBuf>,
}

/// `tasks: {items: […]}`.
#[derive(DeriveDeserialize, JsonSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schemars(rename = "TaskMap")]
struct TaskMap {
    /// The tasks.
    items: Vec<TaskItem>,
}

/// One of the conditions to stop at, looked for in each task's directory after its end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, DeriveDeserialize, JsonSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schemars(rename = "StoppingCondition")]
pub struct StoppingCondition {
    /// A file; without `stopmagic` it is enough that it is there.
    #[serde(deserialize_with = "scalar::path")]
    #[schemars(schema_with = "schema::path")]
    pub stopfile: String,
    /// A text that has to stand in it.
    #[serde(default)]
    pub stopmagic: Option<String>,
}

/// `max_output`, bytes; `None` is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, DeriveDeserialize)]
pub struct OutputLimits {
    /// Of standard output.
    pub stdout_bytes: Option<i64>,
    /// Of standard error.
    pub stderr_bytes: Option<i64>,
}

/// `max_output` as typed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MaxOutput {
    /// Of standard output; the inner `None` is `none`.
    pub stdout: Option<Option<i64>>,
    /// Of standard error.
    pub stderr: Option<Option<i64>>,
}

/// `max_output: {stdout: …, stderr: …}`.
#[derive(DeriveDeserialize, JsonSchema)]
#[serde(remote = "Self", deny_unknown_fields, default)]
#[schemars(rename = "MaxOutput")]
#[derive(Default)]
struct MaxOutputMap {
    /// Of standard output; `none` by default.
    #[serde(deserialize_with = "scalar::output_limit")]
    #[schemars(schema_with = "schema::output_limit")]
    stdout: Option<Option<i64>>,
    /// Of standard error; `1G` by default.
    #[serde(deserialize_with = "scalar::output_limit")]
    #[schemars(schema_with = "schema::output_limit")]
    stderr: Option<Option<i64>>,
}

/// Which tasks keep `task.json` and their output files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, DeriveDeserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TaskFiles {
    /// All of them.
    #[default]
    All,
    /// Those that did not succeed; of the others the record keeps the facts.
    Failed,
    /// None of them.
    None,
}

/// How tasks learn of their GPUs, beside `ICTASKS_GPU_IDS`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, DeriveDeserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GpuBinding {
    /// By the file `gpu_ids.txt` in their directories alone.
    #[default]
    File,
    /// Also by `CUDA_VISIBLE_DEVICES` or `ROCR_VISIBLE_DEVICES`, which hides the other GPUs.
    VisibleDevices,
}

/// Where tasks run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, DeriveDeserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BackendChoice {
    /// On all nodes of a Slurm allocation of more than this node; else on this machine.
    #[default]
    Auto,
    /// On this machine.
    Local,
    /// On the nodes of a Slurm job.
    Slurm,
    /// On the nodes that `mpiexec` starts programs on.
    Mpi,
    /// On `hosts`.
    Ssh,
}

/// Whether tasks are bound to the CPUs of their workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PinCores {
    /// Inside a Slurm allocation, and where `cores_per_task` was given or derived.
    #[default]
    Auto,
    /// Yes.
    True,
    /// No.
    False,
}

/// A Slurm job.
#[derive(Clone, Debug, Default, PartialEq, Eq, DeriveDeserialize, JsonSchema)]
#[serde(remote = "Self", deny_unknown_fields, default)]
#[schemars(rename = "SlurmJob")]
pub struct SlurmJob {
    /// Its id.
    #[serde(deserialize_with = "scalar::name")]
    #[schemars(schema_with = "schema::text")]
    pub id: Option<String>,
    /// Its nodes, a list of names or Slurm's short form.
    #[serde(deserialize_with = "scalar::names")]
    #[schemars(schema_with = "schema::names")]
    pub nodes: Vec<String>,
}

deserialize_with_keys!(
    Config,
    TaskDistribution,
    TaskItem,
    TaskMap,
    StoppingCondition,
    SlurmJob,
    MaxOutputMap
);

impl Serialize for StoppingCondition {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for TaskItems {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TaskItemsVisitor)
    }
}

/// `tasks:` with nothing behind it is an empty list, which is refused.
fn task_items<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<TaskItems>, D::Error> {
    Deserialize::deserialize(deserializer).map(Some)
}

impl<'de> Deserialize<'de> for MaxOutput {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MaxOutputVisitor)
    }
}

struct MaxOutputVisitor;

impl<'de> Visitor<'de> for MaxOutputVisitor {
    type Value = MaxOutput;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a size such as `100M`, or a map with `stdout` and `stderr`")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<MaxOutput, E> {
        Ok(MaxOutput::default())
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<MaxOutput, E> {
        let limit = scalar::parse_output_limit(text).map_err(E::custom)?;
        Ok(MaxOutput { stdout: Some(limit), stderr: Some(limit) })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<MaxOutput, A::Error> {
        let map: MaxOutputMap = Deserialize::deserialize(MapAccessDeserializer::new(map))?;
        Ok(MaxOutput { stdout: map.stdout, stderr: map.stderr })
    }
}

impl MaxOutput {
    /// With the defaults for what is not given.
    pub fn limits(self) -> OutputLimits {
        OutputLimits {
            stdout_bytes: self.stdout.flatten(),
            stderr_bytes: self.stderr.unwrap_or(Some(1 << 30)),
        }
    }
}

struct TaskItemsVisitor;

impl<'de> Visitor<'de> for TaskItemsVisitor {
    type Value = TaskItems;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a list of tasks, or a map with the list under `items`")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<TaskItems, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element()? {
            items.push(item);
        }
        Ok(TaskItems(Arc::new(items)))
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<TaskItems, E> {
        Ok(TaskItems::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<TaskItems, A::Error> {
        let map: TaskMap = Deserialize::deserialize(MapAccessDeserializer::new(map))?;
        Ok(TaskItems(Arc::new(map.items)))
    }
}

impl Config {
    /// Whether it was said that the run belongs into a Slurm job.
    pub fn asks_for_slurm(&self) -> bool {
        self.check_slurm == Some(true) || self.slurm_job.as_ref().is_some_and(|job| job.id.is_some())
    }

    /// Whether the number of GPUs has to be known ([`crate::machine::Machine::with_gpus`]).
    pub fn asks_for_gpus(&self) -> bool {
        let gpus_per_task = self.task_distribution.gpus_per_task;
        gpus_per_task.is_some_and(|gpus| gpus > 0)
    }
}
