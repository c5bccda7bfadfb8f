//! One node of a run: a small process, the agent, that forks a slot for each worker.
//!
//! A slot starts, measures and ends one task at a time; the agent passes orders and replies between
//! the coordinator and its slots, and samples resource use. Why a process of its own, also on a
//! laptop, and a process a slot: a child's peak memory starts at that of its parent, and only a
//! subreaper of one task can tell whose a stray descendant is.
//!
//! - [`agent`]: the main loop
//! - `join`: how it comes to a coordinator of another node; `link`: the connection to it
//! - `slot`: what a slot does; `slots`: all of them, as the agent sees them
//! - `queue`, `requests`, `shared`, `slot_log`: what agent and slots share
//! - `memory`: limits, and what the kernel says when it runs out
//! - `sampler`, `process_table`, [`gpu`]: what is looked at from outside
//! - `sys`: the system calls without a safe wrapper; `clock`: nanoseconds and seconds

mod affinity;
pub mod agent;
mod clock;
mod error;
pub mod gpu;
mod join;
mod lines;
mod link;
mod memory;
mod node_info;
mod output;
mod process_table;
mod queue;
mod requests;
mod sampler;
mod shared;
mod slot;
mod slot_log;
mod slots;
#[cfg(test)]
mod specimen;
mod sys;
mod trouble;

pub use error::AgentError;
pub use sys::take_descriptor;
