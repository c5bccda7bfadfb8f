//! The dispatcher without any process: what goes in, what comes out.

mod agents;
mod limits;
mod random;
mod retries;

use std::collections::BTreeMap;
use std::path::PathBuf;

use ictasks_core::attempt::{Attempt, Cause, Outcome, Reason};
use ictasks_core::command::Shell;
use ictasks_core::config::{GpuBinding, OutputLimits, TaskFiles};
use ictasks_core::error::{Fault, InputError, Place};
use ictasks_core::plan::{Distribution, Limits};
use ictasks_core::protocol::{
    NodeInfo, PROTOCOL_VERSION, TaskEnded, TaskOrder, TaskStarted, Worker, WorkingDirectory,
};
use ictasks_core::task::Task;

use super::*;

pub fn limits() -> Limits {
    Limits {
        retries: 0,
        retry_delay_s: 0.0,
        retry_backoff: 2.0,
        timeout_s: None,
        kill_grace_s: 10.0,
        expected_outputs: Vec::new(),
        max_failures: None,
        stop_if_none_succeed: 0,
        stopping_conditions: Vec::new(),
        memory_per_task_bytes: None,
        enforce_memory: false,
    }
}

fn plan_with(workers: i32, limits: Limits) -> Plan {
    Plan { limits, ..plan(workers) }
}

fn plan(workers: i32) -> Plan {
    Plan {
        job_id: "job".to_owned(),
        run_dir: PathBuf::from("/run"),
        submit_dir: PathBuf::from("/submit"),
        task_distribution: Distribution {
            cores_per_node: workers,
            threads_per_core: 1,
            cores_per_task: 1,
            gpus_per_node: 0,
            gpus_per_task: 0,
        },
        workers: (0..workers).map(|id| Worker { id, cores: Some(vec![id + 10]), gpus: vec![] }).collect(),
        shell: Shell::Auto,
        cwd: WorkingDirectory::Task,
        stdout_filename: "out".to_owned(),
        stderr_filename: "err".to_owned(),
        environment: BTreeMap::new(),
        labels: serde_json::Map::new(),
        sample_interval_s: 1.0,
        pin_cores: false,
        limits: limits(),
        max_output: OutputLimits { stdout_bytes: None, stderr_bytes: None },
        task_files: TaskFiles::All,
        gpu_binding: GpuBinding::File,
        arithmetic: Vec::new(),
        warnings: Vec::new(),
    }
}

fn task(index: i64) -> Task {
    Task { index, id: format!("t{index}"), command: "true".to_owned(), command_hash: 7, ..Task::default() }
}

fn first(task: Task) -> Entry {
    Entry::Run { task, attempt: 1, reason: None }
}

fn end_of(index: i64, attempt: i32, wall_s: f64, outcome: Outcome) -> TaskEnded {
    TaskEnded {
        pid: Some(100 + index),
        started_at: Some(Timestamp(2_000_000)),
        wall_s: Some(wall_s),
        exit_code: Some(0),
        ..TaskEnded::unmeasured(index, attempt, 0, outcome)
    }
}

fn ended(index: i64, wall_s: f64, outcome: Outcome) -> Reply {
    Reply::Finished(Box::new(end_of(index, 1, wall_s, outcome)))
}

fn hello() -> Reply {
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

fn session() -> Session {
    let began_at = Timestamp(1_000_000);
    Session { run_id: "r".to_owned(), number: 0, began_at, first_seq: 0, resumed: None }
}

/// A dispatcher at work, and what it said.
struct Bench<'a> {
    dispatcher: Dispatcher<'a>,
    requests: Vec<Request>,
    events: Vec<Event>,
}

impl<'a> Bench<'a> {
    fn new(plan: &'a Plan, is_stream: bool) -> Self {
        let mut dispatcher = Dispatcher::new(plan, session(), is_stream);
        dispatcher.begin();
        dispatcher.reply(hello());
        let mut bench = Self { dispatcher, requests: Vec::new(), events: Vec::new() };
        bench.gather();
        bench
    }

    fn gather(&mut self) {
        let output = self.dispatcher.take_output();
        self.requests.extend(output.requests);
        self.events.extend(output.events);
    }

    fn tasks(&mut self, indices: std::ops::Range<i64>) {
        self.add(indices.map(task).map(first).collect());
    }

    fn add(&mut self, entries: Vec<Entry>) {
        self.dispatcher.add(entries);
        self.gather();
    }

    fn source_ended(&mut self) {
        self.dispatcher.source_ended();
        self.gather();
    }

