//! Workers, hosts and groups of tasks.

use super::Distribution;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What each worker did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkerFindings {
    /// Length of the time axis, as in `concurrency`.
    pub span_s: f64,
    /// Busy seconds of workers.
    pub busy: Distribution,
    /// Rows of the chart: a worker, or several neighbours where there are more than 64.
    pub rows: Vec<WorkerRow>,
    /// Attempts as bars: all, or where there are more than 5,000 the slowest, failed and last.
    pub bars: Vec<WorkerBar>,
    /// Whether `bars` are all.
    pub bars_are_all: bool,
}

/// A row of the chart of workers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkerRow {
    /// `host/worker`, or the first and the last of them.
    pub name: String,
    /// Workers that it stands for.
    pub worker_count: i64,
    /// Share of each step in which they were busy, 0 to 255; the steps are of equal length. Empty
    /// where `bars_are_all`.
    pub busy_by_step: Vec<u8>,
}

/// An attempt on the chart of workers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkerBar {
    /// Index of the row.
    pub row: usize,
    /// Beginning on the axis.
    pub start_s: f64,
    /// End on the axis.
    pub end_s: f64,
    /// How it ended.
    pub outcome: String,
    /// Of which task.
    pub task_id: String,
}

/// Attempts of one group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Group {
    /// Value of the column, the program, or the template.
    pub name: String,
    /// Attempts that ran.
    pub attempt_count: i64,
    /// Of these, failed.
    pub failed_count: i64,
    /// Their core seconds.
    pub core_s: f64,
    /// Of all core seconds.
    pub core_fraction: f64,
    /// CPU time by core seconds.
    pub cpu_efficiency_fraction: Option<f64>,
    /// Durations, seconds.
    pub wall_s: Distribution,
    /// Memory peaks, bytes.
    pub memory_bytes: Distribution,
}

/// One host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HostFindings {
    /// Its name.
    pub host: String,
    /// Cores that its workers hold.
    pub core_count: i64,
    /// Attempts that ran there.
    pub attempt_count: i64,
    /// Of these, failed.
    pub failed_count: i64,
    /// Their core seconds.
    pub core_s: f64,
    /// Their core seconds by those that the host gave.
    pub occupancy_fraction: Option<f64>,
    /// Median duration there by the median of the same groups elsewhere; null with fewer than 5 attempts.
    pub slowness: Option<f64>,
    /// CPU time by core seconds.
    pub cpu_efficiency_fraction: Option<f64>,
    /// Attempts that were lost with it.
    pub lost_count: i64,
    /// Largest sampled memory by its memory.
    pub memory_peak_fraction: Option<f64>,
}
