//! Looking at runs that go on, end, are damaged and vanish.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ictasks_core::attempt::{Attempt, Outcome};
use ictasks_core::event::{Event, EventBody, EventSink};
use ictasks_core::sample::{Sample, Scope};

use super::*;
use crate::specimen::{attempt, end, event, finished, recorder, sample, started};
use crate::{RecordError, Recorder};

fn send(recorder: &mut Recorder, events: Vec<Event>) {
    recorder.events(&Arc::from(events)).unwrap();
}

/// Looks until it is so.
fn until(watch: &mut Watch, what: &str, is_so: impl Fn(&Watch) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so(watch) {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(5));
        watch.refresh().unwrap();
    }
}

fn failed(index: i64) -> EventBody {
    let stderr_tail = Some("warning\nno such file: data.csv\n\n".to_owned());
    let ended = Attempt { outcome: Outcome::Failed, exit_code: Some(2), stderr_tail, ..attempt(index) };
    EventBody::TaskFinished(Box::new(ended))
}

fn retried(index: i64) -> EventBody {
    let message = "it runs again".to_owned();
    EventBody::TaskRetried { task_id: index.to_string(), task_index: index, attempt: 2, message }
}

#[test]
fn a_live_run_is_followed_to_its_end() {
    let run = tempfile::tempdir().unwrap();
    let mut recorder = recorder(run.path());
    let mut watch = Watch::open(run.path()).unwrap();
    assert_eq!(watch.life(Timestamp::now()), Life::Alive);
    assert_eq!((watch.done(), watch.task_count()), (0, None));

    send(&mut recorder, vec![event(0, started(0)), event(1, started(1)), event(2, started(2))]);
    send(&mut recorder, vec![event(3, finished(0)), event(4, failed(1))]);
    let of_task = Sample { scope: Scope::Task, task_id: Some("2".into()), attempt: Some(1), ..sample() };
    recorder.samples(vec![of_task]).unwrap();
    until(&mut watch, "memory", |watch| watch.running().iter().any(|task| task.rss_bytes.is_some()));
    assert_eq!(watch.done(), 2);
    let running: Vec<_> = watch.running().iter().map(|task| (task.task_index, task.rss_bytes)).collect();
    assert_eq!(running, [(2, Some(1 << 20))]);
    let failure = watch.failures().next().unwrap();
    assert_eq!((failure.task_id.as_str(), failure.exit_code), ("1", Some(2)));
    assert_eq!(failure.last_line.as_deref(), Some("no such file: data.csv"));

    send(&mut recorder, vec![event(5, finished(2))]);
    // Enough for finished parts, so that what is watched becomes another file.
    for index in 3..2000 {
        send(&mut recorder, vec![event(2 * index, started(index)), event(2 * index + 1, finished(index))]);
    }
    until(&mut watch, "all", |watch| watch.done() == 2000);
    assert!(watch.running().is_empty());
    recorder.finish(end()).unwrap();
    watch.refresh().unwrap();
    assert_eq!(watch.life(Timestamp::now()), Life::Ended(RunState::Finished));
    assert_eq!((watch.done(), watch.task_count()), (2000, Some(2000)));
    assert_eq!(watch.outcomes().get(Outcome::Failed), 1);
    assert_eq!(watch.damages(), Vec::<String>::new());
    let mut later = Watch::open(run.path()).unwrap();
    assert_eq!(later.outcomes(), watch.outcomes());

    fs::remove_dir_all(run.path()).unwrap();
    assert!(matches!(later.refresh(), Err(RecordError::NoRecord { .. })));
}

