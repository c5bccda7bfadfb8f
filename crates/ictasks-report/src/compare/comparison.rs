//! Every number of a comparison. Serialised it is `ictasks compare --format json`; `ictasks schema compare`
//! prints its JSON schema.
//!
//! Run A is the one before, run B the one after. A ratio is B by A, a difference B minus A. What could
//! not be known is null, never 0. Text that came from a task is as it was recorded: whoever renders it
//! makes it harmless.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::findings::{OutcomeCount, Quantile, RunLife, Verdict};
use crate::moment::Moment;

/// Version of [`Comparison`]. Fields are added; none is renamed or given another meaning without a
/// new version.
pub const COMPARISON_VERSION: u32 = 1;

/// What there is to say about two runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Comparison {
    /// [`COMPARISON_VERSION`].
    pub comparison_version: u32,
    /// Version of the program that computed it.
    pub ictasks_version: String,
    /// When it was computed.
    pub made_at: Moment,
    /// The run before, and its totals.
    pub a: ComparedRun,
    /// The run after, and its totals.
    pub b: ComparedRun,
    /// In one sentence: what changed.
    pub verdict: Verdict,
    /// What differs between the runs themselves, as run.json tells it.
    pub differences: Vec<Difference>,
    /// Which tasks belong together.
    pub matching: MatchFacts,
    /// Times and memory count as changed if the larger is more than so many times the smaller …
    pub threshold_ratio: f64,
    /// … and the times differ by at least so much,
    pub time_floor_s: f64,
    /// or the memory by so much.
    pub memory_floor_bytes: i64,
    /// Pairs by both outcomes, the most frequent first.
    pub transitions: Vec<Transition>,
    /// Running times of the pairs as a whole.
    pub times: TimeComparison,
    /// Succeeded in A, failed in B (`failed`, `signaled`, `timed_out`, `out_of_memory`, `spawn_failed`).
    pub newly_failing: Changes,
    /// Succeeded in A, did not finish in B (`cancelled`, `node_lost`, `pending`).
    pub unfinished: Changes,
    /// Failed in A, succeeded in B.
    pub newly_passing: Changes,
    /// Took longer in B, above the threshold; the largest difference first.
    pub slower: Changes,
    /// Took less time in B, above the threshold; the largest difference first.
    pub faster: Changes,
    /// Used more memory in B, above the threshold; the largest difference first.
    pub more_memory: Changes,
    /// Used less memory in B, above the threshold; the largest difference first.
    pub less_memory: Changes,
    /// Tasks of A that have no partner in B.
    pub missing: Absences,
    /// Tasks of B that have no partner in A.
    pub new: Absences,
    /// For people: what the data lacks.
    pub lacks: Vec<String>,
}

impl Comparison {
    /// Tasks that `--fail-on failures` counts: newly failing, unfinished, missing.
    pub const fn failure_count(&self) -> i64 {
        self.newly_failing.task_count + self.unfinished.task_count + self.missing.task_count
    }

    /// Tasks that `--fail-on regressions` counts: those, and the slower ones.
    pub const fn regression_count(&self) -> i64 {
        self.failure_count() + self.slower.task_count
    }
}

/// One of the two runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ComparedRun {
    /// The directory as it was given.
    pub run_dir: String,
    /// Its `run_id`; empty where run.json is lost.
    pub run_id: String,
    /// The user's name for it.
    pub job_id: String,
    /// Version of the program that wrote it.
    pub version: String,
    /// What it is doing, or how it ended.
    pub life: RunLife,
    /// When its first session began.
    pub began_at: Option<Moment>,
    /// Its starts.
    pub session_count: usize,
    /// Hosts that its attempts ran on or that joined it.
    pub host_count: usize,
    /// Cores that the workers of its last session hold.
    pub core_count: i64,
    /// Tasks that have a row.
    pub task_count: i64,
    /// Tasks and attempts by outcome; only outcomes that occur.
    pub outcomes: Vec<OutcomeCount>,
    /// Attempts that ended.
    pub attempt_count: i64,
    /// Σ cores × time over attempts.
    pub core_s: f64,
    /// CPU time of attempts.
    pub cpu_s: Option<f64>,
    /// Time in which a session was alive, summed.
    pub makespan_s: Option<f64>,
    /// Median over tasks of the running time, see [`TimeComparison`].
    pub median_run_s: Option<f64>,
    /// Largest memory peak of an attempt: the larger of largest process and sampled tree.
    pub largest_memory_bytes: Option<i64>,
}

