//! What a run leaves: the files, their formats, and what can be read while it goes on.

use ictasks_tests::programs::clone_root;
use ictasks_tests::{BAD_INPUT, FAILED, NO_RECORD, Record, SUCCEEDED, farm, wait_for};
use serde_json::{Value, json};

#[test]
fn files_of_a_run() {
    let run = farm().tasks(["true", "false"]).run().expect(FAILED);
    let expected = [
        "attempts.parquet",
        "events.parquet",
        "run.json",
        "samples.parquet",
        "task_0",
        "task_1",
        "tasks.parquet",
    ];
    assert_eq!(run.record.names(), expected, "and no journal");
}

#[test]
fn columns_are_those_of_the_documentation() {
    let run = farm().tasks(["true"]).run().expect(SUCCEEDED);
    for name in ["attempts", "tasks", "events", "samples"] {
        let documented = documented_columns(name);
        assert!(documented.len() > 15, "{name}: {documented:?}");
        assert_eq!(run.record.table(name).columns(), documented, "{name}");
    }
}

/// The columns that the README of the recorder lists for a table, as [`ictasks_tests::table::Table::columns`] does.
fn documented_columns(table: &str) -> Vec<String> {
    let readme = clone_root().join("crates/ictasks-record/README.md");
    let readme = std::fs::read_to_string(readme).expect("a README");
    let (_, rest) = readme.split_once(&format!("<!-- columns of {table}:")).expect("a beginning");
    let (part, _) = rest.split_once("<!-- end of").expect("an end");
    let rows = part.lines().filter_map(|line| line.strip_prefix("| `"));
    let named = rows.filter(|row| !row.starts_with("param_*") && !row.starts_with("result_*"));
    let column = |row: &str| {
        let mut cells = row.split(" | ");
        let name = cells.next().unwrap_or("").trim_end_matches('`');
        format!("{name} {}", cells.next().unwrap_or(""))
    };
    named.map(column).collect()
}

#[test]
fn samples_can_be_left_out() {
    let yaml = "sample_interval: 0\ntasks: [{launch_cmd: sleep 0.3}]\n";
    let run = farm().yaml(yaml).run().expect(SUCCEEDED);
    assert_eq!(run.record.table("samples").rows.len(), 0);
    let row = run.record.task("0");
    assert_eq!((&row["sample_count"], &row["max_tree_rss_bytes"]), (&json!(0), &Value::Null));
}

#[test]
fn a_run_directory_has_one_writer() {
    let mut first = farm().open_stdin().start();
    first.write_line("true");
    wait_for("the journal", || (!first.record.journal().is_empty()).then_some(()));
    for option in ["--progress=none", "--overwrite"] {
        let run_dir = first.record.directory().to_str().expect("a path in UTF-8");
        let command = ["taskfarm", "--tasklist", "tasks.txt", "--run-dir", run_dir, option];
        let second = farm().file("tasks.txt", "true\n").command(command).run().expect(BAD_INPUT);
        let process = format!("process {} on ", first.pid());
        assert!(second.stderr.contains(&process), "{}", second.stderr);
    }
    first.close_stdin();
    let first = first.wait().expect(SUCCEEDED);
    assert_eq!(first.record.table("tasks").rows.len(), 1);
}

#[test]
fn metadata_of_the_tables() {
    let run = farm().tasks(["true"]).run().expect(SUCCEEDED);
    let run_id = run.record.run_json()["run_id"].clone();
    for name in ["tasks", "attempts", "events", "samples"] {
        let metadata = run.record.table(name).metadata;
        assert_eq!(metadata["ictasks.format_version"], "1", "{name}");
        assert_eq!(metadata["ictasks.version"], env!("CARGO_PKG_VERSION"), "{name}");
        assert_eq!(metadata["ictasks.run_id"], run_id, "{name}");
        let last: Option<i64> = metadata["ictasks.last_seq"].as_str().and_then(|n| n.parse().ok());
        assert!(last.is_some(), "{name}: {metadata:?}");
    }
}

#[test]
fn the_events_tell_the_run_in_order() {
    let run = farm().workers(1).tasks(["sleep 0.1", "no-such-program"]).run().expect(FAILED);
    let events = run.record.table("events").rows;
    let told: Vec<_> = events
        .iter()
        .map(|event| (event["kind"].as_str().unwrap_or(""), event["task_id"].as_str()))
        .collect();
    let expected = [
        ("run_started", None),
        ("node_joined", None),
        ("task_started", Some("0")),
        ("task_finished", Some("0")),
        ("task_finished", Some("1")),
        ("run_finished", None),
    ];
    assert_eq!(told, expected);
    let numbers: Vec<i64> = events.iter().filter_map(|event| event["seq"].as_i64()).collect();
    let first = numbers[0];
    assert_eq!(numbers, (first..first + 6).collect::<Vec<_>>());
    let joined = &events[1];
    for column in ["host", "core_count", "gpu_count", "memory_total_bytes", "clock_offset_s"] {
        assert!(!joined[column].is_null(), "`{column}` of node_joined");
    }
}

