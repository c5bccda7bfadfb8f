//! A farm in simulated time: list scheduling of the tasks of a [`World`] on its workers.
//!
//! Whenever a worker is free it takes the task that waited longest for a retry, else the next of
//! the list that has arrived.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};

use ictasks_core::attempt::{Attempt, Outcome, Reason};
use ictasks_core::column::Timestamp;
use ictasks_core::event::EventBody;
use ictasks_core::sample::{Sample, Scope};

use super::answers::Answers;
use super::attempt::{Place, Task, attempt, interrupted, microseconds, seconds, to_float, whole};
use super::random::Random;
use super::recording::{JOIN_US, Recording};
use super::world::World;

/// When every simulated run begins: 2026-03-01 08:00 UTC.
const BEGIN_US: i64 = 1_772_352_000_000_000;
/// From an interruption to the next start.
const PAUSE_US: i64 = 7_200_000_000;
/// From the start of a session to its first task.
const START_UP_US: i64 = 200_000;

/// Runs all tasks and records what happens.
pub fn simulate(world: World, recording: &mut Recording) -> Answers {
    let mut farm = Farm::new(world, recording);
    let mut begin_us = BEGIN_US;
    let ends: Vec<i64> = farm.world.interruptions.iter().copied().chain([i64::MAX]).collect();
    for until in ends {
        begin_us = farm.session(begin_us, until) + PAUSE_US;
    }
    farm.answers
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    /// The attempt on this worker ends.
    End(usize),
    /// This worker can take a task.
    Free(usize),
    /// A task arrives, or may be tried again.
    Ready,
    /// Samples are taken.
    Sample,
}

/// A worker, and the attempt on it.
struct Worker {
    node: usize,
    number: i32,
    running: Option<Running>,
}

struct Running {
    task: Task,
    row: Attempt,
    failure: Option<String>,
    start_us: i64,
}

struct Farm<'a> {
    world: World,
    recording: &'a mut Recording,
    random: Random,
    answers: Answers,
    workers: Vec<Worker>,
    agenda: BinaryHeap<Reverse<(i64, u64, What)>>,
    agenda_number: u64,
    idle: VecDeque<usize>,
    running_count: usize,
    /// Tasks that are tried again, by time and a number.
    again: BinaryHeap<Reverse<(i64, u64)>>,
    again_tasks: HashMap<u64, Task>,
    next_index: i64,
    /// The task of a stream whose arrival is planned.
    awaited_index: Option<i64>,
    began_us: i64,
    now_us: i64,
}

impl<'a> Farm<'a> {
    fn new(world: World, recording: &'a mut Recording) -> Self {
        let workers = world.nodes.iter().enumerate().flat_map(|(node, of)| {
            (0..of.worker_count).map(move |number| Worker { node, number, running: None })
        });
        Self {
            workers: workers.collect(),
            random: Random::new(world.seed),
            world,
            recording,
            answers: Answers::default(),
            agenda: BinaryHeap::new(),
            agenda_number: 0,
            idle: VecDeque::new(),
            running_count: 0,
            again: BinaryHeap::new(),
            again_tasks: HashMap::new(),
            next_index: 0,
            awaited_index: None,
            began_us: 0,
            now_us: 0,
        }
    }

    /// One start of the run, interrupted before the task `until`. Returns when it ended.
    fn session(&mut self, begin_us: i64, until: i64) -> i64 {
        (self.began_us, self.now_us) = (begin_us, begin_us);
        self.recording.begin(begin_us, &self.world.nodes);
        self.agenda.clear();
        self.awaited_index = None;
        // The nodes have their first tasks in turn.
        self.idle.clear();
        let mut order: Vec<usize> = (0..self.workers.len()).collect();
        order.sort_by_key(|worker| (self.workers[*worker].number, self.workers[*worker].node));
        for worker in order {
            self.plan(begin_us + START_UP_US, What::Free(worker));
        }
        if self.world.one_sampled_of > 0 {
            self.plan(begin_us + 1_000_000, What::Sample);
        }
        while let Some(Reverse((at_us, _, what))) = self.agenda.pop() {
            self.now_us = at_us;
            match what {
                What::End(worker) => self.end_of(worker),
                What::Free(worker) => self.idle.push_back(worker),
                What::Ready => {}
                What::Sample => self.sample(),
            }
            self.start_what_can();
            if self.next_index >= until && self.next_index < self.world.task_count {
                return self.interrupt();
            }
            if self.is_done() {
                break;
            }
        }
        self.end_session(200_000, "every task had its turn")
    }

