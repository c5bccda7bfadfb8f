//! The state of a run, and the only code that changes it.
//!
//! Pure: requests, events and decisions come out of what goes in, the time included, and nothing here
//! waits, reads or writes. [`farm`](crate::farm) connects it with the world; the tests need no process.
//!
//! - `queue`: tasks that wait, for the first time or for another attempt
//! - `endings`: what follows from the end of an attempt: a retry, a limit that is reached
//! - `stopping` and `reason`: how and why a run stops early
//! - `agents`: an agent's beginning and end, and what it leaves behind
//! - `counts`: how many tasks ended how

mod agents;
mod counts;
mod endings;
mod queue;
mod reason;
mod stopping;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};

use ictasks_core::attempt::Reason;
use ictasks_core::column::Timestamp;
use ictasks_core::event::{Event, EventBody};
use ictasks_core::history::Decision;
use ictasks_core::plan::Plan;
use ictasks_core::protocol::{GpuInfo, Reply, Request, Setup, TaskStarted};
use ictasks_core::sample::Sample;

use crate::setup::setup;
use crate::window::Window;
use agents::Agent;
use endings::SoFar;
use queue::{Job, Queue};
use stopping::Stage;

pub use agents::{AgentEnd, AttemptKey, Logged};
pub use counts::Counts;
pub use reason::StopReason;

/// While so many tasks back off, no others are read.
const MOST_BACKING_OFF: usize = 1 << 16;

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

/// A task that the agent has.
#[derive(Debug)]
struct InFlight {
    job: Job,
    started: Option<TaskStarted>,
}

/// What a step of the dispatcher wants done.
#[derive(Debug, Default)]
pub struct Output {
    /// For the agent.
    pub requests: Vec<Request>,
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
    setup: Setup,
    session: Session,
    now: Timestamp,
    is_stream: bool,
    /// Whether, after a stop, the rest of the list is read so that each task has its pending row.
    reads_rest: bool,
    seq: i64,
    queue: Queue,
    in_flight: HashMap<i64, InFlight>,
    agent: Agent,
    window: Window,
    so_far: SoFar,
    counts: Counts,
    skipped: BTreeMap<Reason, i64>,
    retried_count: i64,
    list_complete: bool,
    stage: Stage,
    stop: Option<StopReason>,
    end_was_sent: bool,
    warnings: Vec<String>,
    output: Output,
}

impl<'a> Dispatcher<'a> {
    /// At the start of a session, with an agent that is being started.
    pub fn new(plan: &'a Plan, session: Session, is_stream: bool) -> Self {
        let setup = setup(plan, &session);
        Self {
            plan,
            agent: Agent::new(&setup),
            setup,
            seq: session.first_seq,
            now: session.began_at,
            session,
            is_stream,
            // Nobody knows when a stream ends.
            reads_rest: !is_stream,
            queue: Queue::default(),
            in_flight: HashMap::new(),
            window: Window::new(plan.workers.len()),
            so_far: SoFar::default(),
            counts: Counts::default(),
            skipped: BTreeMap::new(),
            retried_count: 0,
            list_complete: false,
            stage: Stage::Working,
            stop: None,
            end_was_sent: false,
            warnings: Vec::new(),
            output: Output::default(),
        }
    }

    /// What an agent has to know.
    pub const fn setup(&self) -> &Setup {
        &self.setup
    }

    /// What is to be done since the last call.
    pub fn take_output(&mut self) -> Output {
        std::mem::take(&mut self.output)
    }

    /// It is now `now`: retries that have become due are handed out.
    pub fn set_time(&mut self, now: Timestamp) {
        self.now = now;
        if self.queue.next_due().is_some_and(|due| due <= now) {
            self.dispatch();
        }
    }

    /// When [`Dispatcher::set_time`] should be called at the latest, if there is room for a retry.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.queue.next_due().filter(|_| self.agent.is_there && self.in_flight.len() < self.most_in_flight())
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
        self.queue.ready_count() + self.in_flight.len() < self.most_in_flight() * 2
            && self.queue.backing_off_count() < MOST_BACKING_OFF
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
        self.end_when_done();
    }

    /// The agent said something.
    pub fn reply(&mut self, reply: Reply) {
        match reply {
            Reply::Hello(node) => self.hello(node),
            Reply::Started(started) => self.started(started),
            Reply::Finished(ended) => self.finished(*ended),
            Reply::NotStarted { task_index, message } => {
                self.stop(StopReason::Trouble(message));
                self.recalled(task_index);
            }
            Reply::Recalled { task_indices } => {
                for task_index in task_indices {
                    self.recalled(task_index);
                }
            }
            Reply::Samples(samples) => self.output.samples.extend(samples),
            // The loop that asked for it waits for it.
            Reply::Suspended => {}
            Reply::Warning { message } => self.warn(message),
            Reply::Gpus(gpus) => self.output.gpus.push((self.host(), gpus)),
            Reply::Trouble { message } => self.stop(StopReason::Trouble(message)),
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
            list_complete: self.list_complete,
            stop: self.stop,
            warnings: self.warnings,
        }
    }

    fn has_no_work(&self) -> bool {
        self.queue.is_empty() && self.in_flight.is_empty()
    }

    /// Hands tasks to the agent, as many as its window holds.
    fn dispatch(&mut self) {
        if self.is_stopping() || !self.agent.is_there {
            return;
        }
        let most = self.most_in_flight();
        while self.in_flight.len() < most
            && let Some(job) = self.queue.next(self.now)
        {
            self.output.requests.push(Request::Run(job.order.clone()));
            self.in_flight.insert(job.order.task_index, InFlight { job, started: None });
        }
    }

    fn started(&mut self, started: TaskStarted) {
        let Some(in_flight) = self.in_flight.get_mut(&started.task_index) else { return };
        let task_id = in_flight.job.order.task_id.clone();
        in_flight.started = Some(started.clone());
        self.started_event(task_id, &started);
    }

    fn started_event(&mut self, task_id: String, started: &TaskStarted) {
        let body = EventBody::TaskStarted {
            task_id,
            task_index: started.task_index,
            attempt: started.attempt,
            host: self.host(),
            worker_id: started.worker_id,
            pid: started.pid,
        };
        self.event(started.started_at, body);
    }

    fn recalled(&mut self, task_index: i64) {
        let Some(in_flight) = self.in_flight.remove(&task_index) else { return };
        self.leave(in_flight.job);
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

    fn request(&mut self, request: Request) {
        if self.agent.is_there {
            self.output.requests.push(request);
        }
    }

    fn end_when_done(&mut self) {
        if self.list_complete && self.has_no_work() && !self.end_was_sent {
            self.request(Request::End);
            self.end_was_sent = true;
        }
    }
}
