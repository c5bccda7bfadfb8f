//! How a task learns of its GPUs, and what it looks like when that went wrong.

use std::collections::BTreeMap;

use ictasks_core::attempt::{Cause, Evidence, Outcome};
use ictasks_core::config::GpuBinding;
use ictasks_core::protocol::{Setup, TaskEnded, Worker};

use crate::gpu::mask::{self, Vendor};

/// What CUDA and HIP say of a device that is not among those they may see.
const NO_SUCH_DEVICE: &str = "invalid device ordinal";

/// The contents of `gpu_ids.txt`.
pub fn ids_text(gpus: &[i32]) -> String {
    gpus.iter().map(|id| format!("{id}\n")).collect()
}

/// Has the tasks of `worker` see its GPUs alone, where the farm is to do that. What the user's own
/// `environment` sets is left alone, as with every variable.
pub fn bind(values: &mut BTreeMap<Vec<u8>, Vec<u8>>, setup: &Setup, worker: &Worker) {
    if setup.gpu_binding != GpuBinding::VisibleDevices {
        return;
    }
    let inherited = mask::inherited();
    let variables = mask::for_task(Vendor::of_this_host(), &worker.gpus, inherited.as_deref());
    for (name, value) in variables.into_iter().filter(|(name, _)| !setup.environment.contains_key(*name)) {
        match value {
            Some(value) => values.insert(name.into(), value.into_bytes()),
            None => values.remove(name.as_bytes()),
        };
    }
}

/// Says why, where a task under a mask failed and its output says that it asked for a device by a
/// number that it cannot see. That is no more than probable: the text is the task's own.
pub fn explain(ended: &mut TaskEnded, binding: GpuBinding, is_masked: impl FnOnce() -> bool) {
    let failed = matches!(ended.outcome, Outcome::Failed | Outcome::Signaled);
    // Both streams may go to one file, which counts as standard output.
    let errors = ended.stderr_tail.as_ref().or(ended.stdout_tail.as_ref());
    let says_so = errors.is_some_and(|text| text.contains(NO_SUCH_DEVICE));
    if !failed || ended.cause.is_some() || !says_so || !is_masked() {
        return;
    }
    ended.cause = Some(Cause::GpuMasked);
    ended.cause_evidence = Some(Evidence::Probable);
    let hint = match binding {
        GpuBinding::VisibleDevices => "use device 0, or set `gpu_binding: file`",
        GpuBinding::File => {
            "the farm was started with that mask; set `gpu_binding: visible_devices` and use device 0"
        }
    };
    ended.error = Some(format!("a task that sees only some of the GPUs counts those from 0: {hint}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(stderr: &str) -> TaskEnded {
        let ended = TaskEnded::unmeasured(0, 1, 0, Outcome::Failed);
        TaskEnded { exit_code: Some(1), stderr_tail: Some(stderr.to_owned()), ..ended }
    }

    const TEXT: &str = "CUDA error: invalid device ordinal\n";

    #[test]
    fn a_line_for_each_device() {
        assert_eq!(ids_text(&[2, 3]), "2\n3\n");
    }

    #[test]
    fn a_masked_device_is_a_probable_cause() {
        let mut ended = failed(TEXT);
        explain(&mut ended, GpuBinding::VisibleDevices, || true);
        assert_eq!((ended.cause, ended.cause_evidence), (Some(Cause::GpuMasked), Some(Evidence::Probable)));
        assert!(ended.error.unwrap().contains("`gpu_binding: file`"));
        let mut ended = failed(TEXT);
        explain(&mut ended, GpuBinding::File, || true);
        assert!(ended.error.unwrap().contains("`gpu_binding: visible_devices`"));
    }

    #[test]
    fn nothing_is_said_of_tasks_that_see_everything_or_failed_otherwise() {
        let mut cases = [failed(TEXT), failed("no such mesh"), failed(TEXT), failed(TEXT)];
        cases[2].outcome = Outcome::Succeeded;
        cases[3].cause = Some(Cause::Interrupted);
        let before = cases.clone();
        for (index, ended) in cases.iter_mut().enumerate() {
            explain(ended, GpuBinding::VisibleDevices, || index > 0);
        }
        assert_eq!(cases, before);
    }
}
