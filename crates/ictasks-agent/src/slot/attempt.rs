//! One attempt at a task, from the order to the reply.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use ictasks_core::attempt::Outcome;
use ictasks_core::column::Timestamp;
use ictasks_core::config::TaskFiles;
use ictasks_core::protocol::{Reply, TaskEnded, TaskOrder, TaskStarted, WorkingDirectory};
use ictasks_core::slot_log::Line;

use super::directory::{DirectoryError, TaskDirectory};
use super::launch::{LaunchError, Started, Starting};
use super::output_file::OutputFile;
use super::task_file::TaskFile;
use super::tree::{self, Tree, Watched};
use super::verdict::{MemoryFacts, Verdict};
use super::{Slot, dead_man, gpu_binding, io_account, results};
use crate::clock::seconds;
use crate::process_table::OwnIo;
use crate::queue::Received;
use crate::sys;
use crate::trouble::{explained, is_general};

/// A task that lives shorter than this is reported once, by its end.
const ANNOUNCE_AFTER: Duration = Duration::from_millis(20);
/// Between two looks at the size of output that has a limit: while it grows, and else at most.
const LOOK_AT_OUTPUT: Duration = Duration::from_secs(5);
const LOOK_AT_OUTPUT_AT_MOST: Duration = Duration::from_secs(60);
/// Pauses after which a process is asked for again, where the kernel has none to give: another task may
/// just be letting go of many.
const START_AGAIN_MS: [u64; 5] = [20, 40, 80, 160, 320];

impl Slot {
    /// Runs one task and replies. An error means that nobody listens any more.
    pub(super) fn perform(&mut self, received: &Received) -> io::Result<()> {
        self.parts.cell.set_busy(true);
        let performed =
            if self.may_begin()? { self.attempt(received) } else { self.give_back(&received.order) };
        self.parts.cell.set_busy(false);
        performed
    }

    fn give_back(&self, order: &TaskOrder) -> io::Result<()> {
        self.parts.replies.send(&Reply::Recalled { task_indices: vec![order.task_index] })
    }

