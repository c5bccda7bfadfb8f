//! What failed, and what those tasks have in common.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::moment::Moment;

/// Why attempts failed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FailureFindings {
    /// Attempts that failed.
    pub attempt_count: i64,
    /// Tasks whose last attempt failed.
    pub task_count: i64,
    /// Core seconds of the failed attempts.
    pub core_s: f64,
    /// Number of groups, listed or not.
    pub group_count: usize,
    /// Whether near-duplicates were merged (more than 50 groups).
    pub merged: bool,
    /// Groups, the largest first.
    pub groups: Vec<FailureGroup>,
}

/// Attempts that failed in the same way.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FailureGroup {
    /// Outcome of all of them.
    pub outcome: String,
    /// Their exit code.
    pub exit_code: Option<i32>,
    /// Their signal.
    pub signal: Option<i32>,
    /// `cause` of the record, where it has one.
    pub cause: Option<String>,
    /// How sure the cause is.
    pub cause_evidence: Option<String>,
    /// What outcome and code mean, in words: `exit code 127: command not found`.
    pub meaning: String,
    /// The last informative line with numbers, paths and the like masked; empty where nothing was printed.
    pub template: String,
    /// Attempts.
    pub attempt_count: i64,
    /// Tasks of which this is the last attempt.
    pub task_count: i64,
    /// Core seconds lost.
    pub core_s: f64,
    /// First end.
    pub first_at: Option<Moment>,
    /// Last end.
    pub last_at: Option<Moment>,
    /// Hosts, the one with most of them first, at most 5.
    pub hosts: Vec<ValueCount>,
    /// Number of hosts.
    pub host_count: usize,
    /// Parameter values that stand out, the clearest first.
    pub over_represented: Vec<OverRepresented>,
    /// One of them.
    pub example: TaskLine,
    /// The end of what the example printed, at most 20 lines: stderr, or stdout if that is empty.
    pub example_output: String,
    /// What to do about it, where that is known.
    pub remedy: Option<String>,
    /// The expression for `--filter` that selects its tasks.
    pub filter: String,
    /// The command line that runs its tasks again.
    pub rerun: String,
}

/// A value and how often it occurs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ValueCount {
    /// The value.
    pub value: String,
    /// How often.
    pub count: i64,
}

/// A value of a parameter (or a host) that failed attempts have more often than others.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OverRepresented {
    /// `param_*` or `host`.
    pub column: String,
    /// The value.
    pub value: String,
    /// Attempts of the group that have it.
    pub count: i64,
    /// All attempts that have it.
    pub of_count: i64,
    /// Its share in the group.
    pub fraction_of_group: f64,
    /// Its share among all attempts.
    pub fraction_of_all: f64,
}

/// An attempt as a line of a table.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TaskLine {
    /// The run directory, where there are several.
    pub run: Option<String>,
    /// Its id.
    pub task_id: String,
    /// Position in the list.
    pub task_index: i64,
    /// Number of the attempt.
    pub attempt: i32,
    /// How it ended.
    pub outcome: String,
    /// Exit code.
    pub exit_code: Option<i32>,
    /// Signal.
    pub signal: Option<i32>,
    /// Host.
    pub host: Option<String>,
    /// Start.
    pub started_at: Option<Moment>,
    /// Duration.
    pub wall_s: Option<f64>,
    /// CPU time by core seconds.
    pub cpu_efficiency_fraction: Option<f64>,
    /// Memory peak.
    pub memory_bytes: Option<i64>,
    /// Its group, see `grouped_by`.
    pub group: String,
    /// The command, at most 500 characters.
    pub command: String,
    /// Its last informative line, masked nowhere, at most 500 characters; of failed ones.
    pub message: Option<String>,
}
