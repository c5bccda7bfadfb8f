//! What a run leaves, from its events.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type, TimeUnit};
use arrow::ipc::reader::StreamReader;
use ictasks_core::attempt::{Attempt, Cause, Outcome};
use ictasks_core::event::{EventBody, EventSink};
use ictasks_core::protocol::GpuInfo;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::schema::Table;
use crate::specimen::{
    attempt, end, ended, event, finished, joined, pending, read_table, record, record_events, recorder,
    sample, started,
};
use crate::{RecordError, RunFile, RunState};

fn table(run_dir: &Path, table: Table) -> RecordBatch {
    read_table(&run_dir.join(table.file_name()))
}

fn texts(batch: &RecordBatch, column: &str) -> Vec<Option<String>> {
    let array = arrow::compute::cast(batch.column_by_name(column).unwrap(), &DataType::Utf8);
    let array = array.unwrap();
    let texts = array.as_string::<i32>().iter();
    texts.map(|text| text.map(str::to_owned)).collect()
}

fn floats(batch: &RecordBatch, column: &str) -> Vec<Option<f64>> {
    let column = batch.column_by_name(column).unwrap();
    column.as_primitive::<Float64Type>().iter().collect()
}

fn integers(batch: &RecordBatch, column: &str) -> Vec<Option<i64>> {
    let column = batch.column_by_name(column).unwrap();
    let column = arrow::compute::cast(column, &DataType::Int64).unwrap();
    column.as_primitive::<Int64Type>().iter().collect()
}

fn never_ran(index: i64) -> EventBody {
    EventBody::TaskPending(Box::new(pending(index)))
}

#[test]
fn a_run_leaves_four_tables_and_run_json_and_nothing_else() {
    let run = tempfile::tempdir().unwrap();
    record(run.path(), 3, end());
    let mut names: Vec<_> = fs::read_dir(run.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["attempts.parquet", "events.parquet", "run.json", "samples.parquet", "tasks.parquet"]);
    assert_eq!(table(run.path(), Table::Attempts).num_rows(), 3);
    assert_eq!(table(run.path(), Table::Tasks).num_rows(), 3);
    assert_eq!(table(run.path(), Table::Events).num_rows(), 6);
    assert_eq!(table(run.path(), Table::Samples).num_rows(), 0);
}

#[test]
fn the_tables_have_the_promised_types() {
    let run = tempfile::tempdir().unwrap();
    record(run.path(), 1, end());
    let category = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    for kind in Table::ALL {
        let schema = table(run.path(), kind).schema();
        for field in schema.fields() {
            let (name, found) = (field.name().as_str(), field.data_type());
            let expected = match name {
                "outcome" | "cause" | "host" | "kind" | "scope" | "run_id" => Some(&category),
                name if name.ends_with("_at") || name == "at" => Some(&time),
                name if name.ends_with("_bytes") || name.ends_with("_count") => {
                    let narrow = ["core_count", "gpu_count"].contains(&name);
                    Some(if narrow { &DataType::Int32 } else { &DataType::Int64 })
                }
                name if name.ends_with("_s") => Some(&DataType::Float64),
                "task_id" | "command" | "message" => Some(&DataType::Utf8),
                _ => None,
            };
            assert_eq!(expected.unwrap_or(found), found, "{} {name}", kind.name());
        }
        let names: Vec<_> = schema.fields().iter().map(|f| f.name().as_str()).collect();
        let expected = kind.columns().iter().map(|c| c.name);
        let expected: Vec<_> = expected.filter(|name| !name.ends_with("_json")).collect();
        assert_eq!(names, expected);
    }
}

#[test]
fn every_file_says_which_run_it_is_of() {
    let run = tempfile::tempdir().unwrap();
    record(run.path(), 2, end());
    for table in Table::ALL {
        let file = fs::File::open(run.path().join(table.file_name())).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        let facts = reader.metadata().file_metadata().key_value_metadata();
        let facts = facts.unwrap();
        let fact = |key: &str| {
            let pair = facts.iter().find(|pair| pair.key == key);
            pair.and_then(|pair| pair.value.as_deref())
        };
        assert_eq!(fact("ictasks.format_version"), Some("1"));
        assert_eq!(fact("ictasks.version"), Some("0.3.0"));
        assert_eq!(fact("ictasks.run_id"), Some("0198"));
        assert_eq!(fact("ictasks.last_seq"), Some("3"));
    }
}

