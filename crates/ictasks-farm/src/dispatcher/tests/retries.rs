//! Attempts that follow a failure.

use super::*;

fn retrying(retries: i32, retry_delay_s: f64) -> Limits {
    Limits { retries, retry_delay_s, ..limits() }
}

#[test]
fn a_failure_is_followed_by_another_attempt_after_a_growing_pause() {
    let plan = plan_with(1, retrying(2, 10.0));
    let mut bench = Bench::new(&plan, false);
    bench.tasks(0..1);
    bench.source_ended();
    bench.at(100.0);
    bench.end(0, 1, Outcome::Failed);
    assert!(!bench.requests.contains(&Request::End), "the session does not end while a task backs off");
    assert!(!bench.dispatcher.is_done());
    assert_eq!(bench.dispatcher.next_due(), Some(Timestamp(111_000_000)));
    bench.at(109.9);
    assert_eq!(bench.attempts(), [(0, 1)]);
    bench.at(110.0);
    assert_eq!(bench.attempts(), [(0, 1), (0, 2)]);
    bench.end(0, 2, Outcome::TimedOut);
    assert_eq!(bench.dispatcher.next_due(), Some(Timestamp(131_000_000)));
    bench.at(130.0);
    bench.end(0, 3, Outcome::Failed);
    assert!(bench.dispatcher.is_done());
    assert_eq!(bench.requests.last(), Some(&Request::End));
    let order = &bench.orders()[1];
    assert_eq!((order.reason, order.ready_at), (Some(Reason::Retry), Timestamp(111_000_000)));
    assert_eq!(
        bench.kinds()[2..],
        [
            "task_started",
            "task_finished",
            "task_retried",
            "task_started",
            "task_finished",
            "task_retried",
            "task_started",
            "task_finished"
        ]
    );
    let end = bench.dispatcher.into_end();
    assert_eq!((end.retried, end.counts.total(), end.counts.of(Outcome::Failed)), (2, 1, 1));
}

#[test]
fn a_task_is_counted_by_its_last_attempt() {
    let plan = plan_with(1, retrying(1, 0.0));
    let mut bench = Bench::new(&plan, false);
    bench.tasks(0..1);
    bench.end(0, 1, Outcome::Failed);
    assert_eq!(bench.attempts(), [(0, 1), (0, 2)], "without a delay it runs at once");
    bench.end(0, 2, Outcome::Succeeded);
    assert_eq!((bench.counted(Outcome::Succeeded), bench.dispatcher.counts.total()), (1, 1));
}

#[test]
fn others_run_meanwhile_and_a_due_retry_comes_before_fresh_tasks() {
    let plan = plan_with(1, retrying(1, 5.0));
    let mut bench = Bench::new(&plan, false);
    bench.tasks(0..4);
    bench.end(0, 1, Outcome::Failed);
    bench.end(1, 1, Outcome::Succeeded);
    assert_eq!(bench.attempts(), [(0, 1), (1, 1), (2, 1)]);
    bench.at(6.0);
    bench.at(70.0);
    bench.end(2, 1, Outcome::Succeeded);
    bench.end(0, 2, Outcome::Succeeded);
    assert_eq!(bench.attempts()[3..], [(0, 2), (3, 1)]);
}

#[test]
fn a_task_may_have_its_own_number_of_retries() {
    let plan = plan_with(1, retrying(5, 0.0));
    let mut bench = Bench::new(&plan, false);
    bench.add(vec![first(Task { retries: Some(0), ..task(0) })]);
    bench.end(0, 1, Outcome::Failed);
    assert_eq!((bench.counted(Outcome::Failed), bench.attempts().len()), (1, 1));
}

#[test]
fn what_is_cancelled_is_not_retried() {
    let plan = plan_with(1, retrying(5, 0.0));
    let mut bench = Bench::new(&plan, false);
    bench.tasks(0..1);
    bench.end(0, 1, Outcome::Cancelled);
    assert_eq!(bench.counted(Outcome::Cancelled), 1);
}

#[test]
fn a_stop_leaves_a_task_what_its_last_attempt_was() {
    let plan = plan_with(2, retrying(1, 5.0));
    let mut bench = Bench::new(&plan, false);
    bench.tasks(0..2);
    bench.end(0, 1, Outcome::Failed);
    bench.stop(StopReason::Signal(2));
    bench.end(1, 1, Outcome::Signaled);
    assert_eq!(bench.kinds().last(), Some(&"task_retried"), "it was not the last one of the run");
    bench.source_ended();
    assert!(bench.pending().is_empty());
    assert!(bench.dispatcher.is_done());
    bench.at(100.0);
    assert_eq!(bench.attempts().len(), 2, "no attempt follows a stop");
    assert_eq!((bench.counted(Outcome::Failed), bench.counted(Outcome::Signaled)), (1, 1));
    let end = bench.dispatcher.into_end();
    assert_eq!((end.waiting, end.retried), (2, 0));
}

#[test]
fn a_retry_that_the_agent_had_and_gave_back_is_not_pending() {
    let plan = plan_with(1, retrying(1, 0.0));
    let mut bench = Bench::new(&plan, false);
    bench.tasks(0..1);
    bench.end(0, 1, Outcome::Failed);
    bench.stop(StopReason::Drain("somebody".to_owned()));
    bench.reply(Reply::Recalled { task_indices: vec![0] });
    assert!(bench.pending().is_empty());
    assert_eq!(bench.counted(Outcome::Failed), 1);
    assert_eq!(bench.dispatcher.into_end().retried, 0, "no attempt followed");
}
