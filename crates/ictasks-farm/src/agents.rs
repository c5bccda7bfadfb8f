//! The agents of a run: the one of this machine, or those of other nodes.

use std::path::Path;

use ictasks_core::handshake::Facts;
use ictasks_core::plan::{Backend, Plan};
use ictasks_core::protocol::{Reply, Request};

use crate::agent_link::{self, AgentLink};
use crate::backend::start_commands;
use crate::burial::{Burial, log_of};
use crate::dispatcher::{AgentEnd, AgentId, Applicant, Dispatcher, LOCAL_AGENT, StopReason};
use crate::error::FarmError;
use crate::family::Family;
use crate::nodes::{self, Application, Nodes, Occasion};

/// The agents of a run.
pub enum Agents<'a> {
    /// One, of this machine.
    Local(Box<LocalAgent<'a>>),
    /// Of other nodes.
    Nodes(Box<Nodes>),
}

/// The agent of this machine, and what is needed to start another one in its place.
pub struct LocalAgent<'a> {
    link: AgentLink,
    program: &'a Path,
    family: Family,
}

/// What agents bring.
pub enum News {
    /// One wants to join.
    Applies(Box<Application>),
    /// One said something, or took something in.
    Replies(AgentId, Vec<Result<Reply, String>>),
    /// One will say no more; [`Agents::bury`] comes next.
    Closed(AgentId),
    /// Nothing is left of one.
    Ended(AgentId, AgentEnd),
    /// For the user.
    Warning(String),
    /// See [`Agents::nobody_comes`].
    FewerToCome,
}

impl<'a> Agents<'a> {
    /// Starts the agents of a plan with this program.
    ///
    /// # Errors
    /// What keeps the run from beginning.
    pub fn start(plan: &Plan, dispatcher: &Dispatcher<'_>, program: &'a Path) -> Result<Self, FarmError> {
        if plan.backend.is_local() {
            let family = Family::adopt_orphans()
                .map_err(|source| FarmError::System { action: "become the parent of orphans", source })?;
            let link = start_local(program, dispatcher)?;
            return Ok(Self::Local(Box::new(LocalAgent { link, program, family })));
        }
        let occasion = Occasion {
            run_id: &dispatcher.session().run_id,
            run_dir: &plan.run_dir,
            node_names: &plan.backend.node_names(),
            looks_for_gpus: plan.task_distribution.gpus_per_task > 0,
        };
        let commands = start_commands(&plan.backend, program)?;
        Ok(Self::Nodes(Box::new(Nodes::invite(&occasion, commands)?)))
    }

    /// Whether no agent is there, and nothing left of one.
    pub fn are_gone(&self) -> bool {
        match self {
            Self::Local(local) => local.link.is_gone(),
            Self::Nodes(nodes) => nodes.are_gone(),
        }
    }

    /// Starts another agent in the place of one that is gone. False if it is to be waited for.
    pub fn start_again(&mut self, dispatcher: &mut Dispatcher<'_>) -> bool {
        let Self::Local(local) = self else { return false };
        match start_local(local.program, dispatcher) {
            Ok(link) => {
                local.link = link;
                dispatcher.agent_started(LOCAL_AGENT);
            }
            Err(error) => {
                let message = match std::error::Error::source(&error) {
                    Some(source) => format!("failed to {error}: {source}"),
                    None => format!("failed to {error}"),
                };
                dispatcher.stop(StopReason::Trouble(message));
            }
        }
        true
    }

    /// Why no agent is there and none will come, if so.
    pub fn nobody_comes(&self) -> Option<String> {
        match self {
            Self::Local(_) => None,
            Self::Nodes(nodes) => nodes.nobody_comes(),
        }
    }

    /// Sends requests to agents.
    pub fn send(&mut self, requests: &[(AgentId, Request)]) {
        match self {
            Self::Local(local) => requests.iter().for_each(|(_, request)| local.link.queue(request)),
            Self::Nodes(nodes) => {
                requests.iter().for_each(|(agent, request)| nodes.queue(*agent, request));
                nodes.flush(requests.iter().map(|(agent, _)| *agent));
            }
        }
    }

    /// Sends a request to all agents. False if there is none.
    pub fn send_all(&mut self, request: &Request) -> bool {
        match self {
            Self::Local(local) => {
                local.link.queue(request);
                local.link.is_open()
            }
            Self::Nodes(nodes) => nodes.send_all(request),
        }
    }

    /// Whether the coordinator may stand still for as long as it likes: agents of other nodes take one that
    /// does for dead.
    pub const fn may_wait(&self) -> bool {
        matches!(self, Self::Local(_))
    }

