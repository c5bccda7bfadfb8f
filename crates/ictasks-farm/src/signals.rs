//! What the user or the system asks of a run by a signal.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::FarmError;

/// The signals that end a run: SIGINT and SIGTERM.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Takes them over; to be called within a tokio runtime.
    ///
    /// # Errors
    /// The kernel's.
    pub fn new() -> Result<Self, FarmError> {
        let take =
            |kind| signal(kind).map_err(|source| FarmError::System { action: "take over signals", source });
        Ok(Self { interrupt: take(SignalKind::interrupt())?, terminate: take(SignalKind::terminate())? })
    }

    /// Waits for the next one; its number.
    pub async fn next(&mut self) -> i32 {
        tokio::select! {
            _ = self.interrupt.recv() => SignalKind::interrupt().as_raw_value(),
            _ = self.terminate.recv() => SignalKind::terminate().as_raw_value(),
        }
    }
}
