//! The dispatcher without any process: what goes in, what comes out.

mod agents;
mod bench;
mod limits;
mod nodes;
mod random;
mod random_nodes;
mod retries;
mod stops;
mod walltime;

use std::collections::BTreeMap;

use ictasks_core::attempt::{Attempt, Cause, Outcome, Reason};
use ictasks_core::error::{Fault, InputError, Place};
use ictasks_core::plan::Limits;
use ictasks_core::protocol::{NodeInfo, PROTOCOL_VERSION, TaskEnded, TaskOrder, TaskStarted};
use ictasks_core::task::Task;

use super::*;
pub use bench::limits;
use bench::*;

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
fn an_agent_of_another_version_is_refused() {
    let plan = plan(1);
    let mut bench = Bench::new(&plan, false);
    let Reply::Hello(node) = hello() else { unreachable!() };
    bench.reply(Reply::Hello(NodeInfo { protocol_version: PROTOCOL_VERSION + 1, ..node }));
    assert!(bench.dispatcher.is_stopping());
}

#[test]
fn what_is_left_out_is_counted_and_takes_no_room() {
    let plan = plan(1);
    let mut bench = Bench::new(&plan, false);
    let skip = |task_index| Decision::Skip {
        task_index,
        task_id: format!("t{task_index}"),
        reason: Reason::SucceededBefore,
    };
    bench.add((0..100_000).map(skip).collect());
    assert!(bench.dispatcher.wants_tasks());
    bench.add(vec![Decision::Run { task: task(100_000), attempt: 3, reason: Some(Reason::FailedBefore) }]);
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
    bench.add(vec![Decision::Skip { task_index: 0, task_id, reason: Reason::NotListed }]);
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
        bench.dispatcher.reply(LOCAL_AGENT, Reply::Warning { message: message.to_owned() });
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
    bench.dispatcher.reply(LOCAL_AGENT, Reply::Gpus(gpus.clone()));
    assert_eq!(bench.dispatcher.take_output().gpus, [("c17".to_owned(), gpus)]);
}