#[test]
fn the_other_tables_follow_from_the_events() {
    let run = farm().tasks(["true", "false", "sh -c 'kill $$'", "nope"]).run().expect(FAILED);
    let mut attempts = run.record.table("attempts").rows;
    attempts.sort_by_key(|attempt| attempt["task_index"].as_i64());
    let mut events = run.record.table("events").rows;
    events.retain(|event| event["kind"] == "task_finished");
    events.sort_by_key(|event| event["task_index"].as_i64());
    assert_eq!(attempts.len(), events.len());
    for (mut attempt, event) in attempts.into_iter().zip(events) {
        attempt.retain(|column, value| event[column] != *value);
        assert!(attempt.is_empty(), "differs from its event: {attempt:?}");
    }
}

#[test]
fn a_task_file_has_the_fields_of_0_2_4_and_more() {
    let run = farm().tasks(["sh -c 'exit 3'"]).run().expect(FAILED);
    let mut task = run.record.task_json("0");
    let row = run.record.task("0");
    for (field, column) in [("launch_time", "started_at"), ("finish_time", "finished_at")] {
        let seconds = task.remove(field).and_then(|time| time.as_f64()).expect("a number");
        let micros = row[column].as_f64().expect("a time");
        assert!((seconds * 1e6 - micros).abs() <= 1.0, "{field}");
    }
    for field in ["pid", "host", "run_id", "cores", "worker_id", "host_id", "wall_s"] {
        assert_eq!(task.remove(field), row.get(field).cloned(), "{field}");
    }
    let usage = task.remove("usage").expect("a usage");
    assert!(usage["user_s"].is_f64() && usage["max_process_rss_bytes"].is_i64(), "{usage}");
    let expected = json!({
        "id": "0", "launch_cmd": "sh -c 'exit 3'", "state": "finished", "return_code": 3,
        "outcome": "failed", "attempt": 1, "exit_code": 3, "signal": null, "gpus": [],
        "cause": null, "cause_evidence": null, "error": null,
    });
    assert_eq!(Value::Object(task), expected);
}

#[test]
fn a_task_file_tells_while_the_task_runs() {
    let mut run = farm().open_stdin().start();
    run.write_line("sh -c 'while [ ! -e end ]; do sleep 0.01; done'");
    let path = run.record.task_directory("0").join("task.json");
    let task: Value = wait_for("task.json of the running task", || {
        let text = std::fs::read_to_string(&path).ok()?;
        let task: Value = serde_json::from_str(&text).expect("one whole document at any moment");
        (task["state"] == "running").then_some(task)
    });
    assert!(task["pid"].is_i64() && task["launch_time"].is_f64(), "{task}");
    assert!(task["return_code"].is_null() && task["finish_time"].is_null(), "{task}");
    assert!(journal_has(&run.record, "task_started"));
    assert_eq!(run.record.run_json()["state"], "running");
    std::fs::write(run.record.task_directory("0").join("end"), "").expect("let it end");
    wait_for("the end in the journal", || journal_has(&run.record, "task_finished").then_some(()));
    run.close_stdin();
    let run = run.wait().expect(SUCCEEDED);
    assert!(!run.record.names().contains(&"journal".to_owned()));
}

/// Whether the journal, as a reader finds it, gets to hold an event of this kind.
fn journal_has(record: &Record, kind: &str) -> bool {
    wait_for("the event", || record.journal().into_iter().find(|event| event["kind"] == kind));
    true
}

