//! An agent with real tasks, spoken to over its pipes as the coordinator does it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use ictasks_core::attempt::{Cause, Evidence, Outcome};
use ictasks_core::config::{OutputLimits, StoppingCondition, TaskFiles};
use ictasks_core::layout;
use ictasks_core::protocol::{NodeInfo, Reply, Request, Setup, TaskEnded, TaskOrder, Worker};
use ictasks_core::slot_log;

#[path = "../src/specimen.rs"]
mod specimen;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

struct Agent {
    child: Child,
    requests: Option<ChildStdin>,
    replies: BufReader<ChildStdout>,
    next_index: i64,
    run_dir: PathBuf,
}

impl Agent {
    fn start(setup: &Setup) -> Self {
        Self::start_by(Command::new(program()), setup)
    }

    fn start_by(mut command: Command, setup: &Setup) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut requests = child.stdin.take().unwrap();
        serde_json::to_writer(&mut requests, setup).unwrap();
        requests.write_all(b"\n").unwrap();
        let replies = BufReader::new(child.stdout.take().unwrap());
        let run_dir = setup.run_dir.clone();
        Self { child, requests: Some(requests), replies, next_index: 0, run_dir }
    }

    fn send(&mut self, request: &Request) {
        let requests = self.requests.as_mut().unwrap();
        serde_json::to_writer(&mut *requests, request).unwrap();
        requests.write_all(b"\n").unwrap();
    }

    /// Orders a task; its number.
    fn order(&mut self, order: TaskOrder) -> i64 {
        let task_index = self.next_index;
        self.next_index += 1;
        let task_id = if order.attempt > 1 { order.task_id.clone() } else { task_index.to_string() };
        self.send(&Request::Run(TaskOrder { task_index, task_id, ..order }));
        task_index
    }

    fn reply(&mut self) -> Option<Reply> {
        let mut line = String::new();
        let length = self.replies.read_line(&mut line).unwrap();
        (length > 0).then(|| serde_json::from_str(&line).unwrap())
    }

    fn hello(&mut self) -> NodeInfo {
        match self.reply() {
            Some(Reply::Hello(node)) => node,
            other => panic!("{other:?}"),
        }
    }

    /// The next reply that `wanted` takes; others are left out.
    fn next<T>(&mut self, mut wanted: impl FnMut(Reply) -> Option<T>) -> T {
        loop {
            let reply = self.reply().expect("the agent has ended");
            if let Some(found) = wanted(reply) {
                return found;
            }
        }
    }

    fn ended(&mut self) -> TaskEnded {
        self.next(|reply| match reply {
            Reply::Finished(ended) => Some(*ended),
            Reply::Trouble { message } | Reply::NotStarted { message, .. } => panic!("{message}"),
            _ => None,
        })
    }

    fn run(&mut self, order: TaskOrder) -> TaskEnded {
        let task_index = self.order(order);
        let ended = self.ended();
        assert_eq!(ended.task_index, task_index);
        ended
    }

    fn task_file(&self, index: i64, name: &str) -> PathBuf {
        self.run_dir.join(layout::task_directory(&index.to_string())).join(name)
    }

    /// Ends the agent and waits until it and all its slots are gone.
    fn end(mut self) {
        self.send(&Request::End);
        while self.reply().is_some() {}
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program() -> PathBuf {
    let deps = std::env::current_exe().unwrap();
    let program = deps.parent().unwrap().parent().unwrap().join("examples/bare_agent");
    assert!(program.is_file(), "`cargo test -p ictasks-agent` builds {}", program.display());
    program
}

fn order(command: &str) -> TaskOrder {
    specimen::order(command)
}

fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Processes whose environment holds this text and that have not ended.
fn processes_with(text: &str) -> usize {
    let is_one = |entry: &fs::DirEntry| {
        let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
        environment.windows(text.len()).any(|window| window == text.as_bytes())
    };
    fs::read_dir("/proc").unwrap().flatten().filter(is_one).count()
}

/// A setup whose tasks and their descendants can be told from all others.
fn marked(run_dir: &Path) -> (Setup, String) {
    let mut setup = specimen::setup(run_dir);
    let mark = format!("{}-{:?}", std::process::id(), std::thread::current().id());
    setup.environment = BTreeMap::from([("MARK".to_owned(), mark.clone())]);
    (setup, format!("MARK={mark}"))
}

fn state_of(pid: i64) -> String {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").map_or(String::new(), |(_, rest)| rest[..1].to_owned())
}

#[test]
fn the_log_knows_what_was_begun_and_how_it_ended() {
    let dir = tempfile::tempdir().unwrap();
    let mut agent = Agent::start(&specimen::setup(dir.path()));
    let host = agent.hello().host;
    agent.run(order("exit 3"));
    agent.run(order("true"));
    agent.end();
    let mut found = Vec::new();
    let log = dir.path().join(layout::JOURNAL).join(layout::agent_log(&host, 0));
    let damaged = slot_log::read(&log, &mut |logged| {
        let attempt = logged.into_attempt();
        found.push((attempt.task_id, attempt.command, attempt.outcome, attempt.exit_code));
    });
    assert_eq!(damaged.unwrap(), 0);
    let failed = ("0".to_owned(), "exit 3".to_owned(), Outcome::Failed, Some(3));
    let succeeded = ("1".to_owned(), "true".to_owned(), Outcome::Succeeded, Some(0));
    assert_eq!(found, [failed, succeeded]);
}

#[test]
fn a_second_agent_is_refused_while_a_slot_lives() {
    let dir = tempfile::tempdir().unwrap();
    let setup = specimen::setup(dir.path());
    let mut first = Agent::start(&setup);
    first.hello();
    let mut second = Command::new(program());
    second.stderr(Stdio::piped());
    let mut second = Agent::start_by(second, &setup);
    assert!(second.reply().is_none());
    let mut message = String::new();
    let mut errors = second.child.stderr.take().unwrap();
    std::io::Read::read_to_string(&mut errors, &mut message).unwrap();
    assert!(message.contains("Busy"), "{message}");
    first.run(order("true"));
    first.end();
    let mut third = Agent::start(&setup);
    third.hello();
    third.end();
}

#[test]
fn a_task_above_its_time_is_ended_with_all_its_processes() {
    let dir = tempfile::tempdir().unwrap();
    let (mut setup, mark) = marked(dir.path());
    setup.kill_grace_s = 0.2;
    let mut agent = Agent::start(&setup);
    agent.hello();
    // It ignores SIGTERM, and so do its children; one has a session of its own.
    let stubborn = "trap '' TERM; setsid sleep 600 & sleep 600 & while true; do sleep 600; done";
    let ended = agent.run(TaskOrder { timeout_s: Some(0.3), ..order(stubborn) });
    assert_eq!((ended.outcome, ended.cause, ended.signal), (Outcome::TimedOut, None, Some(9)));
    assert!(ended.wall_s.unwrap() >= 0.5, "{:?}", ended.wall_s);
    let ended = agent.run(TaskOrder { timeout_s: Some(0.1), ..order("exec sleep 600") });
    assert_eq!((ended.outcome, ended.signal), (Outcome::TimedOut, Some(15)));
    let ended = agent.run(TaskOrder { timeout_s: Some(600.0), ..order("true") });
    assert_eq!(ended.outcome, Outcome::Succeeded);
    agent.end();
    assert_eq!(processes_with(&mark), 0);
}

#[test]
fn what_grows_without_end_is_ended_too() {
    let dir = tempfile::tempdir().unwrap();
    let (mut setup, mark) = marked(dir.path());
    setup.kill_grace_s = 0.0;
    let mut agent = Agent::start(&setup);
    agent.hello();
    // Each generation starts the next in a session of its own and ends, so that the next is an orphan.
    let directory = dir.path().join("task_0");
    fs::create_dir(&directory).unwrap();
    let generation = directory.join("generation");
    fs::write(&generation, "#!/bin/sh\ntrap '' TERM\nsetsid ./generation & sleep 0.02\n").unwrap();
    fs::set_permissions(&generation, fs::Permissions::from_mode(0o755)).unwrap();
    let command = "trap '' TERM; setsid ./generation & setsid ./generation & sleep 600";
    let ended = agent.run(TaskOrder { timeout_s: Some(1.0), ..order(command) });
    assert_eq!(ended.outcome, Outcome::TimedOut);
    assert_eq!(processes_with(&mark), 0);
    // Two thousand processes that all ignore SIGTERM.
    let many = "trap '' TERM; i=0; while [ $i -lt 2000 ]; do sleep 600 & i=$((i+1)); done; touch all; wait";
    let index = agent.order(TaskOrder { timeout_s: Some(1000.0), ..order(many) });
    let all = agent.task_file(index, "all");
    wait_for("two thousand processes", || all.exists());
    agent.send(&Request::Terminate { grace_s: 0.0, cause: Cause::Stopped });
    let ended = agent.ended();
    assert_eq!((ended.outcome, ended.cause), (Outcome::Cancelled, Some(Cause::Stopped)));
    agent.end();
    assert_eq!(processes_with(&mark), 0);
}

#[test]
fn stopped_time_does_not_count_against_the_limit() {
    let dir = tempfile::tempdir().unwrap();
    let mut setup = specimen::setup(dir.path());
    setup.workers.push(Worker { id: 1, cores: None, gpus: Vec::new() });
    let mut agent = Agent::start(&setup);
    agent.hello();
    let command = "sleep 600 & echo $! > child; sleep 0.2; kill $!";
    agent.order(TaskOrder { timeout_s: Some(10.0), ..order(command) });
    let child = agent.task_file(0, "child");
    wait_for("the child", || fs::read_to_string(&child).is_ok_and(|text| text.ends_with('\n')));
    agent.send(&Request::Suspend);
    agent.next(|reply| matches!(reply, Reply::Suspended).then_some(()));
    let child: i64 = fs::read_to_string(&child).unwrap().trim().parse().unwrap();
    assert_eq!(state_of(child), "T");
    // What is ordered meanwhile waits, for as long as the stop lasts.
    let waiting = agent.order(order("true"));
    std::thread::sleep(Duration::from_millis(300));
    assert!(!agent.task_file(waiting, "task.json").exists());
    agent.send(&Request::Continue);
    let mut ended = [agent.ended(), agent.ended()];
    ended.sort_by_key(|ended| ended.task_index);
    let [stopped, waited] = ended;
    assert_eq!((stopped.outcome, waited.outcome), (Outcome::Succeeded, Outcome::Succeeded));
    assert!(stopped.stopped_s >= 0.3, "{}", stopped.stopped_s);
    assert!(stopped.wall_s.unwrap() >= stopped.stopped_s);
    assert!(waited.stopped_s.abs() < f64::EPSILON);
    agent.end();
}

#[test]
fn a_stopped_task_can_be_ended() {
    let dir = tempfile::tempdir().unwrap();
    let mut agent = Agent::start(&specimen::setup(dir.path()));
    agent.hello();
    // It ends by itself on SIGTERM, which it can only when it goes on.
    agent.order(order("trap 'echo bye; exit 5' TERM; touch ready; while true; do sleep 0.01; done"));
    let ready = agent.task_file(0, "ready");
    wait_for("the task", || ready.exists());
    agent.send(&Request::Suspend);
    agent.next(|reply| matches!(reply, Reply::Suspended).then_some(()));
    agent.send(&Request::Terminate { grace_s: 30.0, cause: Cause::Interrupted });
    let ended = agent.ended();
    assert_eq!((ended.outcome, ended.exit_code), (Outcome::Cancelled, Some(5)));
    assert_eq!(ended.stdout_tail.as_deref(), Some("bye\n"));
    // What comes after the end is given back.
    let late = agent.order(order("true"));
    agent.next(|reply| {
        matches!(&reply, Reply::Recalled { task_indices } if task_indices.contains(&late)).then_some(())
    });
    agent.end();
}

#[test]
fn stops_may_come_and_go_while_tasks_begin_and_end() {
    let dir = tempfile::tempdir().unwrap();
    let mut setup = specimen::setup(dir.path());
    setup.workers = (0..4).map(|id| Worker { id, cores: None, gpus: Vec::new() }).collect();
    let mut agent = Agent::start(&setup);
    agent.hello();
    for _ in 0..200 {
        agent.order(order("sleep 0.01 | cat"));
    }
    let mut finished = 0;
    for _ in 0..20 {
        agent.send(&Request::Suspend);
        agent.next(|reply| match reply {
            Reply::Suspended => Some(()),
            Reply::Finished(ended) => {
                assert_eq!(ended.outcome, Outcome::Succeeded);
                finished += 1;
                None
            }
            Reply::Started(_) | Reply::Samples(_) => None,
            other => panic!("{other:?}"),
        });
        agent.send(&Request::Continue);
        // One that is taken back before it is carried out needs no answer.
        agent.send(&Request::Suspend);
        agent.send(&Request::Continue);
    }
    while finished < 200 {
        assert_eq!(agent.ended().outcome, Outcome::Succeeded);
        finished += 1;
    }
    agent.end();
}

#[test]
fn a_second_request_to_end_hurries() {
    let dir = tempfile::tempdir().unwrap();
    let mut agent = Agent::start(&specimen::setup(dir.path()));
    agent.hello();
    agent.order(order("trap 'touch heard' TERM; touch ready; while true; do sleep 0.01; done"));
    let (ready, heard) = (agent.task_file(0, "ready"), agent.task_file(0, "heard"));
    wait_for("the task", || ready.exists());
    agent.send(&Request::Terminate { grace_s: 1000.0, cause: Cause::Interrupted });
    wait_for("SIGTERM", || heard.exists());
    agent.send(&Request::Terminate { grace_s: 0.0, cause: Cause::Stopped });
    let ended = agent.ended();
    // The first reason is the one that counts.
    assert_eq!((ended.signal, ended.cause), (Some(9), Some(Cause::Interrupted)));
    agent.end();
}

#[test]
fn nothing_of_an_earlier_attempt_counts() {
    let dir = tempfile::tempdir().unwrap();
    let mut agent = Agent::start(&specimen::setup(dir.path()));
    agent.hello();
    let first = agent.run(order("echo '{\"a\":1}' > result.json; echo first; exit 1"));
    assert_eq!(first.results_json.as_deref(), Some("{\"a\":1}"));
    let second = agent.run(TaskOrder { attempt: 2, ..order("exit 1") });
    assert_eq!((second.attempt, second.results_json), (2, None));
    assert_eq!(second.usage.stdout_bytes, Some(0));
    let aside = |name: &str| fs::read_to_string(dir.path().join("task_0").join(name));
    assert_eq!(aside("stdout.txt.attempt-1").unwrap(), "first\n");
    assert!(aside("task.json.attempt-1").unwrap().contains("\"attempt\": 1"));
    assert!(aside("task.json").unwrap().contains("\"attempt\": 2"));
    agent.end();
}

#[test]
fn a_success_needs_the_files_that_were_promised() {
    let dir = tempfile::tempdir().unwrap();
    let mut agent = Agent::start(&specimen::setup(dir.path()));
    agent.hello();
    let expected_outputs = vec!["a.h5".to_owned(), "b.h5".to_owned()];
    let ended = agent.run(TaskOrder { expected_outputs: expected_outputs.clone(), ..order("touch a.h5") });
    assert_eq!((ended.outcome, ended.exit_code), (Outcome::Failed, Some(0)));
    assert_eq!((ended.cause, ended.cause_evidence), (Some(Cause::MissingOutput), Some(Evidence::Certain)));
    assert!(ended.error.unwrap().contains("`b.h5`"));
    let ended = agent.run(TaskOrder { expected_outputs, ..order("touch a.h5 b.h5") });
    assert_eq!((ended.outcome, ended.cause), (Outcome::Succeeded, None));
    agent.end();
}

#[test]
fn a_task_tells_that_no_more_are_to_start() {
    let dir = tempfile::tempdir().unwrap();
    let mut setup = specimen::setup(dir.path());
    let (stopfile, stopmagic) = ("log".to_owned(), Some("converged".to_owned()));
    setup.stopping_conditions = vec![StoppingCondition { stopfile, stopmagic }];
    let mut agent = Agent::start(&setup);
    agent.hello();
    assert_eq!(agent.run(order("echo not yet > log")).stop_condition, None);
    let ended = agent.run(order("echo it has converged > log; exit 1"));
    assert_eq!(ended.stop_condition.as_deref(), Some("`log` holds `converged`"));
    agent.end();
}

#[test]
fn a_task_above_its_memory_is_ended() {
    let dir = tempfile::tempdir().unwrap();
    let mut setup = specimen::setup(dir.path());
    setup.memory_per_task_bytes = Some(64 << 20);
    setup.enforce_memory = true;
    let mut agent = Agent::start(&setup);
    let how = agent.hello().memory_enforcement.unwrap();
    // dd holds one block in memory while it waits for the end of its input.
    let ended = agent.run(order(
        "tail -f /dev/null | dd bs=1M count=1 of=/dev/null & dd if=/dev/zero of=/dev/null bs=300M",
    ));
    assert_eq!((ended.outcome, ended.cause), (Outcome::OutOfMemory, Some(Cause::MemoryLimit)));
    assert_eq!(ended.cause_evidence, Some(Evidence::Certain));
    let error = ended.error.unwrap();
    assert!(error.contains("67108864") && error.contains(&how), "{error}");
    assert_eq!(agent.run(order("true")).outcome, Outcome::Succeeded);
    agent.end();
}

#[test]
fn the_kernel_takes_tasks_first() {
    let dir = tempfile::tempdir().unwrap();
    let own: i32 = fs::read_to_string("/proc/self/oom_score_adj").unwrap().trim().parse().unwrap();
    let mut agent = Agent::start(&specimen::setup(dir.path()));
    let agent_pid = agent.hello().pid;
    let command =
        "cat /proc/self/oom_score_adj; echo $PPID > new; mv new slot; while [ ! -e go ]; do sleep 0.01; done";
    agent.order(order(command));
    let slot = agent.task_file(0, "slot");
    wait_for("the task", || slot.exists());
    let score = fs::read_to_string(agent.task_file(0, "stdout.txt")).unwrap();
    assert_eq!(score.trim(), (own + 500).min(1000).to_string());
    let slot = fs::read_to_string(slot).unwrap();
    for process in [slot.trim(), &agent_pid.to_string()] {
        let score = || fs::read_to_string(format!("/proc/{process}/oom_score_adj")).unwrap();
        wait_for("the score that it had", || score().trim() == own.to_string());
    }
    fs::write(agent.task_file(0, "go"), "").unwrap();
    assert_eq!(agent.ended().outcome, Outcome::Succeeded);
    agent.end();
}

#[test]
fn too_much_output_is_cut() {
    let dir = tempfile::tempdir().unwrap();
    let mut setup = specimen::setup(dir.path());
    setup.max_output = OutputLimits { stdout_bytes: None, stderr_bytes: Some(10_000) };
    let mut agent = Agent::start(&setup);
    agent.hello();
    let ended = agent.run(order("seq 100000 >&2; seq 10000; exit 1"));
    let usage = &ended.usage;
    assert_eq!((usage.stdout_bytes, usage.stdout_cut_bytes), (Some(48_894), None));
    let text = fs::read_to_string(agent.task_file(0, "stderr.txt")).unwrap();
    assert_eq!(usage.stderr_bytes, i64::try_from(text.len()).ok());
    assert!(text.len() <= 10_000 && text.starts_with("1\n2\n") && text.ends_with("\n100000\n"));
    let cut = usage.stderr_cut_bytes.unwrap();
    assert!(text.contains(&format!("[ictasks: {cut} bytes were cut here")));
    assert!(ended.stderr_tail.unwrap().ends_with("100000\n"));
    agent.end();
}

#[test]
fn files_of_successes_need_not_stay() {
    let dir = tempfile::tempdir().unwrap();
    let mut setup = specimen::setup(dir.path());
    setup.task_files = TaskFiles::Failed;
    let mut agent = Agent::start(&setup);
    agent.hello();
    assert_eq!(agent.run(order("echo 12345")).usage.stdout_bytes, Some(6));
    agent.run(order("touch mine"));
    agent.run(order("exit 1"));
    assert!(!dir.path().join("task_0").exists());
    assert!(agent.task_file(1, "mine").exists() && !agent.task_file(1, "task.json").exists());
    assert!(agent.task_file(2, "task.json").exists());
    agent.end();
    let other = tempfile::tempdir().unwrap();
    setup.run_dir = other.path().to_owned();
    setup.task_files = TaskFiles::None;
    let mut agent = Agent::start(&setup);
    agent.hello();
    let ended = agent.run(order("echo why >&2; exit 1"));
    assert_eq!(ended.stderr_tail.as_deref(), Some("why\n"));
    assert!(!other.path().join("task_0").exists());
    agent.end();
}

#[test]
fn nothing_runs_on_without_a_coordinator() {
    let dir = tempfile::tempdir().unwrap();
    let (setup, mark) = marked(dir.path());
    let mut agent = Agent::start(&setup);
    let host = agent.hello().host;
    agent.order(order("trap '' TERM; touch ready; sleep 600"));
    let ready = agent.task_file(0, "ready");
    wait_for("the task", || ready.exists());
    // Also after the last request, which promises that no more come.
    agent.send(&Request::End);
    agent.requests = None;
    assert!(agent.child.wait().unwrap().success());
    assert_eq!(processes_with(&mark), 0);
    let mut causes = Vec::new();
    let log = dir.path().join(layout::JOURNAL).join(layout::agent_log(&host, 0));
    slot_log::read(&log, &mut |logged| causes.push(logged.ended.and_then(|ended| ended.cause))).unwrap();
    assert_eq!(causes, [Some(Cause::CoordinatorLost)]);
}

#[test]
fn nothing_is_left_of_a_slot_that_was_killed() {
    let dir = tempfile::tempdir().unwrap();
    let (setup, mark) = marked(dir.path());
    let mut agent = Agent::start(&setup);
    agent.hello();
    agent.order(order("echo $PPID > slot.new; mv slot.new slot; setsid sleep 600 & sleep 600"));
    let slot = agent.task_file(0, "slot");
    wait_for("the task", || slot.exists());
    let killed = Command::new("kill").arg("-9").arg(fs::read_to_string(slot).unwrap().trim()).status();
    assert!(killed.unwrap().success());
    let message = agent.next(|reply| match reply {
        Reply::Trouble { message } => Some(message),
        _ => None,
    });
    assert!(message.contains("killed by signal 9"), "{message}");
    wait_for("the end of its processes", || processes_with(&mark) == 0);
    while agent.reply().is_some() {}
    assert!(agent.child.wait().unwrap().success());
}

#[test]
fn few_open_files_are_enough_for_many_workers() {
    let dir = tempfile::tempdir().unwrap();
    let mut setup = specimen::setup(dir.path());
    setup.workers = (0..100).map(|id| Worker { id, cores: None, gpus: Vec::new() }).collect();
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 64; exec \"$0\"", program().to_str().unwrap()]).process_group(0);
    let mut agent = Agent::start_by(command, &setup);
    agent.hello();
    for _ in 0..300 {
        agent.order(order("true"));
    }
    for _ in 0..300 {
        assert_eq!(agent.ended().outcome, Outcome::Succeeded);
    }
    agent.end();
}

