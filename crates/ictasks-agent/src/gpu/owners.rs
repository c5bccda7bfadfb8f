//! Whose processes are on the devices.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use super::nvml::Look;
use crate::process_table::ProcessTable;

/// By device: what the processes below `slot_pid`, without `apart` (0 for none), use of it.
///
/// In a container the driver's process ids may be those of the host, and mean others here. A list
/// with ids that are not known here is not believed.
pub fn processes_below(
    slot_pid: i32,
    apart: i32,
    looks: &BTreeMap<i32, Look>,
    table: &ProcessTable,
) -> HashMap<i32, Vec<Option<i64>>> {
    let tree: HashSet<i32> = table.descendants(slot_pid, apart).iter().map(|process| process.pid).collect();
    let mut found: HashMap<i32, Vec<Option<i64>>> = HashMap::new();
    for (id, look) in looks {
        let Some(processes) = &look.processes else { continue };
        if processes.keys().all(|pid| Path::new(&format!("/proc/{pid}")).exists()) {
            let own = processes.iter().filter(|(pid, _)| tree.contains(pid)).map(|(_, memory)| *memory);
            let own: Vec<Option<i64>> = own.collect();
            if !own.is_empty() {
                found.insert(*id, own);
            }
        }
    }
    found
}
