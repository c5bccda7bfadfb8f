//! The start of an agent: its slots are forked first, as long as it has no thread; then the sampler and the
//! GPU monitor begin.

use std::collections::VecDeque;
use std::io;

use ictasks_core::column::Timestamp;
use ictasks_core::protocol::{PROTOCOL_VERSION, Reply, Setup};

use super::{Agent, State};
use crate::affinity;
use crate::error::AgentError;
use crate::gpu;
use crate::lines::LineReader;
use crate::link::Link;
use crate::memory::Enforcement;
use crate::memory::oom_count::OomCounter;
use crate::node_info;
use crate::output::SharedOutput;
use crate::queue::ReplySender;
use crate::requests::Requests;
use crate::sampler::{self, Watched};
use crate::shared::SlotCell;
use crate::slot::{self, SlotParts};
use crate::slot_log::SlotLog;
use crate::slots::{SlotHandle, Slots};
use crate::sys::{self, Fork, SignalSet};

/// The first line that the coordinator sends.
pub(super) fn first_line(input: &mut LineReader<std::fs::File>) -> Result<Vec<u8>, AgentError> {
    loop {
        match input.next_line() {
            Some(line) => return Ok(line.to_vec()),
            None => match input.fill() {
                Ok(0) => return Err(AgentError::NoSetup),
                Ok(_) => {}
                Err(error) => return Err(AgentError::system("read standard input")(error)),
            },
        }
    }
}

/// The setup in the first line.
pub(super) fn parse_setup(line: &[u8]) -> Result<Setup, AgentError> {
    let setup: Setup = serde_json::from_slice(line).map_err(AgentError::Setup)?;
    if setup.protocol_version != PROTOCOL_VERSION {
        return Err(AgentError::Version { theirs: setup.protocol_version, ours: PROTOCOL_VERSION });
    }
    Ok(setup)
}

impl Agent {
    /// Forks the slots, joins the coordinator, and starts to sample.
    pub(super) fn start(
        setup: Setup,
        input: LineReader<std::fs::File>,
        output: SharedOutput,
        link: Option<Link>,
        ignored: SignalSet,
    ) -> Result<Self, AgentError> {
        // Whatever slots and samplers write is in the coordinator's time.
        Timestamp::follow_clock_behind_by(setup.clock_offset_s);
        let host = node_info::host_name();
        if setup.pin_cores {
            affinity::check(&setup)?;
        }
        let log = SlotLog::open(&setup.run_dir, &host, setup.host_id, setup.workers.len())?;
        let (orders, order_receiver) =
            crate::queue::orders().map_err(AgentError::system("make the queue of orders"))?;
        let (reply_sender, replies) =
            crate::queue::replies().map_err(AgentError::system("make the queue of replies"))?;
        let shared = AgentError::system("share memory with the slots");
        let cells = sys::shared_memory::<SlotCell>(setup.workers.len()).map_err(shared)?;
        let shared = AgentError::system("share memory with the slots");
        let requests = &sys::shared_memory::<Requests>(1).map_err(shared)?[0];
        let oom_counter = OomCounter::find();
        requests.note_oom_kill_count(oom_counter.as_ref().and_then(OomCounter::read).unwrap_or(0));
        let mut agent = Self {
            input,
            input_is_open: true,
            output,
            orders: Some(orders),
            taken_back: order_receiver,
            replies,
            slots: Slots::new(requests),
            enforcement: Enforcement::choose(&setup),
            waiting: VecDeque::new(),
            unanswered: 0,
            state: State::Working,
            stopping: None,
            is_lost: false,
            link,
            linked: None,
        };
        for (worker, cell) in setup.workers.iter().zip(cells) {
            let parts = agent.slot_parts(&setup, &host, worker, cell, &reply_sender, &log);
            let mut parts = parts.map_err(AgentError::system("prepare a slot"))?;
            parts.oom_counter.clone_from(&oom_counter);
            parts.ignored = ignored;
            agent = agent.fork_slot(parts)?;
        }
        drop(reply_sender);
        agent.send(&Reply::Hello(node_info::of_host(&setup, &host, agent.enforcement.name())));
        let slots = agent.slots.iter().map(|slot| (slot.pid, slot.cell));
        gpu::monitor::start(&setup, &host, slots, &agent.output);
        agent.start_sampler(&setup, host);
        if let Some(link) = agent.link.take() {
            let linked = link
                .start(agent.slots.requests(), agent.output.clone())
                .map_err(AgentError::system("start a thread"))?;
            agent.linked = Some(linked);
        }
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
        let cgroup = match &self.enforcement {
            Enforcement::Cgroup(cgroups) => cgroups.worker(worker.id),
            Enforcement::None | Enforcement::Sampled(_) => None,
        };
        Ok(SlotParts {
            setup: setup.clone(),
            host: host.to_owned(),
            worker: worker.clone(),
            orders: self.taken_back.try_clone()?,
            replies: replies.try_clone()?,
            log: log.try_clone()?,
            cell,
            requests: self.slots.requests(),
            cgroup,
            oom_counter: None,
            ignored: SignalSet::of(&[]),
            agent_pid: i32::try_from(std::process::id()).unwrap_or(0),
        })
    }

    /// Forks one slot. In the new process everything of the agent is dropped first, above all its
    /// ends of the queues: the end of a queue is how slots and coordinator notice each other's death.
    fn fork_slot(mut self, parts: SlotParts) -> Result<Self, AgentError> {
        let cell = parts.cell;
        match sys::fork_single_threaded().map_err(AgentError::system("fork a slot"))? {
            Fork::Child => {
                drop(self);
                sys::exit_now(slot::run(parts));
            }
            Fork::Parent(pid) => self.slots.add(SlotHandle { pid, cell }),
        }
        Ok(self)
    }

    fn start_sampler(&self, setup: &Setup, host: String) {
        let memory_limit_bytes = match self.enforcement {
            Enforcement::Sampled(limit_bytes) => Some(limit_bytes),
            Enforcement::None | Enforcement::Cgroup(_) => None,
        };
        let watched = Watched {
            host,
            session: setup.session,
            interval_s: setup.sample_interval_s,
            slots: self.slots.iter().map(|slot| (slot.pid, slot.cell)).collect(),
            memory_limit_bytes,
            requests: self.slots.requests(),
        };
        let output = self.output.clone();
        let started = std::thread::Builder::new().spawn(move || sampler::run(watched, &output));
        if let Err(error) = started {
            let message = format!(
                "resource use is not sampled, since no thread can be started ({error}); the limit of processes \
                 is `ulimit -u`"
            );
            let reply = match self.enforcement {
                Enforcement::Sampled(_) => Reply::Trouble { message },
                Enforcement::None | Enforcement::Cgroup(_) => Reply::Warning { message },
            };
            self.send(&reply);
        }
    }
}
