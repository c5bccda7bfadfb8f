//! Where time and cores went, and what more cores would bring.

use super::TaskLine;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How long it took.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TimeFindings {
    /// Time in which a session was alive, summed.
    pub makespan_s: f64,
    /// The earliest possible end: the larger of work by cores and the longest attempt.
    pub lower_bound_s: Option<f64>,
    /// `lower_bound_s / makespan_s`.
    pub scheduling_efficiency_fraction: Option<f64>,
    /// The latest end that list scheduling of these attempts admits: W/C + (1 − 1/C)·max d.
    pub list_scheduling_bound_s: Option<f64>,
    /// The makespan if the longest had been started first (replayed).
    pub longest_first_s: Option<f64>,
    /// From the last start to the end, summed over sessions whose queue ran empty.
    pub tail_s: Option<f64>,
    /// What stood idle in it.
    pub tail_idle_core_s: Option<f64>,
    /// The attempts that ended last, at most 5.
    pub tail_tasks: Vec<TaskLine>,
    /// Median of the gaps from an end to the next start on a worker, while a task was ready.
    pub dispatch_gap_median_s: Option<f64>,
    /// Their sum, times the cores of a worker.
    pub dispatch_gap_core_s: f64,
    /// Core seconds in which a worker waited for a task to become ready.
    pub starved_core_s: f64,
    /// Median time from ready to start.
    pub wait_median_s: Option<f64>,
}

/// What became of the cores.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CoreFindings {
    /// Cores at the same time, at most.
    pub core_count: i64,
    /// Workers that can run a task at the same time.
    pub worker_count: i64,
    /// ∫C dt: cores that there were, over time.
    pub available_core_s: f64,
    /// W = Σ c·d: held by attempts.
    pub occupied_core_s: f64,
    /// Σu: CPU time of attempts.
    pub cpu_s: Option<f64>,
    /// Held by the last attempts of tasks that succeeded.
    pub useful_core_s: f64,
    /// `occupied / available`.
    pub occupancy_fraction: Option<f64>,
    /// `cpu / occupied`, of the attempts that have both.
    pub cpu_efficiency_fraction: Option<f64>,
    /// occupancy × CPU efficiency.
    pub cpu_utilisation_fraction: Option<f64>,
    /// `useful / occupied`.
    pub goodput_fraction: Option<f64>,
    /// mean / max busy time over workers.
    pub load_balance_fraction: Option<f64>,
    /// From available to useful: the parts add up to `available_core_s`.
    pub parts: Vec<CorePart>,
}

/// A part of the core seconds that there were.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CorePart {
    /// What became of it: `useful CPU`, `useful, waiting`, `failed`, `timed out`, …, `idle: tail`, `idle: other`.
    pub name: String,
    /// How much.
    pub core_s: f64,
}

/// Five quantiles and more, by nearest rank: each is a value that was measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Distribution {
    /// Values.
    pub count: i64,
    /// Their sum.
    pub sum: f64,
    /// Smallest, 5 %, 25 %, 50 %, 75 %, 95 %, 99 %, largest.
    pub quantiles: Vec<Quantile>,
    /// Counts in bins of equal width on a logarithmic scale.
    pub histogram: Vec<Bin>,
}

/// A quantile, and whose it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Quantile {
    /// 0 to 1.
    pub fraction: f64,
    /// The value.
    pub value: f64,
    /// The id of a task that has it, where that was looked up.
    pub task_id: Option<String>,
}

/// A bin of a histogram: from ≤ value < to (the last one holds its end too).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Bin {
    /// Its beginning.
    pub from: f64,
    /// Its end.
    pub to: f64,
    /// Values in it.
    pub count: i64,
    /// Their sum.
    pub sum: f64,
}

/// List scheduling replayed with the recorded durations.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MoreCores {
    /// ½ to 16 × the workers.
    pub points: Vec<MoreCoresPoint>,
    /// Above W / max d cores the longest attempt alone decides.
    pub saturation_core_count: f64,
}

/// One number of cores.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MoreCoresPoint {
    /// Factor on today's.
    pub factor: f64,
    /// Cores.
    pub core_count: f64,
    /// The makespan.
    pub makespan_s: f64,
    /// Share of the cores that would be occupied.
    pub occupancy_fraction: f64,
}
