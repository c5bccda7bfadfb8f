//! The machine in trouble: a full disk, limits of the system, directories that cannot be written to, tasks that
//! behave badly. Nothing is lost, nobody is left running, and no task is blamed for what is not its fault.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use ictasks_tests::programs::subject;
use ictasks_tests::table::Row;
use ictasks_tests::{FAILED, Finished, NO_RECORD, SUCCEEDED, farm, farm_in, process_exists, processes_with};
use serde_json::{Value, json};

fn does(words: &str) -> String {
    format!("{} {words}", subject().display())
}

fn outcomes(run: &Finished) -> Vec<String> {
    let outcomes = run.record.column("tasks", "outcome");
    outcomes.iter().map(|outcome| outcome.as_str().unwrap_or_default().to_owned()).collect()
}

fn assert_nobody_is_left(run: &Finished) {
    let run_dir = format!("ICTASKS_RUN_DIR={}", run.record.directory().display());
    assert_eq!(processes_with(&run_dir), [] as [i64; 0]);
}

/// Variable that holds the directory of the small disk in the test that was started again.
const SMALL_DISK: &str = "ICTASKS_TEST_SMALL_DISK";

/// The file that takes all of the small disk but 20 MB.
const BALLAST: &str = "ballast";

/// Runs a test with a file system of its own, of which 20 MB are free: starts this test program again in a mount namespace,
/// for which root or user namespaces are needed. Without them the test is left out, and says so.
fn on_a_small_disk(name: &str, test: impl FnOnce(&Path)) {
    if let Some(directory) = std::env::var_os(SMALL_DISK) {
        return test(Path::new(&directory));
    }
    let directory = tempfile::TempDir::with_prefix("ictasks-test-disk-").unwrap();
    let kind = if rustix::process::geteuid().is_root() { "-m" } else { "-Urm" };
    let path = directory.path().display();
    let mount = format!("mount -t tmpfs -o size=320m none {path} && fallocate -l 300M {path}/{BALLAST}");
    let tried = Command::new("unshare").args([kind, "sh", "-c", &mount]).output().unwrap();
    if !tried.status.success() {
        let why = String::from_utf8_lossy(&tried.stderr).into_owned();
        // Past the capture of the test harness: it is to be seen.
        let _ =
            writeln!(std::io::stderr(), "LEFT OUT: {name}: no file system can be mounted: {}", why.trim());
        return;
    }
    let script = format!("{mount} && exec \"$0\" --exact {name} --nocapture");
    let status = Command::new("unshare")
        .args([kind, "sh", "-c", &script])
        .arg(std::env::current_exe().unwrap())
        .env(SMALL_DISK, directory.path())
        .status()
        .unwrap();
    assert!(status.success(), "{name} on a small disk: see above");
}

/// Whether the record says of a task that it failed. The stop of a run may meet tasks that run: those are
/// cancelled, and not for a fault of theirs.
fn is_blamed(row: &Row) -> bool {
    let is_ended_by_us = row["outcome"] == "cancelled" && row["cause"] == "farm_trouble";
    row["outcome"] != "succeeded" && !is_ended_by_us
}

/// Frees the space that [`BALLAST`] takes.
fn add_space(directory: &Path) {
    fs::remove_file(directory.join(BALLAST)).expect("there is ballast");
}

#[test]
fn a_disk_that_tasks_fill_stops_the_run_and_blames_nobody() {
    on_a_small_disk("a_disk_that_tasks_fill_stops_the_run_and_blames_nobody", |disk| {
        let tasks = vec!["head -c 1M /dev/zero > data"; 40];
        let run = farm_in(disk).tasks(&tasks).run().expect(NO_RECORD);
        assert!(run.stderr.contains("--resume"), "{}", run.stderr);
        add_space(disk);
        let run = run.again().tasks(&tasks).args(["--resume"]).run().expect(SUCCEEDED);
        assert_eq!(outcomes(&run), vec!["succeeded"; 40]);
        let is_blamed = |row: &Row| row["cause"] != "disk_full" && is_blamed(row);
        let blamed: Vec<Row> = run.record.table("attempts").rows.into_iter().filter(is_blamed).collect();
        assert!(blamed.is_empty(), "{blamed:?}");
        assert_nobody_is_left(&run);
    });
}

