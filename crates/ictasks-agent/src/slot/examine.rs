//! What the files of an attempt say of how it ended.

use ictasks_core::attempt::{Cause, Evidence, Outcome};
use ictasks_core::protocol::{TaskEnded, TaskOrder};

use super::directory::TaskDirectory;
use super::output_file::OutputFile;
use super::{Slot, disk, expectations, gpu_binding};

/// Tails of output in the record, bytes.
const TAIL_BYTES: usize = 2048;

impl Slot {
    /// Adds what the task's files say to how it ended.
    pub(super) fn examine(&self, order: &TaskOrder, ended: &mut TaskEnded, directory: &TaskDirectory) {
        if ended.outcome == Outcome::Succeeded
            && let Some(error) = expectations::missing_output(&order.expected_outputs)
        {
            ended.outcome = Outcome::Failed;
            ended.cause = Some(Cause::MissingOutput);
            ended.cause_evidence = Some(Evidence::Certain);
            ended.error = Some(error);
        }
        let (size, cut) = final_size(directory.stdout());
        (ended.usage.stdout_bytes, ended.usage.stdout_cut_bytes) = (size, cut);
        if let Some(stderr) = directory.stderr() {
            let (size, cut) = final_size(stderr);
            (ended.usage.stderr_bytes, ended.usage.stderr_cut_bytes) = (size, cut);
        }
        if ended.outcome != Outcome::Succeeded {
            ended.stdout_tail = directory.stdout().tail(TAIL_BYTES);
            ended.stderr_tail = directory.stderr().and_then(|stderr| stderr.tail(TAIL_BYTES));
        }
        gpu_binding::explain(ended, self.parts.setup.gpu_binding, || self.environment.hides_gpus(order));
        let is_unexplained = ended.cause.is_none() && ended.error.is_none();
        if matches!(ended.outcome, Outcome::Failed | Outcome::Signaled) && is_unexplained {
            let tails = [&ended.stderr_tail, &ended.stdout_tail];
            let tails = tails.into_iter().filter_map(Option::as_deref);
            if let Some((evidence, error)) = disk::full_disk(tails, directory) {
                ended.cause = Some(Cause::DiskFull);
                ended.cause_evidence = Some(evidence);
                ended.error = Some(error);
            }
        }
        let conditions = &self.parts.setup.stopping_conditions;
        ended.stop_condition = expectations::stop_condition(conditions, directory.descriptor());
    }
}

/// The size of a stream that is complete, and how much was cut out of it, if anything.
fn final_size(output: &OutputFile) -> (Option<i64>, Option<i64>) {
    let Some(size) = output.size() else { return (None, None) };
    let signed = |bytes: u64| i64::try_from(bytes).ok();
    match output.cut(size) {
        Some((left, cut)) => (signed(left), signed(cut)),
        None => (signed(size), None),
    }
}
