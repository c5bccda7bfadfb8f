//! One attempt at a task: how it ended, what it used, and its row in the record.

use serde::{Deserialize, Serialize};

use crate::column::{Timestamp, names, row};
use crate::protocol::{TaskEnded, TaskOrder};

names! {
    /// How an attempt ended.
    pub enum Outcome {
        /// Exit code 0.
        Succeeded = "succeeded",
        /// Another exit code.
        Failed = "failed",
        /// Its first process died of a signal that we did not send.
        Signaled = "signaled",
        /// Ended by us at its time limit.
        TimedOut = "timed_out",
        /// Ended because memory ran out.
        OutOfMemory = "out_of_memory",
        /// Its program could not be started.
        SpawnFailed = "spawn_failed",
        /// Started, and ended by us, by the user or by the scheduler.
        Cancelled = "cancelled",
        /// Its node or agent was lost while it ran.
        NodeLost = "node_lost",
        /// Never started.
        Pending = "pending",
    }
}

// `names!` derives no default, since most of its enums have none.
#[allow(clippy::derivable_impls)]
impl Default for Outcome {
    fn default() -> Self {
        Self::Pending
    }
}

impl Outcome {
    /// Whether the attempt ended in a way that is the task's own fault.
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::Signaled | Self::TimedOut | Self::OutOfMemory | Self::SpawnFailed)
    }
}

names! {
    /// What the exit code alone does not say.
    pub enum Cause {
        /// The user interrupted the run.
        Interrupted = "interrupted",
        /// The coordinator died and the agent ended what ran.
        CoordinatorLost = "coordinator_lost",
        /// The agent died and the slot ended what ran.
        AgentLost = "agent_lost",
        /// The slot that watched the task died.
        SlotLost = "slot_lost",
        /// The task list turned out to be wrong while it was read.
        InputError = "input_error",
        /// The farm or its record met trouble of its own (a full disk, no more processes).
        FarmTrouble = "farm_trouble",
        /// `ictasks stop` ended it.
        Stopped = "stopped",
        /// The run was asked to stop starting tasks (`ictasks stop --drain`, SIGUSR1).
        StopRequested = "stop_requested",
        /// `max_failures` tasks had failed.
        MaxFailures = "max_failures",
        /// A task met one of the `stopping_conditions`.
        StopCondition = "stop_condition",
        /// None of the first `stop_if_none_succeed` attempts succeeded.
        NoneSucceeded = "none_succeeded",
        /// Exit code 0, but a file of `expected_outputs` is not there.
        MissingOutput = "missing_output",
        /// Its file system was full when it failed.
        DiskFull = "disk_full",
        /// It used more than `memory_per_task` and was ended for it.
        MemoryLimit = "memory_limit",
        /// The kernel ran out of memory and killed one of its processes.
        OomKill = "oom_kill",
        /// The time of the allocation did not suffice, or was over.
        Walltime = "walltime",
        /// Slurm took the allocation away for another job.
        Preempted = "preempted",
        /// It asked for a GPU by a number that its mask hides.
        GpuMasked = "gpu_masked",
    }
}

names! {
    /// Why an attempt was made in a resumed run, or why a task was left out of it.
    pub enum Reason {
        /// It is not in the record yet.
        NewInList = "new_in_list",
        /// It is in the record, but never started.
        NeverRan = "never_ran",
        /// Its last attempt failed.
        FailedBefore = "failed_before",
        /// Its last attempt was cancelled or lost, or the run ended while it waited for another one.
        InterruptedBefore = "interrupted_before",
        /// Its command is another than in the record.
        CommandChanged = "command_changed",
        /// It was asked for by `--only`.
        Listed = "listed",
        /// An attempt of the same session failed and `retries` allow another.
        Retry = "retry",
        /// Left out: it succeeded with the same command.
        SucceededBefore = "succeeded_before",
        /// Left out: `--only` does not name it.
        NotListed = "not_listed",
    }
}