#[test]
fn the_run_file_says_who_where_when_and_how() {
    let yaml =
        "job_id: survey\nlabels: {season: spring}\ntasks: [{launch_cmd: 'true'}, {launch_cmd: 'false'}]\n";
    let run = farm().yaml(yaml).run().expect(FAILED);
    let file = run.record.run_json();
    assert_eq!(file["job_id"], "survey");
    assert_eq!(file["labels"], json!({"season": "spring"}));
    assert_eq!(file["list_complete"], true);
    assert_eq!(file["state"], "finished");
    let session = &file["sessions"][0];
    let directory = run.directory().canonicalize().expect("it exists");
    assert_eq!(session["plan"]["submit_dir"], json!(directory));
    assert_eq!(session["plan"]["task_distribution"]["cores_per_task"], 1);
    let arguments = session["arguments"].as_array().expect("a list").clone();
    assert!(arguments.contains(&json!("--config")), "{arguments:?}");
    run.settings().bind(|| {
        insta::assert_snapshot!(keys(&Value::Object(file), 2), @"
    format_version
    version
    run_id
    job_id
    labels
      season
    state
    list_complete
    updated_at
    totals
      tasks
      outcomes
      attempts
      attempt_outcomes
      wall_s
    sessions
      session
      arguments
      plan
      submit_dir
      host
      pid
      task_count
      hosts
      began_at
      ended_at
      how_it_ended
      exit_code
      warnings
      user
      git_commit
      loaded_modules
      conda_env
      conda_prefix
      virtual_env
      slurm
    ")
    });
}

/// The keys of an object and of the objects in it, a line each, indented.
fn keys(value: &Value, levels: usize) -> String {
    let inner = match value {
        Value::Array(items) => return items.first().map_or(String::new(), |item| keys(item, levels)),
        Value::Object(object) if levels > 0 => object,
        _ => return String::new(),
    };
    let entry = |(key, value): (&String, &Value)| {
        let below = keys(value, levels - 1);
        let below: String = below.lines().map(|line| format!("  {line}\n")).collect();
        format!("{key}\n{below}")
    };
    inner.iter().map(entry).collect()
}

#[test]
fn parameters_and_results_become_columns() {
    let write = |text: &str| format!("echo '{text}' > result.json").replace('"', "\\\"");
    let task = |params: &str, result: &str| {
        format!("{{\"params\": {params}, \"launch_cmd\": \"{}\"}}\n", write(result))
    };
    let list = [
        task(r#"{"speed": 1, "mesh": "fine", "size": 7}"#, r#"{"drag": 0.5, "steps": 10}"#),
        task(r#"{"speed": 2.5, "mesh": 3, "size": 8}"#, r#"{"drag": 1, "steps": 20}"#),
        task("{}", "not json"),
    ];
    let run = farm().jsonl(list.concat()).run().expect(SUCCEEDED);
    let warned = "`result.json` files of tasks that hold no JSON object are not in the record";
    assert!(run.stderr.contains(warned), "{}", run.stderr);
    for table in ["tasks", "attempts"] {
        let column = |name: &str| run.record.column(table, name);
        assert_eq!(column("param_speed"), [json!(1.0), json!(2.5), Value::Null], "{table}");
        assert_eq!(column("param_mesh"), [json!("fine"), json!("3"), Value::Null], "{table}");
        assert_eq!(column("param_size"), [json!(7), json!(8), Value::Null], "{table}");
        assert_eq!(column("result_drag"), [json!(0.5), json!(1.0), Value::Null], "{table}");
        assert_eq!(column("result_steps"), [json!(10), json!(20), Value::Null], "{table}");
    }
}

#[test]
fn categories_are_the_same_in_a_long_table() {
    let run = farm().tasks(vec!["true"; 3000]).run().expect(SUCCEEDED);
    let outcomes = run.record.column("tasks", "outcome");
    assert_eq!(outcomes.len(), 3000);
    assert!(outcomes.iter().all(|outcome| outcome == "succeeded"));
    let kinds = run.record.column("events", "kind");
    assert_eq!(kinds.iter().filter(|kind| *kind == "task_finished").count(), 3000);
}

#[test]
fn a_short_journal_that_a_task_removes_is_in_memory_still() {
    for rm in ["rm -f $ICTASKS_RUN_DIR/journal/*", "rm -r $ICTASKS_RUN_DIR/journal"] {
        let removes = &format!("until ls $ICTASKS_RUN_DIR/journal/events-*; do :; done; {rm}");
        let run = farm().tasks(["true", removes, "true"]).workers(1).run().expect(SUCCEEDED);
        assert_eq!(run.record.column("tasks", "outcome"), ["succeeded"; 3]);
        assert_eq!(run.record.column("attempts", "command")[1], removes.as_str());
    }
}

#[test]
fn a_part_of_the_journal_that_a_task_removes_is_missed() {
    let part = "$ICTASKS_RUN_DIR/journal/events-000000.parquet";
    let removes = &format!("until ls {part}; do sleep 0.01; done; rm {part}");
    // Two events a task: more than a part holds.
    let tasks = std::iter::repeat_n("true", 4200).chain([removes.as_str(), "true"]);
    let run = farm().tasks(tasks).run().expect(NO_RECORD);
    assert!(run.stderr.contains("were removed or damaged"), "{}", run.stderr);
    assert!(!run.record.directory().join("tasks.parquet").exists());
}
