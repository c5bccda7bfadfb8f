//! What the coordinator and an agent say to one another: JSON, one message a line.
//!
//! The coordinator begins with [`Setup`] and goes on with [`Request`]s; the agent begins with
//! [`Reply::Hello`]. The agent passes a `{"run":…}` line on to its slots unread.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::attempt::{Cause, Evidence, Outcome, Reason, Seat, Usage};
use crate::column::Timestamp;
use crate::command::Shell;
use crate::config::{GpuBinding, OutputLimits, StoppingCondition, TaskFiles};
use crate::sample::Sample;

/// Version of these messages; an agent of another version is refused.
pub const PROTOCOL_VERSION: u32 = 1;

/// How the line of a [`Request::Run`] begins: the agent knows it by this without parsing it.
pub const RUN_PREFIX: &str = "{\"run\":";

/// An agent lets replies gather for no longer than this; what is read ahead for it has to last until then.
pub const LONGEST_PAUSE: Duration = Duration::from_millis(15);

/// Where a task's current directory is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WorkingDirectory {
    /// The task's own directory in the run directory.
    #[default]
    Task,
    /// The directory that the farm was started in.
    Submit,
}

/// One worker: what its tasks hold while they run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worker {
    /// Number within the host.
    pub id: i32,
    /// Logical CPUs; `None` where there are more workers than the hardware has, then nothing is pinned.
    pub cores: Option<Vec<i32>>,
    /// Device ids of GPUs.
    pub gpus: Vec<i32>,
}

/// The first line to an agent: all that holds for every task of the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Setup {
    /// [`PROTOCOL_VERSION`] of the coordinator.
    pub protocol_version: u32,
    /// The run.
    pub run_id: String,
    /// Which start of it.
    pub session: i32,
    /// The user's name for the run.
    pub job_id: String,
    /// Number of the host within the run.
    pub host_id: i32,
    /// The run directory, absolute.
    pub run_dir: PathBuf,
    /// The directory that the farm was started in, absolute.
    pub submit_dir: PathBuf,
    /// The host's clock less the coordinator's, seconds: all times are the coordinator's.
    #[serde(default)]
    pub clock_offset_s: f64,
    /// The workers of this host; the agent makes a slot for each.
    pub workers: Vec<Worker>,
    /// Cores a worker has: `OMP_NUM_THREADS` where it is not set.
    pub cores_per_task: i32,
    /// How commands are started.
    pub shell: Shell,
    /// The program that runs function calls, and its arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_server: Option<Vec<String>>,
    /// Where tasks run.
    pub cwd: WorkingDirectory,
    /// File name of a task's standard output.
    pub stdout_filename: String,
    /// File name of a task's standard error.
    pub stderr_filename: String,
    /// Environment for all tasks.
    pub environment: BTreeMap<String, String>,
    /// Seconds between samples of young tasks and hosts; 0 takes none.
    pub sample_interval_s: f64,
    /// Whether tasks are bound to the CPUs of their workers.
    pub pin_cores: bool,
    /// Seconds between SIGTERM and SIGKILL at a task's time limit.
    pub kill_grace_s: f64,
    /// Memory a task may use, bytes.
    pub memory_per_task_bytes: Option<i64>,
    /// Whether a task that uses more is ended.
    pub enforce_memory: bool,
    /// How much of a task's output is kept.
    pub max_output: OutputLimits,
    /// Which tasks keep the files that the agent writes.
    pub task_files: TaskFiles,
    /// What is looked for in a task's directory after it has ended.
    pub stopping_conditions: Vec<StoppingCondition>,
    /// How tasks learn of their GPUs.
    pub gpu_binding: GpuBinding,
}

