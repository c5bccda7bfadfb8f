//! How often the kernel ended a process for want of memory.
//!
//! Best asked of the cgroup that agent and tasks are in, since that counts no others: `memory.events`
//! (version 2), `memory.oom_control` (version 1); else `/proc/vmstat`, which counts for the whole host.

use std::path::PathBuf;

use ictasks_core::machine::cgroup::Cgroup;

/// A file that holds the counter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OomCounter(PathBuf);

impl OomCounter {
    /// The most telling one of this host that can be read.
    pub fn find() -> Option<Self> {
        let cgroups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        candidates(&cgroups, &mounts).into_iter().map(Self).find(|counter| counter.read().is_some())
    }

    /// The counter.
    pub fn read(&self) -> Option<i64> {
        parse(&std::fs::read_to_string(&self.0).ok()?)
    }
}

/// The number behind `oom_kill`, in each of the files.
pub fn parse(text: &str) -> Option<i64> {
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

/// Where the counter may be, best first.
fn candidates(cgroups: &str, mounts: &str) -> Vec<PathBuf> {
    let (second, first): (Vec<_>, Vec<_>) =
        Cgroup::of_controller("memory", cgroups, mounts).partition(|cgroup| cgroup.is_second_version);
    let of_second = second.iter().map(|cgroup| cgroup.directory.join("memory.events"));
    let of_first = first.iter().map(|cgroup| cgroup.directory.join("memory.oom_control"));
    let mut found: Vec<PathBuf> = of_second.chain(of_first).collect();
    found.push(PathBuf::from("/proc/vmstat"));
    found
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_counter_in_every_kind_of_file() {
        assert_eq!(parse("low 0\nhigh 3\nmax 7\noom 2\noom_kill 1\noom_group_kill 1\n"), Some(1));
        assert_eq!(parse("oom_kill_disable 0\nunder_oom 0\noom_kill 4\n"), Some(4));
        assert_eq!(parse("pgmajfault 12\noom_kill 9\ndrop_pagecache 0\n"), Some(9));
        assert_eq!(parse("oom_kill_disable 0\n"), None);
    }

    #[test]
    fn the_own_cgroup_is_asked_before_the_host() {
        let mounts = "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        let paths = candidates("0::/a/b\n", mounts);
        assert_eq!(paths[0], Path::new("/sys/fs/cgroup/a/b/memory.events"));
        assert_eq!(paths[1], Path::new("/proc/vmstat"));
        let mounts = "36 25 0:31 /docker/x /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n";
        let paths = candidates("4:memory:/docker/x/y\n1:name=systemd:/\n", mounts);
        assert_eq!(paths[0], Path::new("/sys/fs/cgroup/memory/y/memory.oom_control"));
    }

    #[test]
    fn this_host_has_a_counter() {
        assert!(OomCounter::find().is_some_and(|counter| counter.read() >= Some(0)));
    }
}
