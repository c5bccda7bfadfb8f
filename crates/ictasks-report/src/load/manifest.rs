//! What run.json tells. Read tolerantly: what is missing or of another shape is left out.

use serde_json::{Map, Value};

use super::sessions::{Node, Session};
use crate::error::ReportError;
use crate::findings::{NodeFacts, RunFacts, RunLife, SessionFacts};
use crate::moment::Moment;
use crate::run_document::{self, integer, moment, text};
use crate::source::Source;

/// Nodes of a session that are listed.
const NODES: usize = 1000;

/// Reads run.json of a run. Without it, or if it is damaged, little is known, and `lacks` says so.
///
/// # Errors
/// If it cannot be read, or is of a newer format.
pub(super) fn read(
    source: &Source,
    run: usize,
    lacks: &mut Vec<String>,
) -> Result<(RunFacts, Vec<Session>), ReportError> {
    let absolute = std::path::absolute(&source.run_dir).unwrap_or_else(|_| source.run_dir.clone());
    let mut facts = RunFacts {
        run_dir: source.name.clone(),
        absolute_run_dir: absolute.display().to_string(),
        life: source.life,
        ..RunFacts::default()
    };
    let Some(document) = run_document::read(source, lacks)? else { return Ok((facts, Vec::new())) };
    facts.run_id = text(&document, "run_id");
    facts.job_id = text(&document, "job_id");
    facts.version = text(&document, "version");
    facts.list_complete = document.get("list_complete").and_then(Value::as_bool).unwrap_or(false);
    facts.labels = document.get("labels").and_then(Value::as_object).map(pairs).unwrap_or_default();
    if facts.life == RunLife::Finished {
        facts.life = life(&text(&document, "state"));
    }
    let updated_at = moment(&document, "updated_at");
    let mut sessions = Vec::new();
    for value in document.get("sessions").and_then(Value::as_array).into_iter().flatten() {
        let (of_facts, session) = session(value, run, updated_at);
        facts.sessions.push(of_facts);
        sessions.push(session);
        facts.shard = shard(value);
    }
    Ok((facts, sessions))
}

/// Which part of the list a session ran, if not all of it.
fn shard(session: &Value) -> Option<String> {
    let shard = session.pointer("/plan/shard")?;
    Some(format!("{}/{}", shard.get("number")?.as_i64()?, shard.get("count")?.as_i64()?))
}

fn life(state: &str) -> RunLife {
    match state {
        "finished" => RunLife::Finished,
        "interrupted" => RunLife::Interrupted,
        "failed" => RunLife::Failed,
        "running" => RunLife::Killed,
        _ => RunLife::Unknown,
    }
}

fn session(value: &Value, run: usize, updated_at: Option<Moment>) -> (SessionFacts, Session) {
    let number =
        value.get("session").and_then(Value::as_i64).and_then(|n| i32::try_from(n).ok()).unwrap_or(0);
    let began_at = moment(value, "began_at").unwrap_or_default();
    let ended_at = moment(value, "ended_at").or(updated_at).unwrap_or(began_at).max(began_at);
    let mut hosts = Vec::new();
    let mut nodes: Vec<Node> = Vec::new();
    for host in value.get("hosts").and_then(Value::as_array).into_iter().flatten() {
        let facts = NodeFacts {
            host: text(host, "host"),
            core_count: integer(host, "core_count").unwrap_or(0),
            gpu_count: integer(host, "gpu_count").unwrap_or(0),
            memory_total_bytes: integer(host, "memory_total_bytes"),
            cpu_model: host.get("cpu_model").and_then(Value::as_str).map(ToOwned::to_owned),
        };
        // An agent that replaces another joins again, with the same cores.
        if nodes.iter().any(|node| node.host == facts.host) {
            continue;
        }
        nodes.push(Node {
            host: facts.host.clone(),
            core_count: facts.core_count,
            gpu_count: facts.gpu_count,
            memory_total_bytes: facts.memory_total_bytes,
            joined_at: moment(host, "joined_at").unwrap_or(began_at).clamp(began_at, ended_at).0,
            left_at: ended_at.0,
        });
        if hosts.len() < NODES {
            hosts.push(facts);
        }
    }
    let cores_per_task =
        value.pointer("/plan/task_distribution/cores_per_task").and_then(Value::as_i64).unwrap_or(1).max(1);
    let workers = value.pointer("/plan/workers").and_then(Value::as_array).map_or(0, Vec::len);
    let held = i64::try_from(workers).unwrap_or(0).saturating_mul(cores_per_task);
    if let [node] = nodes.as_mut_slice() {
        // With more workers than CPUs, the cores that tasks can hold are those of the workers.
        node.core_count = node.core_count.max(held);
    }
    let provenance: Map<String, Value> =
        ["git_commit", "loaded_modules", "conda_env", "virtual_env", "user", "slurm"]
            .iter()
            .filter_map(|key| Some(((*key).to_owned(), value.get(*key)?.clone())))
            .collect();
    let facts = SessionFacts {
        session: number,
        began_at,
        ended_at,
        how_it_ended: value.get("how_it_ended").and_then(Value::as_str).map(ToOwned::to_owned),
        arguments: strings(value.get("arguments")),
        submit_dir: text(value, "submit_dir"),
        core_count: nodes.iter().map(|node| node.core_count).sum(),
        hosts,
        provenance: pairs(&provenance),
        warnings: strings(value.get("warnings")),
    };
    let has_ended = value.get("ended_at").is_some_and(|at| !at.is_null());
    let session = Session {
        run,
        number,
        began_at: began_at.0,
        ended_at: ended_at.0,
        has_ended,
        cores_per_task,
        nodes,
        whole: run,
        axis_start_s: 0.0,
    };
    (facts, session)
}

/// Names and values that hold something, as text.
fn pairs(map: &Map<String, Value>) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    for (name, value) in map {
        match value {
            Value::Null => {}
            Value::String(text) if text.is_empty() => {}
            Value::String(text) => pairs.push((name.clone(), text.clone())),
            Value::Array(values) if values.is_empty() => {}
            Value::Array(values) => {
                let texts: Vec<String> = values.iter().map(plain).collect();
                pairs.push((name.clone(), texts.join(", ")));
            }
            Value::Object(inner) => {
                pairs.extend(
                    inner
                        .iter()
                        .filter(|(_, value)| !value.is_null())
                        .map(|(key, value)| (format!("{name}.{key}"), plain(value))),
                );
            }
            other => pairs.push((name.clone(), other.to_string())),
        }
    }
    pairs
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

fn strings(value: Option<&Value>) -> Vec<String> {
    value.and_then(Value::as_array).into_iter().flatten().map(plain).collect()
}
