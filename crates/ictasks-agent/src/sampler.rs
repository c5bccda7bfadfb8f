//! Resource use over time: a thread of the agent that looks at the host and at every task's tree.
//!
//! The first sample of a task is early, so that short tasks have one; then one in an interval that
//! grows with the age of the task, for the host with the age of the run.

use std::collections::HashMap;
use std::time::Duration;

use ictasks_core::column::Timestamp;
use ictasks_core::protocol::Reply;
use ictasks_core::sample::{Sample, Scope};
use sysinfo::System;

use crate::clock::{nanoseconds, seconds};
use crate::memory::excess;
use crate::memory::oom_count::OomCounter;
use crate::output::SharedOutput;
use crate::process_table::{OwnIo, Process, ProcessTable};
use crate::requests::Requests;
use crate::shared::SlotCell;
use crate::sys;

/// How often the sampler looks whether a sample is due.
const TICK: Duration = Duration::from_millis(100);
/// How often the trees are looked at where the agent keeps a memory limit, seconds.
const MEMORY_INTERVAL_S: f64 = 0.4;
/// How often the kernel's counter is read, seconds.
const OOM_INTERVAL_S: f64 = 1.0;
/// The same where only the kernel's counter is read.
const OOM_TICK: Duration = Duration::from_secs(1);
/// Age at which a task gets its first sample, seconds.
const FIRST_AFTER_S: f64 = 0.1;

/// What the sampler watches.
pub struct Watched {
    /// Name of this host.
    pub host: String,
    /// Which start of the run.
    pub session: i32,
    /// Seconds between samples of the young.
    pub interval_s: f64,
    /// Process id and cell of each slot.
    pub slots: Vec<(i32, &'static SlotCell)>,
    /// Above this a task is ended, bytes.
    pub memory_limit_bytes: Option<i64>,
    /// Where the kernel's counter of ends for want of memory goes.
    pub requests: &'static Requests,
}

/// The kernel's counter of ends for want of memory, read now and then, so that slots need to read it only
/// for tasks that may have been ended so.
struct OomWatch {
    counter: Option<OomCounter>,
    due_ns: i64,
}

/// Samples until the agent ends. Where nobody listens any more it just stops.
pub fn run(watched: Watched, output: &SharedOutput) {
    let looks_at_tasks = watched.interval_s > 0.0 || watched.memory_limit_bytes.is_some();
    let tick = if looks_at_tasks { TICK } else { OOM_TICK };
    let mut sampler = Sampler::new(watched);
    loop {
        let samples = sampler.look();
        if !samples.is_empty() && output.send(&Reply::Samples(samples)).is_err() {
            return;
        }
        std::thread::sleep(tick);
    }
}

/// Seconds to the next sample of something this old: the plain interval for ten minutes, ten times
/// that for two hours, then thirty times.
pub fn interval_at_age(interval_s: f64, age_s: f64) -> f64 {
    let factor = match age_s {
        age_s if age_s < 600.0 => 1.0,
        age_s if age_s < 7200.0 => 10.0,
        _ => 30.0,
    };
    interval_s * factor
}

struct Sampler {
    watched: Watched,
    /// `None` where this kind of host cannot be read.
    system: Option<System>,
    begun_ns: i64,
    host_due_ns: i64,
    memory_due_ns: i64,
    oom: OomWatch,
    /// By slot: the task that was last seen there.
    seen: Vec<Option<Seen>>,
    page_bytes: i64,
    ticks_per_s: f64,
}

#[derive(Clone, Copy)]
struct Seen {
    sequence: u64,
    due_ns: i64,
    at_ns: i64,
    cpu_ticks: i64,
}

impl Sampler {
    #[allow(clippy::cast_precision_loss)]
    fn new(watched: Watched) -> Self {
        let now_ns = sys::monotonic_ns();
        let mut system = (watched.interval_s > 0.0).then(System::new).and_then(Result::ok);
        if let Some(system) = &mut system {
            system.refresh_cpu_usage();
        }
        Self {
            seen: vec![None; watched.slots.len()],
            watched,
            system,
            begun_ns: now_ns,
            host_due_ns: now_ns + nanoseconds(FIRST_AFTER_S),
            memory_due_ns: now_ns,
            oom: OomWatch { counter: OomCounter::find(), due_ns: now_ns },
            page_bytes: i64::try_from(rustix::param::page_size()).unwrap_or(4096),
            ticks_per_s: rustix::param::clock_ticks_per_second() as f64,
        }
    }

    fn look(&mut self) -> Vec<Sample> {
        let now_ns = sys::monotonic_ns();
        self.watch_oom(now_ns);
        self.keep_memory_limit(now_ns);
        let mut samples = Vec::new();
        if self.watched.interval_s <= 0.0 {
            return samples;
        }
        if now_ns >= self.host_due_ns {
            samples.extend(self.host_sample());
            let interval_s = interval_at_age(self.watched.interval_s, seconds(now_ns - self.begun_ns));
            self.host_due_ns = now_ns + nanoseconds(interval_s);
        }
        let due = self.due_slots(now_ns);
        if !due.is_empty() {
            let table = ProcessTable::read(&mut OwnIo::default());
            samples.extend(due.into_iter().filter_map(|slot| self.task_sample(slot, &table)));
        }
        samples
    }

    fn watch_oom(&mut self, now_ns: i64) {
        if now_ns < self.oom.due_ns {
            return;
        }
        self.oom.due_ns = now_ns + nanoseconds(OOM_INTERVAL_S);
        if let Some(count) = self.oom.counter.as_ref().and_then(OomCounter::read) {
            self.watched.requests.note_oom_kill_count(count);
        }
    }

