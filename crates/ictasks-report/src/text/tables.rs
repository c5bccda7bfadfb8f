//! Durations by group, the slowest tasks, hosts.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets::NOTHING};

use super::Page;
use crate::findings::{Distribution, Findings};
use crate::harmless::{cut_inside, one_line, shortened};
use crate::units::{bytes, core_time, count, duration, percent};

const LEFT: CellAlignment = CellAlignment::Left;
const RIGHT: CellAlignment = CellAlignment::Right;

/// A table without lines.
fn empty(header: &[&str], aligned: &[CellAlignment]) -> Table {
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(header.to_vec());
    for (column, alignment) in aligned.iter().enumerate() {
        if let Some(column_of_table) = table.column_mut(column) {
            column_of_table.set_padding((if column == 0 { 2 } else { 0 }, 2)).set_cell_alignment(*alignment);
        }
    }
    table
}

fn at(distribution: &Distribution, fraction: f64) -> Option<f64> {
    crate::definitions::distribution::at(distribution, fraction)
}

impl Page {
    /// Writes a table; the cells of one column are shortened as far as the width wants it.
    fn put(&mut self, header: &[&str], aligned: &[CellAlignment], rows: &[Vec<String>], elastic: usize) {
        let build = |limit: usize| {
            let mut table = empty(header, aligned);
            for row in rows {
                let cells = row.iter().enumerate().map(|(column, cell)| {
                    // Commands of one program differ at their end.
                    if column == elastic {
                        cut_inside(cell, limit / 3, limit).into_owned()
                    } else {
                        cell.clone()
                    }
                });
                table.add_row(cells.collect::<Vec<_>>());
            }
            table
        };
        let lines_of =
            |table: &Table| table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>();
        let longest = rows
            .iter()
            .filter_map(|row| row.get(elastic))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0);
        let wanted = lines_of(&build(longest));
        let width = wanted.iter().map(|line| line.chars().count()).max().unwrap_or(0);
        let excess = width.saturating_sub(self.options.width);
        let lines = if excess > 0 { lines_of(&build(longest.saturating_sub(excess).max(8))) } else { wanted };
        lines.iter().for_each(|line| self.line(line));
    }

    pub(super) fn groups(&mut self, findings: &Findings) {
        if findings.groups.is_empty() {
            return;
        }
        self.heading(&format!("Durations by {}", one_line(&findings.grouped_by)));
        let rows = findings.groups.iter().take(self.options.top).map(|group| {
            let time = |fraction| at(&group.wall_s, fraction).map_or_else(String::new, duration);
            #[allow(clippy::cast_possible_truncation)]
            let memory = at(&group.memory_bytes, 1.0).map_or_else(String::new, |peak| bytes(peak as i64));
            vec![
                one_line(&group.name).into_owned(),
                count(group.attempt_count),
                time(0.5),
                time(0.95),
                time(1.0),
                core_time(group.core_s).replace("core ", ""),
                percent(group.core_fraction),
                memory,
            ]
        });
        let header = ["", "runs", "median", "95 %", "longest", "core time", "share", "memory"];
        let aligned = [LEFT, RIGHT, RIGHT, RIGHT, RIGHT, RIGHT, RIGHT, RIGHT];
        self.put(&header, &aligned, &rows.collect::<Vec<_>>(), 0);
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
        let rows = findings.slowest.iter().take(self.options.top).map(|task| {
            vec![
                shortened(&one_line(&task.task_id), 12).into_owned(),
                task.wall_s.map_or_else(String::new, duration),
                task.cpu_efficiency_fraction.map_or_else(String::new, percent),
                task.memory_bytes.map_or_else(String::new, bytes),
                task.outcome.replace('_', " "),
                shortened(&one_line(task.host.as_deref().unwrap_or("")), 12).into_owned(),
                one_line(&task.command).into_owned(),
            ]
        });
        let header = ["task", "took", "CPU", "memory", "how", "host", "command"];
        let aligned = [LEFT, RIGHT, RIGHT, RIGHT, LEFT, LEFT, LEFT];
        self.put(&header, &aligned, &rows.collect::<Vec<_>>(), 6);
    }

    pub(super) fn hosts(&mut self, findings: &Findings) {
        if findings.host_count < 2 {
            return;
        }
        self.heading(&format!("Hosts ({} in all), the worst first", findings.host_count));
        let rows = findings.hosts.iter().take(self.options.top).map(|host| {
            vec![
                one_line(&host.host).into_owned(),
                count(host.core_count),
                count(host.attempt_count),
                count(host.failed_count),
                count(host.lost_count),
                host.occupancy_fraction.map_or_else(String::new, percent),
                host.slowness.map_or_else(String::new, |factor| format!("{factor:.2} x")),
                host.cpu_efficiency_fraction.map_or_else(String::new, percent),
            ]
        });
        let header = ["host", "cores", "runs", "failed", "lost", "occupied", "time against others", "CPU"];
        self.put(
            &header,
            &[LEFT, RIGHT, RIGHT, RIGHT, RIGHT, RIGHT, RIGHT, RIGHT],
            &rows.collect::<Vec<_>>(),
            0,
        );
    }
}
