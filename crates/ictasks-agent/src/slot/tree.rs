//! Waiting for a task and all its descendants, and ending them.
//!
//! The slot is the subreaper of its task. The task's first process decides the outcome; what it
//! leaves behind gets a moment to end by itself, then SIGTERM, then SIGKILL. Usage is summed over
//! every process that the slot reaps, which includes what those reaped themselves.

use std::collections::HashSet;
use std::time::Duration;

use ictasks_core::attempt::{Cause, Usage};

use crate::process_table::{OwnIo, ProcessTable};
use crate::sys::{self, Reaped, Signal, SignalSet, Wait};

/// The agent asks the slot to end its task; the value holds an [`EndRequest`].
const END_TASK: i32 = libc::SIGUSR1;
/// The agent has died.
pub const PARENT_DIED: i32 = libc::SIGUSR2;

/// How long descendants may go on by themselves after the first process has ended (for instance
/// a `tee` that still writes what it has read).
const SETTLE: Duration = Duration::from_millis(100);
/// Between SIGTERM and SIGKILL for what is left behind, and after the loss of the agent.
const LEFTOVER_GRACE: Duration = Duration::from_secs(1);
/// Between two looks for processes that were forked while others were killed.
const KILL_AGAIN: Duration = Duration::from_millis(10);
const FOREVER: Duration = Duration::from_secs(3600);

/// Why and how gently a task is to be ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndRequest {
    /// What the record is to say.
    pub cause: Cause,
    /// Milliseconds between SIGTERM and SIGKILL.
    pub grace_ms: u32,
}

impl EndRequest {
    const CAUSE_BITS: u32 = 6;

    fn to_value(self) -> i32 {
        let cause = Cause::ALL.iter().position(|cause| *cause == self.cause).unwrap_or(0);
        let grace_ms = self.grace_ms.min(i32::MAX as u32 >> Self::CAUSE_BITS);
        i32::try_from(grace_ms << Self::CAUSE_BITS).unwrap_or(0) | i32::try_from(cause).unwrap_or(0)
    }

    fn from_value(value: i32) -> Option<Self> {
        let value = u32::try_from(value).ok()?;
        let cause = *Cause::ALL.get((value & ((1 << Self::CAUSE_BITS) - 1)) as usize)?;
        Some(Self { cause, grace_ms: value >> Self::CAUSE_BITS })
    }
}

/// Asks the slot `slot_pid` to end the task that it runs, or the next one it starts.
pub fn request_end(slot_pid: i32, cause: Cause, grace: Duration) {
    let grace_ms = u32::try_from(grace.as_millis()).unwrap_or(u32::MAX);
    // A slot that is gone runs nothing.
    let _ = sys::queue_signal(slot_pid, END_TASK, EndRequest { cause, grace_ms }.to_value());
}

fn waited_signals() -> SignalSet {
    SignalSet::of(&[libc::SIGCHLD, END_TASK, PARENT_DIED])
}

/// Where the ending of a tree stands.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// The first process runs, nobody wants it to end.
    Running,
    /// The first process has ended, others are there still.
    Settling { until_ns: i64 },
    /// SIGTERM was sent.
    Terminating { until_ns: i64 },
    /// SIGKILL is sent until nothing is left.
    Killing,
}

/// A task's processes, from its first to the end of its last.
pub struct Tree {
    first_pid: i32,
    agent_pid: i32,
    signals: SignalSet,
    phase: Phase,
    first_end: Option<(i32, i64)>,
    ended_by: Option<EndRequest>,
    leftovers: HashSet<i32>,
    usage: Sums,
    is_over: bool,
}

/// What came of a tree.
pub struct TreeEnd {
    /// Wait status of the first process.
    pub first_status: i32,
    /// When it ended, by the monotonic clock.
    pub first_ended_ns: i64,
    /// Whether and why the task was ended by us.
    pub ended_by: Option<EndRequest>,
    /// What rusage says, and the processes left behind.
    pub usage: Usage,
}

