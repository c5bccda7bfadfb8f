//! The forms of the input: task lists, JSON lines, standard input, YAML, and what becomes of
//! ids, placeholders and workers.

use std::fs;

use ictasks_tests::programs::clone_root;
use ictasks_tests::{Record, SUCCEEDED, farm, wait_for};
use serde_json::{Value, json};

fn ids(record: &Record) -> Vec<Value> {
    record.column("tasks", "task_id")
}

fn commands(record: &Record) -> Vec<Value> {
    record.column("tasks", "command")
}

#[test]
fn a_task_list() {
    let list = "# a comment\n\n   echo one  \n\techo two # three\r\n  # another\necho last";
    let run = farm().list(list).run().expect(SUCCEEDED);
    assert_eq!(commands(&run.record), ["echo one", "echo two # three", "echo last"]);
    assert_eq!(ids(&run.record), ["0", "1", "2"]);
    assert_eq!(run.record.column("tasks", "task_index"), [0, 1, 2]);
    assert_eq!(run.record.stdout("2"), "last\n");
}

#[test]
fn placeholders() {
    let list = "echo %TASKID% %TASKNUM%\necho %SUBMITDIR%/%TASKID% 100%\n";
    let run = farm().list(list).run().expect(SUCCEEDED);
    let submit = run.directory().canonicalize().expect("it exists");
    assert_eq!(run.record.stdout("0"), "0 0\n");
    assert_eq!(run.record.stdout("1"), format!("{}/1 100%\n", submit.display()));
    let yaml = "tasks: [{id: mesh-7, launch_cmd: echo %TASKID%}]\n";
    let run = farm().yaml(yaml).run().expect(SUCCEEDED);
    assert_eq!(run.record.stdout("mesh-7"), "mesh-7\n");
}

#[test]
fn the_same_command_has_the_same_hash_before_placeholders() {
    let run = farm().tasks(["echo %TASKID%", "echo %TASKID%", "echo"]).run().expect(SUCCEEDED);
    let hashes = run.record.column("tasks", "command_hash");
    assert_eq!(hashes[0], hashes[1]);
    assert_ne!(hashes[0], hashes[2]);
}

#[test]
fn json_lines() {
    let list = concat!(
        "{\"id\": \"a\", \"launch_cmd\": \"echo $X\", \"environment\": {\"X\": \"1\"}}\n",
        "\n",
        "{\"id\": 7, \"launch_cmd\": \"echo 7\"}\n",
        "{\"launch_cmd\": \"echo none\"}\n",
    );
    let run = farm().jsonl(list).run().expect(SUCCEEDED);
    assert_eq!(ids(&run.record), ["a", "7", "2"]);
    assert_eq!(run.record.stdout("a"), "1\n");
    let format = ["--tasklist-format", "jsonl"];
    let run = farm().args(format).stdin(list).run().expect(SUCCEEDED);
    assert_eq!(ids(&run.record), ["a", "7", "2"]);
}

#[test]
fn tasks_start_before_the_end_of_standard_input() {
    let mut run = farm().open_stdin().start();
    for count in 0..3 {
        run.write_line(&format!("echo {count}"));
        let output = run.record.task_directory(&count.to_string()).join("task_stdout.txt");
        let expected = format!("{count}\n");
        wait_for("the task's output", || fs::read_to_string(&output).ok().filter(|text| *text == expected));
    }
    run.close_stdin();
    let run = run.wait().expect(SUCCEEDED);
    assert_eq!(run.record.table("tasks").rows.len(), 3);
    assert_eq!(run.record.run_json()["list_complete"], true);
}

#[test]
fn a_list_on_standard_input_is_as_good_as_a_file() {
    let list: String = (0..2000).map(|number| format!("true {number}\n")).collect();
    let run = farm().stdin(list).run().expect(SUCCEEDED);
    let expected: Vec<Value> = (0..2000).map(|number| json!(format!("true {number}"))).collect();
    assert_eq!(commands(&run.record), expected);
}

#[test]
fn the_shipped_yaml() {
    let file = clone_root().join("tests/data/hello.yaml");
    let file = file.to_str().expect("a path in UTF-8");
    let run = farm().input("--config", file).workers(None).run().expect(SUCCEEDED);
    assert_eq!(ids(&run.record), ["0", "1"]);
    assert_eq!(run.record.stdout("1"), "hello from task 1\n");
    assert_eq!(run.record.run_json()["job_id"], "my_job");
}

