//! What the user is told of a run, counted from its events.

use std::collections::BTreeMap;
use std::time::Instant;

use ictasks_core::attempt::{Attempt, Outcome};
use ictasks_core::event::{Event, EventBody};

use crate::console::harmless;

/// Failures that the summary shows.
const SHOWN_FAILURES: usize = 3;
/// Longest line of a task's output in the summary, characters.
const SHOWN_CHARACTERS: usize = 120;

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
    /// The first that did not succeed, a line each, with the positions of the tasks.
    pub first_failures: Vec<(i64, String)>,
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
            first_failures: Vec::new(),
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
            EventBody::TaskRetried { task_index, .. } => self.retried(*task_index),
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
            if self.first_failures.len() < SHOWN_FAILURES {
                self.first_failures.push((attempt.task_index, describe(attempt)));
            }
        }
    }

    /// The attempt of this task that ended last is not its last one.
    fn retried(&mut self, task_index: i64) {
        self.retried += 1;
        self.not_succeeded = self.not_succeeded.saturating_sub(1);
        self.failed = self.failed.saturating_sub(1);
        self.first_failures.retain(|(index, _)| *index != task_index);
    }
}

/// One line about an attempt that failed: how, and what it said last.
fn describe(attempt: &Attempt) -> String {
    let how = match (attempt.outcome, attempt.exit_code, attempt.signal) {
        (Outcome::SpawnFailed, _, _) => "could not be started".to_owned(),
        (Outcome::TimedOut, _, _) => "was ended at its time limit".to_owned(),
        (_, _, Some(signal)) => format!("was killed by signal {signal}"),
        (_, Some(code), _) => format!("failed with exit code {code}"),
        (outcome, None, None) => outcome.to_string(),
    };
    let said = attempt
        .error
        .as_deref()
        .or_else(|| last_line(attempt.stderr_tail.as_deref()))
        .or_else(|| last_line(attempt.stdout_tail.as_deref()))
        .map(|line| harmless(line).chars().take(SHOWN_CHARACTERS).collect::<String>());
    match said {
        Some(said) => format!("task {} {how}: {said}", attempt.task_id),
        None => format!("task {} {how}, without output", attempt.task_id),
    }
}

fn last_line(text: Option<&str>) -> Option<&str> {
    text?.lines().map(str::trim).rfind(|line| !line.is_empty())
}
