//! What changed from one run to another.

use std::path::Path;

use ictasks_tests::{BAD_INPUT, FAILED, Finished, SUCCEEDED, farm, wait_for};
use serde_json::Value;

/// Compares two runs, with these arguments more.
fn compare(a: &Path, b: &Path, arguments: &[&str]) -> Finished {
    let run_dirs = [a, b].map(|run_dir| run_dir.to_str().expect("a path in UTF-8"));
    farm().command([["compare"].as_slice(), &run_dirs, arguments].concat()).run()
}

fn json(a: &Path, b: &Path) -> Value {
    let compared = compare(a, b, &["--format", "json"]).expect(SUCCEEDED);
    serde_json::from_str(&compared.stdout).expect("one document")
}

fn ids(list: &Value) -> Vec<&str> {
    let pairs = list["pairs"].as_array().expect("a list");
    pairs.iter().map(|pair| pair["b"]["task_id"].as_str().expect("an id")).collect()
}

#[test]
fn a_line_put_into_the_list_is_new_and_changes_no_other_task() {
    let a = farm().tasks(["test -e ../x", "true", "false"]).run().expect(FAILED);
    let b =
        farm().tasks(["echo new", "test -e ../x", "false", "true"]).file("run/x", "").run().expect(FAILED);
    let found = json(a.record.directory(), b.record.directory());
    assert_eq!(found["matching"]["paired_by"], serde_json::json!([{ "by": "command", "pair_count": 3 }]));
    assert_eq!(ids(&found["newly_passing"]), ["1"]);
    assert_eq!(found["newly_failing"]["task_count"], 0);
    assert_eq!(found["new"]["tasks"][0]["command"], "echo new");
    assert_eq!(found["missing"]["task_count"], 0);
}

#[test]
fn exit_codes_are_for_ci() {
    let yaml = |command: &str| {
        format!("tasks: [{{id: a, launch_cmd: 'true'}}, {{id: b, launch_cmd: '{command}'}}]\n")
    };
    let good = farm().yaml(yaml("true")).run().expect(SUCCEEDED);
    let bad = farm().yaml(yaml("exit 3")).run().expect(FAILED);
    let (good, bad) = (good.record.directory(), bad.record.directory());
    compare(good, bad, &[]).expect(SUCCEEDED);
    compare(good, bad, &["--fail-on", "failures"]).expect(FAILED);
    compare(good, bad, &["--fail-on", "regressions"]).expect(FAILED);
    compare(bad, good, &["--fail-on", "regressions"]).expect(SUCCEEDED);
    compare(good, good, &["--fail-on", "regressions"]).expect(SUCCEEDED);
    let ids = compare(good, bad, &["--format", "ids"]).expect(SUCCEEDED);
    assert_eq!(ids.stdout, "b\n");
    let nowhere = compare(good, Path::new("nowhere"), &[]).expect(BAD_INPUT);
    assert!(nowhere.stderr.contains("nowhere"), "{}", nowhere.stderr);
    compare(good, bad, &["--threshold", "0.5"]).expect(BAD_INPUT);
}

#[test]
fn a_slower_task_is_a_regression_and_no_failure() {
    let quick = farm().yaml("tasks: [{id: a, launch_cmd: 'true'}]\n").run().expect(SUCCEEDED);
    let slow = farm().yaml("tasks: [{id: a, launch_cmd: 'sleep 0.5'}]\n").run().expect(SUCCEEDED);
    let (quick, slow) = (quick.record.directory(), slow.record.directory());
    compare(quick, slow, &["--fail-on", "regressions"]).expect(FAILED);
    compare(quick, slow, &["--fail-on", "failures"]).expect(SUCCEEDED);
    let found = json(quick, slow);
    assert_eq!(ids(&found["slower"]), ["a"]);
    assert_eq!(found["times"]["shift"], "unknown", "of one pair");
}

#[test]
fn a_run_is_like_itself_in_every_format() {
    let run = farm().tasks(["true", "exit 3"]).run().expect(FAILED);
    let run_dir = run.record.directory();
    let text = compare(run_dir, run_dir, &["--fail-on", "regressions"]).expect(SUCCEEDED).stdout;
    assert!(text.contains("no task changed (2 pairs)"), "{text}");
    assert!(text.contains("A and B are the same run."), "{text}");
    for (format, begin) in [("markdown", "# Comparison"), ("html", "<!DOCTYPE html>"), ("json", "{")] {
        let page = run_dir.join(format);
        let output = page.to_str().expect("a path in UTF-8");
        let compared = compare(run_dir, run_dir, &["--format", format, "-o", output]).expect(SUCCEEDED);
        assert_eq!(compared.stdout, "");
        let page = std::fs::read_to_string(&page).expect("a page");
        assert!(page.starts_with(begin), "{format}");
    }
}

#[test]
fn a_run_that_is_alive_is_compared_as_far_as_it_is() {
    let whole = farm().tasks(["true", "echo 2"]).run().expect(SUCCEEDED);
    let mut alive = farm().open_stdin().start();
    alive.write_line("true");
    wait_for("the end of a task", || {
        alive.record.journal().iter().any(|row| row["kind"] == "task_finished").then_some(())
    });
    let found = json(whole.record.directory(), alive.record.directory());
    assert_eq!(found["b"]["life"], "alive");
    assert_eq!((&found["matching"]["pair_count"], &found["missing"]["task_count"]), (&1.into(), &1.into()));
    alive.close_stdin();
    alive.wait().expect(SUCCEEDED);
}
