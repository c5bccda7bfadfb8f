//! Agents that end before their time.

use ictasks_core::attempt::Evidence;

use super::*;

pub fn killed(logged: Vec<(AttemptKey, Option<TaskEnded>)>) -> AgentEnd {
    let logged = logged.into_iter().map(|(key, ended)| (key, Logged { worker_id: 1, ended })).collect();
    AgentEnd { how: "signal: 9 (SIGKILL)".to_owned(), is_orderly: false, logged, trouble: None }
}

fn started(index: i64) -> Reply {
    let (pid, started_at) = (9, Timestamp(3_000_000));
    Reply::Started(TaskStarted { task_index: index, attempt: 1, worker_id: 1, pid, started_at })
}

#[test]
fn what_a_lost_agent_had_is_taken_from_its_log_or_runs_again() {
    let plan = plan(2);
    let mut bench = Bench::new(&plan, false);
    bench.tasks(0..4);
    bench.source_ended();
    bench.reply(started(1));
    let swept_away = TaskEnded { cause: Some(Cause::AgentLost), ..end_of(2, 1, 1.0, Outcome::Cancelled) };
    bench.agent_ended(killed(vec![
        ((0, 1), Some(end_of(0, 1, 1.0, Outcome::Succeeded))),
        ((1, 1), None),
        ((2, 1), Some(swept_away)),
    ]));
    assert!(bench.kinds().contains(&"node_lost"));
    let rows: Vec<_> = bench.rows().iter().map(|row| (row.task_index, row.outcome)).collect();
    assert_eq!(rows, [(0, Outcome::Succeeded), (1, Outcome::NodeLost), (2, Outcome::Cancelled)]);
    let lost = &bench.rows()[1];
    assert_eq!((lost.pid, lost.worker_id, lost.started_at), (Some(9), Some(1), Some(Timestamp(3_000_000))));
    assert_eq!(bench.attempts().len(), 4, "there is nobody who could run them");
    bench.new_agent();
    assert_eq!(bench.attempts()[4..], [(1, 2), (2, 2), (3, 1)]);
    let reasons: Vec<_> = bench.orders()[4..].iter().map(|order| order.reason).collect();
    assert_eq!(reasons, [Some(Reason::InterruptedBefore), Some(Reason::InterruptedBefore), None]);
    for (index, attempt) in [(1, 2), (2, 2), (3, 1)] {
        bench.end(index, attempt, Outcome::Succeeded);
    }
    assert!(bench.dispatcher.is_done());
    assert_eq!(bench.requests.last(), Some(&Request::End));
    let end = bench.dispatcher.into_end();
    assert_eq!((end.counts.total(), end.counts.of(Outcome::Succeeded)), (4, 4));
    assert!(end.stop.is_none());
}

#[test]
fn a_loss_uses_up_no_retry_and_a_logged_failure_does() {
    let plan = plan_with(2, Limits { retries: 1, ..limits() });
    let mut bench = Bench::new(&plan, false);
    bench.tasks(0..2);
    bench.agent_ended(killed(vec![((0, 1), None), ((1, 1), Some(end_of(1, 1, 1.0, Outcome::Failed)))]));
    bench.new_agent();
    assert_eq!(bench.attempts()[2..], [(0, 2), (1, 2)]);
    bench.end(0, 2, Outcome::Failed);
    bench.end(1, 2, Outcome::Failed);
    assert_eq!(bench.attempts()[4..], [(0, 3)]);
}

#[test]
fn the_fourth_loss_ends_the_run() {
    let plan = plan(1);
    let mut bench = Bench::new(&plan, false);
    bench.tasks(0..3);
    for attempt in 1..=3 {
        bench.agent_ended(killed(vec![((0, attempt), None)]));
        bench.new_agent();
    }
    bench.agent_ended(killed(vec![((0, 4), None)]));
    assert!(!bench.dispatcher.wants_agent());
    bench.source_ended();
    assert!(bench.dispatcher.is_done());
    assert_eq!(bench.counted(Outcome::NodeLost), 1);
    let cause = Some(Cause::FarmTrouble);
    assert_eq!(bench.pending(), [(2, cause), (1, cause)]);
    assert!(matches!(bench.dispatcher.into_end().stop, Some(StopReason::Trouble(_))));
}

#[test]
fn an_agent_that_never_worked_is_not_replaced() {
    let plan = plan(1);
    let mut dispatcher = Dispatcher::new(&plan, session(), false);
    dispatcher.add(vec![first(task(0))]);
    dispatcher.agent_ended(LOCAL_AGENT, killed(Vec::new()));
    assert!(!dispatcher.wants_agent());
    assert!(dispatcher.is_stopping());
    assert_eq!(dispatcher.counts.of(Outcome::Pending), 1);
}

#[test]
fn no_new_agent_starts_while_old_tasks_may_still_run() {
    let plan = plan(1);
    let mut bench = Bench::new(&plan, false);
    bench.tasks(0..1);
    let trouble = Some("a process cannot be killed".to_owned());
    bench.agent_ended(AgentEnd { trouble, ..killed(vec![((0, 1), None)]) });
    assert!(!bench.dispatcher.wants_agent());
    assert_eq!(bench.counted(Outcome::NodeLost), 1);
}

#[test]
fn an_agent_that_dies_during_a_stop_is_not_replaced() {
    let plan = plan(2);
    let mut bench = Bench::new(&plan, false);
    bench.tasks(0..2);
    bench.stop(StopReason::Signal(2));
    bench.agent_ended(killed(vec![((0, 1), None)]));
    bench.source_ended();
    assert!(!bench.dispatcher.wants_agent() && bench.dispatcher.is_done());
    assert_eq!(bench.counted(Outcome::NodeLost), 1);
    assert_eq!(bench.pending(), [(1, Some(Cause::Interrupted))]);
    assert!(matches!(bench.dispatcher.into_end().stop, Some(StopReason::Signal(2))));
}

#[test]
fn an_agent_that_dies_with_its_last_tasks_is_replaced() {
    let plan = plan(1);
    let mut bench = Bench::new(&plan, false);
    bench.tasks(0..1);
    bench.source_ended();
    bench.agent_ended(killed(Vec::new()));
    bench.new_agent();
    bench.end(0, 1, Outcome::Succeeded);
    assert_eq!(bench.requests.iter().filter(|request| **request == Request::End).count(), 1);
}

#[test]
fn an_agent_that_has_done_all_may_end_as_it_likes() {
    let plan = plan(1);
    let mut bench = Bench::new(&plan, false);
    bench.tasks(0..1);
    bench.source_ended();
    bench.end(0, 1, Outcome::Succeeded);
    bench.agent_ended(killed(Vec::new()));
    assert!(!bench.kinds().contains(&"node_lost"));
    assert!(bench.dispatcher.is_done() && !bench.dispatcher.wants_agent());
}

#[test]
fn the_task_of_a_lost_slot_is_cancelled_when_its_agent_has_ended() {
    let plan = plan(1);
    let mut bench = Bench::new(&plan, false);
    bench.tasks(0..1);
    bench.reply(Reply::Trouble { message: "slot 7 of the agent was killed by signal 9".to_owned() });
    bench.agent_ended(AgentEnd { is_orderly: true, ..killed(vec![((0, 1), None)]) });
    let row = &bench.rows()[0];
    assert_eq!(
        (row.outcome, row.cause, row.cause_evidence),
        (Outcome::Cancelled, Some(Cause::SlotLost), Some(Evidence::Probable))
    );
}