    /// An attempt of a task ends so.
    fn end(&mut self, index: i64, attempt: i32, outcome: Outcome) {
        self.reply(Reply::Finished(Box::new(end_of(index, attempt, 60.0, outcome))));
    }

    /// So many seconds after the start of the session.
    fn at(&mut self, seconds: f64) {
        self.dispatcher.set_time(Timestamp(1_000_000).plus_seconds(seconds));
        self.gather();
    }

    fn agent_ended(&mut self, end: AgentEnd) {
        self.dispatcher.agent_ended(end);
        self.gather();
    }

    /// A new agent takes the place of one that was lost.
    fn new_agent(&mut self) {
        assert!(self.dispatcher.wants_agent());
        self.dispatcher.agent_started();
        self.reply(hello());
    }

    fn orders(&self) -> Vec<TaskOrder> {
        let orders = self.requests.iter().filter_map(|request| match request {
            Request::Run(order) => Some(order.clone()),
            _ => None,
        });
        orders.collect()
    }

    /// Position and number of every attempt that was ordered.
    fn attempts(&self) -> Vec<AttemptKey> {
        self.orders().iter().map(|order| (order.task_index, order.attempt)).collect()
    }

    fn rows(&self) -> Vec<Attempt> {
        let rows = self.events.iter().filter_map(|event| match &event.body {
            EventBody::TaskFinished(attempt) => Some((**attempt).clone()),
            _ => None,
        });
        rows.collect()
    }

    fn counted(&self, outcome: Outcome) -> i64 {
        self.dispatcher.counts.of(outcome)
    }

    fn reply(&mut self, reply: Reply) {
        self.dispatcher.reply(reply);
        self.gather();
    }

    fn stop(&mut self, reason: StopReason) {
        self.dispatcher.stop(reason);
        self.gather();
    }

    fn ordered(&self) -> Vec<i64> {
        self.orders().iter().map(|order| order.task_index).collect()
    }

    fn kinds(&self) -> Vec<&'static str> {
        self.events.iter().map(|event| event.body.kind().as_str()).collect()
    }

    /// Position and cause of every task that never started.
    fn pending(&self) -> Vec<(i64, Option<Cause>)> {
        let pending = self.events.iter().filter_map(|event| match &event.body {
            EventBody::TaskPending(attempt) => Some((attempt.task_index, attempt.cause)),
            _ => None,
        });
        pending.collect()
    }
}

#[test]
fn a_task_that_ends_at_once_has_both_its_events() {
    let plan = plan(2);
    let mut bench = Bench::new(&plan, false);
    bench.tasks(0..1);
    bench.source_ended();
    bench.reply(ended(0, 0.5, Outcome::Succeeded));
    bench.dispatcher.finish();
    bench.gather();
    assert_eq!(
        bench.kinds(),
        ["run_started", "node_joined", "task_started", "task_finished", "run_finished"]
    );
    let seqs: Vec<i64> = bench.events.iter().map(|event| event.seq).collect();
    assert_eq!(seqs, [0, 1, 2, 3, 4]);
    assert_eq!(bench.requests.last(), Some(&Request::End));
    let EventBody::TaskFinished(attempt) = &bench.events[3].body else { panic!() };
    assert_eq!((attempt.wait_s, attempt.wall_s), (Some(1.0), Some(0.5)));
    assert_eq!(attempt.finished_at, Some(Timestamp(2_500_000)));
    assert_eq!((attempt.cores.clone(), attempt.core_count), (Some(vec![10]), Some(1)));
    assert_eq!(attempt.host.as_deref(), Some("c17"));
}

#[test]
fn the_agent_gets_no_more_than_its_window() {
    let plan = plan(2);
    let mut bench = Bench::new(&plan, false);
    bench.tasks(0..100);
    assert_eq!(bench.ordered(), [0, 1, 2, 3]);
    bench.reply(ended(0, 60.0, Outcome::Succeeded));
    bench.reply(ended(1, 60.0, Outcome::Succeeded));
    assert_eq!(bench.ordered(), [0, 1, 2, 3]);
    bench.reply(ended(2, 60.0, Outcome::Succeeded));
    assert_eq!(bench.ordered(), [0, 1, 2, 3, 4]);
}

