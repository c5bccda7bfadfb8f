//! `ictasks submit` as far as it goes without a cluster, and shards.

use std::fs;

use ictasks_tests::programs::ictasks;
use ictasks_tests::{BAD_INPUT, FAILED, Farm, Finished, SUCCEEDED, farm, report};
use serde_json::json;

/// A program in the place of sbatch that says what it was given, and which job it made.
const STAND_IN: &str = "#!/bin/sh\necho \"$@\" > \"$PWD/given\"\n[ -z \"$REFUSES\" ] || { echo \"sbatch: error: $REFUSES\" >&2; exit 1; }\necho '4711;cluster'\n";

fn submit(farm: Farm, words: &[&str]) -> Farm {
    farm.program_in_path("sbatch", STAND_IN).command(["submit"].iter().chain(words))
}

fn script(run: &Finished) -> String {
    let text = fs::read_to_string(run.directory().join("run/submit.sh")).unwrap();
    shown(run, &text)
}

fn shown(run: &Finished, text: &str) -> String {
    text.replace(&run.directory().display().to_string(), "[TMP]")
        .replace(&ictasks().display().to_string(), "[ICTASKS]")
}

const YAML: &str = "slurm:
  time: 2h30m
  partition: main
  setup: module load gcc
tasks:
- launch_cmd: 'true'
";

#[test]
fn a_script_is_written_submitted_and_told_of() {
    let farm = farm().file("my.yaml", YAML);
    let words = ["--config", "my.yaml", "--run-dir", "run", "--nodes", "2", "-p", "fast", "--workers=3"];
    let run = submit(farm, &words).run().expect(SUCCEEDED);
    let expected = "#!/bin/bash
#SBATCH --job-name=run
#SBATCH --output=[TMP]/run/slurm-%j.out
#SBATCH --open-mode=append
#SBATCH --chdir=[TMP]
#SBATCH --exclusive
#SBATCH --time=2:30:00
#SBATCH --nodes=2
#SBATCH --partition=fast
# Written by `ictasks submit`, which writes it anew each time.
module load gcc
exec [ICTASKS] taskfarm --config [TMP]/my.yaml --workers 3 --run-dir [TMP]/run --resume ${SLURM_RESTART_COUNT:+--skip-failed}
";
    assert_eq!(script(&run), expected);
    let given = fs::read_to_string(run.directory().join("given")).unwrap();
    assert_eq!(shown(&run, &given), "--parsable [TMP]/run/submit.sh\n");
    for part in
        ["job 4711", "squeue -j 4711", "ictasks watch", "slurm-4711.out", "whole nodes", "scancel 4711"]
    {
        assert!(run.stderr.contains(part), "{part}: {}", run.stderr);
    }
}

#[test]
fn a_dry_run_shows_the_script_and_leaves_nothing() {
    let farm = farm().file("tasks.txt", "true\n");
    let words = ["--tasklist", "tasks.txt", "--run-dir", "run", "--dry-run", "--array", "10%4", "--ntasks=4"];
    let run = submit(farm, &words).run().expect(SUCCEEDED);
    assert!(run.stdout.contains("#SBATCH --array=1-10%4\n#SBATCH --ntasks=4\n"), "{}", run.stdout);
    assert!(run.stdout.contains(" --shard \"$SLURM_ARRAY_TASK_ID/10\" --resume"), "{}", run.stdout);
    assert!(!run.directory().join("run").exists() && !run.directory().join("given").exists());
}

#[test]
fn what_is_wrong_is_told_before_anything_is_submitted() {
    for (yaml, words, expected) in [
        ("slurm: {partitoin: a}\n", &["--config", "my.yaml"][..], "did you mean `partition`?"),
        ("tasks: [{launch_cmd: a}]\n", &["--config", "my.yaml", "--time", "soon"], "`soon` is no time limit"),
        ("tasks: [{launch_cmd: a}]\n", &["--config", "my.yaml", "--wrap", "x"], "slurm: setup:"),
        ("tasks: [{launch_cmd: a}]\n", &["--config", "my.yaml", "--array", "1-10"], "is no number of shards"),
        ("job_id: a\n", &["--config", "my.yaml"], "there are no tasks"),
        ("", &["--tasklist", "-"], "a stream of this command"),
        ("", &["--nodes", "2"], "there is nothing to run"),
    ] {
        let run = submit(farm().file("my.yaml", yaml), words).run().expect(BAD_INPUT);
        assert!(run.stderr.contains(expected), "{expected}: {}", run.stderr);
        assert!(!run.directory().join("given").exists());
    }
}

