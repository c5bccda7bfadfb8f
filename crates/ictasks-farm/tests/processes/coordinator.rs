//! The coordinator's part: runs a farm and checks what came of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use ictasks_core::attempt::{Cause, Outcome};
use ictasks_core::column::Timestamp;
use ictasks_core::config::Config;
use ictasks_core::event::{Event, EventBody, EventSink, SinkError};
use ictasks_core::history::Matcher;
use ictasks_core::machine::Machine;
use ictasks_core::plan::{CommandLine, Plan};
use ictasks_core::sample::Sample;
use ictasks_core::task_list::{TaskListFormat, TaskSource};
use ictasks_farm::signals::Signals;
use ictasks_farm::{Farm, RunEnd, Session, StopReason};
use rustix::process::{Signal, getpid, kill_process};

use crate::stand_in::{lives, wait_for};

/// Keeps everything.
#[derive(Default)]
struct Kept(Vec<Event>);

impl EventSink for Kept {
    fn events(&mut self, events: &Arc<[Event]>) -> Result<(), SinkError> {
        self.0.extend(events.iter().cloned());
        Ok(())
    }

    fn samples(&mut self, _: Vec<Sample>) -> Result<(), SinkError> {
        Ok(())
    }
}

/// Plays a scenario; panics if it does not go as it should.
pub fn play(scenario: &str, run_dir: &Path) {
    fs::write(run_dir.join("scenario"), scenario).unwrap();
    let asker = ask(scenario, run_dir);
    let mut kept = Kept::default();
    let end = run(run_dir, &mut kept);
    if let Some(asker) = asker {
        asker.join().unwrap();
    }
    match scenario {
        "lost-agent" => check_lost_agent(run_dir, &kept.0, &end),
        "suspend" => assert_eq!(end.counts.of(Outcome::Succeeded), 6),
        _ => check_stopped(scenario, &end),
    }
}

fn run(run_dir: &Path, kept: &mut Kept) -> RunEnd {
    let list = run_dir.join("list");
    fs::write(&list, "zero\none\ntwo\nthree\nfour\nfive\n").unwrap();
    let command_line =
        CommandLine { run_dir: Some(run_dir.to_owned()), workers: Some(2), ..CommandLine::default() };
    let plan = Plan::resolve(&Config::default(), &command_line, &Machine::detect(), run_dir).unwrap();
    let source = TaskSource::open(&list, TaskListFormat::Lines, run_dir).unwrap();
    let began_at = Timestamp::now();
    let session = Session { run_id: "r".to_owned(), number: 3, began_at, first_seq: 0, resumed: None };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut signals = Signals::new().unwrap();
        fs::write(run_dir.join("ready"), "").unwrap();
        let farm =
            Farm { plan: &plan, session, matcher: Matcher::fresh(), sinks: vec![kept], attendant: None };
        farm.run(source, &run_dir.join("ictasks-agent"), &mut signals).await.unwrap()
    })
}

/// Asks for something as soon as tasks run.
fn ask(scenario: &str, run_dir: &Path) -> Option<std::thread::JoinHandle<()>> {
    let run_dir = run_dir.to_owned();
    let ask: fn(&Path) = match scenario {
        "drain" => |_| kill_process(getpid(), Signal::USR1).unwrap(),
        "stop-file" => |run_dir| {
            fs::write(run_dir.join("new"), "stop").unwrap();
            fs::rename(run_dir.join("new"), run_dir.join("journal/stop")).unwrap();
        },
        _ => return None,
    };
    Some(std::thread::spawn(move || {
        wait_for(&run_dir.join("busy"));
        ask(&run_dir);
    }))
}

fn check_stopped(scenario: &str, end: &RunEnd) {
    // The stand-in for the agent lets two tasks begin.
    assert_eq!((end.counts.total(), end.counts.of(Outcome::Pending)), (6, 4));
    match (scenario, end.stop.as_ref().unwrap()) {
        ("drain", StopReason::Drain(_)) => assert_eq!(end.counts.of(Outcome::Succeeded), 2),
        ("stop-file", StopReason::Stopped(_)) => assert_eq!(end.counts.of(Outcome::Cancelled), 2),
        (_, other) => panic!("{scenario}: {other:?}"),
    }
}

fn check_lost_agent(run_dir: &Path, events: &[Event], end: &RunEnd) {
    let mut rows: BTreeMap<i64, Vec<(i32, Outcome, Option<Cause>)>> = BTreeMap::new();
    for event in events {
        if let EventBody::TaskFinished(row) = &event.body {
            rows.entry(row.task_index).or_default().push((row.attempt, row.outcome, row.cause));
        }
    }
    let succeeded = |attempt| (attempt, Outcome::Succeeded, None);
    let swept_away = (1, Outcome::Cancelled, Some(Cause::AgentLost));
    assert_eq!(rows[&0], [succeeded(1)], "its success was logged");
    assert_eq!(rows[&1], [swept_away, succeeded(2)], "its slot lived on and ended it");
    assert_eq!(rows[&2], [(1, Outcome::NodeLost, None), succeeded(2)], "its slot is gone");
    assert_eq!(rows[&3], [succeeded(1)], "it had not begun");
    assert_eq!((end.counts.total(), end.counts.of(Outcome::Succeeded)), (6, 6));
    assert!(end.stop.is_none());
    let lost = events.iter().filter(|event| matches!(event.body, EventBody::NodeLost { .. })).count();
    assert_eq!(lost, 1);
    let orphan = fs::read_to_string(run_dir.join("orphan")).unwrap();
    assert!(!lives(orphan.trim()), "what belonged to no slot was killed");
}
