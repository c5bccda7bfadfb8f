//! Which process and thread of a trace an attempt belongs to.
//!
//! Events of one thread must not overlap. Attempts of one worker do not; but a host whose clock was
//! set, or on which two agents ran at a time, may have attempts of one worker number that do: such a
//! worker has several lanes.

use std::collections::HashMap;

use crate::moment::Moment;

/// Microseconds by which neighbours may overlap: times are rounded.
const ROUNDING_US: i64 = 10;

/// Processes by host, threads by worker and lane.
pub(super) struct Lanes {
    processes: HashMap<String, u32>,
    first_process: u32,
    workers: HashMap<(u32, i64), Vec<(u32, Moment)>>,
    threads: u32,
}

/// Where an event goes.
pub(super) struct Lane {
    /// Its thread, unique in the trace.
    pub(super) thread: u32,
    /// Which lane of its worker, from 1.
    pub(super) number: usize,
    /// Whether nothing has used it before.
    pub(super) is_new: bool,
    /// The end of what used it before.
    pub(super) free_at: Moment,
}

impl Lanes {
    /// Processes and threads are numbered from these on.
    pub(super) fn new(first_process: u32, first_thread: u32) -> Self {
        Self { processes: HashMap::new(), first_process, workers: HashMap::new(), threads: first_thread }
    }

    /// The process of a host, and whether it is new.
    pub(super) fn process(&mut self, host: &str) -> (u32, bool) {
        if let Some(process) = self.processes.get(host) {
            return (*process, false);
        }
        let process = self.first_process + u32::try_from(self.processes.len()).unwrap_or(u32::MAX / 2);
        self.processes.insert(host.to_owned(), process);
        (process, true)
    }

    /// The first lane of a worker that is free when the attempt starts. Attempts come in the order in
    /// which they ended.
    pub(super) fn lane(&mut self, process: u32, worker: i64, start: Moment, end: Moment) -> Lane {
        let lanes = self.workers.entry((process, worker)).or_default();
        for (place, (thread, last)) in lanes.iter_mut().enumerate() {
            if start.0.saturating_add(ROUNDING_US) >= last.0 {
                let free_at = std::mem::replace(last, end.max(*last));
                return Lane { thread: *thread, number: place + 1, is_new: false, free_at };
            }
        }
        let thread = self.threads;
        self.threads += 1;
        lanes.push((thread, end));
        Lane { thread, number: lanes.len(), is_new: true, free_at: start }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_overlaps_has_a_lane_of_its_own() {
        let mut lanes = Lanes::new(2, 2);
        assert_eq!(lanes.process("c1"), (2, true));
        assert_eq!(lanes.process("c2"), (3, true));
        assert_eq!(lanes.process("c1"), (2, false));
        let mut place = |worker, start, end| {
            let lane = lanes.lane(2, worker, Moment(start), Moment(end));
            (lane.thread, lane.number, lane.is_new, lane.free_at.0)
        };
        assert_eq!(place(0, 0, 100), (2, 1, true, 0));
        assert_eq!(place(0, 99, 200), (2, 1, false, 100));
        assert_eq!(place(0, 150, 250), (3, 2, true, 150));
        assert_eq!(place(0, 200, 300), (2, 1, false, 200));
        assert_eq!(place(1, 0, 50), (4, 1, true, 0));
    }
}
