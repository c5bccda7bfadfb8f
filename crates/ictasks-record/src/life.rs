//! Whether anybody is at work on a run, as run.json and the processes of this host tell.

use std::path::Path;

use ictasks_core::column::Timestamp;
use ictasks_core::machine::host_name;

use crate::manifest::{RunFile, RunState};

/// A coordinator writes run.json every 10 s; one that has not for so long is dead.
pub(crate) const DEAD_AFTER_S: i64 = 60;

/// Whether anybody is at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// A coordinator wrote run.json less than a minute ago.
    Alive,
    /// The run did not end, and nobody has written run.json for a minute, or its coordinator was a
    /// process of this host and is there no more.
    Dead,
    /// It ended, in this state.
    Ended(RunState),
    /// run.json is missing or cannot be read.
    Unknown,
}

impl Life {
    /// What run.json says of a run, read at `now`.
    pub fn of(run: Option<&RunFile>, now: Timestamp) -> Self {
        let Some(run) = run else { return Self::Unknown };
        match run.state {
            RunState::Running if is_recent(run, now) && !is_gone(run) => Self::Alive,
            RunState::Running => Self::Dead,
            state => Self::Ended(state),
        }
    }
}

fn is_recent(run: &RunFile, now: Timestamp) -> bool {
    now.0.saturating_sub(run.updated_at.0) < DEAD_AFTER_S * 1_000_000
}

/// Whether the coordinator was a process of this host and is there no more.
fn is_gone(run: &RunFile) -> bool {
    let Some(last) = run.sessions.last() else { return false };
    let is_here = last.host.as_deref() == Some(host_name().as_str());
    is_here && last.pid.is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::specimen::run_file;

    #[test]
    fn a_coordinator_is_alive_for_a_minute_after_its_last_word() {
        let mut run = run_file();
        let at = |s: f64| run.updated_at.plus_seconds(s);
        assert_eq!(Life::of(Some(&run), at(59.0)), Life::Alive);
        assert_eq!(Life::of(Some(&run), at(-5.0)), Life::Alive);
        assert_eq!(Life::of(Some(&run), at(61.0)), Life::Dead);
        assert_eq!(Life::of(None, at(0.0)), Life::Unknown);
        run.state = RunState::Interrupted;
        assert_eq!(Life::of(Some(&run), run.updated_at), Life::Ended(RunState::Interrupted));
    }

    #[test]
    fn a_process_of_this_host_that_is_there_no_more_is_dead_at_once() {
        let mut run = run_file();
        run.sessions[0].host = Some(host_name());
        assert_eq!(Life::of(Some(&run), run.updated_at), Life::Alive);
        run.sessions[0].pid = Some(u32::MAX);
        assert_eq!(Life::of(Some(&run), run.updated_at), Life::Dead);
    }
}
