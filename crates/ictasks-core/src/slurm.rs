//! What Slurm says, read: pure functions over its environment variables and the output of its commands.
//!
//! - [`node_list`]: `node[1-3,07-10]` and back;
//! - [`cpu_list`]: a figure for each node, `4(x3),2`;
//! - [`time`]: `1-02:03:04` and `2026-11-28T14:00:00`;
//! - [`allocation`]: what a job has, from the environment;
//! - [`squeue`]: when it ends, where the environment does not say so;
//! - [`sbatch`]: how a job is asked for.
//!
//! Only [`squeue::ask`] starts a program. The texts of the tests are Slurm 22.05's own, unless they say otherwise.

pub mod allocation;
pub mod cpu_list;
pub mod node_list;
pub mod sbatch;
pub mod squeue;
pub mod time;

pub use allocation::{AllocatedNode, Allocation, ArrayTask};
pub use sbatch::{SbatchOption, Shards};
pub use squeue::JobEnd;
