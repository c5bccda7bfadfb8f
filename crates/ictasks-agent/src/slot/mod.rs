//! A slot: a small process that starts, measures and ends one task at a time.
//!
//! The agent forks its slots before it has any thread. A slot takes orders from a queue that all
//! slots of the agent share, so a task waits only while every slot is busy. It is the subreaper of
//! its task, hence it reaps and knows every descendant.
//!
//! - [`directory`]: the task's directory and its output files
//! - [`environment`]: the task's environment
//! - [`gpu_binding`]: how the task learns of its GPUs
//! - [`launch`]: from a command to a process
//! - [`tree`]: waiting for the task and all its descendants, and ending them
//! - [`io_account`]: bytes and calls read and written
//! - [`task_file`]: the contents of `task.json`
//! - [`results`]: the contents of `result.json`

mod directory;
mod environment;
mod gpu_binding;
mod io_account;
mod launch;
mod results;
mod task_file;
mod tree;

use std::os::fd::OwnedFd;
use std::time::Duration;

use ictasks_core::attempt::{Cause, Evidence, Outcome};
use ictasks_core::column::Timestamp;
use ictasks_core::layout;
use ictasks_core::protocol::{Reply, Setup, TaskEnded, TaskOrder, TaskStarted, Worker, WorkingDirectory};
use rustix::fs::{Mode, OFlags};

use crate::process_table::OwnIo;
use crate::queue::{OrderReceiver, ReplySender};
use crate::shared::SlotCell;
use crate::slot_log::{Begun, SlotLog};
use crate::sys;
use directory::{Draft, TaskDirectory};
use environment::Environment;
use io_account::IoAccount;
use launch::{Launcher, Started, Starting};
use task_file::TaskFile;
use tree::{EndRequest, Tree, TreeEnd};

pub use tree::request_end;

/// A task that lives shorter than this is reported once, by its end.
const ANNOUNCE_AFTER: Duration = Duration::from_millis(20);

/// Tails of output in the record, bytes.
const TAIL_BYTES: usize = 2048;

/// What a slot is given at its birth.
pub struct SlotParts {
    /// What holds for every task.
    pub setup: Setup,
    /// Name of this host.
    pub host: String,
    /// What this slot's tasks hold.
    pub worker: Worker,
    /// Where orders come from.
    pub orders: OrderReceiver,
    /// Where replies go.
    pub replies: ReplySender,
    /// The evidence.
    pub log: SlotLog,
    /// The cell that it shares with the sampler.
    pub cell: &'static SlotCell,
    /// Process id of the agent.
    pub agent_pid: i32,
}

/// A slot at work.
struct Slot {
    parts: SlotParts,
    environment: Environment,
    launcher: Launcher,
    io_account: IoAccount,
    run_dir: OwnedFd,
    draft: Draft,
}

/// Works until no more orders can come. Called in the forked process; returns its exit code.
pub fn run(parts: SlotParts) -> i32 {
    match Slot::prepare(parts) {
        Ok(mut slot) => {
            let code = slot.work();
            slot.draft.remove();
            code
        }
        Err((replies, error)) => {
            let message = format!("a slot cannot work: {error}");
            // Where even this cannot be sent, the agent sees the slot end.
            let _ = replies.send(&Reply::Trouble { message });
            1
        }
    }
}

impl Slot {
    fn prepare(parts: SlotParts) -> Result<Self, (ReplySender, std::io::Error)> {
        match Self::open(&parts) {
            Ok((run_dir, launcher, draft)) => {
                let environment = Environment::new(&parts.setup, &parts.worker);
                Ok(Self { environment, launcher, io_account: IoAccount::open(), run_dir, draft, parts })
            }
            Err(error) => Err((parts.replies, error)),
        }
    }

