//! How tasks are run: directories, environment, input and output, shells, exit codes.

use std::fs;

use ictasks_tests::programs::subject;
use ictasks_tests::table::Row;
use ictasks_tests::{
    BAD_INPUT, FAILED, INTERRUPTED, NO_RECORD, Record, SUCCEEDED, TERMINATED, farm, process_exists, wait_for,
};
use serde_json::json;

fn does(words: &str) -> String {
    format!("{} {words}", subject().display())
}

#[test]
fn a_task_runs_in_its_directory_with_no_input_and_files_for_output() {
    let run = farm().tasks(["sh -c 'pwd; wc -c; echo problem >&2'"]).run().expect(SUCCEEDED);
    let directory = run.record.task_directory("0").canonicalize().expect("it exists");
    assert_eq!(run.record.stdout("0"), format!("{}\n0\n", directory.display()));
    assert_eq!(run.record.read("0", "task_stderr.txt"), "problem\n");
    let names = run.record.task_names("0");
    assert_eq!(names, ["task.json", "task_stderr.txt", "task_stdout.txt"]);
}

#[test]
fn cwd_submit_runs_tasks_where_the_farm_was_started() {
    let yaml = "cwd: submit\nstdout_filename: out\nstderr_filename: err\ntasks: [{launch_cmd: pwd}]\n";
    let run = farm().yaml(yaml).run().expect(SUCCEEDED);
    let submit = run.directory().canonicalize().expect("it exists");
    assert_eq!(run.record.read("0", "out"), format!("{}\n", submit.display()));
    assert_eq!(run.record.read("0", "err"), "");
}

