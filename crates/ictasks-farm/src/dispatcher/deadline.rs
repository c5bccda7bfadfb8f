//! The end of the allocation in the course of a run: what starts before it, when nothing more can, and when what runs
//! is ended. What fits is decided in [`walltime`](super::walltime).

use ictasks_core::column::Timestamp;

use super::queue::Job;
use super::stopping::Stage;
use super::{Dispatcher, StopReason};

/// SIGTERM.
const TERM: i32 = 15;

impl Dispatcher<'_> {
    /// The next task that may start now and will probably end in time.
    pub(super) fn next_job(&mut self) -> Option<Job> {
        if let Some(job) = self.walltime.next_held(self.now) {
            return Some(job);
        }
        while let Some(job) = self.queue.next(self.now) {
            if let Some(job) = self.walltime.admit(job, self.now) {
                return Some(job);
            }
        }
        None
    }

    /// A task that starts although it does not fit, where the session would else end with nothing started.
    pub(super) fn job_in_spite(&mut self) -> Option<Job> {
        if self.only_what_does_not_fit_is_left() { self.walltime.take_in_spite() } else { None }
    }

    /// Ends the session where all that is left would not end in time.
    pub(super) fn stop_if_nothing_fits(&mut self) {
        if self.only_what_does_not_fit_is_left() && self.walltime.has_started() {
            self.stop(StopReason::NothingFits);
        }
    }

    fn only_what_does_not_fit_is_left(&self) -> bool {
        let Some(end) = self.walltime.ends_at() else { return false };
        let is_read = self.list_complete || self.walltime.is_full();
        let has_left = !(self.walltime.is_empty() && self.queue.is_empty());
        let comes_too_late = |due: Timestamp| due >= end;
        is_read
            && has_left
            && !self.is_stopping()
            && self.in_flight.is_empty()
            && self.queue.ready_count() == 0
            && self.queue.next_due().is_none_or(comes_too_late)
    }

    /// The time has come to end what runs, or to leave the rest of the list unread.
    pub(super) fn mind_the_end(&mut self) {
        if self.walltime.is_over(self.now) && !self.is_ending_tasks() {
            self.stop(StopReason::TimeIsUp);
        }
        if self.walltime.is_last_moment(self.now) && self.is_stopping() {
            self.reads_rest = false;
        }
    }

    /// The allocation ends then, which may be earlier or later than was known.
    pub fn allocation_ends(&mut self, at: Timestamp) {
        if self.walltime.move_end(&self.plan.limits, at, self.now) {
            let minutes = (at.seconds_since(self.now) / 60.0).round();
            self.warn(format!("Slurm has moved the end of the job: it is in {minutes} min"));
        }
        self.mind_the_end();
        self.dispatch();
    }

    /// When [`Dispatcher::mind_the_end`] should look.
    pub(super) fn end_to_mind(&self) -> Option<Timestamp> {
        self.walltime.ends_at().filter(|_| !self.is_ending_tasks())
    }

    /// What a reason to stop means: Slurm ends jobs by SIGTERM at their time limits.
    pub(super) fn understood(&self, reason: StopReason) -> StopReason {
        let is_first = self.stage < Stage::Terminating;
        match reason {
            StopReason::Signal(TERM) if is_first && self.walltime.is_near(self.now) => StopReason::TimeIsUp,
            reason => reason,
        }
    }
}
