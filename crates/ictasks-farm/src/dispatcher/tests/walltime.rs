//! The end of the allocation.

use super::*;

/// A plan for an allocation that ends so many seconds after the beginning of the session; what runs is ended 30 s
/// before.
fn until(seconds: f64, workers: i32, limits: Limits) -> Plan {
    Plan { deadline: Some(session().began_at.plus_seconds(seconds)), ..plan_with(workers, limits) }
}

fn expecting(expected_time_s: f64) -> Limits {
    Limits { expected_time_s: Some(expected_time_s), ..limits() }
}

/// Tasks with these commands.
fn with_commands<'a>(first_index: i64, commands: impl IntoIterator<Item = &'a str>) -> Vec<Decision> {
    let indexed = (first_index..).zip(commands);
    indexed.map(|(index, command)| first(Task { command: command.to_owned(), ..task(index) })).collect()
}

/// A task ends after so many seconds.
fn end_after(bench: &mut Bench<'_>, index: i64, wall_s: f64) {
    bench.reply(ended(index, wall_s, Outcome::Succeeded));
}

fn stopped(bench: Bench<'_>) -> Option<StopReason> {
    bench.dispatcher.into_end().stop
}

#[test]
fn what_is_expected_to_take_too_long_does_not_start() {
    let plan = until(630.0, 1, expecting(300.0));
    let mut bench = Bench::new(&plan, false);
    bench.tasks(0..4);
    bench.source_ended();
    for (index, seconds) in [(0, 280.0), (1, 300.0)] {
        assert!(bench.ordered().contains(&index));
        bench.at(seconds);
        end_after(&mut bench, index, 290.0);
    }
    // 300 s are left until what runs is ended: the next one just fits, and none after it.
    assert!(bench.ordered().contains(&2));
    bench.at(590.0);
    end_after(&mut bench, 2, 290.0);
    assert_eq!(bench.pending(), [(3, Some(Cause::Walltime))]);
    assert_eq!(bench.requests.last(), Some(&Request::End));
    assert!(bench.dispatcher.is_done());
    assert!(matches!(stopped(bench), Some(StopReason::NothingFits)));
}

#[test]
fn shorter_tasks_start_in_the_place_of_longer_ones() {
    let plan = until(130.0, 1, limits());
    let mut bench = Bench::new(&plan, false);
    let expecting = |index, seconds| first(Task { expected_time_s: Some(seconds), ..task(index) });
    bench.add(vec![expecting(0, 60.0), expecting(1, 3600.0), expecting(2, 20.0), expecting(3, 50.0)]);
    bench.source_ended();
    for index in [0, 2] {
        end_after(&mut bench, index, 60.0);
        bench.at(60.0);
    }
    assert_eq!(bench.ordered(), [0, 2], "task 1 never fits, nor does task 3 after a minute");
    assert_eq!(bench.pending(), [(1, Some(Cause::Walltime)), (3, Some(Cause::Walltime))]);
}

#[test]
fn twenty_that_have_ended_tell_more_than_what_was_expected() {
    let plan = until(3630.0, 1, expecting(4000.0));
    let mut bench = Bench::new(&plan, false);
    bench.add(with_commands(0, (0..60).map(|_| "sim --n 7")));
    bench.source_ended();
    // By what is expected none fits, so that one starts anyway; no session is for nothing.
    assert_eq!(bench.ordered(), [0]);
    end_after(&mut bench, 0, 1.0);
    assert!(matches!(bench.dispatcher.stop, Some(StopReason::NothingFits)), "one tells nothing");

    let plan = until(3630.0, 20, Limits { walltime_margin_s: 30.0, ..limits() });
    let mut bench = Bench::new(&plan, false);
    let hours = |index: i64| first(Task { expected_time_s: Some(3000.0), ..task(index) });
    bench.add((0..60).map(hours).collect());
    bench.source_ended();
    bench.at(700.0);
    (0..20).for_each(|index| end_after(&mut bench, index, 100.0));
    assert!(!bench.dispatcher.is_stopping());
    assert_eq!(bench.ordered().len(), 40, "3000 s would not have fitted any more, 100 s do");
}