#[test]
fn what_sbatch_says_is_passed_on() {
    let farm = farm().file("my.yaml", YAML).env("REFUSES", "Invalid partition name specified");
    let run = submit(farm, &["--config", "my.yaml", "--run-dir", "run"]).run().expect(BAD_INPUT);
    assert!(run.stderr.contains("sbatch refused the job"), "{}", run.stderr);
    assert!(run.stderr.contains("Invalid partition name specified"), "{}", run.stderr);
}

#[test]
fn an_earlier_run_is_gone_on_with_only_if_that_is_asked_for() {
    let run = farm().tasks(["true"]).run().expect(SUCCEEDED);
    let words = ["--tasklist", "tasks.txt", "--run-dir", "run"];
    let run = submit(run.again(), &words).run().expect(BAD_INPUT);
    assert!(run.stderr.contains("holds an earlier run"), "{}", run.stderr);
    // What was run is known from the record.
    let run = submit(run.again(), &["--run-dir", "run", "--resume", "-t", "5"]).run().expect(SUCCEEDED);
    assert!(
        script(&run).contains(" --tasklist [TMP]/tasks.txt --run-dir [TMP]/run --resume "),
        "{}",
        script(&run)
    );
}

fn shard(farm: Farm, shard: &str) -> Finished {
    farm.args(["--shard", shard]).run()
}

#[test]
fn shards_run_by_themselves_and_are_reported_as_one() {
    let tasks: Vec<String> = (0..10).map(|number| format!("exit {}", number / 9)).collect();
    let mut run = farm().tasks(&tasks).args(["--shard", "1/3"]).run().expect(FAILED);
    for number in ["2/3", "3/3"] {
        run = shard(run.again().tasks(&tasks), number).expect(SUCCEEDED);
    }
    let whole = run.record.directory().to_owned();
    let names = ["shard-1", "shard-2", "shard-3"];
    let ids = |name: &str| {
        let mut names: Vec<String> = fs::read_dir(whole.join(name))
            .unwrap()
            .filter_map(|entry| {
                entry.unwrap().file_name().into_string().unwrap().strip_prefix("task_").map(str::to_owned)
            })
            .collect();
        names.sort();
        names.join(" ")
    };
    assert_eq!(names.map(ids), ["0 3 6 9", "1 4 7", "2 5 8"]);
    let findings = report(&whole, &[]);
    assert_eq!(findings["task_count"], 10);
    assert_eq!(findings["runs"].as_array().unwrap().len(), 3);
    assert_eq!(
        (&findings["runs"][2]["job_id"], &findings["runs"][2]["shard"]),
        (&json!("run"), &json!("3/3"))
    );
    let run = run.again().command(["report", "run"]).run().expect(SUCCEEDED);
    assert!(run.stdout.contains("9 of 10 tasks succeeded, 1 failed"), "{}", run.stdout);
    assert!(run.stdout.contains("run: 3 of 3 shards"), "{}", run.stdout);
    let run = run.again().command(["report", "run", "--task", "5"]).run().expect(SUCCEEDED);
    assert!(run.stdout.contains("exit 0"), "{}", run.stdout);
}

#[test]
fn a_shard_goes_on_as_itself_alone() {
    let tasks = ["true", "true", "true"];
    let run = farm().tasks(tasks).args(["--shard", "2/2"]).run().expect(SUCCEEDED);
    let again = run.again().args(["--run-dir", "run"]).command([
        "taskfarm",
        "--run-dir",
        "run",
        "--resume",
        "--shard",
        "2/2",
    ]);
    let again = again.run().expect(SUCCEEDED);
    assert!(again.stderr.contains("1 succeeded before"), "{}", again.stderr);
    let farm = again.again();
    let from = farm.directory().join("run/shard-2");
    fs::rename(&from, farm.directory().join("run/shard-1")).unwrap();
    let run = farm.tasks(tasks).args(["--shard", "1/2", "--resume"]).run().expect(BAD_INPUT);
    assert!(run.stderr.contains("is of shard 2/2 and not of shard 1/2"), "{}", run.stderr);
}
