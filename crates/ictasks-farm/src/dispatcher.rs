//! The state of a run, and the only code that changes it.
//!
//! Pure: requests, events and decisions come out of what goes in, the time included, and nothing here
//! waits, reads or writes. [`farm`](crate::farm) connects it with the world; the tests need no process.
//!
//! - `queue`: tasks that wait, for the first time or for another attempt
//! - `endings`: what follows from the end of an attempt: a retry, a limit that is reached
//! - `stopping` and `reason`: how and why a run stops early
//! - `team`: the agents: who is there, what each holds, who has room
//! - `agents`: an agent's beginning and end, and what it leaves behind
//! - `black_hole`: nodes that take tasks only to fail them
//! - `deadline` and `walltime`: the end of the allocation, and what fits before it
//! - `counts`: how many tasks ended how

mod agents;
mod black_hole;
mod counts;
mod deadline;
mod endings;
mod queue;
mod reason;
mod stopping;
mod team;
#[cfg(test)]
mod tests;
mod walltime;

use std::collections::{BTreeMap, HashMap};

use ictasks_core::attempt::Reason;
use ictasks_core::column::Timestamp;
use ictasks_core::event::{Event, EventBody};
use ictasks_core::history::Decision;
use ictasks_core::plan::Plan;
use ictasks_core::protocol::{GpuInfo, Reply, Request, Setup, TaskStarted};
use ictasks_core::sample::Sample;

use crate::setup::setup;
use endings::SoFar;
use queue::{Job, Queue};
use stopping::Stage;
use team::{ReadAhead, Team};
use walltime::Walltime;

pub use agents::{AgentEnd, Applicant, AttemptKey, Logged};
pub use counts::Counts;
pub use reason::StopReason;
pub use team::AgentId;

/// The agent of the coordinator's own machine, where there is no other.
pub const LOCAL_AGENT: AgentId = 0;

/// While so many tasks back off, no others are read.
const MOST_BACKING_OFF: usize = 1 << 16;
/// Tasks that are read and wait for an agent at most: memory holds what runs, and not as much again.
const MOST_READY: usize = 16 * 1024;

/// What identifies a session.
#[derive(Clone, Debug)]
pub struct Session {
    /// The run.
    pub run_id: String,
    /// Which start of it.
    pub number: i32,
    /// When it began: tasks of files are ready from then on.
    pub began_at: Timestamp,
    /// The first free event number.
    pub first_seq: i64,
    /// Of a run that goes on: for people, what is run and what is left out.
    pub resumed: Option<String>,
}

/// A task that an agent has.
#[derive(Debug)]
struct InFlight {
    job: Job,
    agent: AgentId,
    started: Option<TaskStarted>,
}

/// What a step of the dispatcher wants done.
#[derive(Debug, Default)]
pub struct Output {
    /// For agents, in this order.
    pub requests: Vec<(AgentId, Request)>,
    /// For the sinks.
    pub events: Vec<Event>,
    /// For the sinks.
    pub samples: Vec<Sample>,
    /// For the sinks: the GPUs of hosts that have joined.
    pub gpus: Vec<(String, Vec<GpuInfo>)>,
    /// For the sinks.
    pub warnings: Vec<String>,
}

/// How the tasks of a session ended.
#[derive(Debug)]
pub struct RunEnd {
    /// How many tasks ended how, each by its last attempt in this session.
    pub counts: Counts,
    /// How many tasks were left out, and why.
    pub skipped: BTreeMap<Reason, i64>,
    /// Attempts that were followed by another at the same task.
    pub retried: i64,
    /// Tasks that waited for another attempt, which this session does not make.
    pub waiting: i64,
    /// Whether every task of the list was read.
    pub list_complete: bool,
    /// Why it stopped early, if it did.
    pub stop: Option<StopReason>,
    /// What the user should know, each once.
    pub warnings: Vec<String>,
}

/// Owns the state of the run.
pub struct Dispatcher<'a> {
    plan: &'a Plan,
    session: Session,
    now: Timestamp,
    is_stream: bool,
    /// Whether, after a stop, the rest of the list is read so that each task has its pending row.
    reads_rest: bool,
    seq: i64,
    queue: Queue,
    in_flight: HashMap<i64, InFlight>,
    team: Team,
    /// All that runs, runs on the coordinator's own machine, by one agent.
    is_local: bool,
    walltime: Walltime,
    so_far: SoFar,
    counts: Counts,
    skipped: BTreeMap<Reason, i64>,
    retried_count: i64,
    waiting_count: i64,
    list_complete: bool,
    stage: Stage,
    stop: Option<StopReason>,
    warnings: Vec<String>,
    output: Output,
}

