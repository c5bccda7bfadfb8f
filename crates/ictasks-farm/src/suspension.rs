//! SIGTSTP and SIGCONT: the tasks stand still first, then the coordinator, and both go on together.

use std::time::Duration;

use tokio::time::Instant;

/// So long the agent has to stop what runs.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether the run stands still.
#[derive(Clone, Copy, Debug)]
pub enum Suspension {
    /// It goes on.
    None,
    /// The agent has been asked to stop what runs.
    Asked {
        /// When that is not waited for any longer.
        until: Instant,
    },
    /// The coordinator has stopped itself, and nobody has said that it is to go on.
    Stopped,
}

impl Suspension {
    /// The agent has just been asked.
    pub fn begin() -> Self {
        Self::Asked { until: Instant::now() + PATIENCE }
    }

    /// Whether the agent's answer is waited for.
    pub const fn is_asked(self) -> bool {
        matches!(self, Self::Asked { .. })
    }

    /// Waits until the agent has had its time; for ever if it was not asked.
    pub async fn patience_ends(self) {
        match self {
            Self::Asked { until } => tokio::time::sleep_until(until).await,
            Self::None | Self::Stopped => std::future::pending().await,
        }
    }

    /// Stops this process, so that the shell sees it. It goes on from here.
    #[must_use]
    pub fn stop_itself() -> Self {
        let own_pid = rustix::process::getpid();
        // A process may always signal itself.
        let _ = rustix::process::kill_process(own_pid, rustix::process::Signal::STOP);
        Self::Stopped
    }
}
