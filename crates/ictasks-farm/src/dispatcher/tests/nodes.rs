//! Several nodes.

use super::agents::killed;
use super::*;

fn succeed_all(bench: &mut Bench<'_>, agent: AgentId, wall_s: f64) {
    for key in bench.ordered_of(agent) {
        bench.end_on(agent, key, wall_s, Outcome::Succeeded);
    }
}

#[test]
fn the_first_node_starts_and_later_ones_join() {
    let plan = plan(2);
    let mut bench = Bench::for_nodes(&plan, false);
    bench.tasks(0..20);
    assert!(bench.sent.is_empty());
    let first = bench.join(2).unwrap();
    assert_eq!(bench.ordered_of(first).len(), 2, "others may come, so nothing waits here");
    let second = bench.join(4).unwrap();
    assert_eq!(bench.ordered_of(second).len(), 4);
    succeed_all(&mut bench, first, 60.0);
    assert_eq!(bench.rows()[0].host.as_deref(), Some("c0"));
    assert_eq!(bench.rows()[0].host_id, Some(0));
    let joined = bench.events.iter().filter(|event| matches!(event.body, EventBody::NodeJoined(_)));
    let ats: Vec<i64> = joined.map(|event| event.at.0).collect();
    assert_eq!(ats, [1_000_000, 1_000_000], "its clock is half a second ahead");
}

#[test]
fn nodes_are_filled_in_proportion_to_their_workers() {
    let plan = plan(2);
    let mut bench = Bench::for_nodes(&plan, false);
    let nodes = [bench.join(2).unwrap(), bench.join(8).unwrap()];
    bench.tasks(0..5);
    let counts = nodes.map(|node| bench.ordered_of(node).len());
    assert_eq!(counts, [1, 4]);
}

#[test]
fn what_waits_comes_back_when_nothing_is_left_to_hand_out() {
    let plan = plan(1);
    let mut bench = Bench::for_nodes(&plan, false);
    let first = bench.join(1).unwrap();
    bench.tasks(0..1);
    bench.end_on(first, (0, 1), 0.001, Outcome::Succeeded);
    bench.tasks(1..9);
    assert_eq!(bench.ordered_of(first).len(), 9, "short tasks are read ahead");
    let second = bench.join(1).unwrap();
    bench.source_ended();
    assert_eq!(bench.sent.last(), Some(&(first, Request::Recall)));
    bench.reply_of(first, Reply::Recalled { task_indices: (2..9).collect() });
    assert_eq!(bench.ordered_of(second), [(2, 1)]);
    assert!(bench.pending().is_empty());
}

#[test]
fn a_lost_node_loses_only_what_ran_there() {
    let plan = plan(1);
    let mut bench = Bench::for_nodes(&plan, false);
    let (first, second) = (bench.join(1).unwrap(), bench.join(1).unwrap());
    bench.tasks(0..2);
    bench.source_ended();
    bench.dispatcher.agent_closed(first);
    bench.end_on(second, (1, 1), 60.0, Outcome::Succeeded);
    assert_eq!(bench.ordered_of(second).len(), 1, "it may run there still");
    bench.node_ended(first, killed(vec![((0, 1), None)]));
    assert_eq!(bench.ordered_of(second), [(1, 1), (0, 2)]);
    assert!(bench.kinds().contains(&"node_lost"));
    bench.end_on(second, (0, 2), 60.0, Outcome::Succeeded);
    assert!(bench.dispatcher.is_done());
    assert_eq!(bench.counted(Outcome::Succeeded), 2);
    assert_eq!(bench.rows().iter().filter(|row| row.outcome == Outcome::NodeLost).count(), 1);
}

#[test]
fn a_node_that_was_given_up_changes_nothing_any_more() {
    let plan = plan(1);
    let mut bench = Bench::for_nodes(&plan, false);
    let (first, second) = (bench.join(1).unwrap(), bench.join(1).unwrap());
    bench.tasks(0..1);
    assert_eq!(bench.ordered_of(first), [(0, 1)]);
    bench.node_ended(first, killed(vec![]));
    assert_eq!(bench.ordered_of(second), [(0, 1)], "it had not begun");
    bench.end_on(first, (0, 1), 1.0, Outcome::Failed);
    assert!(bench.rows().is_empty());
    bench.end_on(second, (0, 1), 1.0, Outcome::Succeeded);
    assert_eq!(bench.counted(Outcome::Succeeded), 1);
}

