//! A Slurm job that requeues itself, since its time did not suffice.

use std::process::{Command, Stdio};

use ictasks_core::attempt::Outcome;
use ictasks_core::slurm::Allocation;
use ictasks_farm::farm::SIGUSR1;
use ictasks_farm::{RunEnd, StopReason};

use crate::console::Console;

/// How tasks ended that another start runs in any case.
const CUT_SHORT: [Outcome; 3] = [Outcome::Pending, Outcome::Cancelled, Outcome::NodeLost];

/// Has Slurm start the job again, if more time is all that is wanting. The record is complete by now: the next start
/// goes on with it.
pub fn if_it_helps(end: &RunEnd, console: &mut Console) {
    let Ok(Some(allocation)) = Allocation::of_this_process() else { return };
    if !wants_time(end) {
        return;
    }
    let job = allocation.name();
    if !has_progressed(end) {
        console.warning(&format!(
            "the job {job} is not requeued: no task ended in it, and none would in the next; give it more time (`--time`)"
        ));
        return;
    }
    // Slurm ends this program, too, as soon as it has noted the wish.
    console.note(&format!("not all is done: the job {job} is requeued and goes on"));
    let asked = Command::new("scontrol").args(["requeue", &job]).stdin(Stdio::null()).output();
    let trouble = match asked {
        Ok(output) if output.status.success() => return,
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => format!("failed to start `scontrol`: {error}"),
    };
    console.warning(&format!("the job {job} could not be requeued: {trouble}"));
}

/// Whether the run stopped for want of time, by the clock or because Slurm gave notice of the end (`--signal`), and
/// something is left.
fn wants_time(end: &RunEnd) -> bool {
    let is_out_of_time = match &end.stop {
        Some(StopReason::NothingFits | StopReason::TimeIsUp) => true,
        Some(StopReason::Drain(by)) => by == SIGUSR1,
        _ => false,
    };
    is_out_of_time && (!end.list_complete || left(end) > 0)
}

/// Tasks that another start runs, of those that were read.
fn left(end: &RunEnd) -> i64 {
    end.waiting + CUT_SHORT.iter().map(|outcome| end.counts.of(*outcome)).sum::<i64>()
}

/// Whether any task is done with.
fn has_progressed(end: &RunEnd) -> bool {
    end.counts.total() > left(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn out_of_time(outcomes: &[Outcome], waiting: i64) -> RunEnd {
        let mut counts = ictasks_farm::Counts::default();
        outcomes.iter().for_each(|outcome| counts.add(*outcome));
        RunEnd {
            counts,
            skipped: std::collections::BTreeMap::new(),
            retried: 0,
            waiting,
            list_complete: true,
            stop: Some(StopReason::NothingFits),
            warnings: Vec::new(),
        }
    }

    #[test]
    fn a_job_goes_on_as_long_as_something_is_left_and_each_start_ends_something() {
        let asks = |end: &RunEnd| (wants_time(end), has_progressed(end));
        let (done, failed, left) = (Outcome::Succeeded, Outcome::Failed, Outcome::Pending);
        assert_eq!(asks(&out_of_time(&[done, failed], 0)), (false, true));
        assert_eq!(asks(&out_of_time(&[done, left], 0)), (true, true));
        assert_eq!(asks(&out_of_time(&[left], 0)), (true, false));
        assert_eq!(asks(&out_of_time(&[done, failed], 1)), (true, true), "one waits for a retry");
        assert_eq!(asks(&out_of_time(&[failed], 1)), (true, false));
        let stopped = RunEnd { stop: Some(StopReason::Signal(2)), ..out_of_time(&[done, left], 0) };
        assert!(!wants_time(&stopped));
    }
}
