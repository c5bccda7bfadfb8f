//! A memory limit that the kernel keeps: a cgroup (version 2) for each worker, where one may be made.
//!
//! A cgroup that holds processes can hand no memory limits on (cgroups(7), "no internal processes").
//! So one is made beside the agent's own, where that has no limits and the directory is delegated to the user,
//! else below it, which the root cgroup alone allows.

use std::fs;
use std::path::{Path, PathBuf};

use ictasks_core::machine::cgroup::Cgroup;

/// The cgroups of an agent: a directory of its own, and one for each worker in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cgroups(PathBuf);

/// The cgroup of one worker.
#[derive(Debug)]
pub struct WorkerCgroup {
    directory: PathBuf,
    /// `cgroup.procs`, in which a process writes itself into the cgroup.
    pub processes: fs::File,
    seen: Events,
}

/// Counters of `memory.events`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Events {
    /// How often the limit was reached and nothing could be freed.
    limit_count: i64,
    /// How often a process was ended for want of memory, here or in the whole host.
    kill_count: i64,
}

/// Why the kernel ended processes of a cgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Killed {
    /// They were above their limit.
    AtLimit,
    /// The host, or a cgroup above, had no more memory.
    ByWant,
}

impl Cgroups {
    /// Makes them, each with this limit; `None` where that is not possible.
    pub fn make(limit_bytes: i64, workers: &[i32]) -> Option<Self> {
        let cgroups = fs::read_to_string("/proc/self/cgroup").ok()?;
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        let own = Cgroup::second_version(&cgroups, &mounts)?.directory;
        let name = format!("ictasks-agent-{}", std::process::id());
        let beside = own
            .parent()
            .filter(|parent| parent.join("cgroup.subtree_control").exists() && is_unlimited(&own));
        let places = [beside, Some(own.as_path())];
        places.into_iter().flatten().find_map(|place| {
            let made = Self::make_in(&place.join(&name), limit_bytes, workers)?;
            if made.takes_processes(workers) {
                return Some(made);
            }
            made.remove();
            None
        })
    }

    fn make_in(directory: &Path, limit_bytes: i64, workers: &[i32]) -> Option<Self> {
        let place = directory.parent()?;
        if !hands_on_memory(place) {
            fs::write(place.join("cgroup.subtree_control"), "+memory").ok()?;
        }
        fs::create_dir(directory).ok()?;
        let made = Self(directory.to_owned());
        let all_made = fs::write(directory.join("cgroup.subtree_control"), "+memory").is_ok()
            && workers.iter().all(|worker| made.make_worker(*worker, limit_bytes).is_some());
        if !all_made {
            made.remove();
            return None;
        }
        Some(made)
    }

    fn make_worker(&self, worker: i32, limit_bytes: i64) -> Option<()> {
        let directory = self.worker_directory(worker);
        fs::create_dir(&directory).ok()?;
        fs::write(directory.join("memory.max"), limit_bytes.to_string()).ok()?;
        // Kernels that do not know these keep the limit all the same.
        let _ = write_existing(&directory.join("memory.oom.group"), "1");
        let _ = write_existing(&directory.join("memory.swap.max"), "0");
        Some(())
    }

    /// Whether processes may be put there: that is up to who owns the common ancestor.
    fn takes_processes(&self, workers: &[i32]) -> bool {
        workers.iter().all(|worker| {
            let Some(cgroup) = self.worker(*worker) else { return false };
            crate::sys::child_can_write(&cgroup.processes, b"0")
        })
    }

    /// The cgroup of a worker, for its slot.
    pub fn worker(&self, worker: i32) -> Option<WorkerCgroup> {
        let directory = self.worker_directory(worker);
        let processes = fs::File::options().write(true).open(directory.join("cgroup.procs")).ok()?;
        let seen = read_events(&directory)?;
        Some(WorkerCgroup { directory, processes, seen })
    }

    fn worker_directory(&self, worker: i32) -> PathBuf {
        self.0.join(format!("worker-{worker}"))
    }

