//! `run.json`: who, where, when and how. One document, replaced as a whole.

use std::fmt;
use std::path::{Path, PathBuf};

use ictasks_core::attempt::Outcome;
use ictasks_core::column::Timestamp;
use ictasks_core::layout::RUN_FILE;
use ictasks_core::protocol::{GpuInfo, NodeInfo};
use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::SerializeMap};
use serde_json::{Map, Value};

use crate::error::{AtPath, RecordError};
use crate::files::{Reserve, replace};
use crate::{FORMAT_VERSION, time};

/// What run.json holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunFile {
    /// Version of the record's format.
    pub format_version: u32,
    /// Version of the program that wrote it last.
    pub version: String,
    /// Our id of the run.
    pub run_id: String,
    /// The user's name for it.
    pub job_id: String,
    /// The user's labels.
    pub labels: Map<String, Value>,
    /// What the run is doing.
    pub state: RunState,
    /// Whether the record has a row for every task of the list.
    pub list_complete: bool,
    /// When this file was written last: every 10 s while the run is alive.
    #[serde(with = "time::required")]
    pub updated_at: Timestamp,
    /// Sums over the run.
    pub totals: Totals,
    /// Its starts.
    pub sessions: Vec<Session>,
}

/// What a run is doing, or how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// At work; dead if run.json was not written for a minute.
    Running,
    /// Every task had its turn.
    Finished,
    /// Ended by the user or the scheduler before every task had its turn.
    Interrupted,
    /// Ended by trouble of its own.
    Failed,
}

impl fmt::Display for RunState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Interrupted => "interrupted",
            Self::Failed => "failed",
        })
    }
}

/// Sums over a run. What only the end can tell is null before it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Totals {
    /// Tasks that have a row; known at the end.
    pub tasks: Option<i64>,
    /// Tasks by their last outcome; known at the end.
    pub outcomes: Option<OutcomeCounts>,
    /// Attempts that have ended.
    pub attempts: i64,
    /// Attempts that have ended, by outcome.
    pub attempt_outcomes: OutcomeCounts,
    /// Seconds that the sessions took, together.
    pub wall_s: f64,
}

/// How many there are of each outcome. In JSON only those that occur.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutcomeCounts([i64; Outcome::ALL.len()]);

impl OutcomeCounts {
    /// How many there are.
    pub const fn get(&self, outcome: Outcome) -> i64 {
        self.0[outcome as usize]
    }

    /// One more.
    pub const fn add(&mut self, outcome: Outcome) {
        self.0[outcome as usize] += 1;
    }

    /// Counts one less.
    pub(crate) const fn remove(&mut self, outcome: Outcome) {
        self.0[outcome as usize] -= 1;
    }

    /// All outcomes together.
    pub fn sum(&self) -> i64 {
        self.0.iter().sum()
    }
}

impl Serialize for OutcomeCounts {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        for outcome in Outcome::ALL {
            if self.get(*outcome) > 0 {
                map.serialize_entry(outcome.as_str(), &self.get(*outcome))?;
            }
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for OutcomeCounts {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let by_name = std::collections::HashMap::<Outcome, i64>::deserialize(from)?;
        let mut counts = Self::default();
        for (outcome, count) in by_name {
            counts.0[outcome as usize] = count;
        }
        Ok(counts)
    }
}

/// One start of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// Its number: 0, then +1 for each resume.
    pub session: i32,
    /// The command line.
    pub arguments: Vec<String>,
    /// The resolved plan (`ictasks_core::plan::Plan`).
    pub plan: Value,
    /// The directory that the command was given in.
    pub submit_dir: PathBuf,
    /// Host of the coordinator; null if run.json was lost and made anew.
    pub host: Option<String>,
    /// Process id of the coordinator; null as before.
    pub pid: Option<u32>,
    /// Number of tasks of its list, where that was known at its beginning.
    #[serde(default)]
    pub task_count: Option<u64>,
    /// The nodes that joined.
    pub hosts: Vec<Host>,
    /// When it began.
    #[serde(with = "time::required")]
    pub began_at: Timestamp,
    /// When it ended; null while it is alive or if it was killed.
    #[serde(with = "time::optional", default)]
    pub ended_at: Option<Timestamp>,
    /// How it ended, for people.
    pub how_it_ended: Option<String>,
    /// The program's exit code.
    pub exit_code: Option<i32>,
    /// What the user was warned of.
    pub warnings: Vec<String>,
    /// Where the software and the job come from: git commit, modules, conda or venv, Slurm ids.
    #[serde(flatten)]
    pub provenance: Map<String, Value>,
}

/// The exit code of a start whose record could not be kept.
pub const NOT_RECORDED: u8 = 3;

/// A node that joined.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Host {
    /// Its name.
    pub host: String,
    /// Its number within the run.
    pub host_id: i32,
    /// Process id of its agent.
    pub pid: i64,
    /// Logical CPUs that its workers hold together.
    pub core_count: i32,
    /// GPUs that its workers hold together.
    pub gpu_count: i32,
    /// Its memory.
    pub memory_total_bytes: Option<i64>,
    /// Model of its processors.
    pub cpu_model: Option<String>,
    /// Its GPUs: ids, models, UUIDs.
    #[serde(default)]
    pub gpus: Vec<GpuInfo>,
    /// How the memory limit is enforced there, where it is: `cgroup` or `sampled`.
    #[serde(default)]
    pub memory_enforcement: Option<String>,
    /// When it joined, by its own clock.
    #[serde(with = "time::required")]
    pub joined_at: Timestamp,
}

