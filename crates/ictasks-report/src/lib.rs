//! A run directory to findings, and findings to text, Markdown, JSON and HTML.
//!
//! - [`Source`]: where the tables of a run lie.
//! - [`Findings`]: every number of a report, computed once.
//! - [`compare`]: two runs side by side.
//! - [`harmless`], [`units`]: text of tasks and figures, for people.
//!
//! Nothing here prints.

pub mod compare;
pub mod error;
pub mod findings;
pub mod harmless;
pub mod moment;
pub mod source;
pub mod units;

pub use error::ReportError;
pub use findings::Findings;
pub use moment::Moment;
pub use source::{Source, Table};
