//! The coordinator's hold on its agent: from the start of the process until nothing is left of it.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;

use ictasks_core::layout;
use ictasks_core::protocol::{Reply, Request, Setup};
use ictasks_core::slot_log;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, ChildStdin, ChildStdout};

use crate::connection::Connection;
use crate::dispatcher::{AgentEnd, AttemptKey, Logged};
use crate::error::FarmError;
use crate::family::{Family, Program};
use crate::node::LocalNode;

/// An agent that has closed its pipes has nothing more to do than to exit.
const EXIT_TAKES: Duration = Duration::from_secs(10);

/// An agent, or what is left of it.
pub enum AgentLink {
    /// It works.
    Open(Box<OpenAgent>),
    /// It has closed its pipes, and what it leaves behind is waited for.
    Ending(Pin<Box<dyn Future<Output = AgentEnd> + Send>>),
    /// There is none.
    Gone,
}

/// An agent that works.
pub struct OpenAgent {
    connection: Connection<ChildStdout, ChildStdin>,
    child: Child,
    program: Option<Program>,
}

/// What an agent brings.
pub enum News {
    /// It said something, or took something in.
    Replies(Vec<Result<Reply, String>>),
    /// It will say no more; [`AgentLink::bury`] comes next.
    Closed,
    /// Nothing is left of it.
    Ended(AgentEnd),
}

/// What is needed to account for the tasks of an agent that has ended.
pub struct Burial {
    /// The children of this process.
    pub family: Family,
    /// The agent's slot log; `None` if it never said where it is.
    pub log: Option<PathBuf>,
    /// The session whose attempts count.
    pub session: i32,
    /// The attempts that the agent had.
    pub in_flight: HashSet<AttemptKey>,
    /// Whether it was told that nothing more comes.
    pub end_was_sent: bool,
}

impl AgentLink {
    /// Starts an agent.
    ///
    /// # Errors
    /// [`FarmError::StartAgent`].
    pub fn start(program: &Path, setup: &Setup) -> Result<Self, FarmError> {
        let LocalNode { child, requests, replies } = LocalNode::start(program)?;
        let program = child.id().and_then(Program::of);
        let connection = Connection::new(replies, requests, setup);
        Ok(Self::Open(Box::new(OpenAgent { connection, child, program })))
    }

    /// Whether an agent is there that takes requests.
    pub const fn is_open(&self) -> bool {
        matches!(self, Self::Open(_))
    }

    /// Whether there is none, and nothing left of one.
    pub const fn is_gone(&self) -> bool {
        matches!(self, Self::Gone)
    }

    /// Sends a request, if there is an agent.
    pub fn queue(&mut self, request: &Request) {
        let Self::Open(agent) = self else { return };
        agent.connection.queue(request);
        if matches!(request, Request::Terminate { .. }) {
            agent.wake();
        }
    }

    /// Waits for what comes next; for ever if there is no agent. May be given up and called again.
    pub async fn next(&mut self) -> News {
        match self {
            Self::Open(agent) => {
                if !agent.connection.is_open() {
                    return News::Closed;
                }
                agent.connection.exchange().await;
                News::Replies(agent.connection.take_replies())
            }
            Self::Ending(burial) => {
                let end = burial.await;
                *self = Self::Gone;
                News::Ended(end)
            }
            Self::Gone => std::future::pending().await,
        }
    }

    /// Begins to wait for what an agent leaves behind.
    pub fn bury(&mut self, burial: Burial) {
        *self = match std::mem::replace(self, Self::Gone) {
            Self::Open(agent) => {
                let OpenAgent { child, program, .. } = *agent;
                Self::Ending(Box::pin(burial.perform(child, program)))
            }
            other => other,
        };
    }
}

impl OpenAgent {
    /// An agent that somebody has stopped could end nothing: it goes on.
    fn wake(&self) {
        let pid = self.child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        if let Some(pid) = pid {
            // It may have ended meanwhile, and is not reaped yet.
            let _ = kill_process(pid, Signal::CONT);
        }
    }
}

impl Burial {
    async fn perform(self, mut child: Child, program: Option<Program>) -> AgentEnd {
        let exit = tokio::time::timeout(EXIT_TAKES, child.wait()).await;
        let exit = match exit {
            Ok(exit) => exit,
            Err(_) => {
                // It hangs; what it holds up comes first.
                let _ = child.start_kill();
                child.wait().await
            }
        };
        let is_orderly = self.end_was_sent && exit.as_ref().is_ok_and(std::process::ExitStatus::success);
        let how = exit.map_or_else(|error| error.to_string(), |status| status.to_string());
        let end = AgentEnd { how, is_orderly, logged: HashMap::new(), trouble: None };
        if is_orderly && self.in_flight.is_empty() {
            return end;
        }
        let (sender, looked) = tokio::sync::oneshot::channel();
        let look = move || {
            // Without a listener the run has ended.
            let _ = sender.send(self.look(program));
        };
        let started = crate::threads::start("family", look);
        let (logged, trouble) = match (started, looked.await) {
            (Ok(()), Ok(found)) => found,
            (Ok(()), Err(error)) => (HashMap::new(), Some(format!("the look at its log failed: {error}"))),
            (Err(error), _) => (HashMap::new(), Some(format!("failed to {error}"))),
        };
        AgentEnd { logged, trouble, ..end }
    }

    /// Waits until nothing is left, and reads the log.
    fn look(&self, program: Option<Program>) -> (HashMap<AttemptKey, Logged>, Option<String>) {
        let are_gone = self.family.wait_until_gone(program);
        let (logged, damage) = match self.log.as_ref().filter(|_| !self.in_flight.is_empty()) {
            Some(log) => self.read(log),
            None => (HashMap::new(), None),
        };
        let remains =
            "processes of its tasks cannot be killed; see `ps`, and go on with --resume when they are gone";
        let trouble = if are_gone { damage } else { Some(remains.to_owned()) };
        (logged, trouble)
    }

    fn read(&self, log: &Path) -> (HashMap<AttemptKey, Logged>, Option<String>) {
        let mut found: HashMap<AttemptKey, Logged> = HashMap::new();
        let read = slot_log::read(log, &mut |logged| {
            let key = (logged.order.task_index, logged.order.attempt);
            if logged.seat.session != self.session || !self.in_flight.contains(&key) {
                return;
            }
            let is_known = found.get(&key).is_some_and(|known| known.ended.is_some());
            if !is_known {
                found.insert(key, Logged { worker_id: logged.seat.worker_id, ended: logged.ended });
            }
        });
        let damage = read.err().map(|error| format!("its log `{}` cannot be read: {error}", log.display()));
        (found, damage)
    }
}

/// Where the agent of a host keeps its slot log.
pub fn log_of(run_dir: &Path, host: &str, host_id: i32) -> PathBuf {
    run_dir.join(layout::JOURNAL).join(layout::agent_log(host, host_id))
}
