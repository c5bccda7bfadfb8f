//! Everything about one task: [`one_task`] finds it, [`text`], [`markdown`] and JSON show it.

use ictasks_core::event::EventKind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::ReportError;
use crate::findings::FINDINGS_VERSION;
use crate::rows::Rows;
use crate::run_file::RunFile;
use crate::source::{Source, Table};
use crate::task_output::{Known, Stream, no_task};

mod ends;
mod facts;
mod markdown;
mod repeat;
mod samples;
mod text;

pub use markdown::markdown;
pub use text::text;

/// What there is to say about a task. Text of the task is as it was recorded: whoever shows it makes it
/// harmless.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TaskFindings {
    /// [`FINDINGS_VERSION`].
    pub findings_version: u32,
    /// Version of the program that computed them.
    pub ictasks_version: String,
    /// The run directory as it was given.
    pub run_dir: String,
    /// The run's own id.
    pub run_id: String,
    /// The user's name for the run.
    pub job_id: String,
    /// The task.
    pub task_id: String,
    /// Its position in the task list, from 0.
    pub task_index: Option<i64>,
    /// Its command, placeholders replaced.
    pub command: String,
    /// Its outcome.
    pub outcome: String,
    /// How it ended, in words.
    pub sentence: String,
    /// Its attempts, the first one first. A task that never ran has one of number 0.
    pub attempts: Vec<AttemptFacts>,
    /// What was sampled of them; only attempts of which there are samples.
    pub samples: Vec<AttemptSamples>,
    /// The end of its standard error.
    pub stderr: OutputEnd,
    /// The end of its standard output.
    pub stdout: OutputEnd,
    /// How to repeat it by hand.
    pub repeat: Repeat,
}

/// An attempt.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AttemptFacts {
    /// Its number, from 1.
    pub attempt: i64,
    /// How it ended, in words.
    pub ending: String,
    /// Its columns that hold something.
    pub facts: Vec<Fact>,
}

/// A column of an attempt.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Fact {
    /// Its name in the record.
    pub column: String,
    /// Its name for people.
    pub label: String,
    /// Its value.
    pub value: Value,
    /// Its value for people.
    pub words: String,
}

/// What was sampled of an attempt.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AttemptSamples {
    /// Its number.
    pub attempt: i64,
    /// When, seconds since its start.
    pub at_s: Vec<f64>,
    /// Processors in use since the sample before.
    pub busy_cores: Vec<Option<f64>>,
    /// Resident memory of all its processes.
    pub rss_bytes: Vec<Option<i64>>,
}

/// The end of what a task printed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OutputEnd {
    /// Its last lines.
    pub text: String,
    /// Whether that is all.
    pub is_all: bool,
    /// The file, if it is there.
    pub file: Option<String>,
    /// In words where it comes from, or why there is none.
    pub origin: String,
}

/// How to repeat a task by hand.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Repeat {
    /// Where it ran.
    pub directory: String,
    /// What the farm set in its environment: name and value.
    pub environment: Vec<(String, String)>,
    /// The program and its arguments.
    pub words: Vec<String>,
    /// One line for a POSIX shell that does all of it. It holds no control characters.
    pub line: String,
    /// In words what may differ.
    pub lacks: Vec<String>,
}

/// Finds everything about a task.
///
/// # Errors
/// There is no such task ([`ReportError::NoTask`]), it runs for the first time ([`ReportError::NotEnded`]), or
/// the record cannot be read.
pub fn one_task(source: &Source, id: &str) -> Result<TaskFindings, ReportError> {
    let run = RunFile::read(source)?;
    let mut findings = TaskFindings {
        findings_version: FINDINGS_VERSION,
        ictasks_version: env!("CARGO_PKG_VERSION").to_owned(),
        run_dir: source.name.clone(),
        run_id: run.run_id.clone(),
        job_id: run.job_id.clone(),
        task_id: id.to_owned(),
        ..TaskFindings::default()
    };
    let mut found = false;
    let mut starts = Vec::new();
    Rows::of_task(source, Table::Attempts, id)?.each(|row| {
        starts.push((row.integer("attempt"), row.integer("session"), row.time("started_at")));
        findings.attempts.push(facts::of(row));
        Ok(())
    })?;
    Rows::of_task(source, Table::Tasks, id)?.each(|row| {
        found = true;
        findings.task_index = row.integer("task_index");
        findings.command = row.text("command").unwrap_or_default().to_owned();
        findings.outcome = row.text("outcome").unwrap_or_default().to_owned();
        let last = facts::of(row);
        findings.sentence = facts::sentence(&last, row, findings.attempts.len());
        if findings.attempts.is_empty() {
            findings.attempts.push(last);
        }
        let session = run.session(row.integer("session"));
        findings.repeat = repeat::of(source, &run, &session, row);
        for (stream, end) in [(Stream::Stdout, &mut findings.stdout), (Stream::Stderr, &mut findings.stderr)]
        {
            let known = Known::of(row, stream);
            *end = ends::of(known.locate(source, id, stream, &session.plan, None));
        }
        if session.plan.stdout_filename == session.plan.stderr_filename {
            findings.stderr = ends::same_file(&findings.stdout);
        }
        Ok(())
    })?;
    if !found {
        return Err(not_ended(source, id)?.map_or_else(|| no_task(source, id), Ok)?);
    }
    findings.attempts.sort_by_key(|attempt| attempt.attempt);
    findings.samples = samples::read(source, id, &starts)?;
    Ok(findings)
}

/// What there is of a task without an end: its last beginning.
fn not_ended(source: &Source, id: &str) -> Result<Option<ReportError>, ReportError> {
    let mut begun = None;
    if source.has(Table::Events) {
        Rows::of_task(source, Table::Events, id)?.each(|row| {
            if row.text("kind") == Some(EventKind::TaskStarted.as_str()) {
                begun = Some(ReportError::NotEnded {
                    id: id.to_owned(),
                    run_dir: source.run_dir.clone(),
                    attempt: row.integer("attempt").unwrap_or_default(),
                    began_at: row.time("at").unwrap_or_default(),
                    host: row.text("host").unwrap_or_default().to_owned(),
                    worker_id: row.integer("worker_id").unwrap_or_default(),
                    pid: row.integer("pid").unwrap_or_default(),
                });
            }
            Ok(())
        })?;
    }
    Ok(begun)
}

#[cfg(test)]
mod tests;
