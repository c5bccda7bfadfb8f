//! An agent's beginning, and its end: what it leaves behind.

use std::collections::{HashMap, HashSet};

use ictasks_core::attempt::{Cause, Evidence, Outcome};
use ictasks_core::event::EventBody;
use ictasks_core::protocol::{NodeInfo, PROTOCOL_VERSION, Request, Setup, TaskEnded, TaskStarted, Worker};

use super::endings::Fault;
use super::team::AgentId;
use super::{Dispatcher, InFlight, StopReason};
use crate::setup::setup;

/// So many agents are started in the place of lost ones, on the coordinator's own machine.
const MOST_NEW_AGENTS: i32 = 3;

/// Names an attempt: position of the task in the list, and the attempt's number.
pub type AttemptKey = (i64, i32);

/// What is known of an agent that has ended.
#[derive(Debug)]
pub struct AgentEnd {
    /// For people: how it ended.
    pub how: String,
    /// Whether it ended by itself after it was told that nothing more comes.
    pub is_orderly: bool,
    /// What its slot log says of the attempts in flight.
    pub logged: HashMap<AttemptKey, Logged>,
    /// Why no new agent may take its place: tasks may still run, or its log cannot be read.
    pub trouble: Option<String>,
}

/// An attempt that was begun, as a slot log tells it.
#[derive(Debug)]
pub struct Logged {
    /// On which worker.
    pub worker_id: i32,
    /// How it ended, if anybody saw that.
    pub ended: Option<TaskEnded>,
}

/// An agent that wants to join.
#[derive(Clone, Debug)]
pub struct Applicant {
    /// The name of its host.
    pub host: String,
    /// Its workers.
    pub workers: Vec<Worker>,
    /// Cores that each of them has.
    pub cores_per_task: i32,
    /// Its clock less the coordinator's, seconds.
    pub clock_offset_s: f64,
}

