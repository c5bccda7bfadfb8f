//! Any events in, the same rows out, over any number of sessions that end or are killed.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use ictasks_core::attempt::{Attempt, Cause, Outcome, Reason};
use ictasks_core::column::Timestamp;
use ictasks_core::event::{Event, EventBody, EventSink};
use proptest::prelude::*;

use super::Recovered;
use crate::event_row;
use crate::parquet_file::{Opened, ParquetFile};
use crate::rows::RowBuilder;
use crate::schema::Table;
use crate::specimen::{end, run_file};
use crate::{Recorder, RecorderOptions, RunLock, Session};

fn one_of<T: Copy + std::fmt::Debug + 'static>(all: &'static [T]) -> impl Strategy<Value = T> {
    proptest::sample::select(all)
}

prop_compose! {
    fn attempts()(
        (task_id, command, error, stderr_tail) in (".{0,20}", ".{0,40}", any::<Option<String>>(), any::<Option<String>>()),
        (task_index, attempt, command_hash) in (0..1000_i64, 1..4_i32, any::<i64>()),
        outcome in one_of(Outcome::ALL),
        cause in proptest::option::of(one_of(Cause::ALL)),
        reason in proptest::option::of(one_of(Reason::ALL)),
        (exit_code, cores, pid) in (any::<Option<i32>>(), any::<Option<Vec<i32>>>(), any::<Option<i64>>()),
        (started, wall_s, stopped_s) in
            (any::<Option<i64>>(), proptest::option::of(-1e300..1e300), 0.0..1e9),
        sample_count in any::<i64>(),
    ) -> Attempt {
        Attempt {
            run_id: "0198".to_owned(),
            task_id,
            task_index,
            attempt,
            reason,
            command,
            command_hash,
            outcome,
            exit_code,
            cause,
            error,
            stderr_tail,
            cores,
            pid,
            started_at: started.map(Timestamp),
            wall_s,
            stopped_s,
            sample_count,
            ..Attempt::default()
        }
    }
}

fn bodies() -> impl Strategy<Value = EventBody> {
    let task = || (".{0,20}", 0..1000_i64, 1..4_i32);
    prop_oneof![
        attempts().prop_map(|attempt| EventBody::TaskFinished(Box::new(attempt))),
        attempts().prop_map(|attempt| {
            EventBody::TaskPending(Box::new(Attempt { attempt: 0, outcome: Outcome::Pending, ..attempt }))
        }),
        (task(), ".{0,10}", any::<i32>(), any::<i64>()).prop_map(
            |((task_id, task_index, attempt), host, worker_id, pid)| {
                EventBody::TaskStarted { task_id, task_index, attempt, host, worker_id, pid }
            }
        ),
        (task(), ".{0,30}").prop_map(|((task_id, task_index, attempt), message)| {
            EventBody::TaskRetried { task_id, task_index, attempt, message }
        }),
        (task(), one_of(Reason::ALL)).prop_map(|((task_id, task_index, _), reason)| {
            EventBody::TaskSkipped { task_id, task_index, reason }
        }),
        ".{0,30}".prop_map(|message| EventBody::StopRequested { message, ends_tasks: false }),
    ]
}

/// Records events and ends, or is killed.
fn session(run_dir: &std::path::Path, bodies: Vec<EventBody>, ends: bool, rows: &mut RowBuilder) {
    let lock = RunLock::take(run_dir, "c17").unwrap();
    let recovered = Recovered::open(&lock).unwrap();
    let (mut seq, number) =
        recovered.as_ref().map_or((0, 0), |recovered| (recovered.next_seq, recovered.next_session));
    let (run, repair) = match recovered {
        Some(Recovered { mut run, repair, .. }) => {
            run.sessions.push(Session::begin(number, Vec::new(), serde_json::Value::Null, "c17"));
            (run, Some(repair))
        }
        None => (run_file(), None),
    };
    let mut recorder = Recorder::start(RecorderOptions { lock, run, repair }).unwrap();
    let mut events = Vec::new();
    for body in bodies {
        let event = Event { seq, at: Timestamp(seq), session: number, body };
        rows.push(|take| event_row::cells(&event, take));
        events.push(event);
        seq += 1;
    }
    recorder.events(&Arc::from(events)).unwrap();
    if ends {
        recorder.finish(end()).unwrap();
    }
}

fn events_of(run_dir: &std::path::Path) -> RecordBatch {
    let Opened::Whole(file) = ParquetFile::open(&run_dir.join("events.parquet")).unwrap() else {
        panic!("events.parquet cannot be read");
    };
    let mut batches = Vec::new();
    let damage = file.read(Table::Events.columns(), None, &mut |batch| {
        batches.push(batch.clone());
        Ok(())
    });
    assert_eq!(damage.unwrap(), None);
    let schema = crate::schema::part_schema(Table::Events.columns());
    concat_batches(&schema, &batches).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(32) })]

    #[test]
    fn what_goes_in_comes_out(
        sessions in proptest::collection::vec((proptest::collection::vec(bodies(), 1..400), any::<bool>()), 1..4)
    ) {
        let run = super::tests::directory();
        let mut rows = RowBuilder::new(Table::Events.columns());
        let last = sessions.len() - 1;
        for (number, (bodies, ends)) in sessions.into_iter().enumerate() {
            session(run.path(), bodies, ends || number == last, &mut rows);
        }
        let expected = rows.take().unwrap();
        let width = expected.num_columns() - 1;
        let expected = expected.project(&(0..width).collect::<Vec<_>>()).unwrap();
        let found = events_of(run.path());
        prop_assert_eq!(found.num_rows(), expected.num_rows());
        for column in 0..width {
            let name = Table::Events.columns()[column].name;
            prop_assert!(found.column(column) == expected.column(column), "{}", name);
        }
    }
}
