//! Runs that were killed, cut short or damaged, and go on.

use std::collections::BTreeSet;
use std::fs;

use ictasks_core::attempt::{Attempt, Outcome};
use ictasks_core::event::EventSink;

use crate::schema::Table;
use crate::specimen::{attempt, end, run_file, sample};
use crate::{RecordError, Recorder, RecorderOptions, Recovered, RunFile, RunLock, RunState};

mod damaged;
pub(crate) mod killed_run;

pub(super) use killed_run::directory;
use killed_run::{NEW_TASK, copy, go_on, in_session, killed_run, resume, rows, send, write_slot_log};

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
    let totals = RunFile::read(run.path()).unwrap().unwrap().totals;
    // Another task was done meanwhile.
    assert_eq!((totals.attempts, totals.attempt_outcomes.get(Outcome::NodeLost)), (2, 0));
    assert_eq!(totals.attempt_outcomes.get(Outcome::Succeeded), 2);
}

#[test]
fn files_of_the_record_that_are_gone_are_told_of() {
    let run = killed_run();
    let killed = copy(run.path());
    go_on(run.path());
    for table in Table::ALL {
        fs::remove_file(run.path().join(table.file_name())).unwrap();
    }
    let told = "run.json counts 204 attempts, of which 0 are found: what is known of the others is lost, and \
                such tasks run again";
    let watch = crate::Watch::open(run.path()).unwrap();
    assert!(watch.damages()[0].ends_with("events.parquet` is missing"), "{:?}", watch.damages());
    let (recovered, ..) = go_on(run.path());
    assert_eq!(recovered.losses, [told]);
    fs::remove_dir_all(killed.path().join("journal")).unwrap();
    let (recovered, ..) = go_on(killed.path());
    let told = "the journal of start 2 is missing: what it ran, if anything, is lost";
    assert_eq!(recovered.losses.last().map(String::as_str), Some(told));
}

#[test]
fn of_a_part_in_both_forms_nothing_is_counted_twice_or_left() {
    let run = killed_run();
    let truth = go_on(copy(run.path()).path()).2;
    // The finished part is not whole yet: what it was made from is.
    let live = fs::read(run.path().join("journal/events-000001.arrows")).unwrap();
    fs::write(run.path().join("journal/events-000001.parquet"), &live[..100]).unwrap();
    fs::write(run.path().join("journal/.events-000002.parquet.tmp"), "half").unwrap();
    let (recovered, _, told) = go_on(run.path());
    assert_eq!(recovered.losses, Vec::<String>::new());
    assert_eq!(told, truth);
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
