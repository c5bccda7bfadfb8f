//! Which GPUs an inherited mask leaves, and what a mask for a task looks like.

use std::path::Path;

/// There is this file while NVIDIA's driver is loaded.
pub const NVIDIA_DRIVER: &str = "/proc/driver/nvidia/version";

/// One device, as its driver shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its number on this node.
    pub id: i32,
    /// Its own id, `GPU-…`.
    pub uuid: Option<String>,
}

/// Whose devices they are: the vendors' masks have other names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vendor {
    /// `CUDA_VISIBLE_DEVICES`.
    Nvidia,
    /// `ROCR_VISIBLE_DEVICES`.
    Amd,
}

/// What CUDA goes by.
const CUDA: &str = "CUDA_VISIBLE_DEVICES";
/// What ROCm goes by, below all its languages.
const ROCR: &str = "ROCR_VISIBLE_DEVICES";
/// HIP's own mask; its numbers count within that of ROCm.
const HIP: &str = "HIP_VISIBLE_DEVICES";
/// Slurm's numbers of the node, of the step or of the job.
const SLURM: [&str; 2] = ["SLURM_STEP_GPUS", "SLURM_JOB_GPUS"];
/// A part of a device (multi-instance GPU).
const MIG: &str = "MIG-";

/// The variables that may hide GPUs from a task.
pub const MASKS: [&str; 3] = [CUDA, ROCR, HIP];

impl Vendor {
    /// Whose devices this host has, without asking any driver.
    pub fn of_this_host() -> Self {
        if Path::new(NVIDIA_DRIVER).exists() {
            Self::Nvidia
        } else if super::amd::devices().is_empty() {
            Self::guess(|name| std::env::var(name).ok())
        } else {
            Self::Amd
        }
    }

    /// Whose devices a host has on which no driver could be asked: those of the mask that is set.
    pub fn guess(variable: impl Fn(&str) -> Option<String>) -> Self {
        let is_amd = variable(CUDA).is_none() && [ROCR, HIP].iter().any(|name| variable(name).is_some());
        if is_amd { Self::Amd } else { Self::Nvidia }
    }

    /// The inherited mask that counts, if one is set.
    fn mask(self, variable: impl Fn(&str) -> Option<String>) -> Option<String> {
        let names: &[&str] = if self == Self::Nvidia { &[CUDA] } else { &[ROCR, HIP] };
        names.iter().find_map(|name| variable(name))
    }
}

/// The devices that may be handed out. `devices` is what the driver shows; `None` where it cannot
/// be asked, then the mask is believed.
pub fn choose(
    vendor: Vendor,
    devices: Option<&[Device]>,
    variable: impl Fn(&str) -> Option<String>,
) -> Vec<i32> {
    if let Some(mask) = vendor.mask(&variable) {
        return within(&mask, devices);
    }
    let all: Option<Vec<i32>> = devices.map(|devices| devices.iter().map(|device| device.id).collect());
    let slurm = SLURM.iter().find_map(|name| variable(name).filter(|list| !list.trim().is_empty()));
    let Some(slurm) = slurm else { return all.unwrap_or_default() };
    let allocated = numbers(&slurm);
    match all {
        // Slurm's numbers are the node's. Where its cgroup hides the other devices, the driver
        // numbers those that are left from 0, and shows no more than were allocated.
        Some(all) if all.len() <= allocated.len() => all,
        Some(all) => all.into_iter().filter(|id| allocated.contains(id)).collect(),
        None => allocated,
    }
}

/// Whether the mask lists parts of devices. They have no number on the node: they are counted in
/// the order of the list.
pub fn lists_instances(mask: &str) -> bool {
    mask.trim_start().starts_with(MIG)
}

