//! `ictasks export`. Programs that read the formats are in `tests/python/test_exports.py`.

use std::process::{Command, Stdio};

use ictasks_tests::{BAD_INPUT, FAILED, SUCCEEDED, farm, programs, wait_for};
use serde_json::Value;

const FORMATS: [&str; 4] = ["perfetto", "junit", "joblog", "csv"];

#[test]
fn each_format_names_each_task() {
    let run = farm().jsonl(TASKS).run().expect(FAILED);
    let mut run = run;
    for format in FORMATS {
        run = run.again().command(["export", "run", "--format", format]).run().expect(SUCCEEDED);
        assert_eq!(run.stderr, "", "{format}");
        for command in ["echo one", "exit 3"] {
            // JUnit XML shows commands of what failed.
            let is_shown = format != "junit" || command == "exit 3";
            assert_eq!(run.stdout.contains(command), is_shown, "{format}: {}", run.stdout);
        }
    }
}

const TASKS: &str = concat!(
    r#"{"id": "good", "launch_cmd": "echo one"}"#,
    "\n",
    r#"{"id": "bad", "launch_cmd": "sh -c 'echo why >&2; exit 3'"}"#,
    "\n"
);

#[test]
fn a_file_is_written_and_the_record_is_not() {
    let run = farm().tasks(["true"]).run().expect(SUCCEEDED);
    let run =
        run.again().command(["export", "run", "--format", "csv", "-o", "tasks.csv"]).run().expect(SUCCEEDED);
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("", ""));
    let written = std::fs::read_to_string(run.directory().join("tasks.csv")).expect("a file");
    assert_eq!(written.lines().count(), 2);
    let arguments = ["export", "run", "--format", "csv", "-o", "run/tasks.parquet"];
    let run = run.again().command(arguments).run().expect(BAD_INPUT);
    assert!(run.stderr.contains("belongs to the record; give another file"), "{}", run.stderr);
    assert_eq!(run.record.table("tasks").rows.len(), 1);
}

#[test]
fn without_a_run_there_is_no_file() {
    let run =
        farm().command(["export", "nowhere", "--format", "csv", "-o", "tasks.csv"]).run().expect(BAD_INPUT);
    assert!(run.stderr.contains("`nowhere` is no run directory"), "{}", run.stderr);
    assert!(!run.directory().join("tasks.csv").exists());
}

#[test]
fn a_trace_has_each_session_and_each_attempt() {
    let list = [r#"{"launch_cmd": "test $ICTASKS_ATTEMPT = 3", "retries": 1}"#, r#"{"launch_cmd": "true"}"#]
        .join("\n");
    let run = farm().jsonl(&list).run().expect(FAILED);
    let run = run.again().args(["--resume"]).jsonl(&list).run().expect(SUCCEEDED);
    let run = run.again().command(["export", "run", "--format", "perfetto"]).run().expect(SUCCEEDED);
    let trace: Value = serde_json::from_str(&run.stdout).expect("one JSON document");
    let events = trace["traceEvents"].as_array().expect("a list of events");
    let names = |session: bool| {
        let slices =
            events.iter().filter(|event| event["ph"] == "X" && (event["cat"] == "session") == session);
        let mut names: Vec<&str> = slices.filter_map(|event| event["name"].as_str()).collect();
        names.sort_unstable();
        names
    };
    assert_eq!(names(true), ["session 0", "session 1"]);
    assert_eq!(names(false), ["0", "0 (failed)", "0 (failed)", "1"]);
}

#[test]
fn a_run_that_goes_on_can_be_exported() {
    let mut first = farm().open_stdin().start();
    first.write_line("true");
    wait_for("the first task", || {
        first.record.journal().iter().any(|row| row["kind"] == "task_finished").then_some(())
    });
    let run_dir = first.record.directory().to_str().expect("a path in UTF-8").to_owned();
    let run = farm().command(["export", &run_dir, "--format", "joblog"]).run().expect(SUCCEEDED);
    assert_eq!(run.stdout.lines().count(), 2, "{}", run.stdout);
    first.close_stdin();
    first.wait().expect(SUCCEEDED);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let commands: Vec<String> = (0..2000).map(|number| format!("echo {number}")).collect();
    let run = farm().tasks(commands).run().expect(SUCCEEDED);
    for format in FORMATS {
        let mut program = Command::new(programs::ictasks());
        program.args(["export", "run", "--format", format]).current_dir(run.directory());
        let mut child = program.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("start ictasks");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("wait for ictasks");
        assert_eq!(
            (output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()),
            (Some(0), ""),
            "{format}"
        );
    }
}

#[test]
fn a_full_disk_is_an_error() {
    let run = farm().tasks(["true"]).run().expect(SUCCEEDED);
    let run = run.again().command(["export", "run", "--format", "csv", "-o", "/dev/full"]).run();
    assert_eq!(run.code, Some(ictasks_tests::NO_RECORD));
    assert!(run.stderr.contains("failed to write the output: No space left on device"), "{}", run.stderr);
}
