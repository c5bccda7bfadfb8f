//! Waiting for conditions.

use std::thread;
use std::time::{Duration, Instant};

/// Longest wait for anything: far above what any of it takes, so that only a hang reaches it.
/// (20,000 tasks took from 5 to 90 s on one machine, by what its file system had to do besides.)
const LONGEST: Duration = Duration::from_secs(600);

/// Waits until `condition` gives something, and returns it.
///
/// # Panics
/// After ten minutes, naming `what`.
pub fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(begin.elapsed() < LONGEST, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
