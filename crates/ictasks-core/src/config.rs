//! What was typed: the configuration file.
//!
//! - `keys`: known keys, the user's own (`x-…`), errors about all others;
//! - `scalar`: single values, checked while they are read;
//! - `yaml`: from a file to a [`Config`], and from the parser's errors to ours;
//! - `locate`: places of values, for errors that are noticed later;
//! - `schema`: the JSON schema, from the same types;
//! - `old`: what changes for files of the Python ictasks 0.2.4.

pub(crate) mod keys;
mod locate;
mod old;
pub(crate) mod scalar;
mod schema;
#[cfg(test)]
mod tests;
pub(crate) mod yaml;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::command::Shell;
use crate::protocol::WorkingDirectory;
use keys::deserialize_with_keys;

pub use old::notes_for_old_files;
pub use schema::json_schema;

/// Serde's derive needs the name of the trait; what it makes is called by `deserialize_with_keys!`.
use serde::Deserialize as DeriveDeserialize;

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
    /// Environment variables for all tasks.
    #[serde(deserialize_with = "scalar::environment")]
    #[schemars(schema_with = "schema::texts")]
    pub environment: BTreeMap<String, String>,
    /// Free labels, kept in run.json.
    #[serde(deserialize_with = "scalar::labels")]
    pub labels: serde_json::Map<String, serde_json::Value>,
    /// File name of a task's standard output; `task_stdout.txt` by default.
    #[serde(deserialize_with = "scalar::file_name")]
    #[schemars(schema_with = "schema::text")]
    pub stdout_filename: Option<String>,
    /// File name of a task's standard error; `task_stderr.txt` by default.
    #[serde(deserialize_with = "scalar::file_name")]
    #[schemars(schema_with = "schema::text")]
    pub stderr_filename: Option<String>,
    /// How commands are started.
    pub shell: Shell,
    /// Where tasks run: in their own directories or in the submit directory.
    pub cwd: WorkingDirectory,
    /// Seconds between samples of young tasks and hosts, also `500ms` or `2s`; 0 takes none.
    #[serde(rename = "sample_interval", deserialize_with = "scalar::seconds")]
    #[schemars(schema_with = "schema::duration")]
    pub sample_interval_s: Option<f64>,
    /// Stop when a task fails. Not acted on yet.
    pub stop_on_error: Option<bool>,
    /// Conditions to stop at. Not acted on yet.
    pub stopping_conditions: Option<Vec<StoppingCondition>>,
    /// Look for a Slurm job. Not acted on yet.
    pub check_slurm: Option<bool>,
    /// The Slurm job to run in. Not acted on yet.
    pub slurm_job: Option<SlurmJob>,
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
}

/// `tasks: {items: […]}`.
#[derive(DeriveDeserialize, JsonSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schemars(rename = "TaskMap")]
struct TaskMap {
    /// The tasks.
    items: Vec<TaskItem>,
}

/// One of the conditions to stop at: 0.2.4's key, not acted on yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, DeriveDeserialize, JsonSchema)]
#[serde(remote = "Self", deny_unknown_fields, default)]
#[schemars(rename = "StoppingCondition")]
pub struct StoppingCondition {
    /// A text.
    pub stopmagic: Option<String>,
    /// A file that it stands in.
    pub stopfile: Option<String>,
}

/// A Slurm job: 0.2.4's key, not acted on yet.
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

deserialize_with_keys!(Config, TaskDistribution, TaskItem, TaskMap, StoppingCondition, SlurmJob);

impl<'de> Deserialize<'de> for TaskItems {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TaskItemsVisitor)
    }
}

/// `tasks:` with nothing behind it is an empty list, which is refused.
fn task_items<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<TaskItems>, D::Error> {
    Deserialize::deserialize(deserializer).map(Some)
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
    /// What the user should know: keys that are read but not yet acted on.
    pub fn warnings(&self) -> Vec<String> {
        let set = [
            ("stop_on_error", self.stop_on_error.is_some()),
            ("stopping_conditions", self.stopping_conditions.is_some()),
            ("check_slurm", self.check_slurm.is_some()),
            ("slurm_job", self.slurm_job.is_some()),
        ];
        let set = set.into_iter().filter(|(_, is_set)| *is_set);
        set.map(|(key, _)| format!("`{key}` is checked but not acted on in this version")).collect()
    }

    /// Whether the number of GPUs has to be known ([`crate::machine::Machine::with_gpus`]).
    pub fn asks_for_gpus(&self) -> bool {
        let gpus_per_task = self.task_distribution.gpus_per_task;
        gpus_per_task.is_some_and(|gpus| gpus > 0)
    }
}
