//! A thread of the agent that watches the GPUs: rows for the record, figures for the tasks, and
//! warnings where a task is seen on a GPU that it does not hold.
//!
//! It is a thread beside the sampler, because a driver may take seconds to answer, and hangs when
//! a device is broken: no task and no sample waits for it. There is none where no worker holds a
//! GPU and the host has no NVIDIA driver.
//!
//! Every tick it looks which tasks are new, and reads the energy counters of their devices. Those
//! are read again as a task grows older by a hundredth; everything else about once in the
//! interval of the samples.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::time::Duration;

use ictasks_core::column::Timestamp;
use ictasks_core::protocol::{Reply, Setup};
use ictasks_core::sample::{Sample, Scope};
use nvml_wrapper::Nvml;

use super::account::Account;
use super::mask::{self, NVIDIA_DRIVER, Vendor};
use super::nvml::{Driver, Look, NvmlDriver};
use super::owners;
use crate::clock::{nanoseconds, seconds};
use crate::output::SharedOutput;
use crate::process_table::{OwnIo, ProcessTable};
use crate::sampler::interval_at_age;
use crate::shared::SlotCell;
use crate::sys;

/// How often it looks for new tasks, and the shortest time between two readings of a counter.
const TICK: Duration = Duration::from_millis(100);
/// Age at which a task or the host is looked at first, seconds.
const FIRST_AFTER_S: f64 = 0.1;
/// Shortest time between two looks at the devices, however many tasks begin, seconds.
const LOOKS_APART_S: f64 = 0.25;
/// Energy is read again when a task is older by this share.
const ENERGY_STEP: f64 = 0.01;

/// What the monitor watches.
struct Watched {
    host: String,
    session: i32,
    interval_s: f64,
    workers: Vec<WatchedWorker>,
}

/// One slot.
struct WatchedWorker {
    slot_pid: i32,
    cell: &'static SlotCell,
    gpus: Vec<i32>,
}

impl Watched {
    fn holds_gpus(&self) -> bool {
        self.workers.iter().any(|worker| !worker.gpus.is_empty())
    }
}

