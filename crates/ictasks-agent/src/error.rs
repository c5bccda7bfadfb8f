//! What can go wrong with an agent as a whole.

use std::io;
use std::path::PathBuf;

use crate::trouble::remedy;

/// Why an agent could not start or go on. Messages read after "failed to".
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The coordinator's first line was no setup.
    #[error("read the setup from the coordinator: {0}")]
    Setup(#[source] serde_json::Error),
    /// The coordinator ended before it said anything.
    #[error("read the setup from the coordinator: it sent nothing (ictasks starts this program itself)")]
    NoSetup,
    /// The coordinator is of another version.
    #[error("speak version {theirs} of the protocol: this agent speaks version {ours}")]
    Version {
        /// The coordinator's.
        theirs: u32,
        /// This agent's.
        ours: u32,
    },
    /// The invitation cannot be read.
    #[error("read the invitation: {0}")]
    Invitation(#[source] serde_json::Error),
    /// No address leads to the coordinator.
    #[error("reach the coordinator at {addresses}: {last}")]
    Unreachable {
        /// What was tried.
        addresses: String,
        /// What the last try came to.
        last: String,
    },
    /// The coordinator does not want this agent.
    #[error("join the run: {message}")]
    Refused {
        /// Why.
        message: String,
    },
    /// The run directory is not the coordinator's.
    #[error(
        "find the run in `{}` on {host}: it has to lie on a file system that all nodes share; give another \
         --run-dir",
        run_dir.display()
    )]
    NotShared {
        /// The run directory.
        run_dir: PathBuf,
        /// This host.
        host: String,
    },
    /// A worker's CPUs may not be used here.
    #[error("pin worker {worker_id} to CPUs {cores:?}: {source}")]
    Pin {
        /// The worker.
        worker_id: i32,
        /// Its logical CPUs.
        cores: Vec<i32>,
        /// The kernel's reason.
        source: io::Error,
    },
    /// The slot log cannot be kept.
    #[error("open the slot log in `{}`: {source}{}", run_dir.display(), remedy(source))]
    SlotLog {
        /// The run directory.
        run_dir: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// Another agent, or one of its slots, holds the slot log.
    #[error(
        "open the slot log `{}`: an agent of an earlier start still ends its tasks; wait some seconds, then \
         start again",
        log.display()
    )]
    Busy {
        /// The log.
        log: PathBuf,
    },
    /// The kernel refused something that every agent needs.
    #[error("{action}: {source}{}", remedy(source))]
    System {
        /// What.
        action: &'static str,
        /// The reason.
        source: io::Error,
    },
}

impl AgentError {
    /// For `map_err`.
    pub fn system(action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { action, source }
    }
}