#[test]
fn a_task_that_has_lost_three_nodes_is_no_longer_tried() {
    let plan = plan(1);
    let mut bench = Bench::for_nodes(&plan, false);
    bench.tasks(0..1);
    bench.source_ended();
    for attempt in 1..=3 {
        let node = bench.join(1).unwrap();
        assert_eq!(bench.ordered_of(node), [(0, attempt)]);
        bench.node_ended(node, killed(vec![((0, attempt), None)]));
    }
    assert_eq!(bench.join(1), None, "nothing is left to do");
    assert!(bench.dispatcher.is_done());
    assert_eq!(bench.counted(Outcome::NodeLost), 1);
    assert!(bench.dispatcher.into_end().stop.is_none());
}

#[test]
fn a_node_that_fails_all_alone_is_set_aside() {
    let plan = plan(1);
    let mut bench = Bench::for_nodes(&plan, false);
    let (bad, good) = (bench.join(1).unwrap(), bench.join(1).unwrap());
    bench.tasks(0..200);
    let mut done = (0, 0);
    for _ in 0..40 {
        if let Some(key) = bench.ordered_of(bad).get(done.0).copied() {
            done.0 += 1;
            bench.end_on(bad, key, 1.0, Outcome::Failed);
        }
        if let Some(key) = bench.ordered_of(good).get(done.1).copied() {
            done.1 += 1;
            bench.end_on(good, key, 1.0, Outcome::Succeeded);
        }
    }
    assert_eq!(bench.kinds().iter().filter(|kind| **kind == "node_set_aside").count(), 1);
    assert_eq!((bench.ordered_of(bad).len(), done.1), (11, 40));
    let told: Vec<_> =
        bench.sent.iter().filter(|(to, _)| *to == bad).skip(11).map(|(_, what)| what).collect();
    assert_eq!(told, [&Request::Recall, &Request::End]);
    assert!(
        bench.warnings[0].starts_with("the node c0 gets no more tasks: its last 11 attempts failed at once")
    );
    bench.node_ended(bad, AgentEnd { is_orderly: true, ..killed(vec![]) });
    assert!(!bench.kinds().contains(&"node_lost"));
}

#[test]
fn trouble_of_a_node_sets_it_aside_and_that_of_the_last_stops_the_run() {
    let plan = plan(1);
    let mut bench = Bench::for_nodes(&plan, false);
    let (first, second) = (bench.join(1).unwrap(), bench.join(1).unwrap());
    bench.tasks(0..2);
    let message = "the disk is full".to_owned();
    bench.reply_of(first, Reply::NotStarted { task_index: 0, message: message.clone() });
    assert!(!bench.dispatcher.is_stopping());
    bench.end_on(second, (1, 1), 60.0, Outcome::Succeeded);
    assert_eq!(bench.ordered_of(second), [(1, 1), (0, 1)]);
    bench.reply_of(second, Reply::NotStarted { task_index: 0, message });
    assert_eq!(bench.pending(), [(0, Some(Cause::FarmTrouble))]);
    let Some(StopReason::Trouble(why)) = bench.dispatcher.into_end().stop else { panic!() };
    assert_eq!(why, "the node c1: the disk is full");
}

#[test]
fn a_stop_concerns_all_nodes_and_none_may_join_any_more() {
    let plan = plan(1);
    let mut bench = Bench::for_nodes(&plan, false);
    let (first, second) = (bench.join(1).unwrap(), bench.join(1).unwrap());
    bench.tasks(0..2);
    bench.stop(StopReason::Signal(15));
    for node in [first, second] {
        assert!(bench.sent.contains(&(node, Request::End)));
        assert!(bench.sent.iter().any(|(to, what)| *to == node && matches!(what, Request::Terminate { .. })));
    }
    assert_eq!(bench.join(1), None);
}

#[test]
fn a_run_without_nodes_reads_a_little_and_waits() {
    let plan = plan(2);
    let mut bench = Bench::for_nodes(&plan, false);
    assert!(bench.dispatcher.wants_tasks() && bench.dispatcher.wants_agent());
    bench.tasks(0..100);
    assert!(!bench.dispatcher.wants_tasks());
    assert!(!bench.dispatcher.is_done());
}
