//! Writing the slot log, whose lines `ictasks_core::slot_log` describes.
//!
//! The agent locks the file when it opens it. Its slots share the open file, and with it the lock,
//! which is therefore held until the agent and all of its slots are gone; tasks get neither.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use ictasks_core::column::Timestamp;
use ictasks_core::layout;
use ictasks_core::slot_log::{Line, LineText};
use rustix::fs::{FallocateFlags, FlockOperation, fallocate, flock};
use rustix::io::Errno;

use crate::error::AgentError;
use crate::sys;

/// What one slot may write between two reservations, and then the end of the task that it runs.
const SHARE_BYTES: u64 = 64 * 1024;
const LAST_LINE_BYTES: u64 = 16 * 1024;

/// An open slot log. Slots share the file: each line is one appending write.
#[derive(Debug)]
pub struct SlotLog {
    file: File,
    torn: &'static Torn,
    /// Room for what all slots write until each has reserved again, bytes.
    reserve_bytes: u64,
    /// What this slot has written since it reserved room; `None` before the first time.
    unreserved_bytes: Option<u64>,
    /// Memory for lines.
    text: LineText,
}

/// Not 0 if the last line was cut short, for instance by a full disk. Agent and slots share it, since the
/// next line may be another's.
#[derive(Debug)]
pub struct Torn(AtomicU32);

