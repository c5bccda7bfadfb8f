//! The report in Markdown: for issues, wikis and notebooks. Tables, no HTML; text of tasks is escaped.

use std::fmt::Write as _;

use crate::definitions::distribution::at;
use crate::findings::{Distribution, FailureGroup, Findings, TaskLine};
use crate::harmless::{lines, one_line, shortened};
use crate::units::{bytes, core_time, count, counted, duration, percent};

/// Lines of each list.
const LINES: usize = 20;
/// Longest text in a cell, characters.
const CELL: usize = 120;

/// The report as Markdown.
pub fn markdown(findings: &Findings) -> String {
    let mut page = Page { text: String::new() };
    page.paragraph(&format!("# {}", escaped(&findings.verdict.sentence)));
    page.runs(findings);
    page.overview(findings);
    page.advice(findings);
    page.failures(findings);
    page.groups(findings);
    page.tasks("Slowest", &findings.slowest);
    page.tasks("Stragglers: at least three times the median of their group", &findings.stragglers);
    page.tasks("Run more than once", &findings.retried);
    page.hosts(findings);
    page.more_cores(findings);
    if !findings.lacks.is_empty() {
        page.paragraph("## What the data lacks");
        findings.lacks.iter().for_each(|lack| page.line(&format!("- {}", escaped(lack))));
    }
    page.text
}

/// What is written.
struct Page {
    text: String,
}

/// Text of a task as Markdown shows it as it is: characters that mean something there are escaped.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for character in one_line(text).chars() {
        match character {
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '#' | '!' | '|' | '~' | '$' => {
                escaped.push('\\');
                escaped.push(character);
            }
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '@' => escaped.push_str("&#64;"),
            character => escaped.push(character),
        }
    }
    // What looks like an address would become a link.
    escaped.replace("://", "&#58;//").replace("www.", "www&#46;")
}

/// The same for a cell of a table.
fn cell(text: &str) -> String {
    escaped(&shortened(text, CELL))
}

fn time(distribution: &Distribution, fraction: f64) -> String {
    at(distribution, fraction).map_or_else(String::new, duration)
}

#[allow(clippy::cast_possible_truncation)]
fn memory(distribution: &Distribution, fraction: f64) -> String {
    at(distribution, fraction).map_or_else(String::new, |value| bytes(value as i64))
}

fn share(fraction: Option<f64>) -> String {
    fraction.map_or_else(String::new, percent)
}

