//! Limits of tasks and of runs: retries, time, memory, output, files, and conditions that stop a run.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use ictasks_tests::programs::subject;
use ictasks_tests::table::Row;
use ictasks_tests::{FAILED, Finished, SUCCEEDED, farm, process_exists, processes_with, wait_for};
use serde_json::{Value, json};

fn does(words: &str) -> String {
    format!("{} {words}", subject().display())
}

/// A configuration with these keys and tasks.
fn yaml(keys: &str, tasks: &[&str]) -> String {
    let items: String = tasks.iter().map(|task| format!("- launch_cmd: {}\n", json!(task))).collect();
    format!("{keys}\ntasks:\n{items}")
}

fn column(run: &Finished, name: &str) -> Vec<Value> {
    run.record.column("tasks", name)
}

fn events(run: &Finished, kind: &str) -> Vec<Row> {
    let mut rows = run.record.table("events").rows;
    rows.retain(|row| row["kind"] == kind);
    rows
}

#[test]
fn a_task_that_fails_is_tried_again_as_often_as_asked() {
    let counts = "echo x >> %SUBMITDIR%/tries%TASKID%; ";
    let third = format!("{counts} test $(wc -l < %SUBMITDIR%/tries%TASKID%) -ge 3");
    let never = format!("{counts} exit 4");
    let run = farm().yaml(yaml("retries: 2", &[&third, &never])).run().expect(FAILED);
    assert_eq!(column(&run, "outcome"), ["succeeded", "failed"]);
    assert_eq!(column(&run, "attempt_count"), [3, 3]);
    assert_eq!(fs::read_to_string(run.directory().join("tries1")).unwrap().lines().count(), 3);
    assert_eq!(run.record.table("attempts").rows.len(), 6);
    assert_eq!(events(&run, "task_retried").len(), 4);
    assert_eq!(run.record.task("0")["reason"], "retry");
    assert!(run.stderr.contains("4 attempts retried"), "{}", run.stderr);
    assert_eq!(run.record.run_json()["totals"]["outcomes"], json!({"succeeded": 1, "failed": 1}));
}

#[test]
fn a_retry_waits_for_its_delay_while_others_run() {
    let keys = "retries: 1\nretry_delay: 300ms";
    let run = farm().yaml(yaml(keys, &["exit 1", "true", "true"])).workers(1).run().expect(FAILED);
    let rows = run.record.table("attempts").rows;
    let of_first: Vec<&Row> = rows.iter().filter(|row| row["task_id"] == "0").collect();
    let time = |row: &Row, name: &str| row[name].as_i64().unwrap();
    assert!(time(of_first[1], "started_at") - time(of_first[0], "finished_at") >= 300_000);
    assert!(time(of_first[1], "ready_at") - time(of_first[0], "finished_at") >= 300_000);
    let others = rows.iter().filter(|row| row["task_id"] != "0");
    assert!(others.into_iter().all(|row| time(row, "started_at") < time(of_first[1], "started_at")));
}

#[test]
fn a_task_has_its_own_limits() {
    let list = "\
        {\"launch_cmd\": \"exit 1\", \"retries\": 2}\n\
        {\"launch_cmd\": \"sleep 600\", \"timeout\": \"100ms\"}\n\
        {\"launch_cmd\": \"true\", \"expected_outputs\": [\"a\"]}\n";
    let run = farm().jsonl(list).run().expect(FAILED);
    assert_eq!(column(&run, "attempt_count"), [3, 1, 1]);
    assert_eq!(column(&run, "outcome"), ["failed", "timed_out", "failed"]);
    assert_eq!(column(&run, "timeout_s"), [Value::Null, json!(0.1), Value::Null]);
}

