//! What a user can ask of a run that is alive: to stop, to drain, to pause; and to look at it.

use std::fs;

use ictasks_tests::programs::subject;
use ictasks_tests::{
    FAILED, INTERRUPTED, Running, SUCCEEDED, TERMINATED, children_named, farm, process_exists, send_signal,
    tree, wait_for,
};
use serde_json::{Value, json};

fn does(words: &str) -> String {
    format!("{} {words}", subject().display())
}

fn started(run: &Running, count: usize) {
    let is_started = || {
        let started = run.record.journal().iter().filter(|event| event["kind"] == "task_started").count();
        (started >= count).then_some(())
    };
    wait_for("tasks to run", is_started);
}

fn ask(run: &Running, words: &[&str]) -> String {
    let mut command = std::process::Command::new(ictasks_tests::programs::ictasks());
    let output = command.args(words).arg(run.record.directory()).output().expect("start ictasks");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

fn state(pid: i64) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(") ").next()?.chars().next()
}

/// The agent and its slots.
fn tree_of_agent(run: &Running) -> Vec<i64> {
    let agents = children_named(run.pid().into(), "ictasks-agent");
    let slots = agents.iter().flat_map(|agent| children_named(*agent, "ictasks-agent"));
    agents.iter().copied().chain(slots).collect()
}

#[test]
fn a_run_is_drained_by_a_signal_and_by_the_command() {
    for by_signal in [true, false] {
        let waits = does("await %SUBMITDIR%/go");
        let run = farm().tasks([waits.as_str(), "true", "true"]).workers(1).start();
        started(&run, 1);
        if by_signal {
            // As `pkill -USR1 ictasks` does it: the agent and its slots have such a name, too.
            tree_of_agent(&run).into_iter().for_each(|pid| send_signal(pid, libc::SIGUSR1));
            run.signal(libc::SIGUSR1);
        } else {
            ask(&run, &["stop", "--drain"]);
        }
        let is_told =
            || run.record.journal().iter().any(|event| event["kind"] == "stop_requested").then_some(());
        wait_for("the run to hear it", is_told);
        fs::write(run.directory().join("go"), "").unwrap();
        let run = run.wait().expect(FAILED);
        assert_eq!(run.record.column("tasks", "outcome"), ["succeeded", "pending", "pending"]);
        assert_eq!(run.record.column("tasks", "cause")[1], "stop_requested");
        assert!(run.stderr.contains("1 task will finish, no other will start"), "{}", run.stderr);
        let run =
            run.again().tasks([waits.as_str(), "true", "true"]).args(["--resume"]).run().expect(SUCCEEDED);
        let reasons = run.record.column("tasks", "reason");
        assert_eq!(reasons, [Value::Null, json!("never_ran"), json!("never_ran")]);
    }
}

#[test]
fn all_that_is_said_at_the_end_fits_ten_lines() {
    let mut run = farm().open_stdin().args(["--progress", "none"]).start();
    (0..6).for_each(|number| run.write_line(&format!("exit {number}1")));
    let ended = || run.record.journal().iter().filter(|event| event["kind"] == "task_finished").count();
    wait_for("the tasks to fail", || (ended() == 6).then_some(()));
    run.signal(libc::SIGINT);
    let run = run.wait().expect(INTERRUPTED);
    assert_eq!(run.stderr.lines().count(), 10, "{}", run.stderr);
    assert!(run.stderr.contains("record: ") && run.stderr.contains("to go on: "), "{}", run.stderr);
}

#[test]
fn a_run_is_stopped_by_the_command() {
    let run = farm().tasks([does("await %SUBMITDIR%/never"), "true".to_owned()]).workers(1).start();
    started(&run, 1);
    let said = ask(&run, &["stop"]);
    assert!(said.contains("asked"), "{said}");
    let run = run.wait().expect(TERMINATED);
    assert_eq!(run.record.column("tasks", "outcome"), ["cancelled", "pending"]);
    assert_eq!(run.record.column("tasks", "cause"), ["stopped", "stopped"]);
    let again = run.again().command(["stop", "run"]).run().expect(ictasks_tests::BAD_INPUT);
    assert!(again.stderr.contains("there is nothing to stop"), "{}", again.stderr);
}

