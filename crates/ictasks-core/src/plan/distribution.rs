//! The arithmetic of `task_distribution`: from what was typed and the machine to a number of
//! workers and what each holds, with every step as a line for people.

use super::Distribution;
use crate::config::TaskDistribution;
use crate::error::PlanError;
use crate::machine::Machine;

/// More workers than this on a node are a mistake.
const MAX_WORKERS: i64 = 65_536;

/// The resolved figures, the number of workers, and how they came about.
#[derive(Debug)]
pub(super) struct Shares {
    pub(super) distribution: Distribution,
    pub(super) worker_count: i32,
    /// Whether somebody chose `cores_per_task`, or the GPUs did.
    pub(super) cores_per_task_is_chosen: bool,
    pub(super) arithmetic: Vec<String>,
}

/// Cores and threads of a node.
struct Node {
    cores: i32,
    threads: i32,
    /// All hardware threads, where cores differ in how many they have and all are to work.
    uneven_threads: Option<i32>,
}

impl Shares {
    pub(super) fn of(
        typed: &TaskDistribution,
        workers: Option<i32>,
        memory_per_task_bytes: Option<i64>,
        machine: &Machine,
    ) -> Result<Self, PlanError> {
        check_signs(typed, workers)?;
        let mut arithmetic = Vec::new();
        let node = node(typed, machine, &mut arithmetic);
        let gpus_per_task = given(typed.gpus_per_task).unwrap_or(0);
        let gpu_limit = gpu_limit(typed, gpus_per_task, machine, &mut arithmetic)?;
        let (cores_per_task, by_cores) = share_cores(typed, &node, gpu_limit, &mut arithmetic)?;

        let mut worker_count = by_cores;
        if let Some(gpus) = gpu_limit.filter(|&gpus| i64::from(gpus) < by_cores) {
            worker_count = i64::from(gpus);
            arithmetic.push(format!("workers: {by_cores}, limited by the GPUs to {gpus}"));
        }
        if let Some(workers) = workers {
            if let Some(gpus) = gpu_limit.filter(|&gpus| gpus < workers) {
                return Err(impossible(
                    format!("{workers} workers with {gpus_per_task} GPUs each, and GPUs for {gpus}"),
                    format!("give `--workers {gpus}` or fewer"),
                ));
            }
            arithmetic.push(format!("workers: {workers} by `--workers`"));
            worker_count = workers.into();
        }
        if let Some(limit) = memory_limit(memory_per_task_bytes, machine)?
            && limit < worker_count
        {
            arithmetic.push(format!("workers: {worker_count}, limited by the memory to {limit}"));
            worker_count = limit;
        }
        if worker_count > MAX_WORKERS {
            return Err(impossible(
                format!("{worker_count} workers on a node, and {MAX_WORKERS} is the most"),
                "give smaller figures in `task_distribution`".to_owned(),
            ));
        }
        let gpus_per_node = given(typed.gpus_per_node).or(machine.gpu_count());
        Ok(Self {
            distribution: Distribution {
                cores_per_node: node.cores,
                threads_per_core: node.threads,
                cores_per_task,
                gpus_per_node: gpus_per_node.unwrap_or(0),
                gpus_per_task,
            },
            worker_count: i32::try_from(worker_count).unwrap_or(i32::MAX),
            cores_per_task_is_chosen: given(typed.cores_per_task).is_some() || cores_per_task > 1,
            arithmetic,
        })
    }
}

/// Workers for which there is memory, where a task says how much it needs.
fn memory_limit(per_task_bytes: Option<i64>, machine: &Machine) -> Result<Option<i64>, PlanError> {
    let (Some(per_task), Some(limit)) = (per_task_bytes, machine.memory_limit_bytes) else { return Ok(None) };
    if per_task > limit {
        return Err(impossible(
            format!("memory_per_task is {} and there are {}", gibibytes(per_task), gibibytes(limit)),
            format!("give {} or less", gibibytes(limit)),
        ));
    }
    Ok(Some(limit / per_task))
}

#[allow(clippy::cast_precision_loss)]
fn gibibytes(bytes: i64) -> String {
    format!("{:.2}G", bytes as f64 / f64::from(1 << 30))
}

/// A figure that was given; 0 stands for "not given".
fn given(typed: Option<i32>) -> Option<i32> {
    typed.filter(|&figure| figure != 0)
}

fn impossible(arithmetic: String, remedy: String) -> PlanError {
    PlanError::Impossible { arithmetic, remedy }
}

fn check_signs(typed: &TaskDistribution, workers: Option<i32>) -> Result<(), PlanError> {
    let figures = [
        ("cores_per_node", typed.cores_per_node),
        ("threads_per_core", typed.threads_per_core),
        ("cores_per_task", typed.cores_per_task),
        ("gpus_per_node", typed.gpus_per_node),
        ("gpus_per_task", typed.gpus_per_task),
    ];
    for (name, figure) in figures {
        if let Some(figure) = figure.filter(|&figure| figure < 0) {
            let remedy = "give 0 or more".to_owned();
            return Err(impossible(format!("`{name}` is {figure}"), remedy));
        }
    }
    match workers {
        Some(workers @ ..=0) => {
            Err(impossible(format!("`--workers` is {workers}"), "give 1 or more".to_owned()))
        }
        _ => Ok(()),
    }
}

