//! What the end of a run shows of its findings: at most seven lines.

use crate::findings::{FailureGroup, Findings};
use crate::harmless::{one_line, shortened};
use crate::units::{count, counted};

/// Groups of failures that are shown.
pub const SUMMARY_GROUPS: usize = 3;
/// Longest message that is shown, characters.
const MESSAGE: usize = 120;

/// Why tasks failed, a line a group, and what to change first.
pub fn summary(findings: &Findings) -> Vec<String> {
    // Of a group of which every task was tried again and then succeeded there is nothing to say.
    let left: Vec<&FailureGroup> =
        findings.failures.groups.iter().filter(|group| group.task_count > 0).collect();
    let mut lines: Vec<String> = left.iter().take(SUMMARY_GROUPS).map(|group| of_group(group)).collect();
    let shown: i64 = left.iter().take(SUMMARY_GROUPS).map(|group| group.task_count).sum();
    let rest = findings.failures.task_count - shown;
    if rest > 0 {
        lines.push(format!("  and {} more in other ways", count(rest)));
    }
    if let Some(note) = findings.advice.first() {
        lines.push(format!("advice: {}", one_line(&note.title)));
    }
    lines
}

fn of_group(group: &FailureGroup) -> String {
    let id = one_line(&group.example.task_id);
    let said = match &group.example.message {
        Some(message) => format!(": {}", shortened(&one_line(message), MESSAGE)),
        None => ", without output".to_owned(),
    };
    match group.task_count {
        1 => format!("  task {id}: {}{said}", group.meaning),
        tasks => format!("  {}: {}{said} (task {id})", counted(tasks, "task"), group.meaning),
    }
}
