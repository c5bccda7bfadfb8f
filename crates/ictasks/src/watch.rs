//! `ictasks watch`: the state of a run from its files alone, redrawn on a terminal, else one block.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::time::Duration;

use ictasks_core::attempt::Outcome;
use ictasks_core::column::Timestamp;
use ictasks_record::{Failure as FailedAttempt, Life, RunningTask, Watch};
use ictasks_record::{RecordError, RunState};

use crate::cli::WatchArguments;
use crate::console::{Console, harmless};
use crate::exit::{ExitCode, Failure, chain};
use crate::progress::duration;
use crate::run_dirs::no_record;
use crate::summary::{ORDER, tasks};

/// Tasks that run, and failures, that are shown.
const SHOWN: usize = 8;
/// Longest line of a task's output that is shown, characters.
const SHOWN_CHARACTERS: usize = 100;

/// Runs the subcommand.
///
/// # Errors
/// There is no record, or it may not be read.
pub fn run(arguments: &WatchArguments, console: &mut Console) -> Result<ExitCode, Failure> {
    let unreadable = |error: RecordError| match error {
        RecordError::NoRecord { path } => no_record(&path),
        error => Failure::input(format!("failed to {}", chain(&error))),
    };
    let mut watch = Watch::open(&arguments.run_dir).map_err(unreadable)?;
    if !std::io::stdout().is_terminal() {
        console.print(&describe(&watch, Timestamp::now()))?;
        return Ok(ExitCode::Success);
    }
    loop {
        let text = describe(&watch, Timestamp::now());
        if !redraw(&text) || watch.life(Timestamp::now()) != Life::Alive {
            return Ok(ExitCode::Success);
        }
        std::thread::sleep(Duration::from_secs_f64(arguments.interval));
        watch.refresh().map_err(unreadable)?;
    }
}

/// Shows the text in place of the one before; false where nobody looks any more.
fn redraw(text: &str) -> bool {
    // To the top left corner; each line up to its end, and then the screen, are cleared.
    let text = text.replace('\n', "\x1b[K\n");
    let mut stdout = std::io::stdout().lock();
    write!(stdout, "\x1b[H{text}\x1b[J").and_then(|()| stdout.flush()).is_ok()
}

/// The block.
fn describe(watch: &Watch, now: Timestamp) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_block(&mut text, watch, now);
    text
}

fn write_block(text: &mut String, watch: &Watch, now: Timestamp) -> std::fmt::Result {
    writeln!(text, "{}", head(watch, now))?;
    let is_alive = watch.life(now) == Life::Alive;
    writeln!(text, "{}", counts(watch, is_alive))?;
    if let Some(line) = speed(watch, now).filter(|_| is_alive) {
        writeln!(text, "{line}")?;
    }
    let running = watch.running();
    for task in running.iter().take(SHOWN) {
        writeln!(text, "  {}", running_line(task, now, is_alive))?;
    }
    if running.len() > SHOWN {
        let run = if is_alive { "run" } else { "ran" };
        writeln!(text, "  and {} more that {run}", running.len() - SHOWN)?;
    }
    let failures: Vec<&FailedAttempt> = watch.failures().take(SHOWN).collect();
    if !failures.is_empty() {
        writeln!(text, "latest failures:")?;
    }
    for failure in failures {
        writeln!(text, "  {}", failure_line(failure, now))?;
    }
    for damage in watch.damages() {
        writeln!(text, "damaged: {damage}")?;
    }
    Ok(())
}

fn head(watch: &Watch, now: Timestamp) -> String {
    let Some(run) = watch.run() else { return "run.json is missing or damaged".to_owned() };
    let last = run.sessions.last();
    let host = last.map_or("an unknown host", |session| session.host.as_deref().unwrap_or("an unknown host"));
    let since = last.map(|session| duration(now.seconds_since(session.began_at)));
    let state = match watch.life(now) {
        Life::Alive => format!("running on {host} for {}", since.unwrap_or_default()),
        Life::Dead => format!(
            "killed: run.json was written last {} ago, by a coordinator on {host}; `--resume` goes on",
            duration(now.seconds_since(run.updated_at))
        ),
        Life::Ended(RunState::Finished) => format!("finished after {}", duration(run.totals.wall_s)),
        Life::Ended(state) => format!("{state} after {}; `--resume` goes on", duration(run.totals.wall_s)),
        Life::Unknown => "in an unknown state".to_owned(),
    };
    let start = match run.sessions.len() {
        0 | 1 => String::new(),
        count => format!(" (start {count})"),
    };
    format!("run `{}`{start}: {state}", run.job_id)
}

