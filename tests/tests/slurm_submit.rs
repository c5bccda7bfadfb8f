//! `ictasks submit` on a real Slurm, and the time of its jobs.

use ictasks_tests::programs::{ictasks, subject};
use ictasks_tests::slurm::{Cluster, Job};
use ictasks_tests::{FAILED, SUCCEEDED, report};
use serde_json::json;

/// Runs `ictasks submit` as on the login node.
fn submit<'a>(cluster: &'a Cluster, words: &[&str]) -> Job<'a> {
    let program = ictasks().display().to_string();
    let output = cluster.output([program.as_str(), "submit"].iter().chain(words));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let id = said.split("submitted: job ").nth(1).and_then(|rest| rest.split(',').next());
    cluster.job(id.unwrap_or_else(|| panic!("no id: {said}")))
}

#[test]
#[ignore = "needs Slurm"]
fn a_submitted_job_runs_with_what_it_was_given() {
    let cluster = Cluster::up(1);
    let yaml = "
slurm: {setup: 'export FROM_SETUP=yes', comment: configured}
tasks:
- launch_cmd: echo $FROM_SETUP $SLURM_JOB_NAME
";
    cluster.file("my.yaml", yaml);
    let comment = r#"it's "so" \ and # so"#;
    let job =
        submit(&cluster, &["--config", "my.yaml", "--run-dir", "a b", "-t", "10", "--comment", comment]);
    assert_eq!(job.end(), SUCCEEDED);
    let shown = cluster.run(["scontrol", "show", "job", &job.id]);
    assert!(shown.lines().any(|line| line.trim() == format!("Comment={comment}")), "{shown}");
    let record = cluster.record("a b");
    assert_eq!(record.stdout("0"), "yes a b\n");
    assert!(record.directory().join(format!("slurm-{}.out", job.id)).is_file());
    // Slurm 22.05 tells the end to squeue only.
    let session = &record.run_json()["sessions"][0];
    let deadline = session["plan"]["deadline"].as_i64().expect("the end of the job is known") / 1_000_000;
    let end =
        cluster.run(["env", "SLURM_TIME_FORMAT=%s", "squeue", "-h", "-t", "all", "-j", &job.id, "-o", "%S"]);
    let began: i64 = end.trim().parse().expect("seconds");
    assert_eq!(deadline - began, 600);
}

#[test]
#[ignore = "needs Slurm"]
fn a_job_requeues_itself_until_all_is_done() {
    let cluster = Cluster::up(1);
    // As Slurm from 23.02 on tells it. The first start is too short for the second task, the next one is not.
    let end = "export SLURM_JOB_END_TIME=$(($(date +%s) + 5 + ${SLURM_RESTART_COUNT:-0} * 1000))";
    let yaml = format!(
        "slurm: {{requeue: true, setup: {}}}\ntasks:\n- launch_cmd: 'true'\n- launch_cmd: {}\n- launch_cmd: exit 3\n",
        json!(end),
        json!(format!("[ -n \"$SLURM_RESTART_COUNT\" ] || exec {} await never", subject().display()))
    );
    cluster.file("my.yaml", yaml);
    let job = submit(&cluster, &["--config", "my.yaml", "--run-dir", "run", "--workers", "2"]);
    assert_eq!(job.end(), FAILED);
    let record = cluster.record("run");
    assert_eq!(record.column("tasks", "outcome"), ["succeeded", "succeeded", "failed"]);
    assert_eq!(
        record.column("tasks", "attempt"),
        [1, 2, 1],
        "what failed is not tried again by the same job"
    );
    let attempts = record.table("attempts").rows;
    let cancelled: Vec<_> = attempts.iter().filter(|row| row["outcome"] == "cancelled").collect();
    assert_eq!((cancelled.len(), &cancelled[0]["cause"]), (1, &json!("walltime")));
    assert_eq!(record.run_json()["sessions"].as_array().map(Vec::len), Some(2));
}

#[test]
#[ignore = "needs Slurm"]
fn shards_of_an_array_are_one_run() {
    let cluster = Cluster::up(2);
    let tasks: String = (0..8).map(|number| format!("echo {number} on $(hostname)\n")).collect();
    cluster.file("tasks.txt", tasks);
    let words = ["--tasklist", "tasks.txt", "--run-dir", "run", "--array", "3%2", "--time", "5"];
    let job = submit(&cluster, &words);
    job.wait_until("COMPLETED");
    let findings = report(&cluster.directory().join("run"), &[]);
    assert_eq!(findings["task_count"], 8);
    assert_eq!(findings["runs"].as_array().map(Vec::len), Some(3));
    assert_eq!(findings["host_count"], 2, "two at a time, each with a node of its own");
    let id = |shard: &str| {
        let session = &cluster.record(&format!("run/{shard}")).run_json()["sessions"][0];
        session["slurm"]["array_job_id"].clone()
    };
    assert_eq!(["shard-1", "shard-2", "shard-3"].map(id), [json!(job.id), json!(job.id), json!(job.id)]);
    assert!(cluster.directory().join("run/shard-2/task_7/task_stdout.txt").is_file());
}
