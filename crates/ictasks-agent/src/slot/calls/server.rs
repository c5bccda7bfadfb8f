//! The slot's hold on its call server: start, requests, end.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use ictasks_core::protocol;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, OFlags, fcntl_setfl, fstat, memfd_create};
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, send, socketpair};

use super::super::environment::Environment;
use super::super::launch::DEFAULT_PATH;
use super::super::tree::{PARENT_DIED, agent_lives, nanoseconds};
use super::keeper::{END, Keeping};
use super::messages::{Call, Reply, Request, VERSION};
use crate::lines::LineReader;
use crate::queue::ReplySender;
use crate::requests::{DOORBELL, Requests};
use crate::shared::SlotCell;
use crate::sys::{self, Fork, SignalSet};

/// After so long the user is told what a worker waits for.
const SLOW_AFTER: Duration = Duration::from_secs(60);
/// Between two looks whether it has ended.
const LOOK_AGAIN: Duration = Duration::from_millis(2);
/// How much of what a server printed is kept, bytes.
const TAIL_BYTES: u64 = 2048;

/// A call server that was started.
pub struct Server {
    keeper_pid: i32,
    socket: LineReader<File>,
    stderr: OwnedFd,
    /// Readable while the agent wants something.
    signals: OwnedFd,
}

/// What a server is started with.
pub struct Starting<'a> {
    /// Its program and arguments.
    pub words: &'a [String],
    /// Its environment: what all tasks of the slot have.
    pub environment: &'a Environment,
    /// Its current directory.
    pub directory: &'a Path,
}

/// What may happen while the slot waits for its server.
pub struct Waiting<'a> {
    /// What the agent wants.
    pub requests: &'static Requests,
    /// The slot's cell.
    pub cell: &'static SlotCell,
    /// Process id of the agent.
    pub agent_pid: i32,
    /// Where warnings go.
    pub replies: &'a ReplySender,
    /// The worker.
    pub worker_id: i32,
}

/// What a server made of a call.
pub enum Made {
    /// A process.
    Call {
        /// Its id.
        pid: i32,
        /// The monotonic clock just before the fork.
        forked_ns: i64,
        /// The server's size then.
        rss_bytes: i64,
    },
    /// The kernel gave no process.
    Nothing(io::Error),
}

/// Why nothing came of a request.
pub enum Failure {
    /// No more tasks are to begin.
    Unwanted,
    /// The server has ended.
    Ended,
    /// It said something else than it should.
    Strange(String),
    /// The farm's trouble.
    System(io::Error),
}

/// What is left of a server.
pub struct Lost {
    /// How it ended, as it reads after "it".
    pub how: String,
    /// The end of what it printed.
    pub printed: Vec<u8>,
}

