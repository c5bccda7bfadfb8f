//! Two runs of ten tasks, computed by hand; how tasks are paired; what formats make of hostile text.

use serde_json::json;

use super::*;
use crate::findings::{Mood, RunLife};

mod hostile;
mod pairing;
mod runs;

use runs::{MIB, Run, Task, manifest, run, task};

/// Ten tasks; 5 fails.
fn before() -> Run {
    let seconds = [0.01, 2.0, 4.0, 1.0, 10.0, 1.0, 2.0, 8.0, 1.0, 3.0];
    let named = (0..).zip(seconds).map(|(number, seconds)| task(&format!("t{number}"), seconds));
    let mut tasks: Vec<Task> = named.collect();
    tasks[3] = tasks[3].clone().memory(10 * MIB, None);
    tasks[5] = tasks[5].clone().outcome("failed", Some(1), None).stderr("Traceback:\nValueError: 5\n\n");
    tasks[6] = tasks[6].clone().memory(50 * MIB, 100 * MIB);
    run("runs/before", &tasks)
}

/// The same without the last, and one more.
fn after() -> Run {
    let tasks = [
        // Five times as long, but not by 0.1 s.
        task("t0", 0.05),
        task("t1", 3.0).memory(200 * MIB, None),
        // A tree on one side only is not compared.
        task("t2", 2.0).memory(100 * MIB, 900 * MIB),
        // Twice the memory, but not by 16 MiB.
        task("t3", 1.05).memory(20 * MIB, None),
        task("t4", 5.0).outcome("signaled", None, Some(11)).stderr("Segmentation fault (core dumped)\n"),
        task("t5", 1.0),
        task("t6", 2.4).memory(50 * MIB, 110 * MIB),
        // The median is 10 s: 1.25 times 8 s, and not above.
        task("t7", 8.0).again(12.0),
        task("t8", 0.5).outcome("cancelled", None, Some(15)),
        task("t10", 6.0),
    ];
    let run = run("runs/after", &tasks);
    let mut document = manifest("runs/after");
    document["version"] = json!("0.3.1");
    document["labels"] = json!({ "purpose": "test", "try": 2 });
    document["state"] = json!("interrupted");
    let session = &mut document["sessions"][0];
    session["git_commit"] = json!("2222222222222222222222222222222222222222");
    session["loaded_modules"] = json!(["gcc/14"]);
    session["plan"]["limits"] = json!({ "retries": 3, "timeout_s": 60.0 });
    session["hosts"][0]["cpu_model"] = json!("Abacus 2");
    session["ended_at"] = json!("2026-03-01T12:00:15Z");
    let mut second = session.clone();
    second["session"] = json!(1);
    second["began_at"] = json!("2026-03-01T13:00:00Z");
    second["ended_at"] = json!("2026-03-01T13:00:10Z");
    document["sessions"].as_array_mut().unwrap().push(second);
    run.write_manifest(&document);
    run
}

fn compared(a: &Run, b: &Run) -> Comparison {
    compare(&a.source, &b.source, &CompareOptions::default()).unwrap()
}

/// Without what differs from day to day.
fn fixed(mut comparison: Comparison) -> Comparison {
    comparison.made_at = Moment(0);
    comparison.ictasks_version = "0.0.0".to_owned();
    comparison
}

fn ids(changes: &Changes) -> Vec<&str> {
    changes.pairs.iter().map(|pair| pair.b.task_id.as_str()).collect()
}

fn assert_near(found: impl Into<Option<f64>>, expected: f64) {
    let found = found.into().expect("a figure");
    assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
}

#[test]
fn changes_of_ten_tasks() {
    let comparison = compared(&before(), &after());
    assert_eq!(ids(&comparison.newly_failing), ["t4"]);
    assert_eq!(ids(&comparison.unfinished), ["t8"]);
    assert_eq!(ids(&comparison.newly_passing), ["t5"]);
    assert_eq!(ids(&comparison.slower), ["t1"]);
    assert_eq!(ids(&comparison.faster), ["t2"]);
    assert_eq!(ids(&comparison.more_memory), ["t1"]);
    assert_eq!(ids(&comparison.less_memory), [""; 0]);
    let absent = |absences: &Absences| (absences.task_count, absences.tasks[0].task_id.clone());
    assert_eq!(absent(&comparison.missing), (1, "t9".to_owned()));
    assert_eq!(absent(&comparison.new), (1, "t10".to_owned()));
    assert_eq!((comparison.failure_count(), comparison.regression_count()), (3, 4));
    assert_eq!(comparison.verdict.mood, Mood::Bad);
    let transitions: Vec<_> =
        comparison.transitions.iter().map(|t| (t.a.as_str(), t.b.as_str(), t.pair_count)).collect();
    let expected = [
        ("succeeded", "succeeded", 6),
        ("failed", "succeeded", 1),
        ("succeeded", "cancelled", 1),
        ("succeeded", "signaled", 1),
    ];
    assert_eq!(transitions, expected);
}

