//! The record that a run leaves, as tests read it.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::table::{Row, Table, read_parquet, read_stream};

/// A run directory.
pub struct Record {
    directory: PathBuf,
}

/// What one of the places of the record says of one task.
pub struct Source {
    /// Which place.
    pub name: &'static str,
    /// Its figures, by their column names.
    pub figures: Row,
}

impl Source {
    /// A figure.
    ///
    /// # Panics
    /// If this place does not have it.
    pub fn get(&self, figure: &str) -> &Value {
        let value = self.figures.get(figure);
        value.unwrap_or_else(|| panic!("{} has no `{figure}`", self.name))
    }

    /// A figure that is a number.
    ///
    /// # Panics
    /// If this place does not have it, or it is null.
    pub fn number(&self, figure: &str) -> f64 {
        let value = self.get(figure);
        let number = value.as_f64();
        number.unwrap_or_else(|| panic!("{}: `{figure}` is {value}", self.name))
    }
}

impl Record {
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// The run directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The names in the run directory, sorted.
    pub fn names(&self) -> Vec<String> {
        names(&self.directory)
    }

    /// The names in a task's directory, sorted.
    pub fn task_names(&self, id: &str) -> Vec<String> {
        names(&self.task_directory(id))
    }

    /// A task's directory.
    pub fn task_directory(&self, id: &str) -> PathBuf {
        self.directory.join(format!("task_{id}"))
    }

    /// A file of a task, whole.
    ///
    /// # Panics
    /// If it cannot be read.
    pub fn read(&self, id: &str, name: &str) -> String {
        let path = self.task_directory(id).join(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("read `{}`: {error}", path.display()))
    }

    /// A task's standard output.
    pub fn stdout(&self, id: &str) -> String {
        self.read(id, "task_stdout.txt")
    }

    /// A task's `task.json`.
    pub fn task_json(&self, id: &str) -> Row {
        object(&self.read(id, "task.json"), "task.json")
    }

    /// The run's `run.json`.
    ///
    /// # Panics
    /// If it cannot be read.
    pub fn run_json(&self) -> Row {
        let text = fs::read_to_string(self.directory.join("run.json")).expect("read run.json");
        object(&text, "run.json")
    }

    /// A table by its name without the ending.
    pub fn table(&self, name: &str) -> Table {
        read_parquet(&self.directory.join(format!("{name}.parquet")))
    }

    /// A task's row of `tasks.parquet`.
    pub fn task(&self, id: &str) -> Row {
        self.only("tasks", |row| row["task_id"] == id)
    }

    /// The row of a task's only attempt in `attempts.parquet`.
    pub fn attempt(&self, id: &str) -> Row {
        self.only("attempts", |row| row["task_id"] == id)
    }

    /// A task's only event of a kind in `events.parquet`.
    pub fn event(&self, kind: &str, id: &str) -> Row {
        self.only("events", |row| row["kind"] == kind && row["task_id"] == id)
    }

    /// The values of a column: of tasks and attempts in the order of the task list, of others in
    /// the order of the rows.
    pub fn column(&self, table: &str, column: &str) -> Vec<Value> {
        let mut rows = self.table(table).rows;
        if ["tasks", "attempts"].contains(&table) {
            rows.sort_by_key(|row| row["task_index"].as_i64());
        }
        rows.into_iter().map(|mut row| row.remove(column).unwrap_or_default()).collect()
    }

    /// What each place of the record says of a task: `tasks.parquet`, `attempts.parquet`, its
    /// `task_finished` event, and `task.json` with `usage` laid out flat.
    pub fn sources(&self, id: &str) -> [Source; 4] {
        let source = |name, figures| Source { name, figures };
        [
            source("tasks.parquet", self.task(id)),
            source("attempts.parquet", self.attempt(id)),
            source("events.parquet", self.event("task_finished", id)),
            source("task.json", flat(self.task_json(id))),
        ]
    }

    /// The events that the live journal holds at this moment.
    pub fn journal(&self) -> Vec<Row> {
        let journal = self.directory.join("journal");
        let streams = names(&journal).into_iter().filter(|name| name.ends_with(".arrows"));
        let rows = streams.flat_map(|name| read_stream(&journal.join(name)));
        rows.filter(|row| row.contains_key("kind")).collect()
    }

    /// The samples that the live journal holds at this moment.
    pub fn live_samples(&self) -> Vec<Row> {
        let journal = self.directory.join("journal");
        let streams = names(&journal).into_iter().filter(|name| name.ends_with(".arrows"));
        let rows = streams.flat_map(|name| read_stream(&journal.join(name)));
        rows.filter(|row| row.contains_key("scope")).collect()
    }

    fn only(&self, table: &str, wanted: impl Fn(&Row) -> bool) -> Row {
        let mut rows = self.table(table).rows;
        rows.retain(wanted);
        assert_eq!(rows.len(), 1, "rows of {table}.parquet");
        rows.remove(0)
    }
}

/// The figures of a `task.json` under the names of the columns.
fn flat(mut task: Row) -> Row {
    let usage = task.remove("usage").unwrap_or_default();
    let mut figures = usage.as_object().expect("`usage` is an object").clone();
    figures.extend(task);
    figures
}

fn object(text: &str, name: &str) -> Row {
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => object,
        other => panic!("{name} is not one JSON object: {other:?}\n{text}"),
    }
}

fn names(directory: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    let name = |entry: std::io::Result<fs::DirEntry>| {
        let entry = entry.expect("read a directory");
        entry.file_name().to_string_lossy().into_owned()
    };
    let mut names: Vec<String> = entries.map(name).collect();
    names.sort();
    names
}