    fn is_done(&self) -> bool {
        self.running_count == 0 && self.again.is_empty() && self.next_index >= self.world.task_count
    }

    fn end_session(&mut self, after_us: i64, how: &str) -> i64 {
        let end_us = self.now_us + after_us;
        self.recording.end(end_us, how);
        self.answers.makespan_s += seconds(end_us - self.began_us);
        let cores: i32 = self.world.nodes.iter().map(|node| node.worker_count * node.cores_per_worker).sum();
        self.answers.available_core_s += seconds(end_us - self.began_us - JOIN_US) * f64::from(cores);
        self.answers.session_count += 1;
        end_us
    }

    fn plan(&mut self, at_us: i64, what: What) {
        self.agenda_number += 1;
        self.agenda.push(Reverse((at_us, self.agenda_number, what)));
    }

    fn start_what_can(&mut self) {
        while let Some(&worker) = self.idle.front() {
            let Some(task) = self.next_task() else { return };
            self.idle.pop_front();
            self.start(worker, task);
        }
    }

    /// The next task that is ready.
    fn next_task(&mut self) -> Option<Task> {
        if self.again.peek().is_some_and(|Reverse((at_us, _))| *at_us <= self.now_us) {
            let Reverse((_, number)) = self.again.pop()?;
            return self.again_tasks.remove(&number);
        }
        if self.next_index >= self.world.task_count {
            return None;
        }
        let index = self.next_index;
        let mut ready_at_us = self.began_us;
        if let Some(every_s) = self.world.arrives_every_s {
            ready_at_us = BEGIN_US + microseconds(to_float(index) * every_s);
            if ready_at_us > self.now_us {
                if self.awaited_index != Some(index) {
                    self.awaited_index = Some(index);
                    self.plan(ready_at_us, What::Ready);
                }
                return None;
            }
            ready_at_us = ready_at_us.max(self.began_us);
        }
        self.next_index += 1;
        let work = (self.world.work)(index, &mut self.random);
        Some(Task { index, attempt: 1, reason: None, ready_at_us, work })
    }

    fn start(&mut self, worker: usize, task: Task) {
        let place = place(&self.world, &self.workers[worker], self.recording.session());
        let (row, failure) = attempt(&task, place, &self.world.limits, self.now_us, &mut self.random);
        let body = EventBody::TaskStarted {
            task_id: row.task_id.clone(),
            task_index: row.task_index,
            attempt: row.attempt,
            host: place.node.host.clone(),
            worker_id: place.worker_id,
            pid: row.pid.unwrap_or(0),
        };
        self.recording.event(self.now_us, body);
        let end_us = row.finished_at.map_or(self.now_us, |at| at.0);
        self.workers[worker].running = Some(Running { task, row, failure, start_us: self.now_us });
        self.running_count += 1;
        self.plan(end_us, What::End(worker));
    }

    fn end_of(&mut self, worker: usize) {
        let Some(running) = self.workers[worker].running.take() else { return };
        self.running_count -= 1;
        self.plan(self.now_us + microseconds(self.world.gap_s), What::Free(worker));
        let Running { task, row, failure, .. } = running;
        let is_retried = row.outcome.is_failure() && task.attempt <= self.world.limits.retries;
        self.finish(row, &task, failure, !is_retried);
        if is_retried {
            let delay_us = microseconds(self.world.limits.retry_delay_s);
            let body = EventBody::TaskRetried {
                task_id: task.index.to_string(),
                task_index: task.index,
                attempt: task.attempt + 1,
                message: "it failed".to_owned(),
            };
            self.recording.event(self.now_us, body);
            self.try_again(task, Reason::Retry, self.now_us + delay_us);
        }
    }

    fn finish(&mut self, row: Attempt, task: &Task, failure: Option<String>, is_last: bool) {
        self.answers.add(&row, task.work.group, failure, is_last);
        self.recording.event(self.now_us, EventBody::TaskFinished(Box::new(row)));
    }

    fn try_again(&mut self, task: Task, reason: Reason, at_us: i64) {
        self.agenda_number += 1;
        let number = self.agenda_number;
        self.again.push(Reverse((at_us, number)));
        let task = Task { attempt: task.attempt + 1, reason: Some(reason), ready_at_us: at_us, ..task };
        self.again_tasks.insert(number, task);
        self.plan(at_us, What::Ready);
    }

