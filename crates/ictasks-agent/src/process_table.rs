//! The processes of this host, from one reading of `/proc`: who descends from whom, and what each uses.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{CWD, Dir, Mode, OFlags, openat};

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
    /// Whether it has ended and waits to be reaped.
    pub is_zombie: bool,
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
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        // Field numbers of proc(5) less 3: the state is the third.
        let number = |field: usize| fields.get(field - 3)?.parse::<i64>().ok();
        Some(Self {
            pid: pid.parse().ok()?,
            parent: i32::try_from(number(4)?).ok()?,
            is_zombie: matches!(fields.first(), Some(&("Z" | "X"))),
            cpu_ticks: number(14)? + number(15)? + number(16)? + number(17)?,
            thread_count: number(20)?,
            rss_pages: number(24)?,
        })
    }
}

/// All processes of the host at one moment.
#[derive(Debug, Default)]
pub struct ProcessTable {
    processes: HashMap<i32, Process>,
    children: HashMap<i32, Vec<i32>>,
}

impl ProcessTable {
    /// Reads `/proc`. Processes that end meanwhile are left out; without `/proc` the table is empty.
    pub fn read(own_io: &mut OwnIo) -> Self {
        let mut table = Self::default();
        let Ok(proc_dir) = openat(CWD, "/proc", OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) else {
            return table;
        };
        let Ok(entries) = Dir::read_from(&proc_dir) else { return table };
        let mut buffer = [0; 1024];
        for entry in entries.flatten() {
            let name = entry.file_name().to_bytes();
            if !name.iter().all(u8::is_ascii_digit) {
                continue;
            }
            let path = [name, b"/stat"].concat();
            if let Some(process) = read_process(&proc_dir, &path, &mut buffer, own_io) {
                table.add(process);
            }
        }
        table
    }

    fn add(&mut self, process: Process) {
        self.children.entry(process.parent).or_default().push(process.pid);
        self.processes.insert(process.pid, process);
    }

    /// Every process that descends from `root` and has not ended.
    pub fn descendants(&self, root: i32) -> Vec<&Process> {
        let mut found = Vec::new();
        let mut open = vec![root];
        while let Some(pid) = open.pop() {
            // A table that is read while processes come and go could hold a loop; each pid counts once.
            for child in self.children.get(&pid).into_iter().flatten() {
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

fn read_process(proc_dir: &OwnedFd, path: &[u8], buffer: &mut [u8], own_io: &mut OwnIo) -> Option<Process> {
    let file = openat(proc_dir, path, OFlags::CLOEXEC, Mode::empty()).ok()?;
    let length = own_io.read(&file, buffer).ok()?;
    Process::parse(&String::from_utf8_lossy(&buffer[..length]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_does_not_confuse() {
        let stat = "71 (a) b (c) S 5 71 71 0 -1 4194304 90 0 1 0 7 3 2 1 20 0 4 0 999 123456 250 18446744073709551615 1";
        let expected =
            Process { pid: 71, parent: 5, is_zombie: false, cpu_ticks: 13, thread_count: 4, rss_pages: 250 };
        assert_eq!(Process::parse(stat), Some(expected));
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
        assert!(table.descendants(parent).iter().any(|process| process.pid == own));
    }
}