    fn keep_memory_limit(&mut self, now_ns: i64) {
        let Some(limit_bytes) = self.watched.memory_limit_bytes.filter(|_| now_ns >= self.memory_due_ns)
        else {
            return;
        };
        self.memory_due_ns = now_ns + nanoseconds(MEMORY_INTERVAL_S);
        if self.watched.slots.iter().any(|(_, cell)| cell.running().is_some()) {
            let table = ProcessTable::read(&mut OwnIo::default());
            excess::end_too_large(limit_bytes, &self.watched.slots, &table, self.page_bytes);
        }
    }

    /// The slots whose task is due for a sample.
    fn due_slots(&mut self, now_ns: i64) -> Vec<usize> {
        let mut due = Vec::new();
        for (index, (_, cell)) in self.watched.slots.iter().enumerate() {
            let Some(running) = cell.running() else { continue };
            let seen =
                self.seen[index].get_or_insert(Seen { sequence: 0, due_ns: 0, at_ns: 0, cpu_ticks: 0 });
            if seen.sequence != running.sequence {
                let first_s = FIRST_AFTER_S.min(self.watched.interval_s);
                *seen = Seen {
                    sequence: running.sequence,
                    due_ns: running.started_ns + nanoseconds(first_s),
                    at_ns: running.started_ns,
                    cpu_ticks: 0,
                };
            }
            if now_ns >= seen.due_ns {
                due.push(index);
            }
        }
        due
    }

    #[allow(clippy::cast_precision_loss)]
    fn task_sample(&mut self, slot: usize, table: &ProcessTable) -> Option<Sample> {
        let (slot_pid, cell) = self.watched.slots[slot];
        let seen = self.seen[slot]?;
        let started_ns = cell.running().filter(|running| running.sequence == seen.sequence)?.started_ns;
        let now_ns = sys::monotonic_ns();
        let tree = table.descendants(slot_pid, cell.apart());
        if tree.is_empty() {
            return None;
        }
        let rss_bytes = excess::resident_bytes(&tree, self.page_bytes);
        let cpu_ticks: i64 = tree.iter().map(|process| process.cpu_ticks).sum();
        let io = TreeIo::read(&tree);
        let (task_id, attempt) = cell.add_sample(seen.sequence, rss_bytes)?;
        let elapsed_s = seconds(now_ns - seen.at_ns);
        // Time of processes that have been reaped meanwhile is missing from the sum: never below 0.
        let cpu_s = (cpu_ticks - seen.cpu_ticks).max(0) as f64 / self.ticks_per_s;
        let interval_s = interval_at_age(self.watched.interval_s, seconds(now_ns - started_ns));
        self.seen[slot] =
            Some(Seen { due_ns: now_ns + nanoseconds(interval_s), at_ns: now_ns, cpu_ticks, ..seen });
        Some(Sample {
            task_id: Some(task_id),
            attempt: Some(attempt),
            busy_cores: (elapsed_s > 0.0).then(|| cpu_s / elapsed_s),
            rss_bytes: Some(rss_bytes),
            process_count: i64::try_from(tree.len()).ok(),
            thread_count: Some(tree.iter().map(|process| process.thread_count).sum()),
            syscall_read_bytes: io.map(|io| io.read_bytes),
            syscall_write_bytes: io.map(|io| io.written_bytes),
            gpu_memory_bytes: cell.gpu.read(seen.sequence).memory_bytes,
            ..self.empty(Scope::Task)
        })
    }

    fn host_sample(&mut self) -> Option<Sample> {
        let system = self.system.as_mut()?;
        system.refresh_memory();
        system.refresh_cpu_usage();
        let cpus = u16::try_from(system.cpus().len()).unwrap_or(u16::MAX);
        let busy_cores = f64::from(system.global_cpu_usage()) / 100.0 * f64::from(cpus);
        let total = i64::try_from(system.total_memory()).ok();
        let available = i64::try_from(system.available_memory()).ok();
        Some(Sample {
            busy_cores: Some(busy_cores),
            rss_bytes: total.zip(available).map(|(total, available)| total - available),
            memory_total_bytes: total,
            load1: System::load_average().ok().map(|load| load.one),
            ..self.empty(Scope::Host)
        })
    }

    fn empty(&self, scope: Scope) -> Sample {
        Sample::empty(Timestamp::now(), self.watched.session, &self.watched.host, scope)
    }
}

/// I/O of the processes of a tree that live.
#[derive(Clone, Copy)]
struct TreeIo {
    read_bytes: i64,
    written_bytes: i64,
}

impl TreeIo {
    /// `None` where one of them may not be looked at.
    fn read(tree: &[&Process]) -> Option<Self> {
        let mut sum = Self { read_bytes: 0, written_bytes: 0 };
        for process in tree {
            let text = std::fs::read_to_string(format!("/proc/{}/io", process.pid)).ok()?;
            let values: HashMap<&str, i64> = text
                .lines()
                .filter_map(|line| line.split_once(": "))
                .filter_map(|(name, value)| Some((name, value.parse().ok()?)))
                .collect();
            sum.read_bytes += values.get("rchar")?;
            sum.written_bytes += values.get("wchar")?;
        }
        Some(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_grow_rarer_with_age() {
        let at = |age_s| interval_at_age(0.5, age_s);
        assert_eq!([at(0.0), at(599.0), at(600.0), at(8000.0)], [0.5, 0.5, 5.0, 15.0]);
    }
}
