//! The agent's way to the coordinator: whole lines, from the main loop and from the sampler.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use ictasks_core::protocol::Reply;

/// Standard output, shared between threads.
#[derive(Clone)]
pub struct SharedOutput(Arc<Mutex<File>>);

impl SharedOutput {
    /// Of the descriptor that was standard output.
    pub fn new(descriptor: OwnedFd) -> Self {
        Self(Arc::new(Mutex::new(File::from(descriptor))))
    }

    /// Sends one reply.
    ///
    /// # Errors
    /// The coordinator is gone.
    pub fn send(&self, reply: &Reply) -> io::Result<()> {
        let mut line = serde_json::to_vec(reply)?;
        line.push(b'\n');
        self.send_lines(&line)
    }

    /// Sends lines that are JSON already, each with its newline.
    ///
    /// # Errors
    /// The coordinator is gone.
    pub fn send_lines(&self, lines: &[u8]) -> io::Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write_all(lines)
    }
}
