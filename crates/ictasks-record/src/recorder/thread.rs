//! The recorder's thread: gathers events into batches, syncs, touches run.json, and at the end
//! makes the tables.

use std::fs;
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread::{self, park_timeout};
use std::time::{Duration, Instant};

use ictasks_core::column::{Row, Timestamp};
use ictasks_core::event::{Event, EventBody};
use ictasks_core::layout;

use super::{Finished, Message, RecorderOptions, RunEnd, Trouble};
use crate::error::{AtPath, RecordError};
use crate::event_row;
use crate::files::{RESERVE_FILE, Reserve, put_in_place, remove_if_there, sync_directory, temporary};
use crate::journal::journal_dir;
use crate::journal::live::LiveTable;
use crate::lock::RunLock;
use crate::manifest::{Host, NOT_RECORDED, RunFile, RunState, Session};
use crate::recorded::Recorded;
use crate::recovery::free_name;
use crate::schema::Table;
use crate::table_file::{FileFacts, Purpose};
use crate::tables::{self, Tables};
use crate::two_threads::{Job, in_two_threads};

/// How long events are gathered before they are written: an event is in the journal within 50 ms.
/// Senders do not wake the thread meanwhile.
const GATHER: Duration = Duration::from_millis(35);

/// When the journal is synced after a write: an event is on the disk within 1 s.
const SYNC_AFTER: Duration = Duration::from_millis(900);

/// How often run.json is written while the run is alive.
const TOUCH_EVERY: Duration = Duration::from_secs(10);

/// Owns all files of the record.
pub(super) struct RecorderThread {
    run_dir: PathBuf,
    run: RunFile,
    /// Seconds of the sessions before this one.
    earlier_wall_s: f64,
    began: Instant,
    events: LiveTable,
    samples: LiveTable,
    reserve: Reserve,
    facts: FileFacts,
    trouble: Trouble,
    /// When the first write was made that is not synced.
    unsynced_since: Option<Instant>,
    touched: Instant,
    /// The number of the first event that was taken.
    first_seq: Option<i64>,
    /// How many were taken.
    taken: usize,
    end: Option<RunEnd>,
    /// Given back, and its file removed, when this is dropped.
    _lock: RunLock,
}

impl RecorderThread {
    /// Repairs what the sessions before left, and writes run.json.
    pub(super) fn new(options: RecorderOptions, trouble: Trouble) -> Result<Self, RecordError> {
        let RecorderOptions { lock, mut run, repair } = options;
        let run_dir = lock.run_dir().to_path_buf();
        let directory = journal_dir(&run_dir);
        let reserve = Reserve::create(&directory.join(RESERVE_FILE))?;
        let facts = FileFacts {
            version: run.version.clone(),
            run_id: run.run_id.clone(),
            last_seq: None,
            last_part: None,
        };
        let live = |table| LiveTable::new(&run_dir, table, facts.clone(), &reserve);
        let (mut events, samples) = (live(Table::Events)?, live(Table::Samples)?);
        if let Some(repair) = repair {
            repair.apply(&run_dir, &mut events)?;
        }
        run.state = RunState::Running;
        run.updated_at = Timestamp::now();
        (run.list_complete, run.totals.tasks, run.totals.outcomes) = (false, None, None);
        let recorder = Self {
            events,
            samples,
            facts,
            earlier_wall_s: run.totals.wall_s,
            run_dir,
            run,
            began: Instant::now(),
            reserve,
            trouble,
            unsynced_since: None,
            touched: Instant::now(),
            first_seq: None,
            taken: 0,
            end: None,
            _lock: lock,
        };
        recorder.run.write_with(&recorder.run_dir, Some(&recorder.reserve))?;
        Ok(recorder)
    }

    /// Works until it is told to finish or nobody is left to send.
    pub(super) fn run(mut self, receiver: &Receiver<Message>) -> Result<Finished, RecordError> {
        let kept = self.keep(receiver);
        self.report_full_disk();
        let end = self.end.take();
        match (kept, end) {
            (Ok(()), Some(end)) => {
                // The libraries that encode may panic: the run has failed then, and says so.
                let finished = catch_unwind(AssertUnwindSafe(|| self.finish(end)));
                let finished = finished.unwrap_or(Err(RecordError::Stopped));
                self.report_full_disk();
                if finished.is_err() {
                    self.say_that_it_failed();
                }
                finished
            }
            (Ok(()), None) => Err(RecordError::Stopped),
            (Err(error), end) => {
                self.trouble.set(error);
                // What was written before is to stay; there is nothing to be done if it cannot.
                let _ = self.events.sync();
                let _ = self.samples.sync();
                self.say_that_it_failed();
                // Senders must neither wait nor believe that their events are kept.
                while end.is_none() && !matches!(receiver.recv(), Ok(Message::Finish(_)) | Err(_)) {}
                Err(RecordError::Stopped)
            }
        }
    }

