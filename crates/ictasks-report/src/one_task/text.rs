//! A task on a terminal.

use comfy_table::{ContentArrangement, Table, presets};

use super::{AttemptFacts, AttemptSamples, OutputEnd, TaskFindings};
use crate::harmless::{lines, one_line};
use crate::units;

/// Attempts side by side.
const COLUMNS: usize = 3;
const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const ASCII_BLOCKS: [char; 8] = ['_', '.', '-', '~', '=', '+', '*', '#'];

/// Shows a task in lines of at most `width` characters, but for the line to copy. Without `unicode` its own
/// characters are ASCII.
pub fn text(findings: &TaskFindings, width: usize, unicode: bool) -> String {
    let mut out = heading(findings);
    for attempts in findings.attempts.chunks(COLUMNS) {
        out.push('\n');
        out.push_str(&table(attempts, width));
    }
    let curves: String = findings.samples.iter().map(|samples| curves(samples, width, unicode)).collect();
    if !curves.is_empty() {
        out.push_str("\nSamples\n");
        out.push_str(&curves);
    }
    out.push_str(&output("Standard error", &findings.stderr, unicode));
    out.push_str(&output("Standard output", &findings.stdout, unicode));
    out.push_str("\nTo repeat it by hand\n");
    out.push_str(&findings.repeat.line);
    out.push_str("\n\nNot in this line:\n");
    for lack in &findings.repeat.lacks {
        out.push_str(&format!("  - {lack}\n"));
    }
    out
}

fn heading(findings: &TaskFindings) -> String {
    let place =
        findings.task_index.map_or_else(String::new, |index| format!(", number {} of its list", index + 1));
    format!(
        "Task {} of run {}{place}\n  {}\n{}\n",
        one_line(&findings.task_id),
        one_line(if findings.job_id.is_empty() { &findings.run_dir } else { &findings.job_id }),
        one_line(&findings.command),
        one_line(&findings.sentence),
    )
}

/// Columns that some of these attempts hold, in the order of the one that holds most.
pub(super) fn labels(attempts: &[AttemptFacts]) -> Vec<(&str, &str)> {
    let mut labels: Vec<(&str, &str)> = Vec::new();
    for attempt in attempts {
        let mut place = 0;
        for fact in &attempt.facts {
            match labels.iter().position(|(column, _)| *column == fact.column) {
                Some(known) => place = known + 1,
                None => {
                    labels.insert(place, (&fact.column, &fact.label));
                    place += 1;
                }
            }
        }
    }
    labels
}

/// The cells of a column, an attempt each.
pub(super) fn cells(attempts: &[AttemptFacts], column: &str) -> Vec<String> {
    let of_attempt = |attempt: &AttemptFacts| {
        let fact = attempt.facts.iter().find(|fact| fact.column == column);
        fact.map_or_else(String::new, |fact| one_line(&fact.words).into_owned())
    };
    attempts.iter().map(of_attempt).collect()
}

/// What stands above an attempt.
pub(super) fn title(attempt: &AttemptFacts) -> String {
    if attempt.attempt == 0 { "no attempt".to_owned() } else { format!("attempt {}", attempt.attempt) }
}

fn table(attempts: &[AttemptFacts], width: usize) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(u16::try_from(width).unwrap_or(u16::MAX));
    table.set_header(std::iter::once(String::new()).chain(attempts.iter().map(title)));
    for (column, label) in labels(attempts) {
        table.add_row(std::iter::once(one_line(label).into_owned()).chain(cells(attempts, column)));
    }
    let drawn = table.to_string();
    drawn.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// Cores and memory over time, a line each.
#[allow(clippy::cast_precision_loss)]
fn curves(samples: &AttemptSamples, width: usize, unicode: bool) -> String {
    let cores: Vec<f64> = samples.busy_cores.iter().map(|cores| cores.unwrap_or(0.0)).collect();
    let memory: Vec<f64> = samples.rss_bytes.iter().map(|bytes| bytes.unwrap_or(0) as f64).collect();
    let most = |values: &[f64]| values.iter().copied().fold(0.0, f64::max);
    let last = samples.at_s.last().copied().unwrap_or(0.0);
    let room = width.saturating_sub(44).clamp(10, 60);
    let attempt = samples.attempt;
    let most_bytes = samples.rss_bytes.iter().flatten().max().copied().unwrap_or(0);
    let mut text = String::new();
    let figures = [
        ("cores ", cores.as_slice(), format!("at most {}", units::significant(most(&cores)))),
        ("memory", memory.as_slice(), format!("at most {}", units::bytes(most_bytes))),
    ];
    for (name, values, figure) in figures {
        if most(values) > 0.0 {
            let line = sparkline(&samples.at_s, values, room, unicode);
            text.push_str(&format!("  attempt {attempt}  {name}  {line}  {figure}\n"));
        }
    }
    if !text.is_empty() {
        let count = i64::try_from(samples.at_s.len()).unwrap_or(i64::MAX);
        text.push_str(&format!(
            "             {} in {}\n",
            units::counted(count, "sample"),
            units::duration(last)
        ));
    }
    text
}

/// The largest value of each step of time; steps without a sample keep what was before.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
fn sparkline(at_s: &[f64], values: &[f64], room: usize, unicode: bool) -> String {
    let blocks = if unicode { BLOCKS } else { ASCII_BLOCKS };
    let last = at_s.last().copied().unwrap_or(0.0).max(f64::MIN_POSITIVE);
    let room = room.min(values.len().max(1) * 4);
    let mut steps: Vec<Option<f64>> = vec![None; room];
    for (at, value) in at_s.iter().zip(values) {
        let place = ((at / last * room as f64).ceil().max(1.0) as usize).min(room) - 1;
        steps[place] = Some(steps[place].map_or(*value, |other| other.max(*value)));
    }
    let most = values.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    let mut height = 0;
    let mut line = String::new();
    // A sample says what was since the one before it.
    for place in 0..room {
        if let Some(value) = steps[place..].iter().flatten().next() {
            height = ((value / most * 8.0).ceil().max(1.0) as usize).min(8) - 1;
        }
        line.push(blocks[height]);
    }
    line
}

fn output(name: &str, end: &OutputEnd, unicode: bool) -> String {
    let mark = if unicode { '│' } else { '|' };
    let mut text = format!("\n{name}: {}\n", one_line(&end.origin));
    if !end.text.is_empty() {
        for line in lines(&end.text).lines() {
            text.push_str(&format!("  {mark} {line}\n"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sparkline_shows_the_largest_of_each_step() {
        assert_eq!(sparkline(&[1.0, 2.0, 3.0, 4.0], &[0.0, 4.0, 8.0, 4.0], 4, true), "▁▄█▄");
        assert_eq!(sparkline(&[1.0, 2.0, 3.0, 4.0], &[1.0, 8.0, 3.0, 1.0], 2, true), "█▃");
        assert_eq!(sparkline(&[1.0, 4.0], &[1.0, 2.0], 8, false), "~~######");
        assert_eq!(sparkline(&[], &[], 8, false), "____");
    }
}
