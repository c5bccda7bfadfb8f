//! The report in Markdown.

use crate::findings::Findings;

/// The report as Markdown.
pub fn markdown(findings: &Findings) -> String {
    format!("# {}\n", findings.verdict.sentence)
}
