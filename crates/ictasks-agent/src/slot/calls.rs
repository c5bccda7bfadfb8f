//! Function calls as tasks: a server of the slot forks a process for each of them.
//!
//! A call is to be a task like any other, and still cost milliseconds, not the start of an interpreter. So
//! the slot starts the call server (`call_server` of the configuration) at its first call, and the server
//! imports once what many calls need. It forks twice for a call and lets the process between end at once: so
//! the call becomes a child of the slot, the next subreaper above, which waits for it as for a command. Its
//! usage is its own, its peak memory begins at the server's size (`rss_floor_bytes`).
//!
//! The server is no part of any task. Its *keeper* sees to that, a process of the slot's own program between
//! the two (`keeper`):
//!
//! ```text
//! slot ── keeper ── server          the keeper is passed over by the slot's waiting (clone child, wait(2)),
//!   └── call (was server's ── …)    by its sweeps and by the sampler (`SlotCell::apart`)
//! ```
//!
//! So waiting for a task's tree needs no look at `/proc` to know that only the server is left, and the end of
//! the server is reaped, with its usage and I/O, by the keeper and not by the slot in the midst of a task.
//!
//! No user code runs before the slot knows the call: it waits at a pipe, the *gate*, which the slot opens.
//! Where server or slot dies before that, the gate ends and the call with it, so it can be made again.
//!
//! - `server`: the slot's hold on its server
//! - `keeper`: the process between the two
//! - `messages`: what slot and server say; the README of this crate tells it to who writes another server

mod keeper;
mod messages;
mod server;

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use ictasks_core::column::Timestamp;
use ictasks_core::protocol::{Reply, TaskOrder, WorkingDirectory};

use super::directory::TaskDirectory;
use super::launch::{LaunchError, Started};
use super::sweep::Sweep;
use super::{Slot, SlotParts};
use crate::clock::seconds;
use crate::process_table::OwnIo;
use crate::sys::{self, SignalSet, Wait};
use messages::Call;
use server::{Failure, Lost, Made, Server, Starting, Waiting};

/// A server that has closed its socket ends by itself within this, and says by its exit code why.
const ENDS_WITHIN: Duration = Duration::from_secs(1);
/// How often it is looked for what a server left, and the pause between. What is left then hangs in the kernel.
const STRAY_LOOKS: usize = 100;
const STRAY_PAUSE: Duration = Duration::from_millis(10);

/// The server of a slot.
#[derive(Default)]
pub struct Calls {
    server: Option<Server>,
    /// It has been told that a server ended by itself.
    has_warned: bool,
}

impl Calls {
    /// Ends the server, if there is one.
    pub fn end(&mut self) {
        if let Some(server) = self.server.take() {
            server.end(Duration::ZERO);
        }
    }
}

impl Slot {
    /// Sees to it that there is a server that takes calls. Its start may take a while.
    pub(super) fn ready_for_calls(&mut self) -> Result<(), LaunchError> {
        if self.calls.server.as_ref().is_some_and(Server::is_idle) {
            return Ok(());
        }
        if let Some(lost) = self.calls.server.take() {
            let lost = self.bury(lost, ENDS_WITHIN);
            if !std::mem::replace(&mut self.calls.has_warned, true) {
                let message = format!(
                    "the call server of worker {} {} and is started again",
                    self.parts.worker.id, lost.how
                );
                // Where nobody listens, the slot is about to end.
                let _ = self.parts.replies.send(&Reply::Warning { message });
            }
        }
        let words = self.parts.setup.call_server.clone().unwrap_or_default();
        let starting = Starting {
            words: &words,
            environment: &self.environment,
            directory: &self.parts.setup.submit_dir,
        };
        let mut server = Server::start(&starting).map_err(LaunchError::Farm)?;
        self.parts.cell.set_apart(server.keeper_pid());
        match server.greet(&self.waiting()) {
            Ok(()) => {
                self.calls.server = Some(server);
                Ok(())
            }
            Err(failure) => Err(self.give_up(server, failure, "cannot be started")),
        }
    }

    /// Has the server make the call, in a process that has become this one's child. Returns it with its
    /// sequence in the slot's cell. A server that died before it took the call is replaced once.
    pub(super) fn start_call(
        &mut self,
        order: &TaskOrder,
        payload: &Path,
        directory: &TaskDirectory,
    ) -> Result<(Started, u64), LaunchError> {
        self.ready_for_calls()?;
        let handed = match self.hand_over(order, payload, directory) {
            Err(LaunchError::Server { .. }) => {
                self.ready_for_calls()?;
                self.hand_over(order, payload, directory)
            }
            other => other,
        };
        let (mut started, gate) = handed?;
        if self.parts.requests.stop().is_some() {
            // It is stopped where it is, at the gate.
            let goes_on = matches!(self.may_begin(), Ok(true));
            (started.at, started.monotonic_ns) = (Timestamp::now(), sys::monotonic_ns());
            if !goes_on {
                drop(gate);
                self.reap_strays();
                return Err(LaunchError::Unwanted);
            }
        }
        self.parts.cell.set_inherited_bytes(started.rss_floor_bytes.unwrap_or_default());
        let sequence = self.parts.cell.begin(&order.task_id, order.attempt, started.monotonic_ns);
        // A call that has ended already tells by its status why.
        let _ = rustix::io::write(&gate, &[1]);
        Ok((started, sequence))
    }

