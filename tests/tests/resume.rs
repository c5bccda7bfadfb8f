//! Going on with a run: what runs again and why, whose run it is, what is kept of earlier attempts.

use std::fs;

use ictasks_tests::programs::subject;
use ictasks_tests::table::Row;
use ictasks_tests::{
    BAD_INPUT, FAILED, Finished, INTERRUPTED, SUCCEEDED, children_named, farm, process_exists,
    processes_with, send_signal, wait_for,
};
use serde_json::{Value, json};

fn does(words: &str) -> String {
    format!("{} {words}", subject().display())
}

/// Attempt, outcome and reason of each attempt at a task, in order.
fn attempts(run: &Finished, id: &str) -> Vec<(i64, String, Value)> {
    let mut rows = run.record.table("attempts").rows;
    rows.retain(|row| row["task_id"] == id);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let line = |row: &Row| (row["attempt"].as_i64().unwrap(), text(&row["outcome"]), row["reason"].clone());
    rows.iter().map(line).collect()
}

fn first(outcome: &str) -> (i64, String, Value) {
    (1, outcome.to_owned(), Value::Null)
}

fn events(run: &Finished, kind: &str) -> Vec<Row> {
    let mut rows = run.record.table("events").rows;
    rows.retain(|row| row["kind"] == kind);
    rows
}

