//! The attempts as a timeline: Chrome's trace-event JSON, which <https://ui.perfetto.dev> and
//! `chrome://tracing` open. The format is described in
//! <https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU>.
//!
//! - A host is a process, a worker a thread ([`lanes`]), an attempt a complete event (`X`) whose
//!   arguments say the rest; times are microseconds since the epoch.
//! - Counters (`C`): busy workers and cores of the run, from the attempts ([`busy`]); cores in use and
//!   memory of each host and GPU, from the samples.
//! - The first process is the run; its thread has an event for each session.
//!
//! Events stand in the order of the tables, not of time, which readers do not need.

use std::io::{self, Write};

use serde_json::{Map, Value, json};

use super::written;
use crate::error::ReportError;
use crate::harmless;
use crate::moment::Moment;
use crate::rows::{Cell, Row, Rows};
use crate::run_file::RunFile;
use crate::source::{Source, Table};
use busy::Busy;
use lanes::{Lane, Lanes};

mod busy;
mod lanes;

/// The process that stands for the run; hosts follow.
const RUN_PROCESS: u32 = 1;

/// The first thread. One with its process's number would be shown as that one's main thread.
const FIRST_THREAD: u32 = 1001;

/// Columns of attempts whose values an event takes along.
const ARGUMENTS: [&str; 24] = [
    "task_id",
    "task_index",
    "attempt",
    "session",
    "reason",
    "command",
    "outcome",
    "exit_code",
    "signal",
    "cause",
    "error",
    "cores",
    "gpus",
    "core_count",
    "pid",
    "wait_s",
    "wall_s",
    "user_s",
    "system_s",
    "max_tree_rss_bytes",
    "max_process_rss_bytes",
    "stderr_tail",
    "stdout_tail",
    "stopped_s",
];

/// Columns that say where and when.
const PLACE: [&str; 4] = ["host", "worker_id", "started_at", "finished_at"];

/// Writes the attempts of a run as a trace.
///
/// # Errors
/// A table cannot be read, or `out` cannot be written.
pub fn perfetto(source: &Source, out: &mut dyn Write) -> Result<(), ReportError> {
    let run = RunFile::read(source)?;
    let mut trace = Trace { out, is_empty: true };
    written(trace.begin())?;
    written(sessions(&mut trace, &run))?;
    let mut lanes = Lanes::new(RUN_PROCESS + 1, FIRST_THREAD + 1);
    let mut busy = Busy::default();
    let columns = [ARGUMENTS.as_slice(), PLACE.as_slice()].concat();
    Rows::open(source, Table::Attempts, Some(&columns))?
        .each(|row| written(attempt(&mut trace, &mut lanes, &mut busy, row)))?;
    busy.steps(|at, workers, cores| {
        written(trace.counter("busy", RUN_PROCESS, at, &json!({ "workers": workers, "cores": cores })))
    })?;
    if source.has(Table::Samples) {
        let columns = [
            "at",
            "host",
            "scope",
            "gpu",
            "busy_cores",
            "rss_bytes",
            "gpu_busy_fraction",
            "gpu_memory_bytes",
        ];
        Rows::open(source, Table::Samples, Some(&columns))?
            .each(|row| written(sample(&mut trace, &mut lanes, row)))?;
    }
    written(trace.end(&run))
}

/// The document, event by event.
struct Trace<'a> {
    out: &'a mut dyn Write,
    is_empty: bool,
}

impl Trace<'_> {
    fn begin(&mut self) -> io::Result<()> {
        self.out.write_all(b"{\"traceEvents\":[\n")
    }

    fn end(&mut self, run: &RunFile) -> io::Result<()> {
        let facts = json!({ "job_id": clean(&run.job_id), "run_id": clean(&run.run_id), "version": clean(&run.version) });
        write!(self.out, "\n],\"displayTimeUnit\":\"ms\",\"otherData\":{facts}}}\n")
    }

    fn event(&mut self, event: &Value) -> io::Result<()> {
        if !self.is_empty {
            self.out.write_all(b",\n")?;
        }
        self.is_empty = false;
        serde_json::to_writer(&mut *self.out, event).map_err(io::Error::from)
    }

    /// A counter for each of the values, named after both.
    fn counter(&mut self, name: &str, process: u32, at: Moment, values: &Value) -> io::Result<()> {
        self.event(&json!({ "ph": "C", "name": name, "pid": process, "ts": at.0, "args": values }))
    }

    /// Names a process and puts it in its place.
    fn process(&mut self, process: u32, name: &str) -> io::Result<()> {
        self.event(&json!({ "ph": "M", "name": "process_name", "pid": process, "args": { "name": name } }))?;
        self.event(&json!({ "ph": "M", "name": "process_sort_index", "pid": process, "args": { "sort_index": process } }))
    }

    fn thread(&mut self, process: u32, thread: u32, name: &str, place: i64) -> io::Result<()> {
        let (pid, tid) = (process, thread);
        self.event(
            &json!({ "ph": "M", "name": "thread_name", "pid": pid, "tid": tid, "args": { "name": name } }),
        )?;
        self.event(&json!({
            "ph": "M", "name": "thread_sort_index", "pid": pid, "tid": tid, "args": { "sort_index": place }
        }))
    }
}

