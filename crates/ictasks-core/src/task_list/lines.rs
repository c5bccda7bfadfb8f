//! Lines of bounded length from anything that can be read.

use std::io::{self, Read};
use std::ops::Range;

/// The longest line that is read, bytes.
pub(super) const MAX_LINE_BYTES: usize = 1 << 20;

const READ_BYTES: usize = 64 << 10;

/// Reads lines; never holds much more than one of the longest.
pub(super) struct Lines {
    input: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    /// What was read and not handed out.
    unread: Range<usize>,
    /// How much of `unread` is known to hold no line end.
    scanned: usize,
    line_count: u64,
    is_skipping: bool,
    has_ended: bool,
}

/// One line, or that it was too long.
pub(super) struct Line {
    /// From 1.
    pub(super) number: u64,
    /// Where in [`Lines::bytes`]; `None` if it is too long.
    pub(super) at: Option<Range<usize>>,
}

impl Lines {
    pub(super) fn new(input: Box<dyn Read + Send>) -> Self {
        Self {
            input,
            buffer: vec![0; READ_BYTES],
            unread: 0..0,
            scanned: 0,
            line_count: 0,
            is_skipping: false,
            has_ended: false,
        }
    }

    /// The bytes of a line; valid until [`Lines::fill`] is called.
    pub(super) fn bytes(&self, at: Range<usize>) -> &[u8] {
        &self.buffer[at]
    }

    /// The next line, if it has been read completely; never waits.
    pub(super) fn next_complete(&mut self) -> Option<Line> {
        loop {
            let begin = self.unread.start;
            let rest = &self.buffer[begin + self.scanned..self.unread.end];
            let end = match rest.iter().position(|&byte| byte == b'\n') {
                Some(position) => begin + self.scanned + position,
                None if self.has_ended && begin < self.unread.end => self.unread.end,
                None => {
                    self.scanned = self.unread.len();
                    return self.give_up_if_too_long();
                }
            };
            self.unread.start = (end + 1).min(self.unread.end);
            self.scanned = 0;
            if std::mem::take(&mut self.is_skipping) {
                continue;
            }
            self.line_count += 1;
            let fits = end - begin <= MAX_LINE_BYTES;
            return Some(Line { number: self.line_count, at: fits.then_some(begin..end) });
        }
    }

    /// Drops the beginning of a line that is too long; the first time that is an answer.
    fn give_up_if_too_long(&mut self) -> Option<Line> {
        if self.unread.len() <= MAX_LINE_BYTES && !self.is_skipping {
            return None;
        }
        self.unread = 0..0;
        self.scanned = 0;
        if std::mem::replace(&mut self.is_skipping, true) {
            return None;
        }
        self.line_count += 1;
        Some(Line { number: self.line_count, at: None })
    }

    /// Reads more, waiting for it; false at the end.
    pub(super) fn fill(&mut self) -> io::Result<bool> {
        if self.has_ended {
            return Ok(false);
        }
        self.buffer.copy_within(self.unread.clone(), 0);
        self.unread = 0..self.unread.len();
        if self.buffer.len() < self.unread.end + READ_BYTES {
            self.buffer.resize(self.unread.end + READ_BYTES, 0);
        }
        loop {
            match self.input.read(&mut self.buffer[self.unread.end..]) {
                Ok(0) => {
                    self.has_ended = true;
                    // A last line without an end is now complete.
                    return Ok(!self.unread.is_empty());
                }
                Ok(count) => {
                    self.unread.end += count;
                    return Ok(true);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.has_ended = true;
                    self.unread = 0..0;
                    return Err(error);
                }
            }
        }
    }

    #[cfg(test)]
    pub(super) fn buffer_capacity(&self) -> usize {
        self.buffer.capacity()
    }
}