#[test]
fn what_was_not_measured_is_null_and_what_was_is_itself() {
    let run = tempfile::tempdir().unwrap();
    record_events(run.path(), vec![joined(), started(0), finished(0), never_ran(1)]);
    let tasks = table(run.path(), Table::Tasks);
    assert_eq!(integers(&tasks, "exit_code"), [Some(0), None]);
    assert_eq!(integers(&tasks, "major_fault_count"), [Some(0), None]);
    assert_eq!(integers(&tasks, "max_tree_rss_bytes"), [None, None]);
    assert_eq!(integers(&tasks, "attempt"), [Some(1), Some(0)]);
    assert_eq!(integers(&tasks, "attempt_count"), [Some(1), Some(0)]);
    assert_eq!(floats(&tasks, "total_wall_s"), [Some(0.25), None]);
    assert_eq!(floats(&tasks, "wall_s"), [Some(0.25), None]);
    let cores = tasks.column_by_name("cores").unwrap().as_list::<i32>();
    assert_eq!(cores.value(0).as_primitive::<Int32Type>().values(), &[2, 3]);
    assert!(cores.is_null(1));
    let events = table(run.path(), Table::Events);
    assert_eq!(integers(&events, "core_count"), [Some(8), None, Some(2), None]);
    assert_eq!(integers(&events, "task_index"), [None, Some(0), Some(0), Some(1)]);
    assert_eq!(integers(&events, "memory_total_bytes")[0], Some(1 << 34));
    assert_eq!(floats(&events, "clock_offset_s"), [Some(0.0), None, None, None]);
}

#[test]
fn a_task_is_its_last_attempt() {
    let run = tempfile::tempdir().unwrap();
    let failed = |index, number, outcome| Attempt { attempt: number, outcome, ..attempt(index) };
    let finished = record_events(
        run.path(),
        vec![
            ended(failed(0, 1, Outcome::Failed)),
            ended(failed(1, 1, Outcome::Cancelled)),
            finished(2),
            ended(failed(0, 2, Outcome::Succeeded)),
            never_ran(1),
            never_ran(3),
            never_ran(3),
        ],
    );
    let tasks = table(run.path(), Table::Tasks);
    assert_eq!(integers(&tasks, "task_index"), [Some(1), Some(2), Some(0), Some(3)]);
    assert_eq!(
        texts(&tasks, "outcome").into_iter().flatten().collect::<Vec<_>>(),
        ["cancelled", "succeeded", "succeeded", "pending"]
    );
    assert_eq!(integers(&tasks, "attempt_count"), [Some(1), Some(1), Some(2), Some(0)]);
    assert_eq!(floats(&tasks, "total_wall_s"), [Some(0.25), Some(0.25), Some(0.5), None]);
    assert_eq!(table(run.path(), Table::Attempts).num_rows(), 4);
    let outcomes = finished.totals.outcomes.unwrap();
    assert_eq!(finished.totals.tasks, Some(4));
    assert_eq!(outcomes.get(Outcome::Succeeded), 2);
    assert_eq!(finished.totals.attempts, 4);
}

