//! What keeps a farm from running at all.

use std::io;
use std::path::PathBuf;

/// Why a run could not begin. Messages read after "failed to".
#[derive(Debug, thiserror::Error)]
pub enum FarmError {
    /// The agent's program is missing.
    #[error("find the program `ictasks-agent`: it is not beside `{}` and not in PATH; both programs are installed together", beside.display())]
    NoAgent {
        /// This program.
        beside: PathBuf,
    },
    /// The agent could not be started.
    #[error("start `{}`", program.display())]
    StartAgent {
        /// The agent's program.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// `mpiexec` does not say where it starts programs.
    #[error("find the nodes of MPI: {message}; give `hosts: [c1, c2]`")]
    NoHosts {
        /// What it says.
        message: String,
    },
    /// The kernel refused what the coordinator needs.
    #[error("{action}")]
    System {
        /// What.
        action: &'static str,
        /// Why.
        source: io::Error,
    },
}