fn counts(watch: &Watch, is_alive: bool) -> String {
    let outcomes = watch.outcomes();
    let named = ORDER.iter().filter(|outcome| outcomes.get(**outcome) > 0 || **outcome == Outcome::Succeeded);
    let named: Vec<String> = named
        .map(|outcome| format!("{} {}", outcomes.get(*outcome), outcome.as_str().replace('_', " ")))
        .collect();
    let done = match watch.task_count() {
        Some(count) => format!("{} of {}", watch.done(), tasks(count)),
        None => tasks(watch.done()),
    };
    let running = match watch.running().len() {
        0 => String::new(),
        count if is_alive => format!(", {count} running"),
        count => format!(", {count} ran when it ended"),
    };
    format!("{done} done: {}{running}", named.join(", "))
}

/// The rate, and when the end is to be expected.
#[allow(clippy::cast_precision_loss)]
fn speed(watch: &Watch, now: Timestamp) -> Option<String> {
    let rate = watch.rate(now)?;
    let left = watch.task_count().map(|count| (count - watch.done()).max(0));
    let left = left.map_or_else(String::new, |left| format!(", about {} left", duration(left as f64 / rate)));
    Some(format!("{rate:.1} tasks/s{left}"))
}

fn running_line(task: &RunningTask, now: Timestamp, is_alive: bool) -> String {
    let age = duration(now.seconds_since(task.started_at));
    let runs = if is_alive { format!("runs for {age}") } else { format!("was started {age} ago") };
    let attempt = if task.attempt > 1 { format!(", attempt {}", task.attempt) } else { String::new() };
    let memory = task.rss_bytes.map_or_else(String::new, |bytes| format!(", {}", size(bytes)));
    format!("task {} {runs}{memory}{attempt} (process {} on {})", task.task_id, task.pid, task.host)
}

fn failure_line(failure: &FailedAttempt, now: Timestamp) -> String {
    let how = match (failure.exit_code, failure.signal) {
        (_, Some(signal)) => format!("{}, signal {signal}", failure.outcome),
        (Some(code), _) => format!("{}, exit code {code}", failure.outcome),
        (None, None) => failure.outcome.to_string(),
    };
    let said = failure.last_line.as_deref().map_or_else(String::new, |line| {
        let line: String = harmless(line).chars().take(SHOWN_CHARACTERS).collect();
        format!(": {line}")
    });
    format!("task {} {} ago ({how}){said}", failure.task_id, duration(now.seconds_since(failure.at)))
}

/// An amount of memory for people.
#[allow(clippy::cast_precision_loss)]
fn size(bytes: i64) -> String {
    let bytes = bytes as f64;
    match bytes {
        _ if bytes >= f64::from(1 << 30) => format!("{:.1} GiB", bytes / f64::from(1 << 30)),
        _ => format!("{:.1} MiB", bytes / f64::from(1 << 20)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_for_people() {
        assert_eq!(size(5 << 20), "5.0 MiB");
        assert_eq!(size(3 << 29), "1.5 GiB");
    }

    #[test]
    fn a_failure_is_one_line_that_no_terminal_obeys() {
        let failure = FailedAttempt {
            task_id: "7".to_owned(),
            attempt: 1,
            outcome: Outcome::Failed,
            exit_code: Some(3),
            signal: None,
            at: Timestamp(0),
            last_line: Some("no \x1b[31mfile".to_owned()),
        };
        let line = failure_line(&failure, Timestamp(2_000_000));
        assert_eq!(line, "task 7 2.0 s ago (failed, exit code 3): no [31mfile");
    }
}
