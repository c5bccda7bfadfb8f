//! `ictasks schema`.

use ictasks_report::Findings;
use ictasks_report::compare::Comparison;
use ictasks_report::one_task::TaskFindings;

use crate::cli::SchemaOf;
use crate::console::Console;
use crate::exit::{ExitCode, Failure};

/// Prints the JSON schema of what was named.
///
/// # Errors
/// Standard output cannot be written.
pub fn run(of: SchemaOf, console: &mut Console) -> Result<ExitCode, Failure> {
    let schema = match of {
        SchemaOf::Config => ictasks_core::config::json_schema(),
        SchemaOf::Report => ictasks_report::json_schema::<Findings>(),
        SchemaOf::Compare => ictasks_report::json_schema::<Comparison>(),
        SchemaOf::Task => ictasks_report::json_schema::<TaskFindings>(),
    };
    console.print(&format!("{schema:#}\n"))?;
    Ok(ExitCode::Success)
}
