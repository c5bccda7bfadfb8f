//! The slot log: the evidence of what ran when the coordinator or the agent died.
//!
//! One file for each agent, `journal/agent-<host>-<n>.log`, only ever appended to. A slot writes one
//! line before it starts a process and one, with the whole outcome, after the tree has ended and
//! before it replies. A line is the CRC-32 of the JSON text as eight hexadecimal digits, a space,
//! and the JSON text: `{"begun":{…}}` or the reply `{"finished":{…}}` itself.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use ictasks_core::column::Timestamp;
use ictasks_core::layout;
use serde::Serialize;

/// A task is about to be started.
#[derive(Debug, Serialize)]
pub struct Begun<'a> {
    /// Position in the task list.
    pub task_index: i64,
    /// Its id.
    pub task_id: &'a str,
    /// 1 is the first.
    pub attempt: i32,
    /// On which worker.
    pub worker_id: i32,
    /// When.
    pub at: Timestamp,
}

impl Begun<'_> {
    /// The text of its line.
    pub fn to_json(&self) -> Vec<u8> {
        #[derive(Serialize)]
        struct Line<'a> {
            begun: &'a Begun<'a>,
        }
        // Plain fields always serialise.
        serde_json::to_vec(&Line { begun: self }).unwrap_or_default()
    }
}

/// An open slot log. Slots share the file: each line is one appending write.
#[derive(Debug)]
pub struct SlotLog(File);

impl SlotLog {
    /// Opens the log of agent `host_id` on `host` in the journal directory of `run_dir`.
    ///
    /// # Errors
    /// What the file system says.
    pub fn open(run_dir: &Path, host: &str, host_id: i32) -> io::Result<Self> {
        let journal = run_dir.join(layout::JOURNAL);
        std::fs::create_dir_all(&journal)?;
        let path = journal.join(layout::agent_log(host, host_id));
        Ok(Self(OpenOptions::new().append(true).create(true).open(path)?))
    }

    /// Another handle to the same file.
    ///
    /// # Errors
    /// Too many open files.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// Appends one line.
    ///
    /// # Errors
    /// What the file system says, for instance that it is full.
    pub fn append(&mut self, json: &[u8]) -> io::Result<()> {
        let mut line = Vec::with_capacity(json.len() + 10);
        write!(line, "{:08x} ", crc32fast::hash(json))?;
        line.extend_from_slice(json);
        line.push(b'\n');
        self.0.write_all(&line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_carries_the_checksum_of_its_text() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = SlotLog::open(dir.path(), "node1", 0).unwrap();
        log.append(b"{}").unwrap();
        let text = std::fs::read_to_string(dir.path().join("journal/agent-node1-0.log")).unwrap();
        assert_eq!(text, format!("{:08x} {{}}\n", crc32fast::hash(b"{}")));
    }
}
