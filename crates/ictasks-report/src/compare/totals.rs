//! What a run was, and its totals.

use std::collections::BTreeSet;

use ictasks_core::attempt::Outcome;
use polars::prelude::*;
use serde_json::Value;

use super::comparison::ComparedRun;
use super::manifest::{Manifest, moment};
use super::side::Side;
use crate::error::ReportError;
use crate::findings::{OutcomeCount, RunLife};
use crate::moment::Moment;
use crate::source::{Source, Table};

/// Computes them.
pub(super) fn of_run(source: &Source, manifest: &Manifest, side: &Side) -> Result<ComparedRun, ReportError> {
    let parts = parts(source)?;
    let began_at = manifest.sessions().first().and_then(|session| moment(&session["began_at"]));
    let hosts = manifest.hosts().filter_map(|host| host["host"].as_str());
    let hosts: BTreeSet<&str> = hosts.chain(parts.iter().filter_map(|part| part.host.as_deref())).collect();
    let outcomes = outcomes(&parts, side)?;
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
        core_s: outcomes.iter().map(|outcome| outcome.core_s).sum(),
        outcomes,
        cpu_s: parts.iter().filter_map(|part| part.cpu_s).reduce(|sum, cpu_s| sum + cpu_s),
        makespan_s: makespan_s(&parts, manifest),
        median_run_s: side.frame.column("run_s")?.f64()?.median(),
        largest_memory_bytes: parts.iter().filter_map(|part| part.memory_bytes).max(),
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

/// Attempts of one session, host and outcome.
struct Part {
    session: i64,
    host: Option<String>,
    outcome: String,
    attempt_count: i64,
    core_s: f64,
    cpu_s: Option<f64>,
    memory_bytes: Option<i64>,
    began: Option<Moment>,
    ended: Option<Moment>,
}

fn parts(source: &Source) -> Result<Vec<Part>, ReportError> {
    let cpu_s = col("user_s") + col("system_s");
    let by = [col("session").cast(DataType::Int64), col("host"), col("outcome")];
    let figures = [
        len().cast(DataType::Int64).alias("attempt_count"),
        (col("wall_s") * col("core_count").cast(DataType::Float64)).sum().alias("core_s"),
        cpu_s.clone().sum().alias("cpu_s"),
        cpu_s.count().cast(DataType::Int64).alias("cpu_count"),
        col("max_process_rss_bytes").max().alias("process_bytes"),
        col("max_tree_rss_bytes").max().alias("tree_bytes"),
        col("started_at").min().cast(DataType::Int64).alias("began"),
        col("finished_at").max().cast(DataType::Int64).alias("ended"),
    ];
    let rows = source.scan(Table::Attempts)?.group_by(by).agg(figures).collect()?;
    let text = |name: &str| rows.column(name)?.cast(&DataType::String)?.str().cloned();
    let integer = |name: &str| rows.column(name)?.cast(&DataType::Int64)?.i64().cloned();
    let (hosts, outcomes) = (text("host")?, text("outcome")?);
    let (sessions, counts, cpu_counts) =
        (integer("session")?, integer("attempt_count")?, integer("cpu_count")?);
    let (processes, trees) = (integer("process_bytes")?, integer("tree_bytes")?);
    let (began, ended) = (integer("began")?, integer("ended")?);
    let (core_s, cpu_s) = (rows.column("core_s")?.f64()?, rows.column("cpu_s")?.f64()?);
    let part = |row| Part {
        session: sessions.get(row).unwrap_or(-1),
        host: hosts.get(row).map(str::to_owned),
        outcome: outcomes.get(row).unwrap_or_default().to_owned(),
        attempt_count: counts.get(row).unwrap_or_default(),
        core_s: core_s.get(row).unwrap_or_default(),
        // A sum of nothing is not known.
        cpu_s: cpu_s.get(row).filter(|_| cpu_counts.get(row) > Some(0)),
        memory_bytes: processes.get(row).max(trees.get(row)),
        began: began.get(row).map(Moment),
        ended: ended.get(row).map(Moment),
    };
    Ok((0..rows.height()).map(part).collect())
}

/// Tasks and attempts by outcome, in the order of the enumeration.
fn outcomes(parts: &[Part], side: &Side) -> Result<Vec<OutcomeCount>, ReportError> {
    let tasks = side.frame.clone().lazy().group_by([col("outcome")]);
    let tasks = tasks.agg([len().cast(DataType::Int64).alias("count")]).collect()?;
    let (names, counts) = (tasks.column("outcome")?.str()?, tasks.column("count")?.i64()?);
    let count_of = |outcome: &str| {
        let found = names.iter().zip(counts.iter()).find(|(name, _)| *name == Some(outcome));
        found.and_then(|(_, count)| count).unwrap_or(0)
    };
    let count = |outcome: &Outcome| {
        let of_outcome = || parts.iter().filter(|part| part.outcome == outcome.as_str());
        OutcomeCount {
            outcome: outcome.as_str().to_owned(),
            task_count: count_of(outcome.as_str()),
            attempt_count: of_outcome().map(|part| part.attempt_count).sum(),
            core_s: of_outcome().map(|part| part.core_s).sum(),
        }
    };
    let counts = Outcome::ALL.iter().map(count);
    Ok(counts.filter(|count| count.task_count > 0 || count.attempt_count > 0).collect())
}

/// The time in which sessions were alive. The end of one that was killed, or goes on, is when the run
/// was seen alive last. Without run.json: from the first start to the last end of each.
fn makespan_s(parts: &[Part], manifest: &Manifest) -> Option<f64> {
    let of = |session: i64| parts.iter().filter(move |part| part.session == session);
    let last_end = |session| of(session).filter_map(|part| part.ended).max();
    if manifest.sessions().is_empty() {
        let sessions: BTreeSet<i64> = parts.iter().map(|part| part.session).collect();
        let span = |session| {
            let began = of(session).filter_map(|part| part.began).min()?;
            Some(last_end(session)?.seconds_since(began))
        };
        return sessions.into_iter().filter_map(span).reduce(|sum, span| sum + span);
    }
    let last = manifest.sessions().len() - 1;
    let span = |(position, session): (usize, &Value)| {
        let began = moment(&session["began_at"])?;
        let updated = moment(manifest.get("updated_at")).filter(|_| position == last);
        let seen = last_end(session["session"].as_i64().unwrap_or(-1));
        let ended = moment(&session["ended_at"]).or_else(|| updated.max(seen))?;
        Some(ended.seconds_since(began).max(0.0))
    };
    manifest.sessions().iter().enumerate().map(span).sum()
}
