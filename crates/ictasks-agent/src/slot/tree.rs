//! Waiting for a task and all its descendants, stopping them, and ending them.
//!
//! The slot is the subreaper of its task. The task's first process decides the outcome; what it
//! leaves behind gets a moment to end by itself, then SIGTERM, then SIGKILL. Usage is summed over
//! every process that the slot reaps, which includes what those reaped themselves.

use std::collections::HashSet;
use std::time::Duration;

use ictasks_core::attempt::{Cause, Usage};

use super::dead_man;
use super::sweep::{Sweep, Swept};
use super::usage_sums::Sums;
use crate::process_table::OwnIo;
use crate::requests::{DOORBELL, EndRequest, Requests};
use crate::shared::SlotCell;
use crate::sys::{self, SignalSet, Wait};

/// The agent has died.
pub const PARENT_DIED: i32 = libc::SIGUSR2;

/// How long descendants may go on by themselves after the first process has ended (for instance
/// a `tee` that still writes what it has read).
const SETTLE: Duration = Duration::from_millis(100);
/// Between SIGTERM and SIGKILL for what is left behind, and after the loss of the agent.
const LEFTOVER_GRACE: Duration = Duration::from_secs(1);
/// Between two looks for processes that were forked while others were killed or stopped: the first
/// pause, and the longest (there may be one that even SIGKILL does not reach, waiting for a file server).
const LOOK_AGAIN: Duration = Duration::from_millis(10);
const LOOK_AGAIN_AT_MOST: Duration = Duration::from_millis(500);
/// A slot looks at its lease so long before its end, as it knows it.
const LOOK_AT_LEASE: Duration = Duration::from_secs(12);
/// Until something happens.
pub const FOREVER: Duration = Duration::from_secs(3600);

/// Where the ending of a tree stands.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// The first process runs, nobody wants it to end.
    Running,
    /// The first process has ended, others are there still.
    Settling { until_ns: i64 },
    /// SIGTERM was sent.
    Terminating { until_ns: i64 },
    /// SIGKILL is sent until nothing is left; next at this time, with this pause after it.
    Killing { next_ns: i64, pause: Duration },
}

/// The tree is stopped.
#[derive(Clone, Copy, Debug)]
struct Stop {
    since_ns: i64,
    /// When to look for processes that escaped; `None` once there were none.
    look_again_ns: Option<i64>,
}

/// Why a task was ended by us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndedBy {
    /// The run or its user wanted it.
    Request(Cause),
    /// Its time was up.
    TimeLimit,
    /// Its tree was seen to hold so many bytes, above its limit.
    MemoryLimit(i64),
}

/// What a tree is watched for.
#[derive(Clone, Copy)]
pub struct Watched {
    /// Process id of the agent.
    pub agent_pid: i32,
    /// What the agent wants.
    pub requests: &'static Requests,
    /// The slot's cell.
    pub cell: &'static SlotCell,
    /// The task, as the cell names it.
    pub sequence: u64,
    /// When the first process was started, by the monotonic clock.
    pub started_ns: i64,
    /// How long it may run.
    pub timeout: Option<Duration>,
    /// Between SIGTERM and SIGKILL at its time limit.
    pub kill_grace: Duration,
}

/// A task's processes, from its first to the end of its last.
pub struct Tree {
    first_pid: i32,
    watched: Watched,
    signals: SignalSet,
    phase: Phase,
    first_end: Option<(i32, i64)>,
    ended_by: Option<EndedBy>,
    end_seen: Option<EndRequest>,
    stop: Option<Stop>,
    /// Time in which it was stopped, before the stop that lasts.
    stopped_ns: i64,
    leftovers: HashSet<i32>,
    /// Children of the slot that are not the task's.
    spared: [i32; 1],
    usage: Sums,
    is_over: bool,
}

/// What came of a tree.
pub struct TreeEnd {
    /// Wait status of the first process.
    pub first_status: i32,
    /// When it ended, by the monotonic clock.
    pub first_ended_ns: i64,
    /// How long it was stopped until then.
    pub stopped_ns: i64,
    /// Whether and why the task was ended by us.
    pub ended_by: Option<EndedBy>,
    /// What rusage says, and the processes left behind.
    pub usage: Usage,
}

/// The signals that a slot waits for. It blocks all.
pub fn waited_signals() -> SignalSet {
    SignalSet::of(&[libc::SIGCHLD, DOORBELL, PARENT_DIED])
}

/// Whether SIGTERM was sent to this slot, which blocks it; a second call says no.
pub fn slot_was_signalled() -> bool {
    sys::wait_signal(&SignalSet::of(&[libc::SIGTERM]), Duration::ZERO).is_some()
}

/// Whether this process is still the agent's child.
pub fn agent_lives(agent_pid: i32) -> bool {
    i32::try_from(std::os::unix::process::parent_id()) == Ok(agent_pid)
}

