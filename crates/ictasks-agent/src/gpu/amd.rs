//! AMD's GPUs, as the kernel shows them in the topology of its compute driver (kfd).

use std::path::Path;

use super::mask::Device;

const TOPOLOGY: &str = "/sys/class/kfd/kfd/topology/nodes";

/// The GPUs that this process may use, numbered as ROCm numbers them.
pub fn devices() -> Vec<Device> {
    devices_in(Path::new(TOPOLOGY))
}

fn devices_in(topology: &Path) -> Vec<Device> {
    let entries = std::fs::read_dir(topology).into_iter().flatten().flatten();
    let mut nodes: Vec<u32> =
        entries.filter_map(|entry| entry.file_name().to_string_lossy().parse().ok()).collect();
    nodes.sort_unstable();
    // A node that a cgroup hides cannot be read.
    let properties =
        |node: u32| std::fs::read_to_string(topology.join(node.to_string()).join("properties")).ok();
    let gpus = nodes.into_iter().filter_map(properties).filter_map(|text| gpu(&text));
    (0..).zip(gpus).map(|(id, uuid)| Device { id, uuid }).collect()
}

/// The UUID of a node that is a GPU: CPUs are nodes, too, without vector units.
#[allow(clippy::option_option, reason = "not a GPU, or a GPU without an id")]
fn gpu(properties: &str) -> Option<Option<String>> {
    let value = |name: &str| {
        let line = properties.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line?.trim().parse::<u64>().ok()
    };
    value("simd_count").filter(|count| *count > 0)?;
    Some(value("unique_id").filter(|id| *id > 0).map(|id| format!("GPU-{id:016x}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_with_vector_units_are_gpus() {
        let topology = tempfile::tempdir().unwrap();
        let node = |name: &str, properties: &str| {
            std::fs::create_dir(topology.path().join(name)).unwrap();
            std::fs::write(topology.path().join(name).join("properties"), properties).unwrap();
        };
        node("0", "cpu_cores_count 64\nsimd_count 0\n");
        node("10", "simd_count 304\n");
        node("9", "cpu_cores_count 0\nsimd_count 304\nunique_id 4660\n");
        std::fs::create_dir(topology.path().join("11")).unwrap();
        let expected =
            [Device { id: 0, uuid: Some("GPU-0000000000001234".to_owned()) }, Device { id: 1, uuid: None }];
        assert_eq!(devices_in(topology.path()), expected);
    }

    #[test]
    fn without_the_driver_there_are_none() {
        assert_eq!(devices_in(Path::new("/no/such/directory")), []);
    }
}
