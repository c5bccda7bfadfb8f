//! Attempts that tell of themselves: each writes down, ten times a second, that it lives, in a file of its own.
//! So a test can tell whether two attempts at a task ever lived at one time, whatever the record says.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::Path;

use crate::record::Record;
use crate::table::Row;
use crate::wait::wait_for;

/// Where the files lie, in the directory that a run was started in.
const DIRECTORY: &str = "live";

/// A command that lives until the file `go` is there.
pub fn until_go() -> String {
    until_go_after(":")
}

/// The same, after another command for bash.
pub fn until_go_after(before: &str) -> String {
    command(before, "until [ -e %SUBMITDIR%/go ]")
}

/// A command that lives for so many tenths of a second.
pub fn for_tenths(count: u64) -> String {
    command(":", &format!("for i in $(seq {count})"))
}

fn command(before: &str, condition: &str) -> String {
    let file = format!("%SUBMITDIR%/{DIRECTORY}/$ICTASKS_TASK_INDEX.$ICTASKS_ATTEMPT.$(hostname).$$");
    format!(
        "bash -c '{before}; f={file}; {condition}; do echo $EPOCHREALTIME >> $f; sleep 0.1; done; echo done >> $f'\n"
    )
}

/// Makes the directory that the commands write to.
///
/// # Panics
/// If it cannot be made.
pub fn prepare(submit_dir: &Path) {
    fs::create_dir(submit_dir.join(DIRECTORY)).expect("make a directory");
}

/// Waits until so many attempts have begun.
pub fn wait_for_lives(submit_dir: &Path, count: usize) {
    wait_for("tasks to run", || (begun(submit_dir) >= count).then_some(()));
}

/// How many attempts have begun.
pub fn begun(submit_dir: &Path) -> usize {
    fs::read_dir(submit_dir.join(DIRECTORY)).map_or(0, Iterator::count)
}

/// An attempt, as its file tells it.
#[derive(Debug)]
struct Life {
    attempt: i64,
    host: String,
    /// First and last time that it wrote, seconds since the epoch; none where it had nothing to wait for.
    times: Option<(f64, f64)>,
    is_done: bool,
}

fn lives(submit_dir: &Path) -> BTreeMap<i64, Vec<Life>> {
    let mut lives: BTreeMap<i64, Vec<Life>> = BTreeMap::new();
    for entry in fs::read_dir(submit_dir.join(DIRECTORY)).expect("read the lives") {
        let path = entry.expect("read the lives").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = String::from_utf8_lossy(&fs::read(&path).expect("read a life")).into_owned();
        let times: Vec<f64> = text.lines().filter_map(|line| line.parse().ok()).collect();
        let words: Vec<&str> = name.split('.').collect();
        let life = Life {
            attempt: words[1].parse().expect("the number of an attempt"),
            host: words[2].to_owned(),
            times: times.first().copied().zip(times.last().copied()),
            is_done: text.ends_with("done\n"),
        };
        lives.entry(words[0].parse().expect("the index of a task")).or_default().push(life);
    }
    lives
}

/// No two attempts at a task lived at one time; every one that lived is in the record, once, with its host and
/// its end; and every success of the record has lived.
///
/// # Panics
/// If that is not so.
pub fn check(submit_dir: &Path, record: &Record) {
    let lives = lives(submit_dir);
    for (task, of_task) in &lives {
        let mut times: Vec<(f64, f64)> = of_task.iter().filter_map(|life| life.times).collect();
        times.sort_by(|a, b| a.0.total_cmp(&b.0));
        for pair in times.windows(2) {
            assert!(pair[0].1 < pair[1].0, "task {task} ran in two places: {of_task:?}");
        }
    }
    let rows = record.table("attempts").rows;
    for (task, of_task) in &lives {
        for life in of_task {
            let of_life = |row: &&Row| row["task_index"] == *task && row["attempt"] == life.attempt;
            let recorded: Vec<_> = rows.iter().filter(of_life).collect();
            assert_eq!(recorded.len(), 1, "task {task}: {life:?} is recorded as {recorded:?}");
            assert_eq!(recorded[0]["host"], life.host.as_str(), "task {task}: {life:?}");
            assert_eq!(recorded[0]["outcome"] == "succeeded", life.is_done, "task {task}: {life:?}");
        }
    }
    let succeeded = rows.iter().filter(|row| row["outcome"] == "succeeded");
    let done = lives.values().flatten().filter(|life| life.is_done).count();
    assert_eq!(succeeded.count(), done, "as many succeeded as are recorded");
    let named: HashSet<(String, String)> =
        rows.iter().map(|row| (row["task_index"].to_string(), row["attempt"].to_string())).collect();
    assert_eq!(named.len(), rows.len(), "no attempt is recorded twice");
}
