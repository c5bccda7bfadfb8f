//! Where the output of a task is: in its directory, or the end of it in the record.

use std::fs;
use std::path::{Path, PathBuf};

use ictasks_core::{layout, task_id};
use serde_json::Value;

use crate::error::ReportError;
use crate::rows::{Row, Rows};
use crate::run_file::{Plan, RunFile};
use crate::source::{Source, Table};

/// Ids that an error names.
const NEAREST: usize = 3;
/// How similar they are at least, 0 to 1.
const SIMILAR: f64 = 0.7;

/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Where the output of an attempt is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskOutput {
    /// In this file.
    File(PathBuf),
    /// The file is gone; the record keeps the end.
    Tail {
        /// The end of it.
        text: String,
        /// What `task_files` was.
        task_files: String,
    },
    /// The file is gone, and the record keeps nothing of it.
    Gone {
        /// Where it would be.
        file: PathBuf,
        /// How the attempt ended; `None` where the record does not know it.
        outcome: Option<String>,
        /// What `task_files` was.
        task_files: String,
    },
}

impl Stream {
    /// Its file, by the plan of a session.
    pub(crate) fn file_name(self, plan: &Plan) -> &str {
        match self {
            Self::Stdout => &plan.stdout_filename,
            Self::Stderr => &plan.stderr_filename,
        }
    }

    /// Its column.
    pub(crate) const fn tail_column(self) -> &'static str {
        match self {
            Self::Stdout => "stdout_tail",
            Self::Stderr => "stderr_tail",
        }
    }
}

/// Finds what a task printed: in its last attempt, or in the one of that number.
///
/// # Errors
/// There is no such task, or the record cannot be read.
pub fn task_output(
    source: &Source,
    id: &str,
    stream: Stream,
    attempt: Option<i64>,
) -> Result<TaskOutput, ReportError> {
    let mut last = None;
    Rows::of_task(source, Table::Tasks, id)?.each(|row| {
        last = Some(Known::of(row, stream));
        Ok(())
    })?;
    let last = match last {
        Some(last) => last,
        // A task that runs for the first time has a directory and no row.
        None if directory(source, id).is_some_and(|directory| directory.is_dir()) => Known::default(),
        None => return Err(no_task(source, id)?),
    };
    let mut known = last;
    if let Some(wanted) = attempt.filter(|wanted| Some(*wanted) != known.attempt) {
        let later = known.attempt;
        known = Known::default();
        Rows::of_task(source, Table::Attempts, id)?.each(|row| {
            if row.integer("attempt") == Some(wanted) {
                known = Known::of(row, stream);
            }
            Ok(())
        })?;
        known.is_earlier = later.is_some_and(|later| wanted < later);
        known.attempt = Some(wanted);
    }
    let run = RunFile::read(source)?;
    let plan = run.session(known.session).plan;
    Ok(known.locate(source, id, stream, &plan, attempt))
}

/// What the record says of an attempt.
#[derive(Default)]
pub(crate) struct Known {
    attempt: Option<i64>,
    session: Option<i64>,
    outcome: Option<String>,
    tail: Option<String>,
    is_earlier: bool,
}

impl Known {
    pub(crate) fn of(row: &Row<'_>, stream: Stream) -> Self {
        Self {
            attempt: row.integer("attempt"),
            session: row.integer("session"),
            outcome: row.text("outcome").map(ToOwned::to_owned),
            tail: row.text(stream.tail_column()).map(ToOwned::to_owned),
            is_earlier: false,
        }
    }

    /// `asked` is the attempt that the user named.
    pub(crate) fn locate(
        self,
        source: &Source,
        id: &str,
        stream: Stream,
        plan: &Plan,
        asked: Option<i64>,
    ) -> TaskOutput {
        let task_files = plan.task_files.clone();
        let directory = directory(source, id).unwrap_or_default();
        let file = directory.join(stream.file_name(plan));
        let in_file = match asked {
            None => Some(file.clone()),
            Some(attempt) => self.file_of_attempt(&directory, &file, attempt),
        };
        match (in_file.filter(|file| is_file(file)), self.tail) {
            (Some(file), _) => TaskOutput::File(file),
            (None, Some(text)) => TaskOutput::Tail { text, task_files },
            (None, None) => TaskOutput::Gone { file, outcome: self.outcome, task_files },
        }
    }

