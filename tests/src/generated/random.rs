//! Random numbers that a seed fixes.

use std::f64::consts::TAU;

/// A source of random numbers.
#[derive(Clone, Debug)]
pub struct Random(fastrand::Rng);

impl Random {
    /// The same numbers for the same seed.
    pub fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// 0 ≤ x < 1.
    pub fn fraction(&mut self) -> f64 {
        self.0.f64()
    }

    /// From `low` up to `high`.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.fraction()
    }

    /// An integer below `end`.
    pub fn below(&mut self, end: i64) -> i64 {
        self.0.i64(0..end)
    }

    /// One of them.
    ///
    /// # Panics
    /// If there is none.
    pub fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.0.usize(0..all.len())]
    }

    /// Log-normal: half of the values lie below `median`, two thirds within a factor of e^`spread`.
    pub fn log_normal(&mut self, median: f64, spread: f64) -> f64 {
        // Box and Muller's method; 1 - x is never 0.
        let radius = (-2.0 * (1.0 - self.fraction()).ln()).sqrt();
        median * (spread * radius * (TAU * self.fraction()).cos()).exp()
    }
}
