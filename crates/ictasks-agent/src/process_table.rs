//! The processes of this host, from one reading of `/proc`: who descends from whom, and what each uses.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{CWD, Dir, Mode, OFlags, openat};
use rustix::io::Errno;

/// Reads of small files, counted: a slot takes its own off what it measures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnIo {
    /// Bytes read.
    pub read_bytes: i64,
    /// Read calls.
    pub read_calls: i64,
    /// Bytes written.
    pub written_bytes: i64,
    /// Write calls.
    pub write_calls: i64,
}

impl OwnIo {
    /// Reads from `descriptor` into `buffer` until its end or until the buffer is full.
    pub fn read(&mut self, descriptor: impl AsFd, buffer: &mut [u8]) -> rustix::io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            let count = rustix::io::read(&descriptor, &mut buffer[filled..])?;
            self.read_calls += 1;
            self.read_bytes += i64::try_from(count).unwrap_or(0);
            filled += count;
            if count == 0 {
                break;
            }
        }
        Ok(filled)
    }
}

/// One process, as `/proc/PID/stat` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: i32,
    /// Its parent's.
    pub parent: i32,
    /// Its process group.
    pub group: i32,
    /// Whether it has ended and waits to be reaped.
    pub is_zombie: bool,
    /// Whether it is stopped.
    pub is_stopped: bool,
    /// CPU time of itself and of the children it reaped, clock ticks.
    pub cpu_ticks: i64,
    /// Its threads.
    pub thread_count: i64,
    /// Its resident memory, pages.
    pub rss_pages: i64,
}

impl Process {
    /// Reads the line of `/proc/PID/stat` (proc(5)); the name in it may hold anything, also `)`.
    pub fn parse(stat: &str) -> Option<Self> {
        let (head, rest) = stat.rsplit_once(") ")?;
        let (pid, _) = head.split_once(" (")?;
        let mut fields = rest.split_ascii_whitespace();
        let state = fields.next()?;
        let mut values = [0; 22];
        for value in &mut values {
            // Fields that are not looked at may be larger than an i64.
            *value = fields.next()?.parse::<i64>().unwrap_or(i64::MAX);
        }
        // Numbered as in proc(5): the first of them is field 4.
        let number = |field: usize| values[field - 4];
        let thread_count = number(20);
        Some(Self {
            pid: pid.parse().ok()?,
            parent: i32::try_from(number(4)).ok()?,
            group: i32::try_from(number(5)).ok()?,
            // Where only the first thread has ended, the others go on.
            is_zombie: matches!(state, "Z" | "X") && thread_count <= 1,
            is_stopped: state == "T",
            cpu_ticks: number(14)
                .saturating_add(number(15))
                .saturating_add(number(16))
                .saturating_add(number(17)),
            thread_count,
            rss_pages: number(24),
        })
    }
}

/// All processes of the host at one moment.
#[derive(Debug, Default)]
pub struct ProcessTable {
    processes: HashMap<i32, Process>,
    children: HashMap<i32, Vec<i32>>,
}

/// Hands out all processes of the host. Those that end meanwhile are left out.
///
/// # Errors
/// `/proc` cannot be read, for instance since too many files are open.
fn each_process(own_io: &mut OwnIo, mut take: impl FnMut(Process)) -> rustix::io::Result<()> {
    let proc_dir = openat(CWD, "/proc", OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let mut buffer = [0; 1024];
    let mut path = Vec::new();
    for entry in Dir::read_from(&proc_dir)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if !name.iter().all(u8::is_ascii_digit) {
            continue;
        }
        path.clear();
        path.extend_from_slice(name);
        path.extend_from_slice(b"/stat");
        match read_process(&proc_dir, &path, &mut buffer, own_io) {
            Ok(process) => process.into_iter().for_each(&mut take),
            Err(error @ (Errno::MFILE | Errno::NFILE | Errno::NOMEM)) => return Err(error),
            Err(_) => {}
        }
    }
    Ok(())
}

/// A process of a tree, for stopping and ending it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub pid: i32,
    /// Its process group.
    pub group: i32,
    /// Whether it is stopped.
    pub is_stopped: bool,
}

