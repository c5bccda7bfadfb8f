//! The record of a run, from events to files and back.
//!
//! - [`RunLock`]: the right to write into a run directory.
//! - [`Existing`]: what an earlier run left there, and how to delete it.
//! - [`Recorder`]: takes events and samples, keeps the journal, and at the end makes the tables.
//! - [`Recovered`]: what an earlier run left, for a run that goes on.
//! - [`RunFile`] is `run.json`.
//! - [`read_journal`]: the rows of a run that is alive or was killed.
//! - [`Watch`]: the state of a run, for those who look on.
//! - [`write_snapshot`]: the tables of a run that is alive or was killed.
//! - [`Life`]: whether anybody is at work.
//! - [`Table`]: the tables and their columns.
//!
//! The format is described in this crate's README. Nothing here prints.

mod error;
mod event_row;
mod existing;
mod files;
mod journal;
mod lease;
mod life;
mod lock;
mod manifest;
mod parquet_file;
mod recorded;
mod recorder;
mod recovery;
mod rows;
mod schema;
mod snapshot;
mod table_file;
mod tables;
mod time;
mod two_threads;
mod watch;

#[cfg(test)]
mod readme;
#[cfg(test)]
mod specimen;

pub use error::RecordError;
pub use existing::{Deleted, Existing};
pub use ictasks_core::layout::FORMAT_VERSION;
#[doc(hidden)]
pub use journal::read_live_part;
pub use journal::{Damage, read_journal};
pub use lease::wait_for_agents;
pub use life::Life;
pub use lock::RunLock;
pub use manifest::{Host, NOT_RECORDED, OutcomeCounts, RunFile, RunState, Session, Totals};
pub use recorder::{Finished, Recorder, RecorderOptions, RunEnd};
pub use recovery::{Recovered, Repair};
pub use schema::Table;
pub use snapshot::{Snapshot, needs_snapshot, write_snapshot};
pub use watch::{Failure, RunningTask, Watch};