names! {
    /// How sure a [`Cause`] is.
    pub enum Evidence {
        /// Observed.
        Certain = "certain",
        /// Concluded from what was observed.
        Probable = "probable",
    }
}

/// What a task used. Null where it was not measured. Sources: `wait4` of every descendant,
/// `/proc/self/io` of the slot, samples of the process tree; see the architecture.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// User CPU time of the whole waited-for tree, seconds.
    pub user_s: Option<f64>,
    /// System CPU time of the whole waited-for tree, seconds.
    pub system_s: Option<f64>,
    /// Largest `ru_maxrss` of the tree's processes, bytes.
    pub max_process_rss_bytes: Option<i64>,
    /// What the slot's own size hides of `max_process_rss_bytes`.
    pub rss_floor_bytes: Option<i64>,
    /// Largest sampled sum of resident memory over the tree, bytes.
    pub max_tree_rss_bytes: Option<i64>,
    /// Number of samples that were taken of the tree.
    pub sample_count: i64,
    /// Page faults without I/O.
    pub minor_fault_count: Option<i64>,
    /// Page faults with I/O.
    pub major_fault_count: Option<i64>,
    /// Context switches because the process waited.
    pub voluntary_switch_count: Option<i64>,
    /// Context switches because its time was up.
    pub involuntary_switch_count: Option<i64>,
    /// Read from storage (`ru_inblock` × 512).
    pub storage_read_bytes: Option<i64>,
    /// Written to storage (`ru_oublock` × 512).
    pub storage_write_bytes: Option<i64>,
    /// Read by system calls (`rchar`).
    pub syscall_read_bytes: Option<i64>,
    /// Written by system calls (`wchar`).
    pub syscall_write_bytes: Option<i64>,
    /// Number of read calls (`syscr`).
    pub read_call_count: Option<i64>,
    /// Number of write calls (`syscw`).
    pub write_call_count: Option<i64>,
    /// Share of the time its GPUs were busy, 0-1 (mean over its GPUs and samples).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpu_busy_fraction: Option<f64>,
    /// Largest sampled GPU memory of its processes, bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpu_memory_max_bytes: Option<i64>,
    /// Energy its GPUs used while it ran, joules.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpu_energy_j: Option<f64>,
    /// Size of the standard output file at the end.
    pub stdout_bytes: Option<i64>,
    /// Size of the standard error file at the end.
    pub stderr_bytes: Option<i64>,
    /// Bytes of standard output that `max_output` cut out of its middle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stdout_cut_bytes: Option<i64>,
    /// Bytes of standard error that `max_output` cut out of its middle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stderr_cut_bytes: Option<i64>,
    /// Processes that the task left behind, which were ended.
    pub leftover_process_count: Option<i64>,
}