/// Every process that descends from `root` and has not ended, without `spared` and what descends from them: as [`ProcessTable::descendants`], with
/// little memory also on a host of very many processes, since a slot must stay small.
///
/// # Errors
/// `/proc` cannot be read.
pub fn members_below(root: i32, spared: &[i32], own_io: &mut OwnIo) -> rustix::io::Result<Vec<Member>> {
    // By parent.
    let mut all: Vec<(i32, Member, bool)> = Vec::new();
    each_process(own_io, |process| {
        let Process { pid, parent, group, is_stopped, is_zombie, .. } = process;
        all.push((parent, Member { pid, group, is_stopped }, is_zombie));
    })?;
    all.sort_unstable_by_key(|(parent, member, _)| (*parent, member.pid));
    let mut found = Vec::new();
    let mut open = vec![root];
    let mut visited = 0;
    while let Some(pid) = open.pop() {
        let first = all.partition_point(|(parent, ..)| *parent < pid);
        for (_, member, is_zombie) in all[first..].iter().take_while(|(parent, ..)| *parent == pid) {
            // A table that is read while processes come and go could hold a loop.
            visited += 1;
            if visited > all.len() {
                return Ok(found);
            }
            if spared.contains(&member.pid) {
                continue;
            }
            open.push(member.pid);
            if !is_zombie {
                found.push(*member);
            }
        }
    }
    Ok(found)
}

impl ProcessTable {
    /// Reads `/proc`; where that fails, the table holds what could be read.
    pub fn read(own_io: &mut OwnIo) -> Self {
        let mut table = Self::default();
        // Who samples can do without what is missing; who ends processes takes `members_below`.
        let _ = each_process(own_io, |process| table.add(process));
        table
    }

    fn add(&mut self, process: Process) {
        self.children.entry(process.parent).or_default().push(process.pid);
        self.processes.insert(process.pid, process);
    }

    /// Every process that descends from `root` and has not ended, without `apart` and what is below that
    /// (0 for none).
    pub fn descendants(&self, root: i32, apart: i32) -> Vec<&Process> {
        let mut found = Vec::new();
        let mut open = vec![root];
        while let Some(pid) = open.pop() {
            // A table that is read while processes come and go could hold a loop; each pid counts once.
            for child in self.children.get(&pid).into_iter().flatten().filter(|child| **child != apart) {
                if let Some(process) = self.processes.get(child)
                    && found.len() < self.processes.len()
                {
                    found.push(process);
                    open.push(*child);
                }
            }
        }
        found.retain(|process| !process.is_zombie);
        found
    }
}

fn read_process(
    proc_dir: &OwnedFd,
    path: &[u8],
    buffer: &mut [u8],
    own_io: &mut OwnIo,
) -> rustix::io::Result<Option<Process>> {
    let file = openat(proc_dir, path, OFlags::CLOEXEC, Mode::empty())?;
    let length = own_io.read(&file, buffer)?;
    Ok(Process::parse(&String::from_utf8_lossy(&buffer[..length])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_does_not_confuse() {
        let stat = "71 (a) b (c) S 5 71 71 0 -1 4194304 90 0 1 0 7 3 2 1 20 0 4 0 999 123456 250 18446744073709551615 1";
        let expected = Process {
            pid: 71,
            parent: 5,
            group: 71,
            is_zombie: false,
            is_stopped: false,
            cpu_ticks: 13,
            thread_count: 4,
            rss_pages: 250,
        };
        assert_eq!(Process::parse(stat), Some(expected));
    }

    #[test]
    fn a_process_whose_first_thread_has_ended_lives_on() {
        let state = |state: &str, threads: i32| {
            let zeros = "0 ".repeat(40);
            let stat = format!("71 (a) {state} 5 71 71 0 -1 0 0 0 0 0 0 0 0 0 20 0 {threads} 0 {zeros}");
            Process::parse(&stat).unwrap()
        };
        assert!(state("Z", 1).is_zombie);
        assert!(!state("Z", 2).is_zombie);
        assert!(state("T", 1).is_stopped);
    }

    #[test]
    fn a_damaged_line_is_no_process() {
        assert_eq!(Process::parse("71 (sh"), None);
        assert_eq!(Process::parse(""), None);
    }

    #[test]
    fn this_process_descends_from_its_parent() {
        let table = ProcessTable::read(&mut OwnIo::default());
        let parent = i32::try_from(std::os::unix::process::parent_id()).unwrap();
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(table.descendants(parent, 0).iter().any(|process| process.pid == own));
        assert!(table.descendants(parent, own).iter().all(|process| process.pid != own));
        let members = members_below(parent, &[], &mut OwnIo::default()).unwrap();
        assert!(members.iter().any(|member| member.pid == own));
        let members = members_below(parent, &[own], &mut OwnIo::default()).unwrap();
        assert!(!members.iter().any(|member| member.pid == own));
    }
}
