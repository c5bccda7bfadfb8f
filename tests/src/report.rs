//! `ictasks report` as tests read it.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::programs;

/// The findings about a run directory, with these further arguments.
///
/// # Panics
/// If the program fails or prints anything but one JSON document.
pub fn report(run_dir: &Path, arguments: &[&str]) -> Value {
    let mut command = Command::new(programs::ictasks());
    command.arg("report").arg(run_dir).args(["--format", "json"]).args(arguments);
    let output = command.output().expect("start ictasks");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ictasks report: {}: {told}", output.status);
    serde_json::from_slice(&output.stdout).expect("the report is one JSON document")
}
