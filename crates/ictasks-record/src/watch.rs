//! The state of a run from its files alone, for people who look on. Nothing is written and no
//! lock is taken, so that looking disturbs nobody and needs no more than the right to read.
//!
//! What was read once is not read again: of events the rows above the last one seen, of a live part
//! of the journal ([`tail`]) the bytes behind the last whole batch.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use ictasks_core::attempt::Outcome;
use ictasks_core::column::Timestamp;

use crate::error::RecordError;
use crate::journal::{journal_dir, parts, read_part};
use crate::life::Life;
use crate::manifest::{OutcomeCounts, RunFile, RunState};
use crate::parquet_file::{Opened, ParquetFile};
use crate::schema::Table;

mod rows;
mod tail;

use rows::{Row, rows_of};
use tail::Tail;

/// Failures that are kept.
const FAILURES: usize = 20;

/// The rate is that of the last so many seconds.
const RATE_SECONDS: i64 = 300;

/// A task that was started and has not ended.
#[derive(Clone, Debug, PartialEq)]
pub struct RunningTask {
    /// Its id.
    pub task_id: String,
    /// Position in the list.
    pub task_index: i64,
    /// 1 is the first.
    pub attempt: i32,
    /// Where it runs.
    pub host: String,
    /// On which worker.
    pub worker_id: i32,
    /// Its first process.
    pub pid: i64,
    /// Since when.
    pub started_at: Timestamp,
    /// Memory of its tree when it was sampled last; `None` before that.
    pub rss_bytes: Option<i64>,
}

/// An attempt that failed.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// The task.
    pub task_id: String,
    /// Its attempt.
    pub attempt: i32,
    /// How it ended.
    pub outcome: Outcome,
    /// With which code, if it exited.
    pub exit_code: Option<i32>,
    /// Of which signal it died, if it did.
    pub signal: Option<i32>,
    /// When.
    pub at: Timestamp,
    /// The last line of its standard error, or why it could not be started.
    pub last_line: Option<String>,
}

/// Looks at a run.
#[derive(Debug)]
pub struct Watch {
    run_dir: PathBuf,
    run: Option<RunFile>,
    seen: Seen,
    damages: Vec<String>,
}

/// What follows from the events and samples read so far.
#[derive(Debug, Default)]
struct Seen {
    run_id: Option<String>,
    last_seq: Option<i64>,
    session: i32,
    /// The last outcome of each task and the number of that attempt, by position in the list.
    tasks: Vec<Option<(i32, Outcome)>>,
    outcomes: OutcomeCounts,
    /// Tasks that wait for another attempt, and what came of the one before.
    waiting: BTreeMap<i64, (i32, Outcome)>,
    running: BTreeMap<i64, RunningTask>,
    failures: VecDeque<Failure>,
    /// Attempts that ended, by the second.
    ends: VecDeque<(i64, i64)>,
    events: Tail,
    samples: Tail,
}

/// Positions above this are counted as if they had this one: nobody's list is that long.
const LAST_POSITION: i64 = 1 << 28;

fn place_of(task_index: i64) -> usize {
    usize::try_from(task_index.clamp(0, LAST_POSITION)).unwrap_or(0)
}

impl Watch {
    /// Looks at the run in a directory for the first time.
    ///
    /// # Errors
    /// If there is no record, or something in it may not be read.
    pub fn open(run_dir: &Path) -> Result<Self, RecordError> {
        let mut watch =
            Self { run_dir: run_dir.to_path_buf(), run: None, seen: Seen::default(), damages: Vec::new() };
        watch.refresh()?;
        Ok(watch)
    }

