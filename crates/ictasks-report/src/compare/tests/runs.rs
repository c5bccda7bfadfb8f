//! Runs as tests describe them, written as tables.

use std::path::{Path, PathBuf};

use ictasks_core::task::command_hash;
use polars::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::source::Source;

pub(super) const MIB: i64 = 1 << 20;

/// A task with its attempts.
#[derive(Clone)]
pub(super) struct Task {
    pub(super) id: String,
    pub(super) command: String,
    pub(super) param: Option<f64>,
    pub(super) attempts: Vec<Attempt>,
}

/// An attempt.
#[derive(Clone)]
pub(super) struct Attempt {
    pub(super) outcome: String,
    pub(super) exit_code: Option<i32>,
    pub(super) signal: Option<i32>,
    pub(super) wall_s: f64,
    pub(super) stopped_s: f64,
    pub(super) process_bytes: Option<i64>,
    pub(super) tree_bytes: Option<i64>,
    pub(super) stderr: Option<String>,
}

/// A task that succeeded once, with 100 MiB.
pub(super) fn task(id: &str, wall_s: f64) -> Task {
    let attempt = Attempt {
        outcome: "succeeded".to_owned(),
        exit_code: Some(0),
        signal: None,
        wall_s,
        stopped_s: 0.0,
        process_bytes: Some(100 * MIB),
        tree_bytes: None,
        stderr: None,
    };
    Task { id: id.to_owned(), command: format!("run {id}"), param: None, attempts: vec![attempt] }
}

impl Task {
    pub(super) fn command(self, command: &str) -> Self {
        Self { command: command.to_owned(), ..self }
    }

    pub(super) fn param(self, value: impl Into<Option<f64>>) -> Self {
        Self { param: value.into(), ..self }
    }

    pub(super) fn outcome(mut self, outcome: &str, exit_code: Option<i32>, signal: Option<i32>) -> Self {
        let last = self.attempts.last_mut().unwrap();
        (last.outcome, last.exit_code, last.signal) = (outcome.to_owned(), exit_code, signal);
        self
    }

    pub(super) fn memory(mut self, process_bytes: i64, tree_bytes: impl Into<Option<i64>>) -> Self {
        let last = self.attempts.last_mut().unwrap();
        (last.process_bytes, last.tree_bytes) = (Some(process_bytes), tree_bytes.into());
        self
    }

    pub(super) fn stderr(mut self, text: &str) -> Self {
        self.attempts.last_mut().unwrap().stderr = Some(text.to_owned());
        self
    }

    pub(super) fn stopped(mut self, stopped_s: f64) -> Self {
        self.attempts.last_mut().unwrap().stopped_s = stopped_s;
        self
    }

    /// With one attempt more, like the last but for its time.
    pub(super) fn again(mut self, wall_s: f64) -> Self {
        let last = self.attempts.last().unwrap().clone();
        self.attempts.push(Attempt { wall_s, ..last });
        self
    }
}

/// A run directory; it goes when this is dropped.
pub(super) struct Run {
    directory: TempDir,
    pub(super) source: Source,
}

/// Writes a run of one session of 20 s on one host.
pub(super) fn run(name: &str, tasks: &[Task]) -> Run {
    let directory = tempfile::tempdir().unwrap();
    write_tables(directory.path(), tasks);
    let mut source = Source::finished(directory.path());
    name.clone_into(&mut source.name);
    let run = Run { directory, source };
    run.write_manifest(&manifest(name));
    run
}

impl Run {
    pub(super) fn write_manifest(&self, document: &Value) {
        std::fs::write(self.manifest_path(), serde_json::to_vec(document).unwrap()).unwrap();
    }

    pub(super) fn manifest_path(&self) -> PathBuf {
        self.directory.path().join("run.json")
    }
}

/// What run.json says.
pub(super) fn manifest(name: &str) -> Value {
    json!({
        "format_version": 1,
        "version": "0.3.0",
        "run_id": format!("id of {name}"),
        "job_id": "sweep",
        "labels": { "purpose": "test" },
        "state": "finished",
        "updated_at": "2026-03-01T12:00:20Z",
        "sessions": [{
            "session": 0,
            "plan": {
                "job_id": "sweep",
                "run_dir": name,
                "task_distribution": { "cores_per_task": 2 },
                "limits": { "retries": 0, "timeout_s": null },
                "workers": [{}, {}],
            },
            "submit_dir": "/home/ada",
            "hosts": [{ "host": "c1", "core_count": 4, "gpu_count": 0, "cpu_model": "Abacus 1" }],
            "began_at": "2026-03-01T12:00:00Z",
            "ended_at": "2026-03-01T12:00:20Z",
            "git_commit": "1111111111111111111111111111111111111111",
            "loaded_modules": ["gcc/13"],
        }],
    })
}