#[test]
fn a_task_that_runs_again_is_not_done() {
    let run = tempfile::tempdir().unwrap();
    let mut recorder = recorder(run.path());
    let mut watch = Watch::open(run.path()).unwrap();
    send(
        &mut recorder,
        vec![event(0, started(0)), event(1, finished(0)), event(2, started(1)), event(3, failed(1))],
    );
    until(&mut watch, "both", |watch| watch.done() == 2);
    send(&mut recorder, vec![event(4, retried(1))]);
    until(&mut watch, "the retry", |watch| watch.done() == 1);
    assert_eq!(watch.outcomes().get(Outcome::Failed), 0);
    let again = match started(1) {
        EventBody::TaskStarted { task_id, task_index, host, worker_id, pid, .. } => {
            EventBody::TaskStarted { task_id, task_index, attempt: 2, host, worker_id, pid }
        }
        other => other,
    };
    send(&mut recorder, vec![event(5, again)]);
    until(&mut watch, "the second attempt", |watch| !watch.running().is_empty());
    assert_eq!((watch.done(), watch.outcomes().get(Outcome::Failed)), (1, 0));
    let succeeded = Attempt { attempt: 2, ..attempt(1) };
    send(&mut recorder, vec![event(6, EventBody::TaskFinished(Box::new(succeeded)))]);
    until(&mut watch, "its end", |watch| watch.running().is_empty());
    assert_eq!((watch.done(), watch.outcomes().get(Outcome::Succeeded)), (2, 2));
}

#[test]
fn at_the_end_of_a_run_nobody_waits_for_another_attempt() {
    let run = tempfile::tempdir().unwrap();
    let mut recorder = recorder(run.path());
    let finished = EventBody::RunFinished { message: "stopped".to_owned() };
    let bodies = [started(0), failed(0), retried(0), finished];
    send(&mut recorder, (0..).zip(bodies).map(|(seq, body)| event(seq, body)).collect());
    recorder.finish(end()).unwrap();
    let watch = Watch::open(run.path()).unwrap();
    assert_eq!((watch.done(), watch.outcomes().get(Outcome::Failed)), (1, 1));
}

#[test]
fn a_run_whose_coordinator_died_is_dead_after_a_minute() {
    let run = tempfile::tempdir().unwrap();
    let mut recorder = recorder(run.path());
    send(&mut recorder, vec![event(0, started(0))]);
    drop(recorder);
    let watch = Watch::open(run.path()).unwrap();
    let now = watch.run().unwrap().updated_at;
    assert_eq!(watch.life(now.plus_seconds(59.0)), Life::Alive);
    assert_eq!(watch.life(now.plus_seconds(61.0)), Life::Dead);
    assert_eq!(watch.running().len(), 1);
}

#[test]
fn the_rate_is_of_the_last_minutes() {
    let mut seen = Seen::default();
    let second = |s: i64| Timestamp(s * 1_000_000);
    (0..600).for_each(|s| seen.count_end(second(s)));
    assert_eq!(seen.ends.iter().map(|(_, count)| count).sum::<i64>(), 301);
    let mut watch = Watch { run_dir: "x".into(), run: None, seen, damages: Vec::new() };
    assert!((watch.rate(second(599)).unwrap() - 1.0).abs() < 0.01);
    assert_eq!(watch.rate(second(2000)), None);
    watch.seen.ends.clear();
    assert_eq!(watch.rate(second(599)), None);
}

#[test]
fn looking_changes_nothing() {
    let run = tempfile::tempdir().unwrap();
    let mut recorder = recorder(run.path());
    send(&mut recorder, vec![event(0, finished(0))]);
    drop(recorder);
    let state = |path: &Path| {
        let files = ["", "journal"].iter().flat_map(|directory| fs::read_dir(path.join(directory)).unwrap());
        let files = files.map(|entry| entry.unwrap());
        let mut files: Vec<_> = files
            .map(|file| {
                (file.path(), file.metadata().unwrap().len(), file.metadata().unwrap().modified().unwrap())
            })
            .collect();
        files.sort();
        files
    };
    let before = state(run.path());
    Watch::open(run.path()).unwrap().refresh().unwrap();
    assert_eq!(state(run.path()), before);
}
