//! Small runs with one thing wrong. What is wrong is built as what it is; the rule of `ictasks
//! report` that has to name it first is only named beside it.

use super::failure::{Failure, failures};
use super::large::gibibytes;
use super::random::Random;
use super::world::{GIB, Limits, Node, Trouble, Work, World};

/// A run with one thing wrong.
pub struct Flaw {
    /// The rule whose advice has to come first.
    pub rule: &'static str,
    /// What is wrong, in a few words.
    pub what: &'static str,
    /// The run.
    pub world: fn() -> World,
}

/// All of them.
pub const ALL: &[Flaw] = &[
    Flaw { rule: "slow_host", what: "one node of eight is throttled", world: slow_host },
    Flaw {
        rule: "slow_host",
        what: "a slow node among tasks of very different lengths",
        world: slow_host_mixed,
    },
    Flaw { rule: "long_tail", what: "one task is very long and stands last", world: long_tail },
    Flaw { rule: "short_tasks", what: "tasks take 5 ms", world: short_tasks },
    Flaw { rule: "memory_requested", what: "ten times the memory was asked for", world: memory_requested },
    Flaw { rule: "failing_value", what: "one value of a parameter always fails", world: failing_value },
    Flaw { rule: "failing_value", what: "one temperature of nine always fails", world: failing_number },
    Flaw { rule: "starved", what: "tasks of a stream come too slowly", world: starved },
    Flaw { rule: "missing_program", what: "the program is not there", world: missing_program },
    Flaw { rule: "missing_program", what: "one of two programs is not there", world: one_missing_program },
    Flaw { rule: "low_cpu_efficiency", what: "tasks wait for files most of the time", world: waiting },
    Flaw { rule: "low_cpu_efficiency", what: "one thread runs on eight cores", world: one_thread },
    Flaw { rule: "gpu_idle", what: "GPUs are held and hardly used", world: gpu_idle },
    Flaw { rule: "out_of_memory", what: "the memory limit is too low for some", world: out_of_memory },
    Flaw { rule: "out_of_memory", what: "programs say that they get no memory", world: allocation },
    Flaw { rule: "imbalance", what: "fewer tasks than workers", world: few_tasks },
    Flaw { rule: "retries", what: "what fails always fails, and is tried four times", world: retries },
    Flaw { rule: "imbalance", what: "36 equal tasks on 32 workers", world: imbalance },
    Flaw { rule: "failing_host", what: "on one node every task fails at once", world: failing_host },
    Flaw { rule: "time_limit", what: "the time limit is too low for some", world: time_limit },
    Flaw { rule: "hanging", what: "one task in ten waits for ever", world: hanging },
];

/// Seconds of work that differ little.
fn about(median_s: f64, random: &mut Random) -> f64 {
    random.log_normal(median_s, 0.1)
}

/// A task that computes and is well.
fn sound(index: i64, median_s: f64, random: &mut Random) -> Work {
    Work::new(format!("relax.x --in {index}.xyz"), about(median_s, random))
}

fn slow_host() -> World {
    let mut nodes = Node::several(8, 8);
    nodes[5].slowness = 3.0;
    World::new("slow_host", nodes, 4_000, |index, random| sound(index, 30.0, random))
}

fn slow_host_mixed() -> World {
    let mut nodes = Node::several(6, 16);
    nodes[0].slowness = 2.2;
    World::new("slow_host_mixed", nodes, 6_000, |index, random| {
        let (program, median_s) = *random.one_of(&[("relax.x", 8.0), ("scf.x", 40.0), ("md.x", 90.0)]);
        Work::new(format!("{program} --in {index}.xyz"), random.log_normal(median_s, 0.3))
    })
}

fn long_tail() -> World {
    World::new("long_tail", Node::several(4, 8), 2_000, |index, random| {
        let median_s = if index == 1_990 { 3_000.0 } else { 30.0 };
        sound(index, median_s, random)
    })
}

/// The farm needs some milliseconds from one task to the next; that is most of the time here.
fn short_tasks() -> World {
    let mut world = World::new("short_tasks", Node::several(1, 16), 8_000, |index, random| {
        Work::new(format!("./point {index}"), random.log_normal(0.005, 0.2))
    });
    world.gap_s = 0.004;
    world
}

/// Nodes of 64 cores and 256 GiB take 8 tasks of 32 GiB, which use a tenth of that.
fn memory_requested() -> World {
    let limits = Limits { memory_per_task_bytes: Some(32 * GIB), ..Limits::default() };
    let world = World::new("memory_requested", Node::several(4, 8), 1_500, |index, random| {
        let mut work = sound(index, 60.0, random);
        work.memory_bytes = gibibytes(random.between(2.4, 3.1));
        work
    });
    world.with_limits(limits)
}

