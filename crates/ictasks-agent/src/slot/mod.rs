//! A slot: a small process that starts, measures and ends one task at a time.
//!
//! The agent forks its slots before it has any thread. A slot takes orders from a queue that all
//! slots of the agent share, so a task waits only while every slot is busy. It is the subreaper of
//! its task, hence it reaps and knows every descendant.
//!
//! - [`attempt`]: one attempt, from the order to the reply
//! - [`directory`], [`spare`], [`output_file`]: the task's directory and the files in it
//! - [`environment`]: the task's environment
//! - [`gpu_binding`]: how the task learns of its GPUs
//! - [`launch`]: from a command to a process
//! - [`calls`]: from a function call to a process
//! - [`tree`], [`sweep`]: waiting for the task and all its descendants, stopping them, and ending them
//! - [`usage_sums`], [`io_account`]: what they used
//! - [`verdict`], [`examine`], [`disk`], [`expectations`]: what came of it, and why
//! - [`task_file`]: the contents of `task.json`
//! - [`results`]: the contents of `result.json`

mod attempt;
mod calls;
mod dead_man;
mod directory;
mod disk;
mod environment;
mod examine;
mod expectations;
mod gpu_binding;
mod io_account;
mod launch;
mod output_file;
mod results;
mod spare;
pub mod sweep;
mod task_file;
mod tree;
mod usage_sums;
mod verdict;

use std::os::fd::OwnedFd;

use ictasks_core::protocol::{Reply, Setup, Worker, WorkingDirectory};
use ictasks_core::slot_log::{Line, LineText};
use rustix::fs::{Mode, OFlags};

use crate::memory::cgroup::WorkerCgroup;
use crate::memory::oom_count::OomCounter;
use crate::queue::{OrderReceiver, ReplySender};
use crate::requests::Requests;
use crate::shared::SlotCell;
use crate::slot_log::SlotLog;
use crate::sys::{self, SignalSet};
use crate::trouble::explained;
use calls::Calls;
use environment::Environment;
use io_account::IoAccount;
use launch::Launcher;
use spare::Spare;

pub use tree::{nanoseconds, waited_signals};

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
    /// The cell that it shares with the agent.
    pub cell: &'static SlotCell,
    /// What the agent wants of all slots.
    pub requests: &'static Requests,
    /// The cgroup that its tasks are to be in, if there is one.
    pub cgroup: Option<WorkerCgroup>,
    /// The kernel's counter of ends for want of memory.
    pub oom_counter: Option<OomCounter>,
    /// The signals that its tasks begin to ignore.
    pub ignored: SignalSet,
    /// Process id of the agent.
    pub agent_pid: i32,
}

/// A slot at work.
struct Slot {
    parts: SlotParts,
    environment: Environment,
    launcher: Launcher,
    calls: Calls,
    io_account: IoAccount,
    run_dir: OwnedFd,
    spare: Spare,
    /// It has told of a task that made its own directory unfit for the farm's files.
    has_warned: bool,
    /// It has told of a `result.json` that cannot be read.
    has_warned_of_results: bool,
    /// The last outcome, as text.
    reply: LineText,
    /// What went wrong on the way to it, until the coordinator has been told.
    trouble: Option<String>,
    /// Memory for `task.json`.
    document: Vec<u8>,
}

/// Works until no more orders can come. Called in the forked process; returns its exit code.
pub fn run(parts: SlotParts) -> i32 {
    match Slot::prepare(parts) {
        Ok(mut slot) => {
            let code = slot.work();
            slot.calls.end();
            // The recorder removes what is left in the journal.
            let _ = slot.spare.remove();
            code
        }
        Err((replies, error)) => {
            let message = format!("a slot cannot work: {}", explained(&error));
            // Where even this cannot be sent, the agent sees the slot end.
            let _ = replies.send(&Reply::Trouble { message });
            1
        }
    }
}

impl Slot {
    fn prepare(mut parts: SlotParts) -> Result<Self, (ReplySender, std::io::Error)> {
        match Self::open(&mut parts) {
            Ok((run_dir, launcher, spare)) => {
                let environment = Environment::new(&parts.setup, &parts.worker);
                Ok(Self {
                    environment,
                    launcher,
                    calls: Calls::default(),
                    io_account: IoAccount::open(),
                    run_dir,
                    spare,
                    parts,
                    has_warned: false,
                    has_warned_of_results: false,
                    reply: LineText::default(),
                    trouble: None,
                    document: Vec::new(),
                })
            }
            Err(error) => Err((parts.replies, error)),
        }
    }

    fn open(parts: &mut SlotParts) -> std::io::Result<(OwnedFd, Launcher, Spare)> {
        sys::become_subreaper()?;
        sys::reset_signals(&parts.ignored);
        sys::signal_on_parent_death(tree::PARENT_DIED)?;
        rustix::process::setpgid(None, None)?;
        if let Some(cores) = parts.worker.cores.as_ref().filter(|_| parts.setup.pin_cores) {
            crate::affinity::pin(cores)?;
        }
        if parts.setup.cwd == WorkingDirectory::Submit {
            std::env::set_current_dir(&parts.setup.submit_dir)?;
        }
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
        let run_dir = rustix::fs::open(&parts.setup.run_dir, flags, Mode::empty())?;
        let spare = Spare::create(&run_dir, parts.setup.host_id, parts.worker.id)?;
        let seat = parts.setup.seat(&parts.host, &parts.worker);
        parts.log.append(&Line::Slot(seat))?;
        Ok((run_dir, Launcher::new()?, spare))
    }

    fn work(&mut self) -> i32 {
        loop {
            match self.parts.orders.receive() {
                Ok(Some(received)) => {
                    if self.perform(&received).is_err() {
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
}
