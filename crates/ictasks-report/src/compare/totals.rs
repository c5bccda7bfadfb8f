//! What a run was, and its totals.

use std::collections::BTreeSet;

use ictasks_core::attempt::Outcome;
use polars::prelude::*;
use serde_json::Value;

use super::comparison::ComparedRun;
use super::manifest::{Manifest, moment};
use crate::error::ReportError;
use crate::findings::{OutcomeCount, RunLife};
use crate::moment::Moment;
use crate::source::{Source, Table};

/// Computes them.
pub(super) fn of_run(source: &Source, manifest: &Manifest) -> Result<ComparedRun, ReportError> {
    let sums = sums(source)?;
    let began_at = manifest.sessions().first().and_then(|session| moment(&session["began_at"]));
    let hosts = manifest.hosts().filter_map(|host| host["host"].as_str()).map(str::to_owned);
    let hosts: BTreeSet<String> = hosts.chain(hosts_of_attempts(source)?).collect();
    let outcomes = outcomes(source)?;
    Ok(ComparedRun {
        run_dir: source.name.clone(),
        run_id: manifest.text("run_id"),
        job_id: manifest.text("job_id"),
        version: manifest.text("version"),
        life: life(source, manifest),
        began_at,
        session_count: manifest.sessions().len(),
        host_count: hosts.len(),
        core_count: manifest.last_hosts().filter_map(|host| host["core_count"].as_i64()).sum(),
        task_count: outcomes.iter().map(|outcome| outcome.task_count).sum(),
        attempt_count: outcomes.iter().map(|outcome| outcome.attempt_count).sum(),
        outcomes,
        core_s: float(&sums, "core_s")?.unwrap_or(0.0),
        cpu_s: float(&sums, "cpu_s")?,
        makespan_s: makespan_s(source, manifest)?,
        median_run_s: float(&sums, "median_run_s")?,
        largest_memory_bytes: integer(&sums, "process_bytes")?.max(integer(&sums, "tree_bytes")?),
    })
}

/// What run.json says of a run that nobody works at.
fn life(source: &Source, manifest: &Manifest) -> RunLife {
    match (source.life, manifest.get("state").as_str()) {
        (RunLife::Finished, Some("interrupted")) => RunLife::Interrupted,
        (RunLife::Finished, Some("failed")) => RunLife::Failed,
        (life, _) => life,
    }
}

fn sums(source: &Source) -> Result<DataFrame, ReportError> {
    let run_s = col("wall_s") - col("stopped_s").fill_null(lit(0.0));
    let succeeded = col("outcome").cast(DataType::String).eq(lit(Outcome::Succeeded.as_str()));
    let cpu_s = col("user_s") + col("system_s");
    let figures = [
        (col("wall_s") * col("core_count").cast(DataType::Float64)).sum().alias("core_s"),
        when(cpu_s.clone().count().gt(lit(0))).then(cpu_s.sum()).otherwise(lit(NULL)).alias("cpu_s"),
        run_s.filter(succeeded).median().alias("median_run_s"),
        col("max_process_rss_bytes").max().alias("process_bytes"),
        col("max_tree_rss_bytes").max().alias("tree_bytes"),
    ];
    Ok(source.scan(Table::Attempts)?.select(figures).collect()?)
}

fn float(sums: &DataFrame, name: &str) -> Result<Option<f64>, ReportError> {
    Ok(sums.column(name)?.cast(&DataType::Float64)?.f64()?.get(0))
}

fn integer(sums: &DataFrame, name: &str) -> Result<Option<i64>, ReportError> {
    Ok(sums.column(name)?.cast(&DataType::Int64)?.i64()?.get(0))
}

fn hosts_of_attempts(source: &Source) -> Result<Vec<String>, ReportError> {
    let hosts = source.scan(Table::Attempts)?.group_by([col("host").cast(DataType::String)]).agg([len()]);
    let hosts = hosts.collect()?;
    Ok(hosts.column("host")?.str()?.iter().flatten().map(str::to_owned).collect())
}