impl Tree {
    /// Of a task whose first process has just been started.
    pub fn new(first_pid: i32, agent_pid: i32) -> Self {
        Self {
            first_pid,
            agent_pid,
            signals: waited_signals(),
            phase: Phase::Running,
            first_end: None,
            ended_by: None,
            leftovers: HashSet::new(),
            usage: Sums::default(),
            is_over: false,
        }
    }

    /// Waits until the tree has ended, but at most `limit`; says whether it has.
    pub fn wait_at_most(&mut self, limit: Duration, own_io: &mut OwnIo) -> bool {
        let until_ns = sys::monotonic_ns() + nanoseconds(limit);
        while !self.is_over && sys::monotonic_ns() < until_ns {
            self.step(Some(until_ns), own_io);
        }
        self.is_over
    }

    /// Waits until the tree has ended.
    pub fn wait(&mut self, own_io: &mut OwnIo) {
        while !self.is_over {
            self.step(None, own_io);
        }
    }

    /// What came of it, after it has ended.
    pub fn into_end(self) -> TreeEnd {
        let (first_status, first_ended_ns) = self.first_end.unwrap_or_default();
        let leftover_process_count = i64::try_from(self.leftovers.len()).ok();
        let usage = Usage { leftover_process_count, ..self.usage.into_usage() };
        TreeEnd { first_status, first_ended_ns, ended_by: self.ended_by, usage }
    }

    /// Reaps what has ended, moves on with the ending, and waits for the next signal or deadline.
    fn step(&mut self, until_ns: Option<i64>, own_io: &mut OwnIo) {
        self.reap();
        if self.is_over {
            return;
        }
        self.pass_deadline(own_io);
        let deadline_ns = match (self.deadline_ns(), until_ns) {
            (Some(own), Some(other)) => Some(own.min(other)),
            (own, other) => own.or(other),
        };
        let timeout = deadline_ns.map_or(FOREVER, |deadline_ns| {
            Duration::from_nanos(u64::try_from(deadline_ns - sys::monotonic_ns()).unwrap_or(0))
        });
        if let Some(signal) = sys::wait_signal(&self.signals, timeout) {
            self.take_signal(&signal, own_io);
        }
    }

    fn reap(&mut self) {
        loop {
            match sys::wait_any() {
                Ok(Wait::Reaped(reaped)) => {
                    self.usage.add(&reaped);
                    if reaped.pid == self.first_pid {
                        self.first_end = Some((reaped.status, sys::monotonic_ns()));
                    }
                }
                Ok(Wait::Running) => break,
                Ok(Wait::NoChildren) | Err(_) => {
                    self.is_over = true;
                    return;
                }
            }
        }
        if self.first_end.is_some() && matches!(self.phase, Phase::Running) {
            self.phase = Phase::Settling { until_ns: sys::monotonic_ns() + nanoseconds(SETTLE) };
        }
    }

    fn deadline_ns(&self) -> Option<i64> {
        match self.phase {
            Phase::Running => None,
            Phase::Settling { until_ns } | Phase::Terminating { until_ns } => Some(until_ns),
            Phase::Killing => Some(sys::monotonic_ns() + nanoseconds(KILL_AGAIN)),
        }
    }

    /// Goes on to the next phase where the time of this one is up.
    fn pass_deadline(&mut self, own_io: &mut OwnIo) {
        let now_ns = sys::monotonic_ns();
        match self.phase {
            Phase::Settling { until_ns } if now_ns >= until_ns => self.terminate(LEFTOVER_GRACE, own_io),
            Phase::Terminating { until_ns } if now_ns >= until_ns => self.phase = Phase::Killing,
            _ => {}
        }
        if matches!(self.phase, Phase::Killing) {
            self.signal_all(libc::SIGKILL, own_io);
        }
    }

