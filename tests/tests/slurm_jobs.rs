//! Runs in jobs of a real Slurm on one node: how they end with their jobs, and go on with them.

use std::fs;

use ictasks_tests::programs::subject;
use ictasks_tests::slurm::Cluster;
use ictasks_tests::{SUCCEEDED, TERMINATED, processes_with, wait_for};
use serde_json::json;

fn does(words: &str) -> String {
    format!("{} {words}", subject().display())
}

/// Waits for the task that writes this file; nodes have process ids of their own.
fn wait_for_task(cluster: &Cluster, file: &str) {
    let is_there = || cluster.directory().join(file).exists() && tasks_live(cluster);
    wait_for("the task", || is_there().then_some(()));
}

/// Whether anything is left of the tasks of the run.
fn tasks_live(cluster: &Cluster) -> bool {
    let variable = format!("ICTASKS_RUN_DIR={}", cluster.directory().join("run").display());
    !processes_with(&variable).is_empty()
}

#[test]
#[ignore = "needs Slurm"]
fn a_job_runs_its_tasks_and_the_record_knows_the_job() {
    let cluster = Cluster::up(1);
    cluster.file("tasks.txt", "hostname\necho $SLURM_JOB_ID\n");
    let job =
        cluster.submit(&["-N1", "--exclusive"], "exec ICTASKS taskfarm --tasklist tasks.txt --run-dir run");
    assert_eq!(job.end(), SUCCEEDED);
    let record = cluster.record("run");
    assert_eq!(record.stdout("0"), "node1\n");
    assert_eq!(record.stdout("1"), format!("{}\n", job.id));
    assert_eq!(record.task("0")["host"], "node1");
    let slurm = &record.run_json()["sessions"][0]["slurm"];
    assert_eq!((&slurm["job_id"], &slurm["job_nodelist"]), (&json!(job.id), &json!("node1")));
}

#[test]
#[ignore = "needs Slurm"]
fn a_cancelled_job_ends_its_tasks_and_completes_its_record() {
    let cluster = Cluster::up(1);
    cluster.file("tasks.txt", format!("touch %SUBMITDIR%/begun; exec {}\ntrue\n", does("await never")));
    let job =
        cluster.submit(&["-N1"], "exec ICTASKS taskfarm --tasklist tasks.txt --run-dir run --workers 1");
    wait_for_task(&cluster, "begun");
    job.cancel(&[]);
    assert_eq!(job.end(), TERMINATED);
    assert!(!tasks_live(&cluster));
    let record = cluster.record("run");
    assert_eq!(record.column("tasks", "outcome"), ["cancelled", "pending"]);
    assert_eq!(record.column("tasks", "cause"), ["interrupted", "interrupted"]);
    assert_eq!(record.run_json()["state"], "interrupted");
}

#[test]
#[ignore = "needs Slurm"]
fn a_requeued_job_goes_on_with_its_run() {
    let cluster = Cluster::up(1);
    // The first start never gets beyond the second task, the second one does.
    let waits =
        format!("touch %SUBMITDIR%/begun; [ -n \"$SLURM_RESTART_COUNT\" ] || exec {}", does("await never"));
    cluster.file("tasks.txt", format!("true\n{waits}\ntrue\n"));
    let job = cluster.submit(
        &["-N1", "--requeue"],
        "exec ICTASKS taskfarm --tasklist tasks.txt --run-dir run --workers 1",
    );
    wait_for_task(&cluster, "begun");
    cluster.run(["scontrol", "requeue", &job.id]);
    assert_eq!(job.end(), SUCCEEDED);
    assert!(!tasks_live(&cluster));
    let record = cluster.record("run");
    assert_eq!(record.column("tasks", "outcome"), ["succeeded"; 3]);
    assert_eq!(record.column("tasks", "attempt"), [1, 2, 1]);
    assert_eq!(record.column("tasks", "reason")[1..], ["interrupted_before", "never_ran"]);
    let said = fs::read_to_string(cluster.directory().join("job.out")).unwrap();
    assert!(said.contains("Slurm has started this job again"), "{said}");
}

#[test]
#[ignore = "needs Slurm"]
fn a_preempted_job_says_so() {
    let partitions = "PreemptType=preempt/partition_prio\nPreemptMode=CANCEL\n\
                      PartitionName=low Nodes=ALL PriorityTier=1\nPartitionName=high Nodes=ALL PriorityTier=10";
    let cluster = Cluster::with(1, &[("MINI_SLURM_EXTRA", partitions)]);
    cluster.file("tasks.txt", format!("touch %SUBMITDIR%/begun; exec {}\ntrue\n", does("await never")));
    let job = cluster.submit(
        &["-N1", "--exclusive", "-p", "low", "--no-requeue"],
        "exec ICTASKS taskfarm --tasklist tasks.txt --run-dir run --workers 1",
    );
    wait_for_task(&cluster, "begun");
    cluster.run(["sbatch", "-N1", "--exclusive", "-p", "high", "--output=/dev/null", "--wrap=true"]);
    assert_eq!(job.end(), TERMINATED);
    assert!(!tasks_live(&cluster));
    let record = cluster.record("run");
    assert_eq!(record.column("tasks", "outcome"), ["cancelled", "pending"]);
    assert_eq!(record.column("tasks", "cause"), ["preempted"; 2]);
}

#[test]
#[ignore = "needs Slurm"]
fn at_the_time_limit_tasks_end_whether_they_trap_sigterm_or_not_and_the_next_job_goes_on() {
    let cluster = Cluster::up(1);
    cluster.file("farm.yaml", "walltime_margin: 0\nkill_grace: 1s\ntask_distribution: {cores_per_node: 3}\n");
    let unless_second = "[ -e %SUBMITDIR%/second ] ||";
    let traps = format!("bash -c '{unless_second} {{ trap \"\" TERM; while :; do sleep 1; done; }}'");
    let obeys = format!("bash -c '{unless_second} while :; do sleep 1; done'");
    cluster.file("tasks.txt", format!("{traps}\n{obeys}\ntouch %SUBMITDIR%/begun\ntrue\n"));
    let farm = "exec ICTASKS taskfarm --config farm.yaml --tasklist tasks.txt --run-dir run";
    // Slurm sees only every half minute whose time is up.
    let job = cluster.submit(&["-N1", "--exclusive", "--time=1", "--no-requeue"], farm);
    wait_for_task(&cluster, "begun");
    assert_ne!(job.end(), SUCCEEDED);
    assert!(!tasks_live(&cluster));
    let record = cluster.record("run");
    assert_eq!(record.column("tasks", "outcome"), ["cancelled", "cancelled", "succeeded", "succeeded"]);
    assert_eq!(record.column("tasks", "cause")[..2], ["walltime"; 2]);
    assert_eq!(record.run_json()["state"], "interrupted");
    cluster.file("second", "");
    let job = cluster.submit(&["-N1", "--exclusive"], &format!("{farm} --resume"));
    assert_eq!(job.end(), SUCCEEDED);
    assert_eq!(record.column("tasks", "outcome"), ["succeeded"; 4]);
}