    fn open(parts: &SlotParts) -> std::io::Result<(OwnedFd, Launcher, Draft)> {
        sys::become_subreaper()?;
        sys::reset_signals();
        sys::signal_on_parent_death(tree::PARENT_DIED)?;
        rustix::process::setpgid(None, None)?;
        if let Some(cores) = &parts.worker.cores {
            crate::affinity::pin(cores)?;
        }
        if parts.setup.cwd == WorkingDirectory::Submit {
            std::env::set_current_dir(&parts.setup.submit_dir)?;
        }
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
        let run_dir = rustix::fs::open(&parts.setup.run_dir, flags, Mode::empty())?;
        let draft = Draft::create(&run_dir, parts.setup.host_id, parts.worker.id)?;
        Ok((run_dir, Launcher::new()?, draft))
    }

    fn work(&mut self) -> i32 {
        loop {
            match self.parts.orders.receive() {
                Ok(Some(order)) => {
                    if self.perform(&order).is_err() {
                        return 1;
                    }
                }
                Ok(None) => return 0,
                Err(error) => {
                    let message = format!("a slot cannot read its orders: {error}");
                    let _ = self.parts.replies.send(&Reply::Trouble { message });
                    return 1;
                }
            }
        }
    }

    /// Runs one task and replies. An error means that nobody listens any more.
    fn perform(&mut self, order: &TaskOrder) -> std::io::Result<()> {
        match self.attempt(order) {
            Ok(ended) => {
                let reply = Reply::Finished(Box::new(ended));
                let json = serde_json::to_vec(&reply)?;
                if let Err(error) = self.parts.log.append(&json) {
                    let message = format!("the slot log cannot be written: {error}");
                    self.parts.replies.send(&Reply::Trouble { message })?;
                }
                self.parts.replies.send_json(&json)
            }
            Err(error) => {
                let message = error.to_string();
                self.parts.replies.send(&Reply::NotStarted { task_index: order.task_index, message })
            }
        }
    }

    /// One attempt at a task. An error is the farm's own trouble, before anything was started.
    fn attempt(&mut self, order: &TaskOrder) -> Result<TaskEnded, directory::DirectoryError> {
        let setup = &self.parts.setup;
        let directory = TaskDirectory::create(&self.run_dir, setup, &order.task_id)?;
        let mut task_file = TaskFile::new(&self.parts, order);
        directory.draft_task_file(&self.draft, &task_file.to_json())?;
        let begun = Begun {
            task_index: order.task_index,
            task_id: &order.task_id,
            attempt: order.attempt,
            worker_id: self.parts.worker.id,
            at: Timestamp::now(),
        };
        self.parts
            .log
            .append(&begun.to_json())
            .map_err(|error| directory.error("write the slot log", error))?;
        if setup.cwd == WorkingDirectory::Task {
            directory.enter()?;
        }
        if !self.parts.worker.gpus.is_empty() {
            directory
                .write(layout::GPU_IDS_FILE, gpu_binding::ids_text(&self.parts.worker.gpus).as_bytes())?;
        }
        self.parts.cell.begin(&order.task_id, order.attempt, sys::monotonic_ns());
        let variables = self.environment.of_task(&self.parts.setup, order, directory.path());
        let setup = &self.parts.setup;
        let starting = Starting { order, setup, variables: &variables, directory: &directory };
        let started = self.launcher.start(&starting);
        let mut ended = match started {
            Ok(started) => self.follow(order, &started, &directory, &mut task_file),
            Err(launch::LaunchError::Farm(error)) => {
                self.parts.cell.end();
                return Err(directory.error("start a process", error));
            }
            Err(launch::LaunchError::Task(reason)) => {
                self.parts.cell.end();
                self.not_spawned(order, reason)
            }
        };
        self.conclude(order, &mut ended, &directory, &mut task_file);
        Ok(ended)
    }

