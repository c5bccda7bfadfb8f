//! Stand-ins for an agent and a slot: as much of them as the scenarios need.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ictasks_core::attempt::{Cause, Outcome, Seat};
use ictasks_core::column::Timestamp;
use ictasks_core::layout;
use ictasks_core::protocol::{NodeInfo, PROTOCOL_VERSION, Reply, Request, Setup, TaskEnded, TaskOrder};
use ictasks_core::slot_log::{Begun, Line, line_of};
use rustix::process::{Signal, getpid, getppid, kill_process};

const HOST: &str = "here";

/// Waits until a file is there.
pub fn wait_for(path: &Path) {
    let begun = Instant::now();
    while !path.exists() {
        assert!(begun.elapsed() < Duration::from_secs(60), "`{}` does not come", path.display());
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Whether a process is there and no zombie.
pub fn lives(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

/// The agent's part.
pub fn agent() {
    let mut lines = std::io::stdin().lock().lines();
    let setup: Setup = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    let scenario = fs::read_to_string(setup.run_dir.join("scenario")).unwrap();
    let agent = Agent { run_dir: setup.run_dir.clone(), session: setup.session };
    say(&Reply::Hello(hello()));
    let is_first = !agent.log_path().exists();
    if scenario == "lost-agent" && is_first {
        let orders = lines.by_ref().map_while(|line| match serde_json::from_str(&line.unwrap()).unwrap() {
            Request::Run(order) => Some(order),
            _ => None,
        });
        agent.die(&orders.take(4).collect::<Vec<_>>());
    }
    if scenario == "lost-agent" {
        agent.check_that_nothing_is_left();
    }
    agent.work(&scenario, lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap()));
}

/// The slot's part: its agent dies, it ends its task, and says so in the log.
pub fn slot() {
    let arguments: Vec<String> = std::env::args().collect();
    let agent = Agent { run_dir: PathBuf::from(&arguments[1]), session: arguments[2].parse().unwrap() };
    let parent = getppid();
    fs::write(agent.run_dir.join("slot-runs"), "").unwrap();
    while getppid() == parent {
        std::thread::sleep(Duration::from_millis(2));
    }
    // The coordinator has to wait for this.
    std::thread::sleep(Duration::from_millis(300));
    let ended = TaskEnded { cause: Some(Cause::AgentLost), ..end(1, 1, Outcome::Cancelled) };
    agent.log(&Line::Finished(Box::new(ended)));
    fs::write(agent.run_dir.join("slot-has-ended"), "").unwrap();
}

struct Agent {
    run_dir: PathBuf,
    session: i32,
}

impl Agent {
    fn log_path(&self) -> PathBuf {
        self.run_dir.join(layout::JOURNAL).join(layout::agent_log(HOST, 0))
    }

    fn log(&self, line: &Line) {
        let mut file = OpenOptions::new().append(true).create(true).open(self.log_path()).unwrap();
        file.write_all(&line_of(&serde_json::to_vec(line).unwrap())).unwrap();
    }

    /// Dies of kill -9. One task has ended and nobody was told, one is in a slot that lives on, one's
    /// slot is gone as well, one has not begun; and a process has nobody who looks after it.
    #[allow(clippy::zombie_processes, reason = "it dies before it could wait")]
    fn die(&self, orders: &[TaskOrder]) {
        let worker_id = 1;
        self.log(&Line::Slot(Seat { worker_id, session: self.session, ..Seat::default() }));
        for order in &orders[..3] {
            self.log(&Line::Begun(Begun { worker_id, at: Timestamp::now(), order: order.clone() }));
        }
        self.log(&Line::Finished(Box::new(end(0, 1, Outcome::Succeeded))));
        let own = std::env::current_exe().unwrap();
        let session = self.session.to_string();
        Command::new(own).arg0("slot").arg(&self.run_dir).arg(session).stdin(Stdio::null()).spawn().unwrap();
        wait_for(&self.run_dir.join("slot-runs"));
        let orphan = Command::new("sleep").arg("1000").stdout(Stdio::null()).spawn().unwrap();
        fs::write(self.run_dir.join("orphan"), orphan.id().to_string()).unwrap();
        kill_process(getpid(), Signal::KILL).unwrap();
        loop {
            std::thread::park();
        }
    }

    /// An agent that comes too early ends badly.
    fn check_that_nothing_is_left(&self) {
        assert!(self.run_dir.join("slot-has-ended").exists());
        assert!(!lives(&fs::read_to_string(self.run_dir.join("orphan")).unwrap()));
    }

    /// Lets two tasks begin, and all end where nothing else is asked for.
    fn work(&self, scenario: &str, requests: impl Iterator<Item = Request>) {
        let mut held: Vec<TaskOrder> = Vec::new();
        for request in requests {
            match request {
                Request::Run(order) => held.push(order),
                Request::Recall => give_back(&mut held),
                Request::Terminate { .. } => {
                    give_back(&mut held);
                    finish(&mut held, Outcome::Cancelled);
                }
                Request::Suspend => {
                    self.note("suspend\n");
                    say(&Reply::Suspended);
                }
                Request::Continue => {
                    self.note("continue\n");
                    fs::write(self.run_dir.join("continued"), "").unwrap();
                }
                Request::Beat { .. } => {}
                Request::End => {
                    finish(&mut held, Outcome::Succeeded);
                    return;
                }
            }
            if held.len() >= 2 {
                fs::write(self.run_dir.join("busy"), "").unwrap();
            }
            if scenario == "lost-agent" || self.run_dir.join("continued").exists() {
                finish(&mut held, Outcome::Succeeded);
            }
        }
    }

    fn note(&self, what: &str) {
        let path = self.run_dir.join("asked");
        let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
        file.write_all(what.as_bytes()).unwrap();
    }
}

fn give_back(held: &mut Vec<TaskOrder>) {
    let given_back = held.split_off(held.len().min(2));
    let task_indices = given_back.iter().map(|order| order.task_index).collect();
    say(&Reply::Recalled { task_indices });
}

fn finish(held: &mut Vec<TaskOrder>, outcome: Outcome) {
    for order in held.drain(..) {
        say(&Reply::Finished(Box::new(end(order.task_index, order.attempt, outcome))));
    }
}

fn end(task_index: i64, attempt: i32, outcome: Outcome) -> TaskEnded {
    TaskEnded::unmeasured(task_index, attempt, 1, outcome)
}

fn say(reply: &Reply) {
    let mut line = serde_json::to_vec(reply).unwrap();
    line.push(b'\n');
    let mut stdout = std::io::stdout().lock();
    // A coordinator that is gone has no use for it.
    let _ = stdout.write_all(&line).and_then(|()| stdout.flush());
}

fn hello() -> NodeInfo {
    NodeInfo {
        protocol_version: PROTOCOL_VERSION,
        host: HOST.to_owned(),
        host_id: 0,
        pid: 1,
        core_count: 2,
        gpu_count: 0,
        memory_total_bytes: None,
        cpu_model: None,
        at: Timestamp::now(),
        gpus: Vec::new(),
        memory_enforcement: None,
    }
}
