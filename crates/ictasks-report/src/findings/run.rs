//! The runs that a report is about.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::moment::Moment;

/// A run directory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunFacts {
    /// The directory as it was given.
    pub run_dir: String,
    /// The same, absolute.
    pub absolute_run_dir: String,
    /// Its `run_id`.
    pub run_id: String,
    /// The user's name for it.
    pub job_id: String,
    /// Version of the program that wrote it.
    pub version: String,
    /// What it is doing, or how it ended.
    pub life: RunLife,
    /// The user's labels: name and value.
    pub labels: Vec<(String, String)>,
    /// Whether the record has a row for each task of the list.
    pub list_complete: bool,
    /// Of a shard which part of the list it ran, `3/10`.
    pub shard: Option<String>,
    /// Its starts.
    pub sessions: Vec<SessionFacts>,
}

/// Whether a run is at work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunLife {
    /// It is at work.
    Alive,
    /// It did not end, and nobody works at it.
    Killed,
    /// Every task had its turn.
    Finished,
    /// Ended by the user or the scheduler before every task had its turn.
    Interrupted,
    /// Ended by trouble of its own.
    Failed,
    /// run.json is lost.
    #[default]
    Unknown,
}

/// One start of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SessionFacts {
    /// Its number: 0, then +1 for each resume.
    pub session: i32,
    /// When it began.
    pub began_at: Moment,
    /// When it ended, or was seen alive last.
    pub ended_at: Moment,
    /// How it ended, for people; null while it is alive.
    pub how_it_ended: Option<String>,
    /// The command line.
    pub arguments: Vec<String>,
    /// The directory that it was given in.
    pub submit_dir: String,
    /// Cores that the workers of all its nodes hold together.
    pub core_count: i64,
    /// Its nodes, at most 1,000.
    pub hosts: Vec<NodeFacts>,
    /// Where software and job come from: name and value (git commit, modules, conda or venv, Slurm ids).
    pub provenance: Vec<(String, String)>,
    /// What the user was warned of.
    pub warnings: Vec<String>,
}

/// A node of a session.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NodeFacts {
    /// Its name.
    pub host: String,
    /// Cores that its workers hold.
    pub core_count: i64,
    /// GPUs that its workers hold.
    pub gpu_count: i64,
    /// Its memory.
    pub memory_total_bytes: Option<i64>,
    /// Its processors.
    pub cpu_model: Option<String>,
}

/// What `--filter` left.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FilterFacts {
    /// As typed.
    pub expression: String,
    /// Tasks for which it holds.
    pub task_count: i64,
    /// Tasks without it.
    pub of_task_count: i64,
}