#[test]
fn what_succeeded_is_left_out_and_all_else_runs_again() {
    let tasks = ["true", "test -e %SUBMITDIR%/now", "exit 3"];
    let run = farm().tasks(tasks).run().expect(FAILED);
    fs::write(run.directory().join("now"), "").unwrap();
    let run = run.again().tasks(tasks).args(["--resume"]).run().expect(FAILED);
    assert_eq!(attempts(&run, "0"), [first("succeeded")]);
    let second = |outcome: &str| (2, outcome.to_owned(), json!("failed_before"));
    assert_eq!(attempts(&run, "1"), [first("failed"), second("succeeded")]);
    assert_eq!(attempts(&run, "2"), [first("failed"), second("failed")]);
    assert_eq!(run.record.column("tasks", "outcome"), ["succeeded", "succeeded", "failed"]);
    assert_eq!(run.record.column("tasks", "attempt_count"), [1, 2, 2]);
    assert_eq!(run.record.column("tasks", "session"), [0, 1, 1]);
    let skipped = events(&run, "task_skipped");
    assert_eq!(skipped.len(), 1);
    assert_eq!((&skipped[0]["task_id"], &skipped[0]["reason"]), (&json!("0"), &json!("succeeded_before")));
    assert_eq!(events(&run, "run_started").len(), 1);
    let message = "to run: 2 failed before; left out: 1 succeeded before";
    assert_eq!(events(&run, "run_resumed")[0]["message"], message);
    assert!(run.stderr.contains(message), "{}", run.stderr);
    let seqs: Vec<i64> = run.record.column("events", "seq").iter().filter_map(Value::as_i64).collect();
    assert_eq!(seqs, (0..i64::try_from(seqs.len()).unwrap()).collect::<Vec<_>>());
    let run_json = run.record.run_json();
    let sessions = run_json["sessions"].as_array().unwrap();
    assert_eq!(sessions.iter().map(|session| &session["session"]).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(run_json["state"], "finished");
    assert_eq!(run_json["totals"]["attempts"], 5);
    assert_eq!(run_json["totals"]["outcomes"], json!({"succeeded": 2, "failed": 1}));
}

#[test]
fn where_there_is_no_record_a_new_run_begins() {
    let run = farm().tasks(["true"]).args(["--resume"]).run().expect(SUCCEEDED);
    assert_eq!(attempts(&run, "0"), [first("succeeded")]);
    assert_eq!(events(&run, "run_resumed").len(), 0);
    let run = farm().tasks(["true"]).args(["--resume", "--dry-run"]).run().expect(SUCCEEDED);
    assert!(!run.record.directory().exists());
}

#[test]
fn a_run_that_is_done_has_nothing_left_to_do() {
    let run = farm().tasks(["true", "true"]).run().expect(SUCCEEDED);
    let run = run.again().tasks(["true", "true"]).args(["--resume"]).run().expect(SUCCEEDED);
    assert!(run.stderr.contains("nothing is left to run; left out: 2 succeeded before"), "{}", run.stderr);
    assert_eq!(run.record.column("tasks", "outcome"), ["succeeded", "succeeded"]);
    assert_eq!(run.record.table("attempts").rows.len(), 2);
}

#[test]
fn a_line_inserted_at_the_top_reruns_nothing_and_gets_a_new_id() {
    let run = farm().tasks(["echo a %TASKID%", "echo b %TASKID%"]).run().expect(SUCCEEDED);
    let list = ["echo new %TASKID%", "echo a %TASKID%", "echo b %TASKID%"];
    let run = run.again().tasks(list).args(["--resume"]).run().expect(SUCCEEDED);
    assert_eq!(attempts(&run, "0"), [first("succeeded")]);
    assert_eq!(attempts(&run, "1"), [first("succeeded")]);
    assert_eq!(attempts(&run, "2"), [(1, "succeeded".to_owned(), json!("new_in_list"))]);
    assert_eq!(run.record.stdout("2"), "new 2\n");
    assert_eq!(run.record.stdout("0"), "a 0\n");
}

#[test]
fn given_ids_whose_command_changed_need_a_word_of_the_user() {
    let list = |command: &str| format!("{{\"id\": \"x\", \"launch_cmd\": \"{command}\"}}\n");
    let run = farm().jsonl(list("echo old")).run().expect(SUCCEEDED);
    let run = run.again().jsonl(list("echo new")).args(["--resume"]).run().expect(BAD_INPUT);
    run.settings().bind(|| {
        insta::assert_snapshot!(run.stderr, @r"
        error: 1 task that succeeded has another command now:
          task x: now `echo new`
          to run them again:  ictasks taskfarm --tasklist tasks.jsonl --run-dir run --workers 2 --resume --rerun-changed
          to keep what they did: give the commands of the record, or other ids
        ");
    });
    assert_eq!(attempts(&run, "x"), [first("succeeded")]);
    let run =
        run.again().jsonl(list("echo new")).args(["--resume", "--rerun-changed"]).run().expect(SUCCEEDED);
    assert_eq!(attempts(&run, "x")[1], (2, "succeeded".to_owned(), json!("command_changed")));
    assert_eq!(run.record.stdout("x"), "new\n");
}

#[test]
fn only_what_never_finished_or_only_what_is_listed() {
    let tasks = ["true", "exit 3", "exit 4"];
    let run = farm().tasks(tasks).run().expect(FAILED);
    let run = run.again().tasks(tasks).args(["--resume", "--skip-failed"]).run().expect(FAILED);
    assert_eq!(run.record.column("tasks", "attempt_count"), [1, 1, 1]);
    let ids = "# the ones to do again\n0\n2\n";
    let run = run.again().file("ids.txt", ids).tasks(tasks);
    let run = run.args(["--resume", "--only", "ids.txt"]).run().expect(FAILED);
    assert_eq!(run.record.column("tasks", "attempt_count"), [2, 1, 2]);
    assert_eq!(attempts(&run, "0")[1], (2, "succeeded".to_owned(), json!("listed")));
    let run = run.again().file("ids.txt", "7\n").tasks(tasks);
    let run = run.args(["--resume", "--only", "ids.txt"]).run().expect(BAD_INPUT);
    assert!(run.stderr.contains("there is no task with the id `7`"), "{}", run.stderr);
}

#[test]
fn a_task_that_waited_for_its_retry_goes_on_as_one_that_was_interrupted() {
    let yaml =
        "retries: 1\nretry_delay: 1h\ntasks:\n- launch_cmd: exit 3\n- launch_cmd: exit 4\n  retries: 0\n";
    let run = farm().yaml(yaml).start();
    let are_there = |kind: &str, count: usize| {
        let is_kind = |event: &&Row| event["kind"] == kind;
        (run.record.journal().iter().filter(is_kind).count() == count).then_some(())
    };
    wait_for("the retry to be announced", || are_there("task_retried", 1));
    wait_for("both ends", || are_there("task_finished", 2));
    run.signal(libc::SIGINT);
    let run = run.wait().expect(INTERRUPTED);
    assert_eq!(run.record.column("tasks", "outcome"), ["failed", "failed"]);
    let yaml = yaml.replace("retries: 1", "retries: 0");
    let run = run.again().yaml(yaml).args(["--resume", "--skip-failed"]).run().expect(FAILED);
    assert_eq!(attempts(&run, "0")[1], (2, "failed".to_owned(), json!("interrupted_before")));
    assert_eq!(attempts(&run, "1").len(), 1);
}

#[test]
fn what_fails_in_a_run_that_drains_has_its_retries_left() {
    let until_go = "while ! test -e %SUBMITDIR%/go; do sleep 0.01; done; exit 3";
    let run = farm().yaml(format!("retries: 1\ntasks:\n- launch_cmd: '{until_go}'\n")).start();
    let has_begun = || run.record.journal().iter().any(|event| event["kind"] == "task_started").then_some(());
    wait_for("the task to run", has_begun);
    run.signal(libc::SIGUSR1);
    wait_for("the drain to begin", || run.stderr().contains("SIGUSR1").then_some(()));
    fs::write(run.directory().join("go"), "").unwrap();
    let run = run.wait().expect(FAILED);
    assert_eq!(attempts(&run, "0").len(), 1, "nothing starts any more");
    let run = run.again().args(["--resume", "--skip-failed"]).run().expect(FAILED);
    assert_eq!(attempts(&run, "0")[1], (2, "failed".to_owned(), json!("interrupted_before")));
}

#[test]
fn without_input_that_of_the_last_start_is_taken() {
    let tasks = ["test -e %SUBMITDIR%/now"];
    let run = farm().tasks(tasks).run().expect(FAILED);
    fs::write(run.directory().join("now"), "").unwrap();
    let run = run.again().command(["taskfarm", "--run-dir", "run", "--resume"]).run().expect(SUCCEEDED);
    let command = run.record.task("0")["command"].clone();
    assert_eq!(command, format!("test -e {}/now", run.directory().canonicalize().unwrap().display()));
    let run = run.again().file("ids.txt", "0\n");
    let words = ["taskfarm", "--run-dir", "run", "--resume", "--only", "ids.txt"];
    let run = run.command(words).run().expect(SUCCEEDED);
    assert_eq!(run.record.column("tasks", "attempt_count"), [3]);
}

#[test]
fn input_that_was_streamed_cannot_be_taken_again() {
    let run = farm().stdin("false\n").run().expect(FAILED);
    let run = run.again().command(["taskfarm", "--run-dir", "run", "--resume"]).run().expect(BAD_INPUT);
    assert!(run.stderr.contains("the last start read `-`, which cannot be read again"), "{}", run.stderr);
    let run = run.again().stdin("false\n").args(["--resume"]).run().expect(FAILED);
    assert_eq!(run.record.column("tasks", "attempt_count"), [2]);
}

#[test]
fn a_job_that_slurm_starts_again_goes_on_by_itself() {
    let tasks = ["test -e %SUBMITDIR%/now"];
    let run = farm().tasks(tasks).env("SLURM_JOB_ID", "77").run().expect(FAILED);
    fs::write(run.directory().join("now"), "").unwrap();
    let other = run.again().tasks(tasks).env("SLURM_JOB_ID", "78").env("SLURM_RESTART_COUNT", "1");
    let run = other.run().expect(BAD_INPUT);
    let again = run.again().tasks(tasks).env("SLURM_JOB_ID", "77").env("SLURM_RESTART_COUNT", "1");
    let run = again.run().expect(SUCCEEDED);
    assert!(run.stderr.contains("Slurm has started this job again"), "{}", run.stderr);
}

#[test]
fn what_an_earlier_attempt_left_is_not_taken_for_the_later_ones() {
    let task = "if test -e first; then kill -9 $$; fi; touch first; echo '{\"x\": 1}' > result.json; echo one; exit 1";
    let run = farm().tasks([task]).run().expect(FAILED);
    assert_eq!(run.record.task("0")["result_x"], 1);
    let run = run.again().tasks([task]).args(["--resume"]).run().expect(FAILED);
    let last = run.record.task("0");
    assert_eq!((&last["outcome"], &last["result_x"]), (&json!("signaled"), &Value::Null));
    assert_eq!(run.record.stdout("0"), "");
    assert_eq!(run.record.read("0", "task_stdout.txt.attempt-1"), "one\n");
    assert_eq!(run.record.read("0", "result.json.attempt-1"), "{\"x\": 1}\n");
    let names = run.record.task_names("0");
    let expected = [
        "first",
        "result.json.attempt-1",
        "task.json",
        "task.json.attempt-1",
        "task_stderr.txt",
        "task_stderr.txt.attempt-1",
        "task_stdout.txt",
        "task_stdout.txt.attempt-1",
    ];
    assert_eq!(names, expected);
}

#[test]
fn a_second_start_of_a_live_run_is_refused() {
    let task = does("await %SUBMITDIR%/go");
    let first = farm().tasks([&task]).start();
    wait_for("the task to run", || (!first.record.journal().is_empty()).then_some(()));
    let run_dir = first.record.directory().to_string_lossy().into_owned();
    for option in ["--resume", "--overwrite"] {
        let words = ["taskfarm", "--tasklist", "tasks.txt", "--run-dir", &run_dir, option];
        let second = farm().tasks([&task]).command(words).run().expect(BAD_INPUT);
        let holder = format!("process {} on ", first.pid());
        assert!(second.stderr.contains(&holder), "{}", second.stderr);
    }
    fs::write(first.directory().join("go"), "").unwrap();
    let run = first.wait().expect(SUCCEEDED);
    assert_eq!(run.record.table("attempts").rows.len(), 1);
}

#[test]
fn a_run_that_lives_on_another_host_is_left_alone() {
    let run = farm().tasks(["exit 1"]).run().expect(FAILED);
    let path = run.record.directory().join("run.json");
    let pretend = |age_s: i64| {
        let mut document: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let text = std::process::Command::new("date")
            .args(["-u", "-d", &format!("{age_s} seconds ago"), "+%Y-%m-%dT%H:%M:%S.000000Z"])
            .output()
            .unwrap();
        document["updated_at"] = json!(String::from_utf8(text.stdout).unwrap().trim());
        document["state"] = json!("running");
        document["sessions"][0]["host"] = json!("some-other-host");
        fs::write(&path, document.to_string()).unwrap();
    };
    pretend(5);
    let run = run.again().tasks(["exit 1"]).args(["--resume"]).run().expect(BAD_INPUT);
    assert!(run.stderr.contains("some-other-host"), "{}", run.stderr);
    pretend(100);
    let run = run.again().tasks(["exit 1"]).args(["--resume"]).run().expect(FAILED);
    assert_eq!(run.record.column("tasks", "attempt_count"), [2]);
}

#[test]
fn a_resumed_run_waits_for_the_tasks_of_a_coordinator_that_was_killed() {
    let task = format!("{} && true", does("stubborn %SUBMITDIR%/pid"));
    let first = farm().tasks([&task]).start();
    let pid: i64 =
        wait_for("the task to run", || fs::read_to_string(first.directory().join("pid")).ok()?.parse().ok());
    let environment = format!("ICTASKS_RUN_DIR={}", first.record.directory().display());
    first.signal(libc::SIGKILL);
    let killed = first.wait();
    let second = killed.again().tasks(["true"]).args(["--resume"]).run().expect(SUCCEEDED);
    assert!(!process_exists(pid));
    assert!(processes_with(&environment).is_empty());
    let rows = second.record.table("attempts").rows;
    assert_eq!(rows.len(), 2, "{rows:?}");
    assert_eq!((&rows[0]["outcome"], &rows[0]["cause"]), (&json!("cancelled"), &json!("coordinator_lost")));
    assert_eq!((&rows[1]["command"], &rows[1]["reason"]), (&json!("true"), &json!("new_in_list")));
}

#[test]
fn an_agent_that_dies_is_replaced_and_its_tasks_run_again() {
    let task = format!("echo run >> %SUBMITDIR%/runs; {}", does("await %SUBMITDIR%/go"));
    let run = farm().tasks([&task]).start();
    let runs = || fs::read_to_string(run.directory().join("runs")).unwrap_or_default().lines().count();
    wait_for("the task to run", || (runs() == 1).then_some(()));
    let agents = children_named(run.pid().into(), "ictasks-agent");
    assert_eq!(agents.len(), 1);
    send_signal(agents[0], libc::SIGKILL);
    wait_for("the task to run again", || (runs() == 2).then_some(()));
    fs::write(run.directory().join("go"), "").unwrap();
    let run = run.wait().expect(SUCCEEDED);
    assert_eq!(run.record.column("tasks", "attempt_count"), [2]);
    assert_eq!(events(&run, "node_lost").len(), 1);
    assert_eq!(events(&run, "node_joined").len(), 2);
    let lost = &run.record.table("attempts").rows[0];
    // The coordinator lived: it is not the one that was lost.
    assert_eq!((&lost["outcome"], &lost["cause"]), (&json!("cancelled"), &json!("agent_lost")));
    assert_eq!(lost["cause_evidence"], "certain");
}
