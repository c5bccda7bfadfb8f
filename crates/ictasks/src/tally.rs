//! What the user is told of a run, counted from its events.

use std::collections::BTreeMap;
use std::time::Instant;

use ictasks_core::attempt::{Attempt, Outcome};
use ictasks_core::event::{Event, EventBody};

/// Counts of a run so far.
#[derive(Debug)]
pub struct Tally {
    /// When the counting began.
    pub begun: Instant,
    /// Tasks in all, if known.
    pub task_count: Option<u64>,
    /// Ended with exit code 0.
    pub succeeded: u64,
    /// Ended otherwise.
    pub not_succeeded: u64,
    /// Of these, the tasks' own failures: not those that were cancelled.
    pub failed: u64,
    /// Running now.
    pub running: u64,
    /// Σ cores × wall time, seconds.
    pub core_seconds: f64,
    /// Cores of each node.
    pub cores_of: BTreeMap<String, i32>,
    /// Attempts that were made again.
    pub retried: u64,
}

impl Tally {
    /// At the start.
    pub fn new(task_count: Option<u64>) -> Self {
        Self {
            begun: Instant::now(),
            task_count,
            succeeded: 0,
            not_succeeded: 0,
            failed: 0,
            running: 0,
            core_seconds: 0.0,
            cores_of: BTreeMap::new(),
            retried: 0,
        }
    }

    /// Tasks that have ended.
    pub const fn done(&self) -> u64 {
        self.succeeded + self.not_succeeded
    }

    /// Cores of all nodes.
    pub fn cores(&self) -> i32 {
        self.cores_of.values().sum()
    }

    /// Counts one event.
    pub fn count(&mut self, event: &Event) {
        match &event.body {
            EventBody::NodeJoined(node) => {
                // An agent that replaces another has its cores.
                self.cores_of.insert(node.host.clone(), node.core_count);
            }
            EventBody::TaskStarted { .. } => self.running += 1,
            EventBody::TaskFinished(attempt) => self.finished(attempt),
            EventBody::TaskRetried { .. } => self.retried(),
            _ => {}
        }
    }

    fn finished(&mut self, attempt: &Attempt) {
        if attempt.started_at.is_some() {
            self.running = self.running.saturating_sub(1);
        }
        self.core_seconds += attempt.wall_s.unwrap_or(0.0) * f64::from(attempt.core_count.unwrap_or(0));
        if attempt.outcome == Outcome::Succeeded {
            self.succeeded += 1;
            return;
        }
        self.not_succeeded += 1;
        if attempt.outcome.is_failure() {
            self.failed += 1;
        }
    }

    /// The attempt of this task that ended last is not its last one.
    const fn retried(&mut self) {
        self.retried += 1;
        self.not_succeeded = self.not_succeeded.saturating_sub(1);
        self.failed = self.failed.saturating_sub(1);
    }
}
