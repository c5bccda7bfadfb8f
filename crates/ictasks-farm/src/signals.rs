//! What the user or the system asks of a run by a signal.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::FarmError;

/// The signals that mean something to a run.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// `None` where it is ignored, as `nohup` has it.
    hang_up: Option<Signal>,
    drain: Signal,
    suspend: Signal,
    proceed: Signal,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// SIGINT, SIGTERM or SIGHUP, the number: the run is to end.
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
            hang_up: if is_ignored(SignalKind::hangup()) { None } else { Some(take(SignalKind::hangup())?) },
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
            Some(_) = received(&mut self.hang_up) => Asked::End(SignalKind::hangup().as_raw_value()),
            _ = self.drain.recv() => Asked::Drain,
            _ = self.suspend.recv() => Asked::Suspend,
            _ = self.proceed.recv() => Asked::Continue,
        }
    }
}

async fn received(signal: &mut Option<Signal>) -> Option<()> {
    match signal {
        Some(signal) => signal.recv().await,
        None => None,
    }
}

/// Whether this process was started with a signal ignored: `SigIgn` in `/proc/self/status`, see proc(5).
pub fn is_ignored(kind: SignalKind) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask =
        status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (kind.as_raw_value() - 1) & 1 == 1)
}
