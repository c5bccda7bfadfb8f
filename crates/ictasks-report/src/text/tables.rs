//! Durations by group, the slowest tasks, hosts.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets::NOTHING};

use super::Page;
use crate::findings::{Distribution, Findings, TaskLine};
use crate::harmless::{one_line, shortened};
use crate::units::{bytes, core_time, count, duration, percent};

/// A table without lines; all columns but the first `left` are aligned to the right.
fn table(header: &[&str], left: usize) -> Table {
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(header.to_vec());
    for column in 0..header.len() {
        if let Some(column_of_table) = table.column_mut(column) {
            column_of_table.set_padding((if column == 0 { 2 } else { 0 }, 2));
            if column >= left {
                column_of_table.set_cell_alignment(CellAlignment::Right);
            }
        }
    }
    table
}

fn at(distribution: &Distribution, fraction: f64) -> Option<f64> {
    crate::definitions::distribution::at(distribution, fraction)
}

impl Page {
    fn put(&mut self, table: &Table) {
        for line in table.lines() {
            self.line(&line);
        }
    }

    pub(super) fn groups(&mut self, findings: &Findings) {
        if findings.groups.is_empty() {
            return;
        }
        self.heading(&format!("Durations by {}", one_line(&findings.grouped_by)));
        let mut rows = table(&["", "runs", "median", "95 %", "longest", "core time", "share", "memory"], 1);
        for group in findings.groups.iter().take(self.options.top) {
            let time = |fraction| at(&group.wall_s, fraction).map_or_else(String::new, duration);
            #[allow(clippy::cast_possible_truncation)]
            let memory = at(&group.memory_bytes, 1.0).map_or_else(String::new, |peak| bytes(peak as i64));
            let width = self.options.width.saturating_sub(61).max(12);
            rows.add_row(vec![
                shortened(&one_line(&group.name), width).into_owned(),
                count(group.attempt_count),
                time(0.5),
                time(0.95),
                time(1.0),
                core_time(group.core_s).replace("core ", ""),
                percent(group.core_fraction),
                memory,
            ]);
        }
        self.put(&rows);
        self.more(findings.group_count, "group");
    }

    fn more(&mut self, all: usize, noun: &str) {
        if all > self.options.top {
            let rest = i64::try_from(all - self.options.top).unwrap_or(i64::MAX);
            self.line(&format!("  and {} more", crate::units::counted(rest, noun)));
        }
    }

    pub(super) fn slowest(&mut self, findings: &Findings) {
        if findings.slowest.len() < 2 {
            return;
        }
        self.heading("Slowest");
        let mut rows = table(&["task", "took", "CPU", "memory", "how", "host", "command"], 1);
        for task in findings.slowest.iter().take(self.options.top) {
            rows.add_row(vec![
                shortened(&one_line(&task.task_id), 12).into_owned(),
                task.wall_s.map_or_else(String::new, duration),
                task.cpu_efficiency_fraction.map_or_else(String::new, percent),
                task.memory_bytes.map_or_else(String::new, bytes),
                task.outcome.replace('_', " "),
                shortened(&one_line(task.host.as_deref().unwrap_or("")), 12).into_owned(),
                command(task, self.options.width),
            ]);
        }
        for column in 4..7 {
            if let Some(column) = rows.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Left);
            }
        }
        self.put(&rows);
    }

    pub(super) fn hosts(&mut self, findings: &Findings) {
        if findings.host_count < 2 {
            return;
        }
        self.heading(&format!("Hosts ({} in all), the worst first", findings.host_count));
        let mut rows = table(&["host", "cores", "runs", "failed", "lost", "time against others", "CPU"], 1);
        for host in findings.hosts.iter().take(self.options.top) {
            rows.add_row(vec![
                shortened(&one_line(&host.host), 24).into_owned(),
                count(host.core_count),
                count(host.attempt_count),
                count(host.failed_count),
                count(host.lost_count),
                host.slowness.map_or_else(String::new, |factor| format!("{factor:.2} x")),
                host.cpu_efficiency_fraction.map_or_else(String::new, percent),
            ]);
        }
        self.put(&rows);
    }
}

fn command(task: &TaskLine, width: usize) -> String {
    shortened(&one_line(&task.command), width.saturating_sub(46).max(16)).into_owned()
}
