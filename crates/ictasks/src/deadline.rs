//! When the Slurm allocation ends that the farm runs in.

use ictasks_core::column::Timestamp;
use ictasks_core::plan::Plan;
use ictasks_core::slurm::{Allocation, JobEnd, squeue};

/// Finds the end of the allocation, if this is one, for the plan.
pub fn find(plan: &mut Plan) {
    let allocation = match Allocation::of_this_process() {
        Ok(Some(allocation)) => allocation,
        Ok(None) => return,
        Err(error) => {
            plan.warnings.push(format!("the end of the allocation is not known: failed to {error}"));
            return;
        }
    };
    plan.slurm_job = Some(allocation.name());
    let end = allocation.end_at.map_or_else(|| squeue::ask(&allocation.name()), JobEnd::At);
    match end {
        JobEnd::At(at) if at > Timestamp::now() => {
            let left_s = at.seconds_since(Timestamp::now());
            let words = crate::progress::duration(left_s);
            plan.arithmetic.push(format!("the allocation ends in {words}"));
            plan.deadline = Some(at);
        }
        JobEnd::Unlimited => {}
        JobEnd::At(_) | JobEnd::Unknown => plan.warnings.push(format!(
            "Slurm does not say when the job {} ends: tasks start as if it had no time limit",
            allocation.name()
        )),
    }
}
