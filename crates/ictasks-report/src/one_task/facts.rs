//! The columns of an attempt in words.

use serde_json::{Value, json};

use super::{AttemptFacts, Fact};
use crate::rows::{Cell, Row};
use crate::{codes, ending, units};

/// Columns that are the same for all attempts or have a place of their own.
const ELSEWHERE: [&str; 9] = [
    "run_id",
    "task_id",
    "task_index",
    "attempt",
    "command",
    "command_hash",
    "stderr_tail",
    "stdout_tail",
    "attempt_count",
];
/// Columns whose 0 tells nothing.
const NOT_ZERO: [&str; 5] =
    ["stopped_s", "gpu_count", "leftover_process_count", "sample_count", "rss_floor_bytes"];

/// Names for people, in the order in which they are shown; of other columns the name itself.
const LABELS: [(&str, &str); 48] = [
    ("outcome", "outcome"),
    ("exit_code", "exit code"),
    ("signal", "signal"),
    ("cause", "cause"),
    ("cause_evidence", "how sure that is"),
    ("error", "error"),
    ("reason", "why it was made"),
    ("session", "session"),
    ("ready_at", "ready"),
    ("started_at", "started"),
    ("finished_at", "finished"),
    ("wait_s", "waited"),
    ("wall_s", "ran for"),
    ("timeout_s", "time limit"),
    ("stopped_s", "was stopped for"),
    ("total_wall_s", "all attempts ran for"),
    ("host", "host"),
    ("host_id", "number of the host"),
    ("worker_id", "worker"),
    ("cores", "cores"),
    ("core_count", "number of cores"),
    ("gpus", "GPUs"),
    ("gpu_count", "number of GPUs"),
    ("pid", "process"),
    ("user_s", "CPU time, user"),
    ("system_s", "CPU time, system"),
    ("memory_requested_bytes", "memory it was given"),
    ("max_process_rss_bytes", "memory, largest process"),
    ("rss_floor_bytes", "of which may be the agent"),
    ("max_tree_rss_bytes", "memory, all processes"),
    ("sample_count", "samples"),
    ("minor_fault_count", "page faults without I/O"),
    ("major_fault_count", "page faults with I/O"),
    ("voluntary_switch_count", "switches, it waited"),
    ("involuntary_switch_count", "switches, time was up"),
    ("storage_read_bytes", "read from storage"),
    ("storage_write_bytes", "written to storage"),
    ("syscall_read_bytes", "read by calls"),
    ("syscall_write_bytes", "written by calls"),
    ("read_call_count", "read calls"),
    ("write_call_count", "write calls"),
    ("gpu_busy_fraction", "GPUs busy"),
    ("gpu_memory_max_bytes", "GPU memory"),
    ("gpu_energy_j", "GPU energy"),
    ("stdout_bytes", "standard output"),
    ("stderr_bytes", "standard error"),
    ("stdout_cut_bytes", "cut out of output"),
    ("stderr_cut_bytes", "cut out of error"),
];

/// What a row says of an attempt.
pub(super) fn of(row: &Row<'_>) -> AttemptFacts {
    let mut facts: Vec<(usize, Fact)> = Vec::new();
    for (column, cell) in row.cells() {
        let is_nothing = ELSEWHERE.contains(&column) || holds_nothing(column, &cell);
        if is_nothing {
            continue;
        }
        let place = LABELS.iter().position(|(name, _)| *name == column);
        let label = place.map_or_else(|| plain(column), |place| LABELS[place].1.to_owned());
        let fact =
            Fact { column: column.to_owned(), label, value: value(&cell), words: words(column, &cell) };
        facts.push((place.unwrap_or(LABELS.len()), fact));
    }
    facts.sort_by_key(|(place, _)| *place);
    AttemptFacts {
        attempt: row.integer("attempt").unwrap_or(0),
        ending: ending::words(row),
        facts: facts.into_iter().map(|(_, fact)| fact).collect(),
    }
}

/// How a task ended; `last` is its row.
pub(super) fn sentence(last: &AttemptFacts, row: &Row<'_>, attempts: usize) -> String {
    let ran = match row.float("wall_s") {
        Some(seconds) => format!(" after {}", units::duration(seconds)),
        None => String::new(),
    };
    match attempts {
        0 | 1 => format!("{}{ran}", last.ending),
        count => format!("{}{ran}, in the last of {count} attempts", last.ending),
    }
}

fn holds_nothing(column: &str, cell: &Cell<'_>) -> bool {
    let is_zero = match cell {
        Cell::Integer(number) => *number == 0,
        Cell::Float(number) => *number == 0.0,
        _ => false,
    };
    let is_empty = match cell {
        Cell::Null => true,
        Cell::List(items) => items.is_empty(),
        _ => false,
    };
    is_empty || (is_zero && NOT_ZERO.contains(&column))
}

fn value(cell: &Cell<'_>) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Bool(value) => json!(value),
        Cell::Integer(number) => json!(number),
        Cell::Float(number) => json!(number),
        Cell::Text(text) => json!(text),
        Cell::Time(at) => json!(at),
        Cell::List(items) => json!(items),
    }
}

/// A value for people; its unit is the end of the column's name.
#[allow(clippy::cast_precision_loss)]
fn words(column: &str, cell: &Cell<'_>) -> String {
    let is_own = column.starts_with("param_") || column.starts_with("result_");
    let number = match cell {
        Cell::Integer(number) => Some(*number as f64),
        Cell::Float(number) => Some(*number),
        _ => None,
    };
    match (cell, number) {
        (Cell::Float(number), _) if is_own => number.to_string(),
        (Cell::Integer(number), _) if is_own => number.to_string(),
        (Cell::Integer(bytes), _) if column.ends_with("_bytes") => units::bytes(*bytes),
        (Cell::Integer(count), _) if column.ends_with("_count") => units::count(*count),
        (_, Some(seconds)) if column.ends_with("_s") => units::duration(seconds),
        (_, Some(fraction)) if column.ends_with("_fraction") => units::percent(fraction),
        (_, Some(joules)) if column.ends_with("_j") => format!("{} J", units::significant(joules)),
        (Cell::Integer(number), _) if column == "signal" => match codes::signal_name(*number) {
            Some(name) => format!("{number}, {name}"),
            None => number.to_string(),
        },
        (_, Some(number)) => number.to_string(),
        (Cell::Text(text), _) => (*text).to_owned(),
        (Cell::Time(at), _) => at.for_people(),
        (Cell::Bool(true), _) => "yes".to_owned(),
        (Cell::Bool(false), _) => "no".to_owned(),
        (Cell::List(items), _) => items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        _ => String::new(),
    }
}

/// `param_speed` as `speed (parameter)`.
fn plain(column: &str) -> String {
    if let Some(name) = column.strip_prefix("param_") {
        return format!("{name} (parameter)");
    }
    if let Some(name) = column.strip_prefix("result_") {
        return format!("{name} (result)");
    }
    column.replace('_', " ")
}
