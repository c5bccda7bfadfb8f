//! Rules about memory, CPU and GPUs.

use super::{ATTEMPTS, Case};
use crate::definitions::{distribution, memory};
use crate::findings::Advice;
use crate::units::{bytes, core_time, percent};

/// Times the advised size from which on too much was asked for.
const TOO_MUCH: i64 = 3;

/// Memory was asked for that no task used, and kept workers from running.
pub(super) fn memory_requested(case: &Case<'_>) -> Option<Advice> {
    let found = &case.findings.memory;
    let (requested, advised) = (found.requested_bytes?, found.advised_bytes?);
    if requested < advised.saturating_mul(TOO_MUCH)
        || case.succeeded() < ATTEMPTS
        || !found.out_of_memory.is_empty()
    {
        return None;
    }
    // What the memory that was asked for would have held, at the advised size: as far as the tasks go.
    #[allow(clippy::cast_precision_loss)]
    let factor = (requested as f64 / advised as f64).min(TOO_MUCH as f64);
    let saves_core_s = case.findings.cores.available_core_s * (1.0 - 1.0 / factor);
    Some(Advice {
        rule: "memory_requested".to_owned(),
        title: format!("Ask for {} a task instead of {}", bytes(advised), bytes(requested)),
        evidence: format!(
            "no task used more than {}; the rest keeps other tasks from running, and counts as yours",
            bytes(largest(case)),
        ),
        setting: Some(format!("memory_per_task: {}", memory::setting(advised))),
        saves_core_s,
    })
}

#[allow(clippy::cast_possible_truncation)]
fn largest(case: &Case<'_>) -> i64 {
    distribution::at(&case.findings.memory.peaks, 1.0).map_or(0, |peak| peak as i64)
}

/// Below this CPU efficiency tasks mostly wait.
const EFFICIENCY: f64 = 0.6;
/// Tasks shorter than this mostly start and end.
const SHORTEST_S: f64 = 1.0;

/// Cores are held and not used.
pub(super) fn low_cpu_efficiency(case: &Case<'_>) -> Option<Advice> {
    let cores = &case.findings.cores;
    let efficiency = cores.cpu_efficiency_fraction?;
    let median = distribution::at(&case.findings.durations, 0.5)?;
    let saves_core_s = cores.occupied_core_s * (1.0 - efficiency);
    let held = held_by_a_task(case);
    let is_low = efficiency < EFFICIENCY && median >= SHORTEST_S && case.succeeded() >= ATTEMPTS;
    // A task that waits for its GPU is the business of another rule.
    if !is_low || !case.is_worth(saves_core_s) || case.findings.gpu.is_some() {
        return None;
    }
    let used = (efficiency * held).max(0.01);
    let (title, setting) = if held >= 2.0 {
        let fewer = (used * 1.1).ceil().clamp(1.0, held - 1.0);
        (
            format!("Give tasks {fewer:.0} instead of {held:.0} cores: they use {used:.1}"),
            format!("task_distribution: cores_per_task: {fewer:.0}"),
        )
    } else {
        #[allow(clippy::cast_precision_loss)]
        let workers = (cores.worker_count as f64 / efficiency.max(0.1)).floor();
        (
            "Run more tasks than there are cores, or speed up what tasks wait for: they mostly wait"
                .to_owned(),
            format!("--workers {workers:.0}"),
        )
    };
    Some(Advice {
        rule: "low_cpu_efficiency".to_owned(),
        title,
        evidence: format!(
            "of {} held by tasks they computed in {}",
            core_time(cores.occupied_core_s),
            percent(efficiency)
        ),
        setting: Some(setting),
        saves_core_s,
    })
}

/// Cores that the median attempt held.
fn held_by_a_task(case: &Case<'_>) -> f64 {
    let attempts = &case.analysis.loaded.attempts;
    let mut held: Vec<f64> = attempts.that_ran().map(|row| f64::from(attempts.core_count[row])).collect();
    distribution::median(&mut held).unwrap_or(1.0)
}

/// Below this share of time busy a GPU is idle.
const BUSY: f64 = 0.3;

/// GPUs are held and not used.
pub(super) fn gpu_idle(case: &Case<'_>) -> Option<Advice> {
    let gpu = case.findings.gpu.as_ref()?;
    let busy = gpu.busy_fraction?;
    if busy >= BUSY || case.succeeded() < ATTEMPTS {
        return None;
    }
    Some(Advice {
        rule: "gpu_idle".to_owned(),
        title: "Let several tasks share a GPU, or run these tasks without: it mostly stands idle".to_owned(),
        evidence: format!(
            "of {:.1} GPU hours held by tasks the GPUs were busy in {}",
            gpu.held_gpu_s / 3600.0,
            percent(busy)
        ),
        setting: Some("task_distribution: gpus_per_task: 0, and the program's own device choice".to_owned()),
        // With each GPU second go the cores that its task holds.
        saves_core_s: case.findings.cores.occupied_core_s * (1.0 - busy),
    })
}
