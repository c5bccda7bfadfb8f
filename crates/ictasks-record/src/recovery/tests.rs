//! Runs that were killed, cut short or damaged, and go on.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
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
use crate::{
    Finished, RecordError, Recorder, RecorderOptions, Recovered, RunFile, RunLock, RunState, Session,
};

/// The task that a test's last session runs.
const NEW_TASK: i64 = 9000;

/// Tasks of which only the slot log knows: a success, a failure, and one without an end.
const LOGGED: [i64; 3] = [500, 501, 502];

/// Memory where there is such a file system: hundreds of runs are written.
pub(super) fn directory() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.unwrap()
}

fn in_session(session: i32, index: i64) -> Attempt {
    let (params_json, results_json) = match index % 5 {
        0 => (Some(format!(r#"{{"n":{index},"x":0.1}}"#)), Some(r#"{"energy":-76.026765}"#.to_owned())),
        1 => (Some(r#"{"n":7,"b c":"kept"}"#.to_owned()), None),
        _ => (None, None),
    };
    Attempt { session, params_json, results_json, ..attempt(index) }
}

fn started(attempt: &Attempt) -> EventBody {
    EventBody::TaskStarted {
        task_id: attempt.task_id.clone(),
        task_index: attempt.task_index,
        attempt: attempt.attempt,
        host: "c17".into(),
        worker_id: 1,
        pid: 4000,
    }
}

fn send(recorder: &mut Recorder, seq: &mut i64, attempt: Attempt) {
    let (at, session) = (Timestamp(3_000_000 + *seq), attempt.session);
    let bodies = [started(&attempt), EventBody::TaskFinished(Box::new(attempt))];
    for body in bodies {
        recorder.events(&Arc::from([Event { seq: *seq, at, session, body }])).unwrap();
        *seq += 1;
    }
}

fn order_and_end(session: i32, index: i64) -> (Seat, TaskOrder, TaskEnded) {
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
fn logged(session: i32, index: i64) -> Attempt {
    let (seat, order, ended) = order_and_end(session, index);
    Attempt::of_end(&seat, order, ended)
}

fn write_slot_log(run_dir: &Path, session: i32, tasks: impl Iterator<Item = i64>) {
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
fn resume(run_dir: &Path) -> (Recorder, i64, i32, Recovered) {
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
fn killed_run() -> tempfile::TempDir {
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

fn copy(from: &Path) -> tempfile::TempDir {
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
fn rows(run_dir: &Path, table: Table) -> Vec<BTreeMap<String, String>> {
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

fn texts(batch: &RecordBatch, row: usize) -> BTreeMap<String, String> {
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
struct Told {
    attempts: BTreeSet<BTreeMap<String, String>>,
    starts: BTreeSet<(String, String)>,
    samples: usize,
    events: usize,
}

fn told(run_dir: &Path) -> Told {
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
fn go_on(run_dir: &Path) -> (Recovered, Finished, Told) {
    let (mut recorder, mut seq, session, recovered) = resume(run_dir);
    send(&mut recorder, &mut seq, Attempt { attempt: 1, ..in_session(session, NEW_TASK) });
    let finished = recorder.finish(end()).unwrap();
    assert!(!run_dir.join("journal").exists());
    (recovered, finished, told(run_dir))
}

#[test]
fn a_killed_run_goes_on_and_its_tables_hold_all_sessions() {
    let run = killed_run();
    let (recovered, finished, told) = go_on(run.path());
    assert_eq!(recovered.losses, Vec::<String>::new());
    assert_eq!((recovered.next_session, recovered.repair.added_count()), (2, 3));
    assert_eq!(recovered.history.len(), 40 + 160 + 3);
    assert_eq!(recovered.outcomes.get(Outcome::Succeeded), 40 + 160 + 1);
    assert_eq!(recovered.outcomes.get(Outcome::Failed), 1);
    assert_eq!(recovered.outcomes.get(Outcome::NodeLost), 1);
    assert_eq!(recovered.run.sessions[1].how_it_ended.as_deref(), Some("killed"));
    assert_eq!(told.attempts.len(), 203);
    assert_eq!((told.starts.len(), told.samples), (200, 5));
    assert_eq!(
        finished.warnings,
        ["`b c` is not a name of letters, digits and `_`; it stays in the column `params_json`"]
    );
    let file = RunFile::read(run.path()).unwrap().unwrap();
    assert_eq!((file.state, file.sessions.len()), (RunState::Finished, 3));
    assert_eq!((file.totals.attempts, file.totals.tasks), (204, Some(204)));
    let energies: BTreeSet<_> = told.attempts.iter().filter_map(|row| row.get("result_energy")).collect();
    assert_eq!(energies, BTreeSet::from([&"-76.026765".to_owned()]));
}

#[test]
fn a_run_that_ended_goes_on_again_and_again() {
    let run = killed_run();
    let (_, _, first) = go_on(run.path());
    for session in 3..6 {
        let (mut recorder, mut seq, next, recovered) = resume(run.path());
        assert_eq!((next, recovered.repair.added_count()), (session, 0));
        assert!(recovered.losses.is_empty());
        let number = session;
        send(&mut recorder, &mut seq, Attempt { attempt: number, ..in_session(session, NEW_TASK) });
        recorder.finish(end()).unwrap();
    }
    assert_eq!(rows(run.path(), Table::Tasks).len(), 204);
    let attempts = rows(run.path(), Table::Attempts);
    assert_eq!(attempts.len(), 207);
    let before: BTreeSet<_> =
        attempts.into_iter().filter(|row| row["task_index"] != NEW_TASK.to_string()).collect();
    assert_eq!(before, first.attempts);
}

#[test]
fn a_crash_between_two_renames_loses_nothing_and_counts_nothing_twice() {
    let run = killed_run();
    let ended = copy(run.path());
    let (mut recorder, ..) = resume(ended.path());
    // The journal as it is just before the tables are put in place.
    recorder.samples(Vec::new()).unwrap();
    drop(recorder);
    let before = copy(ended.path());
    let (recorder, ..) = resume(ended.path());
    recorder.finish(end()).unwrap();
    let order = [Table::Attempts, Table::Tasks, Table::Samples, Table::Events];
    let expected = go_on(copy(before.path()).path()).2;
    for renamed in 0..=order.len() {
        let crashed = copy(before.path());
        for table in &order[..renamed] {
            let name = table.file_name();
            fs::copy(ended.path().join(name), crashed.path().join(name)).unwrap();
        }
        // Killed once more on the way, with samples of its own.
        let (mut recorder, ..) = resume(crashed.path());
        recorder.samples(vec![sample()]).unwrap();
        drop(recorder);
        let (recovered, _, told) = go_on(crashed.path());
        assert!(recovered.losses.is_empty(), "{:?}", recovered.losses);
        assert_eq!(told.attempts, expected.attempts, "{renamed} renames");
        assert_eq!((told.events, told.samples), (expected.events, expected.samples + 1), "{renamed} renames");
    }
}

/// Every way in which a file is damaged here, with a name.
fn damages(whole: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut damaged = vec![("zeros appended".to_owned(), [whole, &[0; 64 * 1024]].concat())];
    for cut in 0..200 {
        let length = whole.len() * cut / 200;
        damaged.push((format!("cut at {length} of {}", whole.len()), whole[..length].to_vec()));
    }
    for page in (0..whole.len()).step_by(4096) {
        let mut bytes = whole.to_vec();
        bytes[page..].fill(0);
        damaged.push((format!("zeros from {page} of {}", whole.len()), bytes));
    }
    damaged
}

/// Whether a file that only grows was cut where a killed recorder or agent may have stopped:
/// then nobody can tell that there was more.
fn ends_between_batches(path: &Path) -> bool {
    let name = path.file_name().unwrap().to_str().unwrap();
    if fs::metadata(path).unwrap().len() == 0 {
        return false;
    }
    if name.ends_with(".log") {
        return fs::read(path).unwrap().ends_with(b"\n");
    }
    let table = if name.starts_with("events") { Table::Events } else { Table::Samples };
    name.ends_with(".arrows")
        && crate::journal::stream::read(path, table.columns(), &mut |_| Ok(())).unwrap().is_none()
}

/// A run with one file damaged in every way: nothing is invented, and losses are told.
fn damage(file: &str, check: impl Fn(&Told, &Told, &Recovered, &str)) {
    let run = killed_run();
    let path: PathBuf = run.path().join(file);
    let whole = fs::read(&path).unwrap();
    let (_, _, truth) = go_on(copy(run.path()).path());
    for (what, bytes) in damages(&whole) {
        let what = format!("{file}: {what}");
        let run = copy(run.path());
        fs::write(run.path().join(file), bytes).unwrap();
        let is_at_boundary = ends_between_batches(&run.path().join(file));
        let (recovered, finished, told) = go_on(run.path());
        let is_less = told != truth;
        let told_of = !recovered.losses.is_empty() || finished.warnings.len() > 1;
        assert!(told_of || !is_less || is_at_boundary, "{what}: the loss is not told");
        assert!(told.starts.is_subset(&truth.starts), "{what}");
        assert!(told.samples <= truth.samples, "{what}");
        for row in told.attempts.difference(&truth.attempts) {
            // Of an attempt whose end nobody tells no more is said than that.
            assert_eq!(row["outcome"], "node_lost", "{what}: {row:?}");
            assert!(!row.contains_key("wall_s") && !row.contains_key("exit_code"), "{what}: {row:?}");
        }
        check(&told, &truth, &recovered, &what);
    }
}

/// Another file says the same.
fn no_attempt_is_lost(told: &Told, truth: &Told, _: &Recovered, what: &str) {
    assert!(told.attempts == truth.attempts, "{what}: {} attempts", told.attempts.len());
}

#[test]
fn events_parquet_damaged() {
    damage("events.parquet", no_attempt_is_lost);
}

#[test]
fn attempts_parquet_damaged() {
    damage("attempts.parquet", no_attempt_is_lost);
}

#[test]
fn tasks_parquet_damaged() {
    damage("tasks.parquet", no_attempt_is_lost);
}

#[test]
fn samples_parquet_damaged() {
    damage("samples.parquet", no_attempt_is_lost);
}

#[test]
fn run_json_damaged() {
    damage("run.json", |told, truth, recovered, what| {
        assert_eq!(told, truth, "{what}");
        assert_eq!((recovered.run.run_id.as_str(), recovered.next_session), ("0198", 2), "{what}");
    });
}

#[test]
fn a_finished_part_of_the_journal_damaged() {
    damage("journal/events-000000.parquet", no_attempt_is_lost);
}

#[test]
fn the_live_part_of_the_journal_damaged() {
    damage("journal/events-000001.arrows", no_attempt_is_lost);
}

#[test]
fn the_samples_of_the_journal_damaged() {
    damage("journal/samples-000001.arrows", no_attempt_is_lost);
}

#[test]
fn a_slot_log_damaged() {
    damage("journal/agent-c17-0.log", |told, truth, _, what| {
        let in_events =
            |row: &&BTreeMap<String, String>| LOGGED.iter().all(|task| row["task_index"] != task.to_string());
        let of_events: BTreeSet<_> = truth.attempts.iter().filter(in_events).cloned().collect();
        assert!(told.attempts.is_superset(&of_events), "{what}");
    });
}

#[test]
fn a_success_that_only_the_log_of_a_lost_node_knows_is_one() {
    let run = directory();
    let lock = RunLock::take(run.path(), "c17").unwrap();
    let mut recorder = Recorder::start(RecorderOptions { lock, run: run_file(), repair: None }).unwrap();
    let mut seq = 0;
    send(
        &mut recorder,
        &mut seq,
        Attempt { outcome: Outcome::NodeLost, exit_code: None, wall_s: None, ..attempt(7) },
    );
    drop(recorder);
    write_slot_log(run.path(), 0, [7].into_iter());
    for _ in 0..2 {
        let (recorder, ..) = resume(run.path());
        drop(recorder);
    }
    let (recovered, _, told) = go_on(run.path());
    assert_eq!((recovered.outcomes.get(Outcome::Succeeded), recovered.repair.added_count()), (1, 0));
    let attempts: Vec<_> = told.attempts.iter().collect();
    assert_eq!((attempts.len(), attempts[0]["outcome"].as_str()), (1, "succeeded"));
    let task = &rows(run.path(), Table::Tasks)[0];
    assert_eq!((task["attempt_count"].as_str(), task["outcome"].as_str()), ("1", "succeeded"));
}

#[test]
fn without_any_record_there_is_nothing_to_go_on_with() {
    let run = directory();
    let lock = RunLock::take(run.path(), "c17").unwrap();
    assert!(Recovered::open(&lock).unwrap().is_none());
}

#[test]
fn what_a_newer_version_wrote_is_refused() {
    let run = killed_run();
    let text = fs::read_to_string(run.path().join("run.json")).unwrap();
    fs::write(run.path().join("run.json"), text.replace("\"format_version\": 1", "\"format_version\": 7"))
        .unwrap();
    let lock = RunLock::take(run.path(), "c17").unwrap();
    let error = Recovered::open(&lock).unwrap_err();
    assert!(matches!(error, RecordError::Newer { found: 7, .. }), "{error}");
}
