//! How a run stops early: what is not started any more, and what becomes of what runs.

use ictasks_core::attempt::{Attempt, Cause, Evidence, Outcome};
use ictasks_core::event::EventBody;
use ictasks_core::protocol::Request;

use super::queue::Job;
use super::{Dispatcher, StopReason};

/// How far stopping has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// Not at all.
    Working,
    /// Nothing starts; what runs finishes.
    Finishing,
    /// What runs is being ended.
    Terminating,
    /// And killed.
    Killing,
}

impl Dispatcher<'_> {
    /// The run is to stop: nothing new starts. Of several reasons the first is kept, unless a later
    /// one ends what the first let finish, or is trouble where the first was a wish. A signal to a run
    /// whose tasks are being ended kills them.
    pub fn stop(&mut self, reason: StopReason) {
        let reason = self.understood(reason);
        // A list with a mistake is not read beyond it.
        self.reads_rest &= !matches!(reason, StopReason::Input(_));
        match self.stage {
            Stage::Working => self.stop_first(reason),
            Stage::Finishing if reason.ends_running_tasks() => {
                self.announce(&reason);
                self.terminate(&reason);
                self.replace_reason(reason);
            }
            Stage::Finishing if !reason.is_wish() && self.stop.as_ref().is_some_and(StopReason::is_wish) => {
                self.announce(&reason);
                self.replace_reason(reason);
            }
            Stage::Terminating | Stage::Killing if matches!(reason, StopReason::Signal(_)) => {
                self.stage = Stage::Killing;
                self.reads_rest = false;
                self.request_all(&Request::Terminate { grace_s: 0.0, cause: Cause::Interrupted });
            }
            _ => {}
        }
    }

    /// Whether the run is being stopped early.
    pub fn is_stopping(&self) -> bool {
        self.stage > Stage::Working
    }

    /// Whether what runs is being ended, too.
    pub fn is_ending_tasks(&self) -> bool {
        self.stage > Stage::Finishing
    }

    fn stop_first(&mut self, reason: StopReason) {
        self.announce(&reason);
        if reason.ends_running_tasks() {
            self.terminate(&reason);
        } else {
            self.stage = Stage::Finishing;
            self.request_all(&Request::Recall);
        }
        for agent in self.team.working().collect::<Vec<_>>() {
            self.request(agent, Request::End);
            self.team.dismiss(agent);
        }
        self.stop = Some(reason);
        for job in self.queue.take_all().into_iter().chain(self.walltime.take_all()) {
            self.leave(job);
        }
    }

    /// Trouble stays the reason, whatever is wished for later.
    fn replace_reason(&mut self, reason: StopReason) {
        if self.stop.as_ref().is_none_or(StopReason::is_wish) || !reason.is_wish() {
            self.stop = Some(reason);
        }
    }

    fn announce(&mut self, reason: &StopReason) {
        let ends_tasks = reason.ends_running_tasks();
        self.event(self.now, EventBody::StopRequested { message: reason.message(), ends_tasks });
    }

    fn terminate(&mut self, reason: &StopReason) {
        self.stage = Stage::Terminating;
        let grace_s = match reason {
            StopReason::TimeIsUp => self.walltime.grace_s(),
            _ => self.plan.limits.kill_grace_s,
        };
        self.request_all(&Request::Terminate { grace_s, cause: reason.cause() });
    }

    fn request_all(&mut self, request: &Request) {
        for agent in self.team.there().collect::<Vec<_>>() {
            self.request(agent, request.clone());
        }
    }

    /// A task that does not start any more: what its last attempt was, or pending.
    pub(super) fn leave(&mut self, job: Job) {
        match job.last {
            // Another attempt was announced, and is not made.
            Some(outcome) => {
                self.retried_count -= 1;
                self.waiting_count += i64::from(outcome.is_failure());
                self.counts.add(outcome);
            }
            None => self.pending(job),
        }
    }

    fn pending(&mut self, job: Job) {
        self.counts.add(Outcome::Pending);
        let cause = self.stop.as_ref().map_or(Cause::FarmTrouble, StopReason::cause);
        let attempt = Attempt {
            cause: Some(cause),
            cause_evidence: Some(Evidence::Certain),
            ..Attempt::of_order(&self.session.run_id, self.session.number, job.order)
        };
        self.event(self.now, EventBody::TaskPending(Box::new(attempt)));
    }
}
