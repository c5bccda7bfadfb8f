//! The figures of a report on some twenty thousand attempts, beside what is known of the run.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;

use ictasks_tests::generated::{Answers, Large, quantile, record};
use ictasks_tests::report;
use serde_json::Value;
use tempfile::TempDir;

struct Known {
    _directory: TempDir,
    answers: Answers,
    findings: Value,
}

/// A run of three sessions on twelve hosts, with seven kinds of failure.
fn known() -> &'static Known {
    static KNOWN: OnceLock<Known> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let directory = tempfile::tempdir().expect("make a directory");
        let large = Large {
            task_count: 19_500,
            host_count: 12,
            worker_count: 16,
            failure_kind_count: 7,
            session_count: 3,
            seed: 11,
        };
        let answers = record(large.world(), directory.path());
        let findings = findings(directory.path());
        Known { _directory: directory, answers, findings }
    })
}

fn findings(run_dir: &Path) -> Value {
    report(run_dir, &["--group-by", "param_method", "--top", "100"])
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// Sums of floats depend on the order of their terms.
fn assert_close(found: &Value, expected: f64, what: &str) {
    let found = number(found);
    assert!((found - expected).abs() <= 1e-9 * expected.abs(), "{what}: {found}, not {expected}");
}

fn items(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("{value} is no list"))
}

#[test]
fn the_run_is_as_large_as_its_test_wants_it() {
    let answers = &known().answers;
    assert!(answers.all.attempt_count > 20_000, "{}", answers.all.attempt_count);
    assert_eq!((answers.failures.len(), answers.hosts.len(), answers.session_count), (7, 12, 3));
    assert!(answers.attempt_outcomes.contains_key("cancelled"));
}

#[test]
fn counts_are_true() {
    let Known { answers, findings, .. } = known();
    assert_eq!(findings["task_count"], answers.task_count);
    assert_eq!(findings["attempt_count"], answers.all.attempt_count);
    assert_eq!(findings["retried_count"], answers.retried_count);
    assert_eq!(findings["running_count"], 0);
    let found: BTreeMap<&str, (i64, i64)> = items(&findings["outcomes"])
        .iter()
        .map(|count| {
            let of = |key: &str| count[key].as_i64().expect("a count");
            (count["outcome"].as_str().expect("an outcome"), (of("task_count"), of("attempt_count")))
        })
        .collect();
    let tasks = |outcome: &str| answers.task_outcomes.get(outcome).copied().unwrap_or(0);
    let attempts = answers.attempt_outcomes.iter();
    let expected: BTreeMap<&str, (i64, i64)> =
        attempts.map(|(outcome, sums)| (*outcome, (tasks(outcome), sums.attempt_count))).collect();
    assert_eq!(found, expected);
}

#[test]
fn core_seconds_and_makespan_are_true() {
    let Known { answers, findings, .. } = known();
    assert_close(&findings["time"]["makespan_s"], answers.makespan_s, "makespan");
    let cores = &findings["cores"];
    assert_eq!(cores["core_count"], 12 * 16);
    assert_close(&cores["available_core_s"], answers.available_core_s, "available");
    assert_close(&cores["occupied_core_s"], answers.all.core_s(), "occupied");
    assert_close(&cores["useful_core_s"], answers.useful.core_s(), "useful");
    assert_close(&cores["cpu_s"], answers.all.cpu_s, "CPU time");
    for count in items(&findings["outcomes"]) {
        let outcome = count["outcome"].as_str().expect("an outcome");
        assert_close(&count["core_s"], answers.attempt_outcomes[outcome].core_s(), outcome);
    }
    let parts: f64 = items(&cores["parts"]).iter().map(|part| number(&part["core_s"])).sum();
    assert_close(&cores["available_core_s"], parts, "the parts of what there was");
}

fn assert_quantiles(distribution: &Value, sorted: &[f64], what: &str) {
    assert_eq!(distribution["count"], sorted.len(), "{what}");
    assert_close(&distribution["sum"], sorted.iter().sum(), what);
    let quantiles = items(&distribution["quantiles"]);
    let fractions: Vec<f64> = quantiles.iter().map(|one| number(&one["fraction"])).collect();
    assert_eq!(fractions, [0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0], "{what}");
    for one in quantiles {
        let expected = quantile(sorted, number(&one["fraction"]));
        assert!(number(&one["value"]).to_bits() == expected.to_bits(), "{what}: {one}, not {expected}");
    }
    let bins = items(&distribution["histogram"]);
    if !bins.is_empty() {
        let count: i64 = bins.iter().filter_map(|bin| bin["count"].as_i64()).sum();
        assert_eq!(usize::try_from(count).ok(), Some(sorted.len()), "bins of {what}");
    }
}

#[test]
fn quantiles_of_all_and_of_each_group_are_values_that_were_measured() {
    let Known { answers, findings, .. } = known();
    assert_eq!(findings["grouped_by"], "param_method");
    assert_quantiles(&findings["durations"], &answers.all_wall_s(), "all");
    let groups = items(&findings["groups"]);
    assert_eq!(groups.len(), answers.groups.len());
    for group in groups {
        let name = group["name"].as_str().expect("a name");
        let expected = &answers.groups[name];
        let mut sorted = expected.wall_s.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        assert_quantiles(&group["wall_s"], &sorted, name);
        assert_eq!(group["attempt_count"], expected.attempt_count, "{name}");
        assert_eq!(group["failed_count"], expected.failed_count, "{name}");
        assert_close(&group["core_s"], expected.core_s(), name);
    }
    let in_order = groups.windows(2).all(|two| number(&two[0]["core_s"]) >= number(&two[1]["core_s"]));
    assert!(in_order, "the group with most core seconds comes first");
}

#[test]
fn hosts_are_true() {
    let Known { answers, findings, .. } = known();
    assert_eq!(findings["host_count"], answers.hosts.len());
    for host in items(&findings["hosts"]) {
        let name = host["host"].as_str().expect("a name");
        let expected = &answers.hosts[name];
        assert_eq!(host["core_count"], 16, "{name}");
        assert_eq!(host["attempt_count"], expected.attempt_count, "{name}");
        assert_eq!(host["failed_count"], expected.failed_count, "{name}");
        assert_close(&host["core_s"], expected.core_s(), name);
        assert!((number(&host["slowness"]) - 1.0).abs() < 0.2, "{host}");
    }
}

#[test]
fn each_kind_of_failure_is_one_group() {
    let Known { answers, findings, .. } = known();
    let failures = &findings["failures"];
    let failed = answers.failures.values();
    assert_eq!(failures["attempt_count"], failed.clone().map(|sums| sums.attempt_count).sum::<i64>());
    assert_close(&failures["core_s"], failed.map(ictasks_tests::generated::Sums::core_s).sum(), "lost");
    assert_eq!(failures["group_count"], answers.failures.len());
    let key = |outcome: &str, exit_code: Value, signal: Value, count: i64| {
        format!("{outcome} {exit_code} {signal} {count}")
    };
    let mut found: Vec<String> = items(&failures["groups"])
        .iter()
        .map(|group| {
            let outcome = group["outcome"].as_str().expect("an outcome");
            let count = group["attempt_count"].as_i64().expect("a count");
            key(outcome, group["exit_code"].clone(), group["signal"].clone(), count)
        })
        .collect();
    let expected = answers.failures.iter().map(|((outcome, exit_code, signal, _), sums)| {
        key(outcome, (*exit_code).into(), (*signal).into(), sums.attempt_count)
    });
    let mut expected: Vec<String> = expected.collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}