#[test]
fn the_shipped_task_list() {
    let file = clone_root().join("tests/data/tasklist.dat");
    let file = file.to_str().expect("a path in UTF-8");
    let run = farm().input("--tasklist", file).workers(None).run().expect(SUCCEEDED);
    assert_eq!(ids(&run.record), ["0", "1"]);
}

#[test]
fn the_readme_shows_the_shipped_files() {
    let read = |name: &str| fs::read_to_string(clone_root().join(name)).expect("a shipped file");
    for file in ["tests/data/hello.yaml", "tests/data/sweep.yaml", "tests/data/tasklist.dat"] {
        assert!(read("README.md").contains(&format!("\n{}```\n", read(file))), "{file}");
    }
}

#[test]
fn forms_of_tasks_in_yaml() {
    for tasks in [
        "tasks:\n  items:\n  - {id: 0, launch_cmd: echo a}\n  - {id: 1, launch_cmd: echo b}\n",
        "tasks:\n- {id: '0', launch_cmd: echo a}\n- {id: '1', launch_cmd: echo b}\n",
        "tasks:\n- launch_cmd: echo a\n- launch_cmd: echo b\n",
        "tasks:\n  items:\n  - launch_cmd: echo a\n  - id: 1\n    launch_cmd: echo b\n",
    ] {
        let run = farm().yaml(tasks).run().expect(SUCCEEDED);
        assert_eq!(ids(&run.record), ["0", "1"], "{tasks}");
        assert_eq!(run.record.stdout("1"), "b\n", "{tasks}");
    }
}

#[test]
fn keys_of_the_users_own() {
    let yaml = "x-project: {mesh: fine}\nlabels: {campaign: spring, nodes: 3}\ntasks: [{launch_cmd: echo}]\n";
    let run = farm().yaml(yaml).run().expect(SUCCEEDED);
    let labels = &run.record.run_json()["labels"];
    assert_eq!(labels, &json!({"campaign": "spring", "nodes": 3}));
}

#[test]
fn keys_of_0_2_4_are_taken_with_a_warning() {
    let yaml = "stop_on_error: true\ncheck_slurm: true\ntasks: [{launch_cmd: echo}]\n";
    let run = farm().yaml(yaml).run().expect(SUCCEEDED);
    assert!(run.stderr.contains("`check_slurm` finds no Slurm job here"), "{}", run.stderr);
    assert!(!run.stderr.contains("stop_on_error"), "{}", run.stderr);
}

#[test]
fn the_dry_run_of_0_2_4_stands_before_the_subcommand() {
    for (number, is_dry) in [("0", false), ("1", true), ("2", true)] {
        let words = ["--dry_run", number, "taskfarm", "--tasklist", "tasks.txt", "--run-dir", "run"];
        let run = farm().file("tasks.txt", "true\n").command(words).run().expect(SUCCEEDED);
        assert_eq!(run.record.names().is_empty(), is_dry, "{number}: {}", run.stdout);
    }
}

#[test]
fn the_list_wins_over_the_tasks_of_the_config() {
    let run = farm().yaml("job_id: mine\ntasks: [{launch_cmd: echo config}]\n").tasks(["echo list"]);
    let run = run.run().expect(SUCCEEDED);
    assert_eq!(commands(&run.record), ["echo list"]);
    assert_eq!(run.record.run_json()["job_id"], "mine");
}

#[test]
fn ids_with_all_letters_they_may_have() {
    let id = "Az09._-=,+@:";
    let list = format!("{{\"id\": \"{id}\", \"launch_cmd\": \"pwd\"}}\n");
    let run = farm().jsonl(list).run().expect(SUCCEEDED);
    assert_eq!(ids(&run.record), [id]);
    assert!(run.record.stdout(id).ends_with(&format!("task_{id}\n")));
}

#[test]
fn the_run_directory_by_its_older_names() {
    for option in ["--run-dir", "--work-dir", "--work_dir"] {
        let command = ["taskfarm", "--tasklist", "tasks.txt", option, "run"];
        let run = farm().file("tasks.txt", "echo\n").command(command).run().expect(SUCCEEDED);
        assert_eq!(ids(&run.record), ["0"], "{option}");
    }
    let command = ["taskfarm", "--tasklist", "tasks.txt"];
    let run = farm().file("tasks.txt", "echo\n").command(command).run().expect(SUCCEEDED);
    assert!(run.directory().join("tasks.parquet").exists(), "the default is the current directory");
}

