//! Farms over the nodes of a real Slurm, and what happens to nodes.

use std::collections::HashSet;
use std::fs;

use ictasks_tests::disasters::{self, Disaster};
use ictasks_tests::lives;
use ictasks_tests::slurm::Cluster;
use ictasks_tests::table::Row;
use ictasks_tests::{Record, SUCCEEDED, TERMINATED, wait_for};
use serde_json::{Value, json};

const FARM: &str = "exec ICTASKS taskfarm --config farm.yaml --tasklist tasks.txt --run-dir run";
const ALL_NODES: [&str; 4] = ["-N3", "-n12", "--no-kill", "--no-requeue"];

fn prepared(cluster: &Cluster, yaml: &str, tasks: &[&str]) {
    cluster.file("farm.yaml", yaml);
    cluster.file("tasks.txt", tasks.concat());
    lives::prepare(cluster.directory());
}

fn go(cluster: &Cluster) {
    cluster.file("go", "");
}

fn events(record: &Record, kind: &str) -> Vec<Row> {
    let mut rows = record.table("events").rows;
    rows.retain(|row| row["kind"] == kind);
    rows
}

fn hosts(record: &Record) -> HashSet<String> {
    let hosts = record.column("attempts", "host");
    hosts.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

#[test]
#[ignore = "needs Slurm"]
fn every_node_of_an_allocation_works_by_one_step() {
    let cluster = Cluster::up(3);
    let tasks = lives::until_go();
    // Each node has one CPU of the job, so all have to work at one time.
    prepared(&cluster, "{}", &[tasks.as_str(); 3]);
    let job = cluster.submit(&["-N3", "-n3"], FARM);
    lives::wait_for_lives(cluster.directory(), 3);
    let steps = cluster.run(["squeue", "-h", "-s", "-j", &job.id, "-o", "%i %j"]);
    let agents = steps.lines().filter(|line| line.ends_with("ictasks-agent")).count();
    assert_eq!(agents, 1, "{steps}");
    go(&cluster);
    assert_eq!(job.end(), SUCCEEDED);
    let record = cluster.record("run");
    let names = ["node1", "node2", "node3"].map(str::to_owned);
    assert_eq!(hosts(&record), HashSet::from(names));
    let joined = events(&record, "node_joined");
    assert_eq!(joined.len(), 3);
    for row in joined {
        let offset = row["clock_offset_s"].as_f64().unwrap();
        assert!(offset.abs() < 1.0 && row["core_count"].as_i64() >= Some(1), "{row:?}");
    }
    let slurm = &record.run_json()["sessions"][0]["slurm"];
    assert_eq!((&slurm["job_id"], &slurm["job_nodelist"]), (&json!(job.id), &json!("node[1-3]")));
    let sampled: HashSet<Value> = record.column("samples", "host").into_iter().collect();
    assert_eq!(sampled.len(), 3);
    lives::check(cluster.directory(), &record);
}

#[test]
#[ignore = "needs Slurm"]
fn tasks_see_the_gpus_of_their_nodes_and_no_two_the_same() {
    let cluster = Cluster::with(2, &[("MINI_SLURM_GPUS", "2")]);
    let gpus = lives::until_go_after("echo $(hostname) $ICTASKS_GPU_IDS > gpu");
    let yaml = "task_distribution: {cores_per_task: 1, gpus_per_task: 1}";
    prepared(&cluster, yaml, &[gpus.as_str(); 4]);
    let job = cluster.submit(&["-N2", "-n8", "--gres=gpu:2"], FARM);
    lives::wait_for_lives(cluster.directory(), 4);
    go(&cluster);
    assert_eq!(job.end(), SUCCEEDED);
    let record = cluster.record("run");
    let seen: HashSet<String> = (0..4).map(|id| record.read(&id.to_string(), "gpu")).collect();
    let expected = ["node1 0\n", "node1 1\n", "node2 0\n", "node2 1\n"].map(str::to_owned);
    assert_eq!(seen, HashSet::from(expected));
}

#[test]
#[ignore = "needs Slurm"]
fn what_ran_on_a_node_without_power_runs_elsewhere() {
    let cluster = Cluster::up(3);
    let tasks = lives::until_go();
    prepared(&cluster, "{}", &[tasks.as_str(); 4]);
    let job = cluster.submit(&ALL_NODES, &format!("{FARM} --workers 1"));
    lives::wait_for_lives(cluster.directory(), 3);
    cluster.disaster(&["kill-node", "2"]);
    // The fourth task has no place until then: the others hold theirs.
    let said = || fs::read_to_string(cluster.directory().join("job.out")).unwrap_or_default();
    wait_for("the loss to be known", || said().contains("node2 was lost").then_some(()));
    assert_eq!(lives::begun(cluster.directory()), 3);
    go(&cluster);
    assert_eq!(job.end(), SUCCEEDED);
    let record = cluster.record("run");
    assert_eq!(record.column("tasks", "outcome"), ["succeeded"; 4]);
    assert_eq!(events(&record, "node_lost").len(), 1);
    let lost: Vec<Value> = record.column("attempts", "outcome");
    assert_eq!(lost.iter().filter(|outcome| **outcome == "node_lost").count(), 1);
    lives::check(cluster.directory(), &record);
}

#[test]
#[ignore = "needs Slurm"]
fn a_short_cut_of_the_network_changes_nothing_and_a_long_one_costs_the_node() {
    let cluster = Cluster::up(3);
    let tasks = lives::until_go();
    prepared(&cluster, "{}", &[tasks.as_str(); 3]);
    let job = cluster.submit(&ALL_NODES, &format!("{FARM} --workers 1"));
    lives::wait_for_lives(cluster.directory(), 3);
    cluster.disaster(&["cut-node", "3"]);
    cluster.disaster(&["join-node", "3"]);
    cluster.disaster(&["cut-node", "2"]);
    let said = || fs::read_to_string(cluster.directory().join("job.out")).unwrap_or_default();
    wait_for("the loss to be known", || said().contains("node2 was lost").then_some(()));
    cluster.disaster(&["join-node", "2"]);
    go(&cluster);
    assert_eq!(job.end(), SUCCEEDED);
    let record = cluster.record("run");
    assert_eq!(record.column("tasks", "outcome"), ["succeeded"; 3]);
    let lost = events(&record, "node_lost");
    assert_eq!(lost.iter().map(|row| &row["host"]).collect::<Vec<_>>(), ["node2"]);
    lives::check(cluster.directory(), &record);
}

#[test]
#[ignore = "needs Slurm"]
fn what_was_frozen_for_too_long_never_runs_beside_its_successor() {
    let seed = (0..).find(|seed| Disaster::of(*seed) == Disaster::LongFreeze).unwrap();
    let seen = disasters::round(seed);
    assert!(seen.lost > 0, "{seen:?}");
}

#[test]
#[ignore = "needs Slurm"]
fn a_cancelled_job_completes_its_record_and_another_of_another_size_goes_on() {
    let cluster = Cluster::up(3);
    let tasks = lives::until_go();
    prepared(&cluster, "{}", &[tasks.as_str(); 5]);
    let job = cluster.submit(&ALL_NODES, &format!("{FARM} --workers 1"));
    lives::wait_for_lives(cluster.directory(), 3);
    job.cancel(&[]);
    assert_eq!(job.end(), TERMINATED);
    let record = cluster.record("run");
    let mut outcomes = record.column("tasks", "outcome");
    outcomes.sort_by_key(ToString::to_string);
    assert_eq!(outcomes, ["cancelled", "cancelled", "cancelled", "pending", "pending"]);
    assert_eq!(record.run_json()["state"], "interrupted");
    go(&cluster);
    let job = cluster.submit(&["-N2", "-n8"], &format!("{FARM} --resume"));
    assert_eq!(job.end(), SUCCEEDED);
    assert_eq!(record.column("tasks", "outcome"), ["succeeded"; 5]);
    lives::check(cluster.directory(), &record);
}

#[test]
#[ignore = "needs Slurm"]
fn when_the_coordinators_node_dies_nothing_runs_on_and_the_next_job_goes_on() {
    let cluster = Cluster::up(3);
    let tasks = lives::until_go();
    prepared(&cluster, "{}", &[tasks.as_str(); 3]);
    let lost = cluster.submit(&ALL_NODES, &format!("{FARM} --workers 1"));
    lives::wait_for_lives(cluster.directory(), 3);
    cluster.disaster(&["kill-node", "1", "down"]);
    // With `--no-kill` a job outlives the node of its script, and holds the others.
    lost.cancel(&[]);
    // As long as the first start may be alive for all that is known, the second one is refused.
    let farm = FARM.trim_start_matches("exec ");
    let script = format!(
        "for i in $(seq 40); do {farm} --resume; code=$?; [ $code = 2 ] || exit $code; sleep 3; done"
    );
    let job = cluster.submit(&["-N2", "-n8"], &script);
    go(&cluster);
    assert_eq!(job.end(), SUCCEEDED);
    let record = cluster.record("run");
    assert_eq!(record.column("tasks", "outcome"), ["succeeded"; 3]);
    lives::check(cluster.directory(), &record);
}
