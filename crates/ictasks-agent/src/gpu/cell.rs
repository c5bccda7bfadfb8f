//! How a slot gets what was seen of the GPUs of its task: a part of its cell of shared memory.
//!
//! The monitor alone writes, always every figure and last of all which task they are of; so what a
//! slot reads under the number of its own task is of that task. Nothing is locked, and a slot
//! whose tasks use no GPU loads one number.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use ictasks_core::attempt::Usage;

/// No bytes are known.
const UNKNOWN_BYTES: i64 = -1;
/// How much of a task's time the energy must cover, to be called the task's.
const COVERED_FRACTION: f64 = 0.9;

/// What was seen of the GPUs of one task. Zero bytes mean: of none yet.
#[derive(Default)]
pub struct GpuCell {
    sequence: AtomicU64,
    busy_fraction: AtomicU64,
    memory_bytes: AtomicI64,
    memory_max_bytes: AtomicI64,
    energy_j: AtomicU64,
    energy_from_ns: AtomicI64,
    energy_to_ns: AtomicI64,
}

/// The figures of one task.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct GpuFigures {
    /// Mean share of the time that its GPUs were busy.
    pub busy_fraction: Option<f64>,
    /// GPU memory of its processes when they were last looked at.
    pub memory_bytes: Option<i64>,
    /// The largest of these.
    pub memory_max_bytes: Option<i64>,
    /// What its GPUs used within a part of its time.
    pub energy: Option<Energy>,
}

/// Energy between two readings of the devices' counters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Energy {
    /// Joules.
    pub joules: f64,
    /// The first reading, by the monotonic clock.
    pub from_ns: i64,
    /// The last one.
    pub to_ns: i64,
}

impl Energy {
    /// The joules, if the readings cover nearly all of a task that ran from `started_ns` to
    /// `ended_ns`: else they are not the task's.
    #[allow(clippy::cast_precision_loss)]
    pub fn of_whole_task(&self, started_ns: i64, ended_ns: i64) -> Option<f64> {
        let covered = (self.to_ns - self.from_ns) as f64;
        let whole = (ended_ns - started_ns) as f64;
        (whole > 0.0 && covered >= whole * COVERED_FRACTION).then_some(self.joules)
    }
}

impl GpuFigures {
    /// Adds them to what a task used that ran from `started_ns` to `ended_ns`.
    pub fn fill(&self, usage: &mut Usage, started_ns: i64, ended_ns: i64) {
        usage.gpu_busy_fraction = self.busy_fraction;
        usage.gpu_memory_max_bytes = self.memory_max_bytes;
        usage.gpu_energy_j = self.energy.and_then(|energy| energy.of_whole_task(started_ns, ended_ns));
    }
}

impl GpuCell {
    /// Puts in the figures of the task `sequence`.
    pub fn write(&self, sequence: u64, figures: &GpuFigures) {
        let energy = figures.energy.unwrap_or(Energy { joules: f64::NAN, from_ns: 0, to_ns: 0 });
        let busy = figures.busy_fraction.unwrap_or(f64::NAN);
        self.busy_fraction.store(busy.to_bits(), Ordering::Relaxed);
        self.memory_bytes.store(figures.memory_bytes.unwrap_or(UNKNOWN_BYTES), Ordering::Relaxed);
        self.memory_max_bytes.store(figures.memory_max_bytes.unwrap_or(UNKNOWN_BYTES), Ordering::Relaxed);
        self.energy_j.store(energy.joules.to_bits(), Ordering::Relaxed);
        self.energy_from_ns.store(energy.from_ns, Ordering::Relaxed);
        self.energy_to_ns.store(energy.to_ns, Ordering::Relaxed);
        self.sequence.store(sequence, Ordering::Release);
    }

    /// The figures of the task `sequence`, where there are some.
    pub fn read(&self, sequence: u64) -> GpuFigures {
        if self.sequence.load(Ordering::Acquire) != sequence {
            return GpuFigures::default();
        }
        let fraction = |cell: &AtomicU64| {
            Some(f64::from_bits(cell.load(Ordering::Relaxed))).filter(|number| !number.is_nan())
        };
        let bytes = |cell: &AtomicI64| Some(cell.load(Ordering::Relaxed)).filter(|bytes| *bytes >= 0);
        GpuFigures {
            busy_fraction: fraction(&self.busy_fraction),
            memory_bytes: bytes(&self.memory_bytes),
            memory_max_bytes: bytes(&self.memory_max_bytes),
            energy: fraction(&self.energy_j).map(|joules| Energy {
                joules,
                from_ns: self.energy_from_ns.load(Ordering::Relaxed),
                to_ns: self.energy_to_ns.load(Ordering::Relaxed),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_of_the_task_that_they_were_written_for() {
        let cell = GpuCell::default();
        assert_eq!(cell.read(1), GpuFigures::default());
        let figures = GpuFigures {
            busy_fraction: Some(0.5),
            memory_bytes: None,
            memory_max_bytes: Some(7),
            energy: Some(Energy { joules: 3.0, from_ns: 1, to_ns: 9 }),
        };
        cell.write(1, &figures);
        assert_eq!(cell.read(1), figures);
        assert_eq!(cell.read(3), GpuFigures::default());
        cell.write(3, &GpuFigures::default());
        assert_eq!(cell.read(3), GpuFigures::default());
    }

    #[test]
    fn energy_of_a_part_is_not_the_tasks() {
        let energy = Energy { joules: 3.0, from_ns: 5, to_ns: 100 };
        assert_eq!(energy.of_whole_task(0, 100), Some(3.0));
        assert_eq!(energy.of_whole_task(0, 110), None);
        assert_eq!(energy.of_whole_task(7, 7), None);
    }
}
