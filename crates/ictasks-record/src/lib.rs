//! The record of a run, from events to files and back.
//!
//! - [`RunLock`]: the right to write into a run directory.
//! - [`Existing`]: what an earlier run left there, and how to delete it.
//! - [`Recorder`]: takes events and samples, keeps the journal, and at the end makes the tables.
//! - [`RunFile`] is `run.json`.
//! - [`read_journal`]: the rows of a run that is alive or was killed.
//! - [`Table`]: the tables and their columns.
//!
//! The format is described in this crate's README. Nothing here prints.

mod error;
mod event_row;
mod existing;
mod files;
mod journal;
mod lock;
mod manifest;
mod recorder;
mod rows;
mod schema;
mod table_file;
mod tables;
mod time;

#[cfg(test)]
mod readme;
#[cfg(test)]
mod specimen;

pub use error::RecordError;
pub use existing::{Deleted, Existing};
pub use journal::{Damage, read_journal};
pub use lock::RunLock;
pub use manifest::{Host, OutcomeCounts, RunFile, RunState, Session, Totals};
pub use recorder::{Finished, Recorder, RecorderOptions, RunEnd};
pub use schema::Table;

/// Version of the record's format.
pub const FORMAT_VERSION: u32 = 1;
