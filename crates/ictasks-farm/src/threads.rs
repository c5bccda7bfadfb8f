//! Starting threads, which a limit of processes may refuse.

use crate::error::FarmError;

/// Starts a thread that nobody waits for.
///
/// # Errors
/// The system has no more.
pub fn start(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), FarmError> {
    let started = std::thread::Builder::new().name(name.to_owned()).spawn(work);
    started.map(drop).map_err(|source| FarmError::System {
        action: "start a thread (the limit of processes is `ulimit -u`)",
        source,
    })
}
