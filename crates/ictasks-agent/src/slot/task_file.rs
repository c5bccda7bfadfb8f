//! `task.json`: one task for people and scripts, in its own directory.
//!
//! Its first nine fields are those of the Python ictasks 0.2.4, with their meaning; what is not
//! known yet is null.

use ictasks_core::attempt::{Cause, Evidence, Outcome, Usage};
use ictasks_core::column::Timestamp;
use ictasks_core::protocol::{TaskEnded, TaskOrder};
use serde::Serialize;

use super::SlotParts;

/// The document.
#[derive(Debug, Serialize)]
pub struct TaskFile {
    id: String,
    launch_cmd: String,
    state: State,
    /// Exit code, or -N for signal N.
    return_code: Option<i32>,
    /// Seconds since the epoch.
    launch_time: Option<f64>,
    /// Seconds since the epoch.
    finish_time: Option<f64>,
    worker_id: i32,
    host_id: i32,
    pid: Option<i64>,
    outcome: Option<Outcome>,
    attempt: i32,
    exit_code: Option<i32>,
    signal: Option<i32>,
    cause: Option<Cause>,
    cause_evidence: Option<Evidence>,
    error: Option<String>,
    host: String,
    cores: Option<Vec<i32>>,
    gpus: Vec<i32>,
    wall_s: Option<f64>,
    usage: Option<Usage>,
    run_id: String,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Created,
    Running,
    Finished,
}

impl TaskFile {
    /// Of a task that has not been started.
    pub fn new(parts: &SlotParts, order: &TaskOrder) -> Self {
        Self {
            id: order.task_id.clone(),
            launch_cmd: order.command.clone(),
            state: State::Created,
            return_code: None,
            launch_time: None,
            finish_time: None,
            worker_id: parts.worker.id,
            host_id: parts.setup.host_id,
            pid: None,
            outcome: None,
            attempt: order.attempt,
            exit_code: None,
            signal: None,
            cause: None,
            cause_evidence: None,
            error: None,
            host: parts.host.clone(),
            cores: parts.worker.cores.clone(),
            gpus: parts.worker.gpus.clone(),
            wall_s: None,
            usage: None,
            run_id: parts.setup.run_id.clone(),
        }
    }

    /// Its process was started.
    pub fn started(&mut self, pid: i32, at: Timestamp) {
        self.state = State::Running;
        self.pid = Some(pid.into());
        self.launch_time = Some(at.epoch_seconds());
    }

    /// The attempt is over.
    pub fn ended(&mut self, ended: &TaskEnded) {
        self.state = State::Finished;
        self.return_code = ended.exit_code.or(ended.signal.map(|signal| -signal));
        self.finish_time = ended.finished_at().map(Timestamp::epoch_seconds);
        self.outcome = Some(ended.outcome);
        self.exit_code = ended.exit_code;
        self.signal = ended.signal;
        self.cause = ended.cause;
        self.cause_evidence = ended.cause_evidence;
        self.error.clone_from(&ended.error);
        self.wall_s = ended.wall_s;
        self.usage = Some(ended.usage.clone());
    }

    /// The document as text, in this memory.
    pub fn to_json<'a>(&self, memory: &'a mut Vec<u8>) -> &'a [u8] {
        memory.clear();
        // Serialising plain fields to memory cannot fail.
        let _ = serde_json::to_writer_pretty(&mut *memory, self);
        memory.push(b'\n');
        memory
    }
}