#[test]
fn the_percentile_of_those_alike_is_what_counts() {
    let plan = until(1030.0, 20, limits());
    let mut bench = Bench::new(&plan, false);
    let commands: Vec<String> = (0..20).map(|n| format!("slow --n {n}")).collect();
    bench.add(with_commands(0, commands.iter().map(String::as_str)));
    for index in 0..20 {
        // One of twenty may take longer than the 95th percentile.
        end_after(&mut bench, index, if index == 0 { 9999.0 } else { 500.0 });
    }
    bench.at(600.0);
    bench.add(with_commands(20, ["slow --n 77", "quick 1", "slow --m 1", "slow"]));
    bench.source_ended();
    // Those of the same program are alike where the template has no durations of its own.
    assert_eq!(bench.ordered()[20..], [21]);
    end_after(&mut bench, 21, 1.0);
    let pending: Vec<i64> = bench.pending().into_iter().map(|(index, _)| index).collect();
    assert_eq!(pending, [20, 22, 23]);
}

#[test]
fn what_failed_tells_nothing_of_how_long_others_take() {
    let plan = until(1030.0, 20, limits());
    let mut bench = Bench::new(&plan, false);
    bench.tasks(0..20);
    (0..20).for_each(|index| bench.reply(ended(index, 5000.0, Outcome::Failed)));
    bench.tasks(20..21);
    assert!(bench.ordered().contains(&20));
}

#[test]
fn no_session_ends_with_nothing_started_because_nothing_fits() {
    let plan = until(60.0, 4, limits());
    let mut bench = Bench::new(&plan, false);
    let expecting = |index, seconds| first(Task { expected_time_s: Some(seconds), ..task(index) });
    bench.add(vec![expecting(0, 7200.0), expecting(1, 3600.0), expecting(2, 7200.0)]);
    assert!(bench.ordered().is_empty(), "a shorter one may follow");
    bench.source_ended();
    assert_eq!(bench.ordered(), [1], "the shortest");
    assert!(!bench.dispatcher.is_stopping());
    end_after(&mut bench, 1, 10.0);
    assert_eq!(bench.pending(), [(0, Some(Cause::Walltime)), (2, Some(Cause::Walltime))]);
}

#[test]
fn what_runs_is_ended_in_time_for_the_record() {
    let plan = until(100.0, 1, limits());
    let mut bench = Bench::new(&plan, false);
    bench.tasks(0..4);
    assert_eq!(bench.dispatcher.next_due(), Some(session().began_at.plus_seconds(70.0)));
    bench.at(69.0);
    assert!(!bench.dispatcher.is_stopping());
    bench.at(70.0);
    let terminate = |grace_s, cause| Request::Terminate { grace_s, cause };
    assert_eq!(bench.requests[bench.requests.len() - 2..], [terminate(10.0, Cause::Walltime), Request::End]);
    assert_eq!(bench.dispatcher.next_due(), None);
    assert!(bench.dispatcher.wants_tasks(), "the rest of the list gets its pending rows");
    // What is left of the time is for the tables.
    bench.at(93.0);
    assert!(!bench.dispatcher.wants_tasks());
    bench.reply(Reply::Recalled { task_indices: vec![1] });
    bench.reply(ended(0, 0.1, Outcome::Cancelled));
    assert!(bench.dispatcher.is_done());
    let end = bench.dispatcher.into_end();
    assert!(matches!(end.stop, Some(StopReason::TimeIsUp)));
    assert!(!end.list_complete);
}

#[test]
fn of_a_short_time_no_more_than_half_is_kept_for_the_end() {
    let plan = until(8.0, 1, limits());
    let mut bench = Bench::new(&plan, false);
    bench.tasks(0..1);
    assert_eq!(bench.dispatcher.next_due(), Some(session().began_at.plus_seconds(4.0)));
    bench.at(4.0);
    let terminate = Request::Terminate { grace_s: 2.0, cause: Cause::Walltime };
    assert!(bench.requests.contains(&terminate));
}

#[test]
fn an_allocation_that_is_over_is_none_of_this_run() {
    let plan = until(-5.0, 1, expecting(60.0));
    let mut bench = Bench::new(&plan, false);
    bench.tasks(0..2);
    bench.at(10.0);
    end_after(&mut bench, 0, 5.0);
    assert!(!bench.dispatcher.is_stopping());
    assert_eq!(bench.ordered(), [0, 1]);
}

