//! From lines to tasks.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::vec;

use super::TaskListFormat;
use super::json::JsonTask;
use super::lines::{Line, Lines};
use crate::error::{Fault, InputError, Place};
use crate::task::{Task, params_json};
use crate::task_id;

/// The last line of a list that has one: an empty JSON object.
const LAST_LINE: &[u8] = b"{}";
const BATCH_TASKS: usize = 128;
const BATCH_BYTES: usize = 256 << 10;

/// Reads tasks from a task list, in order and in bounded memory.
pub struct TaskReader {
    lines: Lines,
    name: String,
    format: TaskListFormat,
    submit_dir: String,
    next_index: i64,
    /// Whether a sweep makes tasks of what is read: nothing is replaced then.
    is_for_sweep: bool,
    /// Whether a task may be a function call.
    takes_calls: bool,
    /// Whether the list ends with a line that says so, and that one has not come yet.
    wants_last_line: bool,
    /// Met after good tasks, which went first.
    error: Option<InputError>,
    /// What the iterator has not handed out yet.
    batch: vec::IntoIter<Task>,
}

impl TaskReader {
    /// Reads from `input`; errors name it `name`.
    pub fn new(input: Box<dyn Read + Send>, name: &str, format: TaskListFormat, submit_dir: &Path) -> Self {
        Self {
            lines: Lines::new(input),
            name: name.to_owned(),
            format,
            submit_dir: submit_dir.to_string_lossy().into_owned(),
            next_index: 0,
            is_for_sweep: false,
            takes_calls: false,
            wants_last_line: false,
            error: None,
            batch: Vec::new().into_iter(),
        }
    }

    /// With tasks as typed, of which a sweep makes others.
    #[must_use]
    pub(crate) fn for_sweep(self) -> Self {
        Self { is_for_sweep: true, ..self }
    }

    /// With tasks that are function calls: there is a server for them.
    #[must_use]
    pub fn with_calls(self) -> Self {
        Self { takes_calls: true, ..self }
    }

    /// Of a program that drives the run: the list ends with the line `{}`, and was cut off without it.
    #[must_use]
    pub fn with_last_line(self) -> Self {
        Self { wants_last_line: true, ..self }
    }

    /// The tasks of all complete lines that are there already, up to 128 of them or 256 KiB;
    /// waits only where there is none. `None` at the end. Good tasks before a bad line come
    /// first; after an error the next call goes on with the next line.
    pub fn next_batch(&mut self) -> Option<Result<Vec<Task>, InputError>> {
        if self.batch.len() > 0 {
            return Some(Ok(std::mem::take(&mut self.batch).collect()));
        }
        if let Some(error) = self.error.take() {
            return Some(Err(error));
        }
        let mut tasks = Vec::new();
        let mut bytes = 0;
        loop {
            match self.next_task(tasks.is_empty()) {
                Some(Ok((_, task))) => {
                    bytes += task.command.len();
                    tasks.push(task);
                    if tasks.len() == BATCH_TASKS || bytes >= BATCH_BYTES {
                        return Some(Ok(tasks));
                    }
                }
                Some(Err(error)) if tasks.is_empty() => return Some(Err(error)),
                Some(Err(error)) => {
                    self.error = Some(error);
                    return Some(Ok(tasks));
                }
                None if tasks.is_empty() => return None,
                None => return Some(Ok(tasks)),
            }
        }
    }

    /// The next task and its line. `None` at the end, and where `waits` is false also where no
    /// complete line is there yet.
    pub(super) fn next_task(&mut self, waits: bool) -> Option<Result<(u64, Task), InputError>> {
        loop {
            if let Some(line) = self.lines.next_complete() {
                let number = line.number;
                match self.task_of(line) {
                    Ok(None) => {}
                    Ok(Some(task)) => return Some(Ok((number, Task { line: number, ..task }))),
                    Err((column, fault)) => return Some(Err(self.at(number, column, fault))),
                }
            } else if !waits {
                return None;
            } else {
                match self.lines.fill() {
                    Ok(true) => {}
                    Ok(false) if self.wants_last_line => {
                        self.wants_last_line = false;
                        return Some(Err(self.at(0, 0, Fault::CutOff)));
                    }
                    Ok(false) => return None,
                    Err(source) => {
                        let path = PathBuf::from(&self.name);
                        return Some(Err(InputError::Unreadable { path, source }));
                    }
                }
            }
        }
    }

    /// The task of a line, `None` for a line without one. A bad line, too, takes up a position.
    fn task_of(&mut self, line: Line) -> Result<Option<Task>, (u64, Fault)> {
        let index = self.next_index;
        let Some(at) = line.at else {
            self.next_index += 1;
            return Err((0, Fault::LineTooLong));
        };
        let mut bytes = self.lines.bytes(at);
        if line.number == 1 {
            bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
        }
        let trimmed = bytes.trim_ascii();
        let is_comment = self.format == TaskListFormat::Lines && trimmed.first() == Some(&b'#');
        if trimmed.is_empty() || is_comment {
            return Ok(None);
        }
        if self.wants_last_line && trimmed == LAST_LINE {
            self.wants_last_line = false;
            return Ok(None);
        }
        self.next_index += 1;
        let blanks = bytes.len() - bytes.trim_ascii_start().len();
        let text = std::str::from_utf8(trimmed).map_err(|error| {
            let byte = blanks + error.valid_up_to() + 1;
            (byte as u64, Fault::NotUtf8 { byte })
        })?;
        let task = match self.format {
            TaskListFormat::Lines => {
                let column = u32::try_from(blanks + 1).unwrap_or(0);
                self.task(index, None, text).map(|task| Task { column, ..task })
            }
            TaskListFormat::JsonLines => {
                let typed = JsonTask::of(text)?;
                if typed.call.is_some() && !self.takes_calls {
                    return Err((0, Fault::NoCallServer));
                }
                self.task(index, typed.id, &typed.launch_cmd).map(|task| Task {
                    environment: typed.environment,
                    params_json: params_json(&typed.params),
                    retries: typed.retries,
                    timeout_s: typed.timeout_s,
                    expected_time_s: typed.expected_time_s,
                    expected_outputs: typed.expected_outputs,
                    call: typed.call,
                    ..task
                })
            }
        };
        task.map(Some).map_err(|fault| (0, fault))
    }

    fn task(&self, index: i64, id: Option<String>, command: &str) -> Result<Task, Fault> {
        if self.is_for_sweep {
            return Ok(Task::as_typed(index, id, command));
        }
        id.as_deref().map_or(Ok(()), task_id::check)?;
        Task::new(index, id, command, &self.submit_dir)
    }

    /// What errors call the input.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// An error in line `line`.
    pub(super) fn at(&self, line: u64, column: u64, fault: Fault) -> InputError {
        InputError::At { place: Place { file: self.name.clone(), line, column }, fault }
    }
}

impl Iterator for TaskReader {
    type Item = Result<Task, InputError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(task) = self.batch.next() {
            return Some(Ok(task));
        }
        match self.next_batch()? {
            Ok(tasks) => {
                self.batch = tasks.into_iter();
                self.batch.next().map(Ok)
            }
            Err(error) => Some(Err(error)),
        }
    }
}

#[cfg(test)]
mod tests;
