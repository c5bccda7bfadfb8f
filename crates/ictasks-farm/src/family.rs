//! The processes that a dead agent leaves behind.
//!
//! The coordinator is a subreaper: when an agent dies, its slots, and what dead slots leave, become
//! children of the coordinator. As long as there is such a child, a task may still run.
//!
//! tokio waits for the processes that it started, each by its own number, and never for others. So
//! what is adopted is left to this module, which in its turn waits only for children by number that
//! are neither tokio's nor older than the farm; it looks at children only after tokio has reaped the agent.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitOptions, getpid, kill_process, set_child_subreaper, waitid,
    waitpid,
};

/// A slot whose agent is gone ends its task within this: its own grace, and some time to log it.
const SLOTS_TAKE: Duration = Duration::from_secs(4);
/// After this a process cannot be killed: it hangs in the kernel.
const GIVE_UP_AFTER: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// The program that a process runs: device and inode of its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Program(u64, u64);

impl Program {
    /// Of a living process, as far as that can be seen.
    pub fn of(pid: u32) -> Option<Self> {
        let file = fs::metadata(format!("/proc/{pid}/exe")).ok()?;
        Some(Self(file.dev(), file.ino()))
    }
}

/// The coordinator's children.
#[derive(Clone, Debug)]
pub struct Family {
    own_pid: i32,
    /// Children that were there before the farm, for instance of a shell that became this program.
    older: HashSet<i32>,
}

impl Family {
    /// Makes this process the one that orphans come to.
    ///
    /// # Errors
    /// The kernel's.
    pub fn adopt_orphans() -> io::Result<Self> {
        set_child_subreaper(Some(getpid()))?;
        let own_pid = getpid().as_raw_nonzero().get();
        let older = if has_children() { Processes::read().children(own_pid) } else { Vec::new() };
        Ok(Self { own_pid, older: older.into_iter().collect() })
    }

    /// Waits until nothing is left of an agent that has ended and whose slots ran `program`: they end
    /// their tasks themselves, and what belongs to no slot is killed. False if something remains.
    /// Blocks for seconds.
    pub fn wait_until_gone(&self, program: Option<Program>) -> bool {
        let begun = Instant::now();
        loop {
            if !has_children() {
                return true;
            }
            let processes = Processes::read();
            let mut children = processes.children(self.own_pid);
            children.retain(|pid| !self.older.contains(pid));
            if children.is_empty() {
                return true;
            }
            // One that is reaped now left its own children to us: the next round sees them.
            children.retain(|pid| !is_reaped(*pid));
            if begun.elapsed() > GIVE_UP_AFTER {
                return children.is_empty();
            }
            let spared = begun.elapsed() < SLOTS_TAKE;
            for child in children.into_iter().filter(|pid| !(spared && is_slot(*pid, program))) {
                for pid in processes.descendants(child) {
                    kill(pid);
                }
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

/// Whether this process has any child, alive or to be waited for. Asking the kernel spares reading what all
/// processes of a node say of themselves.
fn has_children() -> bool {
    let looks = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    !matches!(waitid(WaitId::All, looks), Err(Errno::CHILD))
}

/// Where its program cannot be seen, a process is taken for a slot.
fn is_slot(pid: i32, program: Option<Program>) -> bool {
    let seen = u32::try_from(pid).ok().and_then(Program::of);
    seen.is_none() || program.is_none() || seen == program
}

fn is_reaped(pid: i32) -> bool {
    let waited = Pid::from_raw(pid).map(|pid| waitpid(Some(pid), WaitOptions::NOHANG));
    !matches!(waited, Some(Ok(None)))
}

fn kill(pid: i32) {
    if let Some(pid) = Pid::from_raw(pid) {
        // It may have ended meanwhile.
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// Every process and its parent, as `/proc` tells them.
struct Processes(Vec<(i32, i32)>);

impl Processes {
    fn read() -> Self {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        let of = |pid| Some((pid, parent(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?));
        Self(pids.filter_map(of).collect())
    }

    fn children(&self, parent: i32) -> Vec<i32> {
        self.0.iter().filter(|(_, its_parent)| *its_parent == parent).map(|(pid, _)| *pid).collect()
    }

    /// The process and everything below it.
    fn descendants(&self, pid: i32) -> Vec<i32> {
        let mut found = vec![pid];
        let mut looked_at = 0;
        while let Some(parent) = found.get(looked_at).copied() {
            found.extend(self.children(parent));
            looked_at += 1;
        }
        found
    }
}

/// The fields of a line of `/proc/PID/stat` (proc(5)) from the third on, the state; the second may contain anything.
pub fn fields(stat: &str) -> Option<impl Iterator<Item = &str>> {
    Some(stat.rsplit_once(')')?.1.split_whitespace())
}

/// The parent: the fourth field.
fn parent(stat: &str) -> Option<i32> {
    fields(stat)?.nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_look_like_the_rest_of_the_line() {
        assert_eq!(parent("12 (a) S 7 (b) S 34 5 6\n"), Some(34));
        assert_eq!(parent("12"), None);
    }

    #[test]
    fn descendants_are_found_at_any_depth() {
        let processes = Processes(vec![(5, 4), (4, 2), (2, 1), (3, 2), (9, 8)]);
        let mut found = processes.descendants(2);
        found.sort_unstable();
        assert_eq!(found, [2, 3, 4, 5]);
    }
}
