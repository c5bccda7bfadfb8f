//! How agents are started on other nodes: one template of a start command for each way.
//!
//! - [`slurm`]: one `srun` starts all of them, inside an allocation
//! - [`mpi`]: one `mpiexec` for each host
//! - [`ssh`]: one `ssh` for each host
//!
//! Whoever starts them, they get the invitation on standard input and connect back by themselves.

pub mod mpi;
pub mod slurm;
pub mod ssh;

use std::path::Path;

use ictasks_core::plan::Backend;

use crate::error::FarmError;

/// A command that starts agents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StartCommand {
    /// The program, looked for in `PATH`.
    pub program: String,
    /// What it is told.
    pub arguments: Vec<String>,
    /// Variables of our environment that would change what it is told.
    pub without_variables: &'static [&'static str],
    /// What it prints without anything being wrong.
    pub harmless: &'static [&'static str],
    /// Where it starts agents, for people.
    pub place: String,
    /// How many agents come of it, where that is known.
    pub agent_count: Option<usize>,
}

/// The commands that start the agents of a run; none where the run stays on this machine.
///
/// # Errors
/// Nobody says where.
pub fn start_commands(backend: &Backend, agent: &Path) -> Result<Vec<StartCommand>, FarmError> {
    Ok(match backend {
        Backend::Local => Vec::new(),
        Backend::Slurm(job) => vec![slurm::start_command(job, agent)],
        Backend::Mpi(nodes) => mpi::start_commands(nodes, agent)?,
        Backend::Ssh(ssh) => ssh.hosts.iter().map(|host| ssh::start_command(host, agent)).collect(),
    })
}
