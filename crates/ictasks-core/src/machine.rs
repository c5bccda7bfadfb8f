//! What this machine has: cores, their threads, a CPU quota, GPUs, memory.
//!
//! - [`cgroup`]: where the cgroups of this process lie;
//! - `topology`: which logical CPUs make up a core;
//! - `quota`: how many CPUs and how much memory the cgroups allow.
//!
//! All are pure functions over what the kernel shows; only [`Machine::detect`] looks.

pub mod cgroup;
mod quota;
mod topology;

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use topology::{cores_within, parse_cpu_list};

/// The machine, as far as a plan needs to know it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// Its name.
    pub host: String,
    /// The physical cores within the affinity mask, each with its logical CPUs within the mask.
    pub cores: Vec<Vec<i32>>,
    /// CPUs that the cgroups allow, if they limit them.
    pub cpu_quota: Option<f64>,
    /// Device ids of the GPUs that may be used; `None` where nobody looked. See [`Machine::with_gpus`].
    pub gpus: Option<Vec<i32>>,
    /// Memory, bytes.
    pub memory_total_bytes: Option<i64>,
    /// Memory that tasks may use together: of the machine, of the cgroups, of Slurm's allocation.
    pub memory_limit_bytes: Option<i64>,
    /// Whether this is inside a Slurm allocation.
    pub is_in_slurm: bool,
}

impl Machine {
    /// Looks at the machine that this program runs on.
    pub fn detect() -> Self {
        let read = |path: &Path| fs::read_to_string(path).ok();
        let proc = |name: &str| read(&Path::new("/proc").join(name)).unwrap_or_default();
        let siblings = |cpu: i32| {
            let directory = format!("/sys/devices/system/cpu/cpu{cpu}/topology");
            ["core_cpus_list", "thread_siblings_list"]
                .iter()
                .find_map(|name| read(&Path::new(&directory).join(name)))
                .map(|list| parse_cpu_list(&list))
        };
        Self {
            host: host_name(),
            cores: cores_within(&affinity_mask(), siblings),
            cpu_quota: quota::cpu_quota(&proc("self/cgroup"), &proc("self/mountinfo"), read),
            gpus: None,
            memory_total_bytes: memory_total_bytes(),
            memory_limit_bytes: least([
                memory_total_bytes(),
                quota::memory_limit(&proc("self/cgroup"), &proc("self/mountinfo"), read),
                slurm_memory(|name| std::env::var(name).ok()),
            ]),
            is_in_slurm: std::env::var_os("SLURM_JOB_ID").is_some(),
        }
    }

    /// The machine with these GPUs (`None`: not looked for).
    #[must_use]
    pub fn with_gpus(self, gpus: Option<Vec<i32>>) -> Self {
        Self { gpus, ..self }
    }

    /// Number of GPUs, where they were looked for.
    pub fn gpu_count(&self) -> Option<i32> {
        self.gpus.as_ref().map(|gpus| i32::try_from(gpus.len()).unwrap_or(i32::MAX))
    }

    /// Logical CPUs within the affinity mask.
    pub fn logical_cpu_count(&self) -> i32 {
        let count = self.cores.iter().map(Vec::len).sum::<usize>();
        i32::try_from(count).unwrap_or(i32::MAX)
    }

    /// Whole CPUs that the cgroups allow, at least 1, where that is below the affinity mask.
    #[allow(clippy::cast_possible_truncation)]
    pub fn limiting_quota(&self) -> Option<i32> {
        let quota = self.cpu_quota?;
        (quota < f64::from(self.logical_cpu_count())).then(|| (quota.floor() as i32).max(1))
    }
}

/// The machine's name as the kernel has it.
pub fn host_name() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname")
        .map(|name| name.trim().to_owned())
        .ok()
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "localhost".to_owned())
}