/// Cores and threads: given, or as the machine has them.
fn node(typed: &TaskDistribution, machine: &Machine, arithmetic: &mut Vec<String>) -> Node {
    let physical = i32::try_from(machine.cores.len()).unwrap_or(i32::MAX).max(1);
    let logical = machine.logical_cpu_count().max(1);
    let widest = machine.cores.iter().map(Vec::len).max().unwrap_or(1);
    let widest = i32::try_from(widest).unwrap_or(1);
    let (cores, detected_threads) = if let Some(cores) = given(typed.cores_per_node) {
        arithmetic.push(format!("cores_per_node: {cores} as given"));
        (cores, 1)
    } else if let Some(quota) = machine.limiting_quota() {
        arithmetic.push(format!(
            "cores_per_node: {quota}, since the cgroup's quota is {} of {logical} CPUs",
            machine.cpu_quota.unwrap_or_default()
        ));
        (quota, 1)
    } else {
        arithmetic.push(format!(
            "cores_per_node: {physical} physical cores detected, with {logical} hardware threads"
        ));
        (physical, widest)
    };
    let threads = given(typed.threads_per_core).unwrap_or(detected_threads);
    let how = if given(typed.threads_per_core).is_some() {
        "as given"
    } else if given(typed.cores_per_node).is_some() {
        "since `cores_per_node` is given"
    } else {
        "detected"
    };
    arithmetic.push(format!("threads_per_core: {threads} {how}"));
    let is_detected = given(typed.cores_per_node).or(given(typed.threads_per_core)).is_none();
    let is_uneven = is_detected && cores == physical && threads == widest && cores * widest > logical;
    Node { cores, threads, uneven_threads: is_uneven.then_some(logical) }
}

/// Workers for which there are GPUs, where GPUs are asked for.
fn gpu_limit(
    typed: &TaskDistribution,
    gpus_per_task: i32,
    machine: &Machine,
    arithmetic: &mut Vec<String>,
) -> Result<Option<i32>, PlanError> {
    if gpus_per_task == 0 {
        return Ok(None);
    }
    let detected = machine.gpu_count().filter(|&gpus| gpus > 0);
    let Some(gpus_per_node) = given(typed.gpus_per_node).or(detected) else {
        return Err(impossible(
            format!("gpus_per_task is {gpus_per_task}, and no GPU was found on this machine"),
            "leave out `gpus_per_task`, or give `gpus_per_node`".to_owned(),
        ));
    };
    if let Some(detected) = detected.filter(|&detected| gpus_per_node > detected) {
        return Err(impossible(
            format!("gpus_per_node is {gpus_per_node}, and this machine has {detected}"),
            format!("give {detected} or fewer, or 0 to take all"),
        ));
    }
    let workers = gpus_per_node / gpus_per_task;
    if workers == 0 {
        return Err(impossible(
            format!(
                "floor(gpus_per_node / gpus_per_task) = floor({gpus_per_node} / {gpus_per_task}) = 0 workers"
            ),
            format!("give a `gpus_per_task` of {gpus_per_node} or fewer"),
        ));
    }
    let how = if given(typed.gpus_per_node).is_some() { "as given" } else { "detected" };
    arithmetic.push(format!("gpus_per_node: {gpus_per_node} {how}"));
    arithmetic.push(format!("workers by GPUs: floor({gpus_per_node} / {gpus_per_task}) = {workers}"));
    Ok(Some(workers))
}

/// Cores a task holds, and the workers that the cores allow.
fn share_cores(
    typed: &TaskDistribution,
    node: &Node,
    gpu_limit: Option<i32>,
    arithmetic: &mut Vec<String>,
) -> Result<(i32, i64), PlanError> {
    let (cores, threads) = (node.cores, node.threads);
    let without_gpus = i64::from(cores) * i64::from(threads);
    let limiting_gpus = gpu_limit.filter(|&gpus| i64::from(gpus) < without_gpus);
    let cores_per_task = match (given(typed.cores_per_task), limiting_gpus) {
        (Some(cores_per_task), _) => {
            arithmetic.push(format!("cores_per_task: {cores_per_task} as given"));
            cores_per_task
        }
        (None, Some(gpus)) => {
            let share = (cores / gpus).max(1);
            arithmetic.push(format!(
                "cores_per_task: floor({cores} / {gpus}) = {share}, as the GPUs limit the workers \
                 and it is not given"
            ));
            share
        }
        (None, None) => {
            arithmetic.push("cores_per_task: 1 by default".to_owned());
            1
        }
    };
    if cores_per_task > cores {
        return Err(impossible(
            format!("floor(cores_per_node / cores_per_task) = floor({cores} / {cores_per_task}) = 0 workers"),
            format!("give a `cores_per_task` of {cores} or fewer"),
        ));
    }
    if let Some(logical) = node.uneven_threads.filter(|_| cores_per_task == 1) {
        arithmetic.push(format!(
            "workers by cores: {logical}, one for each hardware thread, as cores differ in how \
             many they have"
        ));
        return Ok((1, logical.into()));
    }
    let workers = i64::from(cores / cores_per_task) * i64::from(threads);
    arithmetic.push(format!("workers by cores: floor({cores} / {cores_per_task}) × {threads} = {workers}"));
    Ok((cores_per_task, workers))
}