impl Setup {
    /// What an attempt on this worker holds, for its row in the record.
    pub fn seat(&self, host: &str, worker: &Worker) -> Seat {
        let count = |cores: &Vec<i32>| i32::try_from(cores.len()).unwrap_or(i32::MAX);
        Seat {
            run_id: self.run_id.clone(),
            session: self.session,
            host: host.to_owned(),
            host_id: self.host_id,
            worker_id: worker.id,
            core_count: worker.cores.as_ref().map_or(self.cores_per_task, count),
            cores: worker.cores.clone(),
            gpus: worker.gpus.clone(),
            memory_requested_bytes: self.memory_per_task_bytes,
        }
    }
}

/// What the coordinator asks of an agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Run this task as soon as a slot is free.
    Run(TaskOrder),
    /// Give back what has not started ([`Reply::Recalled`]).
    Recall,
    /// End what runs: SIGTERM, after `grace_s` SIGKILL.
    Terminate {
        /// Seconds between SIGTERM and SIGKILL.
        grace_s: f64,
        /// What the record is to say.
        cause: Cause,
    },
    /// Stop what runs (SIGSTOP), and answer with [`Reply::Suspended`].
    Suspend,
    /// Let what was stopped go on (SIGCONT).
    Continue,
    /// Nothing more will come: finish and exit.
    End,
    /// The coordinator has heard this [`Reply::Beat`].
    Beat {
        /// Which.
        number: u64,
    },
}

/// One task, as a slot needs it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskOrder {
    /// Position in the task list.
    pub task_index: i64,
    /// The id: its directory is `task_<id>`.
    pub task_id: String,
    /// 1 is the first.
    pub attempt: i32,
    /// The command, placeholders replaced.
    pub command: String,
    /// Hash of the command before placeholders.
    pub command_hash: i64,
    /// When it could have run.
    pub ready_at: Timestamp,
    /// Environment of this task.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// Its parameters, as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params_json: Option<String>,
    /// Why this attempt is made, in a resumed run or after a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// Seconds it may take, time in which it is stopped left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_s: Option<f64>,
    /// Files that must be in its current directory after exit code 0.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expected_outputs: Vec<String>,
    /// The file of a function call, where it is one: the call server runs that, and the command is only its
    /// text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<PathBuf>,
}

/// What an agent says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// The agent is ready.
    Hello(NodeInfo),
    /// A task's first process was started. Left out where the attempt ended within milliseconds:
    /// then [`Reply::Finished`] says it all.
    Started(TaskStarted),
    /// An attempt ended.
    Finished(Box<TaskEnded>),
    /// A task was not started because of the farm's own trouble; it stays `pending`.
    NotStarted {
        /// The task.
        task_index: i64,
        /// What was wrong, and what the user can do.
        message: String,
    },
    /// These tasks had not started and were taken out of the queue.
    Recalled {
        /// Their positions in the list.
        task_indices: Vec<i64>,
    },
    /// Resource use.
    Samples(Vec<Sample>),
    /// The GPUs of the host that the farm may use, as soon as their driver has answered.
    Gpus(Vec<GpuInfo>),
    /// What runs has been stopped, as asked by [`Request::Suspend`].
    Suspended,
    /// Something that the user should know, and that stops nothing.
    Warning {
        /// What.
        message: String,
    },
    /// Something is wrong with the agent itself (for instance a slot died).
    Trouble {
        /// What.
        message: String,
    },
    /// The agent lives; see [`crate::lease`].
    Beat {
        /// Counts from 0.
        number: u64,
    },
    /// Every slot has ended, and nothing that it started is left. The last word of an agent on another node.
    Gone,
}

impl Reply {
    /// Whether a reply, as JSON, says that an order has been dealt with by a slot; without parsing it.
    pub fn answers_order(json: &[u8]) -> bool {
        ["{\"finished\":", "{\"not_started\":"].iter().any(|prefix| json.starts_with(prefix.as_bytes()))
    }
}