    /// The user interrupts: what runs is ended, and tried again in the next session.
    fn interrupt(&mut self) -> i64 {
        let message = "interrupted by the user".to_owned();
        self.recording.event(self.now_us, EventBody::StopRequested { message, ends_tasks: true });
        self.now_us += 1_000;
        let resume_us = self.now_us + 500_000 + PAUSE_US;
        // What waits for another attempt waits for the next session.
        let waiting: Vec<u64> = self.again.drain().map(|Reverse((_, number))| number).collect();
        for number in waiting {
            if let Some(task) = self.again_tasks.get_mut(&number) {
                (task.ready_at_us, task.reason) = (resume_us, Some(Reason::FailedBefore));
            }
            self.again.push(Reverse((resume_us, number)));
        }
        for worker in 0..self.workers.len() {
            let Some(Running { task, start_us, .. }) = self.workers[worker].running.take() else { continue };
            self.running_count -= 1;
            let place = place(&self.world, &self.workers[worker], self.recording.session());
            let after_s = seconds(self.now_us - start_us);
            let limits = &self.world.limits;
            let row = interrupted(&task, place, limits, (start_us, after_s), &mut self.random);
            debug_assert_eq!(row.outcome, Outcome::Cancelled);
            self.finish(row, &task, None, false);
            self.try_again(task, Reason::InterruptedBefore, resume_us);
        }
        self.end_session(500_000, "interrupted")
    }

    /// Samples of all hosts, of their GPUs, and of some of the tasks.
    fn sample(&mut self) {
        let age_s = seconds(self.now_us - self.began_us);
        let next_s = if age_s < 600.0 {
            1
        } else if age_s < 7_200.0 {
            10
        } else {
            30
        };
        self.plan(self.now_us + next_s * 1_000_000, What::Sample);
        let (at, session) = (Timestamp(self.now_us), self.recording.session());
        let of_host = |host: &str| Sample::empty(at, session, host, Scope::Host);
        let mut hosts: Vec<Sample> = self.world.nodes.iter().map(|node| of_host(&node.host)).collect();
        for (sample, node) in hosts.iter_mut().zip(&self.world.nodes) {
            (sample.busy_cores, sample.rss_bytes) = (Some(0.0), Some(2 << 30));
            sample.memory_total_bytes = Some(node.memory_bytes);
        }
        for worker in &self.workers {
            let Some(running) = &worker.running else { continue };
            let of_task = task_sample(running, at, session);
            let host = &mut hosts[worker.node];
            host.busy_cores = host.busy_cores.zip(of_task.busy_cores).map(|(sum, more)| sum + more);
            host.rss_bytes = host.rss_bytes.zip(of_task.rss_bytes).map(|(sum, more)| sum + more);
            for gpu in running.row.gpus.iter().flatten() {
                let mut of_gpu = Sample::empty(at, session, &of_task.host, Scope::Gpu);
                of_gpu.gpu = Some(*gpu);
                of_gpu.gpu_busy_fraction = running.row.gpu_busy_fraction;
                of_gpu.gpu_memory_bytes = running.row.gpu_memory_max_bytes;
                of_gpu.gpu_power_w = running.row.gpu_busy_fraction.map(|busy| 80.0 + 300.0 * busy);
                self.recording.sample(of_gpu);
            }
            if running.task.index % self.world.one_sampled_of == 0 {
                self.recording.sample(of_task);
            }
        }
        for mut sample in hosts {
            sample.load1 = sample.busy_cores;
            self.recording.sample(sample);
        }
    }
}

fn task_sample(running: &Running, at: Timestamp, session: i32) -> Sample {
    let row = &running.row;
    let wall_s = row.wall_s.unwrap_or(1.0);
    let part = seconds(at.0 - running.start_us) / wall_s;
    let of = |total: Option<i64>| total.map(|total| whole(to_float(total) * part));
    let mut sample = Sample::empty(at, session, row.host.as_deref().unwrap_or(""), Scope::Task);
    sample.task_id = Some(row.task_id.clone());
    sample.attempt = Some(row.attempt);
    sample.busy_cores = Some((row.user_s.unwrap_or(0.0) + row.system_s.unwrap_or(0.0)) / wall_s);
    sample.rss_bytes = row.max_process_rss_bytes.map(|peak| whole(to_float(peak) * (part / 0.7).min(1.0)));
    sample.process_count = Some(1);
    sample.thread_count = Some(i64::from(row.core_count.unwrap_or(1)));
    sample.syscall_read_bytes = of(row.syscall_read_bytes);
    sample.syscall_write_bytes = of(row.syscall_write_bytes);
    sample
}

fn place<'w>(world: &'w World, worker: &Worker, session: i32) -> Place<'w> {
    Place {
        node: &world.nodes[worker.node],
        host_id: i32::try_from(worker.node).unwrap_or(i32::MAX),
        worker_id: worker.number,
        session,
    }
}