#[test]
fn an_interrupt_ends_what_runs_and_leaves_the_rest_pending() {
    let plan = plan(1);
    let mut bench = Bench::new(&plan, false);
    bench.tasks(0..4);
    bench.stop(StopReason::Signal(2));
    assert_eq!(
        bench.requests[bench.requests.len() - 2..],
        [Request::Terminate { grace_s: 10.0, cause: Cause::Interrupted }, Request::End]
    );
    bench.reply(Reply::Recalled { task_indices: vec![1] });
    assert!(bench.dispatcher.wants_tasks(), "the rest of a file gets its pending rows");
    bench.tasks(4..5);
    bench.source_ended();
    bench.reply(ended(0, 0.1, Outcome::Cancelled));
    let cause = Some(Cause::Interrupted);
    assert_eq!(bench.pending(), [(2, cause), (3, cause), (1, cause), (4, cause)]);
    assert_eq!((bench.dispatcher.counts.total(), bench.counted(Outcome::Pending)), (5, 4));
    assert!(bench.dispatcher.is_done());
}

#[test]
fn a_second_signal_kills_at_once() {
    let plan = plan(1);
    let mut bench = Bench::new(&plan, false);
    bench.tasks(0..1);
    bench.stop(StopReason::Signal(2));
    bench.stop(StopReason::Signal(2));
    let last = bench.requests.last();
    assert_eq!(last, Some(&Request::Terminate { grace_s: 0.0, cause: Cause::Interrupted }));
    assert!(!bench.dispatcher.wants_tasks(), "the rest of the list is not read any more");
}

#[test]
fn a_stream_is_not_waited_for_after_a_stop() {
    let plan = plan(1);
    let mut bench = Bench::new(&plan, true);
    bench.tasks(0..1);
    let place = Place { file: "<stdin>".to_owned(), line: 3, column: 0 };
    let fault = Fault::RepeatedId { id: "a".to_owned() };
    bench.stop(StopReason::Input(InputError::At { place, fault }));
    assert!(!bench.dispatcher.wants_tasks());
    assert!(!bench.dispatcher.list_complete);
    assert_eq!(bench.requests[bench.requests.len() - 2..], [Request::Recall, Request::End]);
}

#[test]
fn a_file_is_not_read_beyond_a_mistake() {
    let plan = plan(1);
    let mut bench = Bench::new(&plan, false);
    bench.tasks(0..1);
    let place = Place { file: "tasks.dat".to_owned(), line: 2, column: 0 };
    bench.stop(StopReason::Input(InputError::At { place, fault: Fault::EmptyCommand }));
    assert!(!bench.dispatcher.wants_tasks());
    bench.reply(ended(0, 0.1, Outcome::Succeeded));
    assert!(bench.dispatcher.is_done());
    assert!(!bench.dispatcher.list_complete);
}

#[test]
fn the_farms_own_trouble_is_no_failure_of_the_task() {
    let plan = plan(1);
    let mut bench = Bench::new(&plan, false);
    bench.tasks(0..2);
    bench.reply(Reply::NotStarted { task_index: 0, message: "no space left".to_owned() });
    let cause = Some(Cause::FarmTrouble);
    assert_eq!(bench.pending(), [(0, cause)]);
    assert!(matches!(bench.dispatcher.into_end().stop, Some(StopReason::Trouble(_))));
}

#[test]
fn an_agent_of_another_version_is_refused() {
    let plan = plan(1);
    let mut bench = Bench::new(&plan, false);
    let Reply::Hello(node) = hello() else { unreachable!() };
    bench.reply(Reply::Hello(NodeInfo { protocol_version: PROTOCOL_VERSION + 1, ..node }));
    assert!(bench.dispatcher.is_stopping());
}

#[test]
fn a_drain_lets_what_runs_finish_and_a_signal_then_ends_it() {
    let plan = plan(1);
    let mut bench = Bench::new(&plan, true);
    bench.tasks(0..4);
    bench.stop(StopReason::Drain("SIGUSR1".to_owned()));
    assert_eq!(bench.requests[bench.requests.len() - 2..], [Request::Recall, Request::End]);
    let cause = Some(Cause::StopRequested);
    assert_eq!(bench.pending(), [(2, cause), (3, cause)]);
    bench.stop(StopReason::Signal(15));
    let terminate = |grace_s| Some(Request::Terminate { grace_s, cause: Cause::Interrupted });
    assert_eq!(bench.requests.last(), terminate(10.0).as_ref());
    bench.stop(StopReason::Signal(15));
    assert_eq!(bench.requests.last(), terminate(0.0).as_ref());
    assert!(matches!(bench.dispatcher.into_end().stop, Some(StopReason::Signal(15))));
}

#[test]
fn a_mistake_in_the_list_ends_the_reading_of_its_rest() {
    let plan = plan(1);
    let mut bench = Bench::new(&plan, false);
    bench.tasks(0..1);
    bench.stop(StopReason::Stopped("somebody".to_owned()));
    assert!(bench.dispatcher.wants_tasks());
    let place = Place { file: "tasks.dat".to_owned(), line: 2, column: 0 };
    bench.stop(StopReason::Input(InputError::At { place, fault: Fault::EmptyCommand }));
    assert!(!bench.dispatcher.wants_tasks());
    let end = bench.dispatcher.into_end();
    assert!(!end.list_complete && matches!(end.stop, Some(StopReason::Stopped(_))));
}