#[test]
fn a_task_is_ended_at_its_time_limit_gently_first() {
    let gentle = "trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.01; done";
    let run = farm().yaml(yaml("timeout: 300ms\nkill_grace: 60s", &[gentle])).run().expect(FAILED);
    let task = run.record.task("0");
    assert_eq!((&task["outcome"], &task["exit_code"]), (&json!("timed_out"), &json!(7)));
    assert_eq!(run.record.stdout("0"), "ready\nbye\n");
    assert!(task["wall_s"].as_f64().unwrap() >= 0.3);
    assert_eq!(run.record.task_json("0")["outcome"], "timed_out");
}

#[test]
fn whatever_ignores_its_time_limit_is_killed_with_all_it_started() {
    let tasks =
        [does("stubborn pid"), does("crowd 2000 pid"), format!("{} && sleep 600", does("leave daemon pid"))];
    let tasks: Vec<&str> = tasks.iter().map(String::as_str).collect();
    let run = farm().yaml(yaml("timeout: 5s\nkill_grace: 100ms", &tasks)).run().expect(FAILED);
    assert_eq!(column(&run, "outcome"), ["timed_out", "timed_out", "timed_out"]);
    assert_eq!(column(&run, "signal")[..2], [9, 9]);
    for id in ["0", "1", "2"] {
        let pid: i64 = run.record.read(id, "pid").parse().unwrap();
        assert!(!process_exists(pid), "{id}");
    }
    let run_dir = format!("ICTASKS_RUN_DIR={}", run.record.directory().display());
    assert_eq!(processes_with(&run_dir), [] as [i64; 0]);
}

#[test]
fn an_exit_code_of_0_without_the_expected_outputs_is_a_failure() {
    let keys = "expected_outputs: [out.h5, sub/log]";
    let makes = "mkdir sub && touch out.h5 sub/log";
    let run = farm().yaml(yaml(keys, &[makes, "touch out.h5", "exit 5"])).run().expect(FAILED);
    assert_eq!(column(&run, "outcome"), ["succeeded", "failed", "failed"]);
    assert_eq!(column(&run, "exit_code"), [0, 0, 5]);
    assert_eq!(column(&run, "cause"), [Value::Null, json!("missing_output"), Value::Null]);
    let error = run.record.task("1")["error"].as_str().unwrap().to_owned();
    assert!(error.contains("sub/log"), "{error}");
}

#[test]
fn after_so_many_failures_nothing_new_starts() {
    let tasks = ["exit 1", "true", "exit 2", "true", "true", "true"];
    let run = farm().yaml(yaml("max_failures: 2", &tasks)).workers(1).run().expect(FAILED);
    let expected = ["failed", "succeeded", "failed", "pending", "pending", "pending"];
    assert_eq!(column(&run, "outcome"), expected);
    assert_eq!(column(&run, "cause")[3..], ["max_failures", "max_failures", "max_failures"]);
    assert_eq!(run.record.task("4")["exit_code"], Value::Null);
    assert!(run.stderr.contains("2 tasks failed (`max_failures`)"), "{}", run.stderr);
    let run = farm().yaml(yaml("stop_on_error: true", &tasks)).workers(1).run().expect(FAILED);
    assert_eq!(column(&run, "outcome")[..2], ["failed", "pending"]);
}

#[test]
fn what_runs_when_a_run_stops_early_is_finished() {
    let long = does("await %SUBMITDIR%/stopped");
    let fails = "until test -e ../task_0/task.json; do :; done; exit 1";
    let run = farm().yaml(yaml("max_failures: 1", &[&long, fails, "true", "true"])).start();
    let is_told = || run.record.journal().iter().any(|event| event["kind"] == "stop_requested").then_some(());
    wait_for("the run to stop", is_told);
    fs::write(run.directory().join("stopped"), "").unwrap();
    let run = run.wait().expect(FAILED);
    assert_eq!(column(&run, "outcome"), ["succeeded", "failed", "pending", "pending"]);
}