    /// Removes them, when nothing runs there any more.
    pub fn remove(&self) {
        // What cannot be removed is empty, and goes with the cgroup that it lies in.
        for entry in fs::read_dir(&self.0).into_iter().flatten().flatten() {
            let _ = fs::remove_dir(entry.path());
        }
        let _ = fs::remove_dir(&self.0);
    }
}

impl WorkerCgroup {
    /// Whether the kernel has ended a process here since this was last asked.
    pub fn killed(&mut self) -> Option<Killed> {
        let now = read_events(&self.directory)?;
        let before = std::mem::replace(&mut self.seen, now);
        let at_limit = now.limit_count > before.limit_count;
        (now.kill_count > before.kill_count).then_some(if at_limit {
            Killed::AtLimit
        } else {
            Killed::ByWant
        })
    }
}

fn read_events(directory: &Path) -> Option<Events> {
    let text = fs::read_to_string(directory.join("memory.events")).ok()?;
    let count = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    Some(Events { limit_count: count("oom ")?, kill_count: count("oom_kill ")? })
}

/// Whether a cgroup has no limits of its own, which tasks beside it would escape.
fn is_unlimited(directory: &Path) -> bool {
    ["memory.max", "memory.high", "memory.swap.max", "cpu.max", "cpuset.cpus", "pids.max"].iter().all(
        |name| {
            let limit = fs::read_to_string(directory.join(name)).unwrap_or_default();
            limit.trim().is_empty() || limit.starts_with("max")
        },
    )
}

fn write_existing(file: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    fs::File::options().write(true).open(file)?.write_all(text.as_bytes())
}

fn hands_on_memory(directory: &Path) -> bool {
    let controllers = fs::read_to_string(directory.join("cgroup.subtree_control")).unwrap_or_default();
    controllers.split_whitespace().any(|name| name == "memory")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plain directories stand in for the kernel's: what would be written where.
    #[test]
    fn every_worker_has_a_cgroup_with_the_limit() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("cgroup.subtree_control"), "cpu memory pids\n").unwrap();
        let made = Cgroups::make_in(&dir.path().join("ictasks"), 1 << 30, &[0, 3]).unwrap();
        let of_worker = |name: &str| dir.path().join("ictasks/worker-3").join(name);
        assert_eq!(fs::read_to_string(of_worker("memory.max")).unwrap(), "1073741824");
        assert!(!of_worker("memory.swap.max").exists());
        fs::write(of_worker("memory.events"), "oom 0\noom_kill 0\n").unwrap();
        fs::write(of_worker("cgroup.procs"), "").unwrap();
        let mut worker = made.worker(3).unwrap();
        assert_eq!(worker.killed(), None);
        fs::write(of_worker("memory.events"), "oom 1\noom_kill 2\n").unwrap();
        assert_eq!(worker.killed(), Some(Killed::AtLimit));
        assert_eq!(worker.killed(), None);
        fs::write(of_worker("memory.events"), "oom 1\noom_kill 3\n").unwrap();
        assert_eq!(worker.killed(), Some(Killed::ByWant));
        assert!(made.worker(0).is_none());
    }

    #[test]
    fn nothing_is_put_beside_a_cgroup_with_limits() {
        let dir = tempfile::tempdir().unwrap();
        assert!(is_unlimited(dir.path()));
        fs::write(dir.path().join("memory.max"), "max\n").unwrap();
        fs::write(dir.path().join("cpu.max"), "max 100000\n").unwrap();
        fs::write(dir.path().join("cpuset.cpus"), "\n").unwrap();
        assert!(is_unlimited(dir.path()));
        fs::write(dir.path().join("cpu.max"), "200000 100000\n").unwrap();
        assert!(!is_unlimited(dir.path()));
    }

    #[test]
    fn without_the_controller_there_is_none() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Cgroups::make_in(&dir.path().join("no/such/place"), 1, &[0]), None);
    }
}
