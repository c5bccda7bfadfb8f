//! How one attempt goes on one node: what ends it first, and what it has used until then.

use ictasks_core::attempt::{Attempt, Cause, Evidence, Outcome, Reason};
use ictasks_core::column::Timestamp;

use super::failure::Failure;
use super::random::Random;
use super::world::{Limits, Node, Work};

/// What the agent's own size hides of a process's memory.
const RSS_FLOOR_BYTES: i64 = 3 << 20;

/// At which part of its way a task has its largest memory.
const PEAK_AFTER: f64 = 0.7;

/// A task that is to be tried.
#[derive(Clone, Debug)]
pub(super) struct Task {
    pub(super) index: i64,
    pub(super) attempt: i32,
    pub(super) reason: Option<Reason>,
    pub(super) ready_at_us: i64,
    pub(super) work: Work,
}

/// Where it is tried.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) node: &'a Node,
    pub(super) host_id: i32,
    pub(super) worker_id: i32,
    pub(super) session: i32,
}

/// What ends an attempt, and after which part of its way.
enum End<'a> {
    Success,
    Trouble(&'a Failure),
    OutOfMemory,
    TimeOut,
    Interruption,
}

/// How long the work takes there, seconds, if nothing ends it before.
fn duration_s(work: &Work, node: &Node) -> f64 {
    let threads = work.threads.min(f64::from(node.cores_per_worker)).max(1e-3);
    work.cpu_s * node.slowness / threads + work.waits_s
}

fn first_end<'a>(task: &'a Task, node: &'a Node, limits: &Limits, whole_s: f64) -> (End<'a>, f64) {
    let mut first = (End::Success, whole_s);
    let mut may_end = |end: End<'a>, after_s: f64| {
        if after_s < first.1 {
            first = (end, after_s);
        }
    };
    if let Some(failure) = &node.broken {
        may_end(End::Trouble(failure), (0.02 * whole_s).min(1.0));
    }
    if let Some(trouble) = task.work.trouble.as_ref().filter(|trouble| task.attempt <= trouble.attempts) {
        may_end(End::Trouble(&trouble.failure), trouble.after * whole_s);
    }
    if limits.memory_per_task_bytes.is_some_and(|limit| task.work.memory_bytes > limit) {
        may_end(End::OutOfMemory, PEAK_AFTER * whole_s);
    }
    if let Some(timeout_s) = limits.timeout_s {
        may_end(End::TimeOut, timeout_s + 0.01);
    }
    first
}

/// An attempt that begins at `start_us` and is left alone, and the name of its failure.
pub(super) fn attempt(
    task: &Task,
    place: Place<'_>,
    limits: &Limits,
    start_us: i64,
    random: &mut Random,
) -> (Attempt, Option<String>) {
    let whole_s = duration_s(&task.work, place.node);
    let (end, after_s) = first_end(task, place.node, limits, whole_s);
    let failure = match &end {
        End::Trouble(failure) => Some(failure.name.clone()),
        End::OutOfMemory => Some("out_of_memory".to_owned()),
        End::TimeOut => Some("timed_out".to_owned()),
        End::Success | End::Interruption => None,
    };
    (row(task, place, limits, (start_us, after_s / whole_s, after_s), &end, random), failure)
}

/// The same attempt, ended by the user `after_s` seconds after its start.
pub(super) fn interrupted(
    task: &Task,
    place: Place<'_>,
    limits: &Limits,
    (start_us, after_s): (i64, f64),
    random: &mut Random,
) -> Attempt {
    let part = after_s / duration_s(&task.work, place.node);
    row(task, place, limits, (start_us, part, after_s), &End::Interruption, random)
}

fn row(
    task: &Task,
    place: Place<'_>,
    limits: &Limits,
    (start_us, part, after_s): (i64, f64, f64),
    end: &End<'_>,
    random: &mut Random,
) -> Attempt {
    let node = place.node;
    let wall_us = microseconds(after_s).max(1);
    let wall_s = seconds(wall_us);
    let mut row = Attempt {
        run_id: super::recording::RUN_ID.to_owned(),
        session: place.session,
        task_id: task.index.to_string(),
        task_index: task.index,
        attempt: task.attempt,
        reason: task.reason,
        command: task.work.command.clone(),
        command_hash: task.index.wrapping_mul(0x9E37_79B9_7F4A_7C15_u64.cast_signed()),
        host: Some(node.host.clone()),
        host_id: Some(place.host_id),
        worker_id: Some(place.worker_id),
        cores: Some(row_of(place.worker_id, node.cores_per_worker)),
        gpus: Some(row_of(place.worker_id, node.gpus_per_worker)),
        core_count: Some(node.cores_per_worker),
        gpu_count: Some(node.gpus_per_worker),
        pid: Some(10_000 + task.index % 4_000_000),
        ready_at: Some(Timestamp(task.ready_at_us)),
        started_at: Some(Timestamp(start_us)),
        finished_at: Some(Timestamp(start_us + wall_us)),
        memory_requested_bytes: limits.memory_per_task_bytes,
        timeout_s: limits.timeout_s,
        wait_s: Some(seconds(start_us - task.ready_at_us)),
        wall_s: Some(wall_s),
        stdout_bytes: Some(2_000),
        stderr_bytes: Some(0),
        leftover_process_count: Some(0),
        params_json: task.work.params.clone(),
        ..Attempt::default()
    };
    fill_usage(&mut row, &task.work, node, part, limits.memory_per_task_bytes);
    fill_outcome(&mut row, end, random);
    row
}

