//! The state of a run, and the only code that changes it.
//!
//! Pure: requests, events and decisions come out of what goes in, and nothing here waits, reads or
//! writes. [`farm`](crate::farm) connects it with the world; the tests need no process.

mod rows;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, VecDeque};

use ictasks_core::attempt::{Attempt, Cause, Evidence, Outcome};
use ictasks_core::column::Timestamp;
use ictasks_core::error::InputError;
use ictasks_core::event::{Event, EventBody, SinkError};
use ictasks_core::plan::Plan;
use ictasks_core::protocol::{NodeInfo, PROTOCOL_VERSION, Reply, Request, TaskEnded, TaskOrder, TaskStarted};
use ictasks_core::sample::Sample;
use ictasks_core::task::Task;

use crate::window::Window;

/// Seconds that tasks have between SIGTERM and SIGKILL when the run is interrupted.
const INTERRUPT_GRACE_S: f64 = 10.0;

/// Why a run stops before its list is done.
#[derive(Debug)]
pub enum StopReason {
    /// SIGINT or SIGTERM: the number.
    Signal(i32),
    /// The list turned out to be wrong while it was read.
    Input(InputError),
    /// Trouble of the farm itself.
    Trouble(String),
    /// The record can no longer be kept.
    Record(SinkError),
}

impl StopReason {
    const fn cause(&self) -> Cause {
        match self {
            Self::Signal(_) => Cause::Interrupted,
            Self::Input(_) => Cause::InputError,
            Self::Trouble(_) | Self::Record(_) => Cause::FarmTrouble,
        }
    }

    fn message(&self) -> String {
        match self {
            Self::Signal(number) => format!("signal {number}"),
            Self::Input(error) => error.to_string(),
            Self::Trouble(message) => message.clone(),
            Self::Record(error) => error.to_string(),
        }
    }
}

/// How many tasks ended how; `pending` ones never started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    by_outcome: BTreeMap<&'static str, i64>,
}

impl Counts {
    fn add(&mut self, outcome: Outcome) {
        *self.by_outcome.entry(outcome.as_str()).or_default() += 1;
    }

    /// Number of tasks with this outcome.
    pub fn of(&self, outcome: Outcome) -> i64 {
        self.by_outcome.get(outcome.as_str()).copied().unwrap_or(0)
    }

    /// Number of tasks in all.
    pub fn total(&self) -> i64 {
        self.by_outcome.values().sum()
    }
}

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
}

struct InFlight {
    task: Task,
    ready_at: Timestamp,
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
}

/// Owns the state of the run.
pub struct Dispatcher<'a> {
    plan: &'a Plan,
    session: Session,
    is_stream: bool,
    /// Whether, after a stop, the rest of the list is read so that each task has its pending row.
    reads_rest: bool,
    seq: i64,
    ready: VecDeque<(Task, Timestamp)>,
    in_flight: HashMap<i64, InFlight>,
    node: Option<NodeInfo>,
    window: Window,
    counts: Counts,
    list_complete: bool,
    stop: Option<StopReason>,
    end_was_sent: bool,
    output: Output,
}

impl<'a> Dispatcher<'a> {
    /// At the start of a session.
    pub fn new(plan: &'a Plan, session: Session, is_stream: bool) -> Self {
        Self {
            plan,
            seq: session.first_seq,
            session,
            is_stream,
            // Nobody knows when a stream ends.
            reads_rest: !is_stream,
            ready: VecDeque::new(),
            in_flight: HashMap::new(),
            node: None,
            window: Window::new(plan.workers.len()),
            counts: Counts::default(),
            list_complete: false,
            stop: None,
            end_was_sent: false,
            output: Output::default(),
        }
    }

    /// What is to be done since the last call.
    pub fn take_output(&mut self) -> Output {
        std::mem::take(&mut self.output)
    }

    /// The session begins.
    pub fn begin(&mut self) {
        let message = format!("{} workers in {}", self.plan.workers.len(), self.plan.run_dir.display());
        self.event(self.session.began_at, EventBody::RunStarted { message });
    }

