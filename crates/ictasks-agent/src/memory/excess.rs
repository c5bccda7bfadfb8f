//! A memory limit that the agent keeps by looking at the trees, where no cgroup can be made.
//!
//! The sum of resident memory counts what processes share once for each of them. So where it is
//! above the limit, the proportional sizes decide (proc(5), `smaps_rollup`): a pool of workers that
//! share their data is not ended for it.

use crate::process_table::{Process, ProcessTable};
use crate::requests::ring;
use crate::shared::SlotCell;

/// Ends every task whose tree holds more than `limit_bytes`.
pub fn end_too_large(
    limit_bytes: i64,
    slots: &[(i32, &'static SlotCell)],
    table: &ProcessTable,
    page_bytes: i64,
) {
    for (slot_pid, cell) in slots {
        let Some(running) = cell.running() else { continue };
        let tree = table.descendants(*slot_pid, cell.apart());
        if resident_bytes(&tree, page_bytes) <= limit_bytes {
            continue;
        }
        let bytes: i64 = tree.iter().map(|process| own_bytes(process, page_bytes)).sum();
        // What the server gave to a call is not the call's; its share of that may be all of it.
        let bytes = bytes - cell.inherited_bytes();
        if bytes > limit_bytes {
            cell.note_memory(running.sequence, bytes);
            cell.report_excess(running.sequence, bytes);
            ring(*slot_pid);
        }
    }
}

/// Resident memory of a tree, what is shared counted for each.
pub fn resident_bytes(tree: &[&Process], page_bytes: i64) -> i64 {
    tree.iter().map(|process| process.rss_pages).sum::<i64>().saturating_mul(page_bytes)
}

/// A process's share of memory; what is resident where the share cannot be read.
fn own_bytes(process: &Process, page_bytes: i64) -> i64 {
    let rollup = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", process.pid));
    let share = rollup.ok().and_then(|text| parse_share(&text));
    share.unwrap_or_else(|| process.rss_pages.saturating_mul(page_bytes))
}

/// `Pss` of `/proc/PID/smaps_rollup`, bytes.
fn parse_share(text: &str) -> Option<i64> {
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<i64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_of_a_process() {
        let text = "Rss:        5000 kB\nPss:        1200 kB\nPss_Dirty:   900 kB\n";
        assert_eq!(parse_share(text), Some(1200 * 1024));
        assert_eq!(parse_share("Rss: 5 kB\n"), None);
    }
}
