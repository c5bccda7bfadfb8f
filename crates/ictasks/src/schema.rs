//! `ictasks schema`.

use crate::console::Console;
use crate::exit::{ExitCode, Failure};

/// Prints the JSON schema of the configuration file.
///
/// # Errors
/// Standard output cannot be written.
pub fn run(console: &mut Console) -> Result<ExitCode, Failure> {
    let schema = ictasks_core::config::json_schema();
    console.print(&format!("{schema:#}\n"))?;
    Ok(ExitCode::Success)
}
