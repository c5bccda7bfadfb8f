//! The end of an allocation, told by Slurm's variables; no Slurm is needed for that.

use std::time::{SystemTime, UNIX_EPOCH};

use ictasks_tests::programs::subject;
use ictasks_tests::{FAILED, Farm, SUCCEEDED, TERMINATED, farm, wait_for};
use serde_json::json;

fn does(words: &str) -> String {
    format!("{} {words}", subject().display())
}

trait InAllocation {
    /// Runs in an allocation that ends so many seconds from now.
    fn ending_in(self, seconds: u64) -> Farm;
}

impl InAllocation for Farm {
    fn ending_in(self, seconds: u64) -> Farm {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        self.env("SLURM_JOB_ID", "77")
            .env("SLURM_JOB_NODELIST", "node1")
            .env("SLURM_JOB_CPUS_PER_NODE", "2")
            .env("SLURM_JOB_END_TIME", (now + seconds).to_string())
            // There is no node to start agents on.
            .args(["--backend", "local"])
    }
}

#[test]
fn what_still_runs_is_ended_before_the_allocation_is() {
    let tasks = ["true".to_owned(), does("await %SUBMITDIR%/never"), does("stubborn pid"), "true".to_owned()];
    let begun = SystemTime::now();
    let run = farm().tasks(&tasks).ending_in(6).run().expect(FAILED);
    assert!(begun.elapsed().unwrap().as_secs_f64() < 6.0, "the allocation is over");
    assert_eq!(run.record.column("tasks", "outcome"), ["succeeded", "cancelled", "cancelled", "pending"]);
    let causes = run.record.column("tasks", "cause");
    assert_eq!(causes[1..], ["walltime"; 3]);
    assert!(run.stderr.contains("the end of the allocation is near"), "{}", run.stderr);
    assert!(run.stderr.contains("--resume"), "{}", run.stderr);
    let json = run.record.run_json();
    assert_eq!((&json["state"], &json["list_complete"]), (&json!("interrupted"), &json!(true)));
    assert!(json["sessions"][0]["plan"]["deadline"].is_i64());
}

#[test]
fn tasks_that_would_not_end_in_time_stay_pending_until_the_next_job() {
    let yaml = "
walltime_margin: 1s
tasks:
- {launch_cmd: 'true', expected_time: 1h}
- {launch_cmd: 'true', expected_time: 10s}
- {launch_cmd: 'true'}
- {launch_cmd: 'true', expected_time: 2h}
";
    let run = farm().yaml(yaml).ending_in(600).run().expect(FAILED);
    assert_eq!(run.record.column("tasks", "outcome"), ["pending", "succeeded", "succeeded", "pending"]);
    assert_eq!(run.record.column("tasks", "cause")[3], "walltime");
    assert!(run.stderr.contains("no task that is left would end before"), "{}", run.stderr);
    let run = run.again().yaml(yaml).args(["--resume"]).run().expect(SUCCEEDED);
    assert_eq!(run.record.column("tasks", "outcome"), ["succeeded"; 4]);
}

#[test]
fn a_task_that_fits_nowhere_is_tried_all_the_same() {
    let list = "{\"launch_cmd\": \"true\", \"expected_time\": \"9h\"}\n".repeat(2);
    let run = farm().jsonl(list).ending_in(600).run().expect(FAILED);
    assert_eq!(run.record.column("tasks", "outcome"), ["succeeded", "pending"]);
}

#[test]
fn variables_that_say_no_end_are_told_and_no_hindrance() {
    for (name, value) in [("SLURM_JOB_END_TIME", "soon"), ("SLURM_JOB_NODELIST", "node[1")] {
        let run = farm().tasks(["true"]).ending_in(600).env(name, value).run().expect(SUCCEEDED);
        assert!(run.stderr.contains("the end of the allocation is not known"), "{}", run.stderr);
    }
}

/// The run of a task that never ends, in a job that gets SIGTERM, of which `squeue` says this.
fn terminated(squeue_says: &str) -> ictasks_tests::Finished {
    let squeue = format!("#!/bin/sh\ncase \"$*\" in *PreemptTime*) echo '{squeue_says}';; esac\n");
    let run = farm().tasks([does("await never"), "true".to_owned()]).workers(1);
    let run = run.program_in_path("squeue", &squeue).ending_in(86400).start();
    let begun = || run.record.journal().iter().any(|event| event["kind"] == "task_started").then_some(());
    wait_for("the task", begun);
    run.signal(libc::SIGTERM);
    run.wait().expect(TERMINATED)
}

#[test]
fn the_end_of_a_preempted_job_is_told_as_such() {
    let run = terminated("2026-11-28T18:07:44             ");
    assert_eq!(run.record.column("tasks", "outcome"), ["cancelled", "pending"]);
    assert_eq!(run.record.column("tasks", "cause"), ["preempted"; 2]);
    assert!(run.stderr.contains("preempted: Slurm gave"), "{}", run.stderr);
}

#[test]
fn the_end_of_another_job_is_an_interruption() {
    let run = terminated("N/A                             ");
    assert_eq!(run.record.column("tasks", "cause"), ["interrupted"; 2]);
}