#[test]
fn the_shards_of_a_run_are_stopped_together() {
    let waits = |name: &str| format!("touch %SUBMITDIR%/{name}; {}", does("await %SUBMITDIR%/never"));
    let tasks = ["true".to_owned(), waits("second"), waits("third")];
    let first = farm().tasks(&tasks).args(["--shard", "1/3"]).run().expect(SUCCEEDED);
    let begin = |shard: &str, name: &str| {
        let mut begun = std::process::Command::new(ictasks_tests::programs::ictasks());
        begun.args(["taskfarm", "--tasklist", "tasks.txt", "--run-dir", "run", "--shard", shard]);
        begun.current_dir(first.directory()).stderr(std::process::Stdio::null());
        let begun = begun.spawn().expect("start ictasks");
        wait_for("the task", || first.directory().join(name).exists().then_some(()));
        begun
    };
    let live = [begin("2/3", "second"), begin("3/3", "third")];
    let announced = || {
        let first = first.directory().to_owned();
        let mut report = std::process::Command::new(ictasks_tests::programs::ictasks());
        let report =
            report.args(["report", "run", "--task", "1"]).current_dir(first).output().expect("a report");
        String::from_utf8_lossy(&report.stderr).contains("attempt 1 began").then_some(())
    };
    wait_for("the task of the second shard to be known as begun", announced);
    let run = first.again().command(["stop", "run"]).run().expect(SUCCEEDED);
    for shard in ["run/shard-2", "run/shard-3"] {
        assert!(
            run.stderr.contains(&format!("asked `{shard}`: tasks that run will be ended")),
            "{}",
            run.stderr
        );
    }
    assert!(!run.stderr.contains("shard-1"), "{}", run.stderr);
    for mut farm in live {
        assert_eq!(farm.wait().expect("a farm").code(), Some(TERMINATED));
    }
    for (command, expected) in [
        (["stop", "run"].as_slice(), "no shard in `run` is at work"),
        (&["watch", "run"], "`run` holds the run directories of shards"),
        (&["output", "run", "0"], "give one of them, for instance `run/shard-1`"),
    ] {
        let said = std::process::Command::new(ictasks_tests::programs::ictasks())
            .args(command)
            .current_dir(run.directory())
            .output()
            .expect("start ictasks");
        let said = String::from_utf8_lossy(&said.stderr);
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn a_run_that_is_stopped_and_continued_stops_and_continues_its_tasks() {
    let task = format!("{} & echo $! > %SUBMITDIR%/pid; wait", does("await %SUBMITDIR%/go"));
    let run = farm().yaml(format!("timeout: 1h\ntasks:\n- launch_cmd: {}\n", json!(task))).start();
    let pid: i64 =
        wait_for("the task", || fs::read_to_string(run.directory().join("pid")).ok()?.trim().parse().ok());
    run.signal(libc::SIGTSTP);
    wait_for("the task to stop", || (state(pid) == Some('T')).then_some(()));
    wait_for("the farm to stop", || (state(run.pid().into()) == Some('T')).then_some(()));
    run.signal(libc::SIGCONT);
    wait_for("the task to go on", || (state(pid) != Some('T')).then_some(()));
    fs::write(run.directory().join("go"), "").unwrap();
    let run = run.wait().expect(SUCCEEDED);
    let task = run.record.task("0");
    assert!(task["stopped_s"].as_f64().unwrap() > 0.0);
    assert!(task["wall_s"].as_f64() > task["stopped_s"].as_f64());
}

#[test]
fn time_in_which_a_task_is_stopped_does_not_count() {
    let run = farm().yaml("timeout: 2s\ntasks:\n- launch_cmd: sleep 1.5\n").start();
    started(&run, 1);
    run.signal(libc::SIGTSTP);
    wait_for("the farm to stop", || (state(run.pid().into()) == Some('T')).then_some(()));
    // The limit would be over now: what is waited for is the clock itself.
    std::thread::sleep(std::time::Duration::from_millis(2200));
    run.signal(libc::SIGCONT);
    let run = run.wait().expect(SUCCEEDED);
    assert!(run.record.task("0")["wall_s"].as_f64().unwrap() >= 2.2);
}

#[test]
fn a_second_interrupt_kills_at_once_and_the_record_is_whole() {
    let run = farm()
        .yaml(format!("kill_grace: 10m\ntasks:\n- launch_cmd: {}\n", json!(does("stubborn pid"))))
        .start();
    let path = run.record.task_directory("0").join("pid");
    let pid: i64 = wait_for("the task", || fs::read_to_string(&path).ok()?.parse().ok());
    started(&run, 1);
    run.signal(libc::SIGINT);
    let is_told = || run.record.journal().iter().any(|event| event["kind"] == "stop_requested").then_some(());
    wait_for("the run to hear it", is_told);
    assert!(process_exists(pid));
    run.signal(libc::SIGINT);
    let run = run.wait().expect(INTERRUPTED);
    assert!(!process_exists(pid));
    assert!(run.stderr.contains("1 task asked to end, a signal more kills at once"), "{}", run.stderr);
    let task = run.record.task("0");
    assert_eq!((&task["outcome"], &task["cause"]), (&json!("cancelled"), &json!("interrupted")));
}

/// A terminal that is closed sends it to all of its foreground processes.
#[test]
fn a_run_ends_with_its_terminal_and_its_record_is_whole() {
    let run = farm().tasks([does("await %SUBMITDIR%/never")]).workers(1).start();
    started(&run, 1);
    tree_of_agent(&run).into_iter().for_each(|pid| send_signal(pid, libc::SIGHUP));
    run.signal(libc::SIGHUP);
    let run = run.wait().expect(128 + libc::SIGHUP);
    let task = run.record.task("0");
    assert_eq!((&task["outcome"], &task["cause"]), (&json!("cancelled"), &json!("interrupted")));
}

#[test]
fn under_nohup_run_and_tasks_survive_their_terminal() {
    let run = farm().tasks([does("await %SUBMITDIR%/go")]).workers(1).nohup().start();
    started(&run, 1);
    let all = tree(run.pid().into());
    assert!(all.len() > tree_of_agent(&run).len() + 1, "the task is among them");
    all.into_iter().for_each(|pid| send_signal(pid, libc::SIGHUP));
    fs::write(run.directory().join("go"), "").expect("let the task end");
    let run = run.wait().expect(SUCCEEDED);
    assert_eq!(run.record.task("0")["outcome"], "succeeded");
}

#[test]
fn an_interrupt_ends_a_run_whose_agent_somebody_has_stopped() {
    let run = farm().tasks([does("await %SUBMITDIR%/never")]).workers(1).start();
    started(&run, 1);
    let stopped = tree_of_agent(&run);
    assert_eq!(stopped.len(), 2);
    for pid in stopped {
        send_signal(pid, libc::SIGSTOP);
        wait_for("it to stop", || (state(pid) == Some('T')).then_some(()));
    }
    run.signal(libc::SIGINT);
    let run = run.wait().expect(INTERRUPTED);
    assert_eq!(run.record.column("tasks", "outcome"), ["cancelled"]);
}

#[test]
fn a_run_can_be_watched_alive_killed_and_done() {
    let tasks = ["true".to_owned(), "echo why >&2; exit 3".to_owned(), does("await %SUBMITDIR%/go")];
    let run = farm().tasks(&tasks).workers(1).start();
    started(&run, 1);
    wait_for("the last task to run", || {
        let running = run.record.journal();
        running.iter().any(|event| event["kind"] == "task_started" && event["task_id"] == "2").then_some(())
    });
    let said = ask(&run, &["watch"]);
    for part in ["running", "2 of 3 tasks", "1 succeeded", "1 failed", "task 2", "task 1", "why"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let report = |id| {
        let mut report = std::process::Command::new(ictasks_tests::programs::ictasks());
        report.args(["report", "--task", id]).arg(run.record.directory()).output().expect("start ictasks")
    };
    let refused = report("2");
    assert_eq!(refused.status.code(), Some(ictasks_tests::BAD_INPUT));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("attempt 1 began") && said.contains("`ictasks output`"), "{said}");
    assert!(report("1").status.success());
    fs::write(run.directory().join("go"), "").unwrap();
    let run = run.wait().expect(FAILED);
    let said = run.again().command(["watch", "run"]).run().expect(SUCCEEDED);
    assert!(said.stdout.contains("finished") && said.stdout.contains("2 succeeded"), "{}", said.stdout);
}

#[test]
fn a_run_that_was_killed_is_known_as_such_at_once() {
    let run = farm().tasks([does("await %SUBMITDIR%/go")]).start();
    started(&run, 1);
    run.signal(libc::SIGKILL);
    let run = run.wait();
    let run = run.again().command(["watch", "run"]).run().expect(SUCCEEDED);
    assert!(run.stdout.contains("killed") && run.stdout.contains("--resume"), "{}", run.stdout);
    let run = run.again().command(["stop", "run"]).run().expect(ictasks_tests::BAD_INPUT);
    assert!(run.stderr.contains("was killed"), "{}", run.stderr);
}
