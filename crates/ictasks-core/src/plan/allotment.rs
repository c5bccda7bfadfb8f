//! Which worker holds which CPUs and GPUs: disjoint, and neighbours in number on different cores.

use super::distribution::Shares;
use crate::machine::Machine;
use crate::protocol::Worker;

/// The workers of a node, with what they hold, and warnings where that is more than there is.
pub(super) fn workers(shares: &Shares, machine: &Machine, warnings: &mut Vec<String>) -> Vec<Worker> {
    let count = usize::try_from(shares.worker_count).unwrap_or(0);
    let size = usize::try_from(shares.distribution.cores_per_task).unwrap_or(1);
    let quota = machine.limiting_quota();
    let cpus = match quota {
        // Other containers of the host would be pinned to the same first CPUs.
        Some(_) => None,
        None => by_cores(shares, machine).or_else(|| one_after_the_other(count, size, machine)),
    };
    let (workers, cores) = (count, count_of(size, "core"));
    let logical = machine.logical_cpu_count();
    if cpus.is_none() && quota.is_none() {
        warnings.push(format!(
            "{workers} workers of {cores} are more than the {logical} CPUs of this machine: tasks \
             share CPUs and are not pinned"
        ));
    } else if let Some(quota) =
        quota.filter(|&quota| usize::try_from(quota).is_ok_and(|quota| count * size > quota))
    {
        warnings.push(format!(
            "{workers} workers of {cores} are more than the cgroup's quota of {quota} CPUs: tasks \
             will be slowed down"
        ));
    }
    let gpus_per_task = shares.distribution.gpus_per_task;
    if gpus_per_task > 0 && machine.gpu_count().unwrap_or(0) == 0 {
        warnings.push("`gpus_per_node` is taken as given, as no GPU was found".to_owned());
    }
    let mut cpus = cpus.map(Vec::into_iter);
    let ids = machine.gpus.clone().unwrap_or_default();
    // Without a driver to ask, devices are numbered from 0.
    let device = |position: i32| {
        usize::try_from(position).ok().and_then(|position| ids.get(position).copied()).unwrap_or(position)
    };
    (0..shares.worker_count)
        .map(|id| Worker {
            id,
            cores: cpus.as_mut().and_then(Iterator::next),
            gpus: (id * gpus_per_task..(id + 1) * gpus_per_task).map(device).collect(),
        })
        .collect()
}

fn count_of(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// The cores in groups of `cores_per_task`; workers that share a group get different hardware
/// threads. `None` where that does not give enough.
fn by_cores(shares: &Shares, machine: &Machine) -> Option<Vec<Vec<i32>>> {
    let count = usize::try_from(shares.worker_count).ok()?;
    let size = usize::try_from(shares.distribution.cores_per_task).ok()?;
    let cores_per_node = usize::try_from(shares.distribution.cores_per_node).ok()?;
    let groups = (cores_per_node.min(machine.cores.len()) / size).max(1);
    (0..count)
        .map(|worker| {
            let (group, thread) = (worker % groups, worker / groups);
            let cores = machine.cores.get(group * size..(group + 1) * size)?;
            let mut cpus =
                cores.iter().map(|core| core.get(thread).copied()).collect::<Option<Vec<i32>>>()?;
            cpus.sort_unstable();
            Some(cpus)
        })
        .collect()
}

/// All first threads of the cores, then all second ones, and so on, dealt out in order. `None`
/// where there are not enough.
fn one_after_the_other(count: usize, size: usize, machine: &Machine) -> Option<Vec<Vec<i32>>> {
    let widest = machine.cores.iter().map(Vec::len).max()?;
    let cpus: Vec<i32> = (0..widest)
        .flat_map(|thread| machine.cores.iter().filter_map(move |core| core.get(thread)))
        .copied()
        .collect();
    let needed = count.checked_mul(size).filter(|&needed| needed <= cpus.len())?;
    Some(
        cpus[..needed]
            .chunks(size)
            .map(|chunk| {
                let mut chunk = chunk.to_vec();
                chunk.sort_unstable();
                chunk
            })
            .collect(),
    )
}