    /// Looks again. The run may have ended, gone on, or vanished since.
    ///
    /// # Errors
    /// [`RecordError::NoRecord`] if there is none (any more); others if something may not be read.
    pub fn refresh(&mut self) -> Result<(), RecordError> {
        if !crate::recovery::is_record(&self.run_dir)? {
            return Err(RecordError::NoRecord { path: self.run_dir.clone() });
        }
        self.damages.clear();
        match RunFile::read(&self.run_dir) {
            Ok(run) => self.run = run,
            Err(error @ RecordError::Manifest { .. }) => {
                self.run = None;
                self.damages.push(format!("{} is damaged", self.run_dir.join("run.json").display()));
                drop(error);
            }
            Err(error) => return Err(error),
        }
        let run_id = self.run.as_ref().map(|run| run.run_id.clone());
        if run_id.is_some() && self.seen.run_id.is_some() && run_id != self.seen.run_id {
            // Another run has taken its place.
            self.seen = Seen::default();
        }
        self.seen.run_id = run_id.or_else(|| self.seen.run_id.take());
        // A part that vanishes between two steps has become another file: once more, then.
        for _ in 0..3 {
            match self.seen.read(&self.run_dir, &mut self.damages) {
                Err(RecordError::File { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {}
                read => {
                    self.tell_what_is_missing();
                    return read;
                }
            }
        }
        Ok(())
    }

    /// The events of a run that ended are in one file, and that may be gone.
    fn tell_what_is_missing(&mut self) {
        let has_ended = self.run.as_ref().is_some_and(|run| run.state == RunState::Finished);
        if has_ended && self.seen.last_seq.is_none() && self.damages.is_empty() {
            let path = self.run_dir.join(Table::Events.file_name());
            self.damages.push(format!("`{}` is missing", path.display()));
        }
    }

    /// run.json, as it was read last; `None` if it is missing or damaged.
    pub const fn run(&self) -> Option<&RunFile> {
        self.run.as_ref()
    }

    /// Whether anybody is at work.
    pub fn life(&self, now: Timestamp) -> Life {
        Life::of(self.run.as_ref(), now)
    }

    /// Tasks by the outcome of their last attempt.
    pub const fn outcomes(&self) -> &OutcomeCounts {
        &self.seen.outcomes
    }

    /// Tasks that have a last outcome other than `pending`.
    pub fn done(&self) -> i64 {
        self.seen.outcomes.sum() - self.seen.outcomes.get(Outcome::Pending)
    }

    /// How many tasks there are, if that is known: of a list that is a file, or at the end of a run.
    pub fn task_count(&self) -> Option<i64> {
        let run = self.run.as_ref()?;
        let of_list = run.sessions.last().and_then(|session| i64::try_from(session.task_count?).ok());
        run.totals.tasks.max(of_list)
    }

    /// Tasks that run, the one that was started first at the front. Of a run that is dead: those
    /// that ran when it died.
    pub fn running(&self) -> Vec<&RunningTask> {
        let mut running: Vec<_> = self.seen.running.values().collect();
        running.sort_by_key(|task| (task.started_at, task.task_index));
        running
    }

    /// The latest failures, the last one at the front; some twenty at most.
    pub fn failures(&self) -> impl Iterator<Item = &Failure> {
        self.seen.failures.iter()
    }

    /// Attempts that ended in a second, over the last five minutes of this session; `None` before
    /// there is anything to say.
    #[allow(clippy::cast_precision_loss)]
    pub fn rate(&self, now: Timestamp) -> Option<f64> {
        let now_s = now.0.div_euclid(1_000_000);
        let ends = || self.seen.ends.iter().filter(|(second, _)| *second > now_s - RATE_SECONDS);
        let count: i64 = ends().map(|(_, count)| count).sum();
        let began = self.run.as_ref().and_then(|run| run.sessions.last()).map(|session| session.began_at);
        let age = began.map_or(RATE_SECONDS as f64, |began| now.seconds_since(began));
        let over = age.clamp(1.0, RATE_SECONDS as f64);
        (count > 0).then(|| count as f64 / over)
    }

    /// For people: what could not be read.
    pub fn damages(&self) -> &[String] {
        &self.damages
    }
}

impl Seen {
    fn read(&mut self, run_dir: &Path, damages: &mut Vec<String>) -> Result<(), RecordError> {
        self.read_table(run_dir, damages)?;
        let directory = journal_dir(run_dir);
        for part in parts(&directory, Table::Events)? {
            if self.events.has_passed(&part) {
                continue;
            }
            let last_seq = self.last_seq;
            let mut rows = Vec::new();
            let mut take = |batch: &RecordBatch| {
                rows.extend(rows_of(batch, last_seq));
                Ok(())
            };
            let damage = if part.finished {
                read_part(&part, Table::Events, Some(&rows::COLUMNS), &mut take)?
            } else {
                self.events.read(&part, Table::Events, &mut take)?
            };
            self.events.passed(&part);
            damages.extend(damage.map(|damage| damage.to_string()));
            rows.into_iter().for_each(|row| self.take(row));
        }
        for part in parts(&directory, Table::Samples)? {
            // Only the last sample of a task is shown, and that is in the live part or nowhere.
            if !part.finished && !self.running.is_empty() {
                let running = &mut self.running;
                self.samples.read(&part, Table::Samples, &mut |batch| {
                    rows::take_samples(batch, running);
                    Ok(())
                })?;
            }
        }
        Ok(())
    }

    /// Reads what the table of events tells that has not been seen.
    fn read_table(&mut self, run_dir: &Path, damages: &mut Vec<String>) -> Result<(), RecordError> {
        let file = match ParquetFile::open(&run_dir.join(Table::Events.file_name()))? {
            Opened::Absent => return Ok(()),
            Opened::Damaged(damage) => {
                damages.push(damage.to_string());
                return Ok(());
            }
            Opened::Whole(file) => file,
        };
        if file.last_seq.is_some() && file.last_seq <= self.last_seq {
            return Ok(());
        }
        let damage = file.read(Table::Events.columns(), Some(&rows::COLUMNS), &mut |batch| {
            let rows: Vec<_> = rows_of(batch, self.last_seq).collect();
            rows.into_iter().for_each(|row| self.take(row));
            Ok(())
        })?;
        damages.extend(damage.map(|damage| damage.to_string()));
        Ok(())
    }

    fn take(&mut self, row: Row) {
        if self.last_seq.is_some_and(|last| row.seq <= last) {
            return;
        }
        self.last_seq = Some(row.seq);
        if row.session > self.session {
            // What ran in the session before has ended with it.
            self.session = row.session;
            self.running.clear();
            self.ends.clear();
        }
        match row.what {
            rows::What::Started(task) => {
                self.forget(task.task_index, task.attempt);
                self.waiting.remove(&task.task_index);
                self.running.insert(task.task_index, task);
            }
            rows::What::Ended { task_index, attempt, outcome, failure } => {
                if outcome != Outcome::Pending {
                    if self.running.get(&task_index).is_some_and(|task| task.attempt <= attempt) {
                        self.running.remove(&task_index);
                    }
                    self.count_end(row.at);
                }
                self.note(task_index, attempt, outcome);
                if let Some(failure) = failure {
                    self.failures.push_front(failure);
                    self.failures.truncate(FAILURES);
                }
            }
            rows::What::Retried { task_index, attempt } => {
                if let Some(before) = self.forget(task_index, attempt) {
                    self.waiting.insert(task_index, before);
                }
            }
            rows::What::RunFinished => {
                // Nobody waits any more.
                for (task_index, (attempt, outcome)) in std::mem::take(&mut self.waiting) {
                    self.note(task_index, attempt, outcome);
                }
            }
            rows::What::Other => {}
        }
    }

    fn count_end(&mut self, at: Timestamp) {
        let second = at.0.div_euclid(1_000_000);
        match self.ends.back_mut() {
            Some((last, count)) if *last >= second => *count += 1,
            _ => self.ends.push_back((second, 1)),
        }
        while self.ends.front().is_some_and(|(first, _)| *first < second - RATE_SECONDS) {
            self.ends.pop_front();
        }
    }

    /// A task that runs again has not ended. Returns its last attempt, if that was counted.
    fn forget(&mut self, task_index: i64, attempt: i32) -> Option<(i32, Outcome)> {
        let task = self.tasks.get_mut(place_of(task_index))?;
        let before = task.take_if(|(last, _)| *last < attempt)?;
        self.outcomes.remove(before.1);
        Some(before)
    }

    /// Of a task the last attempt counts.
    fn note(&mut self, task_index: i64, attempt: i32, outcome: Outcome) {
        let place = place_of(task_index);
        if place >= self.tasks.len() {
            self.tasks.resize(place + 1, None);
        }
        let task = &mut self.tasks[place];
        match task {
            Some((last, _)) if *last > attempt => return,
            Some((_, before)) => self.outcomes.remove(*before),
            None => {}
        }
        *task = Some((attempt, outcome));
        self.outcomes.add(outcome);
    }
}

#[cfg(test)]
mod tests;