    /// Waits for what comes next. May be given up and called again.
    pub async fn next(&mut self) -> News {
        match self {
            Self::Local(local) => match local.link.next().await {
                agent_link::News::Replies(replies) => News::Replies(LOCAL_AGENT, replies),
                agent_link::News::Closed => News::Closed(LOCAL_AGENT),
                agent_link::News::Ended(end) => News::Ended(LOCAL_AGENT, end),
            },
            Self::Nodes(nodes) => match nodes.next().await {
                nodes::News::Applies(application) => News::Applies(application),
                nodes::News::Replies(agent, replies) => {
                    News::Replies(agent, replies.into_iter().map(Ok).collect())
                }
                nodes::News::Closed(agent) => News::Closed(agent),
                nodes::News::Ended(agent, end) => News::Ended(agent, end),
                nodes::News::Warning(message) => News::Warning(message),
                nodes::News::FewerToCome => News::FewerToCome,
            },
        }
    }

    /// An agent wants to join: its workers come from what it may use.
    pub fn admit(&mut self, application: Application, plan: &Plan, dispatcher: &mut Dispatcher<'_>) {
        let Self::Nodes(nodes) = self else { return };
        let (facts, clock_offset_s) = (&application.facts, application.clock_offset_s);
        let host = &facts.machine.host;
        tell_of_shortage(facts, &plan.backend, dispatcher);
        let share = match plan.share_of(&usable(facts, plan)) {
            Ok(share) if !share.workers.is_empty() => share,
            Ok(_) => return Nodes::refuse(application, "it has no room for a worker".to_owned()),
            Err(error) => {
                dispatcher.warn(format!("the node {host} cannot be used: {error}"));
                return Nodes::refuse(application, error.to_string());
            }
        };
        share.warnings.iter().for_each(|warning| dispatcher.warn(format!("the node {host}: {warning}")));
        let applicant = Applicant {
            host: host.clone(),
            workers: share.workers,
            cores_per_task: share.cores_per_task,
            clock_offset_s,
        };
        match dispatcher.join(applicant) {
            Some((agent, setup)) => nodes.accept(agent, application, setup),
            None => Nodes::decline(application),
        }
    }

    /// Begins to wait for what an agent leaves behind.
    pub fn bury(&mut self, agent: AgentId, plan: &Plan, session: i32, dispatcher: &mut Dispatcher<'_>) {
        dispatcher.agent_closed(agent);
        let host = dispatcher.agent_host(agent);
        let burial = Burial {
            log: host.map(|(host, host_id)| log_of(&plan.run_dir, host, host_id)),
            session,
            in_flight: dispatcher.attempts_in_flight(agent),
            end_was_sent: dispatcher.end_was_sent(agent),
        };
        match self {
            Self::Local(local) => local.link.bury(burial, local.family.clone()),
            Self::Nodes(nodes) => nodes.bury(agent, burial),
        }
    }

    /// Ends what is left to end.
    pub async fn finish(self) {
        if let Self::Nodes(nodes) = self {
            nodes.finish().await;
        }
    }
}

fn start_local(program: &Path, dispatcher: &Dispatcher<'_>) -> Result<AgentLink, FarmError> {
    // The dispatcher of a local run has this agent from its beginning.
    match dispatcher.setup(LOCAL_AGENT) {
        Some(setup) => AgentLink::start(program, setup),
        None => Ok(AgentLink::Gone),
    }
}

/// What of its machine an agent may use: the CPUs of the job, also where nothing else keeps it from taking more.
fn usable(facts: &Facts, plan: &Plan) -> ictasks_core::machine::Machine {
    let mut machine = facts.machine.clone();
    let allocated = facts.slurm.as_ref().and_then(|place| plan.backend.cpus_of(&place.node));
    if let Some(cpus) = allocated.filter(|cpus| *cpus < machine.logical_cpu_count()) {
        let allowed = f64::from(cpus);
        machine.cpu_quota = Some(machine.cpu_quota.map_or(allowed, |quota| quota.min(allowed)));
    }
    machine
}

fn tell_of_shortage(facts: &Facts, backend: &Backend, dispatcher: &mut Dispatcher<'_>) {
    let Some(place) = &facts.slurm else { return };
    let Some(allocated) = backend.cpus_of(&place.node) else { return };
    let usable = facts.machine.limiting_quota().unwrap_or(facts.machine.logical_cpu_count());
    if usable < allocated {
        dispatcher.warn(format!(
            "the agent on {} may use {usable} CPUs, and the job has {allocated} there: the others stay idle; \
             see how Slurm confines and binds steps (TaskPlugin, ConstrainCores)",
            place.node
        ));
    }
}
