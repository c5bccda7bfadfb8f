//! Which logical CPUs make up a core, from `/sys/devices/system/cpu/cpu*/topology`.

use std::collections::BTreeSet;

/// Reads the kernel's lists of CPUs, for instance `0-3,8`; what cannot be read is left out.
pub(super) fn parse_cpu_list(text: &str) -> Vec<i32> {
    let ranges = text.trim().split(',').filter_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(first.trim().parse::<i32>().ok()?..=last.trim().parse::<i32>().ok()?)
    });
    ranges.flatten().collect()
}

/// The cores of the CPUs in `mask`, in the order of their first CPUs, each with those of its CPUs
/// that are in the mask. A CPU of which nothing is known is a core of its own.
pub(super) fn cores_within(mask: &[i32], siblings: impl Fn(i32) -> Option<Vec<i32>>) -> Vec<Vec<i32>> {
    let mut unassigned: BTreeSet<i32> = mask.iter().copied().collect();
    let mut cores = Vec::new();
    while let Some(first) = unassigned.pop_first() {
        let mut core = vec![first];
        let others = siblings(first).unwrap_or_default();
        core.extend(others.into_iter().filter(|cpu| unassigned.remove(cpu)));
        core.sort_unstable();
        cores.push(core);
    }
    cores
}

/// The mask of /proc/self/status, which may name CPUs that are not there, less those not online.
pub(super) fn online_mask(status: &str, online: &str) -> Vec<i32> {
    let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let online = parse_cpu_list(online);
    let allowed = parse_cpu_list(allowed.unwrap_or_default());
    allowed.into_iter().filter(|cpu| online.contains(cpu)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_as_the_kernel_writes_them() {
        assert_eq!(parse_cpu_list("0-3,8\n"), [0, 1, 2, 3, 8]);
        assert_eq!(parse_cpu_list("5\n"), [5]);
        assert_eq!(parse_cpu_list("\n"), [0; 0]);
        assert_eq!(parse_cpu_list("x,1-y,2"), [2]);
    }

    #[test]
    fn threads_of_a_core_may_be_far_apart() {
        let siblings = |cpu: i32| Some(parse_cpu_list(&format!("{},{}", cpu % 4, cpu % 4 + 4)));
        let all: Vec<i32> = (0..8).collect();
        assert_eq!(cores_within(&all, siblings), [[0, 4], [1, 5], [2, 6], [3, 7]]);
        assert_eq!(cores_within(&[1, 5, 6], siblings), [vec![1, 5], vec![6]]);
    }

    #[test]
    fn without_topology_every_cpu_is_a_core() {
        assert_eq!(cores_within(&[3, 1], |_| None), [[1], [3]]);
    }

    #[test]
    fn the_mask_of_a_large_machine() {
        let status = "Name:\tx\nCpus_allowed:\tff\nCpus_allowed_list:\t0-7\n";
        assert_eq!(online_mask(status, "0-1,4-5\n"), [0, 1, 4, 5]);
    }
}