/// An agent and its host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeInfo {
    /// [`PROTOCOL_VERSION`] of the agent.
    pub protocol_version: u32,
    /// Name of the host.
    pub host: String,
    /// Number of the host within the run.
    pub host_id: i32,
    /// Process id of the agent.
    pub pid: i64,
    /// Logical CPUs that its workers hold together, or that it may use where nothing is pinned.
    pub core_count: i32,
    /// GPUs that its workers hold together.
    pub gpu_count: i32,
    /// Memory of the host, bytes.
    pub memory_total_bytes: Option<i64>,
    /// Model of its processors, as the kernel names it.
    pub cpu_model: Option<String>,
    /// Its clock when it said hello.
    pub at: Timestamp,
    /// Its GPUs. Empty when it says hello: no task waits for their driver, see [`Reply::Gpus`].
    #[serde(default)]
    pub gpus: Vec<GpuInfo>,
    /// How the memory limit is enforced, where it is: `cgroup` or `sampled`.
    #[serde(default)]
    pub memory_enforcement: Option<String>,
}

/// A GPU of a host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GpuInfo {
    /// Device id of the node.
    pub id: i32,
    /// Its model.
    pub name: Option<String>,
    /// Its own id.
    pub uuid: Option<String>,
    /// Its memory.
    pub memory_total_bytes: Option<i64>,
}

/// A task's first process was started.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskStarted {
    /// Position in the task list.
    pub task_index: i64,
    /// 1 is the first.
    pub attempt: i32,
    /// On which worker.
    pub worker_id: i32,
    /// Its first process.
    pub pid: i64,
    /// When.
    pub started_at: Timestamp,
}

/// An attempt ended, or could not be started.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskEnded {
    /// Position in the task list.
    pub task_index: i64,
    /// 1 is the first.
    pub attempt: i32,
    /// On which worker.
    pub worker_id: i32,
    /// Its first process; `None` if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<i64>,
    /// When it was started; `None` if it could not be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// Start to end of the first process, seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wall_s: Option<f64>,
    /// How long it was stopped of that, seconds.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub stopped_s: f64,
    /// How it ended.
    pub outcome: Outcome,
    /// Exit code, if it exited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The signal it died of, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// What the code alone does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// How sure that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause_evidence: Option<Evidence>,
    /// Why it could not be started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// End of standard error, if it did not succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stderr_tail: Option<String>,
    /// End of standard output, if it did not succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdout_tail: Option<String>,
    /// What it used.
    pub usage: Usage,
    /// The scalars of the `result.json` that it wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub results_json: Option<String>,
    /// Which of the `stopping_conditions` holds in its directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_condition: Option<String>,
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    clippy::float_cmp,
    reason = "serde's signature; exactly 0 is left out"
)]
fn is_zero(seconds: &f64) -> bool {
    *seconds == 0.0
}

impl TaskEnded {
    /// An attempt of which only this is known.
    pub fn unmeasured(task_index: i64, attempt: i32, worker_id: i32, outcome: Outcome) -> Self {
        Self {
            task_index,
            attempt,
            worker_id,
            pid: None,
            started_at: None,
            wall_s: None,
            stopped_s: 0.0,
            outcome,
            exit_code: None,
            signal: None,
            cause: None,
            cause_evidence: None,
            error: None,
            stderr_tail: None,
            stdout_tail: None,
            usage: Usage::default(),
            results_json: None,
            stop_condition: None,
        }
    }

    /// When its first process ended: its start and its wall time.
    pub fn finished_at(&self) -> Option<Timestamp> {
        Some(self.started_at?.plus_seconds(self.wall_s?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_an_order_is_known_by_its_beginning() {
        let answers = |reply: &Reply| Reply::answers_order(&serde_json::to_vec(reply).unwrap());
        let ended = TaskEnded::unmeasured(7, 1, 0, Outcome::Succeeded);
        assert!(answers(&Reply::Finished(Box::new(ended))));
        assert!(answers(&Reply::NotStarted { task_index: 7, message: String::new() }));
        assert!(!answers(&Reply::Recalled { task_indices: vec![7] }));
        assert!(!answers(&Reply::Warning { message: "{\"finished\":".to_owned() }));
    }
}
