//! Pinning a process to logical CPUs.

use rustix::thread::{CpuSet, sched_setaffinity};

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
