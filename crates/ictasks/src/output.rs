//! `ictasks output`: what a task printed.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::path::Path;

use ictasks_report::ReportError;
use ictasks_report::task_output::{Stream, TaskOutput, task_output};

use crate::cli::export::OutputArguments;
use crate::console::Console;
use crate::exit::{ExitCode, Failure};
use crate::export::finish;
use crate::harmless_writer::HarmlessWriter;
use crate::run_dirs::RunDirs;

/// Bytes that are copied at a time.
const COPY_BYTES: usize = 64 * 1024;

/// Prints the output of a task as it is; to a terminal made harmless.
///
/// # Errors
/// There is no such task, its output is gone, or it cannot be read or written.
pub fn run(arguments: &OutputArguments, console: &mut Console) -> Result<ExitCode, Failure> {
    let runs = RunDirs::open_one(&arguments.run_dir)?;
    let Some(source) = runs.sources.first() else { return Ok(ExitCode::Success) };
    let stream = if arguments.stderr { Stream::Stderr } else { Stream::Stdout };
    let found = match task_output(source, &arguments.task, stream, arguments.attempt) {
        Ok(found) => found,
        Err(error) => return finish(Err(error)),
    };
    match found {
        TaskOutput::File(path) => finish(copy_file(&path)),
        TaskOutput::Tail { text, task_files } => {
            console.warning(&format!(
                "the file is gone{}; this is the end of it, at most 2 KiB, from the record",
                because(&task_files)
            ));
            finish(copy(&mut text.as_bytes()))
        }
        TaskOutput::Gone { file, outcome, task_files } => {
            Err(Failure::input(gone(arguments, &file, outcome.as_deref(), &task_files)))
        }
    }
}

/// Why files of tasks may be gone.
fn because(task_files: &str) -> String {
    match task_files {
        "failed" | "none" => format!(" (`task_files: {task_files}`)"),
        _ => String::new(),
    }
}

fn gone(arguments: &OutputArguments, file: &Path, outcome: Option<&str>, task_files: &str) -> String {
    let shown = file.display();
    match (outcome, arguments.attempt) {
        (Some("pending"), _) => "the task never ran, so it printed nothing".to_owned(),
        (None, Some(attempt)) => {
            format!("the record knows no attempt {attempt} of this task, and there is no file of it")
        }
        (Some("succeeded"), _) => format!(
            "`{shown}` is gone{}, and the record keeps no output of what succeeded",
            because(task_files)
        ),
        _ => format!("`{shown}` is gone{}, and the record holds nothing of it", because(task_files)),
    }
}

fn copy_file(path: &Path) -> Result<(), ReportError> {
    let unreadable = |source| ReportError::File { path: path.to_path_buf(), source };
    let mut file = File::open(path).map_err(unreadable)?;
    copy(&mut file).map_err(|error| match error {
        ReportError::File { source, .. } => unreadable(source),
        other => other,
    })
}

fn copy(from: &mut dyn Read) -> Result<(), ReportError> {
    let stdout = io::stdout();
    if stdout.is_terminal() {
        pass(from, &mut HarmlessWriter::new(stdout.lock()))
    } else {
        pass(from, &mut raw()?)
    }
}

/// Standard output without the buffer by lines that it has in Rust, which copies once more.
fn raw() -> Result<File, ReportError> {
    use std::os::fd::AsFd;
    io::stdout().as_fd().try_clone_to_owned().map(File::from).map_err(ReportError::Output)
}

fn pass(from: &mut dyn Read, to: &mut dyn Write) -> Result<(), ReportError> {
    let mut buffer = vec![0; COPY_BYTES];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return to.flush().map_err(ReportError::Output),
            Ok(count) => to.write_all(&buffer[..count]).map_err(ReportError::Output)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(source) => return Err(ReportError::File { path: std::path::PathBuf::new(), source }),
        }
    }
}
