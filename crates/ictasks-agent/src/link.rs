//! The connection to a coordinator of another node: a thread between it and the agent's main loop.
//!
//! The main loop sees two pipes, as on the coordinator's own node. The thread passes lines both ways, sends
//! beats and takes their echoes. It touches no file and waits for nothing but the network, so it notices
//! the end of the lease in any case, and then ends the tasks and the agent.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use ictasks_core::attempt::Cause;
use ictasks_core::frames::Frames;
use ictasks_core::lease::AgentLease;
use ictasks_core::protocol::{Reply, Request};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::join::Connection;
use crate::output::SharedOutput;
use crate::requests::{EndRequest, Requests};
use crate::sys;

/// While so much waits for the network, the main loop waits, too.
const MOST_OUTGOING: usize = 8 << 20;
const CHUNK_BYTES: usize = 64 * 1024;
/// So long the main loop has to end the tasks of a coordinator that is gone. Slots do it by themselves when
/// their agent is gone.
const ENDING_TAKES: Duration = Duration::from_millis(2500);
/// What begins the line of an echo.
const BEAT_PREFIX: &[u8] = b"{\"beat\":";

/// The connection, before its thread starts.
pub struct Link {
    connection: Connection,
    to_agent: UnixStream,
    from_agent: UnixStream,
    is_finished: Arc<AtomicBool>,
}

/// The main loop's ends.
pub struct Ends {
    pub input: UnixStream,
    pub output: UnixStream,
}

/// The thread.
pub struct Linked {
    thread: JoinHandle<()>,
    output: SharedOutput,
    is_finished: Arc<AtomicBool>,
}

/// For an agent that cannot start.
pub struct Goodbye(TcpStream);

impl Goodbye {
    /// Says why, and that nothing runs.
    pub fn say(mut self, message: &str) {
        for reply in [Reply::Trouble { message: message.to_owned() }, Reply::Gone] {
            let mut line = serde_json::to_vec(&reply).unwrap_or_default();
            line.push(b'\n');
            // The coordinator notices the end of the connection as well.
            let _ = self.0.write_all(&line);
        }
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

impl Link {
    /// Between this connection and the main loop, which gets the other ends.
    pub fn new(connection: Connection) -> std::io::Result<(Self, Ends)> {
        let (to_agent, input) = UnixStream::pair()?;
        let (output, from_agent) = UnixStream::pair()?;
        let is_finished = Arc::new(AtomicBool::new(false));
        Ok((Self { connection, to_agent, from_agent, is_finished }, Ends { input, output }))
    }

    /// For an agent that cannot start.
    pub fn goodbye(&self) -> std::io::Result<Goodbye> {
        self.connection.stream.try_clone().map(Goodbye)
    }

    /// Starts the thread of an agent whose slots look at `requests`.
    pub fn start(self, requests: &'static Requests, output: SharedOutput) -> std::io::Result<Linked> {
        self.connection.stream.set_nonblocking(true)?;
        self.to_agent.set_nonblocking(true)?;
        self.from_agent.set_nonblocking(true)?;
        let is_finished = self.is_finished.clone();
        let lease = AgentLease::new(self.connection.asked_at);
        requests.extend_lease(lease.ends_at());
        let relay = Relay {
            lease,
            requests,
            stream: self.connection.stream,
            frames: self.connection.frames,
            to_agent: self.to_agent,
            from_agent: self.from_agent,
            is_finished: self.is_finished,
            outgoing: Buffer::default(),
            incoming: Buffer::default(),
        };
        let thread = std::thread::Builder::new().name("link".to_owned()).spawn(move || {
            if relay.run() == Ending::Lost {
                requests.end_tasks(EndRequest::new(Cause::CoordinatorLost, requests.lost_grace()));
                std::thread::sleep(ENDING_TAKES);
                sys::exit_now(1);
            }
        })?;
        Ok(Linked { thread, output, is_finished })
    }
}

impl Linked {
    /// The main loop has ended with everything: the coordinator is told, and the connection closed.
    pub fn finish(self) {
        // A coordinator that is gone is noticed by the thread.
        let _ = self.output.send(&Reply::Gone);
        self.is_finished.store(true, Ordering::SeqCst);
        // Wakes the thread; an empty line says nothing.
        let _ = self.output.send_lines(b"\n");
        // It ends at the latest with its lease, and then the process does.
        let _ = self.thread.join();
    }
}

/// How the thread ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// All was said.
    Finished,
    /// The coordinator is gone, or has been silent for too long.
    Lost,
}

/// Bytes on their way.
#[derive(Default)]
struct Buffer {
    bytes: Vec<u8>,
    sent: usize,
}

impl Buffer {
    fn is_empty(&self) -> bool {
        self.sent == self.bytes.len()
    }

