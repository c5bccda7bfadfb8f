//! What the events of a record say: of each task for the history, of the run for run.json.

use std::collections::BTreeMap;

use arrow::array::{
    Array, AsArray, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use ictasks_core::attempt::Outcome;
use ictasks_core::column::Timestamp;
use ictasks_core::event::EventKind;
use ictasks_core::history::{History, Past};

use super::known::Known;
use super::missing::Found;
use crate::manifest::OutcomeCounts;

/// Columns that are read.
pub(crate) const COLUMNS: [&str; 10] =
    ["seq", "at", "kind", "session", "task_id", "task_index", "attempt", "run_id", "command_hash", "outcome"];

/// What was gathered so far.
#[derive(Default)]
pub(crate) struct Facts {
    pub(crate) known: Known,
    pub(crate) history: History,
    pub(crate) attempts: i64,
    pub(crate) attempt_outcomes: OutcomeCounts,
    pub(crate) last_seq: Option<i64>,
    /// When each session's first event happened, where that is known.
    pub(crate) sessions: BTreeMap<i32, Option<Timestamp>>,
    pub(crate) run_id: Option<String>,
}

/// The columns of a batch of events.
struct Events<'a> {
    seq: &'a Int64Array,
    at: &'a TimestampMicrosecondArray,
    kind: &'a StringArray,
    session: &'a Int32Array,
    task_id: &'a StringArray,
    task_index: &'a Int64Array,
    attempt: &'a Int32Array,
    run_id: &'a StringArray,
    command_hash: &'a Int64Array,
    outcome: &'a StringArray,
}

impl<'a> Events<'a> {
    fn of(batch: &'a RecordBatch) -> Option<Self> {
        let column = |name| batch.column_by_name(name);
        Some(Self {
            seq: column("seq")?.as_primitive_opt::<Int64Type>()?,
            at: column("at")?.as_primitive_opt::<TimestampMicrosecondType>()?,
            kind: column("kind")?.as_string_opt()?,
            session: column("session")?.as_primitive_opt::<Int32Type>()?,
            task_id: column("task_id")?.as_string_opt()?,
            task_index: column("task_index")?.as_primitive_opt::<Int64Type>()?,
            attempt: column("attempt")?.as_primitive_opt::<Int32Type>()?,
            run_id: column("run_id")?.as_string_opt()?,
            command_hash: column("command_hash")?.as_primitive_opt::<Int64Type>()?,
            outcome: column("outcome")?.as_string_opt()?,
        })
    }

    /// The row of a task's end.
    fn past(&self, row: usize) -> Option<Past<'a>> {
        let is_there = self.task_index.is_valid(row)
            && self.task_id.is_valid(row)
            && self.attempt.is_valid(row)
            && self.command_hash.is_valid(row)
            && self.outcome.is_valid(row);
        is_there.then_some(())?;
        Some(Past {
            task_index: self.task_index.value(row),
            task_id: self.task_id.value(row),
            command_hash: self.command_hash.value(row),
            attempt: self.attempt.value(row),
            outcome: outcome(self.outcome.value(row))?,
        })
    }
}

/// An outcome by its name.
pub(crate) fn outcome(name: &str) -> Option<Outcome> {
    Outcome::ALL.iter().copied().find(|outcome| outcome.as_str() == name)
}

impl Facts {
    /// Takes a batch of events.
    pub(crate) fn take(&mut self, batch: &RecordBatch) {
        let Some(events) = Events::of(batch) else { return };
        for row in 0..batch.num_rows() {
            self.last_seq = self.last_seq.max(Some(events.seq.value(row)));
            let first = self.sessions.entry(events.session.value(row)).or_default();
            first.get_or_insert(Timestamp(events.at.value(row)));
            let kind = events.kind.value(row);
            if kind == EventKind::TaskStarted.as_str() {
                if events.task_index.is_valid(row) && events.attempt.is_valid(row) {
                    self.known.started.insert(events.task_index.value(row), events.attempt.value(row));
                }
            } else if kind == EventKind::TaskRetried.as_str() {
                if events.task_index.is_valid(row) && events.attempt.is_valid(row) {
                    self.history.announce(events.task_index.value(row), events.attempt.value(row));
                }
            } else if kind == EventKind::TaskFinished.as_str() || kind == EventKind::TaskPending.as_str() {
                if self.run_id.is_none() && events.run_id.is_valid(row) {
                    self.run_id = Some(events.run_id.value(row).to_owned());
                }
                if let Some(past) = events.past(row) {
                    self.take_end(&past, kind == EventKind::TaskFinished.as_str());
                }
            }
        }
    }

    /// Takes what another source knows.
    pub(crate) fn take_found(&mut self, found: &Found<'_>) {
        self.sessions.entry(found.session()).or_default();
        self.take_end(&found.past(), found.kind == EventKind::TaskFinished);
    }

    fn take_end(&mut self, past: &Past<'_>, is_attempt: bool) {
        let (task, attempt) = (past.task_index, past.attempt);
        if is_attempt && !self.known.ended.contains(task, attempt) {
            self.attempts += 1;
            self.attempt_outcomes.add(past.outcome);
        } else if is_attempt && self.known.is_news(task, attempt, past.outcome) {
            // It was given up with its node, and counted so.
            self.attempt_outcomes.remove(Outcome::NodeLost);
            self.attempt_outcomes.add(past.outcome);
        }
        self.known.ended(task, attempt, past.outcome);
        self.history.add(past);
    }
}

/// Tasks of which an attempt was started whose end nobody tells.
#[derive(Default)]
pub(crate) struct Open {
    /// The last such attempt of each, and what else is known.
    tasks: BTreeMap<i64, OpenTask>,
}

#[derive(Default)]
struct OpenTask {
    attempt: i32,
    task_id: String,
    command_hash: Option<i64>,
}

impl Open {
    pub(crate) fn of(known: &Known) -> Self {
        let mut tasks: BTreeMap<i64, OpenTask> = BTreeMap::new();
        for (task, attempt) in known.started.without(&known.ended) {
            let open = tasks.entry(task).or_default();
            open.attempt = open.attempt.max(attempt);
        }
        Self { tasks }
    }

    pub(crate) fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Learns ids and commands from a batch of events.
    pub(crate) fn take(&mut self, batch: &RecordBatch) {
        let Some(events) = Events::of(batch) else { return };
        for row in 0..batch.num_rows() {
            let Some(task) = self.tasks.get_mut(&events.task_index.value(row)) else { continue };
            if events.task_index.is_valid(row) && events.task_id.is_valid(row) {
                events.task_id.value(row).clone_into(&mut task.task_id);
                if events.command_hash.is_valid(row) {
                    task.command_hash = Some(events.command_hash.value(row));
                }
            }
        }
    }

    /// So that their attempts are counted on. A task that has its id from its position, and
    /// whose command is not known, cannot be found again, and is left out.
    pub(crate) fn add_to(&self, history: &mut History) {
        for (&task_index, task) in &self.tasks {
            let id_is_given = !task.task_id.is_empty() && task.task_id != task_index.to_string();
            if let Some(command_hash) = task.command_hash.or(id_is_given.then_some(0)) {
                history.add(&Past {
                    task_index,
                    task_id: &task.task_id,
                    command_hash,
                    attempt: task.attempt,
                    outcome: Outcome::NodeLost,
                });
            }
        }
    }
}
