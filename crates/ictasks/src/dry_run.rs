//! `--dry-run`: what would happen.

use std::fmt::Write;
use std::path::Path;

use ictasks_core::attempt::Reason;
use ictasks_core::command::{Launch, from_submit_dir};
use ictasks_core::config::{TaskFiles, notes_for_old_files};
use ictasks_core::plan::Plan;
use ictasks_core::protocol::Worker;
use ictasks_core::task::Task;

use crate::input::Input;
use crate::resume::{Outlook, words};

/// Commands that are shown.
pub const SHOWN_TASKS: usize = 5;
/// Workers that are shown one by one.
const SHOWN_WORKERS: usize = 16;
/// Above this many files the user should know.
const MANY_FILES: u64 = 100_000;

/// The text.
pub fn describe(input: &Input, plan: &Plan, outlook: Option<&Outlook>) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut text, input, plan, outlook);
    text
}

fn write(text: &mut String, input: &Input, plan: &Plan, outlook: Option<&Outlook>) -> std::fmt::Result {
    match input.source.task_count() {
        Some(1) => writeln!(text, "1 task")?,
        Some(count) => writeln!(text, "{count} tasks")?,
        None => writeln!(text, "tasks are read from a stream: their number is not known")?,
    }
    if let Some(sweep) = &input.sweep {
        writeln!(text, "sweep: {}", sweep.describe())?;
    }
    if let Some(outlook) = outlook {
        writeln!(text, "{}", outlook.message)?;
    }
    let count = outlook.map_or(input.source.task_count(), |outlook| outlook.run_count);
    writeln!(text, "run directory: {}", plan.run_dir.display())?;
    for line in &plan.arithmetic {
        writeln!(text, "{line}")?;
    }
    for worker in plan.workers.iter().take(SHOWN_WORKERS) {
        writeln!(text, "  {}", describe_worker(worker))?;
    }
    if plan.workers.len() > SHOWN_WORKERS {
        writeln!(text, "  and {} more", plan.workers.len() - SHOWN_WORKERS)?;
    }
    let first: Vec<(&Task, Option<Reason>)> = match outlook {
        Some(outlook) => outlook.first.iter().map(|(task, reason)| (task, *reason)).collect(),
        None => input.first.iter().map(|task| (task, None)).collect(),
    };
    for (task, reason) in first.iter().take(SHOWN_TASKS) {
        let why = reason.map_or_else(String::new, |reason| format!(" ({})", words(reason)));
        writeln!(text, "task {}{why}: {}", task.id, describe_launch(task, plan))?;
    }
    if let Some(missing) = first.first().and_then(|(task, _)| missing_program(task, plan)) {
        writeln!(text, "warning: {missing}")?;
    }
    if let Some(count) = count {
        write_files(text, count, plan)?;
    }
    for warning in &plan.warnings {
        writeln!(text, "warning: {warning}")?;
    }
    for note in notes_for_old_files(&input.config) {
        writeln!(text, "note: {note}")?;
    }
    Ok(())
}

fn write_files(text: &mut String, task_count: u64, plan: &Plan) -> std::fmt::Result {
    let per_task = files_per_task(plan);
    let files = task_count.saturating_mul(per_task);
    match plan.task_files {
        TaskFiles::All => {
            writeln!(
                text,
                "the run makes {files} files and directories, {per_task} a task, and 5 of the record"
            )?;
        }
        TaskFiles::Failed => writeln!(
            text,
            "the run leaves {per_task} files and directories of each task that fails, and 5 of the record"
        )?,
        TaskFiles::None => writeln!(text, "the run leaves no files of tasks, and 5 of the record")?,
    }
    if plan.task_files == TaskFiles::All && files > MANY_FILES {
        writeln!(
            text,
            "warning: more than {MANY_FILES} files; shared file systems often limit their number"
        )?;
    }
    Ok(())
}

/// Its directory, task.json, one or two output files, and gpu_ids.txt.
fn files_per_task(plan: &Plan) -> u64 {
    let has_two_outputs = plan.stdout_filename != plan.stderr_filename;
    let has_gpus = plan.workers.iter().any(|worker| !worker.gpus.is_empty());
    3 + u64::from(has_two_outputs) + u64::from(has_gpus)
}

fn describe_worker(worker: &Worker) -> String {
    let list = |ids: &[i32]| ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let cpus = match &worker.cores {
        Some(cores) => format!("CPUs {}", list(cores)),
        None => "no CPUs of its own".to_owned(),
    };
    let gpus = if worker.gpus.is_empty() { String::new() } else { format!(", GPUs {}", list(&worker.gpus)) };
    format!("worker {}: {cpus}{gpus}", worker.id)
}

fn describe_launch(task: &Task, plan: &Plan) -> String {
    if let (Some(payload), Some(server)) = (&task.call, &plan.call_server) {
        return format!("the call {} in {}, by {server:?}", task.command, payload.display());
    }
    match Launch::of(&task.command, &plan.shell) {
        Ok(Launch::Direct(words)) => format!("{words:?}, without a shell"),
        Ok(Launch::Shell(words)) => format!("{words:?}"),
        Err(error) => format!("cannot be started: {error}"),
    }
}

/// What is missing if the first task's program does not exist.
fn missing_program(task: &Task, plan: &Plan) -> Option<String> {
    let words = match &plan.call_server {
        Some(server) if task.call.is_some() => server.clone(),
        _ => match Launch::of(&task.command, &plan.shell).ok()? {
            Launch::Direct(words) | Launch::Shell(words) => words,
        },
    };
    let program = words.first()?;
    let path = task.environment.get("PATH").or_else(|| plan.environment.get("PATH"));
    let path = path.map(std::ffi::OsString::from).or_else(|| std::env::var_os("PATH")).unwrap_or_default();
    let task_dir = plan.run_dir.join(ictasks_core::layout::task_directory(&task.id));
    let exists = if program.contains('/') {
        let base: &Path = match plan.cwd {
            ictasks_core::protocol::WorkingDirectory::Task if task.call.is_none() => &task_dir,
            _ => &plan.submit_dir,
        };
        base.join(program).is_file()
    } else {
        std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
    };
    if exists {
        return None;
    }
    let hint = if plan.submit_dir.join(program).is_file() {
        let corrected = from_submit_dir(&task.command, program, &plan.submit_dir.to_string_lossy());
        format!("; write `{corrected}`: a task runs in its own directory")
    } else {
        String::new()
    };
    Some(format!("the program `{program}` of task {} was not found{hint}", task.id))
}