#[test]
fn a_disk_that_the_farm_fills_stops_the_run_and_loses_nothing() {
    on_a_small_disk("a_disk_that_the_farm_fills_stops_the_run_and_loses_nothing", |disk| {
        let tasks = vec!["true"; 5000];
        let run = farm_in(disk).tasks(&tasks).run().expect(NO_RECORD);
        // Where its end could be recorded at all, it is this one.
        let code = &run.record.run_json()["sessions"][0]["exit_code"];
        assert!(code.is_null() || *code == NO_RECORD, "{code}");
        assert!(run.stderr.contains("--resume"), "{}", run.stderr);
        add_space(disk);
        let run = run.again().tasks(&tasks).args(["--resume"]).run().expect(SUCCEEDED);
        assert_eq!(outcomes(&run), vec!["succeeded"; 5000]);
        let blamed: Vec<Row> = run.record.table("attempts").rows.into_iter().filter(is_blamed).collect();
        assert!(blamed.is_empty(), "{blamed:?}");
        assert_nobody_is_left(&run);
    });
}

#[test]
fn few_open_files_are_enough_or_the_end_is_clean() {
    let tasks = vec!["true"; 50];
    let run = farm().tasks(&tasks).ulimit("-n 64").run().expect(SUCCEEDED);
    assert_eq!(outcomes(&run), vec!["succeeded"; 50]);
    let run = farm().tasks(&tasks).workers(200).ulimit("-n 64").run();
    assert!(matches!(run.code, Some(SUCCEEDED | NO_RECORD)), "{:?}: {}", run.code, run.stderr);
    assert_nobody_is_left(&run);
    let run = farm().tasks(&tasks).ulimit("-n 12").run();
    assert_eq!(run.code, Some(NO_RECORD), "{}", run.stderr);
    assert_nobody_is_left(&run);
}

#[test]
fn a_limit_on_the_size_of_files_is_told_and_the_record_goes_on_without_it() {
    // In blocks of 512 bytes: first too few for the journal to begin, then for all events.
    let run = farm().tasks(["true"]).ulimit("-f 40").run().expect(NO_RECORD);
    assert!(run.stderr.contains("raise `ulimit -f`"), "{}", run.stderr);
    let tasks: Vec<&str> = std::iter::once("head -c 1000000 /dev/zero").chain(vec!["true"; 4000]).collect();
    let run = farm().tasks(&tasks).ulimit("-f 600").run().expect(NO_RECORD);
    assert!(run.stderr.contains("raise `ulimit -f`"), "{}", run.stderr);
    assert_nobody_is_left(&run);
    let run = run.again().tasks(&tasks).args(["--resume", "--skip-failed"]).run().expect(FAILED);
    let rows = run.record.table("tasks").rows;
    assert_eq!(rows.len(), 4001);
    for row in rows {
        let expected = match row["task_index"].as_i64() {
            Some(0) => (json!("signaled"), json!(libc::SIGXFSZ)),
            _ => (json!("succeeded"), Value::Null),
        };
        assert_eq!((row["outcome"].clone(), row["signal"].clone()), expected, "{row:?}");
    }
}