row! {
    /// A row of `attempts.parquet`; `tasks.parquet` has these columns and two more.
    #[derive(Clone, Debug, Default, PartialEq)]
    pub struct Attempt {
        /// the run
        run_id: String => Category,
        /// which start of the run (0, then +1 for each resume)
        session: i32 => Int32,
        /// the task's id as given
        task_id: String => Text,
        /// position in the task list (join on this one)
        task_index: i64 => Int64,
        /// 1 is the first; 0 in tasks.parquet for a task that never ran
        attempt: i32 => Int32,
        /// why it was made, in a resumed run or after a failure; null for a first attempt of a fresh run
        reason: Option<Reason> => Category,
        /// the command after placeholders
        command: String => Text,
        /// hash of the command before placeholders, for resume and compare
        command_hash: i64 => Int64,
        /// how the attempt ended
        outcome: Outcome => Category,
        /// exit code of the task's first process, if it exited
        exit_code: Option<i32> => Int32,
        /// the signal that the task's first process died of, if any
        signal: Option<i32> => Int32,
        /// what the code alone does not say
        cause: Option<Cause> => Category,
        /// how sure the cause is: certain or probable
        cause_evidence: Option<Evidence> => Category,
        /// why it could not be started
        error: Option<String> => Text,
        /// last 2 KiB of standard error, of an attempt that did not succeed
        stderr_tail: Option<String> => Text,
        /// last 2 KiB of standard output, of an attempt that did not succeed
        stdout_tail: Option<String> => Text,
        /// the host it ran on
        host: Option<String> => Category,
        /// number of the host within the run
        host_id: Option<i32> => Int32,
        /// number of the worker within the host
        worker_id: Option<i32> => Int32,
        /// logical CPUs it held; null where there are more workers than the hardware has
        cores: Option<Vec<i32>> => Int32List,
        /// device ids of the GPUs it held
        gpus: Option<Vec<i32>> => Int32List,
        /// number of cores it held
        core_count: Option<i32> => Int32,
        /// number of GPUs it held
        gpu_count: Option<i32> => Int32,
        /// process id of its first process
        pid: Option<i64> => Int64,
        /// when it could have run: start of the session for files, arrival for streams
        ready_at: Option<Timestamp> => Timestamp,
        /// when its first process was started
        started_at: Option<Timestamp> => Timestamp,
        /// `started_at` + `wall_s`
        finished_at: Option<Timestamp> => Timestamp,
        /// memory it was given
        memory_requested_bytes: Option<i64> => Int64,
        /// time it was given
        timeout_s: Option<f64> => Float64,
        /// how long it was stopped
        stopped_s: f64 => Float64,
        /// ready to start, within one session
        wait_s: Option<f64> => Float64,
        /// start to end of the first process, by the monotonic clock
        wall_s: Option<f64> => Float64,
        /// user CPU time of the whole waited-for tree
        user_s: Option<f64> => Float64,
        /// system CPU time of the whole waited-for tree
        system_s: Option<f64> => Float64,
        /// memory of its largest process (rusage)
        max_process_rss_bytes: Option<i64> => Int64,
        /// what the agent's own size hides of the figure before
        rss_floor_bytes: Option<i64> => Int64,
        /// largest sampled sum of resident memory over the tree
        max_tree_rss_bytes: Option<i64> => Int64,
        /// number of samples behind the figure before
        sample_count: i64 => Int64,
        /// page faults without I/O
        minor_fault_count: Option<i64> => Int64,
        /// page faults with I/O
        major_fault_count: Option<i64> => Int64,
        /// context switches because a process waited
        voluntary_switch_count: Option<i64> => Int64,
        /// context switches because a process's time was up
        involuntary_switch_count: Option<i64> => Int64,
        /// read from storage (rusage)
        storage_read_bytes: Option<i64> => Int64,
        /// written to storage (rusage)
        storage_write_bytes: Option<i64> => Int64,
        /// read by system calls, page cache included (`rchar`)
        syscall_read_bytes: Option<i64> => Int64,
        /// written by system calls, page cache included (`wchar`)
        syscall_write_bytes: Option<i64> => Int64,
        /// number of read calls
        read_call_count: Option<i64> => Int64,
        /// number of write calls
        write_call_count: Option<i64> => Int64,
        /// share of the time its GPUs were busy, 0-1
        gpu_busy_fraction: Option<f64> => Float64,
        /// largest GPU memory in use
        gpu_memory_max_bytes: Option<i64> => Int64,
        /// energy its GPUs used, joules
        gpu_energy_j: Option<f64> => Float64,
        /// size of the standard output file
        stdout_bytes: Option<i64> => Int64,
        /// size of the standard error file
        stderr_bytes: Option<i64> => Int64,
        /// bytes of standard output that `max_output` cut out of its middle
        stdout_cut_bytes: Option<i64> => Int64,
        /// bytes of standard error that `max_output` cut out of its middle
        stderr_cut_bytes: Option<i64> => Int64,
        /// processes it left behind, which were ended
        leftover_process_count: Option<i64> => Int64,
        /// its parameters, as JSON; in the tables one column each, `param_*`
        params_json: Option<String> => Text,
        /// the scalars of its result.json, as JSON; in the tables one column each, `result_*`
        results_json: Option<String> => Text,
    }
}