/// Tasks and attempts by outcome, in the order of the enumeration.
fn outcomes(source: &Source) -> Result<Vec<OutcomeCount>, ReportError> {
    let of_tasks = by_outcome(source, Table::Tasks)?;
    let of_attempts = by_outcome(source, Table::Attempts)?;
    let find = |rows: &[(String, i64, f64)], name: &str| {
        let row = rows.iter().find(|(outcome, ..)| outcome == name);
        row.map_or((0, 0.0), |(_, count, core_s)| (*count, *core_s))
    };
    let counts = Outcome::ALL.iter().map(|outcome| {
        let (attempt_count, core_s) = find(&of_attempts, outcome.as_str());
        let task_count = find(&of_tasks, outcome.as_str()).0;
        OutcomeCount { outcome: outcome.as_str().to_owned(), task_count, attempt_count, core_s }
    });
    Ok(counts.filter(|count| count.task_count > 0 || count.attempt_count > 0).collect())
}

fn by_outcome(source: &Source, table: Table) -> Result<Vec<(String, i64, f64)>, ReportError> {
    let core_s = (col("wall_s") * col("core_count").cast(DataType::Float64)).sum().alias("core_s");
    let count = len().cast(DataType::Int64).alias("count");
    let rows = source.scan(table)?.group_by([col("outcome").cast(DataType::String)]).agg([count, core_s]);
    let rows = rows.collect()?;
    let (names, counts) = (rows.column("outcome")?.str()?, rows.column("count")?.i64()?);
    let core_s = rows.column("core_s")?.f64()?;
    let row = |at| {
        let name = names.get(at).unwrap_or_default().to_owned();
        (name, counts.get(at).unwrap_or_default(), core_s.get(at).unwrap_or_default())
    };
    Ok((0..rows.height()).map(row).collect())
}

/// The time in which sessions were alive. The end of one that was killed, or goes on, is when the run
/// was seen alive last.
fn makespan_s(source: &Source, manifest: &Manifest) -> Result<Option<f64>, ReportError> {
    let of_attempts = times_of_attempts(source)?;
    let seen = |session: i64| of_attempts.iter().find(|(number, ..)| *number == session);
    if manifest.sessions().is_empty() {
        let spans = of_attempts.iter().map(|(_, began, ended)| ended.seconds_since(*began));
        return Ok((!of_attempts.is_empty()).then(|| spans.sum()));
    }
    let last = manifest.sessions().len() - 1;
    let span = |(position, session): (usize, &Value)| {
        let number = session["session"].as_i64().unwrap_or(-1);
        let began = moment(&session["began_at"])?;
        let updated = moment(manifest.get("updated_at")).filter(|_| position == last);
        let seen = seen(number).map(|(.., ended)| *ended);
        let ended = moment(&session["ended_at"]).or_else(|| updated.max(seen))?;
        Some(ended.seconds_since(began).max(0.0))
    };
    Ok(manifest.sessions().iter().enumerate().map(span).sum())
}

/// Sessions with their first start and last end.
fn times_of_attempts(source: &Source) -> Result<Vec<(i64, Moment, Moment)>, ReportError> {
    let instants =
        [col("started_at").cast(DataType::Int64).min(), col("finished_at").cast(DataType::Int64).max()];
    let rows = source.scan(Table::Attempts)?.group_by([col("session").cast(DataType::Int64)]).agg(instants);
    let rows = rows.collect()?;
    let (sessions, began) = (rows.column("session")?.i64()?, rows.column("started_at")?.i64()?);
    let ended = rows.column("finished_at")?.i64()?;
    let row = |at| Some((sessions.get(at)?, Moment(began.get(at)?), Moment(ended.get(at)?)));
    Ok((0..rows.height()).filter_map(row).collect())
}
