//! `--events-fd`: what happens in a run, as JSON lines to a descriptor that the caller opened.
//!
//! The lines are those of [`ictasks_core::event::json`]. A thread writes them, so that a slow reader holds up
//! nothing for as long as [`WAITING`] batches; then it holds up the farm, whose memory does not grow for it. A
//! caller that writes tasks and reads events in one thread has to mind that. A reader that goes away ends
//! the stream and nothing else. After a pause an event is written at once; of many, those of [`TOGETHER`] are written
//! together, since every wake-up of the reader costs the tasks their processors.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ictasks_core::event::json::{Detail, STREAM_VERSION};
use ictasks_core::event::{Event, EventSink, SinkError};
use ictasks_core::plan::Plan;
use ictasks_core::sample::Sample;
use serde_json::{Value, json};

use crate::exit::Failure;

/// Batches that may wait for the reader.
const WAITING: usize = 4096;

/// Time between two writes, at least.
const TOGETHER: Duration = Duration::from_millis(10);

/// Writes events.
pub struct EventStream {
    batches: SyncSender<Batch>,
    thread: JoinHandle<()>,
}

enum Batch {
    Line(Value),
    Events(Arc<[Event]>),
}

/// Takes the descriptor that the caller opened for us. To be called before anything else is opened.
///
/// # Errors
/// It is a standard stream, or not open.
pub fn take(number: i32) -> Result<OwnedFd, Failure> {
    if number < 3 {
        return Err(Failure::input(format!(
            "--events-fd {number} is a standard stream; give a descriptor from 3 on, for instance \
             `--events-fd 3 3>events.jsonl`"
        )));
    }
    ictasks_agent::take_descriptor(number).map_err(|error| {
        Failure::input(format!(
            "--events-fd {number}: {error}; open it for the program, for instance \
             `--events-fd {number} {number}>events.jsonl`"
        ))
    })
}

/// What the first line says.
pub struct Hello<'a> {
    /// Our id of the run.
    pub run_id: &'a str,
    /// Tasks of this start, where the number is known.
    pub task_count: Option<u64>,
    /// Where an earlier record was moved.
    pub set_aside: Option<&'a Path>,
    /// How the run is done.
    pub plan: &'a Plan,
}

impl EventStream {
    /// Begins the stream with its first line.
    pub fn start(descriptor: OwnedFd, detail: Detail, hello: &Hello<'_>) -> io::Result<Self> {
        let (batches, waiting) = sync_channel(WAITING);
        let thread = std::thread::Builder::new()
            .name("event-stream".to_owned())
            .spawn(move || write(&waiting, detail, File::from(descriptor)))?;
        let hello = json!({
            "event": "hello",
            "stream_version": STREAM_VERSION,
            "ictasks_version": env!("CARGO_PKG_VERSION"),
            "run_id": hello.run_id,
            "job_id": hello.plan.job_id,
            "run_dir": hello.plan.run_dir,
            "set_aside": hello.set_aside,
            "worker_count": hello.plan.workers.len(),
            "task_count": hello.task_count,
        });
        let stream = Self { batches, thread };
        stream.send(Batch::Line(hello));
        Ok(stream)
    }

    /// Waits until all is written.
    pub fn finish(self) {
        drop(self.batches);
        self.thread.thread().unpark();
        // A thread that has died has nothing more to write.
        let _ = self.thread.join();
    }

    fn send(&self, batch: Batch) {
        // The thread ends early when nobody reads.
        let _ = self.batches.send(batch);
    }
}

impl EventSink for EventStream {
    fn events(&mut self, events: &Arc<[Event]>) -> Result<(), SinkError> {
        self.send(Batch::Events(Arc::clone(events)));
        Ok(())
    }

    fn samples(&mut self, _samples: Vec<Sample>) -> Result<(), SinkError> {
        Ok(())
    }

    fn warning(&mut self, message: &str) {
        self.send(Batch::Line(json!({ "event": "warning", "message": message })));
    }
}

/// Writes what comes, until it ends or nobody reads.
fn write(batches: &Receiver<Batch>, detail: Detail, file: File) {
    let mut out = BufWriter::with_capacity(64 * 1024, file);
    let mut put = || -> io::Result<()> {
        let mut written_at: Option<Instant> = None;
        while let Ok(first) = batches.recv() {
            let pause = written_at.map_or(Duration::ZERO, |at| TOGETHER.saturating_sub(at.elapsed()));
            // The end of the run unparks it.
            std::thread::park_timeout(pause);
            for batch in std::iter::once(first).chain(batches.try_iter()) {
                match batch {
                    Batch::Line(line) => writeln!(out, "{line}")?,
                    Batch::Events(events) => {
                        for event in &*events {
                            writeln!(out, "{}", event.to_json(detail))?;
                        }
                    }
                }
            }
            out.flush()?;
            written_at = Some(Instant::now());
        }
        Ok(())
    };
    // Whoever reads knows by the missing `run_finished` that the stream ended early; the record is whole.
    let _ = put();
}