fn failing_value() -> World {
    World::new("failing_value", Node::several(4, 8), 1_800, |index, random| {
        let solver = *random.one_of(&["cg", "gmres", "bicg", "ilu0", "direct", "multigrid"]);
        let mesh = random.below(4);
        let work =
            sound(index, 40.0, random).with_params(format!(r#"{{"solver":"{solver}","mesh":{mesh}}}"#));
        let failure = Failure::says("pivot", 1, "ERROR: zero pivot in row #");
        if solver == "ilu0" { work.failing(failure, random.between(0.4, 0.8)) } else { work }
    })
}

fn failing_number() -> World {
    World::new("failing_number", Node::several(2, 16), 900, |index, random| {
        let temperature = 100 * (1 + random.below(9));
        let replica = random.below(50);
        let work = sound(index, 120.0, random)
            .with_params(format!(r#"{{"temperature":{temperature},"replica":{replica}}}"#));
        let failures = failures(2);
        if temperature == 900 { work.failing(failures[1].clone(), random.between(0.5, 0.9)) } else { work }
    })
}

fn starved() -> World {
    let mut world =
        World::new("starved", Node::several(2, 16), 1_200, |index, random| sound(index, 12.0, random));
    // 32 workers could take three tasks a second.
    world.arrives_every_s = Some(1.5);
    world
}

fn missing_program() -> World {
    World::new("missing_program", Node::several(2, 8), 400, |index, random| {
        Work::new(format!("mdrun_mpi -s {index}.tpr"), about(0.02, random))
            .failing(Failure::missing_program("mdrun_mpi"), 0.5)
    })
}

fn one_missing_program() -> World {
    World::new("one_missing_program", Node::several(2, 8), 600, |index, random| {
        if index % 3 > 0 {
            return sound(index, 60.0, random);
        }
        Work::new(format!("analyse_energy {index}.log"), 0.02)
            .failing(Failure::missing_program("analyse_energy"), 0.5)
    })
}

fn waiting() -> World {
    World::new("waiting", Node::several(4, 8), 1_500, |index, random| {
        let mut work = sound(index, 4.0, random);
        work.waits_s = about(36.0, random);
        (work.read_bytes, work.write_bytes) = (6 * GIB, GIB / 4);
        work
    })
}

fn one_thread() -> World {
    let mut nodes = Node::several(4, 4);
    nodes.iter_mut().for_each(|node| node.cores_per_worker = 8);
    World::new("one_thread", nodes, 800, |index, random| sound(index, 60.0, random))
}

fn gpu_idle() -> World {
    let mut nodes = Node::several(2, 4);
    nodes.iter_mut().for_each(|node| node.gpus_per_worker = 1);
    World::new("gpu_idle", nodes, 400, |index, random| {
        let mut work = Work::new(format!("python3 train.py --fold {index}"), about(90.0, random));
        work.gpu_busy_fraction = random.between(0.01, 0.05);
        work
    })
}

fn out_of_memory() -> World {
    let limits = Limits { memory_per_task_bytes: Some(4 * GIB), ..Limits::default() };
    let world = World::new("out_of_memory", Node::several(4, 8), 1_500, |index, random| {
        let mut work = sound(index, 60.0, random);
        work.memory_bytes = gibibytes(random.log_normal(2.8, 0.3));
        work
    });
    world.with_limits(limits)
}

/// Nobody ends these tasks: their program asks for more than there is, is refused, and says so.
fn allocation() -> World {
    World::new("allocation", Node::several(4, 8), 1_500, |index, random| {
        let mut work = sound(index, 60.0, random);
        let line = "numpy.core._exceptions._ArrayMemoryError: Unable to allocate #. GiB for an array";
        if random.fraction() < 0.15 {
            work = work.failing(Failure::says("array_memory", 1, line), 0.6);
        }
        work
    })
}

fn few_tasks() -> World {
    World::new("few_tasks", Node::several(2, 16), 10, |index, random| {
        Work::new(format!("md.x --in {index}.xyz"), random.log_normal(1_200.0, 0.02))
    })
}

fn retries() -> World {
    let limits = Limits { retries: 3, retry_delay_s: 5.0, ..Limits::default() };
    let world = World::new("retries", Node::several(4, 8), 1_500, |index, random| {
        let work = sound(index, 60.0, random);
        let failure = Failure::says("diverged", 4, "ERROR: the solution diverged at step #");
        if random.fraction() < 0.12 { work.failing(failure, random.between(0.5, 0.95)) } else { work }
    });
    world.with_limits(limits)
}

fn imbalance() -> World {
    World::new("imbalance", Node::several(4, 8), 36, |index, random| {
        Work::new(format!("md.x --in {index}.xyz"), random.log_normal(3_600.0, 0.01))
    })
}

fn failing_host() -> World {
    let mut nodes = Node::several(8, 8);
    nodes[3].broken = Some(Failure::says("no_mount", 1, "OSError: /scratch/job_#: not mounted"));
    World::new("failing_host", nodes, 4_000, |index, random| sound(index, 30.0, random))
}

fn time_limit() -> World {
    let limits = Limits { timeout_s: Some(600.0), ..Limits::default() };
    let world = World::new("time_limit", Node::several(4, 8), 1_200, |index, random| {
        Work::new(format!("scf.x --in {index}.xyz"), random.log_normal(480.0, 0.25))
    });
    world.with_limits(limits)
}

fn hanging() -> World {
    let limits = Limits { timeout_s: Some(600.0), ..Limits::default() };
    let world = World::new("hanging", Node::several(4, 8), 1_200, |index, random| {
        let mut work = sound(index, 240.0, random);
        if index % 10 == 3 {
            (work.cpu_s, work.waits_s) = (1.0, 1e6);
        }
        work
    });
    world.with_limits(limits)
}

/// A passing trouble that one more attempt gets over.
pub(super) fn passing(failure: Failure, after: f64) -> Trouble {
    Trouble { failure, after, attempts: 1 }
}