/// The logical CPUs that this process may use. The system call takes masks of up to 1024 CPUs;
/// for larger machines, what /proc says, less the CPUs that are not online.
fn affinity_mask() -> Vec<i32> {
    if let Ok(mask) = rustix::thread::sched_getaffinity(None) {
        let all = 0..rustix::thread::CpuSet::MAX_CPU;
        let mask = all.filter(|&cpu| mask.is_set(cpu));
        return mask.filter_map(|cpu| i32::try_from(cpu).ok()).collect();
    }
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let online = fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
    topology::online_mask(&status, &online)
}

/// The machine's memory, bytes; `None` where the kernel does not tell.
pub fn memory_total_bytes() -> Option<i64> {
    memory_total_of(&fs::read_to_string("/proc/meminfo").ok()?)
}

/// `MemTotal` of /proc/meminfo.
fn memory_total_of(meminfo: &str) -> Option<i64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// What Slurm's allocation has on this node: `SLURM_MEM_PER_NODE`, or `SLURM_MEM_PER_CPU` for each of
/// `SLURM_CPUS_ON_NODE`; both in MiB. `--mem=0`, the whole node, is no limit.
fn slurm_memory(variable: impl Fn(&str) -> Option<String>) -> Option<i64> {
    let number = |name: &str| variable(name)?.trim().parse::<i64>().ok();
    let mebibytes = number("SLURM_MEM_PER_NODE")
        .or_else(|| number("SLURM_MEM_PER_CPU")?.checked_mul(number("SLURM_CPUS_ON_NODE")?))?;
    mebibytes.checked_mul(1 << 20).filter(|bytes| *bytes > 0)
}

fn least(figures: [Option<i64>; 3]) -> Option<i64> {
    figures.into_iter().flatten().min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slurms_figures_are_in_mebibytes() {
        let memory = |variables: &[(&str, &str)]| {
            let find = |name: &str| {
                variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
            };
            slurm_memory(find)
        };
        assert_eq!(memory(&[("SLURM_MEM_PER_NODE", "2048")]), Some(2 << 30));
        assert_eq!(memory(&[("SLURM_MEM_PER_NODE", "0")]), None);
        assert_eq!(memory(&[("SLURM_MEM_PER_CPU", "1024"), ("SLURM_CPUS_ON_NODE", "4")]), Some(4 << 30));
        assert_eq!(memory(&[]), None);
    }

    #[test]
    fn this_machine_has_cores_memory_and_a_name() {
        let machine = Machine::detect();
        assert!(!machine.host.is_empty());
        assert!(machine.memory_total_bytes.is_some_and(|bytes| bytes > 0));
        let available = std::thread::available_parallelism().unwrap().get();
        // The standard library takes the quota into account, too.
        assert!(machine.logical_cpu_count() >= i32::try_from(available).unwrap());
        assert!(machine.memory_limit_bytes <= machine.memory_total_bytes);
        assert_eq!(machine.gpu_count(), None);
        assert_eq!(machine.with_gpus(Some(vec![2, 3])).gpu_count(), Some(2));
    }

    #[test]
    fn memory_from_captured_text() {
        let text = "MemTotal:       65842524 kB\nMemFree:        11 kB\n";
        assert_eq!(memory_total_of(text), Some(65_842_524 * 1024));
        assert_eq!(memory_total_of(""), None);
    }

    #[test]
    fn a_quota_counts_where_it_is_below_the_mask() {
        let machine = |cpu_quota| Machine {
            host: "h".to_owned(),
            cores: vec![vec![0, 2], vec![1, 3]],
            cpu_quota,
            gpus: None,
            memory_total_bytes: None,
            memory_limit_bytes: None,
            is_in_slurm: false,
        };
        for (quota, limit) in
            [(None, None), (Some(4.0), None), (Some(64.0), None), (Some(3.5), Some(3)), (Some(0.5), Some(1))]
        {
            assert_eq!(machine(quota).limiting_quota(), limit, "{quota:?}");
        }
    }
}
