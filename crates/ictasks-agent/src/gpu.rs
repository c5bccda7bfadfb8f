//! What NVML says of this host's GPUs.

use nvml_wrapper::Nvml;

/// Number of NVIDIA GPUs of this host; 0 where there is no driver.
pub fn count() -> i32 {
    let count = Nvml::init().and_then(|nvml| nvml.device_count());
    count.map_or(0, |count| i32::try_from(count).unwrap_or(i32::MAX))
}
