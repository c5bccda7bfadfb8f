//! What follows from the end of an attempt: another attempt, or a limit that stops the run.

use ictasks_core::attempt::{Attempt, Cause, Outcome};
use ictasks_core::event::EventBody;
use ictasks_core::protocol::{TaskEnded, TaskStarted};

use super::queue::Job;
use super::team::AgentId;
use super::{Dispatcher, InFlight, StopReason};

/// Attempts without any success after which the user is warned.
const WARN_AFTER: i32 = 50;

/// Whose fault an end was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The task's, or that of whoever ended it: as its outcome says.
    Own,
    /// Its agent's, which is gone: the task runs again, and no retry is used up.
    Agent,
}

/// What the limits of a run are compared with.
#[derive(Debug, Default)]
pub(super) struct SoFar {
    any_succeeded: bool,
    /// Attempts that failed before the first success.
    first_failures: i32,
    /// Tasks that failed for good.
    failed_tasks: i32,
}

impl Dispatcher<'_> {
    pub(super) fn finished(&mut self, agent: AgentId, ended: TaskEnded) {
        let is_current = |in_flight: &mut InFlight| in_flight.is(agent, ended.attempt);
        if !self.in_flight.get_mut(&ended.task_index).is_some_and(is_current) {
            return;
        }
        let Some(in_flight) = self.in_flight.remove(&ended.task_index) else { return };
        if let Some(wall_s) = ended.wall_s {
            self.team.learn(agent, wall_s);
        }
        self.team.release(agent);
        let (outcome, wall_s) = (ended.outcome, ended.wall_s);
        self.walltime.learn(&in_flight.job, outcome, wall_s);
        self.ended(in_flight, ended, Fault::Own);
        if !self.is_local {
            self.set_aside_if_black_hole(agent, outcome, wall_s);
        }
    }

    fn set_aside_if_black_hole(&mut self, agent: AgentId, outcome: Outcome, wall_s: Option<f64>) {
        let Some(why) = self.team.note_end(agent, outcome, wall_s) else { return };
        let is_at_work = self.team.working().any(|working| working == agent);
        let are_others = self.team.working().any(|working| working != agent);
        if is_at_work && are_others && !self.is_stopping() {
            self.set_aside(agent, &why);
        }
    }

    /// An attempt has ended: its row, and what follows from it.
    pub(super) fn ended(&mut self, in_flight: InFlight, ended: TaskEnded, fault: Fault) {
        let InFlight { job, agent, started } = in_flight;
        if started.is_none()
            && let (Some(pid), Some(started_at)) = (ended.pid, ended.started_at)
        {
            let TaskEnded { task_index, attempt, worker_id, .. } = ended;
            let started = TaskStarted { task_index, attempt, worker_id, pid, started_at };
            self.started_event(agent, job.order.task_id.clone(), &started);
        }
        let outcome = ended.outcome;
        let stop = self.stop_after(&job, &ended);
        let may_follow = match fault {
            Fault::Agent => {
                let is_within_limit =
                    self.is_local || job.loss_count + 1 < self.plan.limits.node_loss_retries;
                is_within_limit && !self.is_stopping()
            }
            Fault::Own => outcome.is_failure() && job.may_be_retried(),
        };
        let follows = may_follow && stop.is_none();
        let (row_order, job) = if follows { (job.order.clone(), Some(job)) } else { (job.order, None) };
        let Some(seat) = self.team.get(agent).map(|agent| agent.seat(ended.worker_id)) else { return };
        let attempt = Attempt::of_end(seat, row_order, ended);
        let at = attempt.finished_at.unwrap_or(self.now);
        self.event(at, EventBody::TaskFinished(Box::new(attempt)));
        if let Some(reason) = stop {
            self.stop(reason);
        }
        match (job, fault) {
            (Some(job), Fault::Own) => self.retry(job, outcome),
            (Some(job), Fault::Agent) => self.run_again(job, outcome),
            (None, _) => self.done(outcome),
        }
        self.warn_if_none_succeeds();
    }

    /// Whether the end of an attempt stops the run, whatever else follows from it.
    fn stop_after(&mut self, job: &Job, ended: &TaskEnded) -> Option<StopReason> {
        let task_id = &job.order.task_id;
        self.so_far.any_succeeded |= ended.outcome == Outcome::Succeeded;
        let is_first_failure = ended.outcome.is_failure() && !self.so_far.any_succeeded;
        self.so_far.first_failures += i32::from(is_first_failure);
        if let Some(condition) = &ended.stop_condition {
            return Some(StopReason::StopCondition(format!("{condition} after the task `{task_id}`")));
        }
        if ended.cause == Some(Cause::DiskFull) {
            return Some(StopReason::DiskFull(format!(
                "the file system was full when the task `{task_id}` failed; free space, and go on with --resume"
            )));
        }
        let limit = self.plan.limits.stop_if_none_succeed;
        (is_first_failure && limit > 0 && self.so_far.first_failures == limit)
            .then_some(StopReason::NoneSucceeded(limit))
    }

    /// Tasks that all agents together may hold. Slots start what agents hold before anybody can recall it,
    /// so where an end may stop the run no more is read ahead than can end without that.
    pub(super) fn most_in_flight(&self) -> usize {
        let limits = &self.plan.limits;
        let workers = self.team.worker_count();
        let before = |limit: i32, so_far: i32| usize::try_from(limit - so_far).unwrap_or(0).max(workers);
        let mut most = self.team.capacity();
        if let Some(limit) = limits.max_failures {
            most = most.min(before(limit, self.so_far.failed_tasks));
        }
        if limits.stop_if_none_succeed > 0 && !self.so_far.any_succeeded {
            most = most.min(before(limits.stop_if_none_succeed, self.so_far.first_failures));
        }
        most
    }

    /// The next attempt is announced also where no further task starts: it is for the session that goes on.
    fn retry(&mut self, job: Job, outcome: Outcome) {
        let (job, pause_s) = job.after_failure(outcome, self.now, &self.plan.limits);
        let when = match pause_s {
            _ if self.is_stopping() => "when the run goes on".to_owned(),
            pause_s if pause_s > 0.0 => format!("after {pause_s} s"),
            _ => "at once".to_owned(),
        };
        self.retried(&job, format!("{outcome}; it runs again {when}"));
        if self.is_stopping() {
            self.leave(job);
        } else {
            self.queue.push_backing_off(job);
        }
    }

    fn run_again(&mut self, job: Job, outcome: Outcome) {
        let job = job.after_loss(outcome, self.now);
        let why = if self.is_local {
            "its agent was lost; it runs again".to_owned()
        } else {
            "its node was lost; it runs again".to_owned()
        };
        self.retried(&job, why);
        self.queue.push_given_back(job);
    }

    fn retried(&mut self, job: &Job, message: String) {
        self.retried_count += 1;
        let body = EventBody::TaskRetried {
            task_id: job.order.task_id.clone(),
            task_index: job.order.task_index,
            attempt: job.order.attempt,
            message,
        };
        self.event(self.now, body);
    }

    /// A task has had its last attempt.
    fn done(&mut self, outcome: Outcome) {
        self.counts.add(outcome);
        self.so_far.failed_tasks += i32::from(outcome.is_failure());
        if let Some(limit) = self.plan.limits.max_failures
            && outcome.is_failure()
            && self.so_far.failed_tasks >= limit
        {
            self.stop(StopReason::MaxFailures(limit));
        }
    }

    fn warn_if_none_succeeds(&mut self) {
        let SoFar { any_succeeded, first_failures, .. } = self.so_far;
        if !any_succeeded && first_failures == WARN_AFTER && self.plan.limits.stop_if_none_succeed == 0 {
            self.warn(format!(
                "none of the first {WARN_AFTER} attempts succeeded: look at the output of one of them; \
                 `stop_if_none_succeed: {WARN_AFTER}` would stop the run here"
            ));
        }
    }
}
