//! The dispatcher without any process: what goes in, what comes out.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ictasks_core::command::Shell;
use ictasks_core::config::{GpuBinding, OutputLimits, TaskFiles};
use ictasks_core::error::{Fault, Place};
use ictasks_core::plan::{Distribution, Limits};
use ictasks_core::protocol::{Worker, WorkingDirectory};

use super::*;

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
        limits: Limits {
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
        },
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

fn ended(index: i64, wall_s: f64, outcome: Outcome) -> Reply {
    Reply::Finished(Box::new(TaskEnded {
        pid: Some(100 + index),
        started_at: Some(Timestamp(2_000_000)),
        wall_s: Some(wall_s),
        exit_code: Some(0),
        ..TaskEnded::unmeasured(index, 1, 0, outcome)
    }))
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

/// A dispatcher at work, and what it said.
struct Bench<'a> {
    dispatcher: Dispatcher<'a>,
    requests: Vec<Request>,
    events: Vec<Event>,
}

impl<'a> Bench<'a> {
    fn new(plan: &'a Plan, is_stream: bool) -> Self {
        let session =
            Session { run_id: "r".to_owned(), number: 0, began_at: Timestamp(1_000_000), first_seq: 0 };
        let mut dispatcher = Dispatcher::new(plan, session, is_stream);
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
        self.dispatcher.add_tasks(indices.map(task).collect());
        self.gather();
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
        let orders = self.requests.iter().filter_map(|request| match request {
            Request::Run(order) => Some(order.task_index),
            _ => None,
        });
        orders.collect()
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
    bench.dispatcher.source_ended();
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
    bench.dispatcher.source_ended();
    bench.reply(ended(0, 0.1, Outcome::Cancelled));
    let cause = Some(Cause::Interrupted);
    assert_eq!(bench.pending(), [(2, cause), (3, cause), (1, cause), (4, cause)]);
    assert_eq!((bench.dispatcher.counts().total(), bench.dispatcher.counts().of(Outcome::Pending)), (5, 4));
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
    assert!(!bench.dispatcher.list_complete());
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
    assert!(!bench.dispatcher.list_complete());
}

#[test]
fn the_farms_own_trouble_is_no_failure_of_the_task() {
    let plan = plan(1);
    let mut bench = Bench::new(&plan, false);
    bench.tasks(0..2);
    bench.reply(Reply::NotStarted { task_index: 0, message: "no space left".to_owned() });
    let cause = Some(Cause::FarmTrouble);
    assert_eq!(bench.pending(), [(0, cause)]);
    assert!(matches!(bench.dispatcher.into_stop_reason(), Some(StopReason::Trouble(_))));
}

#[test]
fn a_lost_agent_leaves_no_task_unaccounted_for() {
    let plan = plan(2);
    let mut bench = Bench::new(&plan, false);
    bench.tasks(0..2);
    let started = TaskStarted { task_index: 1, attempt: 1, worker_id: 1, pid: 9, started_at: Timestamp(3) };
    bench.reply(Reply::Started(started));
    bench.dispatcher.source_ended();
    bench.dispatcher.agent_ended("killed by signal 9");
    bench.gather();
    assert!(bench.kinds().contains(&"node_lost"));
    assert_eq!(bench.pending(), [(0, Some(Cause::FarmTrouble))]);
    assert_eq!(bench.dispatcher.counts().of(Outcome::NodeLost), 1);
    assert!(bench.dispatcher.is_done());
}

#[test]
fn an_agent_of_another_version_is_refused() {
    let plan = plan(1);
    let mut bench = Bench::new(&plan, false);
    let Reply::Hello(node) = hello() else { unreachable!() };
    bench.reply(Reply::Hello(NodeInfo { protocol_version: PROTOCOL_VERSION + 1, ..node }));
    assert!(bench.dispatcher.is_stopping());
}
