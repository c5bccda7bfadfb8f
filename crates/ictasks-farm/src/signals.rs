//! What the user or the system asks of a run by a signal.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::FarmError;

/// The signals that mean something to a run.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    drain: Signal,
    suspend: Signal,
    proceed: Signal,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// SIGINT or SIGTERM, the number: the run is to end.
    End(i32),
    /// SIGUSR1: no further task is to start.
    Drain,
    /// SIGTSTP: tasks and coordinator are to stand still.
    Suspend,
    /// SIGCONT: they are to go on.
    Continue,
}

impl Signals {
    /// Takes them over; to be called within a tokio runtime.
    ///
    /// # Errors
    /// The kernel's.
    pub fn new() -> Result<Self, FarmError> {
        let take =
            |kind| signal(kind).map_err(|source| FarmError::System { action: "take over signals", source });
        let numbered = |signal: rustix::process::Signal| SignalKind::from_raw(signal.as_raw());
        Ok(Self {
            interrupt: take(SignalKind::interrupt())?,
            terminate: take(SignalKind::terminate())?,
            drain: take(SignalKind::user_defined1())?,
            suspend: take(numbered(rustix::process::Signal::TSTP))?,
            proceed: take(numbered(rustix::process::Signal::CONT))?,
        })
    }

    /// Waits for the next one.
    pub async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.interrupt.recv() => Asked::End(SignalKind::interrupt().as_raw_value()),
            _ = self.terminate.recv() => Asked::End(SignalKind::terminate().as_raw_value()),
            _ = self.drain.recv() => Asked::Drain,
            _ = self.suspend.recv() => Asked::Suspend,
            _ = self.proceed.recv() => Asked::Continue,
        }
    }
}
