//! An event as a row of the journal.

use std::sync::LazyLock;

use ictasks_core::attempt::Attempt;
use ictasks_core::column::{AsCell, Cell, Row, Timestamp};
use ictasks_core::event::{EVENT_COLUMNS_FIRST, EVENT_COLUMNS_LAST, Event, EventBody, EventKind};
use ictasks_core::protocol::NodeInfo;

use crate::schema::Table;

/// Number of columns of an event.
const WIDTH: usize = EVENT_COLUMNS_FIRST.len() + Attempt::COLUMNS.len() + EVENT_COLUMNS_LAST.len();

/// Where the columns are that this module fills by name.
struct Positions {
    /// For each column of an attempt, its place in an event.
    attempt: Vec<usize>,
    session: usize,
    task_id: usize,
    task_index: usize,
    attempt_number: usize,
    reason: usize,
    host: usize,
    worker_id: usize,
    pid: usize,
    host_id: usize,
    core_count: usize,
    gpu_count: usize,
    memory_total_bytes: usize,
    clock_offset_s: usize,
    message: usize,
}

static POSITIONS: LazyLock<Positions> = LazyLock::new(|| {
    let place = |name: &str| {
        let columns = Table::Events.columns();
        columns.iter().position(|c| c.name == name).unwrap_or(WIDTH)
    };
    Positions {
        attempt: Attempt::COLUMNS.iter().map(|c| place(c.name)).collect(),
        session: place("session"),
        task_id: place("task_id"),
        task_index: place("task_index"),
        attempt_number: place("attempt"),
        reason: place("reason"),
        host: place("host"),
        worker_id: place("worker_id"),
        pid: place("pid"),
        host_id: place("host_id"),
        core_count: place("core_count"),
        gpu_count: place("gpu_count"),
        memory_total_bytes: place("memory_total_bytes"),
        clock_offset_s: place("clock_offset_s"),
        message: place("message"),
    }
});

/// Hands out the cells of an event, in the order of [`Table::Events`]'s columns.
pub(crate) fn cells(event: &Event, take: &mut dyn FnMut(Cell<'_>)) {
    let at = &*POSITIONS;
    let mut row = [Cell::Null; WIDTH];
    row[0] = event.seq.cell();
    row[1] = event.at.cell();
    let kind = event.body.kind();
    row[2] = kind.cell();
    match &event.body {
        EventBody::TaskFinished(attempt) | EventBody::TaskPending(attempt) => {
            let mut places = at.attempt.iter();
            attempt.cells(&mut |cell| {
                if let Some(place) = places.next() {
                    row[*place] = cell;
                }
            });
        }
        EventBody::TaskStarted { task_id, task_index, attempt, host, worker_id, pid } => {
            row[at.task_id] = task_id.cell();
            row[at.task_index] = task_index.cell();
            row[at.attempt_number] = attempt.cell();
            row[at.host] = host.cell();
            row[at.worker_id] = worker_id.cell();
            row[at.pid] = pid.cell();
        }
        EventBody::TaskRetried { task_id, task_index, attempt, message } => {
            row[at.task_id] = task_id.cell();
            row[at.task_index] = task_index.cell();
            row[at.attempt_number] = attempt.cell();
            row[at.message] = message.cell();
        }
        EventBody::TaskSkipped { task_id, task_index, reason } => {
            row[at.task_id] = task_id.cell();
            row[at.task_index] = task_index.cell();
            row[at.reason] = reason.cell();
        }
        EventBody::NodeJoined(node) => fill_node(&mut row, at, event, node),
        EventBody::NodeLost { host, message } | EventBody::NodeSetAside { host, message } => {
            row[at.host] = host.cell();
            row[at.message] = message.cell();
        }
        EventBody::RunStarted { message }
        | EventBody::RunResumed { message }
        | EventBody::StopRequested { message, .. }
        | EventBody::RunFinished { message } => row[at.message] = message.cell(),
    }
    row[at.session] = event.session.cell();
    for cell in row {
        take(cell);
    }
}

/// The same for an event of an attempt whose cells are at hand, in the order of [`Attempt`].
pub(crate) fn cells_of_attempt(
    seq: i64,
    at: Timestamp,
    kind: EventKind,
    attempt: &[Cell<'_>],
    take: &mut dyn FnMut(Cell<'_>),
) {
    let mut row = [Cell::Null; WIDTH];
    row[0] = seq.cell();
    row[1] = at.cell();
    row[2] = kind.cell();
    for (place, cell) in POSITIONS.attempt.iter().zip(attempt) {
        row[*place] = *cell;
    }
    for cell in row {
        take(cell);
    }
}

fn fill_node<'a>(row: &mut [Cell<'a>; WIDTH], at: &Positions, event: &Event, node: &'a NodeInfo) {
    row[at.host] = node.host.cell();
    row[at.host_id] = node.host_id.cell();
    row[at.pid] = node.pid.cell();
    row[at.core_count] = node.core_count.cell();
    row[at.gpu_count] = node.gpu_count.cell();
    row[at.memory_total_bytes] = node.memory_total_bytes.cell();
    row[at.clock_offset_s] = Cell::Float64(node.at.seconds_since(event.at));
    row[at.message] = node.cpu_model.cell();
}