fn fill_usage(row: &mut Attempt, work: &Work, node: &Node, part: f64, limit_bytes: Option<i64>) {
    let wall_s = row.wall_s.unwrap_or(0.0);
    let cpu_s = (work.cpu_s * node.slowness * part).min(wall_s * f64::from(node.cores_per_worker));
    (row.user_s, row.system_s) = (Some(0.97 * cpu_s), Some(0.03 * cpu_s));
    // Memory grows up to its peak and stays.
    let reached = whole(to_float(work.memory_bytes) * (part / PEAK_AFTER).min(1.0)).max(RSS_FLOOR_BYTES);
    let peak = limit_bytes.map_or(reached, |limit| reached.min(limit));
    row.max_process_rss_bytes = Some(peak);
    row.rss_floor_bytes = Some(RSS_FLOOR_BYTES);
    row.sample_count = if wall_s < 1.0 { 0 } else { whole(wall_s.min(600.0)) };
    row.max_tree_rss_bytes = (row.sample_count > 0).then_some(peak);
    row.minor_fault_count = Some(peak / 4096);
    row.major_fault_count = Some(0);
    row.voluntary_switch_count = Some(whole(100.0 * work.waits_s * part));
    row.involuntary_switch_count = Some(whole(4.0 * cpu_s));
    let share = |bytes: i64| Some(whole(to_float(bytes) * part));
    (row.syscall_read_bytes, row.syscall_write_bytes) = (share(work.read_bytes), share(work.write_bytes));
    (row.storage_read_bytes, row.storage_write_bytes) = (Some(0), share(work.write_bytes));
    (row.read_call_count, row.write_call_count) =
        (share(work.read_bytes / 65_536), share(work.write_bytes / 65_536));
    if node.gpus_per_worker > 0 {
        row.gpu_busy_fraction = Some(work.gpu_busy_fraction);
        row.gpu_memory_max_bytes = Some(2 << 30);
        row.gpu_energy_j = Some(wall_s * (80.0 + 300.0 * work.gpu_busy_fraction));
    }
}

fn fill_outcome(row: &mut Attempt, end: &End<'_>, random: &mut Random) {
    match end {
        End::Success => (row.outcome, row.exit_code) = (Outcome::Succeeded, Some(0)),
        End::Trouble(failure) => {
            let host = row.host.clone().unwrap_or_default();
            let (stderr, stdout) = failure.output(&host, row.task_index, random);
            row.outcome = if failure.signal.is_some() { Outcome::Signaled } else { Outcome::Failed };
            (row.exit_code, row.signal) = (failure.exit_code, failure.signal);
            row.stderr_bytes = i64::try_from(stderr.len()).ok();
            (row.stderr_tail, row.stdout_tail) =
                ((!stderr.is_empty()).then_some(stderr), (!stdout.is_empty()).then_some(stdout));
        }
        End::OutOfMemory => {
            (row.outcome, row.signal) = (Outcome::OutOfMemory, Some(9));
            (row.cause, row.cause_evidence) = (Some(Cause::MemoryLimit), Some(Evidence::Certain));
            row.stdout_tail = Some("reading input\n".to_owned());
        }
        End::TimeOut => {
            (row.outcome, row.signal) = (Outcome::TimedOut, Some(15));
            row.stdout_tail = Some(format!("step {}\n", random.below(10_000)));
        }
        End::Interruption => {
            (row.outcome, row.signal) = (Outcome::Cancelled, Some(15));
            (row.cause, row.cause_evidence) = (Some(Cause::Interrupted), Some(Evidence::Certain));
        }
    }
}

/// The `number`th row of `length` successive ids.
fn row_of(number: i32, length: i32) -> Vec<i32> {
    (number * length..(number + 1) * length).collect()
}

/// To the nearest.
#[allow(clippy::cast_possible_truncation)]
pub(super) fn microseconds(seconds: f64) -> i64 {
    (seconds * 1e6).round() as i64
}

/// Of microseconds.
pub(super) fn seconds(microseconds: i64) -> f64 {
    to_float(microseconds) / 1e6
}

#[allow(clippy::cast_precision_loss)]
pub(super) fn to_float(whole: i64) -> f64 {
    whole as f64
}

#[allow(clippy::cast_possible_truncation)]
pub(super) fn whole(float: f64) -> i64 {
    float as i64
}
