//! Where a run's files lie in its run directory. The one place that knows the names.

use std::path::{Path, PathBuf};

use crate::task_list::Shard;

/// Version of the format of all that a run leaves.
pub const FORMAT_VERSION: u32 = 1;
/// `run.json`: who, where, when, how.
pub const RUN_FILE: &str = "run.json";
/// The directory of the live journal.
pub const JOURNAL: &str = "journal";
/// A task's own file, in its directory.
pub const TASK_FILE: &str = "task.json";
/// Its name until it is whole.
pub const TASK_FILE_NEW: &str = ".task.json.new";
/// What a task may write about itself, in its directory.
pub const RESULTS_FILE: &str = "result.json";

/// What a function call returned, in its directory.
pub const RETURN_FILE: &str = "result.pickle";
/// What a function call raised, in its directory.
pub const EXCEPTION_FILE: &str = "exception.pickle";

/// The device ids of a task's GPUs, a line each, in its directory.
pub const GPU_IDS_FILE: &str = "gpu_ids.txt";

/// Name of the run directory of a shard, in that of the whole. All of one run have as many digits, so that they stand
/// in order.
pub fn shard_directory(shard: Shard) -> String {
    let width = shard.count.to_string().len();
    format!("{SHARD_PREFIX}{:0width$}", shard.number)
}

/// What the names of the run directories of shards begin with.
pub const SHARD_PREFIX: &str = "shard-";

/// The directory of records that were set aside, each in a directory named by its run id.
pub const EARLIER: &str = "earlier";

/// Name of a task's directory.
pub fn task_directory(task_id: &str) -> String {
    format!("task_{task_id}")
}

/// Path of a task's `task.json`.
pub fn task_file(run_dir: &Path, task_id: &str) -> PathBuf {
    run_dir.join(task_directory(task_id)).join(TASK_FILE)
}

/// Name of the slot log of an agent, in the journal.
pub fn agent_log(host: &str, host_id: i32) -> String {
    format!("agent-{host}-{host_id}.log")
}

/// Name of the file in the journal that becomes the last `task.json` of a slot's next task.
pub fn slot_spare(host_id: i32, worker_id: i32) -> String {
    format!("agent-{host_id}-slot-{worker_id}.json")
}

/// File in the journal by which `ictasks stop` asks a run to stop; it holds [`STOP`] or [`DRAIN`].
pub const STOP_FILE: &str = "stop";

/// What runs is to be ended, and nothing to be started.
pub const STOP: &str = "stop";

/// What runs is to finish, and nothing to be started.
pub const DRAIN: &str = "drain";

/// Whether a file of the journal is the slot log of an agent.
pub fn is_agent_log(name: &str) -> bool {
    name.starts_with("agent-") && name.ends_with(".log")
}

/// What is added to the name of a file of an earlier attempt.
pub fn attempt_suffix(attempt: i32) -> String {
    format!(".attempt-{attempt}")
}