impl Tree {
    /// Of a task whose first process has just been started.
    pub fn new(first_pid: i32, watched: Watched) -> Self {
        Self {
            first_pid,
            watched,
            signals: waited_signals(),
            phase: Phase::Running,
            first_end: None,
            ended_by: None,
            end_seen: None,
            stop: None,
            stopped_ns: 0,
            leftovers: HashSet::new(),
            spared: [watched.cell.apart()],
            usage: Sums::default(),
            is_over: false,
        }
    }

    /// Waits until the tree has ended, but at most until this time of the monotonic clock, if
    /// given; says whether it has ended.
    pub fn wait_until(&mut self, until_ns: Option<i64>, own_io: &mut OwnIo) -> bool {
        while !self.is_over && until_ns.is_none_or(|until_ns| sys::monotonic_ns() < until_ns) {
            self.step(until_ns, own_io);
        }
        self.is_over
    }

    /// What came of it, after it has ended.
    pub fn into_end(self) -> TreeEnd {
        let (first_status, first_ended_ns) = self.first_end.unwrap_or_default();
        let leftover_process_count = i64::try_from(self.leftovers.len()).ok();
        let usage = Usage { leftover_process_count, ..self.usage.into_usage() };
        let Self { stopped_ns, ended_by, .. } = self;
        TreeEnd { first_status, first_ended_ns, stopped_ns, ended_by, usage }
    }

    /// Reaps what has ended, does what is wanted, moves on with the ending, and waits for the next
    /// signal or deadline.
    fn step(&mut self, until_ns: Option<i64>, own_io: &mut OwnIo) {
        self.reap();
        if self.is_over {
            return;
        }
        dead_man::hold(self.watched.requests);
        self.obey(own_io);
        self.pass_deadlines(own_io);
        let deadline_ns = match (self.deadline_ns(), until_ns) {
            (Some(own), Some(other)) => Some(own.min(other)),
            (own, other) => own.or(other),
        };
        let timeout = deadline_ns.map_or(FOREVER, |deadline_ns| {
            Duration::from_nanos(u64::try_from(deadline_ns - sys::monotonic_ns()).unwrap_or(0))
        });
        let signal = sys::wait_signal(&self.signals, timeout);
        if signal == Some(PARENT_DIED) && !agent_lives(self.watched.agent_pid) {
            self.end(EndedBy::Request(Cause::AgentLost), LEFTOVER_GRACE, own_io);
        }
    }

    fn reap(&mut self) {
        loop {
            match sys::wait_any() {
                Ok(Wait::Reaped(reaped)) => {
                    self.usage.add(&reaped);
                    if reaped.pid == self.first_pid {
                        self.first_has_ended(reaped.status);
                    }
                }
                Ok(Wait::Running) => return,
                Ok(Wait::NoChildren) | Err(_) => {
                    self.is_over = true;
                    return;
                }
            }
        }
    }

    fn first_has_ended(&mut self, status: i32) {
        let now_ns = sys::monotonic_ns();
        self.first_end = Some((status, now_ns));
        if let Some(stop) = &mut self.stop {
            self.stopped_ns += now_ns - stop.since_ns;
            stop.since_ns = now_ns;
        }
        if matches!(self.phase, Phase::Running) {
            self.phase = Phase::Settling { until_ns: now_ns + nanoseconds(SETTLE) };
        }
    }

    /// Does what the agent wants now.
    fn obey(&mut self, own_io: &mut OwnIo) {
        let requests = self.watched.requests;
        let end = requests.end();
        if let Some(request) = end.filter(|_| end != self.end_seen) {
            self.end_seen = end;
            let grace = Duration::from_millis(request.grace_ms.into());
            self.end(EndedBy::Request(request.cause), grace, own_io);
        }
        if let Some(bytes) = self.watched.cell.excess(self.watched.sequence)
            && self.ended_by.is_none()
        {
            self.end(EndedBy::MemoryLimit(bytes), Duration::ZERO, own_io);
        }
        let may_stop = matches!(self.phase, Phase::Running | Phase::Settling { .. });
        match requests.stop() {
            Some(stop) if !may_stop => self.watched.cell.set_stopped_for(stop),
            // Stopped already, for the wish before this one.
            Some(stop) if self.stop.is_some_and(|stop| stop.look_again_ns.is_none()) => {
                self.watched.cell.set_stopped_for(stop);
            }
            Some(_) if self.stop.is_none() => {
                self.stop = Some(Stop { since_ns: sys::monotonic_ns(), look_again_ns: Some(0) });
            }
            None if self.stop.is_some() => {
                self.go_on();
                self.sweep().send(libc::SIGCONT, own_io);
            }
            _ => {}
        }
    }

    /// The stop is over. Deadlines move by as much as it lasted.
    fn go_on(&mut self) {
        let Some(stop) = self.stop.take() else { return };
        let lasted_ns = sys::monotonic_ns() - stop.since_ns;
        if self.first_end.is_none() {
            self.stopped_ns += lasted_ns;
        }
        if let Phase::Settling { until_ns } = &mut self.phase {
            *until_ns += lasted_ns;
        }
    }

