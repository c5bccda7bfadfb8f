//! Every file of a killed run, damaged in every way that a power loss may leave.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use ictasks_core::attempt::Outcome;

use super::killed_run::{LOGGED, Told, copy, go_on, killed_run};
use crate::schema::Table;
use crate::{Recovered, Watch};

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

/// Somebody who looks at a damaged run sees nothing that is not true either.
fn look_on(run_dir: &Path, truth: &Told, what: &str) {
    let mut watch = Watch::open(run_dir).unwrap();
    watch.refresh().unwrap();
    let succeeded = truth.attempts.iter().filter(|row| row["outcome"] == "succeeded").count();
    let seen = watch.outcomes().get(Outcome::Succeeded);
    assert!(seen <= succeeded.try_into().unwrap(), "{what}: {seen} successes");
    let known = truth.starts.iter().map(|(task, _)| task.clone()).collect::<BTreeSet<_>>();
    assert!(watch.running().iter().all(|task| known.contains(&task.task_index.to_string())), "{what}");
    assert!(watch.failures().next().is_none(), "{what}");
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
        look_on(run.path(), &truth, &what);
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
fn zeros_in_the_middle_of_events_parquet() {
    let run = killed_run();
    let whole = fs::read(run.path().join("events.parquet")).unwrap();
    let truth = go_on(copy(run.path()).path()).2;
    for from in (0..whole.len() - 512).step_by(whole.len() / 40) {
        let run = copy(run.path());
        let mut bytes = whole.clone();
        bytes[from..from + 512].fill(0);
        fs::write(run.path().join("events.parquet"), bytes).unwrap();
        let (recovered, finished, told) = go_on(run.path());
        assert_eq!(told.attempts, truth.attempts, "zeros at {from}");
        assert!(told == truth || recovered.losses.len() + finished.warnings.len() > 1, "zeros at {from}");
    }
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
