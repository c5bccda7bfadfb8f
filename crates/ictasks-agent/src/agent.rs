//! The agent's main loop: orders from the coordinator to the slots, replies back.
//!
//! The loop is single-threaded; the only other thread samples. After it has handled replies it
//! pauses for some milliseconds, so that at thousands of tasks a second it wakes once for many of them: the
//! slots do not need it to go on, they take their next task from the queue themselves.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use ictasks_core::attempt::Cause;
use ictasks_core::protocol::{PROTOCOL_VERSION, RUN_PREFIX, Reply, Request, Setup};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::error::AgentError;
use crate::gpu;
use crate::lines::LineReader;
use crate::node_info;
use crate::output::SharedOutput;
use crate::queue::{OrderReceiver, OrderSender, Received, ReplyReceiver, ReplySender};
use crate::sampler::{self, Watched};
use crate::shared::SlotCell;
use crate::slot::{self, SlotParts};
use crate::slot_log::SlotLog;
use crate::sys::{self, Fork, Wait};

/// Between two rounds of replies: this for each reply of the last round, at most [`LONGEST_PAUSE`].
const PAUSE_PER_REPLY: Duration = Duration::from_micros(400);
const LONGEST_PAUSE: Duration = Duration::from_millis(5);
/// How often the loop looks after its slots when nothing else happens.
const LOOK_AFTER_SLOTS: Timespec = Timespec { tv_sec: 0, tv_nsec: 500_000_000 };
/// Grace of running tasks when the coordinator is gone.
const LOST_GRACE: Duration = Duration::from_secs(1);

/// Runs an agent on standard input and output until the coordinator has no more work.
///
/// # Errors
/// What keeps it from starting. Once it has started, trouble goes to the coordinator.
pub fn run() -> Result<(), AgentError> {
    let quiet = [
        libc::SIGINT,
        libc::SIGTSTP,
        libc::SIGTERM,
        libc::SIGPIPE,
        libc::SIGHUP,
        libc::SIGTTIN,
        libc::SIGTTOU,
    ];
    sys::ignore_signals(&quiet);
    let input = sys::take_standard_stream(0).map_err(AgentError::system("take standard input"))?;
    let output = sys::take_standard_stream(1).map_err(AgentError::system("take standard output"))?;
    // A terminal's signals are for the coordinator; this fails only for the leader of a session.
    let _ = rustix::process::setpgid(None, None);
    sys::become_subreaper().map_err(AgentError::system("become a subreaper"))?;
    let mut input = LineReader::new(std::fs::File::from(input));
    let setup = read_setup(&mut input)?;
    let agent = Agent::start(setup, input, SharedOutput::new(output))?;
    agent.work();
    Ok(())
}

fn read_setup(input: &mut LineReader<std::fs::File>) -> Result<Setup, AgentError> {
    let line = loop {
        match input.next_line() {
            Some(line) => break line.to_vec(),
            None => match input.fill() {
                Ok(0) => return Err(AgentError::NoSetup),
                Ok(_) => {}
                Err(error) => return Err(AgentError::system("read standard input")(error)),
            },
        }
    };
    let setup: Setup = serde_json::from_slice(&line).map_err(AgentError::Setup)?;
    if setup.protocol_version != PROTOCOL_VERSION {
        return Err(AgentError::Version { theirs: setup.protocol_version, ours: PROTOCOL_VERSION });
    }
    Ok(setup)
}

/// What the agent still expects of its coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Orders.
    Working,
    /// Nothing new is started; what is ordered is given back.
    Stopping,
    /// No more orders come: the queue runs empty, then the slots end.
    Ending,
}

struct Agent {
    input: LineReader<std::fs::File>,
    input_is_open: bool,
    output: SharedOutput,
    /// `None` once no more orders may come: the slots then see the end of the queue.
    orders: Option<OrderSender>,
    taken_back: OrderReceiver,
    replies: ReplyReceiver,
    slot_pids: Vec<i32>,
    waiting: VecDeque<Vec<u8>>,
    state: State,
}