    /// Gives a call to the server. Returns the process and the gate at which it waits.
    fn hand_over(
        &mut self,
        order: &TaskOrder,
        payload: &Path,
        directory: &TaskDirectory,
    ) -> Result<(Started, OwnedFd), LaunchError> {
        let Some(mut server) = self.calls.server.take() else { return Err(LaunchError::Unwanted) };
        let (gate, opener) = match std::io::pipe() {
            Ok(pipe) => pipe,
            Err(error) => {
                self.calls.server = Some(server);
                return Err(LaunchError::Farm(error));
            }
        };
        let setup = &self.parts.setup;
        let variables = self.environment.of_task(setup, order, directory.path());
        let is_in_task_directory = setup.cwd == WorkingDirectory::Task;
        let call = Call {
            payload,
            cwd: if is_in_task_directory { directory.path() } else { &setup.submit_dir },
            environment: variables.of_task_alone(),
            oom_score_adj: self.launcher.oom_score_of_tasks(),
            has_cgroup: self.parts.cgroup.is_some(),
        };
        let stderr = directory.stderr().unwrap_or(directory.stdout());
        let mut descriptors =
            vec![self.launcher.null(), directory.stdout().as_fd(), stderr.as_fd(), gate.as_fd()];
        descriptors.extend(self.parts.cgroup.as_ref().map(|cgroup| cgroup.processes.as_fd()));
        let (sent_at, sent_ns) = (Timestamp::now(), sys::monotonic_ns());
        let made = server.make(call, &descriptors, &self.waiting());
        match made {
            Ok(Made::Call { pid, forked_ns, rss_bytes }) => {
                self.calls.server = Some(server);
                // Both read the same clock; what a server says of it may be anything.
                let monotonic_ns = forked_ns.clamp(sent_ns, sys::monotonic_ns());
                let at = sent_at.plus_seconds(seconds(monotonic_ns - sent_ns));
                let started = Started { pid, at, monotonic_ns, rss_floor_bytes: Some(rss_bytes) };
                Ok((started, opener.into()))
            }
            Ok(Made::Nothing(error)) => {
                self.calls.server = Some(server);
                Err(LaunchError::Farm(error))
            }
            Err(failure) => {
                drop(opener);
                Err(self.give_up(server, failure, "did not take the call"))
            }
        }
    }

    fn waiting(&self) -> Waiting<'_> {
        let SlotParts { requests, cell, agent_pid, replies, worker, .. } = &self.parts;
        Waiting { requests, cell, agent_pid: *agent_pid, replies, worker_id: worker.id }
    }

    /// Ends a server that did not do what it should.
    fn give_up(&mut self, server: Server, failure: Failure, what: &str) -> LaunchError {
        let patience = if matches!(failure, Failure::Ended) { ENDS_WITHIN } else { Duration::ZERO };
        let lost = self.bury(server, patience);
        let how = match failure {
            Failure::Unwanted => return LaunchError::Unwanted,
            Failure::System(error) => return LaunchError::Farm(error),
            Failure::Ended => format!("it {}", lost.how),
            Failure::Strange(said) => said,
        };
        let words = self.parts.setup.call_server.as_deref().unwrap_or_default().join(" ");
        LaunchError::Server {
            reason: format!("the call server `{words}` {what}: {how}"),
            printed: lost.printed,
        }
    }

    fn bury(&self, server: Server, patience: Duration) -> Lost {
        let lost = server.end(patience);
        self.parts.cell.set_apart(0);
        self.reap_strays();
        lost
    }

    /// Ends and reaps what a server left to this slot, before a task may be taken for its owner.
    fn reap_strays(&self) {
        for _ in 0..STRAY_LOOKS {
            loop {
                match sys::wait_any() {
                    Ok(Wait::Reaped(_)) => {}
                    Ok(Wait::Running) => break,
                    Ok(Wait::NoChildren) | Err(_) => return,
                }
            }
            let apart = [self.parts.cell.apart()];
            Sweep { group: None, spared: &apart }.kill(&mut OwnIo::default());
            sys::wait_signal(&SignalSet::of(&[libc::SIGCHLD]), STRAY_PAUSE);
        }
    }
}
