//! What the integration tests of `ictasks` are written with.
//!
//! A test builds a [`Farm`] (a fresh directory, tasks, arguments), runs the real program and gets
//! a [`Finished`] run, whose record it reads: `task.json`, `run.json` and the tables as rows of
//! JSON values. The programs are found by [`programs`]; waiting is always for a condition.
//!
//! ```text
//! farm().tasks(["exit 3"]).run().expect(FAILED).task("0")["exit_code"] == 3
//! ```

pub mod crash;
pub mod disasters;
mod farm;
pub mod generated;
pub mod lives;
mod processes;
pub mod programs;
mod record;
mod report;
mod running;
pub mod slurm;
pub mod table;
mod wait;

pub use farm::{Farm, farm, farm_in};
pub use processes::{children_named, process_exists, processes_with, send_signal, tree};
pub use record::{Record, Source};
pub use report::report;
pub use running::{Finished, Running};
pub use wait::wait_for;

/// Exit code of a run whose tasks all succeeded.
pub const SUCCEEDED: i32 = 0;
/// Exit code of a run with tasks that did not succeed.
pub const FAILED: i32 = 1;
/// Exit code for bad usage or input.
pub const BAD_INPUT: i32 = 2;
/// Exit code of a run whose record could not be kept.
pub const NO_RECORD: i32 = 3;
/// Exit code of a run that the user interrupted.
pub const INTERRUPTED: i32 = 130;
/// Exit code of a run that was asked to end by SIGTERM.
pub const TERMINATED: i32 = 143;
