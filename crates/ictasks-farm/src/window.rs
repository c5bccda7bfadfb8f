//! How many tasks an agent holds beyond those that run.
//!
//! The next task must be there when a slot becomes free, but what waits at one agent cannot run
//! elsewhere: the read-ahead is task rate × round trip, and none where the median task is long
//! against the round trip.

use ictasks_core::protocol::LONGEST_PAUSE;

/// Tasks at least this long need no read-ahead, seconds.
const LONG_TASK_S: f64 = 0.5;
/// From a reply of the agent to the next order, with the pauses of both sides, seconds.
const ROUND_TRIP_S: f64 = 0.05;
/// The agent pauses for half of what it holds at most, so that it never runs out of orders while it does.
const _: () = assert!(ROUND_TRIP_S >= 2.0 * LONGEST_PAUSE.as_secs_f64());
/// What a task costs beside its own time, seconds.
const OVERHEAD_S: f64 = 0.0002;
/// Durations that the median is taken over.
const REMEMBERED: usize = 32;
/// What all agents together read ahead at most: more than the coordinator itself hands out in the time.
pub const LARGEST: usize = 8192;

/// Learns from the durations of the last tasks.
#[derive(Clone, Debug)]
pub struct Window {
    workers: usize,
    /// In the order in which they came, the oldest at `next` once there are enough.
    durations_s: Vec<f64>,
    next: usize,
    /// The same from the shortest to the longest.
    sorted_s: Vec<f64>,
    size: usize,
}

impl Window {
    /// For an agent with this many workers.
    pub fn new(workers: usize) -> Self {
        Self {
            workers,
            durations_s: Vec::with_capacity(REMEMBERED),
            next: 0,
            sorted_s: Vec::with_capacity(REMEMBERED),
            size: workers * 2,
        }
    }

    /// A task took this long.
    pub fn learn(&mut self, wall_s: f64) {
        if self.durations_s.len() < REMEMBERED {
            self.durations_s.push(wall_s);
        } else {
            let oldest_s = std::mem::replace(&mut self.durations_s[self.next], wall_s);
            self.next = (self.next + 1) % REMEMBERED;
            self.sorted_s.remove(self.place_of(oldest_s));
        }
        self.sorted_s.insert(self.place_of(wall_s), wall_s);
        self.size = self.size_for(self.sorted_s[self.sorted_s.len() / 2]);
    }

    /// Whether the duration of any task is known.
    pub const fn has_learnt(&self) -> bool {
        !self.durations_s.is_empty()
    }

    /// Tasks that the agent should hold, running ones included.
    pub const fn size(&self) -> usize {
        self.size
    }

    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn size_for(&self, median_s: f64) -> usize {
        if median_s >= LONG_TASK_S {
            return self.workers;
        }
        let rate = self.workers as f64 / (median_s + OVERHEAD_S);
        self.workers + ((rate * ROUND_TRIP_S).ceil() as usize).clamp(1, LARGEST)
    }

    /// How many of the sorted ones are shorter.
    fn place_of(&self, wall_s: f64) -> usize {
        self.sorted_s.partition_point(|other_s| other_s.total_cmp(&wall_s).is_lt())
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
        assert_eq!(window.size(), 4 + 200);
    }

    #[test]
    fn one_long_task_among_short_ones_changes_little() {
        let mut window = Window::new(4);
        for wall_s in [0.0008, 0.0008, 3600.0, 0.0008, 0.0008] {
            window.learn(wall_s);
        }
        assert_eq!(window.size(), 4 + 200);
    }

    #[test]
    fn only_the_last_durations_count() {
        let mut window = Window::new(4);
        let wall_s = |number: u32| f64::from(number * 7919 % 101) / 300.0;
        for number in 0..200 {
            window.learn(wall_s(number));
            let mut last: Vec<f64> = (0..=number).rev().take(REMEMBERED).map(wall_s).collect();
            last.sort_by(f64::total_cmp);
            assert_eq!(window.sorted_s, last);
            assert_eq!(window.size(), window.size_for(last[last.len() / 2]));
        }
    }
}
