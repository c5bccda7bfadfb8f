//! Who may be alive: the lease in run.json, and the locks of agents on their logs.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ictasks_core::column::Timestamp;
use ictasks_core::layout;

use crate::error::{AtPath, RecordError};
use crate::journal::journal_dir;
use crate::life::DEAD_AFTER_S;
use crate::lock::is_unsupported;
use crate::manifest::{RunFile, RunState};

/// How often the logs of agents are looked at.
const POLL: Duration = Duration::from_millis(50);

/// Refuses a run that another coordinator may be at work in although its lock could be taken or
/// there are no locks. Says so where one goes on that did not end.
pub(crate) fn check(
    run_dir: &Path,
    host: &str,
    is_locked: bool,
    now: Timestamp,
) -> Result<Option<String>, RecordError> {
    // A run.json that cannot be read tells nothing of anybody alive.
    let Ok(Some(run)) = RunFile::read(run_dir) else { return Ok(None) };
    let Some(session) = run.sessions.last().filter(|_| run.state == RunState::Running) else {
        return Ok(None);
    };
    let Some(holder) = &session.host else { return Ok(None) };
    if is_locked && holder == host {
        return Ok(None);
    }
    let pid = session.pid.unwrap_or_default();
    // A clock that is ahead of ours does not make anybody dead.
    let age_s = now.0.saturating_sub(run.updated_at.0).max(0) / 1_000_000;
    if age_s < DEAD_AFTER_S {
        return Err(RecordError::Leased {
            path: run_dir.to_path_buf(),
            host: holder.clone(),
            pid,
            age_s,
            left_s: DEAD_AFTER_S - age_s,
        });
    }
    Ok(Some(format!(
        "process {pid} on {holder} did not end this run and was seen last {age_s} s ago: it is dead"
    )))
}

/// Waits until the agents of an earlier start, and their slots, have ended: they hold a lock on
/// their log until then. `tell` is called once if there is anything to wait for.
///
/// # Errors
/// [`RecordError::AgentsAlive`] after `patience`; [`RecordError::File`] if a log cannot be looked at.
pub fn wait_for_agents(
    run_dir: &Path,
    patience: Duration,
    tell: &mut dyn FnMut(&str),
) -> Result<(), RecordError> {
    let start = Instant::now();
    let mut told = false;
    loop {
        let alive = agents_alive(run_dir)?;
        if alive.is_empty() {
            return Ok(());
        }
        let names: Vec<_> = alive.iter().filter_map(|path| path.file_name()?.to_str()).collect();
        let agents = names.join(", ");
        if start.elapsed() >= patience {
            let waited_s = patience.as_secs();
            return Err(RecordError::AgentsAlive { path: run_dir.to_path_buf(), agents, waited_s });
        }
        if !told {
            tell(&format!(
                "waiting for agents of an earlier start that are still ending their tasks: {agents}"
            ));
            told = true;
        }
        std::thread::sleep(POLL);
    }
}

/// The logs that somebody holds a lock on.
fn agents_alive(run_dir: &Path) -> Result<Vec<PathBuf>, RecordError> {
    let directory = journal_dir(run_dir);
    let entries = match std::fs::read_dir(&directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.at("read", &directory)?,
    };
    let mut alive = Vec::new();
    for entry in entries {
        let entry = entry.at("read", &directory)?;
        if layout::is_agent_log(&entry.file_name().to_string_lossy()) && is_held(&entry.path())? {
            alive.push(entry.path());
        }
    }
    alive.sort();
    Ok(alive)
}

fn is_held(path: &Path) -> Result<bool, RecordError> {
    // Where `flock` is made of byte ranges (NFS) an exclusive lock needs a file open for writing.
    let file = OpenOptions::new().read(true).write(true).open(path).or_else(|_| File::open(path));
    let file = match file {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        file => file.at("open", path)?,
    };
    match file.try_lock() {
        // The lock goes with the file, at the end of this function.
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) if is_unsupported(&error) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error).at("lock", path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::specimen::run_file;

    fn left_by(run_dir: &Path, host: &str, age_s: i64) -> Timestamp {
        let mut run = run_file();
        run.sessions[0].host = Some(host.to_owned());
        run.write(run_dir).unwrap();
        Timestamp(run.updated_at.0 + age_s * 1_000_000)
    }

    #[test]
    fn another_hosts_run_is_refused_until_its_lease_is_over() {
        let run = tempfile::tempdir().unwrap();
        let now = left_by(run.path(), "c18", 20);
        let error = check(run.path(), "c17", true, now).unwrap_err();
        let told = error.to_string();
        assert!(told.contains("on c18 was at work in it 20 s ago") && told.contains("in 40 s"), "{told}");
        let now = left_by(run.path(), "c18", 61);
        let note = check(run.path(), "c17", true, now).unwrap().unwrap();
        assert!(note.contains("c18") && note.contains("61 s ago"), "{note}");
    }

    #[test]
    fn on_one_host_the_lock_decides_where_there_is_one() {
        let run = tempfile::tempdir().unwrap();
        let now = left_by(run.path(), "c17", 1);
        assert!(check(run.path(), "c17", true, now).unwrap().is_none());
        assert!(matches!(check(run.path(), "c17", false, now), Err(RecordError::Leased { .. })));
    }

    #[test]
    fn a_run_that_ended_is_leased_by_nobody() {
        let run = tempfile::tempdir().unwrap();
        let mut file = run_file();
        file.state = RunState::Finished;
        file.sessions[0].host = Some("c18".into());
        file.write(run.path()).unwrap();
        assert!(check(run.path(), "c17", false, Timestamp::now()).unwrap().is_none());
    }

    #[test]
    fn a_start_waits_for_agents_that_hold_their_log() {
        let run = tempfile::tempdir().unwrap();
        std::fs::create_dir(run.path().join("journal")).unwrap();
        let path = run.path().join("journal/agent-c17-0.log");
        let log = File::create(&path).unwrap();
        log.lock().unwrap();
        let mut told = Vec::new();
        let mut tell = |text: &str| told.push(text.to_owned());
        let error = wait_for_agents(run.path(), Duration::from_millis(200), &mut tell).unwrap_err();
        assert!(error.to_string().contains("agent-c17-0.log"), "{error}");
        assert_eq!(told.len(), 1);
        // The agent ends as soon as it is told that somebody waits for it.
        let mut log = Some(log);
        wait_for_agents(run.path(), Duration::from_secs(60), &mut |_| drop(log.take())).unwrap();
        assert!(log.is_none());
    }
}