#[test]
fn a_task_may_remove_its_directory() {
    let dir = tempfile::tempdir().unwrap();
    let mut agent = Agent::start(&specimen::setup(dir.path()));
    agent.hello();
    // `Agent::run` accepts no trouble.
    let ended = agent.run(order("rm -r \"$ICTASKS_TASK_DIR\"; exit 3"));
    assert_eq!((ended.outcome, ended.exit_code), (Outcome::Failed, Some(3)));
    assert_eq!(agent.run(order("true")).outcome, Outcome::Succeeded);
    agent.end();
}

#[test]
fn a_directory_that_cannot_be_made_leaves_the_task_pending() {
    let dir = tempfile::tempdir().unwrap();
    let mut agent = Agent::start(&specimen::setup(dir.path()));
    agent.hello();
    fs::write(dir.path().join("task_0"), "a file").unwrap();
    let index = agent.order(order("true"));
    let (task_index, message) = agent.next(|reply| match reply {
        Reply::NotStarted { task_index, message } => Some((task_index, message)),
        _ => None,
    });
    assert_eq!(task_index, index);
    assert!(message.contains("task_0"), "{message}");
    assert_eq!(agent.run(order("true")).outcome, Outcome::Succeeded);
    agent.end();
}

#[test]
fn a_directory_that_the_task_itself_spoiled_stops_nobody_else() {
    let dir = tempfile::tempdir().unwrap();
    let mut agent = Agent::start(&specimen::setup(dir.path()));
    let host = agent.hello().host;
    let spoils = "rm -r \"$ICTASKS_TASK_DIR\"; ln -s /no/such/place \"$ICTASKS_TASK_DIR\"; exit 3";
    assert_eq!(agent.run(order(spoils)).outcome, Outcome::Failed);
    let again = TaskOrder { task_index: 0, task_id: "0".to_owned(), attempt: 2, ..order("true") };
    agent.send(&Request::Run(again));
    let ended = agent.ended();
    assert_eq!((ended.task_index, ended.attempt, ended.outcome), (0, 2, Outcome::SpawnFailed));
    assert!(ended.error.is_some_and(|error| error.contains("task_0")));
    assert_eq!((ended.pid, ended.wall_s, ended.cause), (None, None, None));
    assert_eq!(agent.run(order("true")).outcome, Outcome::Succeeded);
    agent.end();
    let mut outcomes = Vec::new();
    let log = dir.path().join(layout::JOURNAL).join(layout::agent_log(&host, 0));
    slot_log::read(&log, &mut |logged| outcomes.push(logged.ended.map(|ended| ended.outcome))).unwrap();
    assert_eq!(outcomes, [Outcome::Failed, Outcome::SpawnFailed, Outcome::Succeeded].map(Some));
}
