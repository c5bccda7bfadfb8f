//! Whether the coordinator of a run still runs.

use std::path::Path;

use ictasks_core::column::Timestamp;
use ictasks_core::machine::host_name;
use ictasks_record::{RunFile, RunState};

/// A run whose run.json was not written for so long, seconds, is dead.
const DEAD_AFTER_S: f64 = 60.0;

/// Whether somebody is at work on the run, as far as can be told.
pub fn is_alive(run: &RunFile) -> bool {
    let is_recent = Timestamp::now().seconds_since(run.updated_at) < DEAD_AFTER_S;
    run.state == RunState::Running && is_recent && !is_gone(run)
}

/// Whether the coordinator was a process of this host and is there no more.
pub fn is_gone(run: &RunFile) -> bool {
    let Some(last) = run.sessions.last() else { return false };
    let is_here = last.host.as_deref() == Some(host_name().as_str());
    is_here && last.pid.is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists())
}