#[test]
fn parameters_and_results_become_columns() {
    let run = tempfile::tempdir().unwrap();
    let with = |index, params: &str, results: Option<&str>| {
        let (params_json, results_json) = (Some(params.into()), results.map(Into::into));
        ended(Attempt { params_json, results_json, ..attempt(index) })
    };
    let finished = record_events(
        run.path(),
        vec![
            with(0, r#"{"n": 1}"#, Some(r#"{"energy": 1}"#)),
            started(1),
            with(1, r#"{"n": "x"}"#, Some(r#"{"energy": 0.5}"#)),
            never_ran(2),
        ],
    );
    for kind in [Table::Tasks, Table::Attempts, Table::Events] {
        let batch = table(run.path(), kind);
        let column = |name| batch.column_by_name(name);
        assert_eq!(column("param_n").unwrap().data_type(), &DataType::Utf8);
        assert_eq!(column("result_energy").unwrap().data_type(), &DataType::Float64);
        assert!(column("params_json").is_none() && column("results_json").is_none());
    }
    let tasks = table(run.path(), Table::Tasks);
    assert_eq!(floats(&tasks, "result_energy"), [Some(1.0), Some(0.5), None]);
    assert_eq!(texts(&tasks, "param_n"), [Some("1".into()), Some("x".into()), None]);
    assert_eq!(finished.warnings.len(), 1);
}

#[test]
fn the_live_journal_can_be_read_while_the_run_goes_on() {
    let run = tempfile::tempdir().unwrap();
    let mut recorder = recorder(run.path());
    recorder.events(&Arc::from([event(0, started(0))])).unwrap();
    recorder.events(&Arc::from([event(1, finished(0))])).unwrap();
    recorder.samples(vec![sample()]).unwrap();
    let path = run.path().join("journal/events-000000.arrows");
    let deadline = Instant::now() + Duration::from_secs(5);
    while !path.exists() || fs::metadata(&path).unwrap().len() == 0 {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(5));
    }
    recorder.events(&Arc::from([event(2, started(1))])).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    let reader = StreamReader::try_new(fs::File::open(&path).unwrap(), None).unwrap();
    let batches: Vec<_> = reader.map(Result::unwrap).collect();
    let batch = concat_batches(&batches[0].schema(), &batches).unwrap();
    assert_eq!(integers(&batch, "seq"), [Some(0), Some(1), Some(2)]);
    assert_eq!(texts(&batch, "outcome"), [None, Some("succeeded".into()), None]);
    assert_eq!(RunFile::read(run.path()).unwrap().unwrap().state, RunState::Running);
    recorder.finish(end()).unwrap();
    assert_eq!(table(run.path(), Table::Samples).num_rows(), 1);
}

#[test]
fn many_events_pass_through_finished_parts() {
    let run = tempfile::tempdir().unwrap();
    let finished = record(run.path(), 20_000, end());
    assert!(finished.warnings.is_empty(), "{:?}", finished.warnings);
    assert_eq!(finished.totals.tasks, Some(20_000));
    let events = table(run.path(), Table::Events);
    let expected: Vec<_> = (0..40_000).map(Some).collect();
    assert_eq!(integers(&events, "seq"), expected);
}

#[test]
fn a_large_batch_is_kept_whole_and_in_order() {
    let run = tempfile::tempdir().unwrap();
    let mut recorder = recorder(run.path());
    let batch: Vec<_> = (0..1000).map(|number| event(number, finished(number))).collect();
    recorder.events(&Arc::from(batch)).unwrap();
    assert_eq!(recorder.finish(end()).unwrap().totals.tasks, Some(1000));
    let expected: Vec<_> = (0..1000).map(Some).collect();
    assert_eq!(integers(&table(run.path(), Table::Events), "seq"), expected);
}

#[test]
fn run_json_holds_nodes_totals_and_the_end() {
    let run = tempfile::tempdir().unwrap();
    let mut recorder = recorder(run.path());
    recorder.events(&Arc::from([event(0, joined())])).unwrap();
    recorder.events(&Arc::from([event(1, finished(0))])).unwrap();
    recorder.update(|run| run.sessions[0].warnings.push("beware".into())).unwrap();
    recorder.gpus("c17", vec![GpuInfo { id: 3, ..GpuInfo::default() }]).unwrap();
    recorder.gpus("elsewhere", vec![GpuInfo::default(); 2]).unwrap();
    recorder.finish(end()).unwrap();
    let file = RunFile::read(run.path()).unwrap().unwrap();
    assert_eq!((file.state, file.list_complete), (RunState::Finished, true));
    assert_eq!(file.totals.attempt_outcomes.get(Outcome::Succeeded), 1);
    let session = &file.sessions[0];
    assert_eq!(session.hosts[0].core_count, 8);
    assert_eq!(session.hosts[0].gpus, [GpuInfo { id: 3, ..GpuInfo::default() }]);
    assert_eq!(session.exit_code, Some(0));
    assert!(session.ended_at.is_some());
    assert_eq!(session.warnings, ["beware"]);
}

#[test]
fn a_recorder_that_is_dropped_leaves_its_journal() {
    let run = tempfile::tempdir().unwrap();
    let mut first = recorder(run.path());
    first.events(&Arc::from([event(0, finished(0))])).unwrap();
    drop(first);
    assert!(run.path().join("journal/events-000000.arrows").exists());
    assert!(!run.path().join("tasks.parquet").exists());

    let mut next = recorder(run.path());
    next.events(&Arc::from([event(1, finished(1))])).unwrap();
    next.finish(end()).unwrap();
    assert_eq!(table(run.path(), Table::Tasks).num_rows(), 2);
}

#[test]
fn trouble_in_the_thread_surfaces_in_events_and_at_the_end() {
    let run = tempfile::tempdir().unwrap();
    let mut recorder = recorder(run.path());
    // A directory stands where the first part is to be.
    fs::create_dir(run.path().join("journal/events-000000.arrows")).unwrap();
    let deadline = Instant::now() + Duration::from_secs(5);
    let mut seq = 0;
    let error = loop {
        assert!(Instant::now() < deadline);
        seq += 1;
        if let Err(error) = recorder.events(&Arc::from([event(seq, finished(seq))])) {
            break error;
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.starts_with("create `"), "{cause}");
    let error = recorder.finish(end()).unwrap_err();
    assert!(matches!(error, RecordError::Earlier(_)));
    assert!(!run.path().join("tasks.parquet").exists());
}

#[test]
fn a_cause_is_text() {
    let run = tempfile::tempdir().unwrap();
    let cause = Some(Cause::Interrupted);
    record_events(run.path(), vec![ended(Attempt { cause, ..attempt(0) })]);
    let tasks = table(run.path(), Table::Tasks);
    assert_eq!(texts(&tasks, "cause"), [Some("interrupted".to_owned())]);
    assert_eq!(texts(&tasks, "cause_evidence"), [None]);
}
