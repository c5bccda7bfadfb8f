//! Ends of attempts that the events do not tell: rows of the other tables where events.parquet
//! is lost, and what the slot logs say.

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use ictasks_core::attempt::{Attempt, Outcome};
use ictasks_core::column::{Cell, Row, Timestamp};
use ictasks_core::event::EventKind;
use ictasks_core::history::Past;
use ictasks_core::slot_log;
use serde_json::{Map, Value};

use super::facts::outcome;
use super::known::Known;
use crate::error::RecordError;
use crate::parquet_file::{Opened, ParquetFile};
use crate::rows::CellArray;
use crate::schema::Table;

/// Where ends of attempts may be found that no event tells, in order of trust.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources {
    /// Tables of attempts or tasks.
    pub(crate) tables: Vec<PathBuf>,
    /// Slot logs.
    pub(crate) logs: Vec<PathBuf>,
}

/// An end of an attempt, or a task without one.
pub(crate) struct Found<'a> {
    /// `task_finished` or `task_pending`.
    pub(crate) kind: EventKind,
    /// The cells of an [`Attempt`], in its order.
    pub(crate) cells: &'a [Cell<'a>],
}

struct Positions {
    session: usize,
    task_id: usize,
    task_index: usize,
    attempt: usize,
    command_hash: usize,
    outcome: usize,
    finished_at: usize,
    params_json: usize,
    results_json: usize,
}

static POSITIONS: LazyLock<Positions> = LazyLock::new(|| {
    let place = |name: &str| {
        let place = Attempt::COLUMNS.iter().position(|column| column.name == name);
        place.unwrap_or(Attempt::COLUMNS.len())
    };
    Positions {
        session: place("session"),
        task_id: place("task_id"),
        task_index: place("task_index"),
        attempt: place("attempt"),
        command_hash: place("command_hash"),
        outcome: place("outcome"),
        finished_at: place("finished_at"),
        params_json: place("params_json"),
        results_json: place("results_json"),
    }
});

impl<'a> Found<'a> {
    fn cell(&self, place: usize) -> Cell<'a> {
        self.cells.get(place).copied().unwrap_or(Cell::Null)
    }

    fn text(&self, place: usize) -> &'a str {
        if let Cell::Text(text) = self.cell(place) { text } else { "" }
    }

    fn int64(&self, place: usize) -> i64 {
        if let Cell::Int64(value) = self.cell(place) { value } else { 0 }
    }

    fn int32(&self, place: usize) -> i32 {
        if let Cell::Int32(value) = self.cell(place) { value } else { 0 }
    }

    pub(crate) fn session(&self) -> i32 {
        self.int32(POSITIONS.session)
    }

    /// When it happened; `otherwise` where nobody saw it.
    pub(crate) fn at(&self, otherwise: Timestamp) -> Timestamp {
        if let Cell::Timestamp(at) = self.cell(POSITIONS.finished_at) { Timestamp(at) } else { otherwise }
    }

    /// For the history.
    pub(crate) fn past(&self) -> Past<'a> {
        Past {
            task_index: self.int64(POSITIONS.task_index),
            task_id: self.text(POSITIONS.task_id),
            command_hash: self.int64(POSITIONS.command_hash),
            attempt: self.int32(POSITIONS.attempt),
            outcome: outcome(self.text(POSITIONS.outcome)).unwrap_or_default(),
        }
    }

    fn is_news(&self, known: &Known) -> bool {
        let past = self.past();
        // An outcome that this version does not know tells it nothing.
        outcome(self.text(POSITIONS.outcome)).is_some()
            && known.is_news(past.task_index, past.attempt, past.outcome)
    }

    fn note(&self, known: &mut Known) {
        let past = self.past();
        known.ended(past.task_index, past.attempt, past.outcome);
    }
}

