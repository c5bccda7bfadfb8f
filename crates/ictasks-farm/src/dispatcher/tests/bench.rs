//! A dispatcher at work, and what the tests feed it with.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ictasks_core::attempt::{Attempt, Cause, Outcome};
use ictasks_core::command::Shell;
use ictasks_core::config::{GpuBinding, OutputLimits, TaskFiles};
use ictasks_core::plan::{Backend, Distribution, Limits, TypedShares};
use ictasks_core::protocol::{NodeInfo, PROTOCOL_VERSION, TaskEnded, TaskOrder, Worker, WorkingDirectory};
use ictasks_core::task::Task;

use super::super::*;

pub fn limits() -> Limits {
    Limits {
        retries: 0,
        retry_delay_s: 0.0,
        retry_backoff: 2.0,
        timeout_s: None,
        expected_time_s: None,
        walltime_margin_s: 30.0,
        kill_grace_s: 10.0,
        expected_outputs: Vec::new(),
        max_failures: None,
        stop_if_none_succeed: 0,
        stopping_conditions: Vec::new(),
        memory_per_task_bytes: None,
        enforce_memory: false,
        node_loss_retries: 3,
    }
}

pub fn plan_with(workers: i32, limits: Limits) -> Plan {
    Plan { limits, ..plan(workers) }
}

pub fn plan(workers: i32) -> Plan {
    Plan {
        job_id: "job".to_owned(),
        run_dir: PathBuf::from("/run"),
        submit_dir: PathBuf::from("/submit"),
        shard: None,
        task_distribution: Distribution {
            cores_per_node: workers,
            threads_per_core: 1,
            cores_per_task: 1,
            gpus_per_node: 0,
            gpus_per_task: 0,
        },
        workers: (0..workers).map(|id| Worker { id, cores: Some(vec![id + 10]), gpus: vec![] }).collect(),
        shell: Shell::Auto,
        call_server: None,
        cwd: WorkingDirectory::Task,
        stdout_filename: "out".to_owned(),
        stderr_filename: "err".to_owned(),
        environment: BTreeMap::new(),
        labels: serde_json::Map::new(),
        sample_interval_s: 1.0,
        pin_cores: false,
        limits: limits(),
        deadline: None,
        slurm_job: None,
        max_output: OutputLimits { stdout_bytes: None, stderr_bytes: None },
        task_files: TaskFiles::All,
        gpu_binding: GpuBinding::File,
        backend: Backend::Local,
        typed: TypedShares::default(),
        arithmetic: Vec::new(),
        warnings: Vec::new(),
    }
}

pub fn task(index: i64) -> Task {
    Task { index, id: format!("t{index}"), command: "true".to_owned(), command_hash: 7, ..Task::default() }
}

pub fn first(task: Task) -> Decision {
    Decision::Run { task, attempt: 1, reason: None }
}

pub fn end_of(index: i64, attempt: i32, wall_s: f64, outcome: Outcome) -> TaskEnded {
    TaskEnded {
        pid: Some(100 + index),
        started_at: Some(Timestamp(2_000_000)),
        wall_s: Some(wall_s),
        exit_code: Some(0),
        ..TaskEnded::unmeasured(index, attempt, 0, outcome)
    }
}

pub fn ended(index: i64, wall_s: f64, outcome: Outcome) -> Reply {
    Reply::Finished(Box::new(end_of(index, 1, wall_s, outcome)))
}

pub fn hello() -> Reply {
    Reply::Hello(NodeInfo {
        protocol_version: PROTOCOL_VERSION,
        host: "c17".to_owned(),
        host_id: 0,
        pid: 5,
        core_count: 2,
        gpu_count: 0,
        memory_total_bytes: None,
        cpu_model: None,
        at: Timestamp(1_500_000),
        gpus: Vec::new(),
        memory_enforcement: None,
    })
}

pub fn session() -> Session {
    let began_at = Timestamp(1_000_000);
    Session { run_id: "r".to_owned(), number: 0, began_at, first_seq: 0, resumed: None }
}

/// A dispatcher at work, and what it said.
pub struct Bench<'a> {
    pub dispatcher: Dispatcher<'a>,
    pub requests: Vec<Request>,
    /// The same, with those whom they go to.
    pub sent: Vec<(AgentId, Request)>,
    pub warnings: Vec<String>,
    pub events: Vec<Event>,
}

impl<'a> Bench<'a> {
    pub fn new(plan: &'a Plan, is_stream: bool) -> Self {
        let mut dispatcher = Dispatcher::new(plan, session(), is_stream);
        dispatcher.begin();
        dispatcher.reply(LOCAL_AGENT, hello());
        Self::of(dispatcher)
    }

    /// Of a run whose agents will join.
    pub fn for_nodes(plan: &'a Plan, is_stream: bool) -> Self {
        let mut dispatcher = Dispatcher::for_nodes(plan, session(), is_stream);
        dispatcher.begin();
        Self::of(dispatcher)
    }

    fn of(dispatcher: Dispatcher<'a>) -> Self {
        let (requests, sent, warnings, events) = Default::default();
        let mut bench = Self { dispatcher, requests, sent, warnings, events };
        bench.gather();
        bench
    }

