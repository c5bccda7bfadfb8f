//! What the program says when its input is wrong: nothing runs, the exit code is 2, and the
//! message names the place, what is wrong and what would be right.

use ictasks_tests::{BAD_INPUT, Farm, SUCCEEDED, farm, wait_for};

/// Runs a farm that must refuse its input before it makes anything; returns what it says.
fn refused(farm: Farm) -> String {
    let run = farm.run().expect(BAD_INPUT);
    assert_eq!(run.stdout, "");
    assert_eq!(run.record.names(), Vec::<String>::new(), "nothing was made");
    run.said()
}

fn hello(rest: &str) -> Farm {
    farm().yaml(format!("job_id: my_job\n{rest}"))
}

#[test]
fn malformed_yaml() {
    let said = refused(hello("tasks:\n- launch_cmd: \"echo hello\n"));
    insta::assert_snapshot!(said, @"
    error: farm.yaml:4:1: found unexpected end of stream, while scanning a quoted scalar at line 3 column 15
    ");
}

#[test]
fn a_tab_in_yaml() {
    let said = refused(hello("task_distribution:\n\tcores_per_node: 1\ntasks: [{launch_cmd: echo}]\n"));
    insta::assert_snapshot!(said, @"
    error: farm.yaml:3:1: a tab in the indentation; YAML wants spaces there
    ");
}

#[test]
fn an_unknown_key() {
    let said = refused(hello("task_distribution:\n    core_per_node: 1\ntasks: [{launch_cmd: echo}]\n"));
    insta::assert_snapshot!(said, @"
    error: farm.yaml:3:5: `task_distribution`: unknown key `core_per_node`; did you mean `cores_per_node`? (keys of your own begin with `x-`)
    ");
}

#[test]
fn an_unknown_key_of_a_task() {
    let said = refused(hello("tasks:\n- id: 0\n  launch_command: echo\n"));
    insta::assert_snapshot!(said, @"
    error: farm.yaml:4:3: `tasks[0]`: unknown key `launch_command`; did you mean `launch_cmd`? (keys of your own begin with `x-`)
    ");
}

#[test]
fn a_wrong_type() {
    let said = refused(hello("task_distribution:\n    cores_per_node: two\ntasks: [{launch_cmd: echo}]\n"));
    insta::assert_snapshot!(said, @r#"
    error: farm.yaml:3:21: `task_distribution.cores_per_node`: the text "two" is no number; give a whole number, 0 or more
    "#);
}

#[test]
fn a_duplicate_id() {
    let said = refused(hello("tasks:\n- {id: a, launch_cmd: echo}\n- {id: a, launch_cmd: echo}\n"));
    insta::assert_snapshot!(said, @"
    error: farm.yaml:4:8: the id `a` was given in line 3 already; each task needs its own
    ");
}

#[test]
fn a_duplicate_id_far_down_a_list() {
    let mut lines: Vec<String> =
        (0..20_000).map(|id| format!("{{\"id\": {id}, \"launch_cmd\": \"true\"}}\n")).collect();
    lines.push("{\"id\": \"7\", \"launch_cmd\": \"true\"}\n".to_owned());
    let said = refused(farm().jsonl(lines.concat()));
    insta::assert_snapshot!(said, @"
    error: tasks.jsonl:20001: the id `7` was given in line 8 already; each task needs its own
    ");
}

#[test]
fn an_id_that_leads_out_of_the_run_directory() {
    let said = refused(hello("tasks:\n- {id: ../x, launch_cmd: echo}\n"));
    insta::assert_snapshot!(said, @"
    error: farm.yaml:3:8: `tasks[0].id`: the id `../x` cannot be used; an id is 1 to 128 letters, digits and `. _ - = , + @ :`, and not `.` or `..`
    ");
}

#[test]
fn an_empty_list() {
    let said = refused(farm().list("# nothing but a comment\n\n"));
    insta::assert_snapshot!(said, @"
    error: tasks.txt: there are no tasks; give at least one
    ");
}

#[test]
fn no_tasks_in_a_config() {
    let said = refused(hello("tasks: []\n"));
    insta::assert_snapshot!(said, @"
    error: farm.yaml:2:8: there are no tasks; give at least one
    ");
}

#[test]
fn no_input_at_all() {
    let said = refused(farm());
    insta::assert_snapshot!(said, @"
    error: there is nothing to run; give --tasklist FILE or --config FILE (see `ictasks taskfarm --help`)
    ");
}

#[test]
fn a_missing_file() {
    let said = refused(farm().input("--tasklist", "no-such-list.txt"));
    insta::assert_snapshot!(said, @"
    error: no-such-list.txt: cannot be read: No such file or directory (os error 2)
    ");
}

#[test]
fn a_directory_as_config() {
    let said = refused(farm().file("folder/file", "").input("--config", "folder"));
    insta::assert_snapshot!(said, @"
    error: folder: cannot be read: Is a directory (os error 21)
    ");
}

#[test]
fn a_list_that_is_not_utf_8() {
    let said = refused(farm().list(b"echo good\necho caf\xe9\n"));
    insta::assert_snapshot!(said, @"
    error: tasks.txt:2:9: is not UTF-8 (byte 9 of the line); convert it, for instance with `iconv -t UTF-8`
    ");
}

#[test]
fn a_config_that_is_not_utf_8() {
    let said = refused(farm().yaml(b"job_id: caf\xe9\ntasks: [{launch_cmd: echo}]\n"));
    insta::assert_snapshot!(said, @"
    error: farm.yaml:1:12: is not UTF-8 (byte 12 of the line); convert it, for instance with `iconv -t UTF-8`
    ");
}

#[test]
fn a_line_of_10_mb() {
    let said = refused(farm().list(format!("echo good\necho {}\n", "x".repeat(10_000_000))));
    insta::assert_snapshot!(said, @"
    error: tasks.txt:2: the line is longer than 1 MiB; put long data into a file and name that in the command
    ");
}

#[test]
fn a_command_just_longer_than_the_kernel_takes() {
    let longest = format!("echo {}", "x".repeat(131_071 - 5));
    farm().tasks([&longest]).run().expect(SUCCEEDED);
    let said = refused(farm().tasks(["true".to_owned(), longest + "x"]));
    insta::assert_snapshot!(said, @"
    error: tasks.txt:2: the command has 131072 bytes and the kernel takes 131071; put long data into a file and name that in the command
    ");
}

#[test]
fn an_unwritable_run_directory() {
    let farm = farm().tasks(["true"]).without_root_rights();
    let run = farm.directory().join("run");
    std::fs::create_dir(&run).expect("make a directory");
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o555);
    std::fs::set_permissions(&run, permissions).expect("make it read-only");
    let said = refused(farm);
    insta::assert_snapshot!(said, @"
    error: failed to create `[TMP]/run/journal`: Permission denied (os error 13)
    ");
}

#[test]
fn a_file_as_run_directory() {
    let said = refused(farm().tasks(["true"]).file("run", ""));
    insta::assert_snapshot!(said, @"
    error: the run directory `[TMP]/run` cannot be made: File exists (os error 17); it is no directory: give another --run-dir
    ");
}

#[test]
fn more_cores_a_task_than_a_node_gives() {
    let distribution =
        "task_distribution: {cores_per_node: 2, cores_per_task: 3}\ntasks: [{launch_cmd: echo}]\n";
    let said = refused(hello(distribution).workers(None));
    insta::assert_snapshot!(said, @"
    error: floor(cores_per_node / cores_per_task) = floor(2 / 3) = 0 workers; give a `cores_per_task` of 2 or fewer
    ");
}

#[test]
fn a_gpu_for_each_task_without_gpus() {
    let distribution = "task_distribution: {gpus_per_task: 1}\ntasks: [{launch_cmd: echo}]\n";
    if std::path::Path::new("/proc/driver/nvidia/gpus").exists() {
        // This machine has what the test is to do without: then a task gets one.
        let run = hello(distribution).workers(None).run().expect(SUCCEEDED);
        assert_eq!(run.record.column("tasks", "gpu_count"), [1]);
        return;
    }
    let said = refused(hello(distribution).workers(None));
    insta::assert_snapshot!(said, @"
    error: gpus_per_task is 1, and no GPU was found on this machine; leave out `gpus_per_task`, or give `gpus_per_node`
    ");
}

#[test]
fn a_line_that_is_not_json() {
    let said = refused(farm().jsonl("{\"launch_cmd\": \"true\"}\n{\"launch_cmd\": }\n"));
    insta::assert_snapshot!(said, @r#"
    error: tasks.jsonl:2:16: no JSON (expected value); give one `{"launch_cmd": "…"}` a line
    "#);
}

#[test]
fn a_mistake_in_a_stream_ends_the_run_after_what_runs() {
    let mut run = farm().args(["--tasklist-format", "jsonl"]).open_stdin().start();
    run.write_line(r#"{"id": "a", "launch_cmd": "echo first"}"#);
    let output = run.record.task_directory("a").join("task_stdout.txt");
    wait_for("the first task", || output.exists().then_some(()));
    run.write_line(r#"{"id": "a", "launch_cmd": "echo second"}"#);
    let run = run.wait().expect(BAD_INPUT);
    assert_eq!(run.record.stdout("a"), "first\n");
    assert_eq!(run.record.column("tasks", "outcome"), ["succeeded"]);
    assert_eq!(run.record.run_json()["list_complete"], false);
    run.settings().bind(|| {
        insta::assert_snapshot!(run.stderr, @"
    1 task: 1 succeeded
    [TIME], [RATE], 2 cores occupied [SHARE] of the time
    the list was not read to its end: tasks beyond are not in the record
    record: [TMP]/run/tasks.parquet
    report: ictasks report [TMP]/run
    error: stopped early: <stdin>:2: the id `a` was given before; each task needs its own
    ")
    });
}
