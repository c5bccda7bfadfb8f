//! How many tasks an agent holds beyond those that run.
//!
//! The next task must be there when a slot becomes free, but what waits at one agent cannot run
//! elsewhere: the read-ahead is task rate × round trip, and none where the median task is long
//! against the round trip.

/// Tasks at least this long need no read-ahead, seconds.
const LONG_TASK_S: f64 = 0.5;
/// From a reply of the agent to the next order, with the pauses of both sides, seconds.
const ROUND_TRIP_S: f64 = 0.02;
/// What a task costs beside its own time, seconds.
const OVERHEAD_S: f64 = 0.0002;
/// Durations that the median is taken over.
const REMEMBERED: usize = 32;
const LARGEST: usize = 8192;

/// Learns from the durations of the last tasks.
#[derive(Clone, Debug)]
pub struct Window {
    workers: usize,
    durations_s: Vec<f64>,
    next: usize,
}

impl Window {
    /// For an agent with this many workers.
    pub fn new(workers: usize) -> Self {
        Self { workers, durations_s: Vec::with_capacity(REMEMBERED), next: 0 }
    }

    /// A task took this long.
    pub fn learn(&mut self, wall_s: f64) {
        if self.durations_s.len() < REMEMBERED {
            self.durations_s.push(wall_s);
        } else {
            self.durations_s[self.next] = wall_s;
            self.next = (self.next + 1) % REMEMBERED;
        }
    }

    /// Tasks that the agent should hold, running ones included.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub fn size(&self) -> usize {
        let Some(median_s) = self.median_s() else { return self.workers * 2 };
        if median_s >= LONG_TASK_S {
            return self.workers;
        }
        let rate = self.workers as f64 / (median_s + OVERHEAD_S);
        self.workers + ((rate * ROUND_TRIP_S).ceil() as usize).clamp(1, LARGEST)
    }

    fn median_s(&self) -> Option<f64> {
        let mut sorted = self.durations_s.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_tasks_are_not_read_ahead() {
        let mut window = Window::new(4);
        window.learn(3600.0);
        assert_eq!(window.size(), 4);
    }

    #[test]
    fn short_tasks_are_read_ahead_by_rate_times_round_trip() {
        let mut window = Window::new(4);
        window.learn(0.0008);
        assert_eq!(window.size(), 4 + 80);
    }

    #[test]
    fn one_long_task_among_short_ones_changes_little() {
        let mut window = Window::new(4);
        for wall_s in [0.0008, 0.0008, 3600.0, 0.0008, 0.0008] {
            window.learn(wall_s);
        }
        assert_eq!(window.size(), 4 + 80);
    }
}
