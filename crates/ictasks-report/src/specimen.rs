//! A small run for tests: every figure in it is written down here.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, ListBuilder, RecordBatch, StringArray};
use arrow::array::{Int32Builder, TimestampMicrosecondArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use ictasks_core::attempt::Attempt;
use ictasks_core::column::{Column, ColumnType, Row};
use ictasks_core::sample::Sample;
use parquet::arrow::ArrowWriter;
use serde_json::{Value, json};

use crate::moment::Moment;
use crate::source::{Source, Table};

/// A run directory that vanishes with it.
pub(crate) struct Run {
    pub(crate) source: Source,
    pub(crate) directory: tempfile::TempDir,
}

/// What a hostile task would like to put into reports.
pub(crate) const HOSTILE: &str = "\u{1b}[31mred\u{1b}[0m \u{1b}]0;title\u{7}<script>alert(1)</script> & \"quotes\" 'single' ]]> \u{202e}abc\u{0}\u{8}\u{ffff}\r\nlast line\n";

/// Two hosts and five tasks: one succeeded, one failed and then succeeded, one with hostile text died of a
/// signal, one could not be started, one never ran.
pub(crate) fn run() -> Run {
    let directory = tempfile::tempdir().unwrap();
    let attempts = attempts();
    let tasks: Vec<Value> = attempts.iter().filter(|row| row["last"] == true).cloned().collect();
    let without_mark = |rows: &[Value]| -> Vec<Value> {
        let unmarked = rows.iter().map(|row| {
            let mut row = row.clone();
            row.as_object_mut().unwrap().remove("last");
            row
        });
        unmarked.collect()
    };
    write(directory.path(), Table::Tasks, &without_mark(&tasks));
    let ran: Vec<Value> = attempts.iter().filter(|row| row["attempt"] != 0).cloned().collect();
    write(directory.path(), Table::Attempts, &without_mark(&ran));
    write(directory.path(), Table::Samples, &samples());
    std::fs::write(directory.path().join("run.json"), run_json().to_string()).unwrap();
    Run { source: Source::finished(directory.path()), directory }
}

fn run_json() -> Value {
    json!({
        "format_version": 1, "version": "0.3.0", "run_id": "0198-run", "job_id": "sweep", "state": "finished",
        "sessions": [{
            "session": 0, "submit_dir": "/home/me", "began_at": "2026-03-01T12:00:00Z", "ended_at": "2026-03-01T12:00:20Z",
            "how_it_ended": "all tasks had their turn",
            "plan": {
                "job_id": "sweep", "shell": "auto", "cwd": "task", "stdout_filename": "out.txt", "stderr_filename": "err.txt",
                "environment": {"MESH": "it's fine"}, "task_distribution": {"cores_per_task": 2}, "gpu_binding": "file",
                "task_files": "all",
            },
        }],
    })
}

/// `last` marks rows of tasks.parquet.
fn attempts() -> Vec<Value> {
    vec![
        json!({
            "last": true, "task_id": "0", "task_index": 0, "attempt": 1, "command": "./simulate --speed 0.5", "outcome": "succeeded",
            "exit_code": 0, "host": "c1", "host_id": 0, "worker_id": 0, "cores": [0, 1], "gpus": [], "core_count": 2, "pid": 100,
            "ready_at": at(0.0), "started_at": at(1.0), "finished_at": at(5.0), "wait_s": 1.0, "wall_s": 4.0, "user_s": 3.5, "system_s": 0.25,
            "max_process_rss_bytes": 1 << 20, "max_tree_rss_bytes": 2 << 20, "sample_count": 4, "stdout_bytes": 12, "stderr_bytes": 0,
            "param_speed": 0.5, "param_mesh": "=HYPERLINK(\"http://x\")", "result_drag": 0.25, "result_ok": true,
        }),
        json!({
            "last": false, "task_id": "retried", "task_index": 1, "attempt": 1, "command": "./simulate --speed 1.5", "outcome": "failed",
            "exit_code": 3, "host": "c2", "host_id": 1, "worker_id": 0, "cores": [0, 1], "core_count": 2, "pid": 200,
            "ready_at": at(0.0), "started_at": at(1.0), "finished_at": at(6.0), "wait_s": 1.0, "wall_s": 5.0,
            "stderr_tail": "no mesh\n", "param_speed": 1.5, "param_mesh": "m1",
        }),
        json!({
            "last": true, "task_id": "hostile", "task_index": 2, "attempt": 1, "command": "printf '\t%s\n' @x", "outcome": "signaled",
            "signal": 11, "host": "c1", "host_id": 0, "worker_id": 1, "cores": [2, 3], "core_count": 2, "pid": 101,
            "ready_at": at(0.0), "started_at": at(1.5), "finished_at": at(7.0), "wait_s": 1.5, "wall_s": 5.5,
            "stderr_tail": HOSTILE, "stdout_tail": "+cmd|' /C calc'!A0", "param_speed": -2.5, "param_mesh": HOSTILE,
        }),
        json!({
            "last": true, "task_id": "retried", "task_index": 1, "attempt": 2, "reason": "retry", "command": "./simulate --speed 1.5",
            "outcome": "succeeded", "exit_code": 0, "host": "c2", "host_id": 1, "worker_id": 0, "cores": [0, 1], "core_count": 2, "pid": 201,
            "ready_at": at(6.0), "started_at": at(6.5), "finished_at": at(9.5), "wait_s": 0.5, "wall_s": 3.0,
            "param_speed": 1.5, "param_mesh": "m1", "result_drag": 1.0, "result_ok": false,
        }),
        json!({
            "last": true, "task_id": "missing", "task_index": 3, "attempt": 1, "command": "no-such-program", "outcome": "spawn_failed",
            "error": "no such program", "host": "c1", "host_id": 0, "worker_id": 0, "core_count": 2, "ready_at": at(0.0), "finished_at": at(10.0),
            "param_mesh": "",
        }),
        json!({
            "last": true, "task_id": "never", "task_index": 4, "attempt": 0, "command": "true", "outcome": "pending", "cause": "stopped",
            "cause_evidence": "certain",
        }),
    ]
}

fn samples() -> Vec<Value> {
    let host = |seconds: f64, host: &str, cores: f64, bytes: i64| json!({ "at": at(seconds), "host": host, "scope": "host", "busy_cores": cores, "rss_bytes": bytes, "memory_total_bytes": 1_i64 << 34 });
    let task = |seconds: f64, attempt: i32, cores: f64, bytes: i64| json!({ "at": at(seconds), "host": "c2", "scope": "task", "task_id": "retried", "attempt": attempt, "busy_cores": cores, "rss_bytes": bytes });
    vec![
        host(2.0, "c1", 1.5, 1 << 30),
        task(2.0, 1, 0.5, 1 << 20),
        task(3.0, 1, 1.0, 4 << 20),
        task(7.5, 2, 2.0, 8 << 20),
        host(8.0, "c2", 2.0, 2 << 30),
        json!({ "at": at(8.0), "host": "c2", "scope": "gpu", "gpu": 0, "gpu_busy_fraction": 0.5, "gpu_memory_bytes": 1 << 30 }),
    ]
}

/// Microseconds since the epoch, so many seconds after the session began.
#[allow(clippy::cast_possible_truncation)]
fn at(seconds: f64) -> i64 {
    Moment::parse("2026-03-01T12:00:00Z").unwrap().0 + (seconds * 1e6) as i64
}

/// Writes a table: the columns of the record, those that rows have beside them, and defaults where a column
/// may not be null.
pub(crate) fn write(directory: &Path, table: Table, rows: &[Value]) {
    let columns = if table == Table::Samples { Sample::COLUMNS } else { Attempt::COLUMNS };
    let columns = columns.iter().filter(|column| !column.name.ends_with("_json"));
    let mut fields = Vec::new();
    let mut arrays = Vec::new();
    for column in columns {
        let array = array(column, rows);
        fields.push(Field::new(column.name, array.data_type().clone(), true));
        arrays.push(array);
    }
    let mut names: Vec<&String> = rows.iter().flat_map(|row| row.as_object().unwrap().keys()).collect();
    names.sort();
    names.dedup();
    for name in names.into_iter().filter(|name| name.starts_with("param_") || name.starts_with("result_")) {
        let array = named(name, rows);
        fields.push(Field::new(name, array.data_type().clone(), true));
        arrays.push(array);
    }
    if table == Table::Tasks {
        let counts: Int64Array = rows.iter().map(|row| row["attempt"].as_i64()).collect();
        fields.push(Field::new("attempt_count", DataType::Int64, true));
        arrays.push(Arc::new(counts));
    }
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays).unwrap();
    let file = std::fs::File::create(directory.join(table.file_name())).unwrap();
    let mut writer = ArrowWriter::try_new(file, schema, None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn array(column: &Column, rows: &[Value]) -> ArrayRef {
    let values = rows.iter().map(|row| &row[column.name]);
    let default = |value: &Value| if column.nullable { value.as_i64() } else { value.as_i64().or(Some(0)) };
    match column.kind {
        ColumnType::Int32 => cast(&Int64Array::from_iter(values.map(default)), &DataType::Int32).unwrap(),
        ColumnType::Int64 => Arc::new(Int64Array::from_iter(values.map(default))),
        ColumnType::Float64 => Arc::new(Float64Array::from_iter(values.map(Value::as_f64))),
        ColumnType::Text => Arc::new(StringArray::from_iter(values.map(Value::as_str))),
        ColumnType::Category => {
            let texts = StringArray::from_iter(values.map(Value::as_str));
            let kind = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
            cast(&texts, &kind).unwrap()
        }
        ColumnType::Timestamp => {
            let times = TimestampMicrosecondArray::from_iter(values.map(Value::as_i64));
            Arc::new(times.with_timezone("UTC"))
        }
        ColumnType::Int32List => {
            let mut builder = ListBuilder::new(Int32Builder::new());
            for value in values {
                let items = value
                    .as_array()
                    .map(|items| items.iter().map(|item| item.as_i64().map(|item| item as i32)));
                match items {
                    Some(items) => builder.append_value(items),
                    None => builder.append_null(),
                }
            }
            Arc::new(builder.finish())
        }
    }
}

fn named(name: &str, rows: &[Value]) -> ArrayRef {
    let values = || rows.iter().map(|row| &row[name]);
    if values().any(Value::is_string) {
        Arc::new(StringArray::from_iter(values().map(Value::as_str)))
    } else if values().any(Value::is_boolean) {
        Arc::new(BooleanArray::from_iter(values().map(Value::as_bool)))
    } else {
        Arc::new(Float64Array::from_iter(values().map(Value::as_f64)))
    }
}
