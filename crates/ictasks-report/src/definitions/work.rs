//! What became of core seconds: occupancy, efficiency, goodput, load balance.

use ictasks_core::attempt::Outcome;

use crate::load::{Attempts, Session};

/// Sums over attempts.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Work {
    /// W = Σ c·d.
    pub(crate) occupied_core_s: f64,
    /// Σ u, of attempts that have it.
    pub(crate) cpu_s: f64,
    /// Σ c·d of the attempts that have a CPU time.
    pub(crate) measured_core_s: f64,
    /// Σ c·d of the last attempts of tasks that succeeded.
    pub(crate) useful_core_s: f64,
    /// Of these Σ u.
    pub(crate) useful_cpu_s: f64,
    /// Σ c·d by outcome.
    pub(crate) by_outcome: [f64; Outcome::ALL.len()],
    /// Attempts by outcome.
    pub(crate) count_by_outcome: [i64; Outcome::ALL.len()],
    /// max d.
    pub(crate) longest_s: f64,
    /// Busy seconds of each worker that ran anything: Σ d.
    pub(crate) busy_by_worker: Vec<f64>,
}

impl Work {
    /// Sums over all attempts.
    pub(crate) fn of(attempts: &Attempts) -> Self {
        let mut work = Self { busy_by_worker: vec![0.0; attempts.workers.len()], ..Self::default() };
        for row in 0..attempts.len() {
            let outcome = attempts.outcome[row];
            work.count_by_outcome[outcome as usize] += 1;
            if !attempts.ran(row) {
                continue;
            }
            let core_s = attempts.core_s(row);
            let cpu_s = attempts.cpu_s[row];
            work.occupied_core_s += core_s;
            work.by_outcome[outcome as usize] += core_s;
            work.longest_s = work.longest_s.max(attempts.wall_s[row]);
            if !cpu_s.is_nan() {
                work.cpu_s += cpu_s;
                work.measured_core_s += core_s;
            }
            if outcome == Outcome::Succeeded && attempts.is_last[row] {
                work.useful_core_s += core_s;
                work.useful_cpu_s += if cpu_s.is_nan() { 0.0 } else { cpu_s.min(core_s) };
            }
            if let Some(busy) = work.busy_by_worker.get_mut(attempts.worker[row] as usize) {
                *busy += attempts.wall_s[row];
            }
        }
        work
    }

    /// CPU efficiency: Σu / W, over the attempts that have a CPU time. Source: Slurm's `seff`.
    pub(crate) fn cpu_efficiency(&self) -> Option<f64> {
        super::fraction(self.cpu_s, self.measured_core_s)
    }

    /// Goodput: core seconds of successful last attempts / W.
    pub(crate) fn goodput(&self) -> Option<f64> {
        super::fraction(self.useful_core_s, self.occupied_core_s)
    }

    /// Load balance: mean / max busy time over workers; 0.8 is acceptable. Workers that ran nothing count
    /// as 0. Source: the POP methodology.
    #[allow(clippy::cast_precision_loss)]
    pub(crate) fn load_balance(&self, worker_count: i64) -> Option<f64> {
        let max = self.busy_by_worker.iter().copied().fold(0.0, f64::max);
        let workers = (worker_count.max(1) as f64).max(self.busy_by_worker.len() as f64);
        super::fraction(self.busy_by_worker.iter().sum::<f64>() / workers, max)
    }
}

/// ∫C dt over all sessions. Occupancy is W / ∫C dt, CPU utilisation occupancy × CPU efficiency (POP
/// methodology): it says where the loss is.
pub(crate) fn available_core_s(sessions: &[Session]) -> f64 {
    sessions.iter().map(Session::available_core_s).sum()
}
