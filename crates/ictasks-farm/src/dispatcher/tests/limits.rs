//! Limits that stop a run.

use super::*;

fn stopped(bench: Bench<'_>) -> Option<StopReason> {
    bench.dispatcher.into_end().stop
}

#[test]
fn so_many_tasks_may_fail_for_good() {
    let plan = plan_with(1, Limits { max_failures: Some(2), retries: 1, ..limits() });
    let mut bench = Bench::new(&plan, false);
    bench.add(vec![
        first(task(0)),
        first(Task { retries: Some(0), ..task(1) }),
        first(task(2)),
        first(task(3)),
        first(task(4)),
    ]);
    bench.end(0, 1, Outcome::Failed);
    bench.end(1, 1, Outcome::Failed);
    assert!(!bench.dispatcher.is_stopping(), "the first one has a retry left");
    bench.end(0, 2, Outcome::Failed);
    assert!(bench.dispatcher.is_stopping());
    assert_eq!(bench.requests[bench.requests.len() - 2..], [Request::Recall, Request::End]);
    bench.tasks(5..6);
    bench.source_ended();
    assert!(bench.dispatcher.is_done());
    let cause = Some(Cause::MaxFailures);
    assert_eq!(bench.pending(), [(2, cause), (3, cause), (4, cause), (5, cause)]);
    assert!(matches!(stopped(bench), Some(StopReason::MaxFailures(2))));
}

#[test]
fn a_stopping_condition_stops_the_run_and_not_the_task() {
    let plan = plan(1);
    let mut bench = Bench::new(&plan, false);
    bench.tasks(0..3);
    let end = TaskEnded {
        stop_condition: Some("`STOP` exists".to_owned()),
        ..end_of(0, 1, 60.0, Outcome::Succeeded)
    };
    bench.reply(Reply::Finished(Box::new(end)));
    assert_eq!(bench.counted(Outcome::Succeeded), 1);
    assert_eq!(bench.pending(), [(2, Some(Cause::StopCondition))]);
    let Some(StopReason::StopCondition(message)) = stopped(bench) else { panic!() };
    assert_eq!(message, "`STOP` exists after the task `t0`");
}

#[test]
fn a_full_disk_stops_the_run_and_no_retry_is_made() {
    let plan = plan_with(1, Limits { retries: 3, max_failures: Some(1), ..limits() });
    let mut bench = Bench::new(&plan, false);
    bench.tasks(0..3);
    let end = TaskEnded { cause: Some(Cause::DiskFull), ..end_of(0, 1, 60.0, Outcome::Failed) };
    bench.reply(Reply::Finished(Box::new(end)));
    assert_eq!(bench.attempts(), [(0, 1)]);
    let cause = Some(Cause::DiskFull);
    assert_eq!(bench.pending(), [(1, cause), (2, cause)]);
    assert!(matches!(stopped(bench), Some(StopReason::DiskFull(message)) if message.contains("--resume")));
}

#[test]
fn if_none_of_the_first_attempts_succeeds_no_more_are_made() {
    let plan = plan_with(1, Limits { stop_if_none_succeed: 2, retries: 5, ..limits() });
    let mut bench = Bench::new(&plan, false);
    bench.tasks(0..3);
    bench.end(0, 1, Outcome::Failed);
    bench.end(1, 1, Outcome::Cancelled);
    assert!(!bench.dispatcher.is_stopping(), "what was cancelled says nothing");
    bench.end(0, 2, Outcome::Failed);
    assert_eq!(bench.counted(Outcome::Failed), 1);
    assert!(matches!(stopped(bench), Some(StopReason::NoneSucceeded(2))));
}

#[test]
fn one_success_is_enough() {
    let plan = plan_with(1, Limits { stop_if_none_succeed: 2, ..limits() });
    let mut bench = Bench::new(&plan, false);
    bench.tasks(0..60);
    bench.end(0, 1, Outcome::Succeeded);
    for index in 1..60 {
        bench.end(index, 1, Outcome::Failed);
    }
    assert!(!bench.dispatcher.is_stopping());
    assert!(bench.dispatcher.into_end().warnings.is_empty());
}

#[test]
fn without_a_limit_there_is_one_warning() {
    let plan = plan(1);
    let mut bench = Bench::new(&plan, false);
    bench.tasks(0..60);
    for index in 0..60 {
        assert_eq!(bench.dispatcher.warnings.len(), usize::from(index >= 50));
        bench.end(index, 1, Outcome::Failed);
    }
    assert!(!bench.dispatcher.is_stopping());
}

#[test]
fn no_more_is_read_ahead_than_can_end_without_stopping_the_run() {
    let plan = plan_with(1, Limits { max_failures: Some(3), ..limits() });
    let mut bench = Bench::new(&plan, false);
    bench.tasks(0..20);
    for task in 0..2 {
        bench.end(task, 1, Outcome::Failed);
    }
    // Only one failure is left: the task after the next one waits.
    assert_eq!(bench.attempts(), [(0, 1), (1, 1), (2, 1)]);
    bench.end(2, 1, Outcome::Failed);
    assert!(bench.dispatcher.is_stopping());
    assert_eq!(bench.attempts().len(), 3);
}