#[test]
fn a_stopping_condition_in_a_tasks_directory_stops_the_run() {
    let keys = "stopping_conditions:\n- {stopfile: STOP}\n- {stopfile: log, stopmagic: converged}";
    let tasks = ["echo starting > log", "echo it has converged. > log", "true"];
    let run = farm().yaml(yaml(keys, &tasks)).workers(1).run().expect(FAILED);
    assert_eq!(column(&run, "outcome"), ["succeeded", "succeeded", "pending"]);
    assert_eq!(column(&run, "cause")[2], "stop_condition");
    let run = farm().yaml(yaml(keys, &["touch STOP", "true"])).workers(1).run().expect(FAILED);
    assert_eq!(column(&run, "outcome"), ["succeeded", "pending"]);
}

#[test]
fn a_run_in_which_nothing_succeeds_is_stopped_where_that_is_wanted_and_else_warned_of() {
    let tasks = vec!["exit 1"; 60];
    let run = farm().yaml(yaml("stop_if_none_succeed: 5", &tasks)).workers(1).run().expect(FAILED);
    let outcomes = column(&run, "outcome");
    assert_eq!(outcomes[..6], ["failed", "failed", "failed", "failed", "failed", "pending"]);
    let run = farm().tasks(&tasks).run().expect(FAILED);
    assert!(column(&run, "outcome").iter().all(|outcome| outcome == "failed"));
    assert!(run.stderr.contains("none of the first 50"), "{}", run.stderr);
}

#[test]
fn memory_limits_the_workers() {
    let text = fs::read_to_string("/proc/meminfo").unwrap();
    let total = text.lines().next().unwrap().split_whitespace().nth(1).unwrap();
    let mebibytes = total.parse::<u64>().unwrap() / 1024;
    let keys = format!("memory_per_task: {}M", mebibytes * 2 / 3);
    let run = farm().yaml(yaml(&keys, &["true"])).args(["--dry-run"]).workers(None).run();
    if run.code == Some(SUCCEEDED) {
        assert!(run.stdout.contains("worker 0") && !run.stdout.contains("worker 1"), "{}", run.stdout);
    } else {
        // A cgroup allows less than the machine has.
        assert!(run.stderr.contains("memory_per_task is"), "{}", run.stderr);
    }
}

#[test]
fn a_task_above_its_memory_is_ended_where_that_is_wanted() {
    let keys = "memory_per_task: 100M\nenforce_memory: true";
    let hog = does("linger 300 0 pid");
    let by_child = format!("{hog} & wait");
    let run = farm().yaml(yaml(keys, &["true", &hog, &by_child])).run().expect(FAILED);
    assert_eq!(column(&run, "outcome"), ["succeeded", "out_of_memory", "out_of_memory"]);
    assert_eq!(column(&run, "cause")[1..], ["memory_limit", "memory_limit"]);
    assert_eq!(column(&run, "memory_requested_bytes")[0], 100 << 20);
    let run_dir = format!("ICTASKS_RUN_DIR={}", run.record.directory().display());
    assert_eq!(processes_with(&run_dir), [] as [i64; 0]);
}

#[test]
fn of_too_much_output_the_beginning_and_the_end_are_kept() {
    let task = format!("echo begin >&2; {}; echo; echo end >&2; exit 1", does("shout stderr 50"));
    let run = farm().yaml(yaml("max_output: 1M", &[&task])).run().expect(FAILED);
    let text = run.record.read("0", "task_stderr.txt");
    assert!(text.starts_with("begin\nxxx") && text.ends_with("xend\n"), "{}", &text[text.len() - 100..]);
    assert!(text.len() < 2 << 20, "{}", text.len());
    let task = run.record.task("0");
    let cut = task["stderr_cut_bytes"].as_i64().unwrap();
    assert!(text.contains(&cut.to_string()), "the file says how much is missing");
    let kept = text.len() - text.lines().find(|line| line.contains(&cut.to_string())).map_or(0, |_| 0);
    assert!(cut + i64::try_from(kept).unwrap() >= 50 << 20);
    assert_eq!((&task["stdout_cut_bytes"], &task["stdout_bytes"]), (&Value::Null, &json!(1)));
    assert!(task["stderr_tail"].as_str().unwrap().ends_with("xend\n"));
}