/// Something in which the runs differ.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Difference {
    /// What it is about.
    pub topic: Topic,
    /// Its name: `limits.retries`, `gcc/13`, the name of a label.
    pub name: String,
    /// In A; null where it has none.
    pub a: Option<String>,
    /// In B; null where it has none.
    pub b: Option<String>,
}

/// What a difference is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Topic {
    /// The program `ictasks`.
    #[default]
    Version,
    /// The code that ran: git commit, conda, venv, submit directory.
    Software,
    /// Environment modules.
    Module,
    /// CPU model, cores, memory, GPUs, hosts.
    Machine,
    /// The resolved plan.
    Plan,
    /// The user's labels.
    Label,
}

/// How tasks are paired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Matching {
    /// Equal ids.
    Id,
    /// Equal commands before placeholders, the nth occurrence in A with the nth in B.
    Command,
    /// Equal values of all parameters, the nth occurrence in A with the nth in B.
    Param,
}

/// Which tasks belong together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MatchFacts {
    /// What `--match` asked for; null: by id where ids were given, else by command.
    pub asked: Option<Matching>,
    /// Pairs, together.
    pub pair_count: i64,
    /// Pairs by how they were found; only ways that found some.
    pub paired_by: Vec<PairedBy>,
    /// Pairs whose commands, before placeholders, differ.
    pub changed_command_count: i64,
    /// For people: what would pair more, where few were paired.
    pub hint: Option<String>,
}

/// Pairs that were found in one way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PairedBy {
    /// How.
    pub by: Matching,
    /// How many.
    pub pair_count: i64,
}

/// Pairs with these outcomes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Transition {
    /// Outcome of the last attempt in A.
    pub a: String,
    /// In B.
    pub b: String,
    /// How many.
    pub pair_count: i64,
}

/// Running times of the pairs that succeeded in both runs. The running time of a task is the median of
/// its attempts that succeeded, less the time in which they were stopped.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TimeComparison {
    /// Pairs with a running time on both sides.
    pub pair_count: i64,
    /// Those of which a side was measured once only.
    pub single_attempt_pair_count: i64,
    /// Σ running times of these pairs in A.
    pub a_sum_s: f64,
    /// In B.
    pub b_sum_s: f64,
    /// Ratios B by A by nearest rank: smallest, 5 %, 25 %, 50 %, 75 %, 95 %, largest.
    pub ratios: Vec<Quantile>,
    /// Interval that holds the median ratio of such tasks with 95 % confidence: the order statistics of
    /// the sign test, which assumes nothing about the distribution. Null below 6 pairs.
    pub median_ratio_interval: Option<(f64, f64)>,
    /// Whether the median has shifted: the interval excludes 1, and the median is 1 % or more from it.
    pub shift: Shift,
    /// For people: the shift.
    pub sentence: String,
    /// For people: how far a difference of one task can be trusted.
    pub noise: Option<String>,
}

/// Whether times as a whole have changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Shift {
    /// There are too few pairs to tell.
    #[default]
    Unknown,
    /// They have not.
    None,
    /// Longer in B.
    Slower,
    /// Shorter in B.
    Faster,
}

/// Pairs that changed in one way.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Changes {
    /// How many, listed or not.
    pub task_count: i64,
    /// The first of them.
    pub pairs: Vec<Pair>,
}

/// Tasks without a partner.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Absences {
    /// How many, listed or not.
    pub task_count: i64,
    /// The first of them, in the order of the task list.
    pub tasks: Vec<TaskSide>,
}

/// A task in both runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Pair {
    /// In A.
    pub a: TaskSide,
    /// In B.
    pub b: TaskSide,
    /// Running times, B by A.
    pub run_ratio: Option<f64>,
    /// Memory, B by A, of what was measured on both sides: the largest process, or the larger of it and
    /// the sampled tree.
    pub memory_ratio: Option<f64>,
}

/// A task in one run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TaskSide {
    /// Its id.
    pub task_id: String,
    /// Position in the list.
    pub task_index: i64,
    /// Outcome of its last attempt.
    pub outcome: String,
    /// Exit code of its last attempt.
    pub exit_code: Option<i32>,
    /// Signal of its last attempt.
    pub signal: Option<i32>,
    /// Number of its last attempt; 0 if it never ran.
    pub attempt: i32,
    /// Attempts that succeeded.
    pub succeeded_count: i64,
    /// Median running time of these.
    pub run_s: Option<f64>,
    /// Largest memory of these, see [`Pair::memory_ratio`].
    pub memory_bytes: Option<i64>,
    /// Host of its last attempt.
    pub host: Option<String>,
    /// The command, at most 500 characters.
    pub command: String,
    /// The last line that a failed attempt printed, at most 500 characters.
    pub message: Option<String>,
}