impl<'a> Dispatcher<'a> {
    /// At the start of a session, with an agent that is being started on this machine.
    pub fn new(plan: &'a Plan, session: Session, is_stream: bool) -> Self {
        let reads_ahead = match (plan.limits.stopping_conditions.as_slice(), plan.deadline) {
            ([], None) => ReadAhead::Window,
            // What waits for a long task would begin too late to be done in time.
            ([], Some(_)) => ReadAhead::Learnt,
            _ => ReadAhead::Nothing,
        };
        let mut dispatcher = Self::without_agents(plan, session, is_stream, reads_ahead);
        dispatcher.is_local = true;
        let setup = setup(plan, &dispatcher.session);
        dispatcher.team.add(setup, "", 0.0);
        dispatcher
    }

    /// At the start of a session whose agents will [join](Dispatcher::join).
    pub fn for_nodes(plan: &'a Plan, session: Session, is_stream: bool) -> Self {
        let reads_ahead = match plan.limits.stopping_conditions.as_slice() {
            [] => ReadAhead::Learnt,
            _ => ReadAhead::Nothing,
        };
        Self::without_agents(plan, session, is_stream, reads_ahead)
    }

    fn without_agents(plan: &'a Plan, session: Session, is_stream: bool, reads_ahead: ReadAhead) -> Self {
        Self {
            plan,
            seq: session.first_seq,
            now: session.began_at,
            walltime: Walltime::of(&plan.limits, plan.deadline, session.began_at),
            session,
            is_stream,
            // Nobody knows when a stream ends.
            reads_rest: !is_stream,
            queue: Queue::default(),
            in_flight: HashMap::new(),
            team: Team::new(reads_ahead),
            is_local: false,
            so_far: SoFar::default(),
            counts: Counts::default(),
            skipped: BTreeMap::new(),
            retried_count: 0,
            waiting_count: 0,
            list_complete: false,
            stage: Stage::Working,
            stop: None,
            warnings: Vec::new(),
            output: Output::default(),
        }
    }

    /// What an agent has to know.
    pub fn setup(&self, agent: AgentId) -> Option<&Setup> {
        self.team.setup(agent)
    }

    /// Which start of which run it is.
    pub const fn session(&self) -> &Session {
        &self.session
    }

    /// What is to be done since the last call.
    pub fn take_output(&mut self) -> Output {
        std::mem::take(&mut self.output)
    }

    /// It is now `now`: retries that have become due are handed out.
    pub fn set_time(&mut self, now: Timestamp) {
        self.now = now;
        self.mind_the_end();
        if self.queue.next_due().is_some_and(|due| due <= now) {
            self.dispatch();
        }
    }

    /// When [`Dispatcher::set_time`] should be called at the latest: for a retry, if there is room, or for the end.
    pub fn next_due(&self) -> Option<Timestamp> {
        let has_room = self.team.next_with_room().is_some() && self.in_flight.len() < self.most_in_flight();
        let retry = self.queue.next_due().filter(|_| has_room);
        retry.into_iter().chain(self.end_to_mind()).min()
    }

    /// The session begins.
    pub fn begin(&mut self) {
        let body = match self.session.resumed.clone() {
            Some(message) => EventBody::RunResumed { message },
            None => {
                let (workers, run_dir) = (self.plan.workers.len(), self.plan.run_dir.display());
                EventBody::RunStarted { message: format!("{workers} workers in {run_dir}") }
            }
        };
        self.event(self.session.began_at, body);
    }

    /// Whether the source should be read on.
    pub fn wants_tasks(&self) -> bool {
        if self.list_complete {
            return false;
        }
        if self.is_stopping() {
            return self.reads_rest;
        }
        // Before the first agent is there, and after the last, something is read for the next.
        let most = self.most_in_flight().max(self.plan.workers.len()).max(1);
        self.queue.ready_count() < most.min(MOST_READY)
            && self.queue.backing_off_count() < MOST_BACKING_OFF
            && !self.walltime.is_full()
    }

    /// The source brought tasks.
    pub fn add(&mut self, decisions: Vec<Decision>) {
        let ready_at = if self.is_stream { self.now } else { self.session.began_at };
        for decision in decisions {
            match decision {
                Decision::Run { task, attempt, reason } => {
                    let job = Job::new(task, attempt, reason, ready_at, &self.plan.limits);
                    match self.stage {
                        Stage::Working => self.queue.push_fresh(job),
                        _ => self.leave(job),
                    }
                }
                Decision::Skip { task_index, task_id, reason } => {
                    *self.skipped.entry(reason).or_default() += 1;
                    self.event(self.now, EventBody::TaskSkipped { task_id, task_index, reason });
                }
            }
        }
        self.dispatch();
    }

    /// The source is at its end.
    pub fn source_ended(&mut self) {
        self.list_complete = true;
        self.dispatch();
        self.end_when_done();
    }

