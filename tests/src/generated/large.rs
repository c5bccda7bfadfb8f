//! Runs of any size: four kinds of tasks on nodes that are all alike, and some tasks that fail.

use super::failure::failures;
use super::random::Random;
use super::world::{GIB, Limits, Node, Trouble, Work, World};

/// The kinds of tasks: the parameter `method`, the program, median seconds of work, their spread, GiB.
const METHODS: [(&str, &str, f64, f64, f64); 4] = [
    ("relax", "relax.x", 20.0, 0.4, 1.2),
    ("scf", "/opt/scf/bin/scf", 60.0, 0.6, 2.5),
    ("dynamics", "python3 dynamics.py", 45.0, 0.3, 0.8),
    ("analyse", "analyse.sh", 6.0, 0.8, 0.3),
];

/// How large a run is.
#[derive(Clone, Debug)]
pub struct Large {
    /// Tasks.
    pub task_count: i64,
    /// Nodes.
    pub host_count: i32,
    /// Workers a node.
    pub worker_count: i32,
    /// Ways in which tasks fail.
    pub failure_kind_count: usize,
    /// Starts of the run.
    pub session_count: i64,
    /// Fixes all random numbers.
    pub seed: u64,
}

impl Default for Large {
    fn default() -> Self {
        let (task_count, host_count, worker_count) = (1000, 4, 16);
        Self { task_count, host_count, worker_count, failure_kind_count: 7, session_count: 1, seed: 1 }
    }
}

impl Large {
    /// The world of such a run. 3 % of the tasks fail, a third of them only at their first attempt.
    pub fn world(&self) -> World {
        let kinds = failures(self.failure_kind_count);
        let mut number = 0_usize;
        let work = move |index: i64, random: &mut Random| {
            let mut work = task(index, random);
            if !kinds.is_empty() && random.fraction() < 0.03 {
                // The first of them in turn, so that also a small run has all kinds.
                let kind = if number < kinds.len() { &kinds[number] } else { random.one_of(&kinds) };
                number += 1;
                let attempts = if random.fraction() < 0.33 { 1 } else { i32::MAX };
                let after = random.between(0.01, 0.95);
                work.trouble = Some(Trouble { failure: kind.clone(), after, attempts });
            }
            work
        };
        let nodes = (0..self.host_count).map(|number| Node::new(format!("c{number:03}"), self.worker_count));
        let limits = Limits {
            memory_per_task_bytes: Some(8 * GIB),
            timeout_s: Some(7_200.0),
            retries: 1,
            retry_delay_s: 1.0,
        };
        let mut world = World::new("large", nodes.collect(), self.task_count, work).with_limits(limits);
        world.seed = self.seed;
        world.interruptions =
            (1..self.session_count).map(|number| self.task_count * number / self.session_count).collect();
        world.one_sampled_of = (self.task_count / 2_000).max(1);
        world
    }
}

fn task(index: i64, random: &mut Random) -> Work {
    let (method, program, median_s, spread, gib) = *random.one_of(&METHODS);
    let temperature = 100 + 50 * random.below(9);
    let replica = random.below(20);
    let whole_s = random.log_normal(median_s, spread).min(7_000.0);
    let command = format!("{program} --in /data/in/{index}.xyz --temperature {temperature}");
    let mut work = Work::new(command, whole_s * 0.92)
        .with_params(format!(r#"{{"method":"{method}","temperature":{temperature},"replica":{replica}}}"#));
    work.group = method;
    work.waits_s = whole_s * 0.08;
    work.memory_bytes = gibibytes(random.log_normal(gib, 0.3).min(7.0));
    work
}

/// GiB as bytes.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
pub(super) fn gibibytes(gib: f64) -> i64 {
    (gib * GIB as f64) as i64
}
