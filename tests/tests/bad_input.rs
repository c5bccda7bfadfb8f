//! What the program says when its input is wrong: nothing runs, the exit code is 2, and the
//! message names the place, what is wrong and what would be right.

use ictasks_tests::{BAD_INPUT, Farm, Finished, farm, wait_for};

/// Runs a farm that must refuse its input before it makes anything.
fn refused(farm: Farm) -> Finished {
    let run = farm.run().expect(BAD_INPUT);
    assert_eq!(run.stdout, "");
    assert_eq!(run.record.names(), Vec::<String>::new(), "nothing was made");
    run
}

fn hello(rest: &str) -> Farm {
    farm().yaml(format!("job_id: my_job\n{rest}"))
}

#[test]
fn malformed_yaml() {
    let run = refused(hello("tasks:\n- launch_cmd: [echo, hello\n"));
    run.settings().bind(|| insta::assert_snapshot!(run.stderr, @""));
}

#[test]
fn a_tab_in_yaml() {
    let run = refused(hello("task_distribution:\n\tcores_per_node: 1\ntasks: [{launch_cmd: echo}]\n"));
    run.settings().bind(|| insta::assert_snapshot!(run.stderr, @""));
}

#[test]
fn an_unknown_key() {
    let run = refused(hello("task_distribution:\n    core_per_node: 1\ntasks: [{launch_cmd: echo}]\n"));
    run.settings().bind(|| insta::assert_snapshot!(run.stderr, @""));
}

#[test]
fn an_unknown_key_of_a_task() {
    let run = refused(hello("tasks:\n- id: 0\n  launch_command: echo\n"));
    run.settings().bind(|| insta::assert_snapshot!(run.stderr, @""));
}

#[test]
fn a_wrong_type() {
    let run = refused(hello("task_distribution:\n    cores_per_node: two\ntasks: [{launch_cmd: echo}]\n"));
    run.settings().bind(|| insta::assert_snapshot!(run.stderr, @""));
}

#[test]
fn a_duplicate_id() {
    let run = refused(hello("tasks:\n- {id: a, launch_cmd: echo}\n- {id: a, launch_cmd: echo}\n"));
    run.settings().bind(|| insta::assert_snapshot!(run.stderr, @""));
}

#[test]
fn a_duplicate_id_far_down_a_list() {
    let mut lines: Vec<String> =
        (0..20_000).map(|id| format!("{{\"id\": {id}, \"launch_cmd\": \"true\"}}\n")).collect();
    lines.push("{\"id\": \"7\", \"launch_cmd\": \"true\"}\n".to_owned());
    let run = refused(farm().jsonl(lines.concat()));
    run.settings().bind(|| insta::assert_snapshot!(run.stderr, @""));
}

#[test]
fn an_id_that_leads_out_of_the_run_directory() {
    let run = refused(hello("tasks:\n- {id: ../x, launch_cmd: echo}\n"));
    run.settings().bind(|| insta::assert_snapshot!(run.stderr, @""));
}

#[test]
fn an_empty_list() {
    let run = refused(farm().list("# nothing but a comment\n\n"));
    run.settings().bind(|| insta::assert_snapshot!(run.stderr, @""));
}

#[test]
fn no_tasks_in_a_config() {
    let run = refused(hello("tasks: []\n"));
    run.settings().bind(|| insta::assert_snapshot!(run.stderr, @""));
}

#[test]
fn no_input_at_all() {
    let run = refused(farm());
    run.settings().bind(|| insta::assert_snapshot!(run.stderr, @""));
}

#[test]
fn a_missing_file() {
    let run = refused(farm().input("--tasklist", "no-such-list.txt"));
    run.settings().bind(|| insta::assert_snapshot!(run.stderr, @""));
}

#[test]
fn a_directory_as_config() {
    let run = refused(farm().file("folder/file", "").input("--config", "folder"));
    run.settings().bind(|| insta::assert_snapshot!(run.stderr, @""));
}

#[test]
fn a_list_that_is_not_utf_8() {
    let run = refused(farm().list(b"echo good\necho caf\xe9\n"));
    run.settings().bind(|| insta::assert_snapshot!(run.stderr, @""));
}

#[test]
fn a_config_that_is_not_utf_8() {
    let run = refused(farm().yaml(b"job_id: caf\xe9\ntasks: [{launch_cmd: echo}]\n"));
    run.settings().bind(|| insta::assert_snapshot!(run.stderr, @""));
}

#[test]
fn a_line_of_10_mb() {
    let run = refused(farm().list(format!("echo good\necho {}\n", "x".repeat(10_000_000))));
    run.settings().bind(|| insta::assert_snapshot!(run.stderr, @""));
}

#[test]
fn a_command_just_longer_than_the_kernel_takes() {
    let longest = format!("echo {}", "x".repeat(131_071 - 5));
    farm().tasks([&longest]).run().expect(ictasks_tests::SUCCEEDED);
    let run = refused(farm().tasks(["true".to_owned(), longest + "x"]));
    run.settings().bind(|| insta::assert_snapshot!(run.stderr, @""));
}

#[test]
fn an_unwritable_run_directory() {
    let farm = farm().tasks(["true"]).without_root_rights();
    let run = farm.directory().join("run");
    std::fs::create_dir(&run).expect("make a directory");
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o555);
    std::fs::set_permissions(&run, permissions).expect("make it read-only");
    let run = refused(farm);
    run.settings().bind(|| insta::assert_snapshot!(run.stderr, @""));
}

#[test]
fn a_file_as_run_directory() {
    let run = refused(farm().tasks(["true"]).file("run", ""));
    run.settings().bind(|| insta::assert_snapshot!(run.stderr, @""));
}

#[test]
fn more_cores_a_task_than_a_node_gives() {
    let distribution =
        "task_distribution: {cores_per_node: 2, cores_per_task: 3}\ntasks: [{launch_cmd: echo}]\n";
    let run = refused(hello(distribution).workers(None));
    run.settings().bind(|| insta::assert_snapshot!(run.stderr, @""));
}

#[test]
fn a_gpu_for_each_task_without_gpus() {
    let distribution = "task_distribution: {gpus_per_task: 1}\ntasks: [{launch_cmd: echo}]\n";
    if std::path::Path::new("/proc/driver/nvidia/gpus").exists() {
        return; // This machine has what the test is to do without.
    }
    let run = refused(hello(distribution).workers(None));
    run.settings().bind(|| insta::assert_snapshot!(run.stderr, @""));
}

#[test]
fn a_line_that_is_not_json() {
    let run = refused(farm().jsonl("{\"launch_cmd\": \"true\"}\n{\"launch_cmd\": }\n"));
    run.settings().bind(|| insta::assert_snapshot!(run.stderr, @""));
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
    run.settings().bind(|| insta::assert_snapshot!(run.stderr, @""));
}