    /// Keeps the journal until the end of the run.
    fn keep(&mut self, receiver: &Receiver<Message>) -> Result<(), RecordError> {
        let mut connected = true;
        while connected && self.end.is_none() {
            match receiver.recv_timeout(self.until_due()) {
                Ok(message) => {
                    self.take(message)?;
                    if self.end.is_none() {
                        park_timeout(GATHER);
                    }
                    while let Ok(message) = receiver.try_recv() {
                        self.take(message)?;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => connected = false,
            }
            self.flush()?;
            self.do_what_is_due()?;
        }
        if !connected {
            self.events.sync()?;
            self.samples.sync()?;
        }
        Ok(())
    }

    fn take(&mut self, message: Message) -> Result<(), RecordError> {
        match message {
            Message::Events(events, range) => events[range].iter().try_for_each(|event| {
                self.count(event);
                self.first_seq.get_or_insert(event.seq);
                self.taken += 1;
                self.events.push(|take| event_row::cells(event, take))
            }),
            Message::Samples(samples) => {
                let mut samples = samples.iter();
                samples.try_for_each(|sample| self.samples.push(|take| sample.cells(take)))
            }
            Message::Update(change) => {
                change(&mut self.run);
                Ok(())
            }
            Message::Finish(end) => {
                self.end = Some(end);
                Ok(())
            }
        }
    }

    /// Brings the parts of run.json up to date that follow from events.
    fn count(&mut self, event: &Event) {
        match &event.body {
            EventBody::TaskFinished(attempt) => {
                self.run.totals.attempts += 1;
                self.run.totals.attempt_outcomes.add(attempt.outcome);
            }
            EventBody::NodeJoined(node) => {
                if let Some(session) = self.session() {
                    session.hosts.push(Host::from(node));
                }
            }
            _ => {}
        }
    }

    fn session(&mut self) -> Option<&mut Session> {
        self.run.sessions.last_mut()
    }

    fn flush(&mut self) -> Result<(), RecordError> {
        let written = self.events.flush()? | self.samples.flush()?;
        if written {
            self.unsynced_since.get_or_insert_with(Instant::now);
        }
        self.report_full_disk();
        Ok(())
    }

    /// A write found no room, and went on with the reserve.
    fn report_full_disk(&self) {
        if let Some(error) = self.reserve.take_trouble() {
            self.trouble.set(error);
        }
    }

    fn until_due(&self) -> Duration {
        let touch = TOUCH_EVERY.saturating_sub(self.touched.elapsed());
        let sync = self.unsynced_since.map(|since| SYNC_AFTER.saturating_sub(since.elapsed()));
        sync.map_or(touch, |sync| sync.min(touch))
    }

    fn do_what_is_due(&mut self) -> Result<(), RecordError> {
        if self.unsynced_since.is_some_and(|since| since.elapsed() >= SYNC_AFTER) {
            self.events.sync()?;
            self.samples.sync()?;
            self.unsynced_since = None;
        }
        if self.touched.elapsed() >= TOUCH_EVERY {
            self.touch()?;
            self.touched = Instant::now();
        }
        Ok(())
    }

    fn touch(&mut self) -> Result<(), RecordError> {
        self.run.updated_at = Timestamp::now();
        self.run.totals.wall_s = self.earlier_wall_s + self.began.elapsed().as_secs_f64();
        self.run.write_with(&self.run_dir, Some(&self.reserve))
    }

    /// Makes the tables, then run.json, and only then removes the journal.
    fn finish(&mut self, end: RunEnd) -> Result<Finished, RecordError> {
        let events = recorded(&self.run_dir, Table::Events, &mut self.events)?;
        let samples = recorded(&self.run_dir, Table::Samples, &mut self.samples)?;
        let (facts, purpose) = (self.facts.clone(), Purpose::Record(&self.reserve));
        let first_seq = self.first_seq.unwrap_or(i64::MAX);
        let run_dir = &self.run_dir;
        // The sync that counts comes with the new names; what the tasks left for it can go to the disk while
        // the tables are made. Its error counts, too: the system may tell it only once.
        let (tables, synced) = thread::scope(|scope| {
            let sync = thread::Builder::new().spawn_scoped(scope, || sync_directory(run_dir)).ok();
            let tables = tables::write(&events, &samples, run_dir, facts, purpose, first_seq);
            (tables, sync.map_or(Ok(()), |sync| sync.join().unwrap_or(Err(RecordError::Stopped))))
        });
        let tables = tables?;
        synced?;
        // After a full disk the journal is known to end earlier.
        if self.trouble.check().is_ok() && tables.own_events < self.taken {
            return Err(RecordError::JournalLost { path: journal_dir(&self.run_dir) });
        }
        put_tables_in_place(&self.run_dir, &tables)?;
        self.report_full_disk();
        let failed = self.trouble.check().is_err();
        self.run.state = if failed { RunState::Failed } else { end.state };
        self.run.list_complete = end.list_complete;
        self.run.totals.tasks = Some(tables.outcomes.sum());
        self.run.totals.outcomes = Some(tables.outcomes);
        if let Some(session) = self.session() {
            session.ended_at = Some(Timestamp::now());
            session.how_it_ended = Some(end.how_it_ended);
            session.exit_code = Some(if failed { NOT_RECORDED.into() } else { end.exit_code });
            session.warnings.extend(tables.warnings.iter().cloned());
        }
        self.touch()?;
        // What is open when it is removed takes its room until it is closed.
        self.events.close();
        self.samples.close();
        remove_journal(&self.run_dir)?;
        Ok(Finished { totals: self.run.totals.clone(), warnings: tables.warnings })
    }

    /// After an error at the end: the journal stays, half a table does not. The error itself is
    /// on its way to the caller; nothing is gained by one about these last attempts.
    fn say_that_it_failed(&mut self) {
        for table in Table::ALL {
            let _ = remove_if_there(&temporary(&self.run_dir.join(table.file_name())));
        }
        self.run.state = RunState::Failed;
        if let Some(session) = self.session() {
            session.how_it_ended.get_or_insert_with(|| "the record could not be kept".to_owned());
        }
        let _ = self.touch();
    }
}

/// What there is of events or samples: from memory if that is all, else from the journal and the tables.
fn recorded(run_dir: &Path, table: Table, live: &mut LiveTable) -> Result<Recorded, RecordError> {
    match live.take_kept() {
        Some((rows, last_part)) => Ok(Recorded::of_rows(table, rows, last_part)),
        None => Recorded::open(run_dir, table),
    }
}

/// Gives the tables, which are on the disk, their names. That of the events comes last: as long as the
/// old one is there, the journal adds to it what it adds to the old ones of the others.
fn put_tables_in_place(run_dir: &Path, tables: &Tables) -> Result<(), RecordError> {
    for damaged in &tables.damaged {
        // Its end cannot be read today; perhaps somebody can, one day.
        let aside = free_name(damaged);
        let kept = fs::hard_link(damaged, &aside).or_else(|_| fs::copy(damaged, &aside).map(drop));
        kept.at("set aside", damaged)?;
    }
    for table in Table::ALL.into_iter().filter(|table| *table != Table::Events) {
        put_in_place(&run_dir.join(table.file_name()))?;
    }
    // A file system may bring renames to the disk in another order than that of the calls.
    sync_directory(run_dir)?;
    put_in_place(&run_dir.join(Table::Events.file_name()))?;
    sync_directory(run_dir)
}

/// Removes what the recorder and the agents wrote into the journal's directory, except the lock. Two threads do
/// it: a disk that is told of each block that becomes free takes its time.
fn remove_journal(run_dir: &Path) -> Result<(), RecordError> {
    let directory = journal_dir(run_dir);
    let entries = match fs::read_dir(&directory) {
        // A task removed it.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries.at("read", &directory)?,
    };
    let mut removals: Vec<Job<'_, ()>> = Vec::new();
    for entry in entries {
        let entry = entry.at("read", &directory)?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        // A crash may have left a part in both its forms, or half of one.
        let is_part =
            ["events-", "samples-", ".events-", ".samples-"].iter().any(|part| name.starts_with(part));
        let is_of_agent = name.starts_with("agent-");
        if is_part || is_of_agent || name == RESERVE_FILE || name == layout::STOP_FILE {
            removals.push(Box::new(move || remove_if_there(&entry.path())));
        }
    }
    in_two_threads(removals).map(|_| ())
}