#[test]
fn what_is_told_of_a_task() {
    let comparison = compared(&before(), &after());
    let failing = &comparison.newly_failing.pairs[0];
    assert_eq!((failing.a.outcome.as_str(), failing.b.signal), ("succeeded", Some(11)));
    assert_eq!(failing.b.message.as_deref(), Some("Segmentation fault (core dumped)"));
    assert_eq!((failing.b.command.as_str(), failing.b.host.as_deref()), ("run t4", Some("c1")));
    let passing = &comparison.newly_passing.pairs[0];
    assert_eq!((passing.a.message.as_deref(), passing.a.exit_code), (Some("ValueError: 5"), Some(1)));
    let slower = &comparison.slower.pairs[0];
    assert_eq!((slower.a.run_s, slower.b.run_s, slower.run_ratio), (Some(2.0), Some(3.0), Some(1.5)));
    assert_eq!(slower.memory_ratio, Some(2.0));
}

#[test]
fn times_as_a_whole() {
    // Ratios: 0.5, 1.05, 1.2, 1.25, 1.5, 5.
    let times = compared(&before(), &after()).times;
    assert_eq!((times.pair_count, times.single_attempt_pair_count), (6, 6));
    let ratios: Vec<f64> = times.ratios.iter().map(|quantile| quantile.value).collect();
    let expected = [0.5, 0.5, 1.05, 1.2, 1.25 * 1.2, 5.0, 5.0];
    ratios.iter().zip(expected).for_each(|(found, expected)| assert_near(*found, expected));
    assert_eq!(times.median_ratio_interval, Some((0.5, 5.0)));
    assert_eq!(times.shift, Shift::None);
    assert_near(times.a_sum_s, 17.01);
    assert_near(times.b_sum_s, 18.5);
}

#[test]
fn totals_side_by_side() {
    let comparison = compared(&before(), &after());
    let (a, b) = (comparison.a, comparison.b);
    assert_eq!([a.task_count, a.attempt_count, b.task_count, b.attempt_count], [10, 10, 10, 11]);
    assert_near(a.core_s, 64.02);
    assert_near(b.core_s, 82.0);
    assert_near(a.cpu_s, 19.206);
    assert_near(b.cpu_s, 24.6);
    assert_near(a.makespan_s, 20.0);
    assert_near(b.makespan_s, 25.0);
    assert_near(a.median_run_s, 2.0);
    assert_near(b.median_run_s, 2.2);
    assert_eq!([a.largest_memory_bytes, b.largest_memory_bytes], [Some(100 * MIB), Some(900 * MIB)]);
    assert_eq!((a.life, b.life, b.session_count), (RunLife::Finished, RunLife::Interrupted, 2));
    assert_eq!((a.core_count, a.host_count), (4, 1));
    let outcomes: Vec<_> =
        b.outcomes.iter().map(|o| (o.outcome.as_str(), o.task_count, o.attempt_count)).collect();
    assert_eq!(outcomes, [("succeeded", 8, 9), ("signaled", 1, 1), ("cancelled", 1, 1)]);
}

