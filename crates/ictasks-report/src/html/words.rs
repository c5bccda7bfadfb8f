//! Words of the page, and text of tasks made fit for it: controls and characters that reorder text are
//! shown, and nothing is longer than a reader would read.

use std::borrow::Cow;

use maud::{Markup, html};

use crate::findings::{Findings, TaskLine};
use crate::harmless;

/// Longest line that is shown, in characters.
const LINE_LIMIT: usize = 600;
/// Longest block of output that is shown, in characters.
const BLOCK_LIMIT: usize = 6_000;
/// A longer command is folded.
const FOLD_ABOVE: usize = 60;
/// Longest id that is shown whole.
pub const ID_LIMIT: usize = 60;

/// One line of a task's text.
pub fn line(text: &str) -> String {
    harmless::one_line(&harmless::shortened(text, LINE_LIMIT)).into_owned()
}

/// A sentence of this program, in which what stands between backticks is code.
pub fn sentence(text: &str) -> Markup {
    let text = line(text);
    html! {
        @for (place, part) in text.split('`').enumerate() {
            @if place % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

/// Several lines of a task's text. Of too many the end is kept: errors stand there.
pub fn block(text: &str) -> String {
    let surplus = text.chars().count().saturating_sub(BLOCK_LIMIT);
    let kept: Cow<'_, str> = match text.char_indices().nth(surplus) {
        Some((start, _)) if surplus > 0 => format!("…{}", &text[start..]).into(),
        _ => text.into(),
    };
    harmless::lines(&kept).into_owned()
}

/// A command or message in a cell: a long one is folded, and unfolds without scripts.
pub fn folded(text: &str) -> Markup {
    let text = line(text);
    html! {
        @if text.chars().count() > FOLD_ABOVE {
            details.long {
                summary { code { (harmless::shortened(&text, FOLD_ABOVE)) } }
                code { (text) }
            }
        } @else { code { (text) } }
    }
}

/// A name that has to fit a narrow column, cut in its middle: names of hosts differ at both ends.
pub fn narrow(name: &str, limit: usize) -> String {
    let name = line(name);
    let length = name.chars().count();
    if length <= limit {
        return name;
    }
    let head = limit / 2;
    let tail = limit - head - 1;
    name.chars().take(head).chain(['…']).chain(name.chars().skip(length - tail)).collect()
}

/// What the user calls the run, or the runs.
pub fn run_name(findings: &Findings) -> String {
    match findings.runs.as_slice() {
        [] => "run".to_owned(),
        [run] if run.job_id.is_empty() => run.run_dir.clone(),
        [run] => run.job_id.clone(),
        runs => format!("{} runs", runs.len()),
    }
}

/// What outcomes have in common, for colour and shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// It did what it should.
    Succeeded,
    /// It failed by itself.
    Failed,
    /// It was ended at its time limit.
    TimedOut,
    /// It was ended by others, or lost with its host.
    Lost,
    /// It runs, or never ran.
    Open,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Succeeded, Self::Failed, Self::TimedOut, Self::Lost, Self::Open];

    /// Of an outcome of the record.
    pub fn of(outcome: &str) -> Self {
        match outcome {
            "succeeded" => Self::Succeeded,
            "timed_out" => Self::TimedOut,
            "cancelled" | "node_lost" => Self::Lost,
            "pending" | "running" | "" => Self::Open,
            _ => Self::Failed,
        }
    }

    /// Its class in `page.css`.
    pub const fn class(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::TimedOut => "late",
            Self::Lost => "lost",
            Self::Open => "open",
        }
    }

    /// Its sign, beside the word.
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Succeeded => "✓",
            Self::Failed => "✗",
            Self::TimedOut => "◔",
            Self::Lost => "⊘",
            Self::Open => "○",
        }
    }
}

/// `timed_out` as `timed out`.
pub fn outcome(outcome: &str) -> String {
    line(&outcome.replace('_', " "))
}

/// What an outcome means.
pub fn outcome_meaning(outcome: &str) -> &'static str {
    match outcome {
        "succeeded" => "exit code 0, and every output that was expected",
        "failed" => "another exit code, or an expected output is missing",
        "signaled" => "died of a signal that the farm did not send",
        "timed_out" => "ended at its time limit",
        "out_of_memory" => "ended because memory ran out",
        "spawn_failed" => "its program could not be started",
        "cancelled" => "ended by the user or the scheduler",
        "node_lost" => "lost with its host",
        "pending" => "never ran",
        "running" => "had not ended yet",
        _ => "",
    }
}

/// Sign and word of an outcome.
pub fn outcome_mark(name: &str) -> Markup {
    let kind = Kind::of(name);
    html! { span class={ "mark " (kind.class()) } { (kind.sign()) " " (outcome(name)) } }
}

/// `exit code 3`, `signal 11`, or nothing.
pub fn code(task: &TaskLine) -> Option<String> {
    match (task.exit_code, task.signal) {
        (_, Some(signal)) => Some(format!("signal {signal}")),
        (Some(0) | None, None) => None,
        (Some(code), None) => Some(format!("exit code {code}")),
    }
}

/// An id of a task, with the run where there are several, and the attempt where it is not the first.
pub fn task_name(task: &TaskLine) -> Markup {
    html! {
        @if let Some(run) = &task.run { (line(run)) " · " }
        (narrow(&task.task_id, ID_LIMIT))
        @if task.attempt > 1 { " " span.soft { "attempt " (task.attempt) } }
    }
}
