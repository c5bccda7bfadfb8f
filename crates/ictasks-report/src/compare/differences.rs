//! What differs between the runs themselves.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::comparison::{Difference, Topic};
use super::manifest::Manifest;
use crate::units;

/// Parts of the plan that differ between any two runs, or that are told in another place.
const TOLD_ELSEWHERE: [&str; 5] = ["job_id", "run_dir", "submit_dir", "workers", "labels"];
/// Hosts that are named.
const NAMED_HOSTS: usize = 4;

/// Names and values of one topic.
type Facts = BTreeMap<String, String>;

/// The names and values of a topic in a run.
type Reader = fn(&Manifest) -> Facts;

/// What differs, topic by topic.
pub(super) fn between(a: &Manifest, b: &Manifest) -> Vec<Difference> {
    let topics: [(Topic, Reader); 6] = [
        (Topic::Version, version),
        (Topic::Software, software),
        (Topic::Module, modules),
        (Topic::Machine, machine),
        (Topic::Plan, plan),
        (Topic::Label, labels),
    ];
    topics.into_iter().flat_map(|(topic, facts)| of_topic(topic, facts(a), facts(b))).collect()
}

fn of_topic(topic: Topic, mut a: Facts, mut b: Facts) -> Vec<Difference> {
    let names: BTreeSet<String> = a.keys().chain(b.keys()).cloned().collect();
    let difference = |name: String| Difference { topic, a: a.remove(&name), b: b.remove(&name), name };
    let mut differences: Vec<Difference> = names.into_iter().map(difference).collect();
    differences.retain(|difference| difference.a != difference.b);
    differences
}

fn version(run: &Manifest) -> Facts {
    facts([("ictasks", plain(run.get("version")))])
}

fn software(run: &Manifest) -> Facts {
    let names = ["git_commit", "submit_dir", "conda_env", "conda_prefix", "virtual_env"];
    let named = names.into_iter().map(|name| {
        let values = run.sessions().iter().filter_map(|session| plain(&session[name]));
        (name, distinct(values))
    });
    facts(named)
}

fn modules(run: &Manifest) -> Facts {
    let modules = run.last_session()["loaded_modules"].as_array().into_iter().flatten();
    modules.filter_map(plain).map(|module| (module, "loaded".to_owned())).collect()
}

fn machine(run: &Manifest) -> Facts {
    let of_hosts = |name: &'static str| distinct(run.hosts().filter_map(move |host| plain(&host[name])));
    let memory = run.hosts().filter_map(|host| host["memory_total_bytes"].as_i64()).map(units::bytes);
    let gpus = run.hosts().flat_map(|host| host["gpus"].as_array().into_iter().flatten());
    let gpu_models = gpus.filter_map(|gpu| plain(&gpu["name"]));
    facts([
        ("cpu_model", of_hosts("cpu_model")),
        ("memory", distinct(memory)),
        ("gpu_model", distinct(gpu_models)),
        ("core_count", total(run, "core_count")),
        ("gpu_count", total(run, "gpu_count")),
        ("hosts", host_names(run)),
    ])
}

/// A sum over the nodes of the last session.
fn total(run: &Manifest, name: &str) -> Option<String> {
    let counts: Vec<i64> = run.last_hosts().filter_map(|host| host[name].as_i64()).collect();
    (!counts.is_empty()).then(|| counts.iter().sum::<i64>().to_string())
}

/// The nodes of all sessions: the first of them, and how many more.
fn host_names(run: &Manifest) -> Option<String> {
    let names: BTreeSet<String> = run.hosts().filter_map(|host| plain(&host["host"])).collect();
    let count = names.len();
    let mut text = names.into_iter().take(NAMED_HOSTS).collect::<Vec<_>>().join(", ");
    if count > NAMED_HOSTS {
        text.push_str(&format!(" and {} more", count - NAMED_HOSTS));
    }
    (count > 0).then_some(text)
}

/// The plan of the last session, its parts named by their paths: `limits.retries`.
fn plan(run: &Manifest) -> Facts {
    let mut facts = Facts::new();
    let plan = &run.last_session()["plan"];
    let parts = plan.as_object().into_iter().flatten();
    for (name, value) in parts.filter(|(name, _)| !TOLD_ELSEWHERE.contains(&name.as_str())) {
        flatten(name, value, &mut facts);
    }
    if let Some(workers) = plan["workers"].as_array() {
        facts.insert("workers of a node".to_owned(), workers.len().to_string());
    }
    facts
}

fn labels(run: &Manifest) -> Facts {
    let labels = run.get("labels").as_object().into_iter().flatten();
    labels.filter_map(|(name, value)| Some((name.clone(), plain(value)?))).collect()
}

/// Objects are walked through; anything else is a value.
fn flatten(name: &str, value: &Value, facts: &mut Facts) {
    if let Value::Object(members) = value {
        members.iter().for_each(|(member, value)| flatten(&format!("{name}.{member}"), value, facts));
    } else if let Some(text) = plain(value) {
        facts.insert(name.to_owned(), text);
    }
}

fn facts<'a>(pairs: impl IntoIterator<Item = (&'a str, Option<String>)>) -> Facts {
    pairs.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// The values that occur, each once; sorted, since nodes join in any order.
fn distinct(values: impl Iterator<Item = String>) -> Option<String> {
    let values: BTreeSet<String> = values.collect();
    (!values.is_empty()).then(|| values.into_iter().collect::<Vec<_>>().join(", "))
}

/// A text as it is, anything else as JSON; null is nothing.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}
