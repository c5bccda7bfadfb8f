//! Memory, GPUs, input and output, and how many tasks ran at one time.

use super::Distribution;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Memory asked for and used.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MemoryFindings {
    /// Peaks of attempts: the larger of largest process and sampled tree.
    pub peaks: Distribution,
    /// What a task was given, if all were given the same and it was limited.
    pub requested_bytes: Option<i64>,
    /// Attempts that ran out of memory, certainly or probably, and failed allocations.
    pub out_of_memory: Vec<OutOfMemory>,
    /// 1.2 × the largest peak, rounded up to a size that people write.
    pub advised_bytes: Option<i64>,
    /// For all but one in twenty, where 1.2 × the 95 % quantile is less than half of `advised_bytes`.
    pub advised_p95_bytes: Option<i64>,
    /// Memory of the smallest node.
    pub node_bytes: Option<i64>,
    /// Largest sum of resident memory sampled on a host, as a share of its memory.
    pub host_peak_fraction: Option<f64>,
}

/// Attempts that ran out of memory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OutOfMemory {
    /// `certain` (the cgroup's or Slurm's word, or ended by `enforce_memory`), `probable` (SIGKILL that was not ours and a peak
    /// near the limit), `allocation` (its own words: `MemoryError`, `bad_alloc`, `CUDA out of memory`).
    pub evidence: String,
    /// How many.
    pub attempt_count: i64,
}

/// GPUs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GpuFindings {
    /// GPUs that workers held, at most.
    pub gpu_count: i64,
    /// GPU seconds that attempts held.
    pub held_gpu_s: f64,
    /// Share of that in which they were busy.
    pub busy_fraction: Option<f64>,
    /// Largest memory of attempts.
    pub memory: Distribution,
    /// Energy, joules.
    pub energy_j: Option<f64>,
}

/// Input and output of attempts. Null where not measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IoFindings {
    /// By system calls, page cache included.
    pub syscall_read_bytes: Option<i64>,
    /// By system calls, page cache included.
    pub syscall_write_bytes: Option<i64>,
    /// From storage.
    pub storage_read_bytes: Option<i64>,
    /// To storage.
    pub storage_write_bytes: Option<i64>,
    /// Calls.
    pub read_call_count: Option<i64>,
    /// Calls.
    pub write_call_count: Option<i64>,
    /// Bytes that they printed.
    pub output_bytes: Option<i64>,
}

/// Cores over time. Time is that in which a session was alive: sessions stand one behind the other.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Concurrency {
    /// Length of a step.
    pub step_s: f64,
    /// Mean cores that there were, by step.
    pub available: Vec<f64>,
    /// Mean cores that attempts held.
    pub busy: Vec<f64>,
    /// Mean number of tasks that were ready and waited.
    pub queued: Vec<f64>,
    /// Where sessions begin, seconds on this axis.
    pub session_starts_s: Vec<f64>,
}
