//! The file in the journal by which `ictasks stop` asks a run to stop, from any node.
//!
//! It is looked for in a thread of its own: a file system of a network may make it wait. It stays while the run
//! goes on, so that who asks later sees what was asked before.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ictasks_core::layout;
use tokio::sync::mpsc;

use crate::dispatcher::StopReason;
use crate::error::FarmError;

/// Between two looks.
const INTERVAL: Duration = Duration::from_secs(1);

/// Removes a file from before the start and looks for new ones until nobody listens.
///
/// # Errors
/// The system has no more threads.
pub fn watch(run_dir: &Path) -> Result<mpsc::Receiver<StopReason>, FarmError> {
    let path = run_dir.join(layout::JOURNAL).join(layout::STOP_FILE);
    let _ = fs::remove_file(&path);
    let (sender, receiver) = mpsc::channel(1);
    crate::threads::start("stop-file", move || look(&path, &sender))?;
    Ok(receiver)
}

fn look(path: &PathBuf, sender: &mpsc::Sender<StopReason>) {
    let mut taken = String::new();
    while !sender.is_closed() {
        if let Ok(wish) = fs::read_to_string(path)
            && wish != taken
            && let Some(reason) = reason(&wish)
        {
            if sender.blocking_send(reason).is_err() {
                return;
            }
            taken = wish;
        }
        std::thread::sleep(INTERVAL);
    }
}

/// What the file asks for; `None` for anything that `ictasks stop` does not write.
fn reason(wish: &str) -> Option<StopReason> {
    match wish.trim() {
        layout::STOP => Some(StopReason::Stopped("`ictasks stop`".to_owned())),
        layout::DRAIN => Some(StopReason::Drain("`ictasks stop --drain`".to_owned())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_is_taken_once_and_an_old_one_never() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal/stop");
        let wish = |text: &str| {
            fs::write(dir.path().join("new"), text).unwrap();
            fs::rename(dir.path().join("new"), &path).unwrap();
        };
        fs::create_dir(path.parent().unwrap()).unwrap();
        wish("stop");
        let mut wishes = watch(dir.path()).unwrap();
        assert!(!path.exists(), "it was from before the start");
        wish("drain\n");
        assert!(matches!(wishes.blocking_recv(), Some(StopReason::Drain(_))));
        assert_eq!(fs::read_to_string(&path).unwrap(), "drain\n", "who asks later sees it");
        wish("stop\n");
        assert!(
            matches!(wishes.blocking_recv(), Some(StopReason::Stopped(_))),
            "the drain is not told again"
        );
    }

    #[test]
    fn only_what_is_understood_counts() {
        assert!(matches!(reason("drain\n"), Some(StopReason::Drain(_))));
        assert!(reason("").is_none());
        assert!(reason("stopp").is_none());
    }
}