/// The devices that the mask lists, as CUDA reads it: numbers or beginnings of UUIDs; it ends at
/// the first entry that is none (empty, -1, `NoDevFiles`), also where that is the first of all.
fn within(mask: &str, devices: Option<&[Device]>) -> Vec<i32> {
    if lists_instances(mask) {
        return (0..).zip(instances(mask)).map(|(position, _)| position).collect();
    }
    let mut ids = Vec::new();
    for id in mask.split(',').map_while(|entry| device_of(entry.trim(), devices)) {
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    ids
}

/// The parts of devices that the mask lists.
fn instances(mask: &str) -> impl Iterator<Item = &str> {
    mask.split(',').map(str::trim).take_while(|entry| entry.starts_with(MIG))
}

/// The device that an entry of a mask means, if there is one.
fn device_of(entry: &str, devices: Option<&[Device]>) -> Option<i32> {
    if entry.starts_with("GPU-") {
        let is_meant = |device: &&Device| device.uuid.as_ref().is_some_and(|uuid| uuid.starts_with(entry));
        let mut meant = devices?.iter().filter(is_meant);
        return meant.next().filter(|_| meant.next().is_none()).map(|device| device.id);
    }
    let number = entry.parse::<i32>().ok().filter(|number| *number >= 0)?;
    devices.is_none_or(|devices| devices.iter().any(|device| device.id == number)).then_some(number)
}

/// Slurm's list: `2,3`, also `0-3`.
fn numbers(list: &str) -> Vec<i32> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.trim().parse::<i32>().ok()?..=last.trim().parse::<i32>().ok()?)
    };
    // No node has so many devices; a damaged list must not fill the memory.
    list.split(',').filter_map(range).flatten().take(4096).collect()
}

/// The variables by which a task sees the devices `ids` and no others; those without a value are
/// taken out of its environment.
///
/// `inherited` is the mask that the farm was started with: where it lists parts of devices, these
/// are named again. With AMD the mask of ROCm stands alone, since the numbers of the others count
/// within it.
pub fn for_task(vendor: Vendor, ids: &[i32], inherited: Option<&str>) -> Vec<(&'static str, Option<String>)> {
    let inherited: Vec<&str> =
        inherited.filter(|mask| lists_instances(mask)).map(instances).into_iter().flatten().collect();
    let entry = |id: &i32| {
        let instance = usize::try_from(*id).ok().and_then(|id| inherited.get(id));
        instance.map_or_else(|| id.to_string(), |&instance| instance.to_owned())
    };
    let mask = ids.iter().map(entry).collect::<Vec<_>>().join(",");
    match vendor {
        Vendor::Nvidia => {
            vec![(CUDA, Some(mask)), ("CUDA_DEVICE_ORDER", Some("PCI_BUS_ID".to_owned()))]
        }
        Vendor::Amd => vec![(ROCR, Some(mask)), (HIP, None), (CUDA, None), ("GPU_DEVICE_ORDINAL", None)],
    }
}

