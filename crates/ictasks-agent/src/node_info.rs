//! What an agent says of its host when it says hello.

use std::io::Read;

use ictasks_core::column::Timestamp;
use ictasks_core::machine;
use ictasks_core::protocol::{NodeInfo, PROTOCOL_VERSION, Setup};

/// This host and its agent.
pub fn of_host(setup: &Setup, host: &str, memory_enforcement: Option<String>) -> NodeInfo {
    let held: usize = setup.workers.iter().filter_map(|worker| worker.cores.as_ref()).map(Vec::len).sum();
    let usable = std::thread::available_parallelism().map_or(1, usize::from);
    let gpus: usize = setup.workers.iter().map(|worker| worker.gpus.len()).sum();
    let count = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
    NodeInfo {
        protocol_version: PROTOCOL_VERSION,
        host: host.to_owned(),
        host_id: setup.host_id,
        pid: std::process::id().into(),
        core_count: count(if held > 0 { held } else { usable }),
        gpu_count: count(gpus),
        memory_total_bytes: machine::memory_total_bytes(),
        cpu_model: cpu_model(),
        at: Timestamp::of_own_clock(),
        gpus: Vec::new(),
        memory_enforcement,
    }
}

/// The host's name, fit for a file name.
pub fn host_name() -> String {
    machine::host_name().replace('/', "_")
}

fn cpu_model() -> Option<String> {
    let mut head = [0; 4096];
    let length = std::fs::File::open("/proc/cpuinfo").ok()?.read(&mut head).ok()?;
    let text = String::from_utf8_lossy(&head[..length]);
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
