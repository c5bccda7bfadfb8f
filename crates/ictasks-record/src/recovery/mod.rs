//! What an earlier run left, in whatever state it was left, and how it goes on.
//!
//! [`Recovered::open`] only reads. It trusts, in this order, events.parquet, the journal, and the
//! slot logs of the agents ([`missing`]); where events.parquet is lost, the tables of attempts and
//! tasks stand in for it. From these it makes the history ([`facts`]). What no event tells is added
//! to the journal when the recorder starts ([`Repair`]), before anything is removed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use ictasks_core::column::Timestamp;
use ictasks_core::history::History;
use ictasks_core::layout::{self, RUN_FILE};
use serde_json::{Map, Value};

use crate::error::{AtPath, RecordError};
use crate::files::RESERVE_FILE;
use crate::journal::{journal_dir, parts};
use crate::lock::RunLock;
use crate::manifest::{OutcomeCounts, RunFile, RunState, Session, Totals};
use crate::parquet_file::{Opened, ParquetFile};
use crate::recorded::Recorded;
use crate::schema::Table;

mod facts;
mod known;
mod missing;
mod repair;
#[cfg(test)]
mod round_trip;
#[cfg(test)]
pub(crate) mod tests;
mod unrecorded;

pub use repair::Repair;
pub(crate) use repair::free_name;

pub(crate) use facts::outcome;
use facts::{Facts, Open};
pub(crate) use known::AttemptSet;
use missing::Sources;
pub(crate) use unrecorded::{Unrecorded, has_slot_log};

/// What an earlier run left.
#[derive(Debug)]
pub struct Recovered {
    /// run.json as it was left; of sessions that did not end it says that they were killed. Where
    /// it was lost it is made anew: `job_id` is empty then, and `run_id` too if no other file
    /// says it.
    pub run: RunFile,
    /// What is known of the tasks.
    pub history: History,
    /// The tasks of the record by their last outcome.
    pub outcomes: OutcomeCounts,
    /// The number of the next event.
    pub next_seq: i64,
    /// The number of the next session.
    pub next_session: i32,
    /// For people: which files are damaged, and what is lost.
    pub losses: Vec<String>,
    /// For the recorder that goes on.
    pub repair: Repair,
}

impl Recovered {
    /// Reads what an earlier run left in the run directory; `None` if there is no record. Nothing is
    /// changed, so a start that is given up after this leaves everything as it was.
    ///
    /// Agents of the earlier run must have ended: see [`crate::wait_for_agents`].
    ///
    /// # Errors
    /// If a file cannot be read at all; [`RecordError::Newer`] if a newer version wrote it. Damage is
    /// no error.
    pub fn open(lock: &RunLock) -> Result<Option<Self>, RecordError> {
        let run_dir = lock.run_dir();
        if !is_record(run_dir)? {
            return Ok(None);
        }
        let mut losses = Vec::new();
        let mut set_aside = Vec::new();
        let run = read_run_file(run_dir, &mut losses, &mut set_aside)?;
        let tables = Tables::open(run_dir, &mut losses, &mut set_aside)?;

        let mut facts = Facts::default();
        let events = Recorded::open(run_dir, Table::Events)?;
        // Every column: what is known is what the end of the run will be able to write again.
        let damages = events.read(None, &mut |batch| {
            facts.take(batch);
            Ok(())
        })?;
        let events_path = run_dir.join(Table::Events.file_name());
        let is_partial = damages.iter().any(|damage| damage.path == events_path);
        // The table that cannot be opened at all has been told of.
        let told = damages.iter().filter(|damage| !set_aside.contains(&damage.path));
        losses.extend(told.map(ToString::to_string));
        // No number is used again, also where the events that had them are lost.
        let in_tables = tables.others.iter().map(|(_, last_seq)| *last_seq).max().flatten();
        facts.last_seq = facts.last_seq.max(events.last_seq()).max(in_tables);

        let known = facts.known.clone();
        let run_id = run.as_ref().map(|run| run.run_id.clone()).or_else(|| tables.run_id.clone());
        let run_id = run_id.or_else(|| facts.run_id.clone()).unwrap_or_default();
        let logs = slot_logs(run_dir)?;
        losses.extend(empty_files(run_dir, &logs)?);
        let sources = Sources { tables: tables.beside_events(events.last_seq(), is_partial), logs };
        let first_seq = facts.last_seq.map_or(0, |last| last + 1);
        let mut count = 0;
        let mut of_sources = facts.known.clone();
        losses.extend(sources.read(&run_id, &mut of_sources, &mut |found| {
            facts.take_found(found);
            count += 1;
            Ok(())
        })?);
        losses.extend(find_open_attempts(&events, &mut facts)?);
        losses.extend(run.iter().flat_map(|run| missing_of(run_dir, run, &facts)));
        let repair = Repair { sources, known, run_id: run_id.clone(), first_seq, count, set_aside };
        Ok(Some(Self::from_facts(run, facts, &tables, losses, repair)))
    }