    /// When something is to be done next.
    fn deadline_ns(&self) -> Option<i64> {
        let lease_left = self.watched.requests.lease_left().filter(|_| self.end_seen.is_none());
        let lease_ns = lease_left.map(|left| {
            // It will have been extended by then, and the dead man's handle wants to be moved.
            let left = if left > LOOK_AT_LEASE { left - LOOK_AT_LEASE } else { left };
            sys::monotonic_ns().saturating_add(i64::try_from(left.as_nanos()).unwrap_or(i64::MAX))
        });
        lease_ns.into_iter().chain(self.phase_ends_ns()).min()
    }

    fn phase_ends_ns(&self) -> Option<i64> {
        if let Some(stop) = self.stop {
            return stop.look_again_ns;
        }
        match self.phase {
            Phase::Running => self.time_limit_ns(),
            Phase::Settling { until_ns } | Phase::Terminating { until_ns } => Some(until_ns),
            Phase::Killing { next_ns, .. } => Some(next_ns),
        }
    }

    fn time_limit_ns(&self) -> Option<i64> {
        let timeout_ns = nanoseconds(self.watched.timeout?);
        Some(self.watched.started_ns.saturating_add(timeout_ns).saturating_add(self.stopped_ns))
    }

    /// Goes on to the next phase where the time of this one is up.
    fn pass_deadlines(&mut self, own_io: &mut OwnIo) {
        let now_ns = sys::monotonic_ns();
        if let Some(stop) = self.stop {
            if stop.look_again_ns.is_some_and(|look_again_ns| now_ns >= look_again_ns) {
                self.stop_all(stop, own_io);
            }
            return;
        }
        match self.phase {
            Phase::Running if self.time_limit_ns().is_some_and(|limit_ns| now_ns >= limit_ns) => {
                self.end(EndedBy::TimeLimit, self.watched.kill_grace, own_io);
            }
            Phase::Settling { until_ns } if now_ns >= until_ns => self.terminate(LEFTOVER_GRACE, own_io),
            _ => {}
        }
        match self.phase {
            Phase::Terminating { until_ns } if now_ns >= until_ns => self.kill_all(LOOK_AGAIN, own_io),
            Phase::Killing { next_ns, pause } if now_ns >= next_ns => self.kill_all(pause, own_io),
            _ => {}
        }
    }

    fn stop_all(&mut self, stop: Stop, own_io: &mut OwnIo) {
        let swept = self.sweep().stop(own_io);
        let look_again_ns = if swept.is_complete {
            self.watched.requests.stop().into_iter().for_each(|stop| self.watched.cell.set_stopped_for(stop));
            None
        } else {
            Some(sys::monotonic_ns() + nanoseconds(LOOK_AGAIN))
        };
        self.stop = Some(Stop { look_again_ns, ..stop });
    }

    /// Ends the task; the first reason is the one that counts.
    fn end(&mut self, by: EndedBy, grace: Duration, own_io: &mut OwnIo) {
        if self.first_end.is_none() {
            self.ended_by.get_or_insert(by);
        }
        self.terminate(grace, own_io);
    }

    /// SIGTERM to the whole tree, SIGKILL after `grace`; a later request may only hurry.
    fn terminate(&mut self, grace: Duration, own_io: &mut OwnIo) {
        self.go_on();
        let until_ns = sys::monotonic_ns() + nanoseconds(grace);
        match self.phase {
            Phase::Killing { .. } => {}
            Phase::Terminating { until_ns: earlier } => {
                self.phase = Phase::Terminating { until_ns: earlier.min(until_ns) };
            }
            Phase::Running | Phase::Settling { .. } if grace.is_zero() => self.kill_all(LOOK_AGAIN, own_io),
            Phase::Running | Phase::Settling { .. } => {
                self.phase = Phase::Terminating { until_ns };
                let swept = self.sweep().send(libc::SIGTERM, own_io);
                self.count_leftovers(swept);
                // A stopped process acts on SIGTERM only when it goes on.
                self.sweep().send(libc::SIGCONT, own_io);
            }
        }
    }

    fn kill_all(&mut self, pause: Duration, own_io: &mut OwnIo) {
        let swept = self.sweep().kill(own_io);
        self.count_leftovers(swept);
        let next_ns = sys::monotonic_ns() + nanoseconds(pause);
        self.phase = Phase::Killing { next_ns, pause: (pause * 2).min(LOOK_AGAIN_AT_MOST) };
    }

    fn count_leftovers(&mut self, swept: Swept) {
        if self.first_end.is_some() {
            self.leftovers.extend(swept.pids);
        }
    }

    fn sweep(&self) -> Sweep<'_> {
        // Until the first process has been reaped, nobody else can have its number.
        let group = self.first_end.is_none().then_some(self.first_pid);
        Sweep { group, spared: &self.spared }
    }
}

/// As the monotonic clock counts.
pub fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX / 4)
}
