//! The workers of a node that joins, by its own facts: nodes may differ.

use super::Plan;
use super::allotment::workers;
use super::distribution::Shares;
use crate::config::TaskDistribution;
use crate::error::PlanError;
use crate::machine::Machine;
use crate::protocol::Worker;

/// What was typed about cores, GPUs and workers, for the nodes that join.
#[derive(Clone, Copy, Debug, Default)]
pub struct TypedShares {
    /// `task_distribution`.
    pub distribution: TaskDistribution,
    /// `--workers`.
    pub workers: Option<i32>,
}

/// What a node does of the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeShare {
    /// Its workers.
    pub workers: Vec<Worker>,
    /// Cores that each of them has.
    pub cores_per_task: i32,
    /// What the user should know.
    pub warnings: Vec<String>,
}

impl Plan {
    /// What a node with this machine does.
    ///
    /// # Errors
    /// It cannot do what was asked for.
    pub fn share_of(&self, machine: &Machine) -> Result<NodeShare, PlanError> {
        let TypedShares { distribution, workers: typed_workers } = &self.typed;
        let shares = Shares::of(distribution, *typed_workers, self.limits.memory_per_task_bytes, machine)?;
        let mut warnings = Vec::new();
        let workers = workers(&shares, machine, &mut warnings);
        let cores_per_task = shares.distribution.cores_per_task;
        Ok(NodeShare { workers, cores_per_task, warnings })
    }
}