impl Page {
    fn line(&mut self, line: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "{line}");
    }

    fn paragraph(&mut self, text: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.line(text);
        self.text.push('\n');
    }

    /// A table; cells are Markdown already. Columns from `left` on are aligned to the right.
    fn table(&mut self, header: &[&str], left: usize, rows: &[Vec<String>]) {
        self.line(&format!("| {} |", header.join(" | ")));
        let rule = (0..header.len()).map(|column| if column < left { "---" } else { "---:" });
        self.line(&format!("| {} |", rule.collect::<Vec<_>>().join(" | ")));
        rows.iter().for_each(|row| self.line(&format!("| {} |", row.join(" | "))));
    }

    /// A block of code; the fence is longer than any in the text.
    fn code(&mut self, text: &str) {
        let text = lines(text);
        let longest = text.split(|character| character != '`').map(str::len).max().unwrap_or(0);
        let fence = "`".repeat(longest.max(2) + 1);
        self.line(&format!("{fence}text\n{text}\n{fence}"));
    }

    fn runs(&mut self, findings: &Findings) {
        let rows: Vec<Vec<String>> = findings
            .runs
            .iter()
            .map(|run| {
                let began =
                    run.sessions.first().map(|session| session.began_at.for_people()).unwrap_or_default();
                vec![
                    cell(&run.job_id),
                    cell(&run.absolute_run_dir),
                    cell(&began),
                    run.sessions.len().to_string(),
                    cell(&run.version),
                    cell(&run.run_id),
                ]
            })
            .collect();
        self.table(&["job", "directory", "began", "starts", "ictasks", "run"], 6, &rows);
        if let Some(filter) = &findings.filter {
            self.paragraph(&format!(
                "Filter: {} ({} of {})",
                escaped(&filter.expression),
                count(filter.task_count),
                counted(filter.of_task_count, "task")
            ));
        }
    }

    fn overview(&mut self, findings: &Findings) {
        let (time, cores, found) = (&findings.time, &findings.cores, &findings.memory);
        self.paragraph("## Overview");
        let rows: Vec<Vec<String>> = findings
            .outcomes
            .iter()
            .map(|of| {
                let outcome = of.outcome.replace('_', " ");
                vec![outcome, count(of.task_count), count(of.attempt_count), core_time(of.core_s)]
            })
            .collect();
        self.table(&["outcome", "tasks", "attempts", "core time"], 1, &rows);
        self.text.push('\n');
        let figures = [
            ("time (makespan)", Some(duration(time.makespan_s))),
            ("best possible end (lower bound)", time.lower_bound_s.map(duration)),
            ("tail after the last start", time.tail_s.map(duration)),
            ("idle in the tail", time.tail_idle_core_s.map(core_time)),
            ("idle, since no task was ready", Some(time.starved_core_s).filter(|s| *s > 0.0).map(core_time)),
            ("gap between two tasks (median)", time.dispatch_gap_median_s.map(duration)),
            ("core time that there was", Some(core_time(cores.available_core_s))),
            ("held by tasks (occupancy)", cores.occupancy_fraction.map(percent)),
            ("of that computing (CPU efficiency)", cores.cpu_efficiency_fraction.map(percent)),
            ("of that in tasks that succeeded (goodput)", cores.goodput_fraction.map(percent)),
            ("load balance of workers (mean / max)", cores.load_balance_fraction.map(percent)),
            ("largest task in memory", Some(memory(&found.peaks, 1.0)).filter(|text| !text.is_empty())),
            ("memory asked for, a task", found.requested_bytes.map(bytes)),
            ("GPUs busy", findings.gpu.as_ref().and_then(|gpu| gpu.busy_fraction).map(percent)),
        ];
        let known = figures.into_iter().filter_map(|(name, value)| Some(vec![name.to_owned(), value?]));
        self.table(&["figure", "value"], 1, &known.collect::<Vec<_>>());
    }

    fn advice(&mut self, findings: &Findings) {
        if findings.advice.is_empty() {
            return;
        }
        self.paragraph("## What to change");
        for (number, note) in findings.advice.iter().enumerate() {
            let saves = match note.saves_core_s {
                saved if saved > 0.0 => format!(" (up to {})", core_time(saved)),
                _ => String::new(),
            };
            self.line(&format!(
                "{}. **{}**{saves}: {}",
                number + 1,
                escaped(&note.title),
                escaped(&note.evidence)
            ));
            if let Some(setting) = &note.setting {
                self.line(&format!("   - {}", escaped(setting)));
            }
        }
    }

    fn failures(&mut self, findings: &Findings) {
        let failures = &findings.failures;
        if failures.attempt_count == 0 {
            return;
        }
        self.paragraph(&format!(
            "## Failures: {} in {}, {} lost",
            counted(failures.attempt_count, "attempt"),
            counted(i64::try_from(failures.group_count).unwrap_or(i64::MAX), "group"),
            core_time(failures.core_s)
        ));
        let rows: Vec<Vec<String>> = failures
            .groups
            .iter()
            .take(LINES)
            .map(|group| {
                vec![
                    count(group.attempt_count),
                    cell(&group.meaning),
                    cell(&group.template),
                    cell(&stands_out(group)),
                    core_time(group.core_s),
                ]
            })
            .collect();
        self.table(&["attempts", "ended", "said", "mostly", "lost"], 5, &rows);
        for (number, group) in failures.groups.iter().take(5).enumerate() {
            self.paragraph(&format!("### {}. {}", number + 1, escaped(&group.meaning)));
            self.line(&format!(
                "Example: task {}: {}",
                cell(&group.example.task_id),
                cell(&group.example.command)
            ));
            self.text.push('\n');
            if !group.example_output.is_empty() {
                self.code(&group.example_output);
                self.text.push('\n');
            }
            if let Some(remedy) = &group.remedy {
                self.line(&escaped(remedy));
                self.text.push('\n');
            }
            if group.task_count > 0 {
                self.line("Run them again:\n");
                self.code(&group.rerun);
            }
        }
    }

    fn groups(&mut self, findings: &Findings) {
        if findings.groups.is_empty() {
            return;
        }
        self.paragraph(&format!("## Durations by {}", escaped(&findings.grouped_by)));
        let rows: Vec<Vec<String>> = findings
            .groups
            .iter()
            .take(LINES)
            .map(|group| {
                vec![
                    cell(&group.name),
                    count(group.attempt_count),
                    count(group.failed_count),
                    time(&group.wall_s, 0.5),
                    time(&group.wall_s, 0.95),
                    time(&group.wall_s, 1.0),
                    core_time(group.core_s),
                    percent(group.core_fraction),
                    share(group.cpu_efficiency_fraction),
                    memory(&group.memory_bytes, 1.0),
                ]
            })
            .collect();
        let header =
            ["group", "runs", "failed", "median", "95 %", "longest", "core time", "share", "CPU", "memory"];
        self.table(&header, 1, &rows);
    }

    fn tasks(&mut self, heading: &str, tasks: &[TaskLine]) {
        if tasks.is_empty() {
            return;
        }
        self.paragraph(&format!("## {heading}"));
        let rows: Vec<Vec<String>> = tasks
            .iter()
            .take(LINES)
            .map(|task| {
                vec![
                    cell(&task.task_id),
                    cell(&task.command),
                    cell(&task.outcome.replace('_', " ")),
                    cell(task.host.as_deref().unwrap_or("")),
                    task.attempt.to_string(),
                    task.wall_s.map_or_else(String::new, duration),
                    share(task.cpu_efficiency_fraction),
                    task.memory_bytes.map_or_else(String::new, bytes),
                ]
            })
            .collect();
        self.table(&["task", "command", "ended", "host", "attempt", "took", "CPU", "memory"], 4, &rows);
    }

    fn hosts(&mut self, findings: &Findings) {
        if findings.host_count < 2 {
            return;
        }
        self.paragraph("## Hosts, the worst first");
        let rows: Vec<Vec<String>> = findings
            .hosts
            .iter()
            .take(LINES)
            .map(|host| {
                vec![
                    cell(&host.host),
                    count(host.core_count),
                    count(host.attempt_count),
                    count(host.failed_count),
                    count(host.lost_count),
                    share(host.occupancy_fraction),
                    host.slowness.map_or_else(String::new, |factor| format!("{factor:.2}")),
                    share(host.cpu_efficiency_fraction),
                    share(host.memory_peak_fraction),
                ]
            })
            .collect();
        let header =
            ["host", "cores", "runs", "failed", "lost", "occupied", "time against others", "CPU", "memory"];
        self.table(&header, 1, &rows);
    }

    fn more_cores(&mut self, findings: &Findings) {
        let Some(more) = &findings.more_cores else { return };
        self.paragraph("## With other numbers of cores");
        let rows: Vec<Vec<String>> = more
            .points
            .iter()
            .map(|point| {
                vec![
                    format!("{:.0}", point.core_count),
                    duration(point.makespan_s),
                    percent(point.occupancy_fraction),
                ]
            })
            .collect();
        self.table(&["cores", "would take", "occupied"], 0, &rows);
        self.text.push('\n');
        self.line(&format!(
            "Above {} cores the longest task alone decides how long it takes.",
            crate::units::significant(more.saturation_core_count)
        ));
    }
}

fn stands_out(group: &FailureGroup) -> String {
    let named = group
        .over_represented
        .iter()
        .take(2)
        .map(|over| format!("{} {} = {}", percent(over.fraction_of_group), over.column, over.value));
    named.collect::<Vec<_>>().join("; ")
}
