//! The process between a slot and its call server. It starts the server, reaps it, and ends it with the slot.
//!
//! It is a fork of the slot that executes nothing: only so is it passed over by the slot's waiting.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::Path;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::io::FdFlags;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use super::super::launch::search;
use super::super::tree::{FOREVER, PARENT_DIED};
use super::messages::SOCKET_VARIABLE;
use crate::sys::{self, SignalSet, SpawnError, Spawner, Streams, Wait};

/// The signal by which the slot says that the server is to end.
pub const END: i32 = libc::SIGTERM;

/// Exit code where no server was started, as a shell has it.
const NOT_STARTED: i32 = 127;
/// A process that even SIGKILL does not end within this hangs in the kernel, and is left.
const KILL_TAKES: Duration = Duration::from_secs(5);

/// What a keeper needs.
pub struct Keeping<'a> {
    /// Process id of the slot.
    pub slot_pid: i32,
    /// The server's program and its arguments.
    pub words: &'a [String],
    /// Its environment, without [`SOCKET_VARIABLE`].
    pub environment: Vec<&'a CStr>,
    /// Where programs are looked for.
    pub path: &'a [u8],
    /// Its current directory.
    pub directory: &'a Path,
    /// Its end of the socket.
    pub socket: BorrowedFd<'a>,
    /// Its standard error.
    pub stderr: BorrowedFd<'a>,
}

impl Keeping<'_> {
    /// Works until the server has ended, and returns its exit code, 128 + N for signal N. Called in the forked
    /// process, in which nothing of the slot is used any more.
    pub fn run(self) -> i32 {
        if sys::signal_on_parent_death(PARENT_DIED).is_err() || !self.slot_lives() {
            return NOT_STARTED;
        }
        // Among what is closed are the slot's ends of the agent's queues and the lock of its log.
        sys::close_all_but(&[self.socket.as_raw_fd(), self.stderr.as_raw_fd()]);
        let server_pid = match self.start() {
            Ok(pid) => pid,
            Err(NotStarted::Refused(errno)) => {
                let line = format!("{{\"not_started\":{{\"errno\":{errno}}}}}\n");
                let _ = rustix::io::write(self.socket, line.as_bytes());
                return NOT_STARTED;
            }
            Err(NotStarted::Because(reason)) => {
                let _ = rustix::io::write(self.stderr, reason.as_bytes());
                return NOT_STARTED;
            }
        };
        // The server's end of the socket is to be the server's alone, so that its end is seen.
        sys::close_all_but(&[]);
        self.keep(server_pid)
    }

    fn slot_lives(&self) -> bool {
        i32::try_from(std::os::unix::process::parent_id()) == Ok(self.slot_pid)
    }

    fn start(&self) -> Result<i32, NotStarted> {
        let because = |reason: String| NotStarted::Because(reason);
        std::env::set_current_dir(self.directory)
            .map_err(|error| because(format!("`{}` cannot be entered: {error}", self.directory.display())))?;
        rustix::io::fcntl_setfd(self.socket, FdFlags::empty()).map_err(NotStarted::system)?;
        let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
            .map_err(NotStarted::system)?;
        let zero_byte = |_| because("the words of `call_server` hold a zero byte".to_owned());
        let words: Vec<CString> = self
            .words
            .iter()
            .map(|word| CString::new(word.as_str()).map_err(zero_byte))
            .collect::<Result<_, _>>()?;
        let name = self.words.first().map_or("", String::as_str);
        let program = match words.first() {
            Some(path) if name.contains('/') => path.clone(),
            _ => search(self.path, name)
                .map_err(|_| because(format!("the program `{name}` was not found in PATH")))?,
        };
        let socket =
            CString::new(format!("{SOCKET_VARIABLE}={}", self.socket.as_raw_fd())).map_err(zero_byte)?;
        let environment: Vec<&CStr> = self.environment.iter().copied().chain([socket.as_c_str()]).collect();
        let arguments: Vec<&CStr> = words.iter().map(CString::as_c_str).collect();
        let streams = Streams {
            stdin: null.as_fd(),
            stdout: null.as_fd(),
            stderr: self.stderr,
            cgroup: None,
            dies_with_parent: true,
        };
        match Spawner::new().spawn(&program, &arguments, &environment, &streams) {
            Ok(pid) => Ok(pid),
            Err(SpawnError::Process(error)) => Err(NotStarted::of(&error)),
            Err(SpawnError::Exec(error)) => Err(because(format!("`{name}` cannot be executed: {error}"))),
        }
    }

    /// Waits for the end of the server, and brings it about when the slot wants it or is gone.
    fn keep(&self, server_pid: i32) -> i32 {
        let signals = SignalSet::of(&[libc::SIGCHLD, END, PARENT_DIED]);
        let mut left = None;
        while left != Some(Duration::ZERO) {
            if has_ended(server_pid) {
                // What it started may be in its group still. The group's number is its own until it is reaped.
                sys::kill(-server_pid, libc::SIGKILL);
                return reap(server_pid);
            }
            let signal = sys::wait_signal(&signals, left.unwrap_or(FOREVER));
            if signal == Some(END) || !self.slot_lives() {
                sys::kill(-server_pid, libc::SIGKILL);
                sys::kill(server_pid, libc::SIGKILL);
                left = Some(KILL_TAKES);
            } else if signal.is_none() && left.is_some() {
                left = Some(Duration::ZERO);
            }
        }
        NOT_STARTED
    }
}

enum NotStarted {
    /// The kernel had no process to give.
    Refused(i32),
    /// Something is wrong with the program.
    Because(String),
}

impl NotStarted {
    fn of(error: &std::io::Error) -> Self {
        Self::Refused(error.raw_os_error().unwrap_or(libc::EIO))
    }

    fn system(errno: rustix::io::Errno) -> Self {
        Self::Refused(errno.raw_os_error())
    }
}

fn has_ended(pid: i32) -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    let waited = Pid::from_raw(pid).map(|pid| waitid(WaitId::Pid(pid), options));
    !matches!(waited, Some(Ok(None)))
}

/// Reaps what has ended; the exit code of `pid`.
fn reap(pid: i32) -> i32 {
    while let Ok(Wait::Reaped(reaped)) = sys::wait_any() {
        if reaped.pid == pid {
            let signal = sys::term_signal(reaped.status).map(|signal| 128 + signal);
            return sys::exit_code(reaped.status).or(signal).unwrap_or(NOT_STARTED);
        }
    }
    NOT_STARTED
}
