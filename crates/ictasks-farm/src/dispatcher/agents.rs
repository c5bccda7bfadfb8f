//! The agent that tasks are handed to: its beginning, its end, and what it leaves behind.

use std::collections::{HashMap, HashSet};

use ictasks_core::attempt::{Cause, Evidence, Outcome, Seat};
use ictasks_core::event::EventBody;
use ictasks_core::protocol::{NodeInfo, PROTOCOL_VERSION, Setup, TaskEnded, TaskStarted, Worker};

use super::endings::Fault;
use super::{Dispatcher, InFlight, StopReason};

/// So many agents are started in the place of lost ones.
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

/// The agent as far as the dispatcher knows it.
#[derive(Debug)]
pub(super) struct Agent {
    pub(super) is_there: bool,
    pub(super) node: Option<NodeInfo>,
    seats: Vec<Seat>,
    /// Stands for a worker that the plan does not have.
    unknown_seat: Seat,
    lost_count: i32,
}

impl Agent {
    /// One that is being started.
    pub(super) fn new(setup: &Setup) -> Self {
        let unknown = Worker { id: -1, cores: None, gpus: Vec::new() };
        let unknown_seat = setup.seat("", &unknown);
        Self { is_there: true, node: None, seats: Vec::new(), unknown_seat, lost_count: 0 }
    }

    /// What attempts on this worker hold.
    pub(super) fn seat(&self, worker_id: i32) -> &Seat {
        self.seats.iter().find(|seat| seat.worker_id == worker_id).unwrap_or(&self.unknown_seat)
    }
}

impl Dispatcher<'_> {
    pub(super) fn hello(&mut self, node: NodeInfo) {
        if node.protocol_version != PROTOCOL_VERSION {
            let theirs = node.protocol_version;
            let message =
                format!("the agent speaks version {theirs} of the protocol, not {PROTOCOL_VERSION}");
            self.stop(StopReason::Trouble(message));
        }
        self.event(node.at, EventBody::NodeJoined(node.clone()));
        let workers = self.setup.workers.iter();
        self.agent.seats = workers.map(|worker| self.setup.seat(&node.host, worker)).collect();
        self.agent.node = Some(node);
    }

    /// Whether an agent is to be started in the place of one that was lost.
    pub fn wants_agent(&self) -> bool {
        let has_nothing_to_do = self.list_complete && self.has_no_work();
        !(self.agent.is_there || self.is_stopping() || has_nothing_to_do)
    }

    /// A new agent has been started.
    pub fn agent_started(&mut self) {
        self.agent.is_there = true;
        self.agent.node = None;
        self.end_was_sent = false;
        self.dispatch();
        self.end_when_done();
    }

    /// Whether the agent was told that nothing more comes.
    pub const fn end_was_sent(&self) -> bool {
        self.end_was_sent
    }

    /// The attempts that the agent has.
    pub fn attempts_in_flight(&self) -> HashSet<AttemptKey> {
        self.in_flight.values().map(|in_flight| in_flight.job.key()).collect()
    }

    /// The agent and all its slots have ended; what it had is accounted for.
    pub fn agent_ended(&mut self, mut end: AgentEnd) {
        self.agent.is_there = false;
        let is_lost = !self.end_was_sent || (!end.is_orderly && !self.in_flight.is_empty());
        if is_lost {
            self.agent_lost(&end);
        }
        let mut left: Vec<_> = self.in_flight.drain().map(|(_, in_flight)| in_flight).collect();
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
    }

    fn agent_lost(&mut self, end: &AgentEnd) {
        let host = self.host();
        self.event(self.now, EventBody::NodeLost { host, message: end.how.clone() });
        self.agent.lost_count += 1;
        let how = &end.how;
        // One that never worked would not work the next time.
        if self.agent.node.is_none() {
            self.stop(StopReason::Trouble(format!("the agent ended before its work was done ({how})")));
        } else if self.agent.lost_count > MOST_NEW_AGENTS {
            let count = self.agent.lost_count;
            let message =
                format!("the agent ended before its work was done, {count} times by now (at last: {how})");
            self.stop(StopReason::Trouble(message));
        }
        if let Some(trouble) = &end.trouble {
            self.stop(StopReason::Trouble(format!("the agent ended ({how}), and {trouble}")));
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

    /// Name and number of the agent's host, once it has said them.
    pub fn agent_host(&self) -> Option<(&str, i32)> {
        self.agent.node.as_ref().map(|node| (node.host.as_str(), node.host_id))
    }

    pub(super) fn host(&self) -> String {
        self.agent.node.as_ref().map(|node| node.host.clone()).unwrap_or_default()
    }
}
