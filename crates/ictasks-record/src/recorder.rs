//! The recorder: takes events and samples, and keeps the record.
//!
//! One thread owns every file ([`thread`]). It sits behind a bounded channel; its error
//! surfaces in the next [`EventSink::events`] and in [`Recorder::finish`].

use std::ops::Range;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use ictasks_core::event::{Event, EventSink, SinkError};
use ictasks_core::protocol::GpuInfo;
use ictasks_core::sample::Sample;

use crate::error::{AtPath, RecordError};
use crate::lock::RunLock;
use crate::manifest::{RunFile, RunState, Totals};
use crate::recovery::Repair;

#[cfg(test)]
mod tests;
mod thread;

use thread::RecorderThread;

/// Messages that may wait for the thread. A sender waits when there are more.
const CHANNEL_MESSAGES: usize = 128;
/// Events of a message, at most: after a stop a list is read as fast as it can be, and what waits then is in memory.
const MESSAGE_EVENTS: usize = 64;

/// What a recorder needs to begin.
#[derive(Debug)]
pub struct RecorderOptions {
    /// The right to write into the run directory.
    pub lock: RunLock,
    /// run.json as it is to be at the beginning, the new session last.
    pub run: RunFile,
    /// In a run that goes on: what is to be done first ([`crate::Recovered::repair`]). Events of
    /// the new session begin at [`crate::Recovered::next_seq`].
    pub repair: Option<Repair>,
}

/// How a run ended, for run.json.
#[derive(Clone, Debug)]
pub struct RunEnd {
    /// How the run ended.
    pub state: RunState,
    /// The same for people.
    pub how_it_ended: String,
    /// The program's exit code.
    pub exit_code: i32,
    /// Whether every task of the list has a row.
    pub list_complete: bool,
}

/// What [`Recorder::finish`] leaves.
#[derive(Clone, Debug)]
pub struct Finished {
    /// Sums over the run.
    pub totals: Totals,
    /// What the user should know of the record.
    pub warnings: Vec<String>,
}

/// What is sent to the thread.
enum Message {
    /// Those of a batch that stand there.
    Events(Arc<[Event]>, Range<usize>),
    Samples(Vec<Sample>),
    Update(Box<dyn FnOnce(&mut RunFile) + Send>),
    Finish(RunEnd),
}

/// Keeps the record of a run. Dropped without [`Recorder::finish`] it leaves the journal, synced,
/// as a killed run would.
pub struct Recorder {
    sender: Option<SyncSender<Message>>,
    thread: Option<JoinHandle<Result<Finished, RecordError>>>,
    trouble: Trouble,
}

/// The first trouble of the thread, kept for everyone who asks.
#[derive(Clone, Default)]
struct Trouble(Arc<Mutex<Option<Arc<RecordError>>>>);

impl Trouble {
    fn set(&self, error: RecordError) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get_or_insert_with(|| Arc::new(error));
    }

    fn check(&self) -> Result<(), RecordError> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*kept {
            Some(error) => Err(RecordError::Earlier(Arc::clone(error))),
            None => Ok(()),
        }
    }
}

impl Recorder {
    /// Writes run.json and the reserve and starts the thread.
    ///
    /// # Errors
    /// If a file cannot be written or the thread cannot be started.
    pub fn start(options: RecorderOptions) -> Result<Self, RecordError> {
        let run_dir: PathBuf = options.lock.run_dir().to_path_buf();
        let (sender, receiver): (_, Receiver<Message>) = sync_channel(CHANNEL_MESSAGES);
        let trouble = Trouble::default();
        let recorder = RecorderThread::new(options, trouble.clone())?;
        let thread = std::thread::Builder::new()
            .name("recorder".to_owned())
            .spawn(move || recorder.run(&receiver))
            .at("start the recorder of", &run_dir)?;
        Ok(Self { sender: Some(sender), thread: Some(thread), trouble })
    }

    /// Changes run.json; the change is written with the next touch, at most 10 s later. The
    /// recorder itself adds nodes that join, totals and the end.
    ///
    /// # Errors
    /// As for [`EventSink::events`].
    pub fn update(&mut self, change: impl FnOnce(&mut RunFile) + Send + 'static) -> Result<(), RecordError> {
        self.send(Message::Update(Box::new(change)))
    }

    /// Writes the tables and the end of run.json, and removes the journal and the lock.
    ///
    /// # Errors
    /// If the record could not be kept. After a full disk ([`RecordError::Full`]) the tables have
    /// been written as far as the reserve reached; after any other error the journal stays.
    pub fn finish(mut self, end: RunEnd) -> Result<Finished, RecordError> {
        // The thread ends without this message only after an error, which `join` gives.
        if let Some(sender) = self.sender.take() {
            let _ = sender.send(Message::Finish(end));
        }
        self.join()
    }

    fn join(&mut self) -> Result<Finished, RecordError> {
        let Some(thread) = self.thread.take() else {
            return Err(RecordError::Stopped);
        };
        // It may be gathering events.
        thread.thread().unpark();
        let result = thread.join().unwrap_or(Err(RecordError::Stopped));
        self.trouble.check()?;
        result
    }

    /// Sends also after trouble: what can still be recorded is.
    fn send(&self, message: Message) -> Result<(), RecordError> {
        let sender = self.sender.as_ref().ok_or(RecordError::Stopped)?;
        let sent = match sender.try_send(message) {
            Err(TrySendError::Full(message)) => {
                // The thread gathers: it should not wait longer when there is enough.
                if let Some(thread) = &self.thread {
                    thread.thread().unpark();
                }
                sender.send(message).map_err(|_| RecordError::Stopped)
            }
            sent => sent.map_err(|_| RecordError::Stopped),
        };
        self.trouble.check()?;
        sent
    }
}

impl EventSink for Recorder {
    fn events(&mut self, events: &Arc<[Event]>) -> Result<(), SinkError> {
        for begin in (0..events.len()).step_by(MESSAGE_EVENTS) {
            let range = begin..events.len().min(begin + MESSAGE_EVENTS);
            self.send(Message::Events(Arc::clone(events), range))
                .map_err(|error| SinkError(Box::new(error)))?;
        }
        Ok(())
    }

    fn samples(&mut self, samples: Vec<Sample>) -> Result<(), SinkError> {
        self.send(Message::Samples(samples)).map_err(|error| SinkError(Box::new(error)))
    }

    fn gpus(&mut self, host: &str, gpus: Vec<GpuInfo>) -> Result<(), SinkError> {
        let host = host.to_owned();
        let change = move |run: &mut RunFile| {
            let hosts = run.sessions.last_mut().map(|session| &mut session.hosts);
            // The last of this name: an agent that had to be started again joined again.
            if let Some(joined) = hosts.and_then(|hosts| hosts.iter_mut().rfind(|joined| joined.host == host))
            {
                joined.gpus = gpus;
            }
        };
        self.update(change).map_err(|error| SinkError(Box::new(error)))
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        drop(self.sender.take());
        if self.thread.is_some() {
            // Nobody is left to be told; what is on the disk can be read.
            let _ = self.join();
        }
    }
}
