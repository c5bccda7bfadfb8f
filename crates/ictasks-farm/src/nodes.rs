//! The agents of other nodes, as the coordinator's loop sees them.
//!
//! All that concerns the network happens in a thread of its own (`hub`), which touches neither files nor
//! the recorder: however long the record takes, beats are heard and echoed.
//!
//! - [`hub`]: the thread: who connects, who starts the agents
//! - [`guest`]: one connection, from the handshake to its end
//! - [`launcher`]: the processes that start agents
//! - [`addresses`]: where agents find us

mod addresses;
mod guest;
mod hub;
mod launcher;

use std::collections::BTreeMap;
use std::time::Duration;

use ictasks_core::handshake::{Facts, Invitation, Secret};
use ictasks_core::protocol::{PROTOCOL_VERSION, Reply, Request, Setup};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::backend::StartCommand;
use crate::burial::Burial;
use crate::dispatcher::{AgentEnd, AgentId};
use crate::error::FarmError;

/// If nobody has joined by then, nobody will.
const FIRST_JOINS_WITHIN: Duration = Duration::from_secs(600);

/// What the hub tells the loop.
enum FromHub {
    /// An agent has proved that it belongs to the run, and wants to join.
    Applies(Box<Application>),
    /// It said something.
    Replies { agent: AgentId, replies: Vec<Reply> },
    /// It will say no more.
    Closed { agent: AgentId, how: Closing },
    /// An agent cannot work on its node.
    Failed(String),
    /// For the user.
    Warning(String),
    /// All that starts agents has ended: how.
    LaunchersEnded(String),
}

/// An agent that wants to join.
pub struct Application {
    /// What it may use.
    pub facts: Facts,
    /// Its clock less ours, seconds.
    pub clock_offset_s: f64,
    answer: oneshot::Sender<Answer>,
}

/// What an application comes to.
enum Answer {
    Accepted { agent: AgentId, setup: Box<Setup>, requests: mpsc::UnboundedReceiver<Vec<u8>> },
    Refused(String),
    NotNeeded,
}

/// How a connection ended.
#[derive(Clone, Debug)]
struct Closing {
    how: String,
    /// The agent said that nothing of it is left.
    said_gone: bool,
    /// From then on nothing of it can be left.
    over_at: Instant,
}

/// What an agent brings.
pub enum News {
    /// It wants to join.
    Applies(Box<Application>),
    /// It said something.
    Replies(AgentId, Vec<Reply>),
    /// It will say no more; [`Nodes::bury`] comes next.
    Closed(AgentId),
    /// Nothing is left of it.
    Ended(AgentId, AgentEnd),
    /// For the user.
    Warning(String),
    /// Agents that may yet join have become fewer.
    FewerToCome,
}

/// The agents of a run.
pub struct Nodes {
    news: mpsc::UnboundedReceiver<FromHub>,
    /// Those that take requests.
    open: BTreeMap<AgentId, Open>,
    closed: BTreeMap<AgentId, Closing>,
    /// Of those the ones that the loop does not know of.
    untold: Vec<AgentId>,
    burials: JoinSet<(AgentId, AgentEnd)>,
    hub: hub::Handle,
    /// How many agents may come, where that is known.
    expected: Option<usize>,
    /// How many have come, or have said that they cannot.
    answered: usize,
    /// How what starts them ended, once it has.
    launchers_ended: Option<String>,
    first_until: Instant,
}

struct Open {
    requests: mpsc::UnboundedSender<Vec<u8>>,
    /// Lines that have not been passed on.
    outgoing: Vec<u8>,
}

/// What agents are invited to.
pub struct Occasion<'a> {
    /// The run.
    pub run_id: &'a str,
    /// Its directory.
    pub run_dir: &'a std::path::Path,
    /// Nodes that are expected, by name.
    pub node_names: &'a [String],
    /// Whether they have to look for GPUs.
    pub looks_for_gpus: bool,
}

impl Nodes {
    /// Starts to listen, and starts the agents.
    ///
    /// # Errors
    /// What keeps this host from listening.
    pub fn invite(occasion: &Occasion<'_>, commands: Vec<StartCommand>) -> Result<Self, FarmError> {
        let system = |action| move |source| FarmError::System { action, source };
        let listener = addresses::listen().map_err(system("listen for agents"))?;
        let port = listener.local_addr().map_err(system("listen for agents"))?.port();
        let invitation = Invitation {
            protocol_version: PROTOCOL_VERSION,
            run_id: occasion.run_id.to_owned(),
            secret: Secret::random().map_err(system("make the secret of the run"))?,
            addresses: addresses::of_this_host(port, occasion.node_names),
            run_dir: occasion.run_dir.to_owned(),
            looks_for_gpus: occasion.looks_for_gpus,
        };
        let counts = commands.iter().map(|command| command.agent_count);
        let expected = counts.sum::<Option<usize>>();
        let (hub, news) = hub::start(listener, invitation, commands)?;
        Ok(Self {
            news,
            open: BTreeMap::new(),
            closed: BTreeMap::new(),
            untold: Vec::new(),
            burials: JoinSet::new(),
            hub,
            expected,
            answered: 0,
            launchers_ended: None,
            first_until: Instant::now() + FIRST_JOINS_WITHIN,
        })
    }