#[test]
fn a_long_line_of_errors_is_no_trouble() {
    let run = farm().tasks([format!("{}; exit 1", does("shout stderr 50"))]).run().expect(FAILED);
    let task = run.record.task("0");
    assert_eq!((&task["stderr_bytes"], &task["stderr_cut_bytes"]), (&json!(50 << 20), &Value::Null));
    assert_eq!(task["stderr_tail"].as_str().unwrap().len(), 2048);
}

#[test]
fn files_of_tasks_that_succeeded_go_where_only_failures_are_wanted() {
    let tasks = ["echo a", "echo b; touch own", "echo c; exit 1"];
    let run = farm().yaml(yaml("task_files: failed", &tasks)).run().expect(FAILED);
    assert!(!run.record.task_directory("0").exists());
    assert_eq!(run.record.task_names("1"), ["own"]);
    assert_eq!(run.record.task_names("2"), ["task.json", "task_stderr.txt", "task_stdout.txt"]);
    assert_eq!(column(&run, "stdout_bytes"), [2, 2, 2]);
    let run = farm().yaml(yaml("task_files: none", &tasks)).run().expect(FAILED);
    assert!(!run.record.task_directory("2").exists());
    assert_eq!(run.record.task("2")["stdout_tail"], "c\n");
}

#[test]
fn tasks_are_what_the_kernel_takes_first_when_memory_runs_out() {
    let run = farm().tasks(["cat /proc/self/oom_score_adj", "true"]).run().expect(SUCCEEDED);
    let own: i32 = fs::read_to_string("/proc/self/oom_score_adj").unwrap().trim().parse().unwrap();
    let of_task: i32 = run.record.stdout("0").trim().parse().unwrap();
    assert!(of_task > own || own == 1000, "{of_task}, {own}");
}

#[test]
fn tasks_are_bound_to_their_processors_where_that_is_wanted() {
    let shows = "grep Cpus_allowed_list /proc/self/status";
    let free = farm().yaml(yaml("pin_cores: false", &[shows])).workers(1).run().expect(SUCCEEDED);
    let bound = farm().yaml(yaml("pin_cores: true", &[shows])).workers(1).run().expect(SUCCEEDED);
    let list_of = |status: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        line.expect("the kernel tells").trim().to_owned()
    };
    let list = |run: &Finished| list_of(&run.record.stdout("0"));
    let held = bound.record.task("0")["cores"].clone();
    if let Some(held) = held.as_array() {
        let held: Vec<String> = held.iter().map(ToString::to_string).collect();
        assert_eq!(list(&bound), held.join(","));
    }
    assert_eq!(list(&free), list_of(&fs::read_to_string("/proc/self/status").unwrap()));
}

#[test]
fn a_task_that_spoils_its_directory_fails_alone() {
    let spoils = "rm -r $ICTASKS_TASK_DIR; ln -s /no/such/place $ICTASKS_TASK_DIR; exit 3";
    let tasks = [spoils, "chmod 0 $ICTASKS_TASK_DIR; exit 4", "true"];
    let run = farm().yaml(yaml("retries: 1", &tasks)).without_root_rights().workers(1).run().expect(FAILED);
    assert_eq!(column(&run, "outcome"), ["spawn_failed", "spawn_failed", "succeeded"]);
    assert_eq!(column(&run, "attempt_count"), [2, 2, 1]);
    for id in ["0", "1"] {
        let task = run.record.task(id);
        assert!(task["error"].as_str().unwrap().contains(&format!("task_{id}")), "{task:?}");
        assert_eq!(
            (&task["exit_code"], &task["wall_s"], &task["cause"]),
            (&Value::Null, &Value::Null, &Value::Null)
        );
    }
    fs::set_permissions(run.record.task_directory("1"), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_task_that_ran_into_its_time_limit_is_told_as_such() {
    let run = farm().yaml(yaml("timeout: 100ms", &["echo busy; sleep 600"])).run().expect(FAILED);
    assert!(run.stderr.contains("task 0: ended at its time limit: busy"), "{}", run.stderr);
}
