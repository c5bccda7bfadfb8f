//! The tables of the record as Arrow schemas, from the column lists of `ictasks-core`.
//!
//! A column list is the one source: the journal, the Parquet tables and the README's tables
//! are all made from it.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use ictasks_core::attempt::Attempt;
use ictasks_core::column::{Column, ColumnType, Row};
use ictasks_core::event::{EVENT_COLUMNS_FIRST, EVENT_COLUMNS_LAST};
use ictasks_core::sample::Sample;

/// The journal's last column: a checksum over the row's other cells.
pub(crate) const CHECKSUM: &str = "row_checksum";

/// The columns that stand between the first of an event and the rest of its attempt.
const EVENT_SUBJECT: [&str; 7] = ["session", "task_id", "task_index", "attempt", "host", "worker_id", "pid"];

/// Columns of tasks.parquet after those of an attempt.
const TASK_COLUMNS_LAST: [Column; 2] = [
    Column {
        name: "attempt_count",
        kind: ColumnType::Int64,
        nullable: false,
        meaning: "attempts that ended, 0 if it never ran",
    },
    Column {
        name: "total_wall_s",
        kind: ColumnType::Float64,
        nullable: true,
        meaning: "sum of `wall_s` over its attempts",
    },
];

/// A table of the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Table {
    /// One row an attempt.
    Attempts,
    /// One row a task: its last attempt.
    Tasks,
    /// One row an event, in order.
    Events,
    /// Resource use over time.
    Samples,
}

impl Table {
    /// All tables, in the order in which they are written.
    pub const ALL: [Self; 4] = [Self::Attempts, Self::Tasks, Self::Events, Self::Samples];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Attempts => "attempts",
            Self::Tasks => "tasks",
            Self::Events => "events",
            Self::Samples => "samples",
        }
    }

    /// Its file in the run directory.
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Attempts => "attempts.parquet",
            Self::Tasks => "tasks.parquet",
            Self::Events => "events.parquet",
            Self::Samples => "samples.parquet",
        }
    }

    /// Its columns. `params_json` and `results_json` stand for the columns `param_*` and
    /// `result_*`, whose names only the run knows.
    pub fn columns(self) -> &'static [Column] {
        static TASKS: LazyLock<Vec<Column>> =
            LazyLock::new(|| [Attempt::COLUMNS, &TASK_COLUMNS_LAST].concat());
        static EVENTS: LazyLock<Vec<Column>> = LazyLock::new(event_columns);
        match self {
            Self::Attempts => Attempt::COLUMNS,
            Self::Tasks => &TASKS,
            Self::Events => &EVENTS,
            Self::Samples => Sample::COLUMNS,
        }
    }
}

/// Whether [`EVENT_SUBJECT`] names this column.
fn is_subject(column: &Column) -> bool {
    EVENT_SUBJECT.contains(&column.name)
}

fn event_columns() -> Vec<Column> {
    let subject =
        EVENT_SUBJECT.iter().filter_map(|name| Attempt::COLUMNS.iter().find(|column| column.name == *name));
    let rest = Attempt::COLUMNS.iter().filter(|column| !is_subject(column));
    let of_attempt =
        subject.chain(rest).map(|column| Column { nullable: column.name != "session", ..*column });
    EVENT_COLUMNS_FIRST.iter().copied().chain(of_attempt).chain(EVENT_COLUMNS_LAST.iter().copied()).collect()
}

/// How columns of repeating text are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Categories {
    /// As plain text: a stream needs no dictionaries then and ends well anywhere (the journal).
    Plain,
    /// Dictionary-encoded (the tables).
    Dictionary,
}

/// The Arrow type of a column.
pub(crate) fn data_type(kind: ColumnType, categories: Categories) -> DataType {
    match kind {
        ColumnType::Int32 => DataType::Int32,
        ColumnType::Int64 => DataType::Int64,
        ColumnType::Float64 => DataType::Float64,
        ColumnType::Category if categories == Categories::Dictionary => {
            DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
        }
        ColumnType::Text | ColumnType::Category => DataType::Utf8,
        ColumnType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        ColumnType::Int32List => DataType::List(Arc::new(Field::new_list_field(DataType::Int32, true))),
    }
}

/// A column as an Arrow field.
pub(crate) fn field(column: &Column, categories: Categories) -> Field {
    Field::new(column.name, data_type(column.kind, categories), column.nullable)
}

/// The schema of a finished part of the journal.
pub(crate) fn part_schema(columns: &[Column]) -> SchemaRef {
    let fields = columns.iter().map(|c| field(c, Categories::Plain));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// The schema of a live part of the journal: with the rows' checksums.
pub(crate) fn live_schema(columns: &[Column]) -> SchemaRef {
    let fields = columns.iter().map(|c| field(c, Categories::Plain));
    let checksum = Field::new(CHECKSUM, DataType::Int64, false);
    Arc::new(Schema::new(fields.chain([checksum]).collect::<Vec<_>>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_begin_with_what_happened_to_whom() {
        let names: Vec<_> = Table::Events.columns().iter().map(|c| c.name).collect();
        assert_eq!(
            names[..11],
            [
                "seq",
                "at",
                "kind",
                "session",
                "task_id",
                "task_index",
                "attempt",
                "host",
                "worker_id",
                "pid",
                "run_id"
            ]
        );
        assert_eq!(names.last(), Some(&"message"));
        assert_eq!(names.len(), 3 + Attempt::COLUMNS.len() + 3);
    }

    #[test]
    fn of_an_event_only_its_session_is_always_known() {
        let required: Vec<_> =
            Table::Events.columns().iter().filter(|c| !c.nullable).map(|c| c.name).collect();
        assert_eq!(required, ["seq", "at", "kind", "session"]);
    }

    #[test]
    fn names_are_unique_in_every_table() {
        for table in Table::ALL {
            let mut names: Vec<_> = table.columns().iter().map(|c| c.name).collect();
            names.sort_unstable();
            let count = names.len();
            names.dedup();
            assert_eq!(names.len(), count, "{}", table.name());
        }
    }
}
