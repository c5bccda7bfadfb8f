//! The coordinator of a run: takes tasks from a source, hands them to an agent, and tells every
//! [`EventSink`](ictasks_core::event::EventSink) what happened.
//!
//! - [`dispatcher`]: owns the state of the run; pure, so it is tested without any process
//! - [`farm`]: the loop that connects the dispatcher with source, agent, sinks and signals
//! - [`node`]: how an agent is started on this machine
//! - `source`: reads tasks ahead in a thread of its own
//! - `window`: how many tasks an agent holds beyond those that run
//! - [`signals`]: what the user or the system asks by a signal

pub mod dispatcher;
mod error;
pub mod farm;
pub mod node;
pub mod signals;
mod source;
mod window;

pub use dispatcher::{Counts, StopReason};
pub use error::FarmError;
pub use farm::{Farm, RunEnd};
