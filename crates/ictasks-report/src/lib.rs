//! A run directory to findings, and findings to text, Markdown, JSON and HTML.
//!
//! - [`Source`]: where the tables of a run lie.
//! - [`analyse`]: from the tables to [`Findings`], every number of a report, computed once. It loads columns
//!   (`load`), applies the `definitions`, groups `failures`, and finds out what to change (`advice`).
//! - [`export`]: a run in the formats of other programs.
//! - [`one_task`]: everything about one task; [`task_output`]: what it printed.
//! - [`text`], [`markdown`], [`html`]: findings for people.
//! - [`compare`]: two runs side by side.
//! - [`harmless`], [`units`]: text of tasks and figures, for people.
//!
//! Nothing here prints.

mod advice;
mod analysis;
mod codes;
pub mod compare;
mod definitions;
mod ending;
pub mod error;
pub mod export;
mod failures;
pub mod findings;
pub mod harmless;
pub mod html;
mod ids;
mod lines;
mod load;
pub mod markdown;
pub mod moment;
pub mod one_task;
mod rows;
mod run_document;
mod run_file;
pub mod source;
#[cfg(test)]
mod specimen;
pub mod task_output;
#[cfg(test)]
mod ten_tasks;
pub mod text;
pub mod units;

pub use analysis::{AnalysisOptions, analyse};
pub use error::ReportError;
pub use findings::Findings;
pub use ids::selected_ids;
pub use load::GroupBy;
pub use moment::Moment;
pub use source::{Source, Table};

/// The JSON schema of [`Findings`], or of another kind of them.
pub fn json_schema<T: schemars::JsonSchema>() -> serde_json::Value {
    schemars::schema_for!(T).to_value()
}
