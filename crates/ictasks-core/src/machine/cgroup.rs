//! Where the cgroups of this process lie, from `/proc/self/cgroup` and `/proc/self/mountinfo`. See cgroups(7) and
//! proc_pid_mountinfo(5).

use std::path::{Path, PathBuf};

/// A cgroup of this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cgroup {
    /// Whether it is of version 2, which has one hierarchy for all controllers.
    pub is_second_version: bool,
    /// Where its hierarchy is mounted.
    pub mount: PathBuf,
    /// Its directory.
    pub directory: PathBuf,
}

impl Cgroup {
    /// The one of version 2, from the content of `/proc/self/cgroup` and `/proc/self/mountinfo`.
    pub fn second_version(cgroups: &str, mounts: &str) -> Option<Self> {
        // Any controller: all of them are in the one hierarchy.
        Self::of_controller("memory", cgroups, mounts).find(|cgroup| cgroup.is_second_version)
    }

    /// Those that a controller may belong to: of version 1, of version 2, or both.
    pub fn of_controller(controller: &str, cgroups: &str, mounts: &str) -> impl Iterator<Item = Self> {
        cgroups.lines().filter_map(move |line| {
            let mut fields = line.splitn(3, ':').skip(1);
            let (controllers, path) = (fields.next()?, fields.next()?);
            let is_second_version = controllers.is_empty();
            let fits = is_second_version || controllers.split(',').any(|name| name == controller);
            let (root, mount) =
                if fits { mount_of(controller, is_second_version, mounts)? } else { return None };
            // In a container the mount may show only a part of the hierarchy, or none of our path.
            let inside = match Path::new(path).strip_prefix(root) {
                Ok(inside) if !path.contains("..") => inside,
                _ => Path::new(""),
            };
            Some(Self { is_second_version, directory: Path::new(mount).join(inside), mount: mount.into() })
        })
    }
}

/// Root and mount point of the hierarchy.
fn mount_of<'a>(controller: &str, is_second_version: bool, mounts: &'a str) -> Option<(&'a str, &'a str)> {
    mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let mut before = before.split(' ').skip(3);
        let place = (before.next()?, before.next()?);
        let mut after = after.split(' ');
        let (kind, options) = (after.next()?, after.nth(1)?);
        let fits = if is_second_version {
            kind == "cgroup2"
        } else {
            kind == "cgroup" && options.split(',').any(|option| option == controller)
        };
        fits.then_some(place)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_cgroup_is_found_also_in_a_container() {
        let mounts = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
        let directory =
            |cgroups, mounts| Cgroup::second_version(cgroups, mounts).map(|found| found.directory);
        assert_eq!(directory("0::/a/b\n", mounts), Some(PathBuf::from("/sys/fs/cgroup/a/b")));
        assert_eq!(directory("0::/../x\n", mounts), Some(PathBuf::from("/sys/fs/cgroup")));
        assert_eq!(directory("4:memory:/\n", mounts), None);
        assert_eq!(directory("0::/a\n", ""), None);
    }

    #[test]
    fn a_controller_may_be_in_a_hierarchy_of_either_version() {
        let mounts = "36 25 0:31 /docker/x /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n\
                      30 23 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let cgroups = "4:memory:/docker/x/y\n1:name=systemd:/\n0::/z\n";
        let found: Vec<_> = Cgroup::of_controller("memory", cgroups, mounts).collect();
        let directories: Vec<_> = found.iter().map(|found| found.directory.to_str().unwrap()).collect();
        assert_eq!(directories, ["/sys/fs/cgroup/memory/y", "/sys/fs/cgroup/unified/z"]);
        assert_eq!(found[0].mount, Path::new("/sys/fs/cgroup/memory"));
    }
}