#[test]
fn a_task_knows_about_itself() {
    let names = "ICTASKS_JOB_ID ICTASKS_TASK_ID ICTASKS_TASK_INDEX ICTASKS_ATTEMPT \
        ICTASKS_WORKER_ID ICTASKS_HOST_ID ICTASKS_GPU_IDS ICTASKS_TASK_DIR ICTASKS_RUN_DIR \
        ICTASKS_SUBMIT_DIR OMP_NUM_THREADS";
    let yaml = format!(
        "job_id: my_job\ntasks:\n- {{id: a, launch_cmd: 'true'}}\n- {{id: b, launch_cmd: '{}'}}\n",
        does(&format!("print-env {names}"))
    );
    let run = farm().yaml(yaml).workers(1).run().expect(SUCCEEDED);
    run.settings().bind(|| {
        insta::assert_snapshot!(run.record.stdout("b"), @r"
        ICTASKS_JOB_ID=my_job
        ICTASKS_TASK_ID=b
        ICTASKS_TASK_INDEX=1
        ICTASKS_ATTEMPT=1
        ICTASKS_WORKER_ID=0
        ICTASKS_HOST_ID=0
        ICTASKS_GPU_IDS=
        ICTASKS_TASK_DIR=[TMP]/run/task_b
        ICTASKS_RUN_DIR=[TMP]/run
        ICTASKS_SUBMIT_DIR=[TMP]
        OMP_NUM_THREADS=1
        ");
    });
}

#[test]
fn the_cores_of_a_task_are_its_affinity_and_its_environment() {
    let task = format!("{} && taskset -cp $$", does("print-env ICTASKS_CORES"));
    let yaml = format!("pin_cores: true\ntasks:\n- launch_cmd: {}\n", json!(task));
    let run = farm().workers(1).yaml(yaml).run().expect(SUCCEEDED);
    let output = run.record.stdout("0");
    let mut lines = output.lines();
    let Some(cores) = run.record.task("0")["cores"].as_array().cloned() else {
        // A quota below the processors: nothing can be pinned.
        assert_eq!(lines.next(), Some("ICTASKS_CORES="));
        return;
    };
    let cores: Vec<String> = cores.iter().map(ToString::to_string).collect();
    let cores = cores.join(",");
    assert_eq!(lines.next(), Some(format!("ICTASKS_CORES={cores}").as_str()));
    let affinity = lines.next().and_then(|line| line.rsplit(' ').next());
    assert_eq!(affinity, Some(cores.as_str()));
}

#[test]
fn the_environment_is_the_farms_then_the_runs_then_the_tasks() {
    let show = does("print-env FARM RUN TASK OMP_NUM_THREADS");
    let yaml = format!(
        "environment: {{RUN: run, TASK: run, OMP_NUM_THREADS: '7'}}\n\
         tasks:\n- launch_cmd: {show}\n  environment: {{TASK: task}}\n- launch_cmd: {show}\n"
    );
    let run = farm().yaml(yaml).env("FARM", "farm").env("RUN", "farm").run().expect(SUCCEEDED);
    assert_eq!(run.record.stdout("0"), "FARM=farm\nRUN=run\nTASK=task\nOMP_NUM_THREADS=7\n");
    assert_eq!(run.record.stdout("1"), "FARM=farm\nRUN=run\nTASK=run\nOMP_NUM_THREADS=7\n");
}

#[test]
fn tasks_start_with_the_signals_that_the_farm_was_started_with() {
    let run = farm().tasks(["cat /proc/self/status"]).run().expect(SUCCEEDED);
    let task = run.record.stdout("0");
    assert_eq!(signals(&task, "SigBlk"), 0);
    let own = fs::read_to_string("/proc/self/status").expect("read /proc");
    // A test executable ignores SIGPIPE; a task must not, nor SIGCHLD.
    let default = |signal: i32| 1 << (signal - 1);
    let inherited = signals(&own, "SigIgn") & !default(libc::SIGPIPE) & !default(libc::SIGCHLD);
    assert_eq!(format!("{:x}", signals(&task, "SigIgn")), format!("{inherited:x}"));
}

/// A set of signals in a `/proc/PID/status`, without those that the C library keeps for itself.
fn signals(status: &str, name: &str) -> u64 {
    let line = status.lines().find(|line| line.starts_with(name)).expect("a line");
    let digits = line.rsplit('\t').next().expect("a set");
    u64::from_str_radix(digits, 16).expect("a set in hexadecimal") & 0x7fff_ffff
}

#[test]
fn a_program_that_cannot_be_started_is_a_failure_of_its_task_alone() {
    let tasks = ["no-such-program --fast", "echo on", "./notes.txt", "./tool.sh 3"];
    let run =
        farm().tasks(tasks).file("tool.sh", "#!/bin/sh\n").args(["--progress", "none"]).run().expect(FAILED);
    let outcomes = run.record.column("tasks", "outcome");
    assert_eq!(outcomes, ["spawn_failed", "succeeded", "spawn_failed", "spawn_failed"]);
    let errors = run.record.column("tasks", "error");
    let errors = [&errors[0], &errors[2], &errors[3]].map(|error| error.as_str().unwrap_or("-"));
    run.settings().bind(|| insta::assert_snapshot!(errors.join("\n"), @"
    `no-such-program` was not found in PATH
    `./notes.txt` does not exist
    `./tool.sh` does not exist; write `%SUBMITDIR%/tool.sh 3`: it is in the directory that the farm was started in, and a task runs in its own
    "));
    for source in run.record.sources("0") {
        assert!(source.get("exit_code").is_null() && source.get("pid").is_null());
    }
}

#[test]
fn shell_modes() {
    let command = "echo \"$ICTASKS_TASK_ID\" | cat";
    for (shell, expected) in [
        ("auto", "0\n"),
        ("true", "0\n"),
        ("false", "$ICTASKS_TASK_ID | cat\n"),
        ("'/bin/bash -o pipefail'", "0\n"),
    ] {
        let yaml = format!("shell: {shell}\ntasks:\n- launch_cmd: '{command}'\n");
        let run = farm().yaml(yaml).run().expect(SUCCEEDED);
        assert_eq!(run.record.stdout("0"), expected, "shell: {shell}");
    }
    let yaml = "shell: /bin/bash -o pipefail\ntasks: [{launch_cmd: 'false | cat'}]\n";
    farm().yaml(yaml).run().expect(FAILED);
}

#[test]
fn what_a_shell_would_make_of_a_command() {
    let print = subject().display();
    let cases = [
        (format!("{print} print-args 'a  b' \"c d\" e\\ f"), "a  b\nc d\ne f\n"),
        (format!("X=1 {print} print-env X"), "X=1\n"),
        (format!("{print} print-args ~ | sed s:$HOME:home:"), "home\n"),
        (format!("{print} print-args ''"), "\n"),
        (format!("{print} print-args a#b '#c' # d"), "a#b\n#c\n"),
        ("exit 0".to_owned(), ""),
        (format!("if true; then {print} print-args yes; fi"), "yes\n"),
        (format!("cd / && {print} print-args *bin"), "bin\nsbin\n"),
        ("echo \"it's\" 'a \"quote\"'".to_owned(), "it's a \"quote\"\n"),
    ];
    let commands = cases.each_ref().map(|(command, _)| command.clone());
    let run = farm().tasks(commands).run().expect(SUCCEEDED);
    for (index, (command, expected)) in cases.iter().enumerate() {
        assert_eq!(run.record.stdout(&index.to_string()), *expected, "{command}");
    }
}

#[test]
fn an_executable_text_without_a_first_line_is_run_by_the_shell() {
    let task = "sh -c 'printf \"echo from text\\n\" > text; chmod +x text' && ./text";
    let run = farm().tasks([task, "$ICTASKS_RUN_DIR/task_0/text"]).workers(1).run();
    assert_eq!(run.record.stdout("1"), "from text\n");
}

#[test]
fn exit_codes_of_the_farm() {
    farm().tasks(["true"]).run().expect(SUCCEEDED);
    farm().tasks(["true", "false"]).run().expect(FAILED);
    farm().tasks(["true"]).args(["--no-such-option"]).run().expect(BAD_INPUT);
    let help = farm().command(["taskfarm", "--help"]).run().expect(SUCCEEDED).stdout;
    for code in ["0", "1", "2", "3", "130", "143"] {
        assert!(help.contains(code), "--help tells of exit code {code}");
    }
}

#[test]
fn a_record_that_cannot_be_kept_is_exit_code_3() {
    // A directory in the place of a table: the table cannot be put there at the end.
    let task = "mkdir -p $ICTASKS_RUN_DIR/tasks.parquet/in-the-way";
    let run = farm().tasks([task]).run().expect(NO_RECORD);
    assert!(!run.record.journal().is_empty(), "what was recorded is still there");
    run.settings().bind(|| {
        insta::assert_snapshot!(run.stderr, @"
    1 task: 1 succeeded
    [TIME], [RATE], 2 cores occupied [SHARE] of the time
    error: failed to put in place `[TMP]/run/tasks.parquet`: Is a directory (os error 21)
      what was recorded so far is in `[TMP]/run/journal`
    ")
    });
}

#[test]
fn sigterm_lets_tasks_end_and_keeps_the_record() {
    let save = "trap \"echo saved > checkpoint; exit 0\" TERM";
    let task = format!("sh -c '{save}; echo > ready; while :; do sleep 0.02; done'");
    let run = farm().workers(1).tasks(["true", &task, "true"]).start();
    let ready = run.record.task_directory("1").join("ready");
    wait_for("the second task", || ready.exists().then_some(()));
    run.signal(libc::SIGTERM);
    let run = run.wait().expect(TERMINATED);
    assert_eq!(run.record.read("1", "checkpoint"), "saved\n");
    ended_early(&run.record);
}

#[test]
fn a_second_interrupt_ends_stubborn_tasks_at_once() {
    let run = farm().workers(1).tasks(["true", &does("stubborn pid"), "true"]).start();
    let pidfile = run.record.task_directory("1").join("pid");
    let pid = wait_for("the second task", || fs::read_to_string(&pidfile).ok());
    run.signal(libc::SIGINT);
    let is_stop = |event: &Row| event["kind"] == "stop_requested";
    wait_for("the stop in the journal", || run.record.journal().into_iter().find(is_stop));
    run.signal(libc::SIGINT);
    let run = run.wait().expect(INTERRUPTED);
    ended_early(&run.record);
    assert!(!process_exists(pid.parse().expect("a process id")));
}

/// Asserts the record of three tasks of which the second was running when the run was ended.
fn ended_early(record: &Record) {
    assert_eq!(record.column("tasks", "outcome"), ["succeeded", "cancelled", "pending"]);
    let causes = record.column("tasks", "cause");
    assert_eq!(causes, [json!(null), json!("interrupted"), json!("interrupted")]);
    let pending = record.task("2");
    for column in ["exit_code", "signal", "started_at", "finished_at", "wall_s", "pid"] {
        assert!(pending[column].is_null(), "`{column}` of a task that never ran");
    }
    assert_eq!(pending["attempt"], 0);
    assert!(!record.names().contains(&"journal".to_owned()));
    assert_eq!(record.run_json()["state"], "interrupted");
}

#[test]
fn nothing_runs_on_when_the_farm_is_killed() {
    let run = farm().tasks([does("stubborn pid")]).start();
    let pidfile = run.record.task_directory("0").join("pid");
    let pid = wait_for("the task", || fs::read_to_string(&pidfile).ok());
    let is_start = |event: &Row| event["kind"] == "task_started";
    wait_for("its start in the journal", || run.record.journal().into_iter().find(is_start));
    run.signal(libc::SIGKILL);
    let pid = pid.parse().expect("a process id");
    wait_for("the end of the task", || (!process_exists(pid)).then_some(()));
    let run = run.wait();
    assert_eq!(run.signal, Some(libc::SIGKILL));
    assert!(run.record.journal().iter().any(is_start), "the journal is still readable");
}

#[test]
fn a_run_directory_with_a_record_is_refused() {
    let run = farm().tasks(["true"]).run().expect(SUCCEEDED);
    let before = run.record.run_json();
    let run = run.again().tasks(["echo second"]).run().expect(BAD_INPUT);
    assert_eq!(run.record.run_json(), before);
    assert_eq!(run.record.stdout("0"), "");
    run.settings().bind(|| {
        insta::assert_snapshot!(run.stderr, @"
        error: `[TMP]/run` holds the record of the run `run` (finished, 1 task)
          to go on with that run:               ictasks taskfarm --tasklist tasks.txt --run-dir run --workers 2 --resume
          to delete that record and run again:  ictasks taskfarm --tasklist tasks.txt --run-dir run --workers 2 --overwrite
          to move it to `earlier` there:        ictasks taskfarm --tasklist tasks.txt --run-dir run --workers 2 --set-aside
          to keep it and run elsewhere:         ictasks taskfarm --tasklist tasks.txt --workers 2 --run-dir [TMP]/run-2
        ")
    });
}

#[test]
fn set_aside_moves_the_record_and_all_that_tasks_made() {
    let run = farm().tasks(["sh -c 'echo data > mine'", "true"]).run().expect(SUCCEEDED);
    let run_id = run.record.run_json()["run_id"].as_str().expect("an id").to_owned();
    let again = run.again().tasks(["true"]).args(["--set-aside"]).run().expect(SUCCEEDED);
    let earlier = again.record.directory().join("earlier").join(&run_id);
    assert!(again.stderr.contains("is now in"), "{}", again.stderr);
    assert_eq!(std::fs::read_to_string(earlier.join("task_0/mine")).expect("moved"), "data\n");
    assert!(earlier.join("tasks.parquet").exists());
    assert_ne!(again.record.run_json()["run_id"], run_id.as_str());
}

#[test]
fn a_dry_run_tells_of_the_record_that_is_there() {
    let mut run = farm().tasks(["true"]).run().expect(SUCCEEDED);
    for (option, follows) in [
        ("--progress=none", "without --resume, --overwrite or --set-aside the run will be refused"),
        ("--overwrite", "the files of that run will be deleted"),
        ("--set-aside", "that run will be moved to `earlier` there"),
    ] {
        run = run.again().tasks(["true"]).args(["--dry-run", option]).run().expect(SUCCEEDED);
        assert!(run.stderr.contains(follows), "{option}: {}", run.stderr);
        assert_eq!(run.record.column("tasks", "outcome"), ["succeeded"]);
    }
}

#[test]
fn overwrite_deletes_the_record_and_keeps_what_tasks_made() {
    let run = farm().tasks(["sh -c 'echo data > mine'", "true"]).run().expect(SUCCEEDED);
    let run = run.again().tasks(["cat mine"]).args(["--overwrite"]).run().expect(SUCCEEDED);
    assert_eq!(run.record.stdout("0"), "data\n");
    assert!(!run.record.task_directory("1").exists(), "the record of the old run is gone");
    assert_eq!(run.record.table("tasks").rows.len(), 1);
    run.settings().bind(|| {
        insta::assert_snapshot!(run.stderr, @"
    overwrite: files of the earlier run deleted: 11 ([SIZE]); task directories, empty then: 1
    1 task: 1 succeeded
    [TIME], [RATE], 2 cores occupied [SHARE] of the time
    record: [TMP]/run/tasks.parquet
    report: ictasks report [TMP]/run
    ")
    });
}

#[test]
fn the_end_is_summed_up_on_standard_error() {
    let tasks = ["true", "sh -c 'echo no such mesh >&2; exit 3'", "no-such-program"];
    let run = farm().tasks(tasks).workers(1).run().expect(FAILED);
    assert_eq!(run.stdout, "");
    assert!(run.stderr.lines().count() <= 10, "{}", run.stderr);
    run.settings().bind(|| {
        insta::assert_snapshot!(run.stderr, @"
    3 tasks: 1 succeeded, 1 failed, 1 spawn failed
    [TIME], [RATE], 1 core occupied [SHARE] of the time
      task 1: exit code 3: no such mesh
      task 2: could not be started: `no-such-program` was not found in PATH
    advice: Correct the command: 1 task could not be started
    record: [TMP]/run/tasks.parquet
    report: ictasks report [TMP]/run
    ")
    });
}

#[test]
fn many_failures_are_summed_up_in_few_lines() {
    let run = farm().tasks((1..=30).map(|code| format!("exit {code}"))).run().expect(FAILED);
    assert!(run.stderr.lines().count() <= 10, "{}", run.stderr);
    assert!(run.stderr.contains("and 27 more"), "{}", run.stderr);
}

#[test]
fn quiet_says_nothing() {
    let run = farm().tasks(["false"]).args(["-q"]).run().expect(FAILED);
    assert_eq!(run.stderr, "");
}

#[test]
fn workers_that_share_processors_are_never_busier_than_they_can_be() {
    let workers = 2 * u32::try_from(std::thread::available_parallelism().expect("processors").get()).unwrap();
    let tasks = (0..2 * workers).map(|_| "sleep 0.2");
    let run = farm().tasks(tasks).workers(workers).run().expect(SUCCEEDED);
    let line = run.stderr.lines().find(|line| line.contains("occupied")).expect("a line on occupancy");
    assert!(line.contains(&format!(", {workers} workers on ")), "{line}");
    let share = line.split("occupied ").nth(1).and_then(|rest| rest.split(' ').next()).expect("a share");
    assert!((1..=100).contains(&share.parse::<i32>().expect("a number")), "{line}");
}