impl From<&NodeInfo> for Host {
    fn from(node: &NodeInfo) -> Self {
        Self {
            host: node.host.clone(),
            host_id: node.host_id,
            pid: node.pid,
            core_count: node.core_count,
            gpu_count: node.gpu_count,
            memory_total_bytes: node.memory_total_bytes,
            cpu_model: node.cpu_model.clone(),
            gpus: node.gpus.clone(),
            memory_enforcement: node.memory_enforcement.clone(),
            joined_at: node.at,
        }
    }
}

impl RunFile {
    /// A fresh run by this `version` of the program, without a session yet.
    pub fn new(version: &str, run_id: &str, job_id: &str, labels: Map<String, Value>) -> Self {
        Self {
            format_version: FORMAT_VERSION,
            version: version.to_owned(),
            run_id: run_id.to_owned(),
            job_id: job_id.to_owned(),
            labels,
            state: RunState::Running,
            list_complete: false,
            updated_at: Timestamp::now(),
            totals: Totals::default(),
            sessions: Vec::new(),
        }
    }

    /// Reads the file of a run directory; `None` if there is none.
    ///
    /// # Errors
    /// If it cannot be read or understood; [`RecordError::Newer`] if a newer version wrote it.
    pub fn read(run_dir: &Path) -> Result<Option<Self>, RecordError> {
        let path = run_dir.join(RUN_FILE);
        let bytes = match std::fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            bytes => bytes.at("read", &path)?,
        };
        // A crash may leave zeros behind the true end.
        let length = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let document: Value = match serde_json::from_slice(&bytes[..length]) {
            Ok(document) => document,
            Err(source) => return Err(RecordError::Manifest { path, source }),
        };
        let found = document.get("format_version").and_then(Value::as_u64);
        if let Some(found) = found.filter(|found| *found > FORMAT_VERSION.into()) {
            return Err(RecordError::Newer { path, found: u32::try_from(found).unwrap_or(u32::MAX) });
        }
        match serde_json::from_value(document) {
            Ok(run) => Ok(Some(run)),
            Err(source) => Err(RecordError::Manifest { path, source }),
        }
    }

    /// Replaces the file of a run directory as a whole; it is on the disk afterwards.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, run_dir: &Path) -> Result<(), RecordError> {
        self.write_with(run_dir, None)
    }

    pub(crate) fn write_with(&self, run_dir: &Path, reserve: Option<&Reserve>) -> Result<(), RecordError> {
        let path = run_dir.join(RUN_FILE);
        let mut text = match serde_json::to_vec_pretty(self) {
            Ok(text) => text,
            Err(source) => return Err(RecordError::Manifest { path, source }),
        };
        text.push(b'\n');
        replace(&path, &text, reserve)
    }
}

impl Session {
    /// A session of this process that begins now.
    pub fn begin(session: i32, arguments: Vec<String>, plan: Value, host: &str) -> Self {
        Self {
            session,
            arguments,
            plan,
            submit_dir: PathBuf::new(),
            host: Some(host.to_owned()),
            pid: Some(std::process::id()),
            task_count: None,
            hosts: Vec::new(),
            began_at: Timestamp::now(),
            ended_at: None,
            how_it_ended: None,
            exit_code: None,
            warnings: Vec::new(),
            provenance: Map::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let directory = tempfile::tempdir().unwrap();
        let mut run = RunFile::new("0.3.0", "0198", "my_job", Map::new());
        let mut session = Session::begin(0, vec!["taskfarm".into()], Value::Null, "c17");
        session.provenance.insert("git_commit".into(), "abc".into());
        session.ended_at = Some(Timestamp(1));
        run.sessions.push(session);
        run.totals.attempt_outcomes.add(Outcome::TimedOut);
        run.write(directory.path()).unwrap();
        assert_eq!(RunFile::read(directory.path()).unwrap(), Some(run));
    }

    #[test]
    fn times_are_text_and_provenance_stands_beside_the_rest() {
        let mut session = Session::begin(0, Vec::new(), Value::Null, "c17");
        session.began_at = Timestamp(0);
        session.provenance.insert("git_commit".into(), "abc".into());
        let json = serde_json::to_value(&session).unwrap();
        assert_eq!(json["began_at"], "1970-01-01T00:00:00.000000Z");
        assert_eq!(json["ended_at"], Value::Null);
        assert_eq!(json["git_commit"], "abc");
    }

    #[test]
    fn only_outcomes_that_occur_are_counted_in_the_file() {
        let mut counts = OutcomeCounts::default();
        counts.add(Outcome::Failed);
        counts.add(Outcome::Failed);
        assert_eq!(serde_json::to_string(&counts).unwrap(), r#"{"failed":2}"#);
        assert_eq!(counts.sum(), 2);
    }
}