impl Dispatcher<'_> {
    /// An agent of another node joins. Returns its number and what it is to be told; `None` if there is nothing
    /// left to do.
    pub fn join(&mut self, applicant: Applicant) -> Option<(AgentId, Setup)> {
        if self.is_stopping() || (self.list_complete && self.has_no_work()) {
            return None;
        }
        let Applicant { host, workers, cores_per_task, clock_offset_s } = applicant;
        let setup = Setup {
            host_id: self.team.next_id(),
            workers,
            cores_per_task,
            clock_offset_s,
            ..setup(self.plan, &self.session)
        };
        Some((self.team.add(setup.clone(), &host, clock_offset_s), setup))
    }

    pub(super) fn hello(&mut self, agent: AgentId, node: NodeInfo) {
        if node.protocol_version != PROTOCOL_VERSION {
            let theirs = node.protocol_version;
            let message =
                format!("the agent speaks version {theirs} of the protocol, not {PROTOCOL_VERSION}");
            self.stop(StopReason::Trouble(message));
        }
        let offset_s = self.team.get(agent).map_or(0.0, |agent| agent.clock_offset_s);
        self.event(node.at.plus_seconds(-offset_s), EventBody::NodeJoined(node.clone()));
        if let Some(agent) = self.team.get_mut(agent) {
            agent.introduce(node);
        }
    }

    /// Something is wrong with an agent. Where others work, they work on without it.
    pub(super) fn agent_in_trouble(&mut self, agent: AgentId, message: String) {
        let others_work = self.team.working().any(|other| other != agent);
        if others_work && !self.is_stopping() && !self.end_was_sent(agent) {
            self.set_aside(agent, &message);
            return;
        }
        let message = match self.is_local {
            true => message,
            false => format!("the node {}: {message}", self.host(agent)),
        };
        if others_work && !self.is_stopping() {
            self.warn(message);
        } else {
            self.stop(StopReason::Trouble(message));
        }
    }

    /// An agent gets no more tasks, and gives back what has not started.
    pub(super) fn set_aside(&mut self, agent: AgentId, why: &str) {
        let host = self.host(agent);
        self.warn(format!("the node {host} gets no more tasks: {why}"));
        self.event(self.now, EventBody::NodeSetAside { host, message: why.to_owned() });
        self.request(agent, Request::Recall);
        self.request(agent, Request::End);
        self.team.dismiss(agent);
    }

    /// Whether an agent is to be started in the place of one that was lost.
    pub fn wants_agent(&self) -> bool {
        let has_nothing_to_do = self.list_complete && self.has_no_work();
        !(self.team.there().next().is_some() || self.is_stopping() || has_nothing_to_do)
    }

    /// A new agent has been started.
    pub fn agent_started(&mut self, agent: AgentId) {
        self.team.returns(agent);
        self.dispatch();
        self.end_when_done();
    }

    /// An agent will say no more, and takes no more requests. Its tasks may run still:
    /// [`Dispatcher::agent_ended`] comes when that is over.
    pub fn agent_closed(&mut self, agent: AgentId) {
        self.team.leaves(agent);
    }

    /// Whether the agent was told that nothing more comes.
    pub fn end_was_sent(&self, agent: AgentId) -> bool {
        self.team.get(agent).is_some_and(|agent| agent.end_was_sent)
    }

    /// The attempts that the agent has.
    pub fn attempts_in_flight(&self, agent: AgentId) -> HashSet<AttemptKey> {
        let held = self.in_flight.values().filter(|in_flight| in_flight.agent == agent);
        held.map(|in_flight| in_flight.job.key()).collect()
    }

    /// The agent and all its slots have ended; what it had is accounted for.
    pub fn agent_ended(&mut self, agent: AgentId, mut end: AgentEnd) {
        let mut left = self.take_in_flight(agent);
        let is_lost = !self.end_was_sent(agent) || (!end.is_orderly && !left.is_empty());
        self.team.leaves(agent);
        if is_lost {
            self.agent_lost(agent, &end);
        }
        left.sort_unstable_by_key(|in_flight| in_flight.job.order.task_index);
        for in_flight in left {
            let logged = end.logged.remove(&in_flight.job.key());
            match (logged, &in_flight.started) {
                (Some(Logged { ended: Some(ended), .. }), _) => {
                    // An agent whose pipe broke takes its coordinator for lost.
                    let of_loss = [Some(Cause::AgentLost), Some(Cause::CoordinatorLost)];
                    let was_swept_away =
                        ended.outcome == Outcome::Cancelled && of_loss.contains(&ended.cause);
                    let fault = if is_lost && was_swept_away { Fault::Agent } else { Fault::Own };
                    self.ended(in_flight, ended, fault);
                }
                (Some(Logged { worker_id, ended: None }), _) => {
                    self.end_unseen(in_flight, worker_id, is_lost);
                }
                (None, Some(TaskStarted { worker_id, .. })) => {
                    let worker_id = *worker_id;
                    self.end_unseen(in_flight, worker_id, is_lost);
                }
                (None, None) if self.is_stopping() => self.leave(in_flight.job),
                (None, None) => self.queue.push_given_back(in_flight.job),
            }
        }
        self.dispatch();
        self.end_when_done();
    }

    fn take_in_flight(&mut self, agent: AgentId) -> Vec<InFlight> {
        let taken: Vec<InFlight> = self
            .in_flight
            .extract_if(|_, in_flight| in_flight.agent == agent)
            .map(|(_, held)| held)
            .collect();
        taken.iter().for_each(|_| self.team.release(agent));
        taken
    }

    fn agent_lost(&mut self, agent: AgentId, end: &AgentEnd) {
        let how = &end.how;
        self.event(self.now, EventBody::NodeLost { host: self.host(agent), message: how.clone() });
        if !self.is_local {
            self.node_lost(agent, end);
            return;
        }
        let Some(lost) = self.team.get_mut(agent) else { return };
        lost.lost_count += 1;
        let count = lost.lost_count;
        // One that never worked would not work the next time.
        if lost.node.is_none() {
            self.stop(StopReason::Trouble(format!("the agent ended before its work was done ({how})")));
        } else if count > MOST_NEW_AGENTS {
            let message =
                format!("the agent ended before its work was done, {count} times by now (at last: {how})");
            self.stop(StopReason::Trouble(message));
        }
        if let Some(trouble) = &end.trouble {
            self.stop(StopReason::Trouble(format!("the agent ended ({how}), and {trouble}")));
        }
    }

    /// Another node takes over what it had.
    fn node_lost(&mut self, agent: AgentId, end: &AgentEnd) {
        let (host, how) = (self.host(agent), &end.how);
        self.warn(format!("the node {host} was lost: {how}"));
        if let Some(trouble) = &end.trouble {
            self.warn(format!("of what the node {host} had, only this is known: {trouble}"));
        }
    }

    /// An attempt that was begun and whose end nobody saw: its slot or its agent is gone.
    fn end_unseen(&mut self, in_flight: InFlight, worker_id: i32, agent_is_lost: bool) {
        let (outcome, cause, fault) = if agent_is_lost {
            (Outcome::NodeLost, None, Fault::Agent)
        } else {
            (Outcome::Cancelled, Some(Cause::SlotLost), Fault::Own)
        };
        let (task_index, attempt) = in_flight.job.key();
        let started = in_flight.started.clone();
        let ended = TaskEnded {
            pid: started.as_ref().map(|started| started.pid),
            started_at: started.as_ref().map(|started| started.started_at),
            cause,
            cause_evidence: cause.map(|_| Evidence::Probable),
            ..TaskEnded::unmeasured(task_index, attempt, worker_id, outcome)
        };
        self.ended(in_flight, ended, fault);
    }

    /// Name and number of an agent's host, once it has said them.
    pub fn agent_host(&self, agent: AgentId) -> Option<(&str, i32)> {
        let node = self.team.get(agent)?.node.as_ref()?;
        Some((node.host.as_str(), node.host_id))
    }

    pub(super) fn host(&self, agent: AgentId) -> String {
        self.team.get(agent).map(|agent| agent.host().to_owned()).unwrap_or_default()
    }
}