/// The mask of CUDA that this process inherited.
pub fn inherited() -> Option<String> {
    std::env::var(CUDA).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn devices(count: i32) -> Vec<Device> {
        (0..count).map(|id| Device { id, uuid: Some(format!("GPU-{id}a{id}b-77")) }).collect()
    }

    /// The choice among `count` devices (`None`: no driver) with these variables.
    fn chosen(vendor: Vendor, count: Option<i32>, variables: &[(&str, &str)]) -> Vec<i32> {
        let devices = count.map(devices);
        let variable =
            |name: &str| variables.iter().find(|(set, _)| *set == name).map(|(_, value)| (*value).to_owned());
        choose(vendor, devices.as_deref(), variable)
    }

    fn cuda(count: impl Into<Option<i32>>, mask: &str) -> Vec<i32> {
        chosen(Vendor::Nvidia, count.into(), &[(CUDA, mask)])
    }

    #[test]
    fn without_a_mask_all_that_the_driver_shows() {
        assert_eq!(chosen(Vendor::Nvidia, Some(3), &[]), [0, 1, 2]);
        assert_eq!(chosen(Vendor::Nvidia, None, &[]), [0; 0]);
    }

    #[test]
    fn a_mask_is_read_as_cuda_reads_it() {
        assert_eq!(cuda(4, "2,3"), [2, 3]);
        assert_eq!(cuda(4, " 3, 1"), [3, 1]);
        assert_eq!(cuda(4, "0,-1,1"), [0]);
        assert_eq!(cuda(4, "1,9,2"), [1]);
        assert_eq!(cuda(4, "2,2,1"), [2, 1]);
        for nothing in ["", "-1", "NoDevFiles", "none", ",1"] {
            assert_eq!(cuda(4, nothing), [0; 0], "{nothing:?}");
        }
    }

    #[test]
    fn uuids_are_found_among_the_devices_also_when_shortened() {
        assert_eq!(cuda(4, "GPU-3a3b-77,GPU-1a"), [3, 1]);
        assert_eq!(cuda(4, "GPU-0a,2,GPU-ff,1"), [0, 2]);
        // It could be any of them.
        assert_eq!(cuda(4, "GPU-"), [0; 0]);
        assert_eq!(cuda(None, "GPU-3a3b-77"), [0; 0]);
    }

    #[test]
    fn parts_of_devices_are_counted_as_given() {
        assert_eq!(cuda(1, "MIG-5f,MIG-GPU-7/1/0,2"), [0, 1]);
        assert_eq!(cuda(None, "MIG-5f"), [0]);
        assert_eq!(cuda(4, "0,MIG-5f,1"), [0]);
    }

    #[test]
    fn without_a_driver_the_masks_numbers_count() {
        assert_eq!(cuda(None, "2,3"), [2, 3]);
        assert_eq!(chosen(Vendor::Nvidia, None, &[("SLURM_JOB_GPUS", "4-6,1")]), [4, 5, 6, 1]);
    }

    #[test]
    fn slurm_is_asked_where_no_mask_is_set() {
        let slurm = [("SLURM_JOB_GPUS", "0,1,2,3"), ("SLURM_STEP_GPUS", "2,3")];
        assert_eq!(chosen(Vendor::Nvidia, Some(4), &slurm), [2, 3]);
        assert_eq!(chosen(Vendor::Nvidia, Some(4), &slurm[..1]), [0, 1, 2, 3]);
        // The cgroup leaves two devices, which the driver counts from 0.
        assert_eq!(chosen(Vendor::Nvidia, Some(2), &slurm), [0, 1]);
        assert_eq!(chosen(Vendor::Nvidia, Some(4), &[slurm[1], (CUDA, "1")]), [1]);
    }

    #[test]
    fn the_masks_of_amd() {
        assert_eq!(chosen(Vendor::Amd, Some(4), &[(ROCR, "1,2"), (HIP, "0"), (CUDA, "3")]), [1, 2]);
        assert_eq!(chosen(Vendor::Amd, Some(4), &[(HIP, "3")]), [3]);
        assert_eq!(chosen(Vendor::Amd, Some(4), &[(CUDA, "3")]), [0, 1, 2, 3]);
        assert_eq!(Vendor::guess(|name| (name == ROCR).then(String::new)), Vendor::Amd);
        assert_eq!(Vendor::guess(|_| None), Vendor::Nvidia);
    }

    #[test]
    fn a_task_sees_its_devices_and_no_others() {
        let order = ("CUDA_DEVICE_ORDER", Some("PCI_BUS_ID".to_owned()));
        let cuda = |mask: &str| vec![(CUDA, Some(mask.to_owned())), order.clone()];
        assert_eq!(for_task(Vendor::Nvidia, &[2, 3], Some("2,3")), cuda("2,3"));
        assert_eq!(for_task(Vendor::Nvidia, &[], None), cuda(""));
        assert_eq!(for_task(Vendor::Nvidia, &[1], Some("MIG-a,MIG-b")), cuda("MIG-b"));
        let amd = for_task(Vendor::Amd, &[1], None);
        assert_eq!(amd[0], (ROCR, Some("1".to_owned())));
        assert!(amd[1..].iter().all(|(_, value)| value.is_none()));
    }
}
