//! The pipes to an agent: lines out, lines in, neither waiting for the other.

use std::fmt::Display;

use ictasks_core::protocol::{Reply, Request, Setup};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

const READ_BYTES: usize = 64 * 1024;

/// Both pipes, and what is on its way.
pub struct Connection<R, W> {
    replies: R,
    requests: W,
    is_open: bool,
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
    sent: usize,
}

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Connection<R, W> {
    /// To an agent that is told `setup` first.
    pub fn new(replies: R, requests: W, setup: &Setup) -> Self {
        let (incoming, outgoing) = (Vec::new(), Vec::new());
        let mut connection = Self { replies, requests, is_open: true, incoming, outgoing, sent: 0 };
        connection.queue_line(serde_json::to_vec(setup));
        connection
    }

    /// Whether the agent may still say something.
    pub const fn is_open(&self) -> bool {
        self.is_open
    }

    /// Sends a request as soon as the pipe takes it.
    pub fn queue(&mut self, request: &Request) {
        self.queue_line(serde_json::to_vec(request));
    }

    fn queue_line(&mut self, line: serde_json::Result<Vec<u8>>) {
        // Plain data always serialises.
        self.outgoing.extend(line.unwrap_or_default());
        self.outgoing.push(b'\n');
    }

    /// Reads or writes once, whichever is possible first.
    pub async fn exchange(&mut self) {
        self.incoming.reserve(READ_BYTES);
        tokio::select! {
            read = self.replies.read_buf(&mut self.incoming) => {
                if !matches!(read, Ok(1..)) {
                    self.is_open = false;
                }
            }
            written = self.requests.write(&self.outgoing[self.sent..]), if self.sent < self.outgoing.len() => {
                match written {
                    Ok(count) => self.sent += count,
                    // Nobody reads: what the agent still has to say comes by the other pipe.
                    Err(_) => self.sent = self.outgoing.len(),
                }
                if self.sent == self.outgoing.len() {
                    self.outgoing.clear();
                    self.sent = 0;
                }
            }
        }
    }

    /// The whole lines that were read.
    pub fn take_replies(&mut self) -> Vec<Result<Reply, String>> {
        let Some(end) = self.incoming.iter().rposition(|byte| *byte == b'\n') else { return Vec::new() };
        let rest = self.incoming.split_off(end + 1);
        let lines = std::mem::replace(&mut self.incoming, rest);
        lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(reply).collect()
    }
}

/// What a line says. Whether it is text is asked once, not for each string in it.
fn reply(line: &[u8]) -> Result<Reply, String> {
    let not_understood = |error: &dyn Display| format!("the agent cannot be understood: {error}");
    let text = str::from_utf8(line).map_err(|error| not_understood(&error))?;
    serde_json::from_str(text).map_err(|error| not_understood(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_no_reply_is_explained() {
        assert_eq!(reply(b"\"suspended\""), Ok(Reply::Suspended));
        for line in [&b"{"[..], b"\xff", b"\"unheard\""] {
            let error = reply(line).unwrap_err();
            assert!(error.starts_with("the agent cannot be understood: "), "{error}");
        }
    }
}
