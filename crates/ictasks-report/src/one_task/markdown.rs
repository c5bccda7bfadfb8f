//! A task as Markdown.

use super::text::{cells, labels, title};
use super::{AttemptSamples, OutputEnd, TaskFindings};
use crate::harmless::{lines, one_line};
use crate::units;

/// Shows a task as GitHub's Markdown.
pub fn markdown(findings: &TaskFindings) -> String {
    let run = if findings.job_id.is_empty() { &findings.run_dir } else { &findings.job_id };
    let mut out = format!("# Task {} of run {}\n\n", inline(&findings.task_id), inline(run));
    out.push_str(&fenced(&one_line(&findings.command)));
    out.push_str(&format!("\n{}\n\n", inline(&findings.sentence)));
    let titles: Vec<String> = findings.attempts.iter().map(title).collect();
    out.push_str(&format!("| | {} |\n|---|{}\n", titles.join(" | "), "---|".repeat(titles.len())));
    for (column, label) in labels(&findings.attempts) {
        let cells: Vec<String> = cells(&findings.attempts, column).iter().map(|cell| inline(cell)).collect();
        out.push_str(&format!("| {} | {} |\n", inline(label), cells.join(" | ")));
    }
    if !findings.samples.is_empty() {
        out.push_str(
            "\n## Samples\n\n| attempt | samples | cores, at most | memory, at most |\n|---|---|---|---|\n",
        );
        findings.samples.iter().for_each(|samples| out.push_str(&peaks(samples)));
    }
    out.push_str(&output("Standard error", &findings.stderr));
    out.push_str(&output("Standard output", &findings.stdout));
    out.push_str("\n## To repeat it by hand\n\n");
    out.push_str(&fenced(&findings.repeat.line));
    out.push_str("\nNot in this line:\n\n");
    findings.repeat.lacks.iter().for_each(|lack| out.push_str(&format!("- {}\n", inline(lack))));
    out
}

fn peaks(samples: &AttemptSamples) -> String {
    let cores = samples.busy_cores.iter().flatten().copied().fold(0.0, f64::max);
    let bytes = samples.rss_bytes.iter().flatten().max().copied().unwrap_or(0);
    let count = samples.at_s.len();
    format!("| {} | {count} | {} | {} |\n", samples.attempt, units::significant(cores), units::bytes(bytes))
}

fn output(name: &str, end: &OutputEnd) -> String {
    let mut text = format!("\n## {name}\n\n{}\n", inline(&end.origin));
    if !end.text.is_empty() {
        text.push('\n');
        text.push_str(&fenced(&lines(&end.text)));
    }
    text
}

/// Text between running text: what means something to Markdown or HTML is escaped.
fn inline(text: &str) -> String {
    let mut safe = String::new();
    for character in one_line(text).chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            // GitHub makes links of addresses, and mentions of names behind `@`.
            ':' | '@' => safe.push_str(if character == ':' { "&#58;" } else { "&#64;" }),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '#' | '!' | '|' | '~' | '$' => {
                safe.extend(['\\', character]);
            }
            other => safe.push(other),
        }
    }
    safe
}

/// A block of code, with a fence that is longer than any in it.
fn fenced(text: &str) -> String {
    let mut longest = 2;
    let mut run = 0;
    for character in text.chars() {
        run = if character == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence = "`".repeat(longest + 1);
    format!("{fence}text\n{}\n{fence}\n", text.trim_end_matches('\n'))
}