    /// An agent with so many workers joins, and says hello; `None` if it is not wanted.
    pub fn join(&mut self, workers: i32) -> Option<AgentId> {
        let workers = (0..workers).map(|id| Worker { id, cores: None, gpus: vec![] }).collect();
        let host = format!("c{}", self.dispatcher.team.next_id());
        let applicant = Applicant { host, workers, cores_per_task: 1, clock_offset_s: 0.5 };
        let (agent, setup) = self.dispatcher.join(applicant)?;
        assert_eq!(setup.host_id, agent);
        let Reply::Hello(node) = hello() else { unreachable!() };
        self.reply_of(agent, Reply::Hello(NodeInfo { host: format!("c{agent}"), host_id: agent, ..node }));
        Some(agent)
    }

    pub fn reply_of(&mut self, agent: AgentId, reply: Reply) {
        self.dispatcher.reply(agent, reply);
        self.gather();
    }

    /// An attempt of a task ends so on a node.
    pub fn end_on(&mut self, agent: AgentId, key: AttemptKey, wall_s: f64, outcome: Outcome) {
        self.reply_of(agent, Reply::Finished(Box::new(end_of(key.0, key.1, wall_s, outcome))));
    }

    pub fn node_ended(&mut self, agent: AgentId, end: AgentEnd) {
        self.dispatcher.agent_ended(agent, end);
        self.gather();
    }

    /// What was ordered of a node.
    pub fn ordered_of(&self, agent: AgentId) -> Vec<AttemptKey> {
        let orders = self.sent.iter().filter_map(|(to, request)| match request {
            Request::Run(order) if *to == agent => Some((order.task_index, order.attempt)),
            _ => None,
        });
        orders.collect()
    }

    pub fn gather(&mut self) {
        let output = self.dispatcher.take_output();
        self.requests.extend(output.requests.iter().map(|(_, request)| request.clone()));
        self.sent.extend(output.requests);
        self.warnings.extend(output.warnings);
        self.events.extend(output.events);
    }

    pub fn tasks(&mut self, indices: std::ops::Range<i64>) {
        self.add(indices.map(task).map(first).collect());
    }

    pub fn add(&mut self, entries: Vec<Decision>) {
        self.dispatcher.add(entries);
        self.gather();
    }

    pub fn source_ended(&mut self) {
        self.dispatcher.source_ended();
        self.gather();
    }

    /// An attempt of a task ends so.
    pub fn end(&mut self, index: i64, attempt: i32, outcome: Outcome) {
        self.reply(Reply::Finished(Box::new(end_of(index, attempt, 60.0, outcome))));
    }

    /// So many seconds after the start of the session.
    pub fn at(&mut self, seconds: f64) {
        self.dispatcher.set_time(Timestamp(1_000_000).plus_seconds(seconds));
        self.gather();
    }

    pub fn agent_ended(&mut self, end: AgentEnd) {
        self.dispatcher.agent_ended(LOCAL_AGENT, end);
        self.gather();
    }

    /// A new agent takes the place of one that was lost.
    pub fn new_agent(&mut self) {
        assert!(self.dispatcher.wants_agent());
        self.dispatcher.agent_started(LOCAL_AGENT);
        self.reply(hello());
    }

    pub fn orders(&self) -> Vec<TaskOrder> {
        let orders = self.requests.iter().filter_map(|request| match request {
            Request::Run(order) => Some(order.clone()),
            _ => None,
        });
        orders.collect()
    }

    /// Position and number of every attempt that was ordered.
    pub fn attempts(&self) -> Vec<AttemptKey> {
        self.orders().iter().map(|order| (order.task_index, order.attempt)).collect()
    }

    pub fn rows(&self) -> Vec<Attempt> {
        let rows = self.events.iter().filter_map(|event| match &event.body {
            EventBody::TaskFinished(attempt) => Some((**attempt).clone()),
            _ => None,
        });
        rows.collect()
    }

    pub fn counted(&self, outcome: Outcome) -> i64 {
        self.dispatcher.counts.of(outcome)
    }

    /// The allocation ends so many seconds after the beginning of the session.
    pub fn allocation_ends(&mut self, seconds: f64) {
        self.dispatcher.allocation_ends(session().began_at.plus_seconds(seconds));
        self.gather();
    }

    pub fn reply(&mut self, reply: Reply) {
        self.dispatcher.reply(LOCAL_AGENT, reply);
        self.gather();
    }

    pub fn stop(&mut self, reason: StopReason) {
        self.dispatcher.stop(reason);
        self.gather();
    }

    pub fn ordered(&self) -> Vec<i64> {
        self.orders().iter().map(|order| order.task_index).collect()
    }

    pub fn kinds(&self) -> Vec<&'static str> {
        self.events.iter().map(|event| event.body.kind().as_str()).collect()
    }

    /// Position and cause of every task that never started.
    pub fn pending(&self) -> Vec<(i64, Option<Cause>)> {
        let pending = self.events.iter().filter_map(|event| match &event.body {
            EventBody::TaskPending(attempt) => Some((attempt.task_index, attempt.cause)),
            _ => None,
        });
        pending.collect()
    }
}
