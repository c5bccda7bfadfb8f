//! Small runs in which nothing is to be changed, each of another shape.

use super::failure::Failure;
use super::flaws::passing;
use super::large::gibibytes;
use super::random::Random;
use super::world::{GIB, Limits, Node, Work, World};

/// The name of a run, and what makes it.
type Named = (&'static str, fn() -> World);

/// All of them, by name.
pub const ALL: &[Named] = &[
    ("equal tasks", equal),
    ("tasks of all lengths", all_lengths),
    ("threads that use their cores", threads),
    ("busy GPUs", busy_gpus),
    ("failures that one more attempt gets over", passing_failures),
    ("memory asked for as it is used", fitting_memory),
    ("one task on one worker", single),
    ("nodes of two kinds, half of them slower", two_kinds),
    ("a run that was interrupted and went on", interrupted),
    ("a stream that is never empty", fed_stream),
    ("tasks below a second, but long against the gaps", brisk),
    ("half as many tasks again as in full rounds, all short", ragged_end),
];

fn relax(index: i64, seconds: f64) -> Work {
    Work::new(format!("relax.x --in {index}.xyz"), seconds)
}

fn equal() -> World {
    World::new("equal", Node::several(4, 8), 3_200, |index, random| relax(index, random.between(29.0, 31.0)))
}

/// The long ones first, as their user knows.
fn all_lengths() -> World {
    World::new("all_lengths", Node::several(4, 16), 12_000, |index, random| {
        let median_s = 60.0 - 0.0045 * f64::from(i32::try_from(index).unwrap_or(0));
        let (program, factor) = *random.one_of(&[("relax.x", 1.0), ("scf.x", 1.5), ("md.x", 2.0)]);
        let params = format!(r#"{{"temperature":{},"seed":{index}}}"#, 100 * random.below(5));
        Work::new(format!("{program} --in {index}.xyz"), random.log_normal(factor * median_s, 0.25))
            .with_params(params)
    })
}

fn threads() -> World {
    let mut nodes = Node::several(3, 4);
    nodes.iter_mut().for_each(|node| node.cores_per_worker = 8);
    World::new("threads", nodes, 1_200, |index, random| {
        let mut work = relax(index, random.between(1_800.0, 2_000.0));
        (work.threads, work.waits_s) = (8.0, 3.0);
        work
    })
}

fn busy_gpus() -> World {
    let mut nodes = Node::several(2, 4);
    nodes.iter_mut().for_each(|node| node.gpus_per_worker = 1);
    World::new("busy_gpus", nodes, 800, |index, random: &mut Random| {
        let mut work = Work::new(format!("python3 train.py --fold {index}"), random.between(85.0, 95.0));
        work.gpu_busy_fraction = random.between(0.85, 0.98);
        work
    })
}

fn passing_failures() -> World {
    let limits = Limits { retries: 2, retry_delay_s: 2.0, ..Limits::default() };
    let world = World::new("passing_failures", Node::several(4, 8), 4_000, |index, random| {
        let mut work = relax(index, random.between(18.0, 22.0));
        if random.fraction() < 0.004 {
            let failure = Failure::says("licence", 7, "licence server: no answer after # ms");
            work.trouble = Some(passing(failure, 0.05));
        }
        work
    });
    world.with_limits(limits)
}

fn fitting_memory() -> World {
    let limits = Limits { memory_per_task_bytes: Some(8 * GIB), ..Limits::default() };
    let world = World::new("fitting_memory", Node::several(4, 16), 3_200, |index, random| {
        let mut work = relax(index, random.between(58.0, 62.0));
        work.memory_bytes = gibibytes(random.between(5.5, 6.8));
        work
    });
    world.with_limits(limits)
}

fn single() -> World {
    World::new("single", Node::several(1, 1), 1, |index, _| relax(index, 4_000.0))
}

fn two_kinds() -> World {
    let mut nodes = Node::several(6, 8);
    nodes.iter_mut().skip(3).for_each(|node| node.slowness = 1.6);
    World::new("two_kinds", nodes, 4_800, |index, random| relax(index, random.between(28.0, 32.0)))
}

fn interrupted() -> World {
    let mut world = World::new("interrupted", Node::several(4, 8), 4_000, |index, random| {
        relax(index, random.between(18.0, 22.0))
    });
    world.interruptions = vec![2_500];
    world
}

/// Tasks arrive twice as fast as they are done.
fn fed_stream() -> World {
    let mut world = World::new("fed_stream", Node::several(2, 8), 3_200, |index, random| {
        relax(index, random.between(15.0, 17.0))
    });
    world.arrives_every_s = Some(0.5);
    world
}

fn brisk() -> World {
    World::new("brisk", Node::several(2, 8), 8_000, |index, random| relax(index, random.between(0.4, 0.5)))
}

fn ragged_end() -> World {
    World::new("ragged_end", Node::several(2, 8), 16 * 60 + 8, |index, random| {
        relax(index, random.between(29.9, 30.1))
    })
}
