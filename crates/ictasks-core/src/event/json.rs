//! Events as JSON objects, for programs that follow a run (`--events-fd`).
//!
//! A run is a sequence of objects, one a line. Each has `event`, its kind. The first is `hello`; then come
//! the events of the record, by their kinds and in their order, with `seq`, `at` and `session`; `warning`
//! stands between them. `task_finished` and `task_pending` have the columns of `attempts.parquet` by their names,
//! null where nothing was measured, with `params` and `results` as objects; in a brief stream ([`Detail`]) only those
//! that say which attempt it was and how it ended. Times (`*_at`, `at`) are seconds since
//! the epoch. Readers ignore kinds and keys that they do not know: only what would break them raises
//! [`STREAM_VERSION`].

use serde_json::{Map, Value, json};

use super::{Event, EventBody};
use crate::attempt::Attempt;
use crate::column::{Cell, Row, Timestamp};

/// Version of the stream: of its first line, and of what the kinds mean.
pub const STREAM_VERSION: u32 = 1;

/// How much of an attempt its events tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Detail {
    /// All columns.
    #[default]
    Full,
    /// Those of [`BRIEF`]: for who only wants to know what came of each task, at a quarter of the cost.
    Brief,
}

/// The columns of a brief stream.
pub const BRIEF: [&str; 15] = [
    "task_id",
    "task_index",
    "attempt",
    "outcome",
    "exit_code",
    "signal",
    "cause",
    "error",
    "host",
    "host_id",
    "worker_id",
    "pid",
    "started_at",
    "finished_at",
    "wall_s",
];

impl Event {
    /// The event as an object.
    pub fn to_json(&self, detail: Detail) -> Value {
        let mut object = Map::new();
        object.insert("event".to_owned(), self.body.kind().as_str().into());
        object.insert("seq".to_owned(), self.seq.into());
        object.insert("at".to_owned(), seconds(self.at.0));
        object.insert("session".to_owned(), self.session.into());
        self.body.put_into(&mut object, detail);
        Value::Object(object)
    }
}

impl EventBody {
    fn put_into(&self, object: &mut Map<String, Value>, detail: Detail) {
        let fields = match self {
            Self::RunStarted { message }
            | Self::RunResumed { message }
            | Self::StopRequested { message, .. }
            | Self::RunFinished { message } => json!({ "message": message }),
            Self::NodeJoined(node) => json!({
                "host": node.host,
                "host_id": node.host_id,
                "core_count": node.core_count,
                "gpu_count": node.gpu_count,
                "memory_total_bytes": node.memory_total_bytes,
            }),
            Self::NodeLost { host, message } | Self::NodeSetAside { host, message } => {
                json!({ "host": host, "message": message })
            }
            Self::TaskStarted { task_id, task_index, attempt, host, worker_id, pid } => json!({
                "task_id": task_id,
                "task_index": task_index,
                "attempt": attempt,
                "host": host,
                "worker_id": worker_id,
                "pid": pid,
            }),
            Self::TaskRetried { task_id, task_index, attempt, message } => json!({
                "task_id": task_id,
                "task_index": task_index,
                "attempt": attempt,
                "message": message,
            }),
            Self::TaskSkipped { task_id, task_index, reason } => json!({
                "task_id": task_id,
                "task_index": task_index,
                "reason": reason,
            }),
            Self::TaskFinished(attempt) | Self::TaskPending(attempt) => {
                return columns(attempt, object, detail);
            }
        };
        if let Value::Object(fields) = fields {
            object.extend(fields);
        }
    }
}

/// The columns of an attempt; what is JSON in a column becomes an object.
fn columns(attempt: &Attempt, object: &mut Map<String, Value>, detail: Detail) {
    let mut columns = Attempt::COLUMNS.iter();
    attempt.cells(&mut |cell| {
        let Some(column) = columns.next() else { return };
        if detail == Detail::Brief && !BRIEF.contains(&column.name) {
            return;
        }
        let (name, value) = match (column.name, cell) {
            ("params_json", cell) => ("params", parsed(cell)),
            ("results_json", cell) => ("results", parsed(cell)),
            (name, cell) => (name, plain(cell)),
        };
        object.insert(name.to_owned(), value);
    });
}

fn plain(cell: Cell<'_>) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Int32(value) => value.into(),
        Cell::Int64(value) => value.into(),
        Cell::Float64(value) => value.into(),
        Cell::Text(text) => text.into(),
        Cell::Timestamp(at) => seconds(at),
        Cell::Int32List(values) => values.into(),
    }
}

fn parsed(cell: Cell<'_>) -> Value {
    match cell {
        Cell::Text(text) => serde_json::from_str(text).unwrap_or_default(),
        _ => Value::Null,
    }
}

fn seconds(at: i64) -> Value {
    Timestamp(at).epoch_seconds().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attempt::Outcome;

    #[test]
    fn an_attempt_has_its_columns_and_its_parameters_as_an_object() {
        let attempt = Attempt {
            task_id: "a\"\n".to_owned(),
            outcome: Outcome::Failed,
            session: 1,
            exit_code: Some(3),
            cores: Some(vec![0, 1]),
            started_at: Some(Timestamp(1_500_000)),
            params_json: Some(r#"{"x":0.5}"#.to_owned()),
            ..Attempt::default()
        };
        let body = EventBody::TaskFinished(Box::new(attempt));
        let event = Event { seq: 4, at: Timestamp(2_000_000), session: 1, body }.to_json(Detail::Full);
        assert_eq!(event["event"], "task_finished");
        assert_eq!((&event["seq"], &event["at"], &event["session"]), (&json!(4), &json!(2.0), &json!(1)));
        assert_eq!((&event["task_id"], &event["outcome"]), (&json!("a\"\n"), &json!("failed")));
        assert_eq!((&event["cores"], &event["started_at"]), (&json!([0, 1]), &json!(1.5)));
        assert_eq!((&event["params"], &event["results"]), (&json!({"x": 0.5}), &Value::Null));
        assert_eq!(event.as_object().map(Map::len), Some(Attempt::COLUMNS.len() + 3));
        assert!(!event.to_string().contains('\n'));
    }

    #[test]
    fn a_brief_attempt_has_the_columns_that_brief_names() {
        let body = EventBody::TaskFinished(Box::default());
        let event = Event { seq: 0, at: Timestamp(0), session: 0, body }.to_json(Detail::Brief);
        let names: Vec<&String> = event.as_object().unwrap().keys().collect();
        assert_eq!(names.len(), BRIEF.len() + 4, "{names:?}");
        assert!(BRIEF.iter().all(|name| names.iter().any(|there| there == name)));
    }

    #[test]
    fn other_events_have_what_belongs_to_them() {
        let body = EventBody::TaskSkipped {
            task_id: "t".to_owned(),
            task_index: 7,
            reason: crate::attempt::Reason::SucceededBefore,
        };
        let event = Event { seq: 0, at: Timestamp(0), session: 0, body }.to_json(Detail::Full);
        let expected = json!({
            "event": "task_skipped", "seq": 0, "at": 0.0, "session": 0,
            "task_id": "t", "task_index": 7, "reason": "succeeded_before",
        });
        assert_eq!(event, expected);
    }
}
