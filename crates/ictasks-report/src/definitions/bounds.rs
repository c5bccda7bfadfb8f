//! How short the run could have been: bounds, and list scheduling replayed.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The earliest possible end: max(W / C, max d).
pub(crate) const fn lower_bound_s(occupied_core_s: f64, core_count: f64, longest_s: f64) -> f64 {
    (occupied_core_s / core_count).max(longest_s)
}

/// The latest end that list scheduling of tasks of one worker each admits: W/C + (1 − 1/C)·max d.
/// Source: R. L. Graham, Bounds on multiprocessing timing anomalies, 1969.
pub(crate) fn list_scheduling_bound_s(occupied_core_s: f64, core_count: f64, longest_s: f64) -> f64 {
    occupied_core_s / core_count + (1.0 - 1.0 / core_count).max(0.0) * longest_s
}

/// The makespan of list scheduling: each task, in order, goes to the worker that is free first.
/// Durations in seconds. Source: Graham, as above.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub(crate) fn replay_s(durations_s: impl Iterator<Item = f64>, worker_count: usize) -> f64 {
    let workers = worker_count.max(1);
    // Whole nanoseconds compare faster than floats, and exactly.
    let mut free_at: BinaryHeap<Reverse<u64>> = BinaryHeap::with_capacity(workers);
    let mut makespan = 0;
    for duration in durations_s {
        let duration = (duration.max(0.0) * 1e9) as u64;
        let end = if free_at.len() < workers {
            free_at.push(Reverse(duration));
            duration
        } else if let Some(mut first) = free_at.peek_mut() {
            first.0 += duration;
            first.0
        } else {
            duration
        };
        makespan = makespan.max(end);
    }
    makespan as f64 / 1e9
}

/// The makespan if the longest tasks had been started first. Source: Graham, as above (LPT).
pub(crate) fn longest_first_s(durations_s: &[f64], worker_count: usize) -> f64 {
    let mut sorted = durations_s.to_vec();
    sorted.sort_unstable_by(|one, other| other.total_cmp(one));
    replay_s(sorted.into_iter(), worker_count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_go_to_the_worker_that_is_free_first() {
        // 3 | 1 then 2 then 2: 1+2 = 3 on the second, then the tie goes to one of them: 5.
        let durations = [3.0, 1.0, 2.0, 2.0];
        assert!((replay_s(durations.into_iter(), 2) - 5.0).abs() < 1e-9);
        assert!((longest_first_s(&durations, 2) - 4.0).abs() < 1e-9);
        assert!((replay_s(durations.into_iter(), 1) - 8.0).abs() < 1e-9);
        assert!((replay_s(durations.into_iter(), 10) - 3.0).abs() < 1e-9);
        assert!(replay_s(std::iter::empty(), 2).abs() < 1e-9);
        assert!((lower_bound_s(8.0, 2.0, 3.0) - 4.0).abs() < 1e-9);
        assert!((list_scheduling_bound_s(8.0, 2.0, 3.0) - 5.5).abs() < 1e-9);
    }
}