impl SlotLog {
    /// Opens and locks the log of agent `host_id` on `host`, which has so many slots, in the journal
    /// directory of `run_dir`.
    ///
    /// # Errors
    /// What the file system says, or [`AgentError::Busy`].
    pub fn open(run_dir: &Path, host: &str, host_id: i32, slot_count: usize) -> Result<Self, AgentError> {
        let error = |source| AgentError::SlotLog { run_dir: run_dir.to_owned(), source };
        let journal = run_dir.join(layout::JOURNAL);
        std::fs::create_dir_all(&journal).map_err(error)?;
        let path = journal.join(layout::agent_log(host, host_id));
        let file = OpenOptions::new().read(true).append(true).create(true).open(&path).map_err(error)?;
        // Some file systems have no locks; what else guards the run must do there.
        if let Err(Errno::WOULDBLOCK) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
            return Err(AgentError::Busy { log: path });
        }
        if ends_torn(&file).map_err(error)? {
            (&file).write_all(b"\n").map_err(error)?;
        }
        let torn = &sys::shared_memory::<Torn>(1).map_err(error)?[0];
        let reserve_bytes = (SHARE_BYTES + LAST_LINE_BYTES) * (slot_count as u64 + 1);
        Ok(Self { file, torn, reserve_bytes, unreserved_bytes: None, text: LineText::default() })
    }

    /// Another handle to the same open file, with its lock.
    ///
    /// # Errors
    /// Too many open files.
    pub fn try_clone(&self) -> io::Result<Self> {
        let (torn, reserve_bytes) = (self.torn, self.reserve_bytes);
        let file = self.file.try_clone()?;
        Ok(Self { file, torn, reserve_bytes, unreserved_bytes: None, text: LineText::default() })
    }

    /// Appends the [`Line::Begun`] of an order, given as JSON text, before its task starts, and sees to it that
    /// there is room for the line about its end: on a disk that becomes full meanwhile, what ran is known still.
    ///
    /// # Errors
    /// As for [`SlotLog::append_text`]; then the task must not start.
    pub fn append_begun(&mut self, worker_id: i32, at: Timestamp, order: &[u8]) -> io::Result<()> {
        if self.unreserved_bytes.is_none_or(|bytes| bytes >= SHARE_BYTES) {
            self.reserve()?;
        }
        self.append_written(|json| {
            write!(json, "{{\"begun\":{{\"worker_id\":{worker_id},\"at\":{},\"order\":", at.0)?;
            json.extend_from_slice(order);
            json.extend_from_slice(b"}}");
            Ok(())
        })
    }

    /// Takes blocks behind the end of the file, which appending then needs no more.
    fn reserve(&mut self) -> io::Result<()> {
        let length = self.file.metadata()?.len();
        match fallocate(&self.file, FallocateFlags::KEEP_SIZE, length, self.reserve_bytes) {
            Err(error @ (Errno::NOSPC | Errno::DQUOT)) => Err(error.into()),
            // A file system that cannot do this keeps no room.
            _ => {
                self.unreserved_bytes = Some(0);
                Ok(())
            }
        }
    }

    /// Appends one line, whose JSON text has been written.
    ///
    /// # Errors
    /// What the file system says, for instance that it is full.
    pub fn append_text(&mut self, text: &mut LineText) -> io::Result<()> {
        text.finish();
        if self.torn.0.load(Ordering::Relaxed) != 0 && self.torn.0.swap(0, Ordering::Relaxed) != 0 {
            self.write_line(b"\n").inspect_err(|_| self.torn.0.store(1, Ordering::Relaxed))?;
        }
        self.write_line(text.line())
    }

    fn write_line(&mut self, line: &[u8]) -> io::Result<()> {
        if let Some(bytes) = &mut self.unreserved_bytes {
            *bytes += line.len() as u64;
        }
        let mut rest = line;
        while !rest.is_empty() {
            match self.file.write(rest) {
                Ok(count) => rest = &rest[count..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    if rest.len() < line.len() {
                        self.torn.0.store(1, Ordering::Relaxed);
                    }
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Appends one line.
    ///
    /// # Errors
    /// See [`SlotLog::append_text`].
    pub fn append(&mut self, line: &Line) -> io::Result<()> {
        self.append_written(|json| Ok(serde_json::to_writer(json, line)?))
    }

    fn append_written(&mut self, write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> io::Result<()> {
        let mut text = std::mem::take(&mut self.text);
        let appended = write(text.begin()).and_then(|()| self.append_text(&mut text));
        self.text = text;
        appended
    }
}

/// Whether the last line of a log lacks its end.
fn ends_torn(mut file: &File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

#[cfg(test)]
mod tests {
    use ictasks_core::attempt::{Outcome, Seat};
    use ictasks_core::protocol::TaskEnded;
    use ictasks_core::slot_log;

    use super::*;

    const ORDER: &[u8] =
        br#"{"task_index":3,"task_id":"a","attempt":1,"command":"true","command_hash":7,"ready_at":5}"#;

    fn attempts(path: &Path) -> (Vec<(i64, Option<Outcome>)>, u64) {
        let mut found = Vec::new();
        let damaged = slot_log::read(path, &mut |logged| {
            found.push((logged.order.task_index, logged.ended.map(|ended| ended.outcome)));
        });
        (found, damaged.unwrap())
    }

    #[test]
    fn what_is_written_can_be_read() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = SlotLog::open(dir.path(), "node1", 0, 2).unwrap();
        log.append(&Line::Slot(Seat { worker_id: 2, ..Seat::default() })).unwrap();
        log.append_begun(2, Timestamp(9), ORDER).unwrap();
        let path = dir.path().join("journal/agent-node1-0.log");
        assert_eq!(attempts(&path), (vec![(3, None)], 0));
        let ended = TaskEnded::unmeasured(3, 1, 2, Outcome::Succeeded);
        log.append(&Line::Finished(Box::new(ended))).unwrap();
        assert_eq!(attempts(&path), (vec![(3, Some(Outcome::Succeeded))], 0));
    }

    #[test]
    fn there_is_room_for_the_end_of_what_was_begun() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = SlotLog::open(dir.path(), "node1", 0, 2).unwrap();
        log.append_begun(2, Timestamp(9), ORDER).unwrap();
        let data = std::fs::metadata(dir.path().join("journal/agent-node1-0.log")).unwrap();
        let taken = std::os::unix::fs::MetadataExt::blocks(&data) * 512;
        // Where the file system reserves at all.
        assert!(taken < 64 * 1024 || taken >= log.reserve_bytes, "{taken}");
        assert!(data.len() < 1024, "the file is no longer for it");
    }

    #[test]
    fn a_line_that_was_cut_short_spoils_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal/agent-node1-0.log");
        let mut log = SlotLog::open(dir.path(), "node1", 0, 2).unwrap();
        log.append(&Line::Slot(Seat { worker_id: 2, ..Seat::default() })).unwrap();
        drop(log);
        let mut torn = OpenOptions::new().append(true).open(&path).unwrap();
        torn.write_all(b"12345678 {\"beg").unwrap();
        let mut log = SlotLog::open(dir.path(), "node1", 0, 2).unwrap();
        log.append_begun(2, Timestamp(9), ORDER).unwrap();
        assert_eq!(attempts(&path), (vec![(3, None)], 1));
    }

    #[test]
    fn a_second_agent_is_refused_while_a_slot_of_the_first_lives() {
        let dir = tempfile::tempdir().unwrap();
        let agents = SlotLog::open(dir.path(), "node1", 0, 2).unwrap();
        let slots = agents.try_clone().unwrap();
        drop(agents);
        assert!(matches!(SlotLog::open(dir.path(), "node1", 0, 2), Err(AgentError::Busy { .. })));
        drop(slots);
        assert!(SlotLog::open(dir.path(), "node1", 0, 2).is_ok());
    }
}
