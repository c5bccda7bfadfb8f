//! The coordinator's hold on its agent: from the start of the process until nothing is left of it.

use std::collections::HashMap;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use ictasks_core::protocol::{Reply, Request, Setup};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, ChildStdin, ChildStdout};

use crate::burial::{self, Burial};
use crate::connection::Connection;
use crate::dispatcher::AgentEnd;
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
    pub fn bury(&mut self, burial: Burial, family: Family) {
        *self = match std::mem::replace(self, Self::Gone) {
            Self::Open(agent) => {
                let OpenAgent { child, program, .. } = *agent;
                Self::Ending(Box::pin(bury(burial, family, child, program)))
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

/// Waits until nothing is left of an agent of this machine, and for what its log says.
async fn bury(burial: Burial, family: Family, mut child: Child, program: Option<Program>) -> AgentEnd {
    let exit = tokio::time::timeout(EXIT_TAKES, child.wait()).await;
    let exit = match exit {
        Ok(exit) => exit,
        Err(_) => {
            // It hangs; what it holds up comes first.
            let _ = child.start_kill();
            child.wait().await
        }
    };
    let is_orderly = burial.end_was_sent && exit.as_ref().is_ok_and(std::process::ExitStatus::success);
    let how = exit.map_or_else(|error| error.to_string(), |status| status.to_string());
    let end = AgentEnd { how, is_orderly, logged: HashMap::new(), trouble: None };
    if is_orderly && !burial.has_tasks() {
        return end;
    }
    let look = move || {
        let are_gone = family.wait_until_gone(program);
        let (logged, damage) = burial.read_log();
        let remains =
            "processes of its tasks cannot be killed; see `ps`, and go on with --resume when they are gone";
        let trouble = if are_gone { damage } else { Some(remains.to_owned()) };
        (logged, trouble)
    };
    let (logged, trouble) = burial::look(look).await;
    AgentEnd { logged, trouble, ..end }
}