    /// Waits for the task's tree and says what came of it.
    fn follow(
        &mut self,
        order: &TaskOrder,
        started: &Started,
        directory: &TaskDirectory,
        task_file: &mut TaskFile,
    ) -> TaskEnded {
        let before = self.io_account.read();
        let mut own_io = OwnIo::default();
        task_file.started(started.pid, started.at);
        let mut tree = Tree::new(started.pid, self.parts.agent_pid);
        if !tree.wait_at_most(ANNOUNCE_AFTER, &mut own_io) {
            let told = TaskStarted {
                task_index: order.task_index,
                attempt: order.attempt,
                worker_id: self.parts.worker.id,
                pid: started.pid.into(),
                started_at: started.at,
            };
            // Without a listener the signal of its death ends the task.
            let _ = self.parts.replies.send(&Reply::Started(told));
            // The last writing, at the end, reports trouble; this one would only repeat it.
            let _ = directory.replace_task_file(&task_file.to_json(), &mut own_io);
            tree.wait(&mut own_io);
        }
        let after = self.io_account.read();
        let sampled = self.parts.cell.end();
        let end = tree.into_end();
        let mut usage = end.usage.clone();
        io_account::fill(&mut usage, before, after, own_io);
        usage.max_tree_rss_bytes = sampled.max_tree_rss_bytes;
        usage.sample_count = sampled.sample_count;
        sampled.gpu.fill(&mut usage, started.monotonic_ns, end.first_ended_ns);
        usage.rss_floor_bytes = Some(sys::own_max_rss_bytes());
        let judged = judge(&end);
        let worker_id = self.parts.worker.id;
        TaskEnded {
            pid: Some(started.pid.into()),
            started_at: Some(started.at),
            wall_s: Some(seconds(end.first_ended_ns - started.monotonic_ns)),
            exit_code: sys::exit_code(end.first_status),
            signal: sys::term_signal(end.first_status),
            cause: judged.cause,
            cause_evidence: judged.cause.map(|_| Evidence::Certain),
            usage,
            results_json: results::read(directory),
            ..TaskEnded::unmeasured(order.task_index, order.attempt, worker_id, judged.outcome)
        }
    }

    fn not_spawned(&self, order: &TaskOrder, reason: String) -> TaskEnded {
        let worker_id = self.parts.worker.id;
        let unmeasured =
            TaskEnded::unmeasured(order.task_index, order.attempt, worker_id, Outcome::SpawnFailed);
        TaskEnded { error: Some(reason), ..unmeasured }
    }

    /// Adds what the output files say, and writes `task.json` for the last time.
    fn conclude(
        &self,
        order: &TaskOrder,
        ended: &mut TaskEnded,
        directory: &TaskDirectory,
        task_file: &mut TaskFile,
    ) {
        let succeeded = ended.outcome == Outcome::Succeeded;
        ended.usage.stdout_bytes = directory.stdout_bytes();
        ended.usage.stderr_bytes = directory.stderr_bytes();
        if !succeeded {
            ended.stdout_tail = directory.stdout_tail(TAIL_BYTES);
            ended.stderr_tail = directory.stderr_tail(TAIL_BYTES);
            gpu_binding::explain(ended, self.parts.setup.gpu_binding, self.environment.hides_gpus(order));
        }
        task_file.ended(ended);
        if let Err(error) = directory.replace_task_file(&task_file.to_json(), &mut OwnIo::default()) {
            let _ = self.parts.replies.send(&Reply::Trouble { message: error.to_string() });
        }
    }
}

struct Judged {
    outcome: Outcome,
    cause: Option<Cause>,
}

/// The outcome of an attempt that ran: ended by us, or by its exit code or signal.
fn judge(end: &TreeEnd) -> Judged {
    if let Some(EndRequest { cause, .. }) = end.ended_by {
        return Judged { outcome: Outcome::Cancelled, cause: Some(cause) };
    }
    let outcome = match sys::exit_code(end.first_status) {
        Some(0) => Outcome::Succeeded,
        Some(_) => Outcome::Failed,
        None => Outcome::Signaled,
    };
    Judged { outcome, cause: None }
}

#[allow(clippy::cast_precision_loss)]
fn seconds(nanoseconds: i64) -> f64 {
    nanoseconds as f64 / 1e9
}