/// Starts the thread, where there is something to watch: after the slots were forked, so that
/// none of them has the driver's library in it.
pub fn start(
    setup: &Setup,
    host: &str,
    slots: impl Iterator<Item = (i32, &'static SlotCell)>,
    output: &SharedOutput,
) {
    let workers = setup.workers.iter().zip(slots);
    let watched = Watched {
        host: host.to_owned(),
        session: setup.session,
        interval_s: setup.sample_interval_s,
        workers: workers
            .map(|(worker, (slot_pid, cell))| WatchedWorker { slot_pid, cell, gpus: worker.gpus.clone() })
            .collect(),
    };
    let is_of_interest = setup.sample_interval_s > 0.0 && Path::new(NVIDIA_DRIVER).exists();
    if watched.holds_gpus() || is_of_interest {
        let output = output.clone();
        // A host that cannot start a thread is in trouble that the agent meets elsewhere.
        let _ = std::thread::Builder::new().name("gpus".to_owned()).spawn(move || run(watched, &output));
    }
}

/// Watches until the agent ends, nobody listens any more, or no device can be asked.
fn run(watched: Watched, output: &SharedOutput) {
    let holds_gpus = watched.holds_gpus();
    let host = watched.host.clone();
    let unmeasured = |reason: &str| {
        if holds_gpus {
            let message = format!("the use of GPUs is not measured on `{host}`: {reason}");
            // Without a listener the agent ends.
            let _ = output.send(&Reply::Warning { message });
        }
    };
    if mask::inherited().is_some_and(|mask| mask::lists_instances(&mask)) {
        return unmeasured("tasks hold parts of GPUs (MIG), which the driver does not tell apart");
    }
    if Vendor::of_this_host() == Vendor::Amd {
        return unmeasured("only those of NVIDIA can be asked");
    }
    let nvml = match Nvml::init() {
        Ok(nvml) => nvml,
        Err(error) => return unmeasured(&format!("NVIDIA's library does not answer ({error})")),
    };
    match NvmlDriver::new(&nvml) {
        Ok(driver) => watch(Monitor::new(watched, driver, |name| std::env::var(name).ok()), output),
        Err(error) => unmeasured(&format!("NVIDIA's library does not answer ({error})")),
    }
}

fn watch<D: Driver>(mut monitor: Monitor<D>, output: &SharedOutput) {
    let gpus = monitor.devices.iter().map(|id| monitor.driver.info(*id)).collect::<Vec<_>>();
    if !gpus.is_empty() && output.send(&Reply::Gpus(gpus)).is_err() {
        return;
    }
    loop {
        for reply in monitor.round(sys::monotonic_ns()) {
            if output.send(&reply).is_err() {
                return;
            }
        }
        if monitor.devices.is_empty() || monitor.watched.interval_s <= 0.0 {
            return;
        }
        std::thread::sleep(TICK);
    }
}

struct Monitor<D> {
    watched: Watched,
    driver: D,
    /// Those that may be asked still.
    devices: Vec<i32>,
    /// By worker: the task that was last seen there.
    seen: Vec<Option<Seen>>,
    begun_ns: i64,
    rows_due_ns: i64,
    looked_ns: i64,
    replies: Vec<Reply>,
    told: Told,
}

/// What is said only once.
#[derive(Default)]
struct Told {
    unmeasured: bool,
    holds_none: bool,
    holds_others: bool,
}

struct Seen {
    sequence: u64,
    started_ns: i64,
    energy_due_ns: i64,
    look_due_ns: i64,
    account: Account,
}

impl<D: Driver> Monitor<D> {
    fn new(watched: Watched, driver: D, variable: impl Fn(&str) -> Option<String>) -> Self {
        let shown = driver.ids();
        let known: Vec<mask::Device> =
            shown.iter().map(|&id| mask::Device { id, uuid: driver.info(id).uuid }).collect();
        let mut devices = mask::choose(Vendor::Nvidia, Some(&known), variable);
        let held: HashSet<i32> =
            watched.workers.iter().flat_map(|worker| worker.gpus.iter().copied()).collect();
        devices.extend(shown.into_iter().filter(|id| held.contains(id)));
        devices.sort_unstable();
        devices.dedup();
        let now_ns = sys::monotonic_ns();
        let mut monitor = Self {
            seen: watched.workers.iter().map(|_| None).collect(),
            watched,
            driver,
            begun_ns: now_ns,
            rows_due_ns: now_ns + nanoseconds(FIRST_AFTER_S),
            looked_ns: i64::MIN / 2,
            devices,
            replies: Vec::new(),
            told: Told::default(),
        };
        if let Some(missing) = held.into_iter().filter(|id| !monitor.devices.contains(id)).min() {
            monitor.tell_unmeasured(missing, "is not measured: the driver does not show it");
        }
        monitor
    }

    /// One look at everything that is due.
    fn round(&mut self, now_ns: i64) -> Vec<Reply> {
        self.notice_tasks();
        self.read_energy(now_ns);
        let rows_are_due = now_ns >= self.rows_due_ns;
        let is_due = rows_are_due || self.seen.iter().flatten().any(|seen| now_ns >= seen.look_due_ns);
        if is_due && now_ns - self.looked_ns >= nanoseconds(LOOKS_APART_S) {
            self.look(now_ns, rows_are_due);
        }
        for (worker, seen) in self.watched.workers.iter().zip(&self.seen) {
            if let Some(seen) = seen {
                worker.cell.gpu.write(seen.sequence, &seen.account.figures());
            }
        }
        std::mem::take(&mut self.replies)
    }

    /// Which tasks run now.
    fn notice_tasks(&mut self) {
        for (worker, seen) in self.watched.workers.iter().zip(&mut self.seen) {
            let running = worker.cell.running();
            let is_new = |sequence| seen.as_ref().is_none_or(|seen| seen.sequence != sequence);
            match running {
                None => *seen = None,
                Some(running) if is_new(running.sequence) => {
                    let mut account = Account::new(running.started_ns);
                    if !worker.gpus.iter().all(|id| self.devices.contains(id)) {
                        account.void();
                    }
                    *seen = Some(Seen {
                        sequence: running.sequence,
                        started_ns: running.started_ns,
                        energy_due_ns: running.started_ns,
                        look_due_ns: running.started_ns + nanoseconds(FIRST_AFTER_S),
                        account,
                    });
                }
                Some(_) => {}
            }
        }
    }

    fn read_energy(&mut self, now_ns: i64) {
        for index in 0..self.seen.len() {
            let gpus = self.watched.workers[index].gpus.clone();
            let is_due = self.seen[index].as_ref().is_some_and(|seen| now_ns >= seen.energy_due_ns);
            if gpus.is_empty() || !is_due {
                continue;
            }
            let mut sum = Some(0);
            for id in gpus {
                let energy = if self.devices.contains(&id) { self.driver.energy_mj(id) } else { Ok(None) };
                let energy = energy.unwrap_or_else(|reason| {
                    self.lose(id, &reason);
                    None
                });
                sum = sum.zip(energy).map(|(sum, energy): (u64, u64)| sum + energy);
            }
            // Reading may have taken its time.
            let read_ns = sys::monotonic_ns().max(now_ns);
            let interval_s = self.watched.interval_s;
            if let Some(seen) = &mut self.seen[index] {
                seen.account.add_energy(read_ns, sum);
                let age_s = seconds(now_ns - seen.started_ns);
                let step_s = (age_s * ENERGY_STEP).min(interval_at_age(interval_s, age_s));
                seen.energy_due_ns = now_ns + nanoseconds(step_s);
            }
        }
    }

    /// Asks all devices what they do, and whose processes are on them.
    fn look(&mut self, now_ns: i64, rows_are_due: bool) {
        let mut looks = BTreeMap::new();
        for id in self.devices.clone() {
            match self.driver.look(id) {
                Ok(look) => {
                    looks.insert(id, look);
                }
                Err(reason) => self.lose(id, &reason),
            }
        }
        if rows_are_due {
            let rows = looks.iter().map(|(id, look)| self.row(*id, look)).collect();
            self.replies.push(Reply::Samples(rows));
            let age_s = seconds(now_ns - self.begun_ns);
            self.rows_due_ns = now_ns + nanoseconds(interval_at_age(self.watched.interval_s, age_s));
        }
        // After the devices were asked: their processes are in the table, unless they have ended.
        let any_process =
            looks.values().any(|look| look.processes.as_ref().is_some_and(|list| !list.is_empty()));
        let table = any_process.then(|| ProcessTable::read(&mut OwnIo::default()));
        for index in 0..self.seen.len() {
            self.look_at_task(index, now_ns, &looks, table.as_ref());
        }
        self.looked_ns = now_ns;
    }

    fn look_at_task(
        &mut self,
        index: usize,
        now_ns: i64,
        looks: &BTreeMap<i32, Look>,
        table: Option<&ProcessTable>,
    ) {
        let worker = &self.watched.workers[index];
        let Some(seen) = &mut self.seen[index] else { return };
        if worker.cell.running().is_none_or(|running| running.sequence != seen.sequence) {
            return;
        }
        let age_s = seconds(now_ns - seen.started_ns);
        seen.look_due_ns = now_ns + nanoseconds(interval_at_age(self.watched.interval_s, age_s));
        let busy = worker.gpus.iter().map(|id| looks.get(id)?.busy_fraction).collect::<Option<Vec<f64>>>();
        seen.account.add_busy(now_ns, busy.filter(|busy| !busy.is_empty()).map(|busy| mean(&busy)));
        let found = table
            .map(|table| owners::processes_below(worker.slot_pid, worker.cell.apart(), looks, table))
            .unwrap_or_default();
        let memory: Vec<Option<i64>> = found.values().flatten().copied().collect();
        seen.account.add_memory(&memory);
        if let Some(&foreign) = found.keys().find(|id| !worker.gpus.contains(id)) {
            let task_id = worker.cell.task_id(seen.sequence);
            self.tell_foreign(index, foreign, task_id);
        }
    }

    /// The device is asked no more, and tasks that hold it have no figures.
    fn lose(&mut self, id: i32, reason: &str) {
        self.devices.retain(|device| *device != id);
        for (worker, seen) in self.watched.workers.iter().zip(&mut self.seen) {
            if let Some(seen) = seen.as_mut().filter(|_| worker.gpus.contains(&id)) {
                seen.account.void();
            }
        }
        self.tell_unmeasured(id, &format!("is not measured any more: {reason}"));
    }

    fn tell_unmeasured(&mut self, id: i32, what: &str) {
        if !std::mem::replace(&mut self.told.unmeasured, true) && self.watched.holds_gpus() {
            let message = format!("the use of GPU {id} of `{}` {what}", self.watched.host);
            self.replies.push(Reply::Warning { message });
        }
    }

    fn tell_foreign(&mut self, index: usize, id: i32, task_id: Option<String>) {
        let (Some(task_id), host) = (task_id, &self.watched.host) else { return };
        let gpus = &self.watched.workers[index].gpus;
        let told = if gpus.is_empty() { &mut self.told.holds_none } else { &mut self.told.holds_others };
        if std::mem::replace(told, true) {
            return;
        }
        let message = if gpus.is_empty() {
            format!(
                "task `{task_id}` uses GPU {id} of `{host}` and holds none: with `gpus_per_task` each task has \
                 GPUs of its own, and `gpu_binding: visible_devices` hides them from tasks without"
            )
        } else {
            let held = gpus.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            format!(
                "task `{task_id}` uses GPU {id} of `{host}` and holds {held}: it must take those that \
                 `gpu_ids.txt` names, or `gpu_binding: visible_devices` hides the others from it"
            )
        };
        self.replies.push(Reply::Warning { message });
    }

    fn row(&self, id: i32, look: &Look) -> Sample {
        Sample {
            gpu: Some(id),
            gpu_busy_fraction: look.busy_fraction,
            gpu_memory_bytes: look.memory_bytes,
            gpu_power_w: look.power_w,
            ..Sample::empty(Timestamp::now(), self.watched.session, &self.watched.host, Scope::Gpu)
        }
    }
}

#[allow(clippy::cast_precision_loss)]
fn mean(numbers: &[f64]) -> f64 {
    numbers.iter().sum::<f64>() / numbers.len() as f64
}

#[cfg(test)]
mod tests;
