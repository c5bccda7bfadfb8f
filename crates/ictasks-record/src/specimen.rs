//! Runs, events and attempts for tests.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchReader};
use arrow::compute::concat_batches;
use ictasks_core::attempt::{Attempt, Outcome};
use ictasks_core::column::Timestamp;
use ictasks_core::event::{Event, EventBody, EventSink};
use ictasks_core::protocol::NodeInfo;
use ictasks_core::sample::{Sample, Scope};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Map, json};

use crate::{Finished, Recorder, RecorderOptions, RunEnd, RunFile, RunLock, RunState, Session};

/// An attempt at task `index` that succeeded.
pub(crate) fn attempt(index: i64) -> Attempt {
    Attempt {
        run_id: "0198".into(),
        session: 0,
        task_id: index.to_string(),
        task_index: index,
        attempt: 1,
        command: format!("echo {index}"),
        command_hash: index * 7,
        outcome: Outcome::Succeeded,
        exit_code: Some(0),
        host: Some("c17".into()),
        host_id: Some(0),
        worker_id: Some(1),
        cores: Some(vec![2, 3]),
        gpus: Some(Vec::new()),
        core_count: Some(2),
        gpu_count: Some(0),
        pid: Some(4000 + index),
        ready_at: Some(Timestamp(1_000_000)),
        started_at: Some(Timestamp(2_000_000 + index)),
        finished_at: Some(Timestamp(2_250_000 + index)),
        stopped_s: 0.0,
        wait_s: Some(1.0),
        wall_s: Some(0.25),
        user_s: Some(0.125),
        system_s: Some(0.0625),
        max_process_rss_bytes: Some(5_000_000 + index),
        rss_floor_bytes: Some(700_000),
        sample_count: 0,
        minor_fault_count: Some(100),
        major_fault_count: Some(0),
        voluntary_switch_count: Some(3),
        involuntary_switch_count: Some(1),
        storage_read_bytes: Some(0),
        storage_write_bytes: Some(4096),
        stdout_bytes: Some(6),
        stderr_bytes: Some(0),
        leftover_process_count: Some(0),
        ..Attempt::default()
    }
}

/// A task that never ran.
pub(crate) fn pending(index: i64) -> Attempt {
    Attempt {
        attempt: 0,
        outcome: Outcome::Pending,
        exit_code: None,
        host: None,
        host_id: None,
        worker_id: None,
        cores: None,
        gpus: None,
        core_count: None,
        gpu_count: None,
        pid: None,
        started_at: None,
        finished_at: None,
        wait_s: None,
        wall_s: None,
        user_s: None,
        system_s: None,
        max_process_rss_bytes: None,
        rss_floor_bytes: None,
        minor_fault_count: None,
        major_fault_count: None,
        voluntary_switch_count: None,
        involuntary_switch_count: None,
        storage_read_bytes: None,
        storage_write_bytes: None,
        stdout_bytes: None,
        stderr_bytes: None,
        leftover_process_count: None,
        ..attempt(index)
    }
}

pub(crate) fn event(seq: i64, body: EventBody) -> Event {
    Event { seq, at: Timestamp(3_000_000 + seq), session: 0, body }
}

pub(crate) fn started(index: i64) -> EventBody {
    EventBody::TaskStarted {
        task_id: index.to_string(),
        task_index: index,
        attempt: 1,
        host: "c17".into(),
        worker_id: 1,
        pid: 4000 + index,
    }
}

pub(crate) fn finished(index: i64) -> EventBody {
    ended(attempt(index))
}

pub(crate) fn ended(attempt: Attempt) -> EventBody {
    EventBody::TaskFinished(Box::new(attempt))
}

/// A Parquet file read back.
pub(crate) fn read_table(path: &Path) -> RecordBatch {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
    let reader = reader.build().unwrap();
    let schema = reader.schema();
    let batches: Vec<_> = reader.map(Result::unwrap).collect();
    concat_batches(&schema, &batches).unwrap()
}

pub(crate) fn joined() -> EventBody {
    EventBody::NodeJoined(NodeInfo {
        protocol_version: 1,
        host: "c17".into(),
        host_id: 0,
        pid: 17,
        core_count: 8,
        gpu_count: 0,
        memory_total_bytes: Some(1 << 34),
        cpu_model: None,
        at: Timestamp(3_000_000),
        gpus: Vec::new(),
        memory_enforcement: None,
    })
}

pub(crate) fn sample() -> Sample {
    Sample {
        at: Timestamp(5),
        session: 0,
        host: "c17".into(),
        scope: Scope::Host,
        task_id: None,
        attempt: None,
        gpu: None,
        busy_cores: Some(1.5),
        rss_bytes: Some(1 << 20),
        memory_total_bytes: Some(1 << 34),
        process_count: None,
        thread_count: None,
        syscall_read_bytes: None,
        syscall_write_bytes: None,
        load1: Some(0.5),
        gpu_busy_fraction: None,
        gpu_memory_bytes: None,
        gpu_power_w: None,
    }
}

/// run.json of a first session.
pub(crate) fn run_file() -> RunFile {
    let mut run = RunFile::new("0.3.0", "0198", "my_job", Map::new());
    let plan = json!({"stdout_filename": "out.log", "stderr_filename": "../evil"});
    run.sessions.push(Session::begin(0, Vec::new(), plan, "c17"));
    run
}

pub(crate) fn recorder(run_dir: &Path) -> Recorder {
    let lock = RunLock::take(run_dir, "c17").unwrap();
    Recorder::start(RecorderOptions { lock, run: run_file(), repair: None }).unwrap()
}

pub(crate) fn end() -> RunEnd {
    RunEnd {
        state: RunState::Finished,
        how_it_ended: "every task had its turn".into(),
        exit_code: 0,
        list_complete: true,
    }
}

/// Records these events.
pub(crate) fn record_events(run_dir: &Path, bodies: Vec<EventBody>) -> Finished {
    let mut recorder = recorder(run_dir);
    for (seq, body) in (0..).zip(bodies) {
        recorder.events(&Arc::from([event(seq, body)])).unwrap();
    }
    recorder.finish(end()).unwrap()
}

/// Records `count` tasks that succeeded.
pub(crate) fn record(run_dir: &Path, count: i64, end: RunEnd) -> Finished {
    let mut recorder = recorder(run_dir);
    for index in 0..count {
        recorder.events(&Arc::from([event(2 * index, started(index))])).unwrap();
        recorder.events(&Arc::from([event(2 * index + 1, finished(index))])).unwrap();
    }
    recorder.finish(end).unwrap()
}
