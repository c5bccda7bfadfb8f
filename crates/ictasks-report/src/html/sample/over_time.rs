//! Time, cores and workers of a made-up run.

use super::{Dice, Size, distribution, host_name};
use crate::findings::*;

pub fn time(lines: &[TaskLine]) -> TimeFindings {
    TimeFindings {
        makespan_s: 12_000.0,
        lower_bound_s: Some(9_800.0),
        scheduling_efficiency_fraction: Some(0.817),
        list_scheduling_bound_s: Some(13_700.0),
        longest_first_s: Some(10_050.0),
        tail_s: Some(2_900.0),
        tail_idle_core_s: Some(190_000.0),
        tail_tasks: lines.iter().take(5).cloned().collect(),
        dispatch_gap_median_s: Some(0.004),
        dispatch_gap_core_s: 310.0,
        starved_core_s: 0.0,
        wait_median_s: Some(3_100.0),
    }
}

pub fn cores() -> CoreFindings {
    let part = |name: &str, core_s: f64| CorePart { name: name.to_owned(), core_s };
    CoreFindings {
        core_count: 128,
        worker_count: 16,
        available_core_s: 1_000_000.0,
        occupied_core_s: 740_000.0,
        cpu_s: Some(570_000.0),
        useful_core_s: 640_000.0,
        occupancy_fraction: Some(0.74),
        cpu_efficiency_fraction: Some(0.77),
        cpu_utilisation_fraction: Some(0.57),
        goodput_fraction: Some(0.865),
        load_balance_fraction: Some(0.71),
        parts: vec![
            part("useful: computing", 500_000.0),
            part("useful: waiting (I/O, sleep)", 140_000.0),
            part("failed", 40_000.0),
            part("timed out", 60_000.0),
            part("idle: tail", 190_000.0),
            part("idle: start, end and other", 70_000.0),
        ],
    }
}

pub fn concurrency(size: Size, dice: &mut Dice) -> Concurrency {
    let at = |step: usize| step as f64 / size.steps as f64;
    Concurrency {
        step_s: 12_000.0 / size.steps as f64,
        available: (0..size.steps).map(|step| if at(step) < 0.4 { 64.0 } else { 128.0 }).collect(),
        busy: (0..size.steps)
            .map(|step| {
                let full = if at(step) < 0.4 { 64.0 } else { 128.0 };
                let tail = ((1.0 - at(step)) / 0.25).min(1.0);
                full * (0.95 - 0.08 * dice.next()) * tail.powf(1.5)
            })
            .collect(),
        queued: (0..size.steps).map(|step| (size.tasks as f64 * (0.9 - 1.2 * at(step))).max(0.0)).collect(),
        session_starts_s: vec![0.0, 4_800.0],
    }
}

pub fn workers(size: Size, dice: &mut Dice) -> WorkerFindings {
    let span_s = 12_000.0;
    let steps = if size.bars_are_all { 0 } else { size.steps };
    let mut rows = Vec::new();
    for row in 0..size.rows {
        let end = steps as f64 * (0.75 + 0.25 * dice.next());
        let name = if size.bars_are_all {
            format!("{}/{}", host_name(row / 8), row % 8)
        } else {
            format!("{}/0 – {}/7", host_name(row * 15), host_name(row * 15 + 14))
        };
        let busy =
            |step: usize, share: f64| if (step as f64) < end { 255 - (60.0 * share) as u8 } else { 20 };
        let busy_by_step = (0..steps).map(|step| busy(step, dice.next())).collect();
        rows.push(WorkerRow { name, worker_count: if size.bars_are_all { 1 } else { 120 }, busy_by_step });
    }
    let outcomes = [
        "succeeded",
        "succeeded",
        "succeeded",
        "succeeded",
        "succeeded",
        "succeeded",
        "failed",
        "timed_out",
        "node_lost",
    ];
    let each = size.bars.div_ceil(size.rows);
    let mut bars = Vec::new();
    for number in 0..size.bars {
        let (row, place) = (number / each, number % each);
        let length = span_s / each as f64;
        let start_s = length * place as f64;
        bars.push(WorkerBar {
            row,
            start_s,
            end_s: start_s + length * (0.5 + 0.49 * dice.next()),
            outcome: outcomes[dice.below(outcomes.len())].to_owned(),
            task_id: format!("mesh-{number}"),
        });
    }
    WorkerFindings {
        span_s,
        busy: distribution(size.rows as i64, 7_000.0, 12_000.0),
        rows,
        bars,
        bars_are_all: size.bars_are_all,
    }
}

pub fn more_cores() -> MoreCores {
    let point = |factor: f64| MoreCoresPoint {
        factor,
        core_count: 128.0 * factor,
        makespan_s: 4_000.0 + 8_000.0 / factor,
        occupancy_fraction: (0.95 / factor.max(1.0)).min(1.0),
    };
    MoreCores { points: [0.5, 1.0, 2.0, 4.0, 8.0, 16.0].map(point).to_vec(), saturation_core_count: 185.0 }
}
