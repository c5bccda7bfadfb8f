//! The pass over a regular file before anything runs.

use std::collections::HashMap;
use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::path::Path;

use super::repeats::{Hashes, RUN_LENGTH};
use super::{TaskListFormat, TaskReader};
use crate::config::Config;
use crate::error::{Fault, InputError, InputErrors, Place};
use crate::task::{Task, fnv1a};

/// Bad lines that are reported.
const MAX_ERRORS: usize = 10;

/// Tasks that are kept for `--dry-run`.
const SHOWN_TASKS: usize = 10;

/// Repeated ids that are looked for again, at most.
const MAX_REPEATS: usize = 1000;

/// What the validating pass found out about a good list.
#[derive(Clone, Debug, PartialEq)]
pub struct ListSummary {
    /// Number of tasks.
    pub task_count: u64,
    /// The first tasks, for `--dry-run`.
    pub first: Vec<Task>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// Reads a regular file through, in bounded memory, and checks every line and that no id comes
/// twice. What the configuration says of sweeps and calls counts: under a sweep, ids may have placeholders.
///
/// # Errors
/// What is wrong with the first ten bad lines.
pub fn validate(
    path: &Path,
    format: TaskListFormat,
    submit_dir: &Path,
    config: &Config,
) -> Result<ListSummary, InputErrors> {
    let open = || {
        let reader = open(path, format, submit_dir)?;
        let reader = if config.call_server.is_some() { reader.with_calls() } else { reader };
        Ok(if config.sweep.is_some() { reader.for_sweep() } else { reader })
    };
    validate_with(path, &open, format, RUN_LENGTH)
}

fn validate_with(
    path: &Path,
    open: &dyn Fn() -> Result<TaskReader, InputError>,
    format: TaskListFormat,
    run_length: usize,
) -> Result<ListSummary, InputErrors> {
    let unreadable = |source| InputError::Unreadable { path: path.to_owned(), source };
    let mut summary = ListSummary { task_count: 0, first: Vec::new(), warnings: Vec::new() };
    let mut errors = Vec::new();
    // Lines have their positions as ids, which cannot be equal.
    let has_ids = format == TaskListFormat::JsonLines;
    let mut hashes = Hashes::new(run_length);
    let mut reader = open()?;
    while errors.len() <= MAX_ERRORS {
        match reader.next_task(true) {
            None => break,
            Some(Err(error)) => errors.push(error),
            Some(Ok((_, task))) => {
                if has_ids && !task.id.is_empty() {
                    hashes.push(fnv1a(task.id.as_bytes())).map_err(unreadable)?;
                }
                summary.task_count += 1;
                if summary.first.len() < SHOWN_TASKS {
                    summary.first.push(task);
                }
            }
        }
    }
    let repeated = hashes.repeated(MAX_REPEATS).map_err(unreadable)?;
    if !repeated.is_empty() {
        errors.extend(repeats(&mut open()?, &repeated));
    }
    if errors.is_empty() && summary.task_count == 0 {
        let place = Place { file: path.display().to_string(), line: 0, column: 0 };
        errors.push(InputError::At { place, fault: Fault::NoTasks });
    }
    if errors.is_empty() {
        return Ok(summary);
    }
    errors.sort_by_key(|error| match error {
        InputError::At { place, .. } => place.line,
        InputError::Unreadable { .. } => u64::MAX,
    });
    let more = errors.len() > MAX_ERRORS;
    errors.truncate(MAX_ERRORS);
    Err(InputErrors { errors, more })
}

/// The first lines whose ids came before, out of ids with these hashes.
fn repeats(reader: &mut TaskReader, hashes: &HashSet<u64>) -> Vec<InputError> {
    let mut first_lines: HashMap<String, u64> = HashMap::new();
    let mut errors = Vec::new();
    while let Some(read) = reader.next_task(true) {
        let Ok((line, task)) = read else { continue };
        if !hashes.contains(&fnv1a(task.id.as_bytes())) {
            continue;
        }
        if let Some(&first_line) = first_lines.get(&task.id) {
            let fault = Fault::DuplicateId { id: task.id, first_line };
            errors.push(reader.at(line, 0, fault));
            if errors.len() > MAX_ERRORS {
                break;
            }
        } else {
            first_lines.insert(task.id, line);
        }
    }
    errors
}

fn open(path: &Path, format: TaskListFormat, submit_dir: &Path) -> Result<TaskReader, InputError> {
    let file = open_file(path)?;
    let name = path.display().to_string();
    Ok(TaskReader::new(Box::new(file), &name, format, submit_dir))
}

/// Opens a file, and no directory.
pub(super) fn open_file(path: &Path) -> Result<File, InputError> {
    let opened = File::open(path).and_then(|file| {
        if file.metadata()?.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        Ok(file)
    });
    opened.map_err(|source| InputError::Unreadable { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests;
