//! `ictasks output`: what a task printed.

use std::io::Read;
use std::process::{Command, Stdio};

use ictasks_tests::{BAD_INPUT, FAILED, Finished, SUCCEEDED, farm, programs, wait_for};

fn output(run: Finished, arguments: &[&str]) -> Finished {
    run.again().command([&["output", "run"], arguments].concat()).run()
}

/// What a shell prints of what the program prints.
fn bytes(run: &Finished, arguments: &[&str]) -> Vec<u8> {
    let mut program = Command::new(programs::ictasks());
    program.args([&["output", "run"], arguments].concat()).current_dir(run.directory());
    program.output().expect("start ictasks").stdout
}

#[test]
fn both_streams_of_each_attempt() {
    let list = r#"{"id": "a", "launch_cmd": "sh -c 'echo out $ICTASKS_ATTEMPT; echo err $ICTASKS_ATTEMPT >&2; test $ICTASKS_ATTEMPT = 3'", "retries": 2}"#;
    let mut run = farm().jsonl(list).run().expect(SUCCEEDED);
    let cases: [(&[&str], &str); 5] = [
        (&["a"], "out 3\n"),
        (&["a", "--stderr"], "err 3\n"),
        (&["a", "--attempt", "1"], "out 1\n"),
        (&["a", "--attempt", "2", "--stderr"], "err 2\n"),
        (&["a", "--attempt", "3"], "out 3\n"),
    ];
    for (arguments, expected) in cases {
        run = output(run, arguments).expect(SUCCEEDED);
        assert_eq!((run.stdout.as_str(), run.stderr.as_str()), (expected, ""), "{arguments:?}");
    }
    let run = output(run, &["a", "--attempt", "4"]).expect(BAD_INPUT);
    assert!(run.stderr.contains("the record knows no attempt 4 of this task"), "{}", run.stderr);
}

#[test]
fn files_have_the_names_of_the_plan() {
    let yaml =
        "stdout_filename: out\nstderr_filename: err\ntasks: [{launch_cmd: \"sh -c 'echo O; echo E >&2'\"}]\n";
    let run = farm().yaml(yaml).run().expect(SUCCEEDED);
    let run = output(run, &["0"]).expect(SUCCEEDED);
    assert_eq!(run.stdout, "O\n");
    let run = output(run, &["0", "--stderr"]).expect(SUCCEEDED);
    assert_eq!(run.stdout, "E\n");
}

#[test]
fn any_bytes_come_as_they_are_but_not_to_a_terminal() {
    let run = farm().tasks([r"printf '\033[31m\377\000\r\033]0;t\007end\n'"]).run().expect(SUCCEEDED);
    assert_eq!(bytes(&run, &["0"]), b"\x1b[31m\xff\x00\r\x1b]0;t\x07end\n");
    let line = format!("{} output run 0", programs::ictasks().display());
    let mut script = Command::new("script");
    script.args(["-qec", &line, "/dev/null"]).current_dir(run.directory()).stdin(Stdio::null());
    let shown = script.output().expect("start script, of util-linux").stdout;
    assert_eq!(String::from_utf8_lossy(&shown), "\u{fffd}\\u{0}end\r\n");
}

#[test]
fn without_its_file_the_record_has_the_end() {
    let yaml =
        "task_files: none\ntasks: [{launch_cmd: \"sh -c 'echo why >&2; exit 3'\"}, {launch_cmd: echo}]\n";
    let run = farm().yaml(yaml).run().expect(FAILED);
    let run = output(run, &["0", "--stderr"]).expect(SUCCEEDED);
    assert_eq!(run.stdout, "why\n");
    assert!(run.stderr.contains("the file is gone (`task_files: none`)"), "{}", run.stderr);
    let run = output(run, &["1"]).expect(BAD_INPUT);
    assert!(run.stderr.contains("the record keeps no output of what succeeded"), "{}", run.stderr);
}

#[test]
fn ids_that_no_task_has() {
    let list =
        ["mesh-10", "mesh-11", "other"].map(|id| format!("{{\"id\": \"{id}\", \"launch_cmd\": \"true\"}}\n"));
    let run = farm().jsonl(list.concat()).run().expect(SUCCEEDED);
    let run = output(run, &["mesh-1"]).expect(BAD_INPUT);
    assert!(run.stderr.contains("failed to find task `mesh-1` in `run`"), "{}", run.stderr);
    assert!(run.stderr.contains("for instance `mesh-10`, `mesh-11`\n"), "{}", run.stderr);
    let run = output(run, &["../../etc/passwd"]).expect(BAD_INPUT);
    assert!(run.stderr.contains("failed to find task `../../etc/passwd`"), "{}", run.stderr);
}

#[test]
fn a_task_that_never_ran() {
    let run =
        farm().yaml("max_failures: 1\ntasks: [{launch_cmd: false}, {launch_cmd: echo}]\n").workers(1).run();
    let run = output(run.expect(FAILED), &["1"]).expect(BAD_INPUT);
    assert!(run.stderr.contains("the task never ran, so it printed nothing"), "{}", run.stderr);
}

#[test]
fn a_task_that_runs() {
    let mut first = farm().open_stdin().start();
    first.write_line("sh -c 'echo so far; read line' < ../../fifo");
    let fifo = first.directory().join("fifo");
    let made = Command::new("mkfifo").arg(&fifo).status();
    assert!(made.is_ok_and(|status| status.success()));
    let mut writer = wait_for("the task", || std::fs::OpenOptions::new().write(true).open(&fifo).ok());
    let run_dir = first.record.directory().to_str().expect("a path in UTF-8").to_owned();
    let text = wait_for("its output", || {
        let run = farm().command(["output", &run_dir, "0"]).run();
        (!run.stdout.is_empty()).then_some(run.stdout)
    });
    assert_eq!(text, "so far\n");
    std::io::Write::write_all(&mut writer, b"go on\n").expect("write to the task");
    first.close_stdin();
    first.wait().expect(SUCCEEDED);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let run = farm().tasks(["yes | head -c 10000000"]).run().expect(SUCCEEDED);
    let mut program = Command::new(programs::ictasks());
    program
        .args(["output", "run", "0"])
        .current_dir(run.directory())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = program.spawn().expect("start ictasks");
    let mut stdout = child.stdout.take().expect("its output");
    stdout.read_exact(&mut [0; 2]).expect("the first line");
    drop(stdout);
    let ended = child.wait_with_output().expect("wait for ictasks");
    assert_eq!((ended.status.code(), String::from_utf8_lossy(&ended.stderr).as_ref()), (Some(0), ""));
}
