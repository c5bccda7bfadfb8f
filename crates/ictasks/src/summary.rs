//! What the user sees at the end.

use std::path::Path;
use std::process::{Command, Stdio};

use ictasks_core::attempt::Outcome;
use ictasks_core::plan::Plan;
use ictasks_farm::{RunEnd, StopReason};

use crate::exit::chain;
use crate::progress::duration;
use crate::resume::words;
use crate::tally::Tally;

/// Outcomes in the order in which they are named.
pub const ORDER: [Outcome; 9] = [
    Outcome::Succeeded,
    Outcome::Failed,
    Outcome::Signaled,
    Outcome::TimedOut,
    Outcome::OutOfMemory,
    Outcome::SpawnFailed,
    Outcome::Cancelled,
    Outcome::NodeLost,
    Outcome::Pending,
];

/// Why the run stopped early, if it did.
pub fn stopped_early(end: &RunEnd) -> Option<String> {
    end.stop.as_ref().map(|stop| format!("stopped early: {}", stopped(stop)))
}

/// What the start that ends did.
pub fn lines(end: &RunEnd, tally: &Tally, plan: &Plan) -> Vec<String> {
    let mut lines = vec![counts(end), work(tally, plan)];
    if !end.list_complete {
        lines.push("the list was not read to its end: tasks beyond are not in the record".to_owned());
    }
    lines
}

/// Shorter runs in which all went well are not read again at their end: that takes at least 20 ms, a
/// noticeable part of them, and there is little to advise.
const WORTH_READING_S: f64 = 3.0;

/// Lines of all that is said at the end, at most.
pub const MOST_LINES: usize = 10;

/// What the record says of the run, and where it lies, in `room` lines at most.
pub fn findings(end: &RunEnd, tally: &Tally, run_dir: &Path, room: usize) -> Vec<String> {
    let all_well = end.counts.total() == end.counts.of(Outcome::Succeeded);
    let mut lines = Vec::new();
    if !all_well || tally.begun.elapsed().as_secs_f64() > WORTH_READING_S {
        lines = report_summary(run_dir);
        lines.truncate(room.saturating_sub(2));
    }
    lines.push(format!("record: {}", run_dir.join("tasks.parquet").display()));
    let directory = run_dir.display().to_string();
    lines.push(format!("report: ictasks report {}", shlex::try_quote(&directory).unwrap_or_default()));
    lines
}

/// The program as it runs now, also where its file was replaced meanwhile.
const THIS_PROGRAM: &str = "/proc/self/exe";

/// `ictasks report --format summary`, as a process of its own: its memory grows with the record, and it may
/// fail where this one must not.
fn report_summary(run_dir: &Path) -> Vec<String> {
    let mut command = Command::new(THIS_PROGRAM);
    command.args(["report", "--format", "summary"]).arg(run_dir).stdin(Stdio::null()).stderr(Stdio::null());
    // Without findings the record still tells all; `ictasks report` says what is wrong with it.
    let printed = command.output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&printed).lines().map(str::to_owned).collect()
}

fn counts(end: &RunEnd) -> String {
    let named: Vec<String> = ORDER
        .iter()
        .filter(|outcome| end.counts.of(**outcome) > 0 || **outcome == Outcome::Succeeded)
        .map(|outcome| format!("{} {}", end.counts.of(*outcome), outcome.as_str().replace('_', " ")))
        .collect();
    let mut line = format!("{}: {}", tasks(end.counts.total()), named.join(", "));
    if end.retried > 0 {
        line.push_str(&format!("; {} retried", attempts(end.retried)));
    }
    let left_out: i64 = end.skipped.values().sum();
    if left_out > 0 {
        let reasons = end.skipped.iter().map(|(reason, count)| format!("{count} {}", words(*reason)));
        line.push_str(&format!("; left out: {}", reasons.collect::<Vec<_>>().join(", ")));
    }
    line
}

fn attempts(count: i64) -> String {
    format!("{count} {}", if count == 1 { "attempt" } else { "attempts" })
}

/// A number of tasks in words.
pub fn tasks(count: i64) -> String {
    format!("{count} {}", if count == 1 { "task" } else { "tasks" })
}

#[allow(clippy::cast_precision_loss)]
fn work(tally: &Tally, plan: &Plan) -> String {
    let elapsed_s = tally.begun.elapsed().as_secs_f64().max(1e-9);
    let rate = tally.done() as f64 / elapsed_s;
    let cores = tally.cores().max(1);
    let mut held = cores;
    let mut who = if cores == 1 { "1 core".to_owned() } else { format!("{cores} cores") };
    if tally.cores_of.len() == 1 {
        let workers = i32::try_from(plan.workers.len()).unwrap_or(i32::MAX);
        let of_workers = workers.saturating_mul(plan.task_distribution.cores_per_task);
        if of_workers > cores {
            held = of_workers;
            who = format!("{workers} workers on {who}");
        }
    }
    let occupancy = 100.0 * tally.core_seconds / (elapsed_s * f64::from(held));
    format!("{}, {rate:.1} tasks/s, {who} occupied {occupancy:.0} % of the time", duration(elapsed_s))
}

fn stopped(stop: &StopReason) -> String {
    match stop {
        StopReason::Signal(1) => "interrupted (SIGHUP)".to_owned(),
        StopReason::Signal(2) => "interrupted (SIGINT)".to_owned(),
        StopReason::Signal(15) => "interrupted (SIGTERM)".to_owned(),
        StopReason::Signal(number) => format!("interrupted by signal {number}"),
        StopReason::Drain(by) => format!("no further task was started ({by})"),
        StopReason::Stopped(by) => format!("stopped ({by})"),
        StopReason::MaxFailures(1) => {
            "a task failed, and `max_failures` is 1: no further task was started".to_owned()
        }
        StopReason::MaxFailures(count) => {
            format!("{count} tasks failed (`max_failures`): no further task was started")
        }
        StopReason::StopCondition(what) => {
            format!("a stopping condition is met ({what}): no further task was started")
        }
        StopReason::NoneSucceeded(count) => {
            format!(
                "none of the first {count} attempts succeeded (`stop_if_none_succeed`): no further task was started"
            )
        }
        StopReason::NothingFits => {
            "no task that is left would end before the allocation does: no further task was started"
                .to_owned()
        }
        StopReason::TimeIsUp => "the end of the allocation is near: what still ran was ended".to_owned(),
        StopReason::Preempted => "preempted: Slurm gave the job's nodes to another one".to_owned(),
        StopReason::DiskFull(message) => message.clone(),
        StopReason::Input(error) => chain(error),
        StopReason::Trouble(message) => message.clone(),
        StopReason::Record(error) => format!("failed to {}", chain(error)),
    }
}