    /// Whether no agent is there, and nothing left of one.
    pub fn are_gone(&self) -> bool {
        self.open.is_empty() && self.closed.is_empty() && self.burials.is_empty()
    }

    /// Why no agent will ever come, if so.
    pub fn nobody_comes(&self) -> Option<String> {
        if !self.are_gone() {
            return None;
        }
        if let Some(how) = &self.launchers_ended {
            return Some(format!("no node is left: what started the agents has ended ({how})"));
        }
        if self.expected.is_some_and(|expected| self.answered >= expected) {
            return Some(format!("no node is left of {}", self.answered));
        }
        (self.answered == 0 && Instant::now() >= self.first_until)
            .then(|| format!("no agent has answered within {} s", FIRST_JOINS_WITHIN.as_secs()))
    }

    /// An agent joins.
    pub fn accept(&mut self, agent: AgentId, application: Application, setup: Setup) {
        let (requests, receiver) = mpsc::unbounded_channel();
        self.open.insert(agent, Open { requests, outgoing: Vec::new() });
        let answer = Answer::Accepted { agent, setup: Box::new(setup), requests: receiver };
        if application.answer.send(answer).is_err() {
            let how = "its connection ended before it was told what to do".to_owned();
            self.open.remove(&agent);
            self.closed.insert(agent, Closing { how, said_gone: true, over_at: Instant::now() });
            self.untold.push(agent);
        }
    }

    /// Nothing is left for an agent to do.
    pub fn decline(application: Application) {
        let _ = application.answer.send(Answer::NotNeeded);
    }

    /// An agent must not join.
    pub fn refuse(application: Application, why: String) {
        // It may have gone meanwhile.
        let _ = application.answer.send(Answer::Refused(why));
    }

    /// Sends a request to an agent, with all others by [`Nodes::flush`].
    pub fn queue(&mut self, agent: AgentId, request: &Request) {
        if let Some(open) = self.open.get_mut(&agent) {
            // Plain data always serialises.
            open.outgoing.extend(serde_json::to_vec(request).unwrap_or_default());
            open.outgoing.push(b'\n');
        }
    }

    /// Sends a request to all agents. False if there is none.
    pub fn send_all(&mut self, request: &Request) -> bool {
        let all: Vec<AgentId> = self.open.keys().copied().collect();
        all.iter().for_each(|agent| self.queue(*agent, request));
        self.flush(all.iter().copied());
        !all.is_empty()
    }

    /// Passes on what was queued for these agents.
    pub fn flush(&mut self, agents: impl Iterator<Item = AgentId>) {
        for agent in agents {
            if let Some(open) = self.open.get_mut(&agent).filter(|open| !open.outgoing.is_empty()) {
                // The end of a connection is told by the hub.
                let _ = open.requests.send(std::mem::take(&mut open.outgoing));
            }
        }
    }

    /// Waits for what comes next. May be given up and called again.
    pub async fn next(&mut self) -> News {
        loop {
            if let Some(agent) = self.untold.pop() {
                return News::Closed(agent);
            }
            let joins_first = self.answered == 0 && Instant::now() < self.first_until;
            tokio::select! {
                news = self.news.recv() => match news {
                    Some(news) => return self.take(news),
                    // The hub's thread has ended with everything: nobody can come or say anything.
                    None => std::future::pending().await,
                },
                Some(buried) = self.burials.join_next() => {
                    if let Ok((agent, end)) = buried {
                        return News::Ended(agent, end);
                    }
                }
                () = tokio::time::sleep_until(self.first_until), if joins_first => return News::FewerToCome,
            }
        }
    }

    fn take(&mut self, news: FromHub) -> News {
        match news {
            FromHub::Applies(application) => {
                self.answered += 1;
                News::Applies(application)
            }
            FromHub::Replies { agent, replies } => News::Replies(agent, replies),
            FromHub::Closed { agent, how } => {
                self.open.remove(&agent);
                self.closed.insert(agent, how);
                News::Closed(agent)
            }
            FromHub::Failed(message) => {
                self.answered += 1;
                News::Warning(message)
            }
            FromHub::Warning(message) => News::Warning(message),
            FromHub::LaunchersEnded(how) => {
                self.launchers_ended = Some(how);
                News::FewerToCome
            }
        }
    }

    /// Waits until nothing can be left of a closed agent, and then for what its slot log says.
    pub fn bury(&mut self, agent: AgentId, burial: Burial) {
        let Some(Closing { how, said_gone, over_at }) = self.closed.remove(&agent) else { return };
        self.burials.spawn(async move {
            if !said_gone && burial.has_tasks() {
                tokio::time::sleep_until(over_at).await;
            }
            let is_orderly = said_gone && burial.end_was_sent;
            (agent, burial.of_node(how, is_orderly).await)
        });
    }

    /// Ends what started the agents, and the hub.
    pub async fn finish(self) {
        drop(self.open);
        self.hub.finish().await;
    }
}
