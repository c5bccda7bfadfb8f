//! What there is before a run begins: nodes, limits and tasks.

use super::failure::Failure;
use super::random::Random;

/// One GiB.
pub const GIB: i64 = 1 << 30;

/// A node.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its name.
    pub host: String,
    /// Tasks at the same time.
    pub worker_count: i32,
    /// Cores of each of them.
    pub cores_per_worker: i32,
    /// GPUs of each of them.
    pub gpus_per_worker: i32,
    /// Its memory.
    pub memory_bytes: i64,
    /// How many times longer its processors take for the same work.
    pub slowness: f64,
    /// What every task meets there.
    pub broken: Option<Failure>,
}

impl Node {
    /// A sound node of single-core workers.
    pub fn new(host: impl Into<String>, worker_count: i32) -> Self {
        Self {
            host: host.into(),
            worker_count,
            cores_per_worker: 1,
            gpus_per_worker: 0,
            memory_bytes: 256 * GIB,
            slowness: 1.0,
            broken: None,
        }
    }

    /// Several of them, `c00`, `c01`, …
    pub fn several(count: i32, worker_count: i32) -> Vec<Self> {
        (0..count).map(|number| Self::new(format!("c{number:02}"), worker_count)).collect()
    }
}

/// What the plan says about all tasks.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    /// Memory a task was given; the kernel ends those that use more.
    pub memory_per_task_bytes: Option<i64>,
    /// Time a task was given.
    pub timeout_s: Option<f64>,
    /// Further attempts at a task that fails.
    pub retries: i32,
    /// Seconds before each of them.
    pub retry_delay_s: f64,
}

/// What goes wrong with a task, whatever node it is on.
#[derive(Clone, Debug)]
pub struct Trouble {
    /// How it shows.
    pub failure: Failure,
    /// At which part of its way, 0 to 1.
    pub after: f64,
    /// How many attempts meet it; a passing trouble 1.
    pub attempts: i32,
}

/// What one task needs.
#[derive(Clone, Debug)]
pub struct Work {
    /// Its command.
    pub command: String,
    /// Its parameters, as JSON.
    pub params: Option<String>,
    /// Tasks of one kind; the known answers are by this.
    pub group: &'static str,
    /// Seconds of one processor.
    pub cpu_s: f64,
    /// Processors that it keeps busy at the same time.
    pub threads: f64,
    /// Seconds in which it waits for something else than a processor.
    pub waits_s: f64,
    /// Memory at its peak.
    pub memory_bytes: i64,
    /// Share of the time in which its GPUs compute.
    pub gpu_busy_fraction: f64,
    /// What it reads.
    pub read_bytes: i64,
    /// What it writes.
    pub write_bytes: i64,
    /// What goes wrong.
    pub trouble: Option<Trouble>,
}

impl Work {
    /// A task that computes on one core and is well.
    pub fn new(command: impl Into<String>, cpu_s: f64) -> Self {
        Self {
            command: command.into(),
            params: None,
            group: "all",
            cpu_s,
            threads: 1.0,
            waits_s: 0.0,
            memory_bytes: GIB,
            gpu_busy_fraction: 0.0,
            read_bytes: 4 << 20,
            write_bytes: 1 << 20,
            trouble: None,
        }
    }

    /// The same with parameters, as JSON.
    #[must_use]
    pub fn with_params(mut self, params: impl Into<String>) -> Self {
        self.params = Some(params.into());
        self
    }

    /// The same, which fails each time after this part of its way.
    #[must_use]
    pub fn failing(mut self, failure: Failure, after: f64) -> Self {
        self.trouble = Some(Trouble { failure, after, attempts: i32::MAX });
        self
    }
}

/// Makes the work of the task at a position of the list.
pub type MakeWork = Box<dyn FnMut(i64, &mut Random) -> Work>;

/// All there is.
pub struct World {
    /// The user's name for the run.
    pub name: String,
    /// Fixes all random numbers.
    pub seed: u64,
    /// Nodes.
    pub nodes: Vec<Node>,
    /// The plan.
    pub limits: Limits,
    /// Tasks of the list.
    pub task_count: i64,
    /// What each of them needs.
    pub work: MakeWork,
    /// Seconds from an end on a worker to the next start there.
    pub gap_s: f64,
    /// Seconds from one task of a stream to the next; `None` where the list is a file.
    pub arrives_every_s: Option<f64>,
    /// At which tasks the user interrupts the run and starts it again later.
    pub interruptions: Vec<i64>,
    /// Of how many tasks one is sampled; hosts are if it is not 0.
    pub one_sampled_of: i64,
}

impl World {
    /// A run of tasks from a file on sound nodes.
    pub fn new(
        name: &str,
        nodes: Vec<Node>,
        task_count: i64,
        work: impl FnMut(i64, &mut Random) -> Work + 'static,
    ) -> Self {
        Self {
            name: name.to_owned(),
            seed: 1,
            nodes,
            limits: Limits::default(),
            task_count,
            work: Box::new(work),
            gap_s: 0.001,
            arrives_every_s: None,
            interruptions: Vec::new(),
            one_sampled_of: 1,
        }
    }

    /// The same with other limits.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }
}
