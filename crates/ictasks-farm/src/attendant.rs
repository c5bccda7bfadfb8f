//! The process that drives the run, if one does: the run does not go on without it.
//!
//! It is looked for once a second, in a thread of its own. Descriptors of processes are younger than the kernels
//! of many clusters, and the signal at a parent's death comes when the thread ends that started us.

use std::fs;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::dispatcher::StopReason;
use crate::error::FarmError;
use crate::family::fields;

/// Between two looks.
const INTERVAL: Duration = Duration::from_secs(1);

/// Looks for a process until it has ended or nobody listens; without one nothing ever comes.
///
/// # Errors
/// The system has no more threads.
pub fn watch(pid: Option<i32>) -> Result<mpsc::Receiver<StopReason>, FarmError> {
    let (sender, receiver) = mpsc::channel(1);
    if let Some(pid) = pid {
        crate::threads::start("attendant", move || look(pid, &sender))?;
    }
    Ok(receiver)
}

fn look(pid: i32, sender: &mpsc::Sender<StopReason>) {
    let begun = birth(pid);
    while begun.is_some() && birth(pid) == begun {
        if sender.is_closed() {
            return;
        }
        std::thread::sleep(INTERVAL);
    }
    // Without a listener the run has ended already.
    let _ =
        sender.blocking_send(StopReason::Stopped(format!("process {pid}, which drove the run, has ended")));
}

/// When a process that lives was born, the 22nd field of its `stat`: another with its number has another.
fn birth(pid: i32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = fields(&stat)?;
    let state = fields.next()?;
    fields.nth(18).filter(|_| !matches!(state, "Z" | "X")).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn the_end_of_the_process_is_told() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        assert_eq!(birth(pid), birth(pid));
        assert!(birth(pid).is_some());
        let mut told = watch(Some(pid)).unwrap();
        assert!(told.try_recv().is_err());
        drop(child.stdin.take());
        // Not reaped yet, it has ended nevertheless.
        assert!(matches!(told.blocking_recv(), Some(StopReason::Stopped(_))));
        child.wait().unwrap();
        assert!(matches!(watch(Some(pid)).unwrap().blocking_recv(), Some(StopReason::Stopped(_))));
        assert!(watch(None).unwrap().blocking_recv().is_none());
    }
}
