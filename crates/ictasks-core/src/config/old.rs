//! What changes for files that were written for the Python ictasks 0.2.4.

use super::Config;
use crate::command::Shell;

/// What changes for a file of 0.2.4, a sentence each; nothing for a file without its keys.
pub fn notes_for_old_files(config: &Config) -> Vec<String> {
    let is_old = config.stop_on_error.is_some()
        || config.stopping_conditions.is_some()
        || config.check_slurm.is_some()
        || config.slurm_job.is_some();
    if !is_old {
        return Vec::new();
    }
    let mut notes = Vec::new();
    if config.stop_on_error.is_some() {
        notes.push(
            "`stop_on_error: true` starts no further task after the first failure (`max_failures: 1`); 0.2.4 \
             documented it but never acted on it"
                .to_owned(),
        );
    }
    if config.stopping_conditions.is_some() {
        notes.push(
            "`stopping_conditions` are looked for in each task's directory after its end, and then no further \
             task starts; 0.2.4 read them but never acted on them"
                .to_owned(),
        );
    }
    let cores_are_detected = config.task_distribution.cores_per_node.unwrap_or(0) == 0;
    if cores_are_detected {
        notes.push(
            "`cores_per_node: 0` counts the physical cores that this process may use, within CPU \
             affinity and cgroup limits, and `threads_per_core: 0` their hardware threads; 0.2.4 \
             took both from /proc/cpuinfo"
                .to_owned(),
        );
    } else {
        notes.push(
            "with `cores_per_node` given, `threads_per_core: 0` means 1; only detected cores have \
             detected threads"
                .to_owned(),
        );
    }
    if config.shell == Shell::Auto {
        notes.push(
            "commands mean what `sh -c` makes of them; 0.2.4 only split them into words, which \
             `shell: false` still does"
                .to_owned(),
        );
    }
    let uses_task_number = config.tasks.iter().flat_map(|tasks| tasks.0.iter());
    if uses_task_number.into_iter().any(|task| task.launch_cmd.contains("%TASKNUM%")) {
        notes.push("`%TASKNUM%` is replaced by the id, as 0.2.4 documented but did not do".to_owned());
    }
    notes.push("the exit code is 1 when a task failed; it was 0".to_owned());
    notes.push(
        "an id that comes twice, or that cannot be part of a directory's name, is refused before \
         anything runs"
            .to_owned(),
    );
    notes
}