    /// Files of an earlier attempt have its number behind their names; those without are of the attempt that
    /// `task.json` names.
    fn file_of_attempt(&self, directory: &Path, file: &Path, attempt: i64) -> Option<PathBuf> {
        let mut aside = file.as_os_str().to_owned();
        aside.push(layout::attempt_suffix(i32::try_from(attempt).ok()?));
        let aside = PathBuf::from(aside);
        if is_file(&aside) {
            return Some(aside);
        }
        let is_current = match attempt_of_directory(directory) {
            Some(current) => current == attempt,
            None => !self.is_earlier,
        };
        is_current.then(|| file.to_owned())
    }
}

/// The directory of a task; `None` for an id that no task can have, which might lead anywhere.
pub(crate) fn directory(source: &Source, id: &str) -> Option<PathBuf> {
    task_id::check(id).ok()?;
    Some(source.run_dir.join(layout::task_directory(id)))
}

fn attempt_of_directory(directory: &Path) -> Option<i64> {
    let path = directory.join(layout::TASK_FILE);
    if !is_file(&path) {
        return None;
    }
    let document: Value = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    document.get("attempt")?.as_i64()
}

/// Whether it can be read to an end: a pipe could not.
fn is_file(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.is_file())
}

/// The error for an id that no task has, with the most similar ones.
pub(crate) fn no_task(source: &Source, id: &str) -> Result<ReportError, ReportError> {
    let mut nearest: Vec<(f64, String)> = Vec::new();
    Rows::open(source, Table::Tasks, Some(&["task_id"]))?.each(|row| {
        let Some(other) = row.text("task_id") else { return Ok(()) };
        let likeness = strsim::jaro_winkler(id, other);
        let is_before = |(known, name): &(f64, String)| {
            *known > likeness || (*known >= likeness && name.as_str() < other)
        };
        let place = nearest.partition_point(is_before);
        if place < NEAREST {
            nearest.insert(place, (likeness, other.to_owned()));
            nearest.truncate(NEAREST);
        }
        Ok(())
    })?;
    let similar = nearest.iter().filter(|(likeness, _)| *likeness >= SIMILAR).count();
    // Where none is similar, any shows what ids look like.
    nearest.truncate(similar.max(1));
    let nearest = nearest.into_iter().map(|(_, id)| id).collect();
    Ok(ReportError::NoTask { id: id.to_owned(), run_dir: source.run_dir.clone(), nearest })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::specimen;

    #[test]
    fn files_come_first_then_the_record() {
        let run = specimen::run();
        let find = |id: &str, stream, attempt| task_output(&run.source, id, stream, attempt).unwrap();
        let tail = |text: &str| TaskOutput::Tail { text: text.to_owned(), task_files: "all".to_owned() };
        assert_eq!(find("retried", Stream::Stderr, Some(1)), tail("no mesh\n"));
        assert_eq!(find("hostile", Stream::Stdout, None), tail("+cmd|' /C calc'!A0"));
        assert!(matches!(
            find("retried", Stream::Stderr, None),
            TaskOutput::Gone { outcome: Some(outcome), .. } if outcome == "succeeded"
        ));
        let directory = run.directory.path().join("task_retried");
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join("err.txt"), "second").unwrap();
        fs::write(directory.join("err.txt.attempt-1"), "first").unwrap();
        let file = |name: &str| TaskOutput::File(directory.join(name));
        assert_eq!(find("retried", Stream::Stderr, None), file("err.txt"));
        assert_eq!(find("retried", Stream::Stderr, Some(2)), file("err.txt"));
        assert_eq!(find("retried", Stream::Stderr, Some(1)), file("err.txt.attempt-1"));
        // The files are of a third attempt, which runs.
        fs::write(directory.join("task.json"), "{\"attempt\":3}").unwrap();
        assert_eq!(find("retried", Stream::Stderr, Some(3)), file("err.txt"));
        assert!(matches!(find("retried", Stream::Stderr, Some(2)), TaskOutput::Gone { .. }));
    }

    #[test]
    fn a_task_that_runs_for_the_first_time_has_no_row() {
        let run = specimen::run();
        let directory = run.directory.path().join("task_new");
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join("out.txt"), "so far").unwrap();
        let found = task_output(&run.source, "new", Stream::Stdout, None).unwrap();
        assert_eq!(found, TaskOutput::File(directory.join("out.txt")));
    }

    #[test]
    fn an_id_that_no_task_has_is_told_with_similar_ones() {
        let run = specimen::run();
        let error = |id: &str| task_output(&run.source, id, Stream::Stdout, None).unwrap_err().to_string();
        assert!(error("retryed").contains("for instance `retried`"), "{}", error("retryed"));
        let hostile = error("../\u{1b}[31m/etc");
        assert!(hostile.starts_with("find task `..//etc` in "), "{hostile}");
    }
}