#[test]
fn what_differs_between_the_runs() {
    let comparison = compared(&before(), &after());
    let named = |difference: &Difference| {
        let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
        format!("{} {} {}", difference.name, value(&difference.a), value(&difference.b))
    };
    let found: Vec<String> = comparison.differences.iter().map(named).collect();
    let (ones, twos) = ("1".repeat(40), "2".repeat(40));
    let expected = [
        "ictasks 0.3.0 0.3.1".to_owned(),
        format!("git_commit {ones} {twos}"),
        "gcc/13 loaded -".to_owned(),
        "gcc/14 - loaded".to_owned(),
        "cpu_model Abacus 1 Abacus 2".to_owned(),
        "limits.retries 0 3".to_owned(),
        "limits.timeout_s - 60.0".to_owned(),
        "try - 2".to_owned(),
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_run_is_like_itself() {
    let run = after();
    let comparison = compared(&run, &run);
    assert!(comparison.differences.is_empty());
    assert_eq!((comparison.regression_count(), comparison.verdict.mood), (0, Mood::Good));
    assert_eq!(comparison.matching.pair_count, 10);
    assert_eq!(comparison.verdict.sentence, "no task changed (10 pairs)");
    assert!(comparison.transitions.iter().all(|transition| transition.a == transition.b));
    assert_eq!(comparison.times.shift, Shift::None);
}

#[test]
fn all_tasks_slower_is_a_shift_and_no_single_task_is() {
    let seconds: Vec<f64> = (1..=20).map(f64::from).collect();
    let of = |factor: f64| -> Vec<Task> {
        (0..).zip(&seconds).map(|(number, seconds)| task(&format!("t{number}"), seconds * factor)).collect()
    };
    let comparison = compared(&run("a", &of(1.0)), &run("b", &of(1.12)));
    assert_eq!(comparison.slower.task_count, 0);
    assert_eq!((comparison.times.shift, comparison.verdict.mood), (Shift::Slower, Mood::Mixed));
    let expected = "nearly all tasks are slower in B, by 12 % (median ratio 1.12 of 20 pairs, 95 % interval 1.12 to 1.12)";
    assert_eq!(comparison.times.sentence, expected);
    let noise = "each task was measured once on a side: a difference of one task is no evidence by itself; nine \
                 pairs of ten have ratios from 1.12 to 1.12";
    assert_eq!(comparison.times.noise.as_deref(), Some(noise));
}

#[test]
fn time_in_which_a_task_was_stopped_does_not_count() {
    let comparison = compared(&run("a", &[task("x", 2.0)]), &run("b", &[task("x", 62.0).stopped(60.0)]));
    assert_eq!((comparison.slower.task_count, comparison.times.b_sum_s), (0, 2.0));
}

#[test]
fn lists_are_as_long_as_asked_for_and_counts_are_of_all() {
    let of = |factor: f64| -> Vec<Task> {
        (1..=5).map(|number| task(&format!("t{number}"), f64::from(number) * factor)).collect()
    };
    let options = CompareOptions { top: 2, ..CompareOptions::default() };
    let comparison = compare(&run("a", &of(1.0)).source, &run("b", &of(2.0)).source, &options).unwrap();
    assert_eq!(comparison.slower.task_count, 5);
    assert_eq!(ids(&comparison.slower), ["t5", "t4"], "the largest differences");
}

#[test]
fn a_newer_record_is_refused() {
    let run = before();
    run.write_manifest(&json!({ "format_version": 2 }));
    let error = compare(&run.source, &run.source, &CompareOptions::default()).unwrap_err();
    assert!(matches!(error, ReportError::Newer { found: 2, .. }), "{error}");
}

#[test]
fn without_run_json_tasks_are_compared_all_the_same() {
    let (a, b) = (before(), after());
    std::fs::remove_file(b.manifest_path()).unwrap();
    std::fs::write(a.manifest_path(), "{\"format_ver").unwrap();
    let comparison = compared(&a, &b);
    assert_eq!(comparison.regression_count(), 4);
    assert_eq!(comparison.lacks.len(), 2);
    assert!(comparison.lacks[0].contains("is damaged"), "{:?}", comparison.lacks);
    assert!(comparison.lacks[1].contains("is missing"), "{:?}", comparison.lacks);
    assert_near(comparison.a.makespan_s, 10.0);
}

#[test]
fn runs_of_no_task_have_nothing_in_common() {
    let comparison = compared(&run("a", &[]), &run("b", &[]));
    assert_eq!((comparison.matching.pair_count, comparison.times.shift), (0, Shift::Unknown));
    assert_eq!((comparison.a.median_run_s, comparison.a.cpu_s), (None, None));
    assert!(text(&comparison, &TextOptions::default()).contains("No pair of 0 tasks"));
}

#[test]
fn json_is_what_the_schema_says() {
    let comparison = compared(&before(), &after());
    let document = serde_json::to_value(&comparison).unwrap();
    let schema = crate::json_schema::<Comparison>();
    let required = schema["required"].as_array().unwrap().iter().map(|name| name.as_str().unwrap());
    let mut required: Vec<&str> = required.collect();
    let mut keys: Vec<&str> = document.as_object().unwrap().keys().map(String::as_str).collect();
    required.sort_unstable();
    keys.sort_unstable();
    assert_eq!(keys, required);
    assert_eq!(serde_json::from_value::<Comparison>(document).unwrap(), comparison);
}

#[test]
fn every_format() {
    let comparison = fixed(compared(&before(), &after()));
    let plain = |options| unstyled(&text(&comparison, &options));
    insta::assert_snapshot!("text", plain(TextOptions::default()));
    insta::assert_snapshot!("text_wide_ascii", plain(TextOptions { width: 140, unicode: false }));
    insta::assert_snapshot!("markdown", markdown(&comparison));
    insta::assert_snapshot!("html", body(&html(&comparison)).replace("><", ">\n<"));
    insta::assert_snapshot!("json", serde_json::to_string_pretty(&comparison).unwrap());
}

/// Of a page, without the report's own style and script.
fn body(page: &str) -> &str {
    let (_, rest) = page.split_once("</head>").unwrap();
    rest.rsplit_once("<script>").unwrap().0
}

/// Without styles.
fn unstyled(text: &str) -> String {
    crate::harmless::without_escapes(text).into_owned()
}
