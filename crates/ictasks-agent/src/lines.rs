//! Lines of a pipe, without ever waiting for more than there is.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

const CHUNK_BYTES: usize = 64 * 1024;

/// Collects what was read and hands out whole lines.
pub struct LineReader<R> {
    source: R,
    buffer: Vec<u8>,
    /// Where the next line begins.
    start: usize,
}

impl<R: Read> LineReader<R> {
    /// Of any source of bytes.
    pub fn new(source: R) -> Self {
        Self { source, buffer: Vec::new(), start: 0 }
    }

    /// Reads once; the number of bytes, 0 at the end.
    ///
    /// # Errors
    /// The source's.
    pub fn fill(&mut self) -> io::Result<usize> {
        self.buffer.drain(..self.start);
        self.start = 0;
        let length = self.buffer.len();
        self.buffer.resize(length + CHUNK_BYTES, 0);
        let read = loop {
            match self.source.read(&mut self.buffer[length..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        self.buffer.truncate(length + read.as_ref().copied().unwrap_or(0));
        read
    }

    /// The next whole line that has been read, without its newline.
    pub fn next_line(&mut self) -> Option<&[u8]> {
        let rest = &self.buffer[self.start..];
        let length = rest.iter().position(|byte| *byte == b'\n')?;
        let line = self.start..self.start + length;
        self.start += length + 1;
        Some(&self.buffer[line])
    }
}

impl LineReader<File> {
    /// Whether [`LineReader::fill`] would return at once.
    pub fn is_readable(&self) -> bool {
        let mut polled = [PollFd::new(&self.source, PollFlags::IN)];
        matches!(poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })), Ok(1..))
    }
}

impl AsFd for LineReader<File> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.source.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_whole_however_they_were_written() {
        let mut reader = LineReader::new(&b"one\ntwo\nthr"[..]);
        reader.fill().unwrap();
        assert_eq!(reader.next_line(), Some(&b"one"[..]));
        assert_eq!(reader.next_line(), Some(&b"two"[..]));
        assert_eq!(reader.next_line(), None);
        assert_eq!(reader.fill().unwrap(), 0);
        assert_eq!(reader.next_line(), None);
    }
}