#[test]
fn workers_hold_disjoint_processors() {
    let yaml =
        "task_distribution: {cores_per_node: 2}\ntasks: [{launch_cmd: sleep 0.2}, {launch_cmd: sleep 0.2}]\n";
    let run = farm().yaml(yaml).workers(None).run().expect(SUCCEEDED);
    let cores = run.record.column("tasks", "cores");
    let workers = run.record.column("tasks", "worker_id");
    if cores.contains(&Value::Null) {
        // One processor, or a quota below the processors: nothing can be pinned.
        assert!(run.stderr.contains("warning"), "{}", run.stderr);
        return;
    }
    assert_ne!(cores[0], cores[1]);
    assert_ne!(workers[0], workers[1]);
    assert_eq!(run.record.column("tasks", "core_count"), [1, 1]);
}

#[test]
fn more_workers_than_processors_are_not_pinned() {
    let run = farm().workers(64).tasks(["sleep 0.1", "true"]).run().expect(SUCCEEDED);
    assert_eq!(run.record.column("tasks", "cores"), [Value::Null, Value::Null]);
    let warning = run.stderr.lines().next().unwrap_or_default().to_owned();
    assert!(warning.contains("64") && warning.contains("warning"), "{warning}");
}

#[test]
fn a_dry_run_shows_what_would_happen_and_makes_nothing() {
    let yaml = "task_distribution: {cores_per_node: 1}\ntasks:\n- launch_cmd: echo %TASKID% | cat\n- launch_cmd: ./model 2\n";
    let run = farm().yaml(yaml).workers(None).args(["--dry-run"]).run().expect(SUCCEEDED);
    assert_eq!(run.record.names(), Vec::<String>::new());
    run.settings().bind(|| {
        insta::assert_snapshot!(run.stdout, @r#"
    2 tasks
    run directory: [TMP]/run
    cores_per_node: 1 as given
    threads_per_core: 1 since `cores_per_node` is given
    cores_per_task: 1 by default
    workers by cores: floor(1 / 1) × 1 = 1
      worker 0: CPUs 0
    task 0: ["/bin/sh", "-c", "echo 0 | cat"]
    task 1: ["./model", "2"], without a shell
    the run makes 8 files and directories, 4 a task, and 5 of the record
    "#)
    });
}

#[test]
fn a_dry_run_warns_of_a_missing_program_and_of_many_files() {
    let list = format!("./model 1\n{}", "true\n".repeat(30_000));
    let run = farm().list(list).args(["--dry-run"]).run().expect(SUCCEEDED);
    let warnings = run.stdout.lines().filter(|line| line.starts_with("warning"));
    insta::assert_snapshot!(warnings.collect::<Vec<_>>().join("\n"), @"
    warning: the program `./model` of task 0 was not found
    warning: more than 100000 files; shared file systems often limit their number
    ");
}

#[test]
fn a_dry_run_counts_files_as_the_plan_makes_them() {
    for (keys, expected) in [
        ("stdout_filename: log\nstderr_filename: log\n", "the run makes 6 files and directories, 3 a task"),
        ("task_files: failed\n", "the run leaves 4 files and directories of each task that fails"),
        ("task_files: none\n", "the run leaves no files of tasks"),
    ] {
        let yaml = format!("{keys}tasks: [{{launch_cmd: a}}, {{launch_cmd: b}}]\n");
        let run = farm().yaml(yaml).args(["--dry-run"]).run().expect(SUCCEEDED);
        assert!(run.stdout.contains(expected), "{keys}: {}", run.stdout);
    }
}

#[test]
fn the_schema_of_the_yaml_file_is_json() {
    let run = farm().command(["schema"]).run().expect(SUCCEEDED);
    let schema: Value = serde_json::from_str(&run.stdout).expect("JSON");
    let properties = schema["properties"].as_object().expect("an object schema");
    for key in ["job_id", "task_distribution", "tasks", "environment", "labels", "shell", "cwd"] {
        assert!(properties.contains_key(key), "`{key}`");
    }
}

#[test]
fn the_version() {
    let run = farm().command(["--version"]).run().expect(SUCCEEDED);
    assert_eq!(run.stdout, format!("ictasks {}\n", env!("CARGO_PKG_VERSION")));
}
