//! The agents that tasks are handed to: who is there, what each holds, and who has room.
//!
//! The next task goes to the agent whose workers have the least to do, so nodes of different sizes are
//! filled in proportion.

use std::collections::BTreeSet;

use ictasks_core::attempt::{Outcome, Seat};
use ictasks_core::protocol::{NodeInfo, Setup, Worker};

use super::black_hole::{Elsewhere, Row};
use crate::window::{self, Window};

/// Names an agent: the number of its host within the run.
pub type AgentId = i32;

/// Parts of a task for each worker, in which the load of an agent is counted.
const LOAD_UNIT: usize = 4096;

/// An agent as far as the dispatcher knows it.
#[derive(Debug)]
pub(super) struct Agent {
    /// It takes requests.
    pub(super) is_there: bool,
    /// What it said of itself.
    pub(super) node: Option<NodeInfo>,
    /// It was told that nothing more comes.
    pub(super) end_was_sent: bool,
    /// How often an agent of this number was lost.
    pub(super) lost_count: i32,
    /// Its clock less the coordinator's, seconds.
    pub(super) clock_offset_s: f64,
    setup: Setup,
    seats: Vec<Seat>,
    /// Stands for a worker that it does not have.
    unknown_seat: Seat,
    window: Window,
    /// Tasks that it has.
    held: usize,
    /// What it may hold, as far as that is counted in the team's capacity.
    capacity: usize,
    /// Its load in the order of those with room.
    load: Option<usize>,
    row: Row,
}

impl Agent {
    fn new(setup: Setup, host: &str, clock_offset_s: f64) -> Self {
        let unknown = Worker { id: -1, cores: None, gpus: Vec::new() };
        Self {
            is_there: true,
            node: None,
            end_was_sent: false,
            lost_count: 0,
            clock_offset_s,
            unknown_seat: setup.seat(host, &unknown),
            seats: Vec::new(),
            window: Window::new(setup.workers.len()),
            setup,
            held: 0,
            capacity: 0,
            load: None,
            row: Row::default(),
        }
    }

    /// What attempts on this worker hold.
    pub(super) fn seat(&self, worker_id: i32) -> &Seat {
        self.seats.iter().find(|seat| seat.worker_id == worker_id).unwrap_or(&self.unknown_seat)
    }

    /// It has said what it is.
    pub(super) fn introduce(&mut self, node: NodeInfo) {
        self.seats = self.setup.workers.iter().map(|worker| self.setup.seat(&node.host, worker)).collect();
        self.node = Some(node);
    }

    /// Its host, as far as that is known.
    pub(super) fn host(&self) -> &str {
        self.node.as_ref().map_or(&self.unknown_seat.host, |node| &node.host)
    }

    fn worker_count(&self) -> usize {
        self.setup.workers.len()
    }

    const fn takes_tasks(&self) -> bool {
        self.is_there && !self.end_was_sent
    }
}

/// All agents of a session, by their numbers.
#[derive(Debug)]
pub(super) struct Team {
    agents: Vec<Agent>,
    with_room: BTreeSet<(usize, AgentId)>,
    capacity: usize,
    worker_count: usize,
    reads_ahead: ReadAhead,
    elsewhere: Elsewhere,
}

/// How much agents may hold beyond what runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadAhead {
    /// As much as keeps their workers busy.
    Window,
    /// The same, and nothing before it is known how long tasks take: others may join.
    Learnt,
    /// Nothing.
    Nothing,
}

impl Team {
    /// Nobody yet.
    pub(super) const fn new(reads_ahead: ReadAhead) -> Self {
        Self {
            agents: Vec::new(),
            with_room: BTreeSet::new(),
            capacity: 0,
            worker_count: 0,
            reads_ahead,
            elsewhere: Elsewhere::new(),
        }
    }

    /// The number of the agent that comes next.
    pub(super) fn next_id(&self) -> AgentId {
        AgentId::try_from(self.agents.len()).unwrap_or(AgentId::MAX)
    }

    /// Another agent, which is told this.
    pub(super) fn add(&mut self, setup: Setup, host: &str, clock_offset_s: f64) -> AgentId {
        let id = self.next_id();
        self.agents.push(Agent::new(setup, host, clock_offset_s));
        self.worker_count += self.agents.last().map_or(0, Agent::worker_count);
        self.settle(id);
        id
    }

    /// What an agent was told at its start.
    pub(super) fn setup(&self, id: AgentId) -> Option<&Setup> {
        self.get(id).map(|agent| &agent.setup)
    }

    pub(super) fn get(&self, id: AgentId) -> Option<&Agent> {
        self.agents.get(usize::try_from(id).ok()?)
    }

    pub(super) fn get_mut(&mut self, id: AgentId) -> Option<&mut Agent> {
        self.agents.get_mut(usize::try_from(id).ok()?)
    }