    /// Whether the source should be read on.
    pub fn wants_tasks(&self) -> bool {
        if self.list_complete {
            return false;
        }
        match self.stop {
            Some(_) => self.reads_rest,
            None => self.ready.len() + self.in_flight.len() < self.window.size() * 2,
        }
    }

    /// The source brought tasks.
    pub fn add_tasks(&mut self, tasks: Vec<Task>) {
        let ready_at = if self.is_stream { Timestamp::now() } else { self.session.began_at };
        for task in tasks {
            match self.stop.as_ref().map(StopReason::cause) {
                Some(cause) => self.pending(task, cause),
                None => self.ready.push_back((task, ready_at)),
            }
        }
        self.dispatch();
    }

    /// The source is at its end.
    pub fn source_ended(&mut self) {
        self.list_complete = true;
        self.end_when_done();
    }

    /// The run is to stop: nothing new starts. The first reason is kept; a second signal kills.
    pub fn stop(&mut self, reason: StopReason) {
        if self.stop.is_some() {
            if matches!(reason, StopReason::Signal(_)) {
                self.reads_rest = false;
                self.output.requests.push(Request::Terminate { grace_s: 0.0, cause: Cause::Interrupted });
            }
            return;
        }
        self.event(Timestamp::now(), EventBody::StopRequested { message: reason.message() });
        let cause = reason.cause();
        // A list with a mistake is not read beyond it.
        self.reads_rest &= !matches!(reason, StopReason::Input(_));
        let request = match reason {
            StopReason::Signal(_) | StopReason::Record(_) => {
                Request::Terminate { grace_s: INTERRUPT_GRACE_S, cause }
            }
            StopReason::Input(_) | StopReason::Trouble(_) => Request::Recall,
        };
        self.stop = Some(reason);
        for (task, _) in std::mem::take(&mut self.ready) {
            self.pending(task, cause);
        }
        self.output.requests.extend([request, Request::End]);
        self.end_was_sent = true;
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
            Reply::Suspended | Reply::Warning { .. } | Reply::Gpus(_) => {}
            Reply::Trouble { message } => self.stop(StopReason::Trouble(message)),
        }
        self.dispatch();
        self.end_when_done();
    }

    /// The agent has ended; what it still had is accounted for.
    pub fn agent_ended(&mut self, how: &str) {
        let node_was_lost = !self.end_was_sent;
        if node_was_lost {
            let host = self.host();
            self.event(Timestamp::now(), EventBody::NodeLost { host, message: how.to_owned() });
            self.end_was_sent = true;
            self.stop(StopReason::Trouble(format!("the agent ended before its work was done ({how})")));
        }
        let mut left: Vec<_> = self.in_flight.drain().map(|(_, in_flight)| in_flight).collect();
        left.sort_by_key(|in_flight| in_flight.task.index);
        for in_flight in left {
            match in_flight.started.clone() {
                Some(started) => self.lost(in_flight, &started, node_was_lost),
                None => self.pending(in_flight.task, Cause::FarmTrouble),
            }
        }
    }

    /// The session is over.
    pub fn finish(&mut self) {
        let message = match &self.stop {
            Some(reason) => format!("stopped: {}", reason.message()),
            None => "all tasks are done".to_owned(),
        };
        self.event(Timestamp::now(), EventBody::RunFinished { message });
    }

    /// Whether everything is accounted for, also what the source still holds.
    pub fn is_done(&self) -> bool {
        self.in_flight.is_empty() && self.ready.is_empty() && !self.wants_tasks()
    }

    /// Whether the run is being stopped early.
    pub const fn is_stopping(&self) -> bool {
        self.stop.is_some()
    }

    /// How many ended how.
    pub const fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Whether every task of the list has been read.
    pub const fn list_complete(&self) -> bool {
        self.list_complete
    }

    /// Why the run stopped early, if it did.
    pub fn into_stop_reason(self) -> Option<StopReason> {
        self.stop
    }

    fn hello(&mut self, node: NodeInfo) {
        if node.protocol_version != PROTOCOL_VERSION {
            let theirs = node.protocol_version;
            let message =
                format!("the agent speaks version {theirs} of the protocol, not {PROTOCOL_VERSION}");
            self.stop(StopReason::Trouble(message));
        }
        self.event(node.at, EventBody::NodeJoined(node.clone()));
        self.node = Some(node);
    }

    /// Hands tasks to the agent, as many as its window holds.
    fn dispatch(&mut self) {
        if self.stop.is_some() {
            return;
        }
        let size = self.window.size();
        while self.in_flight.len() < size
            && let Some((task, ready_at)) = self.ready.pop_front()
        {
            self.output.requests.push(Request::Run(TaskOrder {
                task_index: task.index,
                task_id: task.id.clone(),
                attempt: 1,
                command: task.command.clone(),
                command_hash: task.command_hash,
                ready_at,
                environment: task.environment.clone(),
                params_json: task.params_json.clone(),
                reason: None,
                timeout_s: task.timeout_s.or(self.plan.limits.timeout_s),
                expected_outputs: task
                    .expected_outputs
                    .clone()
                    .unwrap_or_else(|| self.plan.limits.expected_outputs.clone()),
            }));
            self.in_flight.insert(task.index, InFlight { task, ready_at, started: None });
        }
    }

    fn started(&mut self, started: TaskStarted) {
        let Some(in_flight) = self.in_flight.get_mut(&started.task_index) else { return };
        let task_id = in_flight.task.id.clone();
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

    fn finished(&mut self, ended: TaskEnded) {
        let Some(in_flight) = self.in_flight.remove(&ended.task_index) else { return };
        if in_flight.started.is_none()
            && let (Some(pid), Some(started_at)) = (ended.pid, ended.started_at)
        {
            let TaskEnded { task_index, attempt, worker_id, .. } = ended;
            let started = TaskStarted { task_index, attempt, worker_id, pid, started_at };
            self.started_event(in_flight.task.id.clone(), &started);
        }
        if let Some(wall_s) = ended.wall_s {
            self.window.learn(wall_s);
        }
        self.counts.add(ended.outcome);
        let attempt = self.row(in_flight, ended);
        let at = attempt.finished_at.unwrap_or_else(Timestamp::now);
        self.event(at, EventBody::TaskFinished(Box::new(attempt)));
    }

    /// A task that ran when its slot or agent was lost: how it ended is not known.
    fn lost(&mut self, in_flight: InFlight, started: &TaskStarted, node_was_lost: bool) {
        let (outcome, cause) = if node_was_lost {
            (Outcome::NodeLost, None)
        } else {
            (Outcome::Cancelled, Some(Cause::SlotLost))
        };
        self.counts.add(outcome);
        let ended = TaskEnded {
            pid: Some(started.pid),
            started_at: Some(started.started_at),
            cause,
            cause_evidence: cause.map(|_| Evidence::Probable),
            ..TaskEnded::unmeasured(started.task_index, started.attempt, started.worker_id, outcome)
        };
        let attempt = self.row(in_flight, ended);
        self.event(Timestamp::now(), EventBody::TaskFinished(Box::new(attempt)));
    }

    fn recalled(&mut self, task_index: i64) {
        let Some(in_flight) = self.in_flight.remove(&task_index) else { return };
        let cause = self.stop.as_ref().map_or(Cause::FarmTrouble, StopReason::cause);
        self.pending(in_flight.task, cause);
    }

    fn pending(&mut self, task: Task, cause: Cause) {
        self.counts.add(Outcome::Pending);
        let attempt = rows::pending(&self.session, task, cause);
        self.event(Timestamp::now(), EventBody::TaskPending(Box::new(attempt)));
    }

    fn row(&self, in_flight: InFlight, ended: TaskEnded) -> Attempt {
        rows::ended(&self.session, self.plan, self.node.as_ref(), in_flight, ended)
    }

    fn host(&self) -> String {
        self.node.as_ref().map(|node| node.host.clone()).unwrap_or_default()
    }

    fn event(&mut self, at: Timestamp, body: EventBody) {
        self.output.events.push(Event { seq: self.seq, at, session: self.session.number, body });
        self.seq += 1;
    }

    fn end_when_done(&mut self) {
        if self.list_complete && self.ready.is_empty() && self.in_flight.is_empty() && !self.end_was_sent {
            self.output.requests.push(Request::End);
            self.end_was_sent = true;
        }
    }
}
