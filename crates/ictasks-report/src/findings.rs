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

/// What each worker did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkerFindings {
    /// Length of the time axis, as in [`Concurrency`].
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
