//! Task lists, as streams: one command a line, or one JSON task a line.

use std::io::Read;
use std::path::Path;

use crate::config::Config;
use crate::error::{InputError, InputErrors};
use crate::task::Task;

/// How a task list is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskListFormat {
    /// One command a line.
    Lines,
    /// One JSON task a line.
    JsonLines,
}

impl TaskListFormat {
    /// By the name: JSON lines for `.jsonl`, else lines.
    pub fn of(path: &Path) -> Self {
        if path
            .extension()
            .is_some_and(|extension| extension == "jsonl")
        {
            Self::JsonLines
        } else {
            Self::Lines
        }
    }
}

/// Reads tasks from a task list, in order and in bounded memory.
pub struct TaskReader {
    _input: Box<dyn Read + Send>,
}

impl TaskReader {
    /// Reads from `input`; errors name it `name`.
    pub fn new(
        _input: Box<dyn Read + Send>,
        _name: &str,
        _format: TaskListFormat,
        _submit_dir: &Path,
    ) -> Self {
        todo!()
    }

    /// The tasks of all complete lines that are there already, up to 128 of them or 256 KiB;
    /// waits only where there is none. `None` at the end. Good tasks before a bad line come
    /// first; after an error the next call goes on with the next line.
    pub fn next_batch(&mut self) -> Option<Result<Vec<Task>, InputError>> {
        todo!()
    }
}

impl Iterator for TaskReader {
    type Item = Result<Task, InputError>;
    fn next(&mut self) -> Option<Self::Item> {
        todo!()
    }
}

/// What the validating pass found out about a good list.
#[derive(Clone, Debug, PartialEq)]
pub struct ListSummary {
    /// Number of tasks.
    pub task_count: u64,
    /// The first tasks, for `--dry-run`.
    pub first: Vec<Task>,
}

/// Reads a regular file through once, in bounded memory, and checks every line and that no id
/// comes twice.
///
/// # Errors
/// What is wrong with the first ten bad lines.
pub fn validate(
    _path: &Path,
    _format: TaskListFormat,
    _submit_dir: &Path,
) -> Result<ListSummary, InputErrors> {
    todo!()
}

/// Where the dispatcher takes tasks from.
pub struct TaskSource {
    _reader: TaskReader,
}

impl TaskSource {
    /// The tasks of the configuration; `None` if it has none.
    pub fn from_config(_config: &Config, _submit_dir: &Path) -> Option<Self> {
        todo!()
    }

    /// A task list; `-` is standard input.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open(
        _path: &Path,
        _format: TaskListFormat,
        _submit_dir: &Path,
    ) -> Result<Self, InputError> {
        todo!()
    }

    /// Whether it can be read only once (standard input, a FIFO): then there is no validating
    /// pass, and [`TaskSource::task_count`] is not known.
    pub fn is_stream(&self) -> bool {
        todo!()
    }

    /// Number of tasks, if known: of the configuration, or as set by
    /// [`TaskSource::with_task_count`].
    pub fn task_count(&self) -> Option<u64> {
        todo!()
    }

    /// The source with the number of tasks that the validating pass counted.
    #[must_use]
    pub fn with_task_count(self, _task_count: u64) -> Self {
        todo!()
    }

    /// As [`TaskReader::next_batch`].
    pub fn next_batch(&mut self) -> Option<Result<Vec<Task>, InputError>> {
        todo!()
    }
}
