//! Records of runs that never were, with answers that are known.
//!
//! A [`World`] says what there is: nodes, limits, and tasks with what each needs ([`Work`]). The
//! [`simulate`]d farm runs it by list scheduling, in simulated time, and a [`Recording`] writes
//! what happens through the recorder of `ictasks`. What a report should find is not written
//! anywhere: it follows from nodes that are slow, tasks that wait, limits that are too high.
//! [`Answers`] counts what happened.
//!
//! - `large` makes records of any size, for known answers and benchmarks.
//! - [`flaws`] makes small records with one thing wrong, [`sound`] such with nothing wrong.

use std::path::Path;

mod answers;
mod attempt;
mod failure;
pub mod flaws;
mod large;
mod random;
mod recording;
mod simulation;
pub mod sound;
mod world;

pub use answers::{Answers, Sums, quantile};
pub use failure::{Failure, KINDS, failures};
pub use large::Large;
pub use random::Random;
pub use recording::Recording;
pub use simulation::simulate;
pub use world::{GIB, Limits, Node, Trouble, Work, World};

/// Runs a world to its end and leaves its record in a directory.
///
/// # Panics
/// If it cannot be written.
pub fn record(world: World, run_dir: &Path) -> Answers {
    let mut recording = Recording::start(&world, run_dir);
    let answers = simulate(world, &mut recording);
    recording.finish();
    answers
}
