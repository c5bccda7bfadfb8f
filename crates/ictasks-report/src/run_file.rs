//! What exports and the view of one task need of run.json. Read tolerantly: what is missing or of
//! another shape is left empty, and a record without it has what a plan has by default.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ictasks_core::command::Shell;
use ictasks_core::config::GpuBinding;
use ictasks_core::protocol::WorkingDirectory;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::ReportError;
use crate::moment::Moment;
use crate::run_document::{self, moment, text};
use crate::source::Source;

/// What the run says of itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct RunFile {
    /// Version of the program.
    pub(crate) version: String,
    pub(crate) run_id: String,
    /// The user's name for it.
    pub(crate) job_id: String,
    pub(crate) sessions: Vec<Session>,
}

/// One start.
#[derive(Clone, Debug, Default)]
pub(crate) struct Session {
    pub(crate) session: i64,
    pub(crate) began_at: Moment,
    /// When it ended, or was seen alive last.
    pub(crate) ended_at: Moment,
    pub(crate) how_it_ended: Option<String>,
    /// The directory that the command was given in.
    pub(crate) submit_dir: PathBuf,
    pub(crate) plan: Plan,
}

/// What tasks were given.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) job_id: String,
    pub(crate) shell: Shell,
    pub(crate) cwd: WorkingDirectory,
    pub(crate) stdout_filename: String,
    pub(crate) stderr_filename: String,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) cores_per_task: i64,
    pub(crate) gpu_binding: GpuBinding,
    /// Which tasks keep the files that the farm writes: `all`, `failed`, `none`.
    pub(crate) task_files: String,
    /// Whether tasks may be calls of functions.
    pub(crate) has_calls: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self::of(&Value::Null)
    }
}

impl RunFile {
    /// Reads the file of a run; one that is missing or damaged says nothing.
    ///
    /// # Errors
    /// It is there and cannot be read, or a newer program's.
    pub(crate) fn read(source: &Source) -> Result<Self, ReportError> {
        // What is wrong with it is the business of reports.
        let document = run_document::read(source, &mut Vec::new())?.unwrap_or_default();
        let updated_at = moment(&document, "updated_at");
        let sessions = document.get("sessions").and_then(Value::as_array).into_iter().flatten();
        Ok(Self {
            version: text(&document, "version"),
            run_id: text(&document, "run_id"),
            job_id: text(&document, "job_id"),
            sessions: sessions.map(|session| Session::of(session, updated_at)).collect(),
        })
    }

    /// The plan of a start, that of the last one where it is not known.
    pub(crate) fn session(&self, number: Option<i64>) -> Session {
        let named = self.sessions.iter().find(|session| Some(session.session) == number);
        named.or(self.sessions.last()).cloned().unwrap_or_default()
    }
}

impl Session {
    fn of(value: &Value, updated_at: Option<Moment>) -> Self {
        let began_at = moment(value, "began_at").unwrap_or_default();
        Self {
            session: value.get("session").and_then(Value::as_i64).unwrap_or(0),
            began_at,
            ended_at: moment(value, "ended_at").or(updated_at).unwrap_or(began_at).max(began_at),
            how_it_ended: value.get("how_it_ended").and_then(Value::as_str).map(ToOwned::to_owned),
            submit_dir: PathBuf::from(text(value, "submit_dir")),
            plan: Plan::of(value.get("plan").unwrap_or(&Value::Null)),
        }
    }
}

impl Plan {
    fn of(plan: &Value) -> Self {
        // Another than a plain name would lead out of the task's directory.
        let file_name = |key: &str, default: &str| match text(plan, key) {
            name if name.is_empty() || name.contains('/') || name.starts_with("..") => default.to_owned(),
            name => name,
        };
        let cores = plan.pointer("/task_distribution/cores_per_task").and_then(Value::as_i64);
        Self {
            job_id: text(plan, "job_id"),
            shell: read(plan, "shell"),
            cwd: read(plan, "cwd"),
            stdout_filename: file_name("stdout_filename", "task_stdout.txt"),
            stderr_filename: file_name("stderr_filename", "task_stderr.txt"),
            environment: read(plan, "environment"),
            cores_per_task: cores.unwrap_or(1).max(1),
            gpu_binding: read(plan, "gpu_binding"),
            task_files: text(plan, "task_files"),
            has_calls: plan.get("call_server").is_some_and(|server| !server.is_null()),
        }
    }
}

fn read<T: DeserializeOwned + Default>(value: &Value, key: &str) -> T {
    value.get(key).and_then(|value| T::deserialize(value).ok()).unwrap_or_default()
}