    fn from_facts(
        run: Option<RunFile>,
        facts: Facts,
        tables: &Tables,
        losses: Vec<String>,
        repair: Repair,
    ) -> Self {
        let mut run = run.unwrap_or_else(|| {
            let version = tables.version.as_deref().unwrap_or_default();
            let mut run = RunFile::new(version, &repair.run_id, "", Map::new());
            run.state = RunState::Interrupted;
            run
        });
        complete_sessions(&mut run, &facts.sessions);
        run.totals = Totals {
            attempts: facts.attempts,
            attempt_outcomes: facts.attempt_outcomes,
            wall_s: run.totals.wall_s,
            ..Totals::default()
        };
        let next_session = run.sessions.iter().map(|session| session.session + 1).max().unwrap_or(0);
        let history = facts.history.finish();
        let mut outcomes = OutcomeCounts::default();
        history.outcomes().for_each(|outcome| outcomes.add(outcome));
        run.totals.tasks = i64::try_from(history.len()).ok();
        run.totals.outcomes = Some(outcomes.clone());
        let next_seq = repair.first_seq + repair.count;
        Self { run, history, outcomes, next_seq, next_session, losses, repair }
    }
}

/// Whether a run directory holds anything that a run recorded.
pub(crate) fn is_record(run_dir: &Path) -> Result<bool, RecordError> {
    let tables = Table::ALL.iter().any(|table| run_dir.join(table.file_name()).exists());
    Ok(tables || run_dir.join(RUN_FILE).exists() || crate::existing::has_journal(run_dir)?)
}

fn read_run_file(
    run_dir: &Path,
    losses: &mut Vec<String>,
    set_aside: &mut Vec<PathBuf>,
) -> Result<Option<RunFile>, RecordError> {
    let path = run_dir.join(RUN_FILE);
    match RunFile::read(run_dir) {
        Err(RecordError::Manifest { source, .. }) => {
            losses.push(format!(
                "`{}` is damaged ({source}); it is made anew, and its labels, arguments and plans are lost",
                path.display()
            ));
            set_aside.push(path);
            Ok(None)
        }
        Ok(None) => {
            losses.push(format!(
                "`{}` is missing; it is made anew, and its labels, arguments and plans are lost",
                path.display()
            ));
            Ok(None)
        }
        read => read,
    }
}

/// What the tables say of themselves.
struct Tables {
    run_id: Option<String>,
    version: Option<String>,
    /// Tables of attempts and tasks that can be opened, with the last event that they cover.
    others: Vec<(PathBuf, Option<i64>)>,
    has_events: bool,
}

impl Tables {
    fn open(
        run_dir: &Path,
        losses: &mut Vec<String>,
        set_aside: &mut Vec<PathBuf>,
    ) -> Result<Self, RecordError> {
        let mut tables = Self { run_id: None, version: None, others: Vec::new(), has_events: false };
        for table in [Table::Events, Table::Attempts, Table::Tasks, Table::Samples] {
            let path = run_dir.join(table.file_name());
            let file = match ParquetFile::open(&path)? {
                Opened::Absent => continue,
                Opened::Damaged(damage) => {
                    losses.push(format!("{damage}; {}", what_stands_in(table)));
                    set_aside.push(path);
                    continue;
                }
                Opened::Whole(file) => file,
            };
            tables.run_id = tables.run_id.or_else(|| file.run_id.clone());
            tables.version = tables.version.or_else(|| file.version.clone());
            match table {
                Table::Events => {
                    tables.has_events = true;
                    let known = table.columns();
                    let is_known = |name: &str| {
                        let is_named = name.starts_with("param_") || name.starts_with("result_");
                        is_named || known.iter().any(|column| column.name == name)
                    };
                    let unknown = file.columns().filter(|name| !is_known(name));
                    losses.extend(unknown.map(|name| {
                        format!("`{}`: the column `{name}` is unknown here and left out", path.display())
                    }));
                }
                Table::Attempts | Table::Tasks => tables.others.push((path, file.last_seq)),
                Table::Samples => {}
            }
        }
        Ok(tables)
    }

