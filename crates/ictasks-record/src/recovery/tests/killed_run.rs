//! A run of two sessions that was killed, how it goes on, and what its tables say then.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use ictasks_core::attempt::{Attempt, Outcome, Seat};
use ictasks_core::column::Timestamp;
use ictasks_core::event::{Event, EventBody, EventSink};
use ictasks_core::protocol::{TaskEnded, TaskOrder};
use ictasks_core::slot_log::{Begun, Line, line_of};

use crate::parquet_file::{Opened, ParquetFile};
use crate::schema::Table;
use crate::specimen::{attempt, end, run_file, sample};
use crate::{Finished, Recorder, RecorderOptions, Recovered, RunLock, Session};

/// The task that a test's last session runs.
pub(crate) const NEW_TASK: i64 = 9000;

/// Tasks of which only the slot log knows: a success, a failure, and one without an end.
pub(crate) const LOGGED: [i64; 3] = [500, 501, 502];

/// Memory where there is such a file system: hundreds of runs are written.
pub(crate) fn directory() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.unwrap()
}

pub(crate) fn in_session(session: i32, index: i64) -> Attempt {
    let (params_json, results_json) = match index % 5 {
        0 => (Some(format!(r#"{{"n":{index},"x":0.1}}"#)), Some(r#"{"energy":-76.026765}"#.to_owned())),
        1 => (Some(r#"{"n":7,"b c":"kept"}"#.to_owned()), None),
        _ => (None, None),
    };
    Attempt { session, params_json, results_json, ..attempt(index) }
}

pub(crate) fn started(attempt: &Attempt) -> EventBody {
    EventBody::TaskStarted {
        task_id: attempt.task_id.clone(),
        task_index: attempt.task_index,
        attempt: attempt.attempt,
        host: "c17".into(),
        worker_id: 1,
        pid: 4000,
    }
}

pub(crate) fn send(recorder: &mut Recorder, seq: &mut i64, attempt: Attempt) {
    let (at, session) = (Timestamp(3_000_000 + *seq), attempt.session);
    let bodies = [started(&attempt), EventBody::TaskFinished(Box::new(attempt))];
    for body in bodies {
        recorder.events(&Arc::from([Event { seq: *seq, at, session, body }])).unwrap();
        *seq += 1;
    }
}

pub(crate) fn order_and_end(session: i32, index: i64) -> (Seat, TaskOrder, TaskEnded) {
    let wanted = in_session(session, index);
    let seat = Seat {
        run_id: wanted.run_id.clone(),
        session,
        host: "c17".into(),
        worker_id: 1,
        core_count: 2,
        cores: wanted.cores.clone(),
        ..Seat::default()
    };
    let order = TaskOrder {
        task_index: index,
        task_id: wanted.task_id,
        attempt: 1,
        command: wanted.command,
        command_hash: wanted.command_hash,
        ready_at: wanted.ready_at.unwrap(),
        environment: BTreeMap::new(),
        params_json: wanted.params_json,
        reason: None,
        timeout_s: None,
        expected_outputs: Vec::new(),
        call: None,
    };
    let mut ended = TaskEnded::unmeasured(index, 1, 1, Outcome::Succeeded);
    ended.pid = wanted.pid;
    ended.started_at = wanted.started_at;
    ended.wall_s = wanted.wall_s;
    ended.exit_code = Some(0);
    ended.usage.user_s = wanted.user_s;
    ended.results_json = wanted.results_json;
    (seat, order, ended)
}

/// The attempt as the slot log tells of it, and so the events of these tests.
pub(crate) fn logged(session: i32, index: i64) -> Attempt {
    let (seat, order, ended) = order_and_end(session, index);
    Attempt::of_end(&seat, order, ended)
}

pub(crate) fn write_slot_log(run_dir: &Path, session: i32, tasks: impl Iterator<Item = i64>) {
    let mut lines = Vec::new();
    let mut add = |line: &Line| lines.extend(line_of(&serde_json::to_vec(line).unwrap()));
    let (seat, ..) = order_and_end(session, 0);
    add(&Line::Slot(seat));
    for index in tasks {
        let (_, order, mut ended) = order_and_end(session, index);
        add(&Line::Begun(Begun { worker_id: 1, at: Timestamp(2), order }));
        if index == LOGGED[1] {
            (ended.outcome, ended.exit_code) = (Outcome::Failed, Some(3));
        }
        if index != LOGGED[2] {
            add(&Line::Finished(Box::new(ended)));
        }
    }
    fs::write(run_dir.join("journal/agent-c17-0.log"), lines).unwrap();
}

/// Opens what was left and starts a recorder that goes on.
pub(crate) fn resume(run_dir: &Path) -> (Recorder, i64, i32, Recovered) {
    let lock = RunLock::take(run_dir, "c17").unwrap();
    let recovered = Recovered::open(&lock).unwrap().expect("a record");
    let (seq, session) = (recovered.next_seq, recovered.next_session);
    let mut run = recovered.run.clone();
    run.sessions.push(Session::begin(session, Vec::new(), serde_json::Value::Null, "c17"));
    let repair = Some(recovered.repair.clone());
    let recorder = Recorder::start(RecorderOptions { lock, run, repair }).unwrap();
    (recorder, seq, session, recovered)
}

/// A run of two sessions: the first ended, with tables; the second was killed.
pub(crate) fn killed_run() -> tempfile::TempDir {
    let run = directory();
    let lock = RunLock::take(run.path(), "c17").unwrap();
    let options = RecorderOptions { lock, run: run_file(), repair: None };
    let mut recorder = Recorder::start(options).unwrap();
    let mut seq = 0;
    (0..40).for_each(|index| send(&mut recorder, &mut seq, logged(0, index)));
    recorder.samples(vec![sample(); 3]).unwrap();
    recorder.finish(end()).unwrap();

    let (mut recorder, mut seq, session, _) = resume(run.path());
    assert_eq!((seq, session), (80, 1));
    (100..240).for_each(|index| send(&mut recorder, &mut seq, logged(1, index)));
    let part = run.path().join("journal/events-000000.parquet");
    let deadline = Instant::now() + Duration::from_secs(60);
    while !part.exists() {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(2));
    }
    recorder.samples(vec![sample(); 2]).unwrap();
    (240..260).for_each(|index| send(&mut recorder, &mut seq, logged(1, index)));
    drop(recorder);
    write_slot_log(run.path(), 1, (100..260).chain(LOGGED));
    run
}

pub(crate) fn copy(from: &Path) -> tempfile::TempDir {
    let to = directory();
    fs::create_dir(to.path().join("journal")).unwrap();
    for directory in ["", "journal"] {
        for entry in fs::read_dir(from.join(directory)).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_file() {
                fs::copy(entry.path(), to.path().join(directory).join(entry.file_name())).unwrap();
            }
        }
    }
    to
}

/// The rows of a table as text, a column each, in the order of the columns.
pub(crate) fn rows(run_dir: &Path, table: Table) -> Vec<BTreeMap<String, String>> {
    let Opened::Whole(file) = ParquetFile::open(&run_dir.join(table.file_name())).unwrap() else {
        panic!("{} cannot be read", table.name());
    };
    let mut rows = Vec::new();
    let damage = file.read(table.columns(), None, &mut |batch| {
        rows.extend((0..batch.num_rows()).map(|row| texts(batch, row)));
        Ok(())
    });
    assert_eq!(damage.unwrap(), None);
    rows
}

pub(crate) fn texts(batch: &RecordBatch, row: usize) -> BTreeMap<String, String> {
    let text = |array: &ArrayRef| {
        array.is_valid(row).then(|| match cast(&array.slice(row, 1), &DataType::Utf8) {
            Ok(text) => text.as_string::<i32>().value(0).to_owned(),
            Err(_) => format!("{:?}", array.slice(row, 1)),
        })
    };
    let schema = batch.schema();
    let cells = schema.fields().iter().zip(batch.columns());
    cells.filter_map(|(field, array)| Some((field.name().clone(), text(array)?))).collect()
}

/// What a finished run says: its attempts, the starts of attempts, the number of samples.
#[derive(Debug, PartialEq)]
pub(crate) struct Told {
    pub(crate) attempts: BTreeSet<BTreeMap<String, String>>,
    pub(crate) starts: BTreeSet<(String, String)>,
    pub(crate) samples: usize,
    pub(crate) events: usize,
}

pub(crate) fn told(run_dir: &Path) -> Told {
    let new = NEW_TASK.to_string();
    let of_before = |row: &BTreeMap<String, String>| row.get("task_index") != Some(&new);
    let events: Vec<_> = rows(run_dir, Table::Events).into_iter().filter(of_before).collect();
    let attempts: Vec<_> = rows(run_dir, Table::Attempts).into_iter().filter(of_before).collect();
    let tasks: Vec<_> = rows(run_dir, Table::Tasks).into_iter().filter(of_before).collect();
    let ends = events.iter().filter(|row| row["kind"] == "task_finished");
    let finished: BTreeSet<_> = ends.map(|row| (&row["task_index"], &row["attempt"])).collect();
    // No attempt is counted twice, and the three tables agree.
    let set: BTreeSet<_> = attempts.iter().cloned().collect();
    assert_eq!((set.len(), finished.len(), tasks.len()), (attempts.len(), set.len(), set.len()));
    let mut seqs: Vec<i64> = events.iter().map(|row| row["seq"].parse().unwrap()).collect();
    let count = seqs.len();
    seqs.dedup();
    assert!(seqs.is_sorted() && seqs.len() == count, "{seqs:?}");
    let starts = events.iter().filter(|row| row["kind"] == "task_started");
    Told {
        attempts: set,
        starts: starts.map(|row| (row["task_index"].clone(), row["attempt"].clone())).collect(),
        samples: rows(run_dir, Table::Samples).len(),
        events: events.len(),
    }
}

/// Goes on with a run to its end. Returns what was recovered and what the run then says.
pub(crate) fn go_on(run_dir: &Path) -> (Recovered, Finished, Told) {
    let (mut recorder, mut seq, session, recovered) = resume(run_dir);
    send(&mut recorder, &mut seq, Attempt { attempt: 1, ..in_session(session, NEW_TASK) });
    let finished = recorder.finish(end()).unwrap();
    assert!(!run_dir.join("journal").exists());
    (recovered, finished, told(run_dir))
}