/// Where an attempt was made, and what it held there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Seat {
    /// The run.
    pub run_id: String,
    /// Which start of it.
    pub session: i32,
    /// Name of the host.
    pub host: String,
    /// Number of the host within the run.
    pub host_id: i32,
    /// Number of the worker within the host.
    pub worker_id: i32,
    /// Logical CPUs; `None` where workers hold none of their own.
    pub cores: Option<Vec<i32>>,
    /// Number of cores.
    pub core_count: i32,
    /// Device ids of GPUs.
    pub gpus: Vec<i32>,
    /// `memory_per_task`, bytes.
    pub memory_requested_bytes: Option<i64>,
}

impl Attempt {
    /// A task of which nothing is known but its order: its outcome is `pending`.
    pub fn of_order(run_id: &str, session: i32, order: TaskOrder) -> Self {
        Self {
            run_id: run_id.to_owned(),
            session,
            task_id: order.task_id,
            task_index: order.task_index,
            reason: order.reason,
            command: order.command,
            command_hash: order.command_hash,
            ready_at: None,
            params_json: order.params_json,
            ..Self::default()
        }
    }

    /// The row of an attempt that ended, or could not be started.
    pub fn of_end(seat: &Seat, order: TaskOrder, ended: TaskEnded) -> Self {
        let finished_at = ended.finished_at();
        let usage = ended.usage;
        let ready_at = order.ready_at;
        Self {
            attempt: ended.attempt,
            outcome: ended.outcome,
            exit_code: ended.exit_code,
            signal: ended.signal,
            cause: ended.cause,
            cause_evidence: ended.cause_evidence,
            error: ended.error,
            stderr_tail: ended.stderr_tail,
            stdout_tail: ended.stdout_tail,
            host: Some(seat.host.clone()),
            host_id: Some(seat.host_id),
            worker_id: Some(ended.worker_id),
            cores: seat.cores.clone(),
            core_count: Some(seat.core_count),
            gpu_count: i32::try_from(seat.gpus.len()).ok(),
            gpus: Some(seat.gpus.clone()),
            pid: ended.pid,
            ready_at: Some(ready_at),
            started_at: ended.started_at,
            finished_at,
            memory_requested_bytes: seat.memory_requested_bytes,
            timeout_s: order.timeout_s,
            stopped_s: ended.stopped_s,
            wait_s: ended.started_at.map(|start| start.seconds_since(ready_at)),
            wall_s: ended.wall_s,
            user_s: usage.user_s,
            system_s: usage.system_s,
            max_process_rss_bytes: usage.max_process_rss_bytes,
            rss_floor_bytes: usage.rss_floor_bytes,
            max_tree_rss_bytes: usage.max_tree_rss_bytes,
            sample_count: usage.sample_count,
            minor_fault_count: usage.minor_fault_count,
            major_fault_count: usage.major_fault_count,
            voluntary_switch_count: usage.voluntary_switch_count,
            involuntary_switch_count: usage.involuntary_switch_count,
            storage_read_bytes: usage.storage_read_bytes,
            storage_write_bytes: usage.storage_write_bytes,
            syscall_read_bytes: usage.syscall_read_bytes,
            syscall_write_bytes: usage.syscall_write_bytes,
            read_call_count: usage.read_call_count,
            write_call_count: usage.write_call_count,
            gpu_busy_fraction: usage.gpu_busy_fraction,
            gpu_memory_max_bytes: usage.gpu_memory_max_bytes,
            gpu_energy_j: usage.gpu_energy_j,
            stdout_bytes: usage.stdout_bytes,
            stderr_bytes: usage.stderr_bytes,
            stdout_cut_bytes: usage.stdout_cut_bytes,
            stderr_cut_bytes: usage.stderr_cut_bytes,
            leftover_process_count: usage.leftover_process_count,
            results_json: ended.results_json,
            ..Self::of_order(&seat.run_id, seat.session, order)
        }
    }
}