fn sessions(trace: &mut Trace<'_>, run: &RunFile) -> io::Result<()> {
    let name = if run.job_id.is_empty() { "run".to_owned() } else { format!("run {}", clean(&run.job_id)) };
    trace.process(RUN_PROCESS, &name)?;
    trace.thread(RUN_PROCESS, FIRST_THREAD, "sessions", 0)?;
    for session in &run.sessions {
        let ended = session.how_it_ended.as_deref().map(clean);
        trace.event(&json!({
            "ph": "X", "name": format!("session {}", session.session), "cat": "session",
            "pid": RUN_PROCESS, "tid": FIRST_THREAD,
            "ts": session.began_at.0, "dur": session.ended_at.0.saturating_sub(session.began_at.0),
            "args": { "how_it_ended": ended },
        }))?;
    }
    Ok(())
}

fn attempt(trace: &mut Trace<'_>, lanes: &mut Lanes, busy: &mut Busy, row: &Row<'_>) -> io::Result<()> {
    let (Some(started_at), Some(finished_at)) = (row.time("started_at"), row.time("finished_at")) else {
        return Ok(()); // It could not be started: it took no time.
    };
    let finished_at = finished_at.max(started_at);
    busy.add(started_at, finished_at, row.integer("core_count").unwrap_or(1));
    let process = process_of(trace, lanes, row)?;
    let worker = row.integer("worker_id").unwrap_or(0);
    let Lane { thread, number, is_new, free_at } = lanes.lane(process, worker, started_at, finished_at);
    if is_new {
        let name =
            if number == 1 { format!("worker {worker}") } else { format!("worker {worker} ({number})") };
        trace.thread(process, thread, &name, worker)?;
    }
    // Rounding may have two neighbours overlap by a microsecond, which readers take for nesting.
    let begin = started_at.max(free_at);
    let outcome = row.text("outcome").unwrap_or("unknown");
    let id = clean(row.text("task_id").unwrap_or_default());
    let name = if outcome == "succeeded" { id } else { format!("{id} ({})", clean(outcome)) };
    trace.event(&json!({
        "ph": "X", "name": name, "cat": clean(outcome), "pid": process, "tid": thread,
        "ts": begin.0, "dur": (finished_at.0 - begin.0).max(0), "args": arguments(row),
    }))
}

/// The process of a row's host, which is named where it is new.
fn process_of(trace: &mut Trace<'_>, lanes: &mut Lanes, row: &Row<'_>) -> io::Result<u32> {
    let host = row.text("host").unwrap_or("unknown host");
    let (process, is_new) = lanes.process(host);
    if is_new {
        trace.process(process, &clean(host))?;
    }
    Ok(process)
}

/// What an attempt's row says, without what it does not know.
fn arguments(row: &Row<'_>) -> Map<String, Value> {
    let mut arguments = Map::new();
    for name in ARGUMENTS {
        let value = match row.cell(name) {
            Cell::Null => continue,
            Cell::Bool(value) => json!(value),
            Cell::Integer(number) => json!(number),
            Cell::Float(number) => json!(number),
            Cell::Text(text) => json!(harmless::lines(text)),
            Cell::Time(at) => json!(at.rfc3339()),
            Cell::List(items) => json!(items.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")),
        };
        arguments.insert(name.to_owned(), value);
    }
    arguments
}

fn sample(trace: &mut Trace<'_>, lanes: &mut Lanes, row: &Row<'_>) -> io::Result<()> {
    let (Some(at), Some(scope)) = (row.time("at"), row.text("scope")) else { return Ok(()) };
    let (name, columns) = match scope {
        "host" => ("used".to_owned(), [("cores", "busy_cores"), ("memory_bytes", "rss_bytes")]),
        "gpu" => (
            format!("GPU {}", row.integer("gpu").unwrap_or(0)),
            [("busy_fraction", "gpu_busy_fraction"), ("memory_bytes", "gpu_memory_bytes")],
        ),
        // A track for each task would be too many; its peak is an argument of its event.
        _ => return Ok(()),
    };
    let values: Map<String, Value> = columns
        .into_iter()
        .filter_map(|(series, column)| match row.cell(column) {
            Cell::Integer(number) => Some((series.to_owned(), json!(number))),
            Cell::Float(number) => Some((series.to_owned(), json!(number))),
            _ => None,
        })
        .collect();
    if values.is_empty() {
        return Ok(());
    }
    let process = process_of(trace, lanes, row)?;
    trace.counter(&name, process, at, &Value::Object(values))
}

fn clean(text: &str) -> String {
    harmless::one_line(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::specimen;

    #[test]
    fn attempts_of_a_small_run() {
        let run = specimen::run();
        let mut out = Vec::new();
        perfetto(&run.source, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        serde_json::from_str::<Value>(&text).unwrap();
        insta::assert_snapshot!(text);
    }
}