#[test]
fn retries_that_would_come_too_late_are_not_waited_for() {
    let retried = Limits { retries: 3, retry_delay_s: 600.0, ..limits() };
    let plan = until(300.0, 1, retried);
    let mut bench = Bench::new(&plan, false);
    bench.tasks(0..1);
    bench.source_ended();
    bench.reply(ended(0, 1.0, Outcome::Failed));
    assert!(bench.dispatcher.is_done());
    let end = bench.dispatcher.into_end();
    assert_eq!((end.counts.of(Outcome::Failed), end.retried), (1, 0));
    assert!(matches!(end.stop, Some(StopReason::NothingFits)));
}

#[test]
fn a_signal_near_the_end_is_slurms_word_of_it() {
    let plan = until(100.0, 1, limits());
    for (seconds, cause) in [(30.0, Cause::Interrupted), (50.0, Cause::Walltime)] {
        let mut bench = Bench::new(&plan, false);
        bench.tasks(0..1);
        bench.at(seconds);
        bench.stop(StopReason::Signal(15));
        let terminate = Request::Terminate { grace_s: 10.0, cause };
        assert_eq!(bench.requests[bench.requests.len() - 2], terminate);
        // The next one has no time to lose in any case.
        bench.stop(StopReason::Signal(15));
        let kill = Request::Terminate { grace_s: 0.0, cause: Cause::Interrupted };
        assert_eq!(bench.requests.last(), Some(&kill));
    }
}

#[test]
fn a_drain_does_not_outlast_the_allocation() {
    let plan = until(100.0, 1, limits());
    let mut bench = Bench::new(&plan, false);
    bench.tasks(0..1);
    bench.stop(StopReason::Drain("SIGUSR1".to_owned()));
    assert_eq!(bench.dispatcher.next_due(), Some(session().began_at.plus_seconds(70.0)));
    bench.at(70.0);
    let terminate = Request::Terminate { grace_s: 10.0, cause: Cause::Walltime };
    assert_eq!(bench.requests.last(), Some(&terminate));
    assert!(matches!(stopped(bench), Some(StopReason::TimeIsUp)));
}

#[test]
fn no_more_is_held_back_than_fits_into_memory() {
    let plan = until(60.0, 1, expecting(3600.0));
    let mut bench = Bench::new(&plan, false);
    let mut read = 0;
    while bench.dispatcher.wants_tasks() && read < 1_000_000 {
        bench.tasks(read..read + 1000);
        read += 1000;
    }
    assert!(read < 70_000, "{read}");
    assert_eq!(bench.ordered().len(), 1);
    let begun = bench.ordered()[0];
    end_after(&mut bench, begun, 1.0);
    assert!(bench.dispatcher.wants_tasks(), "the others get their pending rows");
}

#[test]
fn an_end_that_is_moved_away_lets_more_start_and_one_that_comes_nearer_less() {
    let plan = until(630.0, 1, expecting(500.0));
    let mut bench = Bench::new(&plan, false);
    bench.tasks(0..4);
    bench.source_ended();
    // Nothing new, but for seconds.
    bench.allocation_ends(620.0);
    assert!(bench.warnings.is_empty());
    bench.allocation_ends(2000.0);
    assert_eq!(bench.warnings.len(), 1);
    bench.at(490.0);
    end_after(&mut bench, 0, 490.0);
    assert!(bench.ordered().contains(&1));
    bench.allocation_ends(1100.0);
    bench.at(980.0);
    end_after(&mut bench, 1, 490.0);
    assert_eq!(bench.pending(), [(2, Some(Cause::Walltime)), (3, Some(Cause::Walltime))]);
    assert!(matches!(stopped(bench), Some(StopReason::NothingFits)));
}

#[test]
fn what_runs_is_ended_before_an_end_that_has_come_near() {
    let plan = until(7200.0, 1, limits());
    let mut bench = Bench::new(&plan, false);
    bench.tasks(0..1);
    bench.at(100.0);
    bench.allocation_ends(160.0);
    assert!(!bench.dispatcher.is_ending_tasks());
    bench.at(131.0);
    assert!(bench.dispatcher.is_ending_tasks());
    assert!(matches!(stopped(bench), Some(StopReason::TimeIsUp)));
}
