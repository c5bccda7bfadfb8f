//! Tasks that wait to be handed to an agent.

use std::collections::{BTreeMap, VecDeque};

use ictasks_core::attempt::{Outcome, Reason};
use ictasks_core::column::Timestamp;
use ictasks_core::plan::Limits;
use ictasks_core::protocol::TaskOrder;
use ictasks_core::task::Task;

use super::AttemptKey;

/// Pauses between attempts grow to this, seconds.
const LONGEST_GROWN_PAUSE_S: f64 = 3600.0;

/// A task that is not done yet.
#[derive(Debug)]
pub struct Job {
    /// The attempt that comes next, or is being made.
    pub order: TaskOrder,
    /// How its last attempt in this session ended.
    pub last: Option<Outcome>,
    /// Nodes that were lost with it.
    pub loss_count: i32,
    /// How long it will probably take, where the task says so itself, seconds.
    pub expected_time_s: Option<f64>,
    retries_left: i32,
    failure_count: i32,
}

impl Job {
    /// A task that this session has not tried yet.
    pub fn new(
        task: Task,
        attempt: i32,
        reason: Option<Reason>,
        ready_at: Timestamp,
        limits: &Limits,
    ) -> Self {
        Self {
            retries_left: task.retries.unwrap_or(limits.retries),
            failure_count: 0,
            loss_count: 0,
            last: None,
            expected_time_s: task.expected_time_s.filter(|seconds| *seconds > 0.0),
            order: TaskOrder {
                task_index: task.index,
                task_id: task.id,
                attempt,
                command: task.command,
                command_hash: task.command_hash,
                ready_at,
                environment: task.environment,
                params_json: task.params_json,
                reason,
                timeout_s: task.timeout_s.filter(|seconds| *seconds > 0.0).or(limits.timeout_s),
                expected_outputs: task.expected_outputs.unwrap_or_else(|| limits.expected_outputs.clone()),
                call: task.call,
            },
        }
    }

    /// Names the attempt.
    pub const fn key(&self) -> AttemptKey {
        (self.order.task_index, self.order.attempt)
    }

    /// Whether another attempt may follow if this one fails.
    pub const fn may_be_retried(&self) -> bool {
        self.retries_left > 0
    }

    /// The next attempt after a failure, and the pause before it in seconds.
    pub fn after_failure(self, outcome: Outcome, now: Timestamp, limits: &Limits) -> (Self, f64) {
        let pause_s = pause_s(self.failure_count, limits);
        let job = Self {
            retries_left: self.retries_left - 1,
            failure_count: self.failure_count + 1,
            ..self.again(outcome, Reason::Retry, now.plus_seconds(pause_s))
        };
        (job, pause_s)
    }

    /// The next attempt after one that was no fault of the task.
    pub fn after_loss(self, outcome: Outcome, now: Timestamp) -> Self {
        let job = self.again(outcome, Reason::InterruptedBefore, now);
        Self { loss_count: job.loss_count + 1, ..job }
    }

    fn again(self, outcome: Outcome, reason: Reason, ready_at: Timestamp) -> Self {
        let order =
            TaskOrder { attempt: self.order.attempt + 1, reason: Some(reason), ready_at, ..self.order };
        Self { order, last: Some(outcome), ..self }
    }
}

/// Seconds to wait after so many failures before.
fn pause_s(failure_count: i32, limits: &Limits) -> f64 {
    let first = limits.retry_delay_s;
    if first <= 0.0 {
        return 0.0;
    }
    (first * limits.retry_backoff.powi(failure_count)).min(LONGEST_GROWN_PAUSE_S.max(first))
}

/// Tasks that wait, first those that an agent's death gave back, then retries that are due, then
/// fresh ones.
#[derive(Debug, Default)]
pub struct Queue {
    given_back: VecDeque<Job>,
    backing_off: BTreeMap<(Timestamp, i64), Job>,
    fresh: VecDeque<Job>,
}

impl Queue {
    /// A task for the first time.
    pub fn push_fresh(&mut self, job: Job) {
        self.fresh.push_back(job);
    }

    /// A task that is to run again as soon as can be.
    pub fn push_given_back(&mut self, job: Job) {
        self.given_back.push_back(job);
    }

    /// A task that waits until it is ready.
    pub fn push_backing_off(&mut self, job: Job) {
        self.backing_off.insert((job.order.ready_at, job.order.task_index), job);
    }

    /// The next task that may run now.
    pub fn next(&mut self, now: Timestamp) -> Option<Job> {
        if let Some(job) = self.given_back.pop_front() {
            return Some(job);
        }
        match self.backing_off.first_entry() {
            Some(entry) if entry.key().0 <= now => Some(entry.remove()),
            _ => self.fresh.pop_front(),
        }
    }

    /// When the next back-off ends.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.backing_off.first_key_value().map(|((due, _), _)| *due)
    }

    /// Takes everything out.
    pub fn take_all(&mut self) -> Vec<Job> {
        let given_back = std::mem::take(&mut self.given_back).into_iter();
        let backing_off = std::mem::take(&mut self.backing_off).into_values();
        given_back.chain(backing_off).chain(std::mem::take(&mut self.fresh)).collect()
    }

    /// Number of tasks that could run now but for those that back off.
    pub fn ready_count(&self) -> usize {
        self.given_back.len() + self.fresh.len()
    }

    /// Number of tasks that back off.
    pub fn backing_off_count(&self) -> usize {
        self.backing_off.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.given_back.is_empty() && self.backing_off.is_empty() && self.fresh.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(retry_delay_s: f64, retry_backoff: f64) -> Limits {
        Limits { retry_delay_s, retry_backoff, ..super::super::tests::limits() }
    }

    #[test]
    fn pauses_grow_up_to_an_hour() {
        let pauses = |limits: &Limits| [0, 1, 2, 2000].map(|failures| pause_s(failures, limits));
        assert_eq!(pauses(&limits(10.0, 3.0)), [10.0, 30.0, 90.0, 3600.0]);
        assert_eq!(pauses(&limits(10.0, 1.0)), [10.0; 4]);
        assert_eq!(pauses(&limits(0.0, 100.0)), [0.0; 4]);
        assert_eq!(pauses(&limits(7200.0, 2.0)), [7200.0; 4], "a longer one was asked for");
    }
}