impl Agent {
    fn start(
        setup: Setup,
        input: LineReader<std::fs::File>,
        output: SharedOutput,
    ) -> Result<Self, AgentError> {
        let host = node_info::host_name();
        check_pinning(&setup)?;
        let log = SlotLog::open(&setup.run_dir, &host, setup.host_id)
            .map_err(|source| AgentError::SlotLog { run_dir: setup.run_dir.clone(), source })?;
        let (orders, order_receiver) =
            crate::queue::orders().map_err(AgentError::system("make the queue of orders"))?;
        let (reply_sender, replies) =
            crate::queue::replies().map_err(AgentError::system("make the queue of replies"))?;
        let cells = sys::shared_memory::<SlotCell>(setup.workers.len())
            .map_err(AgentError::system("share memory with the slots"))?;
        let mut agent = Self {
            input,
            input_is_open: true,
            output,
            orders: Some(orders),
            taken_back: order_receiver,
            replies,
            slot_pids: Vec::new(),
            waiting: VecDeque::new(),
            state: State::Working,
        };
        for (worker, cell) in setup.workers.iter().zip(cells) {
            let parts = agent.slot_parts(&setup, &host, worker, cell, &reply_sender, &log);
            let parts = parts.map_err(AgentError::system("prepare a slot"))?;
            agent = agent.fork_slot(parts)?;
        }
        drop(reply_sender);
        agent.send(&Reply::Hello(node_info::of_host(&setup, &host)));
        let slots = agent.slot_pids.iter().copied().zip(cells);
        gpu::monitor::start(&setup, &host, slots, &agent.output);
        agent.start_sampler(&setup, host, cells);
        Ok(agent)
    }

    fn slot_parts(
        &self,
        setup: &Setup,
        host: &str,
        worker: &ictasks_core::protocol::Worker,
        cell: &'static SlotCell,
        replies: &ReplySender,
        log: &SlotLog,
    ) -> io::Result<SlotParts> {
        Ok(SlotParts {
            setup: setup.clone(),
            host: host.to_owned(),
            worker: worker.clone(),
            orders: self.taken_back.try_clone()?,
            replies: replies.try_clone()?,
            log: log.try_clone()?,
            cell,
            agent_pid: i32::try_from(std::process::id()).unwrap_or(0),
        })
    }

    /// Forks one slot. In the new process everything of the agent is dropped first, above all its
    /// ends of the queues: the end of a queue is how slots and coordinator notice each other's death.
    fn fork_slot(mut self, parts: SlotParts) -> Result<Self, AgentError> {
        match sys::fork_single_threaded().map_err(AgentError::system("fork a slot"))? {
            Fork::Child => {
                drop(self);
                sys::exit_now(slot::run(parts));
            }
            Fork::Parent(pid) => self.slot_pids.push(pid),
        }
        Ok(self)
    }

    fn start_sampler(&self, setup: &Setup, host: String, cells: &'static [SlotCell]) {
        if setup.sample_interval_s <= 0.0 {
            return;
        }
        let watched = Watched {
            host,
            session: setup.session,
            interval_s: setup.sample_interval_s,
            slots: self.slot_pids.iter().copied().zip(cells).collect(),
        };
        let output = self.output.clone();
        std::thread::spawn(move || sampler::run(watched, &output));
    }

    /// Works until every slot has ended.
    fn work(mut self) {
        // The first reading, for the setup, may have brought more.
        self.take_requests();
        loop {
            self.pass_on_orders();
            self.wait();
            self.read_requests();
            self.pass_on_orders();
            match self.forward_replies() {
                Forwarded::Replies(count) => {
                    std::thread::sleep((PAUSE_PER_REPLY * count).min(LONGEST_PAUSE));
                }
                Forwarded::SlotsEnded => break,
            }
            self.look_after_slots();
        }
        self.look_after_slots();
    }

    fn wait(&self) {
        let mut polled = vec![PollFd::new(&self.replies, PollFlags::IN)];
        if self.input_is_open {
            polled.push(PollFd::new(&self.input, PollFlags::IN));
        }
        if let Some(orders) = self.orders.as_ref().filter(|_| !self.waiting.is_empty()) {
            polled.push(PollFd::new(orders, PollFlags::OUT));
        }
        // Whatever interrupts it, the loop looks at everything.
        let _ = poll(&mut polled, Some(&LOOK_AFTER_SLOTS));
    }

    fn read_requests(&mut self) {
        if !self.input_is_open || !self.input.is_readable() {
            return;
        }
        if !matches!(self.input.fill(), Ok(1..)) {
            self.input_is_open = false;
            if self.state != State::Ending {
                self.coordinator_lost();
            }
            return;
        }
        self.take_requests();
    }

    /// Takes every whole line that has been read.
    fn take_requests(&mut self) {
        while let Some(line) = self.input.next_line() {
            let line = line.to_vec();
            self.take_request(line);
        }
    }

    fn take_request(&mut self, line: Vec<u8>) {
        if line.starts_with(RUN_PREFIX.as_bytes()) {
            self.waiting.push_back(line);
            if self.state != State::Working {
                self.give_back();
            }
            return;
        }
        match serde_json::from_slice(&line) {
            Ok(Request::Recall) => self.give_back(),
            Ok(Request::Terminate { grace_s, cause }) => {
                if self.state == State::Working {
                    self.state = State::Stopping;
                }
                self.give_back();
                self.end_tasks(cause, Duration::try_from_secs_f64(grace_s).unwrap_or_default());
            }
            Ok(Request::End) => self.state = State::Ending,
            Ok(Request::Suspend | Request::Continue) => {}
            Ok(Request::Run(_)) | Err(_) => {
                self.trouble("the agent cannot understand the coordinator".to_owned())
            }
        }
    }

