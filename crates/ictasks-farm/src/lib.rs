//! The coordinator of a run: takes tasks from a source, hands them to an agent, and tells every
//! [`EventSink`](ictasks_core::event::EventSink) what happened.
//!
//! - [`dispatcher`]: owns the state of the run; pure, so it is tested without any process
//! - [`farm`]: the loop that connects the dispatcher with source, agent, sinks and signals
//! - [`node`]: how an agent is started on this machine; `setup`: what it is told
//! - `agent_link` and `connection`: the hold on it; `family`: the processes that a dead one leaves
//! - [`backend`]: how agents are started on other nodes; `nodes`: the hold on those
//! - `agents`: either of them; `burial`: what came of the tasks of one that has ended
//! - `source`: reads tasks ahead in a thread of its own; `seen_ids`: whether an id comes twice
//! - `window`: how many tasks an agent holds beyond those that run
//! - [`signals`], `suspension`, `stop_file`, `allocation`, `attendant`: what the user or the system asks
//! - `threads`: starting threads, which may be refused

mod agent_link;
mod agents;
mod allocation;
mod attendant;
pub mod backend;
mod burial;
mod connection;
pub mod dispatcher;
mod error;
mod family;
pub mod farm;
pub mod node;
mod nodes;
mod seen_ids;
mod setup;
pub mod signals;
pub mod source;
mod stop_file;
mod suspension;
mod threads;
mod window;

pub use dispatcher::{Counts, RunEnd, Session, StopReason};
pub use error::FarmError;
pub use farm::Farm;
