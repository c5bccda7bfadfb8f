//! A run in the formats of other programs, one file a format. Each streams the tables: what it holds
//! in memory does not grow with the text of tasks.
//!
//! - [`csv()`]: the tasks with all columns, for spreadsheets;
//! - [`joblog()`]: the log of GNU parallel;
//! - [`junit()`]: JUnit XML, for continuous integration;
//! - [`perfetto()`]: a timeline for <https://ui.perfetto.dev>.

use std::io::{self, Write};

use crate::error::ReportError;
use crate::source::Source;

mod csv;
mod joblog;
mod junit;
mod perfetto;

pub use csv::csv;
pub use joblog::joblog;
pub use junit::junit;
pub use perfetto::perfetto;

/// A format of another program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// [`perfetto()`].
    Perfetto,
    /// [`junit()`].
    Junit,
    /// [`joblog()`].
    Joblog,
    /// [`csv()`].
    Csv,
}

/// Writes a run in a format.
///
/// # Errors
/// A table cannot be read, or `out` cannot be written ([`ReportError::Output`]).
pub fn export(format: Format, source: &Source, out: &mut dyn Write) -> Result<(), ReportError> {
    match format {
        Format::Perfetto => perfetto(source, out),
        Format::Junit => junit(source, out),
        Format::Joblog => joblog(source, out),
        Format::Csv => csv(source, out),
    }
}

/// Turns what `out` says into an error of a report.
fn written(result: io::Result<()>) -> Result<(), ReportError> {
    result.map_err(ReportError::Output)
}
