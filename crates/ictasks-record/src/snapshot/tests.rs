//! Tables of runs that are alive, were killed, cut short, or have ended.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ictasks_core::attempt::{Attempt, Outcome};
use ictasks_core::event::{EventBody, EventSink};

use super::*;
use crate::recovery::tests::killed_run::{LOGGED, copy, directory, go_on, killed_run, rows};
use crate::specimen::{attempt, end, event, finished, record, recorder, sample, started};

/// The run directory's files, their sizes and times.
fn state(run_dir: &Path) -> Vec<(std::path::PathBuf, u64, std::time::SystemTime)> {
    let directories = [run_dir.to_path_buf(), run_dir.join("journal")];
    let entries = directories.iter().filter_map(|directory| fs::read_dir(directory).ok()).flatten();
    let files = entries.map(|entry| {
        let metadata = entry.as_ref().unwrap().metadata().unwrap();
        (entry.unwrap().path(), metadata.len(), metadata.modified().unwrap())
    });
    let mut files: Vec<_> = files.collect();
    files.sort();
    files
}

fn snapshot(run_dir: &Path) -> (tempfile::TempDir, Snapshot) {
    let into = directory();
    let before = state(run_dir);
    let snapshot = write_snapshot(run_dir, into.path()).unwrap();
    assert_eq!(state(run_dir), before);
    let names: BTreeSet<_> = fs::read_dir(into.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    let tables: BTreeSet<_> = Table::ALL.iter().map(|table| table.file_name().into()).collect();
    assert_eq!(names, tables);
    (into, snapshot)
}

fn attempts_of(directory: &Path) -> BTreeSet<(i64, String)> {
    let rows = rows(directory, Table::Attempts).into_iter();
    rows.map(|row| (row["task_index"].parse().unwrap(), row["outcome"].clone())).collect()
}

fn say_it_is_long_ago(run_dir: &Path) {
    let mut run = RunFile::read(run_dir).unwrap().unwrap();
    run.updated_at = run.updated_at.plus_seconds(-100.0);
    run.write(run_dir).unwrap();
}

#[test]
fn of_a_killed_run_all_its_starts_and_the_logs_of_its_agents_are_in_the_tables() {
    let run = killed_run();
    say_it_is_long_ago(run.path());
    assert!(needs_snapshot(run.path()).unwrap());
    let (into, snapshot) = snapshot(run.path());
    assert_eq!(
        snapshot.damages,
        ["`b c` is not a name of letters, digits and `_`; it stays in the column `params_json`"]
    );
    // What the run would have if it went on, but for that which was begun and has no end.
    let (_, _, told) = go_on(copy(run.path()).path());
    let expected: BTreeSet<_> = told
        .attempts
        .iter()
        .map(|row| (row["task_index"].parse().unwrap(), row["outcome"].clone()))
        .filter(|(index, _)| *index != LOGGED[2])
        .collect();
    assert_eq!(expected.len(), 40 + 160 + 2);
    assert_eq!(attempts_of(into.path()), expected);
    assert_eq!(rows(into.path(), Table::Tasks).len(), expected.len());
    assert_eq!(rows(into.path(), Table::Samples).len(), told.samples);
    let attempts = rows(into.path(), Table::Attempts);
    assert!(attempts.iter().any(|row| row.get("param_n").is_some_and(|n| n == "7")));
    let Opened::Whole(file) = ParquetFile::open(&into.path().join("tasks.parquet")).unwrap() else {
        panic!()
    };
    assert_eq!((file.run_id.as_deref(), file.version.as_deref()), (Some("0198"), Some("0.3.0")));
    // The tables say what they hold, so they can be looked at once more.
    assert!(!needs_snapshot(into.path()).unwrap());
}

#[test]
fn a_live_run_is_told_as_it_is() {
    let run = directory();
    let mut recorder = recorder(run.path());
    let mut bodies = vec![started(0)];
    bodies.extend((1..1000).flat_map(|index| [started(index), finished(index)]));
    for (seq, body) in (0..).zip(bodies) {
        recorder.events(&Arc::from([event(seq, body)])).unwrap();
    }
    recorder.samples(vec![sample()]).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let into = loop {
        // Parts are finished and renamed meanwhile.
        let into = directory();
        let snapshot = write_snapshot(run.path(), into.path()).unwrap();
        assert_eq!(snapshot.damages, Vec::<String>::new());
        let found = attempts_of(into.path());
        assert_eq!(rows(into.path(), Table::Tasks).len(), found.len());
        let expected: BTreeSet<_> =
            (1..=i64::try_from(found.len()).unwrap()).map(|n| (n, "succeeded".to_owned())).collect();
        assert_eq!(found, expected);
        if found.len() == 999 && rows(into.path(), Table::Samples).len() == 1 {
            break into;
        }
        assert!(Instant::now() < deadline);
    };
    let events = rows(into.path(), Table::Events);
    let starts = events.iter().filter(|row| row["kind"] == "task_started").count();
    assert_eq!((starts, events.len()), (1000, 1999));
    recorder.finish(end()).unwrap();
    assert!(!needs_snapshot(run.path()).unwrap());
}

#[test]
fn a_snapshot_of_a_run_that_ends_meanwhile_is_whole() {
    let run = directory();
    for _ in 0..5 {
        let recording = run.path().join("run");
        fs::create_dir(&recording).unwrap();
        let mut recorder = recorder(&recording);
        for index in 0..400 {
            let events = [event(2 * index, started(index)), event(2 * index + 1, finished(index))];
            recorder.events(&Arc::from(events)).unwrap();
        }
        let ending = std::thread::spawn(move || recorder.finish(end()).unwrap());
        let mut last = 0;
        while !ending.is_finished() || last < 400 {
            let into = directory();
            let snapshot = write_snapshot(&recording, into.path()).unwrap();
            assert_eq!(snapshot.damages, Vec::<String>::new());
            let count = rows(into.path(), Table::Attempts).len();
            assert!(count >= last, "{count} after {last}");
            last = count;
        }
        ending.join().unwrap();
        fs::remove_dir_all(&recording).unwrap();
    }
}

#[test]
fn a_journal_that_was_cut_tells_what_was_before() {
    let run = directory();
    let part = run.path().join("journal/events-000000.arrows");
    let mut recorder = recorder(run.path());
    for index in 0..100 {
        recorder.events(&Arc::from([event(index, finished(index))])).unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        // Two batches, and the file has more than a schema.
        while index == 50 && fs::metadata(&part).map_or(0, |metadata| metadata.len()) < 10_000 {
            assert!(Instant::now() < deadline);
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    drop(recorder);
    say_it_is_long_ago(run.path());
    let length = fs::metadata(&part).unwrap().len();
    OpenOptions::new().write(true).open(&part).unwrap().set_len(length - 10).unwrap();
    let (into, snapshot) = snapshot(run.path());
    let count = attempts_of(into.path()).len();
    assert!((1..100).contains(&count), "{count}");
    assert_eq!(snapshot.damages.len(), 1);
    assert!(snapshot.damages[0].contains("it ends within a message"), "{:?}", snapshot.damages);
}

#[test]
fn where_the_events_are_lost_the_other_tables_stand_in() {
    let run = directory();
    record(run.path(), 50, end());
    assert!(!needs_snapshot(run.path()).unwrap());
    let truth = attempts_of(run.path());
    fs::write(run.path().join("events.parquet"), "no").unwrap();
    assert!(needs_snapshot(run.path()).unwrap());
    let (into, told) = snapshot(run.path());
    assert_eq!(attempts_of(into.path()), truth);
    assert!(told.damages[0].contains("events.parquet` is damaged"), "{:?}", told.damages);
    fs::remove_file(run.path().join("events.parquet")).unwrap();
    fs::remove_file(run.path().join("run.json")).unwrap();
    let (into, told) = snapshot(run.path());
    assert_eq!((attempts_of(into.path()), told.damages), (truth, Vec::new()));
}

#[test]
fn a_run_that_has_only_begun_has_empty_tables() {
    let run = directory();
    let recorder = recorder(run.path());
    let (into, told) = snapshot(run.path());
    assert_eq!((attempts_of(into.path()).len(), told.damages), (0, Vec::new()));
    drop(recorder);
    let nothing = directory();
    assert!(matches!(write_snapshot(nothing.path(), into.path()), Err(RecordError::NoRecord { .. })));
    assert!(matches!(needs_snapshot(nothing.path()), Err(RecordError::NoRecord { .. })));
}

#[test]
fn the_last_attempt_of_a_task_counts() {
    let run = directory();
    let mut recorder = recorder(run.path());
    let failed = Attempt { outcome: Outcome::Failed, exit_code: Some(1), ..attempt(3) };
    let again = Attempt { attempt: 2, ..attempt(3) };
    for (seq, attempt) in (0..).zip([failed, again]) {
        let body = EventBody::TaskFinished(Box::new(attempt));
        recorder.events(&Arc::from([event(seq, body)])).unwrap();
    }
    drop(recorder);
    let (into, _) = snapshot(run.path());
    assert_eq!(rows(into.path(), Table::Attempts).len(), 2);
    let tasks = rows(into.path(), Table::Tasks);
    assert_eq!((tasks.len(), tasks[0]["attempt_count"].as_str()), (1, "2"));
}

#[test]
fn a_journal_without_any_event_gives_empty_tables() {
    let run = directory();
    let journal = run.path().join("journal");
    fs::create_dir(&journal).unwrap();
    for (event_part, sample_part) in [(false, true), (true, true), (true, false)] {
        for (name, is_there) in [("events-000000.arrows", event_part), ("samples-000000.arrows", sample_part)]
        {
            let _ = fs::remove_file(journal.join(name));
            if is_there {
                fs::write(journal.join(name), "").unwrap();
            }
        }
        let (into, _) = snapshot(run.path());
        assert!(attempts_of(into.path()).is_empty());
    }
}