fn write_tables(directory: &Path, tasks: &[Task]) {
    let every: Vec<(usize, i32, &Task, &Attempt)> = tasks
        .iter()
        .enumerate()
        .flat_map(|(index, task)| {
            (1..).zip(&task.attempts).map(move |(number, attempt)| (index, number, task, attempt))
        })
        .collect();
    write(directory, "attempts.parquet", &every);
    let last = every.iter().filter(|(_, number, task, _)| *number as usize == task.attempts.len()).copied();
    write(directory, "tasks.parquet", &last.collect::<Vec<_>>());
}

fn write(directory: &Path, name: &str, rows: &[(usize, i32, &Task, &Attempt)]) {
    let of_task = |value: fn(&Task) -> &str| rows.iter().map(|row| value(row.2)).collect::<Vec<_>>();
    let wall_s: Vec<f64> = rows.iter().map(|row| row.3.wall_s).collect();
    let mut frame = df!(
        "session" => vec![0_i32; rows.len()],
        "task_id" => of_task(|task| &task.id),
        "task_index" => rows.iter().map(|row| row.0 as i64).collect::<Vec<_>>(),
        "attempt" => rows.iter().map(|row| row.1).collect::<Vec<_>>(),
        "command" => of_task(|task| &task.command),
        "command_hash" => rows.iter().map(|row| command_hash(&row.2.command)).collect::<Vec<_>>(),
        "outcome" => rows.iter().map(|row| row.3.outcome.as_str()).collect::<Vec<_>>(),
        "exit_code" => rows.iter().map(|row| row.3.exit_code).collect::<Vec<_>>(),
        "signal" => rows.iter().map(|row| row.3.signal).collect::<Vec<_>>(),
        "error" => vec![None::<&str>; rows.len()],
        "stderr_tail" => rows.iter().map(|row| row.3.stderr.as_deref()).collect::<Vec<_>>(),
        "stdout_tail" => vec![None::<&str>; rows.len()],
        "host" => vec![Some("c1"); rows.len()],
        "core_count" => vec![Some(2_i32); rows.len()],
        "started_at" => vec![Some(0_i64); rows.len()],
        "finished_at" => wall_s.iter().map(|wall_s| Some((wall_s * 1e6) as i64)).collect::<Vec<_>>(),
        "stopped_s" => rows.iter().map(|row| row.3.stopped_s).collect::<Vec<_>>(),
        "user_s" => wall_s.iter().map(|wall_s| Some(wall_s * 0.5)).collect::<Vec<_>>(),
        "system_s" => wall_s.iter().map(|wall_s| Some(wall_s * 0.1)).collect::<Vec<_>>(),
        "max_process_rss_bytes" => rows.iter().map(|row| row.3.process_bytes).collect::<Vec<_>>(),
        "max_tree_rss_bytes" => rows.iter().map(|row| row.3.tree_bytes).collect::<Vec<_>>(),
        "wall_s" => wall_s,
    )
    .unwrap();
    if rows.iter().any(|row| row.2.param.is_some()) {
        let params: Vec<Option<f64>> = rows.iter().map(|row| row.2.param).collect();
        // Whole numbers are integers, as the record has them.
        let is_whole = params.iter().flatten().all(|param| param.fract() == 0.0);
        let params = Column::new("param_x".into(), params);
        let kind = if is_whole { DataType::Int64 } else { DataType::Float64 };
        frame.with_column(params.cast(&kind).unwrap()).unwrap();
    }
    let instant = DataType::Datetime(TimeUnit::Microseconds, Some(TimeZone::UTC));
    let instants = ["started_at", "finished_at"].map(|name| col(name).cast(instant.clone()));
    let mut frame = frame.lazy().with_columns(instants).collect().unwrap();
    let file = std::fs::File::create(directory.join(name)).unwrap();
    ParquetWriter::new(file).finish(&mut frame).unwrap();
}