    fn take_signal(&mut self, signal: &Signal, own_io: &mut OwnIo) {
        let request = match signal.number {
            END_TASK if signal.queued => EndRequest::from_value(signal.value),
            PARENT_DIED if !self.agent_lives() => {
                let grace_ms = u32::try_from(LEFTOVER_GRACE.as_millis()).unwrap_or(0);
                Some(EndRequest { cause: Cause::CoordinatorLost, grace_ms })
            }
            _ => None,
        };
        let Some(request) = request else { return };
        if self.first_end.is_none() {
            self.ended_by.get_or_insert(request);
        }
        self.terminate(Duration::from_millis(request.grace_ms.into()), own_io);
    }

    fn agent_lives(&self) -> bool {
        i32::try_from(std::os::unix::process::parent_id()) == Ok(self.agent_pid)
    }

    /// SIGTERM to the whole tree, SIGKILL after `grace`; a later request may only hurry.
    fn terminate(&mut self, grace: Duration, own_io: &mut OwnIo) {
        let until_ns = sys::monotonic_ns() + nanoseconds(grace);
        match self.phase {
            Phase::Killing => {}
            Phase::Terminating { until_ns: earlier } => {
                self.phase = Phase::Terminating { until_ns: earlier.min(until_ns) };
            }
            Phase::Running | Phase::Settling { .. } => {
                self.phase = Phase::Terminating { until_ns };
                self.signal_all(libc::SIGTERM, own_io);
                // A stopped process acts on SIGTERM only when it goes on.
                self.signal_all(libc::SIGCONT, own_io);
            }
        }
    }

    fn signal_all(&mut self, signal: i32, own_io: &mut OwnIo) {
        let own_pid = i32::try_from(std::process::id()).unwrap_or(0);
        for process in ProcessTable::read(own_io).descendants(own_pid) {
            sys::kill(process.pid, signal);
            if self.first_end.is_some() {
                self.leftovers.insert(process.pid);
            }
        }
    }
}

/// Sums of rusage; memory is the largest.
#[derive(Default)]
struct Sums {
    user_us: i64,
    system_us: i64,
    max_rss_kib: i64,
    minor_faults: i64,
    major_faults: i64,
    voluntary_switches: i64,
    involuntary_switches: i64,
    blocks_read: i64,
    blocks_written: i64,
}

impl Sums {
    fn add(&mut self, reaped: &Reaped) {
        let usage = &reaped.usage;
        let microseconds = |time: libc::timeval| time.tv_sec * 1_000_000 + time.tv_usec;
        self.user_us += microseconds(usage.ru_utime);
        self.system_us += microseconds(usage.ru_stime);
        self.max_rss_kib = self.max_rss_kib.max(usage.ru_maxrss);
        self.minor_faults += usage.ru_minflt;
        self.major_faults += usage.ru_majflt;
        self.voluntary_switches += usage.ru_nvcsw;
        self.involuntary_switches += usage.ru_nivcsw;
        self.blocks_read += usage.ru_inblock;
        self.blocks_written += usage.ru_oublock;
    }

    #[allow(clippy::cast_precision_loss)]
    fn into_usage(self) -> Usage {
        // getrusage(2): ru_maxrss is in KiB; block counts are of 512 bytes.
        Usage {
            user_s: Some(self.user_us as f64 / 1e6),
            system_s: Some(self.system_us as f64 / 1e6),
            max_process_rss_bytes: Some(self.max_rss_kib * 1024),
            minor_fault_count: Some(self.minor_faults),
            major_fault_count: Some(self.major_faults),
            voluntary_switch_count: Some(self.voluntary_switches),
            involuntary_switch_count: Some(self.involuntary_switches),
            storage_read_bytes: Some(self.blocks_read * 512),
            storage_write_bytes: Some(self.blocks_written * 512),
            ..Usage::default()
        }
    }
}

fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_request_travels_in_a_signals_value() {
        for &cause in Cause::ALL {
            for grace_ms in [0, 1, 10_000, 3_600_000] {
                let request = EndRequest { cause, grace_ms };
                assert_eq!(EndRequest::from_value(request.to_value()), Some(request));
            }
        }
    }

    #[test]
    fn a_value_of_nobody_is_no_request() {
        assert_eq!(EndRequest::from_value(-1), None);
        assert_eq!(EndRequest::from_value(63), None);
    }
}