    /// The tables that may tell what events.parquet does not: all if it is damaged, else those
    /// that were put in place before a crash kept it from following.
    fn beside_events(&self, last_seq: Option<i64>, is_partial: bool) -> Vec<PathBuf> {
        let is_needed = |of_table: Option<i64>| !self.has_events || is_partial || of_table > last_seq;
        let others = self.others.iter().filter(|(_, of_table)| is_needed(*of_table));
        others.map(|(path, _)| path.clone()).collect()
    }
}

const fn what_stands_in(table: Table) -> &'static str {
    match table {
        Table::Events => "attempts and tasks are taken from the other tables as far as they can be read",
        Table::Attempts | Table::Tasks => "it is written anew at the end",
        Table::Samples => "the samples of the sessions before are lost",
    }
}

fn slot_logs(run_dir: &Path) -> Result<Vec<PathBuf>, RecordError> {
    let directory = journal_dir(run_dir);
    let mut logs = Vec::new();
    let entries = match fs::read_dir(&directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(logs),
        entries => entries.at("read", &directory)?,
    };
    for entry in entries {
        let entry = entry.at("read", &directory)?;
        if layout::is_agent_log(&entry.file_name().to_string_lossy()) {
            logs.push(entry.path());
        }
    }
    logs.sort();
    Ok(logs)
}

/// Files that only ever grow and have nothing in them: a crash took it, or there was nothing yet.
fn empty_files(run_dir: &Path, logs: &[PathBuf]) -> Result<Vec<String>, RecordError> {
    let mut paths = logs.to_vec();
    for table in [Table::Events, Table::Samples] {
        let parts = parts(&journal_dir(run_dir), table)?;
        paths.extend(parts.into_iter().filter(|part| !part.finished).map(|part| part.path));
    }
    let is_empty = |path: &PathBuf| fs::metadata(path).is_ok_and(|metadata| metadata.len() == 0);
    let empty = paths.into_iter().filter(is_empty);
    Ok(empty
        .map(|path| format!("`{}` is empty: what it held, if anything, is lost", path.display()))
        .collect())
}

/// What run.json knows of and nothing else does: the files that told it are gone.
fn missing_of(run_dir: &Path, run: &RunFile, facts: &Facts) -> Vec<String> {
    let mut losses = Vec::new();
    if facts.attempts < run.totals.attempts {
        losses.push(format!(
            "run.json counts {} attempts, of which {} are found: what is known of the others is lost, and \
             such tasks run again",
            run.totals.attempts, facts.attempts
        ));
    }
    // The reserve was there before run.json named the session, and goes only with the journal or
    // when the disk is full.
    let has_journal = journal_dir(run_dir).join(RESERVE_FILE).exists();
    let last = run.sessions.last().filter(|_| run.state == RunState::Running && !has_journal);
    if let Some(last) = last.filter(|last| !facts.sessions.contains_key(&last.session)) {
        losses.push(format!(
            "the journal of start {} is missing: what it ran, if anything, is lost",
            last.session + 1
        ));
    }
    losses
}

/// Attempts of which only the start is known count on, and are told of.
fn find_open_attempts(events: &Recorded, facts: &mut Facts) -> Result<Option<String>, RecordError> {
    let mut open = Open::of(&facts.known);
    if open.len() == 0 {
        return Ok(None);
    }
    events.read(Some(&facts::COLUMNS), &mut |batch| {
        open.take(batch);
        Ok(())
    })?;
    open.add_to(&mut facts.history);
    Ok(Some(format!(
        "of {} tasks only the start is recorded: how that attempt ended is lost, and they run again",
        open.len()
    )))
}

/// Adds sessions that only events tell of, and says of those without an end that they were killed.
fn complete_sessions(run: &mut RunFile, found: &BTreeMap<i32, Option<Timestamp>>) {
    for (&number, &began_at) in found {
        if run.sessions.iter().any(|session| session.session == number) {
            continue;
        }
        let mut session = Session::begin(number, Vec::new(), Value::Null, "");
        (session.host, session.pid) = (None, None);
        session.began_at = began_at.unwrap_or(run.updated_at);
        session.how_it_ended = Some("not known: run.json was lost".to_owned());
        run.sessions.push(session);
    }
    run.sessions.sort_by_key(|session| session.session);
    for session in &mut run.sessions {
        if session.ended_at.is_none() && session.how_it_ended.is_none() {
            session.how_it_ended = Some("killed".to_owned());
        }
    }
}