    /// Those that take requests.
    pub(super) fn there(&self) -> impl Iterator<Item = AgentId> {
        let numbered = (0..).zip(&self.agents);
        numbered.filter(|(_, agent)| agent.is_there).map(|(id, _)| id)
    }

    /// Those that take tasks.
    pub(super) fn working(&self) -> impl Iterator<Item = AgentId> {
        let numbered = (0..).zip(&self.agents);
        numbered.filter(|(_, agent)| agent.takes_tasks()).map(|(id, _)| id)
    }

    /// It takes no more requests.
    pub(super) fn leaves(&mut self, id: AgentId) {
        let Some(agent) = self.get_mut(id).filter(|agent| agent.is_there) else { return };
        agent.is_there = false;
        let workers = agent.worker_count();
        self.worker_count -= workers;
        self.settle(id);
    }

    /// Another one has been started in the place of one that is gone.
    pub(super) fn returns(&mut self, id: AgentId) {
        let Some(agent) = self.get_mut(id).filter(|agent| !agent.is_there) else { return };
        agent.is_there = true;
        agent.node = None;
        agent.end_was_sent = false;
        let workers = agent.worker_count();
        self.worker_count += workers;
        self.settle(id);
    }

    /// It is told that nothing more comes.
    pub(super) fn dismiss(&mut self, id: AgentId) {
        if let Some(agent) = self.get_mut(id) {
            agent.end_was_sent = true;
            self.settle(id);
        }
    }

    /// The agent that the next task goes to.
    pub(super) fn next_with_room(&self) -> Option<AgentId> {
        self.with_room.first().map(|(_, id)| *id)
    }

    /// A task was handed to it.
    pub(super) fn hold(&mut self, id: AgentId) {
        if let Some(agent) = self.get_mut(id) {
            agent.held += 1;
            self.settle(id);
        }
    }

    /// It no longer has a task.
    pub(super) fn release(&mut self, id: AgentId) {
        if let Some(agent) = self.get_mut(id) {
            agent.held = agent.held.saturating_sub(1);
            self.settle(id);
        }
    }

    /// An attempt took so long there.
    pub(super) fn learn(&mut self, id: AgentId, wall_s: f64) {
        if let Some(agent) = self.get_mut(id) {
            agent.window.learn(wall_s);
        }
    }

    /// An attempt ended there by itself. Says why the node looks like one that takes tasks only to fail them.
    pub(super) fn note_end(&mut self, id: AgentId, outcome: Outcome, wall_s: Option<f64>) -> Option<String> {
        self.elsewhere.note(outcome);
        let elsewhere = self.elsewhere;
        let agent = self.get_mut(id)?;
        let workers = agent.worker_count();
        agent.row.note(outcome, wall_s, elsewhere);
        agent.row.verdict(workers, elsewhere)
    }

    /// Nobody reads ahead from now on. Names those that hold more than they run.
    pub(super) fn stop_reading_ahead(&mut self) -> Vec<AgentId> {
        if self.reads_ahead == ReadAhead::Nothing {
            return Vec::new();
        }
        self.reads_ahead = ReadAhead::Nothing;
        let all: Vec<AgentId> = self.there().collect();
        all.iter().for_each(|id| self.settle(*id));
        let holds_more = |agent: &&Agent| agent.held > agent.worker_count();
        all.into_iter().filter(|id| self.get(*id).as_ref().is_some_and(holds_more)).collect()
    }

    /// Tasks that all agents together may hold.
    pub(super) const fn capacity(&self) -> usize {
        self.capacity
    }

    /// Workers of those that are there.
    pub(super) const fn worker_count(&self) -> usize {
        self.worker_count
    }

    /// Puts an agent where it belongs among those with room.
    fn settle(&mut self, id: AgentId) {
        let reads_ahead = self.reads_ahead;
        let share = (window::LARGEST / self.agents.len().max(1)).max(1);
        let Some(agent) = usize::try_from(id).ok().and_then(|position| self.agents.get_mut(position)) else {
            return;
        };
        let window = || agent.window.size().min(agent.worker_count() + share);
        let most = match reads_ahead {
            _ if !agent.takes_tasks() => 0,
            ReadAhead::Window => window(),
            ReadAhead::Learnt if agent.window.has_learnt() => window(),
            ReadAhead::Learnt | ReadAhead::Nothing => agent.worker_count(),
        };
        self.capacity = self.capacity - agent.capacity + most;
        agent.capacity = most;
        let load = (agent.held < most).then(|| agent.held * LOAD_UNIT / agent.worker_count().max(1));
        if load != agent.load {
            if let Some(load) = agent.load {
                self.with_room.remove(&(load, id));
            }
            if let Some(load) = load {
                self.with_room.insert((load, id));
            }
            agent.load = load;
        }
    }
}
