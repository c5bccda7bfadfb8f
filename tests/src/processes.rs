//! Processes: whether they run, whose they are, and signals to them.

use std::fs;

/// Whether a process with this id runs (a zombie does not).
pub fn process_exists(pid: i64) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| stat.rsplit(')').next().is_some_and(|rest| !rest.starts_with(" Z")))
}

/// A process and everything that descends from it, by what /proc shows now.
pub fn tree(pid: i64) -> Vec<i64> {
    let parents: Vec<(i64, i64)> =
        processes().into_iter().filter_map(|pid| Some((pid, parent(pid)?))).collect();
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(&above) = found.get(next) {
        found.extend(parents.iter().filter(|(_, parent)| *parent == above).map(|(pid, _)| *pid));
        next += 1;
    }
    found
}

/// The processes, zombies left out, that have `text` in their environment.
pub fn processes_with(text: &str) -> Vec<i64> {
    let has = |pid: &i64| {
        fs::read(format!("/proc/{pid}/environ"))
            .is_ok_and(|environment| environment.windows(text.len()).any(|part| part == text.as_bytes()))
    };
    processes().into_iter().filter(|pid| process_exists(*pid) && has(pid)).collect()
}

/// The children of a process that run a program of this name.
pub fn children_named(pid: i64, name: &str) -> Vec<i64> {
    let is_it =
        |pid: &i64| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim() == name);
    processes().into_iter().filter(|child| parent(*child) == Some(pid)).filter(is_it).collect()
}

fn processes() -> Vec<i64> {
    let entries = fs::read_dir("/proc").expect("read /proc");
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

fn parent(pid: i64) -> Option<i64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(") ").next()?.split(' ').nth(1)?.parse().ok()
}

/// Sends a signal to a process, or to a group if `pid` is negative; one that is gone gets none.
#[allow(unsafe_code, reason = "kill(2) has no safe wrapper in the standard library")]
pub fn send_signal(pid: i64, signal: i32) {
    let pid = i32::try_from(pid).expect("a process id");
    // SAFETY: kill takes plain integers and touches no memory of this process.
    unsafe {
        libc::kill(pid, signal);
    }
}
