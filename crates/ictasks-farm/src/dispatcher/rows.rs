//! From what the dispatcher knows of an attempt to its row in the record.

use ictasks_core::attempt::{Attempt, Cause, Evidence, Outcome};
use ictasks_core::plan::Plan;
use ictasks_core::protocol::{NodeInfo, TaskEnded};
use ictasks_core::task::Task;

use super::{InFlight, Session};

/// The row of an attempt that ended, or could not be started.
pub fn ended(
    session: &Session,
    plan: &Plan,
    node: Option<&NodeInfo>,
    in_flight: InFlight,
    ended: TaskEnded,
) -> Attempt {
    let worker = plan.workers.iter().find(|worker| worker.id == ended.worker_id);
    let cores = worker.and_then(|worker| worker.cores.clone());
    let gpus = worker.map(|worker| worker.gpus.clone());
    let count = |list: &Vec<i32>| i32::try_from(list.len()).unwrap_or(i32::MAX);
    let finished_at = ended.finished_at();
    let usage = ended.usage;
    Attempt {
        attempt: ended.attempt,
        outcome: ended.outcome,
        exit_code: ended.exit_code,
        signal: ended.signal,
        cause: ended.cause,
        cause_evidence: ended.cause_evidence,
        error: ended.error,
        stderr_tail: ended.stderr_tail,
        stdout_tail: ended.stdout_tail,
        host: node.map(|node| node.host.clone()),
        host_id: node.map(|node| node.host_id),
        worker_id: Some(ended.worker_id),
        core_count: Some(cores.as_ref().map_or(plan.task_distribution.cores_per_task, count)),
        gpu_count: gpus.as_ref().map(count),
        cores,
        gpus,
        pid: ended.pid,
        ready_at: Some(in_flight.ready_at),
        started_at: ended.started_at,
        finished_at,
        wait_s: ended.started_at.map(|start| start.seconds_since(in_flight.ready_at)),
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
        stdout_bytes: usage.stdout_bytes,
        stderr_bytes: usage.stderr_bytes,
        leftover_process_count: usage.leftover_process_count,
        results_json: ended.results_json,
        ..untouched(session, in_flight.task)
    }
}

/// The row of a task that never started.
pub fn pending(session: &Session, task: Task, cause: Cause) -> Attempt {
    Attempt { cause: Some(cause), cause_evidence: Some(Evidence::Certain), ..untouched(session, task) }
}

/// A task of which nothing is known yet.
fn untouched(session: &Session, task: Task) -> Attempt {
    Attempt {
        run_id: session.run_id.clone(),
        session: session.number,
        task_id: task.id,
        task_index: task.index,
        attempt: 0,
        command: task.command,
        command_hash: task.command_hash,
        outcome: Outcome::Pending,
        params_json: task.params_json,
        ..Attempt::default()
    }
}