    /// An agent said something.
    pub fn reply(&mut self, agent: AgentId, reply: Reply) {
        match reply {
            Reply::Hello(node) => self.hello(agent, node),
            Reply::Started(started) => self.started(agent, started),
            Reply::Finished(ended) => self.finished(agent, *ended),
            Reply::NotStarted { task_index, message } => {
                self.agent_in_trouble(agent, message);
                self.recalled(agent, task_index);
            }
            Reply::Recalled { task_indices } => {
                for task_index in task_indices {
                    self.recalled(agent, task_index);
                }
            }
            Reply::Samples(samples) => self.output.samples.extend(samples),
            // The loop that asked for it waits for it.
            Reply::Suspended => {}
            // Those who look after the connection do.
            Reply::Beat { .. } | Reply::Gone => {}
            Reply::Warning { message } => self.warn(message),
            Reply::Gpus(gpus) => self.output.gpus.push((self.host(agent), gpus)),
            Reply::Trouble { message } => self.agent_in_trouble(agent, message),
        }
        self.dispatch();
        self.end_when_done();
    }

    /// The session is over.
    pub fn finish(&mut self) {
        let message = match &self.stop {
            Some(reason) => format!("stopped: {}", reason.message()),
            None => "all tasks are done".to_owned(),
        };
        self.event(self.now, EventBody::RunFinished { message });
    }

    /// Whether everything is accounted for, also what the source still holds.
    pub fn is_done(&self) -> bool {
        self.has_no_work() && !self.wants_tasks()
    }

    /// How it all ended.
    pub fn into_end(self) -> RunEnd {
        RunEnd {
            counts: self.counts,
            skipped: self.skipped,
            retried: self.retried_count,
            waiting: self.waiting_count,
            list_complete: self.list_complete,
            stop: self.stop,
            warnings: self.warnings,
        }
    }

    fn has_no_work(&self) -> bool {
        self.queue.is_empty() && self.in_flight.is_empty() && self.walltime.is_empty()
    }

    /// Hands tasks to agents, as many as their windows hold.
    fn dispatch(&mut self) {
        if self.is_stopping() {
            return;
        }
        let most = self.most_in_flight();
        while self.in_flight.len() < most
            && let Some(agent) = self.team.next_with_room()
            && let Some(job) = self.next_job().or_else(|| self.job_in_spite())
        {
            self.output.requests.push((agent, Request::Run(job.order.clone())));
            self.team.hold(agent);
            self.in_flight.insert(job.order.task_index, InFlight { job, agent, started: None });
            self.walltime.started();
        }
        if self.list_complete && !self.is_local && self.queue.is_empty() {
            self.level_out();
        }
        self.stop_if_nothing_fits();
    }

    /// Nothing is left to hand out: what waits at one node while another may become idle comes back.
    fn level_out(&mut self) {
        for agent in self.team.stop_reading_ahead() {
            self.request(agent, Request::Recall);
        }
    }

    fn started(&mut self, agent: AgentId, started: TaskStarted) {
        let held = self.in_flight.get_mut(&started.task_index);
        let Some(in_flight) = held.filter(|in_flight| in_flight.is(agent, started.attempt)) else { return };
        let task_id = in_flight.job.order.task_id.clone();
        in_flight.started = Some(started.clone());
        self.started_event(agent, task_id, &started);
    }

    fn started_event(&mut self, agent: AgentId, task_id: String, started: &TaskStarted) {
        let body = EventBody::TaskStarted {
            task_id,
            task_index: started.task_index,
            attempt: started.attempt,
            host: self.host(agent),
            worker_id: started.worker_id,
            pid: started.pid,
        };
        self.event(started.started_at, body);
    }

    /// A task that an agent has not started comes back.
    fn recalled(&mut self, agent: AgentId, task_index: i64) {
        let is_its = |in_flight: &InFlight| in_flight.agent == agent;
        if !self.in_flight.get(&task_index).is_some_and(is_its) {
            return;
        }
        let Some(in_flight) = self.in_flight.remove(&task_index) else { return };
        self.team.release(agent);
        if self.is_stopping() {
            self.leave(in_flight.job);
        } else {
            self.queue.push_given_back(in_flight.job);
        }
    }

    /// Tells the user, each thing once.
    pub fn warn(&mut self, message: String) {
        if !self.warnings.contains(&message) {
            self.output.warnings.push(message.clone());
            self.warnings.push(message);
        }
    }

    fn event(&mut self, at: Timestamp, body: EventBody) {
        self.output.events.push(Event { seq: self.seq, at, session: self.session.number, body });
        self.seq += 1;
    }

    fn request(&mut self, agent: AgentId, request: Request) {
        if self.team.get(agent).is_some_and(|agent| agent.is_there) {
            self.output.requests.push((agent, request));
        }
    }

    fn end_when_done(&mut self) {
        if self.list_complete && self.has_no_work() {
            for agent in self.team.working().collect::<Vec<_>>() {
                self.request(agent, Request::End);
                self.team.dismiss(agent);
            }
        }
    }
}

impl InFlight {
    /// Whether it is this attempt, and this agent has it.
    fn is(&self, agent: AgentId, attempt: i32) -> bool {
        self.agent == agent && self.job.order.attempt == attempt
    }
}
