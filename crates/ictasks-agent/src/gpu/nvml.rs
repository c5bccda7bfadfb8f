//! What NVIDIA's library says of a device.

use std::collections::BTreeMap;

use ictasks_core::protocol::GpuInfo;
use nvml_wrapper::enums::device::UsedGpuMemory;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::struct_wrappers::device::ProcessInfo;
use nvml_wrapper::{Device, Nvml};

use super::mask;

/// What the monitor asks of a driver. An error means that the device cannot be asked any more.
pub trait Driver {
    /// The devices of this host.
    fn ids(&self) -> Vec<i32>;
    /// Model, UUID and memory of a device.
    fn info(&self, id: i32) -> GpuInfo;
    /// What it has used since its driver was loaded, mJ; `None` where it does not count that.
    fn energy_mj(&self, id: i32) -> Result<Option<u64>, String>;
    /// What it does at this moment.
    fn look(&self, id: i32) -> Result<Look, String>;
}

/// What a device does at one moment; `None` where it does not tell.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Look {
    /// Share of the last moment (at most a second) in which it computed.
    pub busy_fraction: Option<f64>,
    /// Memory in use.
    pub memory_bytes: Option<i64>,
    /// Power, watts.
    pub power_w: Option<f64>,
    /// Processes on it, with their memory.
    pub processes: Option<BTreeMap<i32, Option<i64>>>,
}

/// The devices that may be asked; `None` where there is no library or no driver.
pub fn devices() -> Option<Vec<mask::Device>> {
    let nvml = Nvml::init().ok()?;
    let driver = NvmlDriver::new(&nvml).ok()?;
    let device = |(id, device): (&i32, &Device<'_>)| mask::Device { id: *id, uuid: device.uuid().ok() };
    Some(driver.devices.iter().map(device).collect())
}

/// The devices of an initialised library.
pub struct NvmlDriver<'nvml> {
    devices: BTreeMap<i32, Device<'nvml>>,
}

impl<'nvml> NvmlDriver<'nvml> {
    /// Without those that may not be used, which the library counts all the same.
    pub fn new(nvml: &'nvml Nvml) -> Result<Self, NvmlError> {
        let device = |index: u32| Some((i32::try_from(index).ok()?, nvml.device_by_index(index).ok()?));
        Ok(Self { devices: (0..nvml.device_count()?).filter_map(device).collect() })
    }

    fn device(&self, id: i32) -> Result<&Device<'nvml>, String> {
        self.devices.get(&id).ok_or_else(|| "the driver does not show it".to_owned())
    }
}

impl Driver for NvmlDriver<'_> {
    fn ids(&self) -> Vec<i32> {
        self.devices.keys().copied().collect()
    }

    fn info(&self, id: i32) -> GpuInfo {
        let Some(device) = self.devices.get(&id) else { return GpuInfo { id, ..GpuInfo::default() } };
        let memory = device.memory_info().ok().and_then(|memory| i64::try_from(memory.total).ok());
        GpuInfo { id, name: device.name().ok(), uuid: device.uuid().ok(), memory_total_bytes: memory }
    }

    fn energy_mj(&self, id: i32) -> Result<Option<u64>, String> {
        figure(self.device(id)?.total_energy_consumption())
    }

    fn look(&self, id: i32) -> Result<Look, String> {
        let device = self.device(id)?;
        let memory = figure(device.memory_info())?;
        Ok(Look {
            busy_fraction: figure(device.utilization_rates())?.map(|rates| f64::from(rates.gpu) / 100.0),
            memory_bytes: memory.and_then(|memory| i64::try_from(memory.used).ok()),
            power_w: figure(device.power_usage())?.map(|milliwatts| f64::from(milliwatts) / 1000.0),
            processes: processes(device)?,
        })
    }
}

/// The processes that compute or draw on a device, each once; those of the multi-process service
/// have a list of their own in some versions.
fn processes(device: &Device<'_>) -> Result<Option<BTreeMap<i32, Option<i64>>>, String> {
    let Some(computing) = figure(device.running_compute_processes())? else { return Ok(None) };
    let drawing = figure(device.running_graphics_processes())?.unwrap_or_default();
    let sharing = figure(device.mps_running_compute_processes())?.unwrap_or_default();
    let mut processes = BTreeMap::new();
    for process in [computing, drawing, sharing].iter().flatten() {
        let Ok(pid) = i32::try_from(process.pid) else { continue };
        let memory = processes.entry(pid).or_insert(None);
        *memory = memory_of(process).max(*memory);
    }
    Ok(Some(processes))
}

fn memory_of(process: &ProcessInfo) -> Option<i64> {
    match process.used_gpu_memory {
        UsedGpuMemory::Used(bytes) => i64::try_from(bytes).ok(),
        UsedGpuMemory::Unavailable => None,
    }
}

/// A figure that was asked for; `None` where the device does not give it, or not at this moment.
fn figure<T>(answer: Result<T, NvmlError>) -> Result<Option<T>, String> {
    match answer {
        Ok(figure) => Ok(Some(figure)),
        Err(
            NvmlError::NotSupported
            | NvmlError::NoPermission
            | NvmlError::FailedToLoadSymbol(_)
            | NvmlError::FunctionNotFound
            | NvmlError::NotFound
            | NvmlError::NoData
            | NvmlError::Timeout
            | NvmlError::InsufficientSize(_)
            | NvmlError::UnexpectedVariant(_),
        ) => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}
