//! Every number of a report. [`Findings`] is computed once (`analysis`), and each output renders
//! it and computes nothing. Serialised it is `ictasks report --format json`; `ictasks schema report`
//! prints its JSON schema.
//!
//! Units stand in the names, as in the record: `_s` seconds, `_bytes`, `_count`, `_fraction` 0 to 1,
//! `_core_s` core seconds. What could not be known is null, never 0. Text that came from a task (ids,
//! commands, output) is as it was recorded: whoever renders it makes it harmless.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::moment::Moment;

mod failures;
mod run;
mod time;
mod usage;
mod workers;

pub use failures::{FailureFindings, FailureGroup, OverRepresented, TaskLine, ValueCount};
pub use run::{FilterFacts, NodeFacts, RunFacts, RunLife, SessionFacts};
pub use time::{
    Bin, CoreFindings, CorePart, Distribution, MoreCores, MoreCoresPoint, Quantile, TimeFindings,
};
pub use usage::{Concurrency, GpuFindings, IoFindings, MemoryFindings, OutOfMemory};
pub use workers::{Group, HostFindings, WorkerBar, WorkerFindings, WorkerRow};

/// Version of [`Findings`]. Fields are added; none is renamed or given another meaning without a
/// new version.
pub const FINDINGS_VERSION: u32 = 1;

/// What there is to say about a run, or about several as one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Findings {
    /// [`FINDINGS_VERSION`].
    pub findings_version: u32,
    /// Version of the program that computed them.
    pub ictasks_version: String,
    /// When they were computed.
    pub made_at: Moment,
    /// The runs, in the order in which they were given.
    pub runs: Vec<RunFacts>,
    /// The expression of `--filter`, and what it left. Findings about the run as a whole (`time`,
    /// `cores`, `concurrency`, `workers`, `hosts`, `more_cores`, `advice`) are of all attempts
    /// nevertheless.
    pub filter: Option<FilterFacts>,
    /// In one sentence: how it went.
    pub verdict: Verdict,
    /// Tasks by the outcome of their last attempt, and attempts by theirs; only outcomes that occur.
    pub outcomes: Vec<OutcomeCount>,
    /// Tasks that have a row.
    pub task_count: i64,
    /// Attempts that ended.
    pub attempt_count: i64,
    /// Tasks that run now, or ran when the run was killed.
    pub running_count: i64,
    /// Attempts beyond the first of their task.
    pub retried_count: i64,
    /// How long it took, and how long it had to take.
    pub time: TimeFindings,
    /// What became of the cores.
    pub cores: CoreFindings,
    /// Memory asked for and used.
    pub memory: MemoryFindings,
    /// GPUs; null if no attempt held one.
    pub gpu: Option<GpuFindings>,
    /// Input and output.
    pub io: IoFindings,
    /// Cores over time.
    pub concurrency: Concurrency,
    /// What each worker did.
    pub workers: WorkerFindings,
    /// By which column attempts are grouped: `program`, `template`, or the column of `--group-by`.
    pub grouped_by: String,
    /// Durations and memory by group, the one with most core seconds first.
    pub groups: Vec<Group>,
    /// Groups beyond those listed.
    pub group_count: usize,
    /// Durations of all attempts that ran.
    pub durations: Distribution,
    /// Hosts, the worst first: share of failed attempts, then slowness.
    pub hosts: Vec<HostFindings>,
    /// Number of hosts, listed or not.
    pub host_count: usize,
    /// Why attempts failed.
    pub failures: FailureFindings,
    /// The longest attempts, longest first.
    pub slowest: Vec<TaskLine>,
    /// Failed tasks, the latest first.
    pub failed: Vec<TaskLine>,
    /// Tasks with more than one attempt, most attempts first.
    pub retried: Vec<TaskLine>,
    /// Attempts that are stragglers: at least 3 times the median of their group of 20 or more.
    pub stragglers: Vec<TaskLine>,
    /// Number of stragglers, listed or not.
    pub straggler_count: i64,
    /// The makespan with other numbers of cores.
    pub more_cores: Option<MoreCores>,
    /// What to change, the note that saves most first; at most five.
    pub advice: Vec<Advice>,
    /// For people: what the data lacks, and what that means for the figures.
    pub lacks: Vec<String>,
}

impl Findings {
    /// Whether they are of shards of one run, and nothing else.
    pub fn are_shards(&self) -> bool {
        let whole_dir = |run: &RunFacts| {
            run.shard.as_ref()?;
            std::path::Path::new(&run.absolute_run_dir).parent().map(ToOwned::to_owned)
        };
        let first = self.runs.first().and_then(whole_dir);
        first.is_some() && self.runs.iter().all(|run| whole_dir(run) == first)
    }
}

/// How it went.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    /// Good, mixed or bad.
    pub mood: Mood,
    /// One sentence.
    pub sentence: String,
}

/// How it went, in a word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mood {
    /// Every task succeeded.
    Good,
    /// Not all did, or it is not over.
    #[default]
    Mixed,
    /// None did.
    Bad,
}

/// Tasks and attempts with one outcome.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OutcomeCount {
    /// `succeeded`, `failed`, …
    pub outcome: String,
    /// Tasks whose last attempt ended so.
    pub task_count: i64,
    /// Attempts that ended so.
    pub attempt_count: i64,
    /// Core seconds of these attempts.
    pub core_s: f64,
}

/// A note: what to change, and why.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Advice {
    /// Which rule wrote it: `slow_host`, `long_tail`, `short_tasks`, `memory_requested`, `failing_value`, `starved`, …
    pub rule: String,
    /// In one sentence: what to do.
    pub title: String,
    /// The figures it follows from.
    pub evidence: String,
    /// The exact setting or command.
    pub setting: Option<String>,
    /// Core seconds it would have saved.
    pub saves_core_s: f64,
}
