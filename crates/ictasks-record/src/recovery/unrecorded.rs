//! Ends of attempts that no event tells, as events, for people who look on.

use std::path::Path;

use arrow::array::RecordBatch;
use ictasks_core::attempt::Outcome;
use ictasks_core::column::Timestamp;

use super::facts::{self, Facts};
use super::known::Known;
use super::missing::{Found, Sources};
use super::{Tables, slot_logs};
use crate::error::RecordError;
use crate::event_row;
use crate::recorded::Recorded;
use crate::rows::{BATCH_ROWS, RowBuilder};
use crate::schema::{Table, part_schema};

/// What the events of a run directory do not tell and other files do.
pub(crate) struct Unrecorded {
    /// Events.
    pub(crate) rows: Vec<RecordBatch>,
    /// The run, as any of the files says.
    pub(crate) run_id: Option<String>,
    /// The program that wrote the tables.
    pub(crate) version: Option<String>,
    /// For people: what of those files is damaged.
    pub(crate) losses: Vec<String>,
}

/// Whether there is a slot log with something in it.
pub(crate) fn has_slot_log(run_dir: &Path) -> Result<bool, RecordError> {
    let logs = slot_logs(run_dir)?;
    Ok(logs.iter().any(|log| log.metadata().is_ok_and(|metadata| metadata.len() > 0)))
}

impl Unrecorded {
    /// Looks into the tables of attempts and tasks, where that of the events lacks something, and
    /// into the slot logs, unless the run is at work: then the events tell the same in a moment.
    ///
    /// `run_id` is that of run.json. An attempt of which a log tells only the beginning ran when the
    /// run was killed; it has no end here.
    pub(crate) fn find(
        run_dir: &Path,
        run_id: Option<String>,
        events: &Recorded,
        is_alive: bool,
    ) -> Result<Self, RecordError> {
        // What is damaged there is told by those who read the events.
        let tables = Tables::open(run_dir, &mut Vec::new(), &mut Vec::new())?;
        let mut facts = Facts::default();
        let damages = events.read(Some(&facts::COLUMNS), &mut |batch| {
            facts.take(batch);
            Ok(())
        })?;
        let events_path = run_dir.join(Table::Events.file_name());
        let is_partial = damages.iter().any(|damage| damage.path == events_path);
        let last_seq = facts.last_seq.max(events.last_seq());
        let of_tables =
            Sources { tables: tables.beside_events(events.last_seq(), is_partial), logs: Vec::new() };
        let logs = if is_alive { Vec::new() } else { slot_logs(run_dir)? };
        let of_logs = Sources { tables: Vec::new(), logs };

        let run_id = run_id.or(tables.run_id).or(facts.run_id);
        let mut made = Events::after(last_seq);
        let known = &mut facts.known;
        let name = run_id.as_deref().unwrap_or_default();
        let mut losses = made.add(&of_tables, name, known, |_| true)?;
        losses.extend(made.add(&of_logs, name, known, |found| found.past().outcome != Outcome::NodeLost)?);
        made.end_batch()?;
        Ok(Self { rows: made.batches, run_id, version: tables.version, losses })
    }
}

/// Events that are made up of what was found.
struct Events {
    batches: Vec<RecordBatch>,
    rows: RowBuilder,
    next_seq: i64,
    now: Timestamp,
}

impl Events {
    fn after(last_seq: Option<i64>) -> Self {
        Self {
            batches: Vec::new(),
            rows: RowBuilder::new(Table::Events.columns()),
            next_seq: last_seq.map_or(0, |last| last + 1),
            now: Timestamp::now(),
        }
    }

    /// Adds what is wanted of what is not known; returns what was lost.
    fn add(
        &mut self,
        sources: &Sources,
        run_id: &str,
        known: &mut Known,
        is_wanted: impl Fn(&Found<'_>) -> bool,
    ) -> Result<Vec<String>, RecordError> {
        sources.read(run_id, known, &mut |found| {
            if is_wanted(found) {
                let (seq, at) = (self.next_seq, found.at(self.now));
                self.rows.push(|take| event_row::cells_of_attempt(seq, at, found.kind, found.cells, take));
                self.next_seq += 1;
            }
            if self.rows.len() >= BATCH_ROWS { self.end_batch() } else { Ok(()) }
        })
    }

    fn end_batch(&mut self) -> Result<(), RecordError> {
        if self.rows.len() > 0 {
            let columns = Table::Events.columns();
            // The checksums, which only the journal has, come last.
            let arrays = self.rows.take()?.columns()[..columns.len()].to_vec();
            self.batches.push(RecordBatch::try_new(part_schema(columns), arrays)?);
        }
        Ok(())
    }
}
