//! A run of ten tasks whose findings were computed by hand.
//!
//! Two hosts, `a` and `b`, a worker of one core each, alive from 0 s to 30 s. Between two tasks of a worker
//! lie 0.5 s; all is ready at 0 s but the second attempt of task 3 (at 9 s).
//!
//! ```text
//! a  t0: 0-4   t1: 4.5-6.5  t2: 7-9 fails  t3: 9.5-11.5  t4: 12-14     t2 again: 14.5-16.5
//! b  t5: 0-8   t6: 8.5-10.5 t7: 11-13      t8: 13.5-15.5 t9: 16-26
//! ```

use std::fs::{self, File};
use std::path::Path;

use polars::prelude::*;
use serde_json::json;

use crate::markdown::markdown;
use crate::moment::Moment;
use crate::text::{TextOptions, text};
use crate::{AnalysisOptions, Findings, Source, analyse, selected_ids};

/// Task, attempt, worker's host, start, duration, CPU time (s), memory (MiB), ready at (s).
type Attempt = (i64, i32, &'static str, f64, f64, f64, i64, f64);

const ATTEMPTS: [Attempt; 11] = [
    (0, 1, "a", 0.0, 4.0, 4.0, 100, 0.0),
    (1, 1, "a", 4.5, 2.0, 1.0, 100, 0.0),
    (5, 1, "b", 0.0, 8.0, 4.0, 100, 0.0),
    (2, 1, "a", 7.0, 2.0, 2.0, 100, 0.0),
    (6, 1, "b", 8.5, 2.0, 2.0, 100, 0.0),
    (3, 1, "a", 9.5, 2.0, 2.0, 100, 0.0),
    (7, 1, "b", 11.0, 2.0, 2.0, 100, 0.0),
    (4, 1, "a", 12.0, 2.0, 2.0, 100, 0.0),
    (8, 1, "b", 13.5, 2.0, 2.0, 100, 0.0),
    (2, 2, "a", 14.5, 2.0, 2.0, 100, 9.0),
    (9, 1, "b", 16.0, 10.0, 10.0, 700, 0.0),
];

/// 2026-03-01 12:00:00 UTC.
const BEGAN: i64 = 1_772_366_400_000_000;

#[allow(clippy::cast_possible_truncation)]
fn at(seconds: f64) -> i64 {
    BEGAN + (seconds * 1e6) as i64
}

/// Writes the rows for which `keep` holds.
fn write(path: &Path, keep: impl Fn(usize) -> bool) {
    let rows: Vec<usize> = (0..ATTEMPTS.len()).filter(|row| keep(*row)).collect();
    let failed = |row: &usize| ATTEMPTS[*row].0 == 2 && ATTEMPTS[*row].1 == 1;
    fn of<T>(rows: &[usize], value: impl Fn(usize) -> T) -> Vec<T> {
        rows.iter().map(|row| value(*row)).collect()
    }
    let time = |values: Vec<i64>, name: &str| {
        let utc = DataType::Datetime(TimeUnit::Microseconds, Some(TimeZone::UTC));
        Column::new(name.into(), values).cast(&utc).expect("microseconds are times")
    };
    let mut frame = df![
        "session" => of(&rows, |_| 0_i32),
        "task_id" => of(&rows, |row| ATTEMPTS[row].0.to_string()),
        "task_index" => of(&rows, |row| ATTEMPTS[row].0),
        "attempt" => of(&rows, |row| ATTEMPTS[row].1),
        "command" => of(&rows, |row| format!("./simulate --seed {}", ATTEMPTS[row].0)),
        "outcome" => rows.iter().map(|row| if failed(row) { "failed" } else { "succeeded" }).collect::<Vec<_>>(),
        "exit_code" => rows.iter().map(|row| i32::from(failed(row))).collect::<Vec<_>>(),
        "signal" => of(&rows, |_| None::<i32>),
        "stderr_tail" => rows.iter().map(|row| failed(row).then_some("no convergence after 12 steps\n")).collect::<Vec<_>>(),
        "host" => of(&rows, |row| ATTEMPTS[row].2),
        "worker_id" => of(&rows, |_| 0_i32),
        "core_count" => of(&rows, |_| 1_i32),
        "wall_s" => of(&rows, |row| ATTEMPTS[row].4),
        "user_s" => of(&rows, |row| ATTEMPTS[row].5),
        "system_s" => of(&rows, |_| 0.0),
        "max_process_rss_bytes" => of(&rows, |row| ATTEMPTS[row].6 << 20),
        "max_tree_rss_bytes" => of(&rows, |_| None::<i64>),
        "param_seed" => of(&rows, |row| ATTEMPTS[row].0),
    ]
    .expect("columns of equal length");
    frame.with_column(time(of(&rows, |row| at(ATTEMPTS[row].3)), "started_at")).expect("a column");
    frame.with_column(time(of(&rows, |row| at(ATTEMPTS[row].7)), "ready_at")).expect("a column");
    let file = File::create(path).expect("a file in a fresh directory");
    ParquetWriter::new(file).finish(&mut frame).expect("a table");
}

/// Writes the run into a directory.
fn record(directory: &Path) -> Source {
    write(&directory.join("attempts.parquet"), |_| true);
    // The last attempt of each task: all but the first of task 2.
    write(&directory.join("tasks.parquet"), |row| row != 3);
    let node = |host: &str| {
        json!({"host": host, "host_id": 0, "core_count": 1, "gpu_count": 0, "memory_total_bytes": 8_i64 << 30,
            "joined_at": Moment(BEGAN).rfc3339()})
    };
    let run = json!({
        "format_version": 1, "version": "0.3.0", "run_id": "r", "job_id": "ten", "state": "finished",
        "list_complete": true, "updated_at": Moment(at(30.0)).rfc3339(),
        "sessions": [{
            "session": 0, "arguments": ["ictasks", "taskfarm"], "hosts": [node("a"), node("b")],
            "plan": {"task_distribution": {"cores_per_task": 1}},
            "began_at": Moment(BEGAN).rfc3339(), "ended_at": Moment(at(30.0)).rfc3339(),
        }],
    });
    fs::write(directory.join("run.json"), run.to_string()).expect("a file in a fresh directory");
    Source { name: "ten".to_owned(), ..Source::finished(directory) }
}

fn findings(options: &AnalysisOptions) -> Findings {
    let directory = tempfile::tempdir().expect("a directory");
    let mut findings = analyse(&[record(directory.path())], options).expect("a whole record");
    "0.3.0".clone_into(&mut findings.ictasks_version);
    findings.made_at = Moment(at(60.0));
    "/runs/ten".clone_into(&mut findings.runs[0].absolute_run_dir);
    findings
}

#[track_caller]
fn is(found: Option<f64>, expected: f64) {
    assert!(found.is_some_and(|found| (found - expected).abs() < 1e-6), "{found:?} is not {expected}");
}

#[test]
fn cores_are_what_the_hand_says() {
    let cores = findings(&AnalysisOptions::default()).cores;
    // W: a 4+2+2+2+2+2, b 8+2+2+2+10. Σu: one second less in t1, four less in t5.
    is(Some(cores.occupied_core_s), 38.0);
    is(Some(cores.available_core_s), 60.0);
    is(cores.cpu_s, 33.0);
    is(cores.occupancy_fraction, 38.0 / 60.0);
    is(cores.cpu_efficiency_fraction, 33.0 / 38.0);
    is(cores.cpu_utilisation_fraction, 33.0 / 60.0);
    is(cores.goodput_fraction, 36.0 / 38.0);
    is(cores.load_balance_fraction, 19.0 / 24.0);
    assert_eq!((cores.core_count, cores.worker_count), (2, 2));
    let parts: Vec<(&str, f64)> =
        cores.parts.iter().map(|part| (part.name.as_str(), (part.core_s * 1e6).round() / 1e6)).collect();
    assert_eq!(
        parts,
        [
            ("useful: computing", 31.0),
            ("useful: waiting (I/O, sleep)", 5.0),
            ("failed", 2.0),
            ("idle: tail", 9.5),
            ("idle: between tasks", 4.5),
            ("idle: start, end and other", 8.0),
        ]
    );
}

#[test]
fn times_are_what_the_hand_says() {
    let time = findings(&AnalysisOptions::default()).time;
    is(Some(time.makespan_s), 30.0);
    is(time.lower_bound_s, 19.0);
    is(time.scheduling_efficiency_fraction, 19.0 / 30.0);
    is(time.list_scheduling_bound_s, 24.0);
    // 10 | 8 4, then eight times 2: 12 | 12, and seven more.
    is(time.longest_first_s, 20.0);
    // From 16 to 26; of 20 core seconds 10.5 were busy.
    is(time.tail_s, 10.0);
    is(time.tail_idle_core_s, 9.5);
    let last: Vec<&str> = time.tail_tasks.iter().map(|task| task.task_id.as_str()).collect();
    assert_eq!(last, ["9", "2", "8", "4", "7"]);
    is(time.dispatch_gap_median_s, 0.5);
    is(Some(time.dispatch_gap_core_s), 4.5);
    is(Some(time.starved_core_s), 0.0);
    // Waits: 0 0 4.5 5.5 7 8.5 9.5 11 12 13.5 16.
    is(time.wait_median_s, 8.5);
}

#[test]
fn durations_memory_and_other_cores_are_what_the_hand_says() {
    let findings = findings(&AnalysisOptions::default());
    let quantiles: Vec<f64> = findings.durations.quantiles.iter().map(|quantile| quantile.value).collect();
    assert_eq!(quantiles, [2.0, 2.0, 2.0, 2.0, 4.0, 10.0, 10.0, 10.0]);
    assert_eq!(findings.durations.quantiles[7].task_id.as_deref(), Some("9"));
    // 1.2 × 700 MiB, rounded up to a multiple of 64 MiB.
    assert_eq!(findings.memory.advised_bytes, Some(896 << 20));
    assert_eq!(findings.memory.advised_p95_bytes, None);
    let more = findings.more_cores.expect("it ran");
    is(Some(more.saturation_core_count), 3.8);
    let points: Vec<(f64, f64)> =
        more.points.iter().map(|point| (point.core_count, point.makespan_s)).collect();
    // In the order of starts 4 8 2 2 2 2 2 2 2 2 10: on one core 38; on two 24; on four the ten begins at 6.
    assert_eq!(points[..3], [(1.0, 38.0), (2.0, 24.0), (4.0, 16.0)]);
    assert_eq!(findings.straggler_count, 0);
    assert_eq!(findings.hosts.iter().map(|host| host.slowness).collect::<Vec<_>>(), [Some(1.0), Some(1.0)]);
}

#[test]
fn cores_over_time_are_what_the_hand_says() {
    let options = AnalysisOptions { steps: 30, ..AnalysisOptions::default() };
    let concurrency = findings(&options).concurrency;
    is(Some(concurrency.step_s), 1.0);
    assert!(concurrency.available.iter().all(|cores| (cores - 2.0).abs() < 1e-9), "{concurrency:?}");
    assert_eq!(concurrency.busy[..6], [2.0, 2.0, 2.0, 2.0, 1.5, 2.0]);
    assert_eq!(concurrency.busy[26..], [0.0; 4]);
    // Of ten tasks two start at once.
    assert_eq!(concurrency.queued[..5], [8.0, 8.0, 8.0, 8.0, 7.5]);
}

#[test]
fn failures_are_grouped_and_can_be_selected() {
    let findings = findings(&AnalysisOptions::default());
    assert_eq!((findings.task_count, findings.attempt_count, findings.retried_count), (10, 11, 1));
    let group = &findings.failures.groups[0];
    assert_eq!(
        (group.template.as_str(), group.attempt_count, group.task_count),
        ("no convergence after # steps", 1, 0)
    );
    is(Some(group.core_s), 2.0);
    assert_eq!(group.meaning, "exit code 1");
}

#[test]
fn a_filter_selects_tasks_and_leaves_the_run_as_a_whole() {
    let filter = Some("host = 'b' and wall_s > 5".to_owned());
    let findings = findings(&AnalysisOptions { filter, ..AnalysisOptions::default() });
    assert_eq!((findings.task_count, findings.durations.count), (2, 2));
    is(Some(findings.cores.occupied_core_s), 38.0);
    let facts = findings.filter.expect("there was a filter");
    assert_eq!((facts.task_count, facts.of_task_count), (2, 10));
    let directory = tempfile::tempdir().expect("a directory");
    let source = record(directory.path());
    let ids = selected_ids(std::slice::from_ref(&source), Some("attempt = 2 or param_seed in (7, 8)"));
    assert_eq!(ids.expect("a filter"), ["2", "7", "8"]);
    let group = selected_ids(&[source], Some("failure_group is not null"));
    assert_eq!(group.expect("a filter"), Vec::<String>::new());
}

#[test]
fn a_filter_compares_times_with_what_people_write() {
    let directory = tempfile::tempdir().expect("a directory");
    let source = [record(directory.path())];
    let ids = |filter: String| selected_ids(&source, Some(&filter)).expect("a filter");
    let all = ids("true".to_owned());
    let at_least = |seconds: f64| {
        let rows = (0..ATTEMPTS.len()).filter(|row| *row != 3 && at(ATTEMPTS[*row].3) >= at(seconds));
        let mut ids: Vec<String> = rows.map(|row| ATTEMPTS[row].0.to_string()).collect();
        ids.sort();
        ids
    };
    let later = at_least(10.0);
    assert!(!later.is_empty() && later.len() < all.len());
    let moment = Moment(at(10.0));
    let written = moment.for_people();
    assert_eq!(ids(format!("started_at >= '{}'", moment.rfc3339())), later);
    assert_eq!(ids(format!("'{written}' <= started_at")), later);
    assert_eq!(ids(format!("started_at >= '{}'", written.trim_end_matches(" UTC"))), later);
    assert_eq!(ids(format!("started_at between '{written}' and '2100-01-01'")), later);
    assert_eq!(
        ids("started_at < '2001-01-01' or started_at > '2100-01-01 10:30'".to_owned()),
        Vec::<String>::new()
    );
}

#[test]
fn a_filter_that_is_wrong_is_explained() {
    let directory = tempfile::tempdir().expect("a directory");
    let source = [record(directory.path())];
    let explain = |filter: &str| selected_ids(&source, Some(filter)).expect_err("it is wrong").to_string();
    insta::assert_snapshot!(
        explain("outcom = 'failed'"),
        @"understand the filter `outcom = 'failed'`: there is no column `outcom`: did you mean the column `outcome`, or the text 'outcom'?"
    );
    insta::assert_snapshot!(
        explain("outcome = failed"),
        @"understand the filter `outcome = failed`: there is no column `failed`: did you mean the column `failure_group`, or the text 'failed'?"
    );
    insta::assert_snapshot!(
        explain("wall_s >"),
        @"understand the filter `wall_s >`: unable to parse 'wall_s >' as Expr; an example of a filter: outcome != 'succeeded' and host = 'c17'"
    );
    insta::assert_snapshot!(
        explain("select 1"),
        @"understand the filter `select 1`: expected an expression (found 'select' clause); an example of a filter: outcome != 'succeeded' and host = 'c17'"
    );
    insta::assert_snapshot!(
        explain("wall_s > 'x'"),
        @"understand the filter `wall_s > 'x'`: cannot compare string with numeric type (f64); an example of a filter: outcome != 'succeeded' and host = 'c17'"
    );
    insta::assert_snapshot!(
        explain("started_at > 'noon'"),
        @"understand the filter `started_at > 'noon'`: `noon` is no time: write one as '2026-03-01 12:00:00', which is UTC, or as '2026-03-01T12:00:00+01:00'; an example of a filter: outcome != 'succeeded' and host = 'c17'"
    );
    insta::assert_snapshot!(
        explain("wall_s"),
        @"understand the filter `wall_s`: filter predicate must be of type `Boolean`, got `Float64`; an example of a filter: outcome != 'succeeded' and host = 'c17'"
    );
}

#[test]
fn the_text_is_for_people() {
    let found = findings(&AnalysisOptions { steps: 60, ..AnalysisOptions::default() });
    let plain = |options: &TextOptions| anstream_free(&text(&found, options));
    insta::assert_snapshot!("text", plain(&TextOptions::default()));
    insta::assert_snapshot!(
        "ascii",
        plain(&TextOptions { unicode: false, width: 60, ..TextOptions::default() })
    );
    insta::assert_snapshot!(
        "failures",
        plain(&TextOptions { failures_in_full: true, ..TextOptions::default() })
    );
    insta::assert_snapshot!("markdown", markdown(&found));
}

/// Without styles.
fn anstream_free(text: &str) -> String {
    crate::harmless::without_escapes(text).into_owned()
}

#[test]
fn the_json_holds_every_number() {
    let options = AnalysisOptions { steps: 6, ..AnalysisOptions::default() };
    let document = serde_json::to_string_pretty(&findings(&options)).expect("numbers and text");
    insta::assert_snapshot!("json", document);
}