impl Server {
    /// Starts one, by way of its keeper.
    pub fn start(starting: &Starting<'_>) -> io::Result<Self> {
        let (own, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        let stderr = memfd_create("ictasks-call-server-stderr", MemfdFlags::CLOEXEC)?;
        fcntl_setfl(&stderr, OFlags::APPEND)?;
        let signals = sys::signal_descriptor(&SignalSet::of(&[DOORBELL, PARENT_DIED]))?;
        let keeping = Keeping {
            slot_pid: i32::try_from(std::process::id()).unwrap_or(0),
            words: starting.words,
            environment: starting.environment.pairs(),
            path: starting.environment.path().unwrap_or(DEFAULT_PATH),
            directory: starting.directory,
            socket: theirs.as_fd(),
            stderr: stderr.as_fd(),
        };
        let keeper_pid = match sys::fork_hidden()? {
            Fork::Child => sys::exit_now(keeping.run()),
            Fork::Parent(pid) => pid,
        };
        drop(theirs);
        Ok(Self { keeper_pid, socket: LineReader::new(File::from(own)), stderr, signals })
    }

    /// Its keeper's process.
    pub fn keeper_pid(&self) -> i32 {
        self.keeper_pid
    }

    /// Whether it is there and waits for a request.
    pub fn is_idle(&self) -> bool {
        // At its end, and if it says something unasked, it is readable.
        !self.socket.is_readable()
    }

    /// Waits until it is ready.
    pub fn greet(&mut self, waiting: &Waiting<'_>) -> Result<(), Failure> {
        match self.next_reply(waiting)? {
            Reply::Hello { version: VERSION } => Ok(()),
            Reply::Hello { version } => Err(Failure::Strange(format!(
                "it speaks version {version} of the messages, and this program version {VERSION}"
            ))),
            Reply::NotStarted { errno } => Err(Failure::System(io::Error::from_raw_os_error(errno))),
            Reply::Started { .. } => Err(Failure::Strange("it does not begin with `hello`".to_owned())),
        }
    }

    /// Has it make a call.
    pub fn make(
        &mut self,
        call: Call<'_>,
        descriptors: &[BorrowedFd<'_>],
        waiting: &Waiting<'_>,
    ) -> Result<Made, Failure> {
        let request = serde_json::to_vec(&Request::Call(call));
        let mut line = request.map_err(|error| Failure::System(error.into()))?;
        line.push(b'\n');
        self.send(&line, descriptors, waiting)?;
        match self.next_reply(waiting)? {
            Reply::Started { pid: pid @ 1.., forked_ns, rss_bytes } => {
                Ok(Made::Call { pid, forked_ns, rss_bytes })
            }
            Reply::NotStarted { errno } => Ok(Made::Nothing(io::Error::from_raw_os_error(errno))),
            Reply::Started { .. } | Reply::Hello { .. } => {
                Err(Failure::Strange("it does not answer a call".to_owned()))
            }
        }
    }

    /// The descriptors go with the first bytes.
    fn send(
        &self,
        mut rest: &[u8],
        mut descriptors: &[BorrowedFd<'_>],
        waiting: &Waiting<'_>,
    ) -> Result<(), Failure> {
        while !rest.is_empty() {
            let socket = self.socket.as_fd();
            let sent = if descriptors.is_empty() {
                send(socket, rest, SendFlags::DONTWAIT | SendFlags::NOSIGNAL).map_err(io::Error::from)
            } else {
                sys::send_descriptors(socket, rest, descriptors)
            };
            match sent {
                Ok(count) => (rest, descriptors) = (&rest[count..], &[]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.wait(PollFlags::OUT, waiting)?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_end(&error) => return Err(Failure::Ended),
                Err(error) => return Err(Failure::System(error)),
            }
        }
        Ok(())
    }

    fn next_reply(&mut self, waiting: &Waiting<'_>) -> Result<Reply, Failure> {
        loop {
            if let Some(line) = self.socket.next_line() {
                return serde_json::from_slice(line).map_err(|error| {
                    let line = String::from_utf8_lossy(&line[..line.len().min(200)]).into_owned();
                    Failure::Strange(format!("it says `{}` ({error})", line.escape_debug()))
                });
            }
            self.wait(PollFlags::IN, waiting)?;
            match self.socket.fill() {
                Ok(1..) => {}
                Ok(0) => return Err(Failure::Ended),
                Err(error) if is_end(&error) => return Err(Failure::Ended),
                Err(error) => return Err(Failure::System(error)),
            }
        }
    }

    /// Waits for its socket, and does what the agent wants meanwhile.
    fn wait(&self, flags: PollFlags, waiting: &Waiting<'_>) -> Result<(), Failure> {
        let mut timeout = Some(Timespec { tv_sec: 60, tv_nsec: 0 });
        loop {
            if waiting.requests.end().is_some() {
                return Err(Failure::Unwanted);
            }
            // Nothing of a task runs here.
            waiting.requests.stop().into_iter().for_each(|stop| waiting.cell.set_stopped_for(stop));
            let mut polled = [
                PollFd::from_borrowed_fd(self.socket.as_fd(), flags),
                PollFd::new(&self.signals, PollFlags::IN),
            ];
            match poll(&mut polled, timeout.as_ref()) {
                Ok(0) => {
                    timeout = None;
                    waiting.tell_slow();
                }
                _ if !polled[0].revents().is_empty() => return Ok(()),
                _ => {}
            }
            // Which of the signals it was does not matter: what is wanted is looked up.
            while rustix::io::read(&self.signals, &mut [0; 128]).is_ok() {}
            if !agent_lives(waiting.agent_pid) {
                return Err(Failure::Unwanted);
            }
        }
    }

    /// Ends it, whatever it does, unless it ends by itself within `patience`. Returns how it ended.
    pub fn end(self, patience: Duration) -> Lost {
        let until_ns = sys::monotonic_ns() + nanoseconds(patience);
        let mut waited = sys::wait_hidden(self.keeper_pid, true);
        while matches!(waited, Ok(None)) && sys::monotonic_ns() < until_ns {
            std::thread::sleep(LOOK_AGAIN);
            waited = sys::wait_hidden(self.keeper_pid, true);
        }
        if matches!(waited, Ok(None)) {
            sys::kill(self.keeper_pid, END);
            sys::kill(self.keeper_pid, libc::SIGCONT);
            waited = sys::wait_hidden(self.keeper_pid, false);
        }
        let how = match waited.map(|status| status.and_then(sys::exit_code)) {
            Ok(Some(code @ 129..=192)) => format!("was killed by signal {}", code - 128),
            Ok(Some(code)) => format!("ended with exit code {code}"),
            _ => "was killed".to_owned(),
        };
        let printed = self.printed();
        let last_line = String::from_utf8_lossy(&printed);
        let last_line = last_line.lines().rev().find(|line| !line.trim().is_empty());
        let how = last_line.map_or_else(|| how.clone(), |line| format!("{how}: {}", line.trim()));
        Lost { how, printed }
    }

    fn printed(&self) -> Vec<u8> {
        let size = fstat(&self.stderr).map_or(0, |stat| u64::try_from(stat.st_size).unwrap_or(0));
        let start = size.saturating_sub(TAIL_BYTES);
        let mut bytes = vec![0; usize::try_from(size - start).unwrap_or(0)];
        let read = rustix::io::pread(&self.stderr, &mut bytes, start).unwrap_or(0);
        bytes.truncate(read);
        bytes
    }
}

impl Waiting<'_> {
    fn tell_slow(&self) {
        let message = format!(
            "worker {} has waited for its call server for {} s: it imports the modules of the call, or hangs",
            self.worker_id,
            SLOW_AFTER.as_secs()
        );
        // Where nobody listens, the slot is about to end.
        let _ = self.replies.send(&protocol::Reply::Warning { message });
    }
}

fn is_end(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}