    fn len(&self) -> usize {
        self.bytes.len() - self.sent
    }

    /// Writes what goes without waiting.
    fn write_to(&mut self, target: &mut impl Write) -> std::io::Result<()> {
        while !self.is_empty() {
            match target.write(&self.bytes[self.sent..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        self.bytes.clear();
        self.sent = 0;
        Ok(())
    }
}

/// What a reading without waiting found.
enum Found {
    Bytes(usize),
    Nothing,
    End,
}

fn read(source: &mut impl Read, chunk: &mut [u8]) -> Found {
    match source.read(chunk) {
        Ok(0) => Found::End,
        Ok(count) => Found::Bytes(count),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
            Found::Nothing
        }
        Err(_) => Found::End,
    }
}

struct Relay {
    stream: TcpStream,
    frames: Frames,
    lease: AgentLease,
    /// Slots look at the lease, too: the agent may be frozen, and they not.
    requests: &'static Requests,
    to_agent: UnixStream,
    from_agent: UnixStream,
    is_finished: Arc<AtomicBool>,
    outgoing: Buffer,
    incoming: Buffer,
}

impl Relay {
    fn run(mut self) -> Ending {
        let mut chunk = vec![0; CHUNK_BYTES];
        // What came with the setup.
        if !self.take_lines() {
            return Ending::Lost;
        }
        loop {
            let now = sys::boot_time();
            if self.lease.is_over(now) {
                return Ending::Lost;
            }
            self.beat(now);
            if self.outgoing.write_to(&mut self.stream).is_err() {
                return Ending::Lost;
            }
            // A main loop that takes no more has ended.
            if self.incoming.write_to(&mut self.to_agent).is_err() {
                self.incoming = Buffer::default();
            }
            // Loaded before the last look at what the main loop has said.
            let is_finished = self.is_finished.load(Ordering::SeqCst);
            if !(is_finished && self.outgoing.is_empty()) {
                self.wait(now);
            }
            match read(&mut self.stream, &mut chunk) {
                Found::Bytes(count) => {
                    self.frames.push(&chunk[..count]);
                    if !self.take_lines() {
                        return Ending::Lost;
                    }
                }
                Found::Nothing => {}
                Found::End => return Ending::Lost,
            }
            if self.outgoing.len() < MOST_OUTGOING {
                match read(&mut self.from_agent, &mut chunk) {
                    Found::Bytes(count) => self.outgoing.bytes.extend_from_slice(&chunk[..count]),
                    Found::Nothing if is_finished && self.outgoing.is_empty() => {
                        // The coordinator may have been faster.
                        let _ = self.stream.shutdown(Shutdown::Both);
                        return Ending::Finished;
                    }
                    Found::Nothing | Found::End => {}
                }
            }
        }
    }

    /// Sends a beat if one is due, and not in the middle of a line.
    fn beat(&mut self, now: Duration) {
        let is_between_lines = self.outgoing.bytes.last().is_none_or(|byte| *byte == b'\n');
        if is_between_lines && let Some(number) = self.lease.beat(now) {
            self.outgoing.bytes.extend(serde_json::to_vec(&Reply::Beat { number }).unwrap_or_default());
            self.outgoing.bytes.push(b'\n');
        }
    }

    /// Takes what the coordinator has said; false if it says what nobody should.
    fn take_lines(&mut self) -> bool {
        loop {
            match self.frames.next_line() {
                Ok(Some(line)) if line.starts_with(BEAT_PREFIX) => {
                    if let Ok(Request::Beat { number }) = serde_json::from_slice(line) {
                        self.lease.echo(number);
                        self.requests.extend_lease(self.lease.ends_at());
                    }
                }
                Ok(Some(line)) => {
                    self.incoming.bytes.extend_from_slice(line);
                    self.incoming.bytes.push(b'\n');
                }
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
    }

    fn wait(&self, now: Duration) {
        let mut stream = PollFlags::IN;
        stream.set(PollFlags::OUT, !self.outgoing.is_empty());
        let mut polled = vec![PollFd::new(&self.stream, stream)];
        if self.outgoing.len() < MOST_OUTGOING {
            polled.push(PollFd::new(&self.from_agent, PollFlags::IN));
        }
        if !self.incoming.is_empty() {
            polled.push(PollFd::new(&self.to_agent, PollFlags::OUT));
        }
        let rest = self.lease.look_at().saturating_sub(now);
        let timeout = Timespec {
            tv_sec: i64::try_from(rest.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: rest.subsec_nanos().into(),
        };
        // Whatever interrupts it, the loop looks at everything.
        let _ = poll(&mut polled, Some(&timeout));
    }
}
