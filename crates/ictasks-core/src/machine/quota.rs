//! How many CPUs and how much memory the cgroups allow: `cpu.max` (version 2) and `cpu.cfs_quota_us` (version 1),
//! the least of them from this process's cgroup up to the mount. See cgroups(7).

use std::path::Path;

use super::cgroup::Cgroup;

/// The quota in CPUs, from `/proc/self/cgroup` and `/proc/self/mountinfo`.
pub(super) fn cpu_quota(cgroups: &str, mounts: &str, read: impl Fn(&Path) -> Option<String>) -> Option<f64> {
    let quotas = values_of("cpu", cgroups, mounts, |directory, is_second_version| {
        if is_second_version {
            second_version_quota(&read(&directory.join("cpu.max"))?)
        } else {
            let quota = read(&directory.join("cpu.cfs_quota_us"))?;
            first_version_quota(&quota, &read(&directory.join("cpu.cfs_period_us"))?)
        }
    });
    quotas.into_iter().reduce(f64::min)
}

/// The memory that the cgroups allow, bytes: `memory.max` (version 2), `memory.limit_in_bytes`
/// (version 1). A figure that stands for "no limit" is larger than any machine's memory.
pub(super) fn memory_limit(
    cgroups: &str,
    mounts: &str,
    read: impl Fn(&Path) -> Option<String>,
) -> Option<i64> {
    let limits = values_of("memory", cgroups, mounts, |directory, is_second_version| {
        let file = if is_second_version { "memory.max" } else { "memory.limit_in_bytes" };
        read(&directory.join(file))?.trim().parse::<i64>().ok().filter(|bytes| *bytes > 0)
    });
    limits.into_iter().min()
}

/// What `value` finds in the cgroups of a controller, from this process's up to the mount; it is
/// told whether the cgroup is of version 2.
fn values_of<T>(
    controller: &str,
    cgroups: &str,
    mounts: &str,
    value: impl Fn(&Path, bool) -> Option<T>,
) -> Vec<T> {
    let mut values = Vec::new();
    for cgroup in Cgroup::of_controller(controller, cgroups, mounts) {
        let ancestors =
            cgroup.directory.ancestors().take_while(|ancestor| ancestor.starts_with(&cgroup.mount));
        values.extend(ancestors.filter_map(|ancestor| value(ancestor, cgroup.is_second_version)));
    }
    values
}

/// `200000 100000` is 2 CPUs, `max 100000` no limit.
fn second_version_quota(text: &str) -> Option<f64> {
    let mut fields = text.split_whitespace();
    first_version_quota(fields.next()?, fields.next()?)
}

/// Quota and period in microseconds; -1 is no limit.
fn first_version_quota(quota: &str, period: &str) -> Option<f64> {
    let quota: f64 = quota.trim().parse().ok()?;
    let period: f64 = period.trim().parse().ok()?;
    (quota > 0.0 && period > 0.0).then(|| quota / period)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: &str = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
    const FIRST: &str = "\
        36 25 0:31 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n\
        37 25 0:32 /docker/abc /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n";

    fn files<'a>(files: &'a [(&'a str, &'a str)]) -> impl Fn(&Path) -> Option<String> + 'a {
        move |path| {
            let file = files.iter().find(|(name, _)| Path::new(name) == path);
            file.map(|(_, text)| (*text).to_owned())
        }
    }

    #[test]
    fn the_least_quota_of_the_way_up_counts() {
        let read = files(&[
            ("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n"),
            ("/sys/fs/cgroup/a/cpu.max", "250000 100000\n"),
            ("/sys/fs/cgroup/cpu.max", "800000 100000\n"),
        ]);
        assert_eq!(cpu_quota("0::/a/b\n", SECOND, read), Some(2.5));
    }

    #[test]
    fn a_container_sees_its_own_cgroup_as_the_root() {
        let read = files(&[("/sys/fs/cgroup/cpu.max", "200000 100000\n")]);
        assert_eq!(cpu_quota("0::/\n", SECOND, &read), Some(2.0));
        assert_eq!(cpu_quota("0::/../other\n", SECOND, &read), Some(2.0));
    }

    #[test]
    fn version_1_with_a_partial_mount() {
        let read = files(&[
            ("/sys/fs/cgroup/cpu,cpuacct/task/cpu.cfs_quota_us", "-1\n"),
            ("/sys/fs/cgroup/cpu,cpuacct/task/cpu.cfs_period_us", "100000\n"),
            ("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "150000\n"),
            ("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n"),
        ]);
        let cgroups = "9:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc/task\n1:name=systemd:/x\n";
        assert_eq!(cpu_quota(cgroups, FIRST, read), Some(1.5));
    }

    #[test]
    fn the_least_memory_counts() {
        let read = files(&[
            ("/sys/fs/cgroup/a/b/memory.max", "max\n"),
            ("/sys/fs/cgroup/a/memory.max", "4294967296\n"),
            ("/sys/fs/cgroup/memory.max", "8589934592\n"),
        ]);
        assert_eq!(memory_limit("0::/a/b\n", SECOND, read), Some(4 << 30));
        let read = files(&[("/sys/fs/cgroup/memory/memory.limit_in_bytes", "1073741824\n")]);
        assert_eq!(memory_limit("9:memory:/docker/abc\n", FIRST, read), Some(1 << 30));
        assert_eq!(memory_limit("0::/\n", SECOND, |_| None), None);
    }

    #[test]
    fn without_cgroups_there_is_no_limit() {
        assert_eq!(cpu_quota("", "", |_| None), None);
        assert_eq!(cpu_quota("0::/a\n", SECOND, |_| None), None);
        let unlimited = |_: &Path| Some("max 100000".to_owned());
        assert_eq!(cpu_quota("0::/a\n", SECOND, unlimited), None);
    }
}
