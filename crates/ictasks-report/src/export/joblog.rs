//! The tasks as the log that GNU parallel keeps with `--joblog`, so that what reads such logs reads
//! this one, and `parallel --resume --joblog` goes on where the run stopped.
//!
//! Columns: `Seq` (position in the task list, from 1), `Host`, `Starttime` (seconds since the epoch),
//! `JobRuntime` (seconds), `Send` and `Receive` (0: nothing is copied), `Exitval`, `Signal`, `Command`,
//! separated by tabs. As there, a newline in a command is a zero byte, and the command, which stands
//! last, may hold tabs. A line for each task that was started, its last attempt, in the order in which
//! they ended.
//!
//! Only success is `0` and `0` for `Exitval` and `Signal`, which is how `--resume-failed` knows it: a
//! task that could not be started has 127, and one that was ended or failed without a code of its
//! own has -1, as jobs have that parallel itself ends.

use std::io::Write;

use super::written;
use crate::error::ReportError;
use crate::moment::Moment;
use crate::rows::{Row, Rows};
use crate::source::{Source, Table};

const COLUMNS: [&str; 10] = [
    "task_index",
    "host",
    "started_at",
    "finished_at",
    "ready_at",
    "wall_s",
    "exit_code",
    "signal",
    "outcome",
    "command",
];

/// Writes the tasks of a run that were started as GNU parallel's log.
///
/// # Errors
/// The table cannot be read, or `out` cannot be written.
pub fn joblog(source: &Source, out: &mut dyn Write) -> Result<(), ReportError> {
    let rows = Rows::open(source, Table::Tasks, Some(&COLUMNS))?;
    let header = "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n";
    written(out.write_all(header.as_bytes()))?;
    rows.each(|row| match line(row) {
        Some(line) => written(out.write_all(line.as_bytes())),
        None => Ok(()),
    })
}

/// `None` for a task that was never started.
fn line(row: &Row<'_>) -> Option<String> {
    let outcome = row.text("outcome").filter(|outcome| *outcome != "pending")?;
    let started_at = ["started_at", "finished_at", "ready_at"].iter().find_map(|name| row.time(name));
    let (exit_value, signal) = end(outcome, row.integer("exit_code"), row.integer("signal"));
    Some(format!(
        "{}\t{}\t{:.3}\t{:10.3}\t0\t0\t{exit_value}\t{signal}\t{}\n",
        row.integer("task_index")? + 1,
        row.text("host").map_or_else(|| ":".to_owned(), one_word),
        started_at.unwrap_or_default().seconds_since(Moment(0)),
        row.float("wall_s").unwrap_or(0.0),
        row.text("command").unwrap_or_default().replace('\n', "\0")
    ))
}

/// `Exitval` and `Signal`.
fn end(outcome: &str, code: Option<i64>, signal: Option<i64>) -> (i64, i64) {
    match (outcome, code.unwrap_or(0), signal.unwrap_or(0)) {
        ("succeeded", code, signal) => (code, signal),
        ("spawn_failed", 0, 0) => (127, 0),
        (_, 0, 0) => (-1, 0),
        (_, code, signal) => (code, signal),
    }
}

/// A host's name, which must be one word here.
fn one_word(host: &str) -> String {
    let word: String =
        host.chars().filter(|character| !character.is_whitespace() && !character.is_control()).collect();
    if word.is_empty() { ":".to_owned() } else { word }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::specimen;

    #[test]
    fn tasks_of_a_small_run() {
        let run = specimen::run();
        let mut out = Vec::new();
        joblog(&run.source, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap().replace('\0', "<NUL>").replace('\t', "<TAB>");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn only_success_looks_like_it() {
        assert_eq!(end("succeeded", Some(0), None), (0, 0));
        assert_eq!(end("failed", Some(3), None), (3, 0));
        assert_eq!(end("signaled", None, Some(11)), (0, 11));
        assert_eq!(end("spawn_failed", None, None), (127, 0));
        // Exit code 0, but a file was missing, or it came after the time limit.
        assert_eq!(end("failed", Some(0), None), (-1, 0));
        assert_eq!(end("timed_out", Some(0), None), (-1, 0));
        assert_eq!(end("node_lost", None, None), (-1, 0));
    }
}