#[test]
fn what_is_left_out_is_counted_and_takes_no_room() {
    let plan = plan(1);
    let mut bench = Bench::new(&plan, false);
    let skip = |task_index| Entry::Skip {
        task_index,
        task_id: format!("t{task_index}"),
        reason: Reason::SucceededBefore,
    };
    bench.add((0..100_000).map(skip).collect());
    assert!(bench.dispatcher.wants_tasks());
    bench.add(vec![Entry::Run { task: task(100_000), attempt: 3, reason: Some(Reason::FailedBefore) }]);
    let orders = bench.orders();
    assert_eq!((orders[0].attempt, orders[0].reason), (3, Some(Reason::FailedBefore)));
    bench.source_ended();
    bench.end(100_000, 3, Outcome::Succeeded);
    assert!(bench.dispatcher.is_done());
    assert_eq!(bench.kinds().iter().filter(|kind| **kind == "task_skipped").count(), 100_000);
    assert_eq!(bench.rows()[0].reason, Some(Reason::FailedBefore));
    let end = bench.dispatcher.into_end();
    assert_eq!(end.skipped, BTreeMap::from([(Reason::SucceededBefore, 100_000)]));
    assert_eq!((end.counts.total(), end.list_complete), (1, true));
}

#[test]
fn a_list_of_which_nothing_is_left_ends_the_agent() {
    let plan = plan(1);
    let mut bench = Bench::new(&plan, false);
    let task_id = "t0".to_owned();
    bench.add(vec![Entry::Skip { task_index: 0, task_id, reason: Reason::NotListed }]);
    bench.source_ended();
    assert_eq!(bench.requests, [Request::End]);
    assert!(bench.dispatcher.is_done());
}

#[test]
fn an_order_carries_what_the_task_says_or_else_the_plan() {
    let limits = Limits { timeout_s: Some(60.0), expected_outputs: vec!["out".to_owned()], ..limits() };
    let plan = plan_with(2, limits);
    let mut bench = Bench::new(&plan, false);
    let own = Task {
        timeout_s: Some(5.0),
        expected_outputs: Some(Vec::new()),
        params_json: Some("{\"n\":1}".to_owned()),
        ..task(1)
    };
    bench.add(vec![first(task(0)), first(own)]);
    let orders = bench.orders();
    assert_eq!((orders[0].timeout_s, orders[0].expected_outputs.len()), (Some(60.0), 1));
    assert_eq!((orders[1].timeout_s, orders[1].expected_outputs.len()), (Some(5.0), 0));
    assert_eq!((orders[0].command_hash, orders[0].ready_at), (7, Timestamp(1_000_000)));
    bench.end(1, 1, Outcome::Succeeded);
    let row = &bench.rows()[0];
    assert_eq!((row.params_json.as_deref(), row.timeout_s), (Some("{\"n\":1}"), Some(5.0)));
}

#[test]
fn a_resumed_session_says_what_it_runs() {
    let plan = plan(1);
    let resumed = Some("2 failed, 3 new".to_owned());
    let session = Session { number: 1, first_seq: 40, resumed, ..session() };
    let mut dispatcher = Dispatcher::new(&plan, session, false);
    dispatcher.begin();
    let event = &dispatcher.take_output().events[0];
    assert_eq!((event.seq, event.session), (40, 1));
    assert_eq!(event.body, EventBody::RunResumed { message: "2 failed, 3 new".to_owned() });
}

#[test]
fn a_warning_is_told_once() {
    let plan = plan(1);
    let mut bench = Bench::new(&plan, false);
    for message in ["a", "b", "a"] {
        bench.dispatcher.reply(Reply::Warning { message: message.to_owned() });
    }
    assert_eq!(bench.dispatcher.take_output().warnings, ["a", "b"]);
    assert_eq!(bench.dispatcher.into_end().warnings, ["a", "b"]);
}

#[test]
fn the_gpus_of_a_host_are_told_with_its_name() {
    let plan = plan(1);
    let mut bench = Bench::new(&plan, false);
    bench.reply(hello());
    let gpus = vec![GpuInfo { id: 2, name: Some("A100".to_owned()), ..GpuInfo::default() }];
    bench.dispatcher.reply(Reply::Gpus(gpus.clone()));
    assert_eq!(bench.dispatcher.take_output().gpus, [("c17".to_owned(), gpus)]);
}