    /// The coordinator is gone: nothing runs on unattended.
    fn coordinator_lost(&mut self) {
        self.give_back();
        self.end_tasks(Cause::CoordinatorLost, LOST_GRACE);
        self.state = State::Ending;
    }

    fn end_tasks(&self, cause: Cause, grace: Duration) {
        for pid in &self.slot_pids {
            slot::request_end(*pid, cause, grace);
        }
    }

    /// Takes every order that no slot has begun out of the queue and tells the coordinator.
    fn give_back(&mut self) {
        let mut task_indices = Vec::new();
        while let Ok(Some(order)) = self.taken_back.try_receive() {
            task_indices.push(order.task_index);
        }
        for line in self.waiting.drain(..) {
            if let Ok(Request::Run(order)) = serde_json::from_slice(&line) {
                task_indices.push(order.task_index);
            }
        }
        self.send(&Reply::Recalled { task_indices });
    }

    fn pass_on_orders(&mut self) {
        while let (Some(orders), Some(line)) = (&self.orders, self.waiting.front()) {
            match orders.try_send(line) {
                Ok(true) => drop(self.waiting.pop_front()),
                Ok(false) => break,
                Err(error) => {
                    self.trouble(format!("the agent cannot pass an order to its slots: {error}"));
                    self.give_back();
                    break;
                }
            }
        }
        if self.state == State::Ending && self.waiting.is_empty() {
            self.orders = None;
        }
    }

    fn forward_replies(&mut self) -> Forwarded {
        let mut lines = Vec::new();
        let mut count = 0;
        let mut ended = false;
        loop {
            match self.replies.try_receive() {
                Ok(Received::Reply(json)) => {
                    lines.extend_from_slice(json);
                    lines.push(b'\n');
                    count += 1;
                }
                Ok(Received::Nothing) => break,
                Ok(Received::Ended) | Err(_) => {
                    ended = true;
                    break;
                }
            }
        }
        if count > 0 && self.output.send_lines(&lines).is_err() && self.state != State::Ending {
            self.coordinator_lost();
        }
        if ended { Forwarded::SlotsEnded } else { Forwarded::Replies(count) }
    }

    /// Reaps slots. One that ended early leaves its task to the agent, the next subreaper.
    fn look_after_slots(&mut self) {
        while let Ok(Wait::Reaped(reaped)) = sys::wait_any() {
            let Some(position) = self.slot_pids.iter().position(|pid| *pid == reaped.pid) else { continue };
            self.slot_pids.swap_remove(position);
            if self.orders.is_some() {
                let how = sys::term_signal(reaped.status).map_or_else(
                    || "ended by itself".to_owned(),
                    |signal| format!("was killed by signal {signal}"),
                );
                self.end_orphans();
                self.trouble(format!("slot {} of the agent {how}", reaped.pid));
            }
        }
    }

    /// Kills what a dead slot left behind: the agent's descendants that belong to no slot.
    fn end_orphans(&self) {
        let table = crate::process_table::ProcessTable::read(&mut crate::process_table::OwnIo::default());
        let own_pid = i32::try_from(std::process::id()).unwrap_or(0);
        let kept: std::collections::HashSet<i32> = self
            .slot_pids
            .iter()
            .flat_map(|slot| table.descendants(*slot).into_iter().map(|process| process.pid).chain([*slot]))
            .collect();
        for orphan in table.descendants(own_pid).into_iter().filter(|process| !kept.contains(&process.pid)) {
            sys::kill(orphan.pid, libc::SIGKILL);
        }
    }

    fn trouble(&mut self, message: String) {
        self.send(&Reply::Trouble { message });
    }

    fn send(&mut self, reply: &Reply) {
        // A coordinator that is gone is noticed by the end of its requests.
        let _ = self.output.send(reply);
    }
}

/// What [`Agent::forward_replies`] found.
enum Forwarded {
    /// So many replies.
    Replies(u32),
    /// No slot is left.
    SlotsEnded,
}

/// Tries every worker's CPUs before anything runs, so that the record never claims a pinning that failed.
fn check_pinning(setup: &Setup) -> Result<(), AgentError> {
    let Ok(before) = rustix::thread::sched_getaffinity(None) else { return Ok(()) };
    for worker in &setup.workers {
        let Some(cores) = &worker.cores else { continue };
        crate::affinity::pin(cores).map_err(|source| AgentError::Pin {
            worker_id: worker.id,
            cores: cores.clone(),
            source,
        })?;
    }
    rustix::thread::sched_setaffinity(None, &before)
        .map_err(|error| AgentError::system("restore its own CPUs")(error.into()))
}