#[test]
fn no_more_processes_is_the_farms_trouble_and_not_the_tasks() {
    if !rustix::process::geteuid().is_root() {
        // The limit counts all processes of the user, those of other tests too.
        let _ = writeln!(std::io::stderr(), "LEFT OUT: the limit of processes is tested as root only");
        return;
    }
    let holds = does("await %SUBMITDIR%/never");
    for limit in 4..16 {
        let tasks = ["true", &holds, "true", "true"];
        let yaml: String = tasks.iter().map(|task| format!("- launch_cmd: {}\n", json!(task))).collect();
        let yaml = format!("timeout: 1s\nkill_grace: 0\ntasks:\n{yaml}");
        let run = farm().yaml(yaml).as_user(61_000 + limit).ulimit(&format!("-u {limit}")).run();
        assert!(matches!(run.code, Some(FAILED | NO_RECORD)), "{limit}: {:?}\n{}", run.code, run.stderr);
        assert_nobody_is_left(&run);
        if run.record.directory().join("tasks.parquet").exists() {
            for row in run.record.table("tasks").rows {
                let known = ["succeeded", "timed_out", "pending", "cancelled"];
                assert!(known.contains(&row["outcome"].as_str().unwrap()), "{limit}: {row:?}");
            }
        }
    }
}

#[test]
fn a_run_directory_that_becomes_read_only_keeps_its_record() {
    let tasks = ["true", "chmod a-w %SUBMITDIR%/run", "true", "true", "true"];
    let run = farm().tasks(tasks).as_user(61_100).workers(1).run().expect(NO_RECORD);
    assert_nobody_is_left(&run);
    fs::set_permissions(run.record.directory(), fs::Permissions::from_mode(0o755)).unwrap();
    let tasks = ["true", "true", "true", "true", "true"];
    let run = run.again().tasks(tasks).as_user(61_100).args(["--resume"]).run().expect(SUCCEEDED);
    assert!(run.record.table("attempts").rows.iter().all(|row| row["outcome"] == "succeeded"));
}

#[test]
fn a_fork_bomb_is_held_by_its_time_limit() {
    if !rustix::process::geteuid().is_root() {
        let _ = writeln!(
            std::io::stderr(),
            "LEFT OUT: a fork bomb is set off as a user of its own, which takes root"
        );
        return;
    }
    let list = format!("tasks:\n- launch_cmd: {}\n- launch_cmd: 'true'\n", json!(does("fork-bomb")));
    let yaml = format!("timeout: 1s\nkill_grace: 100ms\n{list}");
    let run = farm().yaml(yaml).as_user(61_200).ulimit("-u 300").run();
    assert!(matches!(run.code, Some(FAILED | NO_RECORD)), "{:?}\n{}", run.code, run.stderr);
    assert_eq!(run.record.task("0")["outcome"], "timed_out");
    assert!(["succeeded", "pending"].contains(&run.record.task("1")["outcome"].as_str().unwrap()));
    assert_nobody_is_left(&run);
}

#[test]
fn tasks_that_behave_badly_end_clearly() {
    let tasks = [
        format!("{} && true", does("close-output")),
        format!("{}; exit 3", does("shout stderr 50")),
        format!("{} && exit 4", does("leave daemon pid")),
        does("effect-hard mark 1"),
    ];
    let run = farm().tasks(&tasks).run().expect(FAILED);
    assert_eq!(outcomes(&run), ["succeeded", "failed", "failed", "succeeded"]);
    assert_eq!(run.record.column("tasks", "leftover_process_count"), [0, 0, 1, 1]);
    for (id, file) in [("2", "pid"), ("3", "left.pid")] {
        assert!(!process_exists(run.record.read(id, file).parse().unwrap()));
    }
    assert_nobody_is_left(&run);
}

#[test]
fn thousands_of_failures_at_once_are_all_told() {
    let tasks = vec!["sh -c 'echo broken >&2; exit 9'"; 5000];
    let run = farm().tasks(&tasks).run().expect(FAILED);
    assert_eq!(outcomes(&run), vec!["failed"; 5000]);
    assert!(run.record.column("tasks", "stderr_tail").iter().all(|tail| tail == "broken\n"));
    assert!(run.stderr.contains("5,000 tasks: exit code 9: broken (task "), "{}", run.stderr);
    assert_nobody_is_left(&run);
}
