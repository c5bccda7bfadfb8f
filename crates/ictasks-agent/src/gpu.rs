//! The GPUs of this host: which of them may be handed out, and what is seen of their use.
//!
//! - [`mask`]: which devices the farm's own environment leaves it (`CUDA_VISIBLE_DEVICES` and the like)
//! - `amd`: the devices that the kernel shows, where they are AMD's
//! - `nvml`: what NVIDIA's library says of a device
//! - [`monitor`]: a thread that asks it now and then
//! - `owners`: whose processes it sees
//! - `account`: what came of that for one task
//! - [`cell`]: how a slot gets it

mod account;
mod amd;
pub mod cell;
pub mod mask;
pub mod monitor;
mod nvml;
mod owners;

/// Device ids of the GPUs of this node that the farm may hand out; none where there is no GPU.
///
/// The devices that the driver shows, limited by the mask that the farm inherited: its own
/// `CUDA_VISIBLE_DEVICES` (AMD: `ROCR_VISIBLE_DEVICES`), else what Slurm says. Where no driver
/// answers, the numbers of the mask count.
pub fn visible() -> Vec<i32> {
    let variable = |name: &str| std::env::var(name).ok();
    let nvidia = nvml::devices();
    if nvidia.as_ref().is_some_and(|devices| !devices.is_empty()) {
        return mask::choose(mask::Vendor::Nvidia, nvidia.as_deref(), variable);
    }
    let amd = amd::devices();
    if !amd.is_empty() {
        return mask::choose(mask::Vendor::Amd, Some(&amd), variable);
    }
    mask::choose(mask::Vendor::guess(variable), nvidia.as_deref(), variable)
}
