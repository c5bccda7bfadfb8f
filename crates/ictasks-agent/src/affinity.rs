//! Pinning a process to logical CPUs.

use ictasks_core::protocol::Setup;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::error::AgentError;

/// Pins this process, and what it will start, to `cores`.
///
/// # Errors
/// The kernel's, for instance that none of them may be used here.
pub fn pin(cores: &[i32]) -> std::io::Result<()> {
    let mut set = CpuSet::new();
    for &core in cores {
        let core = usize::try_from(core).unwrap_or(usize::MAX);
        if core >= CpuSet::MAX_CPU {
            return Err(std::io::Error::from_raw_os_error(libc::EINVAL));
        }
        set.set(core);
    }
    sched_setaffinity(None, &set).map_err(Into::into)
}

/// Tries every worker's CPUs before anything runs, so that the record never claims a pinning that failed.
///
/// # Errors
/// [`AgentError::Pin`].
pub fn check(setup: &Setup) -> Result<(), AgentError> {
    let Ok(before) = sched_getaffinity(None) else { return Ok(()) };
    for worker in &setup.workers {
        let Some(cores) = &worker.cores else { continue };
        pin(cores).map_err(|source| AgentError::Pin {
            worker_id: worker.id,
            cores: cores.clone(),
            source,
        })?;
    }
    sched_setaffinity(None, &before).map_err(|error| AgentError::system("restore its own CPUs")(error.into()))
}