    /// Waits while tasks are to be stopped. False if no more are to begin.
    pub(super) fn may_begin(&self) -> io::Result<bool> {
        let requests = self.parts.requests;
        loop {
            if requests.end().is_some() {
                return Ok(false);
            }
            let Some(stop) = requests.stop() else { return Ok(true) };
            self.parts.cell.set_stopped_for(stop);
            let timeout = requests.lease_left().unwrap_or(tree::FOREVER);
            let signal = sys::wait_signal(&tree::waited_signals(), timeout);
            if signal == Some(tree::PARENT_DIED) && !tree::agent_lives(self.parts.agent_pid) {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
        }
    }

    /// Makes one attempt and replies.
    fn attempt(&mut self, received: &Received) -> io::Result<()> {
        let order = &received.order;
        // A server may start for minutes; nothing of the attempt is there yet.
        let ready = match order.call.as_ref().map(|_| self.ready_for_calls()) {
            // What is missing now may be there in a moment: the start of the call sees.
            Some(Err(LaunchError::Farm(_))) | None => Ok(()),
            Some(ready) => ready,
        };
        if matches!(ready, Err(LaunchError::Unwanted)) || (order.call.is_some() && !self.may_begin()?) {
            return self.give_back(order);
        }
        match self.begin(received) {
            Ok(mut begun) => match self.run(order, &mut begun, ready) {
                Ok(ended) => self.conclude(order, ended, begun),
                Err(NotRun::Unwanted) => {
                    self.log_not_started(order, "no more tasks were to begin");
                    self.give_back(order)
                }
                Err(NotRun::Trouble(error)) if error.is_of_task() => self.refuse(order, &error),
                Err(NotRun::Trouble(error)) => {
                    let (task_index, message) = (order.task_index, error.to_string());
                    self.log_not_started(order, &message);
                    self.parts.replies.send(&Reply::NotStarted { task_index, message })
                }
            },
            Err(error) => {
                if error.is_of_task() && self.log_begun(received).is_ok() {
                    return self.refuse(order, &error);
                }
                let message = error.to_string();
                self.parts.replies.send(&Reply::NotStarted { task_index: order.task_index, message })
            }
        }
    }

    /// What an earlier attempt made of the task's directory keeps this one from its start, and no other
    /// task: a failure of its own.
    fn refuse(&mut self, order: &TaskOrder, error: &DirectoryError) -> io::Result<()> {
        let ended = self.not_spawned(order, error.to_string());
        self.log_ended(ended)?;
        self.reply()
    }

    fn not_spawned(&self, order: &TaskOrder, reason: String) -> TaskEnded {
        let worker_id = self.parts.worker.id;
        let unmeasured =
            TaskEnded::unmeasured(order.task_index, order.attempt, worker_id, Outcome::SpawnFailed);
        TaskEnded { error: Some(reason), ..unmeasured }
    }

    fn log_begun(&mut self, received: &Received) -> io::Result<()> {
        self.parts.log.append_begun(self.parts.worker.id, Timestamp::now(), &received.json)
    }

    /// Puts the outcome into the log, and keeps its text for the coordinator.
    fn log_ended(&mut self, ended: TaskEnded) -> io::Result<()> {
        serde_json::to_writer(self.reply.begin(), &Reply::Finished(Box::new(ended)))?;
        if let Err(error) = self.parts.log.append_text(&mut self.reply) {
            self.trouble = Some(format!("the slot log cannot be written: {}", explained(&error)));
        }
        Ok(())
    }

    fn log_not_started(&mut self, order: &TaskOrder, message: &str) {
        let (task_index, message) = (order.task_index, message.to_owned());
        // If this cannot be written either, the log tells of an attempt whose end is unknown.
        let _ = self.parts.log.append(&Line::NotStarted { task_index, message });
    }

    /// Gives the outcome to the coordinator, and the trouble that came on the way.
    fn reply(&mut self) -> io::Result<()> {
        self.parts.replies.send_json(self.reply.json())?;
        match self.trouble.take() {
            Some(message) => self.parts.replies.send(&Reply::Trouble { message }),
            None => Ok(()),
        }
    }

    /// Makes the task's files, and says in the log that it is begun.
    fn begin(&mut self, received: &Received) -> Result<Begun, DirectoryError> {
        let order = &received.order;
        let directory = TaskDirectory::create(&self.run_dir, &self.parts.setup, order)?;
        let task_file = TaskFile::new(&self.parts, order);
        directory.begin_task_file(task_file.to_json(&mut self.document), &self.spare)?;
        if !self.parts.worker.gpus.is_empty() {
            directory.write_gpu_ids(&gpu_binding::ids_text(&self.parts.worker.gpus))?;
        }
        let logged = self.log_begun(received);
        logged.map_err(|error| directory.trouble("write the slot log", error))?;
        Ok(Begun { directory, task_file })
    }

    /// Runs what was begun; for a call, if its server is `ready`. An error means that nothing was started.
    fn run(
        &mut self,
        order: &TaskOrder,
        begun: &mut Begun,
        ready: Result<(), LaunchError>,
    ) -> Result<TaskEnded, NotRun> {
        if self.parts.setup.cwd == WorkingDirectory::Task {
            begun.directory.enter().map_err(NotRun::Trouble)?;
        }
        dead_man::hold(self.parts.requests);
        let oom_kills_before = self.parts.requests.oom_kill_count();
        let started = ready.and_then(|()| self.start(order, &begun.directory));
        if started.is_err() {
            dead_man::let_go();
        }
        match started {
            Ok((started, sequence)) => {
                let mut ended = self.follow(order, &started, begun, sequence, oom_kills_before);
                match results::read(&begun.directory) {
                    Ok(results_json) => ended.results_json = results_json,
                    Err(why) if ended.outcome == Outcome::Succeeded => self.warn_of_results(why),
                    // One that was ended may have been about to write it.
                    Err(_) => {}
                }
                Ok(ended)
            }
            Err(LaunchError::Farm(error)) => {
                Err(NotRun::Trouble(begun.directory.trouble("start a process", error)))
            }
            Err(LaunchError::Unwanted) => Err(NotRun::Unwanted),
            Err(LaunchError::Server { reason, printed }) => {
                begun.directory.print(&printed);
                Ok(self.not_spawned(order, reason))
            }
            Err(LaunchError::Task(reason)) => Ok(self.not_spawned(order, reason)),
        }
    }

    /// Starts the first process of a task. Returns it with the task's sequence in the slot's cell.
    fn start(&mut self, order: &TaskOrder, directory: &TaskDirectory) -> Result<(Started, u64), LaunchError> {
        let mut pauses = START_AGAIN_MS.into_iter();
        loop {
            let started = match &order.call {
                Some(payload) => self.start_call(order, payload, directory),
                None => self.start_command(order, directory),
            };
            match started {
                Err(LaunchError::Farm(error)) if is_passing(&error) => match pauses.next() {
                    Some(pause_ms) => std::thread::sleep(Duration::from_millis(pause_ms)),
                    None => return Err(LaunchError::Farm(error)),
                },
                other => return other,
            }
        }
    }

    fn start_command(
        &mut self,
        order: &TaskOrder,
        directory: &TaskDirectory,
    ) -> Result<(Started, u64), LaunchError> {
        let setup = &self.parts.setup;
        let variables = self.environment.of_task(setup, order, directory.path());
        let cgroup = self.parts.cgroup.as_ref().map(|cgroup| cgroup.processes.as_fd());
        let starting = Starting { order, setup, variables: &variables, directory, cgroup };
        self.parts.cell.set_inherited_bytes(0);
        let sequence = self.parts.cell.begin(&order.task_id, order.attempt, sys::monotonic_ns());
        let started = self.launcher.start(&starting);
        if started.is_err() {
            self.parts.cell.end();
        }
        started.map(|started| (started, sequence))
    }

    /// Waits for the task's tree and says what came of it.
    fn follow(
        &mut self,
        order: &TaskOrder,
        started: &Started,
        begun: &mut Begun,
        sequence: u64,
        oom_kills_before: i64,
    ) -> TaskEnded {
        let before = self.io_account.read();
        let mut own_io = OwnIo::default();
        begun.task_file.started(started.pid, started.at);
        let mut tree = Tree::new(started.pid, self.watched(order, started, sequence));
        let announce_ns = started.monotonic_ns + tree::nanoseconds(ANNOUNCE_AFTER);
        if !tree.wait_until(Some(announce_ns), &mut own_io) {
            self.announce(order, started, begun, &mut own_io);
            begun.wait_for(&mut tree, started.monotonic_ns, &mut own_io);
        }
        // Whatever the file system does from here on, nothing of the task runs.
        dead_man::let_go();
        let after = self.io_account.read();
        let sampled = self.parts.cell.end();
        let end = tree.into_end();
        let mut usage = end.usage.clone();
        io_account::fill(&mut usage, before, after, own_io);
        usage.max_tree_rss_bytes = sampled.max_tree_rss_bytes;
        usage.sample_count = sampled.sample_count;
        sampled.gpu.fill(&mut usage, started.monotonic_ns, end.first_ended_ns);
        usage.rss_floor_bytes = Some(started.rss_floor_bytes.unwrap_or_else(sys::own_max_rss_bytes));
        let memory = MemoryFacts {
            limit_bytes: self.parts.setup.memory_per_task_bytes,
            killed: self.parts.cgroup.as_mut().and_then(|cgroup| cgroup.killed()),
        };
        let oom_kill_rose = || self.read_oom_kill_count().is_some_and(|now| now > oom_kills_before);
        let verdict = Verdict::of(&end, memory, oom_kill_rose, tree::slot_was_signalled);
        let worker_id = self.parts.worker.id;
        TaskEnded {
            pid: Some(started.pid.into()),
            started_at: Some(started.at),
            wall_s: Some(seconds(end.first_ended_ns - started.monotonic_ns)),
            stopped_s: seconds(end.stopped_ns),
            exit_code: sys::exit_code(end.first_status),
            signal: sys::term_signal(end.first_status),
            cause: verdict.cause.map(|(cause, _)| cause),
            cause_evidence: verdict.cause.map(|(_, evidence)| evidence),
            error: verdict.error,
            usage,
            ..TaskEnded::unmeasured(order.task_index, order.attempt, worker_id, verdict.outcome)
        }
    }

    fn read_oom_kill_count(&self) -> Option<i64> {
        let count = self.parts.oom_counter.as_ref()?.read()?;
        self.parts.requests.note_oom_kill_count(count);
        Some(count)
    }

    fn watched(&self, order: &TaskOrder, started: &Started, sequence: u64) -> Watched {
        let duration = |seconds| Duration::try_from_secs_f64(seconds).ok();
        Watched {
            agent_pid: self.parts.agent_pid,
            requests: self.parts.requests,
            cell: self.parts.cell,
            sequence,
            started_ns: started.monotonic_ns,
            timeout: order.timeout_s.and_then(duration),
            kill_grace: duration(self.parts.setup.kill_grace_s).unwrap_or_default(),
        }
    }

    fn announce(&self, order: &TaskOrder, started: &Started, begun: &Begun, own_io: &mut OwnIo) {
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
        let _ = begun.directory.replace_task_file(begun.task_file.to_json(&mut Vec::new()), own_io);
    }

    /// Adds what the task's files say, and leaves the outcome in the log, in `task.json`, and with the
    /// coordinator, in this order. Trouble on the way is told, and loses nothing.
    fn conclude(&mut self, order: &TaskOrder, mut ended: TaskEnded, mut begun: Begun) -> io::Result<()> {
        self.examine(order, &mut ended, &begun.directory);
        begun.task_file.ended(&ended);
        let is_kept = match self.parts.setup.task_files {
            TaskFiles::All => true,
            TaskFiles::Failed => ended.outcome != Outcome::Succeeded,
            TaskFiles::None => false,
        };
        self.log_ended(ended)?;
        let Begun { directory, task_file } = begun;
        if !is_kept {
            directory.remove_files(&self.run_dir, &self.parts.setup, order.attempt);
        } else {
            let json = task_file.to_json(&mut self.document);
            if let Err(error) = directory.end_task_file(json, &self.spare) {
                if is_general(error.reason()) {
                    self.trouble.get_or_insert(error.to_string());
                } else {
                    self.warn_of_directory(&error)?;
                }
            }
        }
        self.reply()
    }

    /// A task made its directory unfit for `task.json`. Its row in the record is complete; once a slot is
    /// enough to say so. One that removed its directory wanted no files there.
    fn warn_of_directory(&mut self, error: &DirectoryError) -> io::Result<()> {
        if self.has_warned || error.reason().kind() == io::ErrorKind::NotFound {
            return Ok(());
        }
        self.has_warned = true;
        self.parts.replies.send(&Reply::Warning { message: error.to_string() })
    }

    /// A `result.json` that cannot be read: once a slot, in the same words for all tasks, so that the user is told once.
    fn warn_of_results(&mut self, why: &str) {
        if !std::mem::replace(&mut self.has_warned_of_results, true) {
            let message = format!("`result.json` files of tasks that {why} are not in the record");
            // The outcome follows; who does not listen is noticed then.
            let _ = self.parts.replies.send(&Reply::Warning { message });
        }
    }
}

/// Why nothing was run.
enum NotRun {
    /// The farm's own trouble, or what an earlier attempt made of the task's directory.
    Trouble(DirectoryError),
    /// No more tasks are to begin.
    Unwanted,
}

/// An attempt whose files are made.
struct Begun {
    directory: TaskDirectory,
    task_file: TaskFile,
}

impl Begun {
    /// Waits until the tree has ended, and keeps an eye on output that has a limit.
    fn wait_for(&self, tree: &mut Tree, started_ns: i64, own_io: &mut OwnIo) {
        let limited: Vec<&OutputFile> = [Some(self.directory.stdout()), self.directory.stderr()]
            .into_iter()
            .flatten()
            .filter(|output| output.has_limit())
            .collect();
        let mut pause = LOOK_AT_OUTPUT;
        let mut look_ns = (!limited.is_empty()).then(|| started_ns + tree::nanoseconds(pause));
        while !tree.wait_until(look_ns, own_io) {
            let mut has_grown = false;
            for output in &limited {
                has_grown |= output.free_middle();
            }
            pause = if has_grown { LOOK_AT_OUTPUT } else { (pause * 2).min(LOOK_AT_OUTPUT_AT_MOST) };
            look_ns = Some(sys::monotonic_ns() + tree::nanoseconds(pause));
        }
    }
}

/// Whether what was asked for may be there in a moment.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::ENOMEM | libc::ENFILE))
}