/// Takes what was found.
pub(crate) type TakeFound<'a> = &'a mut dyn FnMut(&Found<'_>) -> Result<(), RecordError>;

impl Sources {
    /// Hands out what is not `known`, and takes note of it there. Returns what was lost.
    pub(crate) fn read(
        &self,
        run_id: &str,
        known: &mut Known,
        take: TakeFound<'_>,
    ) -> Result<Vec<String>, RecordError> {
        let mut losses = Vec::new();
        for table in &self.tables {
            losses.extend(read_table(table, known, take)?);
        }
        for log in &self.logs {
            losses.extend(read_log(log, run_id, known, take)?);
        }
        Ok(losses)
    }
}

fn read_table(path: &Path, known: &mut Known, take: TakeFound<'_>) -> Result<Option<String>, RecordError> {
    let file = match ParquetFile::open(path)? {
        Opened::Whole(file) => file,
        Opened::Damaged(damage) => return Ok(Some(damage.to_string())),
        Opened::Absent => return Ok(None),
    };
    let damage = file.read(Table::Attempts.columns(), None, &mut |batch| {
        let arrays = Attempt::COLUMNS.iter().map(|column| batch.column_by_name(column.name));
        let arrays: Option<Vec<CellArray<'_>>> = arrays.map(|array| CellArray::of(array?)).collect();
        let Some(arrays) = arrays else { return Ok(()) };
        let (params, results) = (Named::of(batch, "param_"), Named::of(batch, "result_"));
        for row in 0..batch.num_rows() {
            let mut cells: Vec<Cell<'_>> = arrays.iter().map(|array| array.cell(row)).collect();
            let params = params.json(row, cells[POSITIONS.params_json]);
            let results = results.json(row, cells[POSITIONS.results_json]);
            cells[POSITIONS.params_json] = params.as_deref().map_or(Cell::Null, Cell::Text);
            cells[POSITIONS.results_json] = results.as_deref().map_or(Cell::Null, Cell::Text);
            let mut found = Found { kind: EventKind::TaskFinished, cells: &cells };
            if found.past().outcome == Outcome::Pending {
                found.kind = EventKind::TaskPending;
            }
            if found.is_news(known) {
                found.note(known);
                take(&found)?;
            }
        }
        Ok(())
    })?;
    Ok(damage.map(|damage| damage.to_string()))
}

/// Columns that were made of one JSON text.
struct Named {
    columns: Vec<(String, ArrayRef)>,
}

impl Named {
    fn of(batch: &RecordBatch, prefix: &str) -> Self {
        let schema = batch.schema();
        let fields = schema.fields().iter().zip(batch.columns());
        let named = fields.filter_map(|(field, array)| {
            let key = field.name().strip_prefix(prefix)?;
            Some((key.to_owned(), Arc::clone(array)))
        });
        Self { columns: named.collect() }
    }

    /// The JSON text again; `rest` is what had no column.
    fn json(&self, row: usize, rest: Cell<'_>) -> Option<String> {
        let rest = if let Cell::Text(rest) = rest { Some(rest) } else { None };
        let mut object = match rest.map(serde_json::from_str::<Value>) {
            Some(Ok(Value::Object(object))) => object,
            Some(_) => return rest.map(str::to_owned),
            None => Map::new(),
        };
        for (key, array) in &self.columns {
            if let Some(value) = value(array, row) {
                object.insert(key.clone(), value);
            }
        }
        (!object.is_empty()).then(|| Value::Object(object).to_string())
    }
}

fn value(array: &ArrayRef, row: usize) -> Option<Value> {
    array.is_valid(row).then_some(())?;
    match array.data_type() {
        DataType::Boolean => Some(array.as_boolean().value(row).into()),
        DataType::Int64 => Some(array.as_primitive::<Int64Type>().value(row).into()),
        DataType::Float64 => Some(array.as_primitive::<Float64Type>().value(row).into()),
        _ => {
            let text = cast(&array.slice(row, 1), &DataType::Utf8).ok()?;
            Some(text.as_string_opt::<i32>()?.value(0).into())
        }
    }
}

fn read_log(
    path: &Path,
    run_id: &str,
    known: &mut Known,
    take: TakeFound<'_>,
) -> Result<Option<String>, RecordError> {
    let mut failed = Ok(());
    let mut foreign = 0;
    let read = slot_log::read(path, &mut |logged| {
        if !run_id.is_empty() && logged.seat.run_id != run_id {
            foreign += 1;
            return;
        }
        let attempt = logged.into_attempt();
        let mut cells = Vec::with_capacity(Attempt::COLUMNS.len());
        attempt.cells(&mut |cell| cells.push(cell));
        let found = Found { kind: EventKind::TaskFinished, cells: &cells };
        if failed.is_ok() && found.is_news(known) {
            found.note(known);
            failed = take(&found);
        }
    });
    failed?;
    let path = path.display();
    Ok(match (read, foreign) {
        (Ok(0), 0) => None,
        (Ok(0), foreign) => {
            Some(format!("`{path}`: {foreign} attempts are of another run; they are left out"))
        }
        (Ok(damaged), _) => Some(format!(
            "`{path}` is damaged: what {damaged} of its lines said is lost; such attempts run again \
             where nothing else tells of them"
        )),
        (Err(error), _) => Some(format!("`{path}` cannot be read ({error}); what it says is lost")),
    })
}
