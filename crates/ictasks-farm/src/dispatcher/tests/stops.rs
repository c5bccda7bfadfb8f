//! How a run stops early.

use super::*;

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
fn trouble_counts_more_than_a_wish() {
    let plan = plan(1);
    let mut bench = Bench::new(&plan, true);
    bench.tasks(0..1);
    bench.stop(StopReason::Drain("SIGUSR1".to_owned()));
    bench.stop(StopReason::DiskFull("free space".to_owned()));
    bench.stop(StopReason::Signal(2));
    let terminate = Request::Terminate { grace_s: 10.0, cause: Cause::Interrupted };
    assert_eq!(bench.requests.last(), Some(&terminate));
    assert!(matches!(bench.dispatcher.into_end().stop, Some(StopReason::DiskFull(_))));
}
