//! What was seen of the GPUs of one task, from look to look.

use super::cell::{Energy, GpuFigures};

/// The driver's figure for "busy" is of up to a second that has passed: before a task is that old,
/// it may be of the task before.
const BUSY_AFTER_NS: i64 = 1_000_000_000;

/// One task's figures until now.
#[derive(Clone, Debug, Default)]
pub struct Account {
    started_ns: i64,
    busy_sum: f64,
    busy_weight: f64,
    busy_until_ns: i64,
    memory_bytes: Option<i64>,
    memory_max_bytes: Option<i64>,
    /// A process of its tree was seen whose memory the driver does not tell.
    memory_is_hidden: bool,
    first_energy: Option<(i64, u64)>,
    last_energy: Option<(i64, u64)>,
    /// A device of its could no longer be asked, so that nothing holds for its whole time.
    is_void: bool,
}

impl Account {
    /// Of a task that was started then.
    pub fn new(started_ns: i64) -> Self {
        Self { started_ns, ..Self::default() }
    }

    /// A device of its could no longer be asked.
    pub fn void(&mut self) {
        self.is_void = true;
    }

    /// The devices' counters together stood there; `None` where one has none.
    pub fn add_energy(&mut self, now_ns: i64, millijoules: Option<u64>) {
        let Some(millijoules) = millijoules else { return };
        if self.last_energy.is_some_and(|(_, before)| millijoules < before) {
            // The driver was loaded anew.
            self.first_energy = None;
        }
        self.first_energy.get_or_insert((now_ns, millijoules));
        self.last_energy = Some((now_ns, millijoules));
    }

    /// How busy its devices are on average; weighs as much as time has passed since the last one.
    #[allow(clippy::cast_precision_loss)]
    pub fn add_busy(&mut self, now_ns: i64, fraction: Option<f64>) {
        let since_ns = self.busy_until_ns.max(self.started_ns);
        let Some(fraction) = fraction.filter(|_| now_ns - self.started_ns >= BUSY_AFTER_NS) else { return };
        let weight = (now_ns - since_ns).max(1) as f64;
        self.busy_sum += fraction * weight;
        self.busy_weight += weight;
        self.busy_until_ns = now_ns;
    }

    /// Memory of its processes, each with what the driver tells of it. Where none is seen on a
    /// device nothing is known: in a container the driver's process ids may be others.
    pub fn add_memory(&mut self, processes: &[Option<i64>]) {
        self.memory_is_hidden |= processes.contains(&None);
        let sum = processes.iter().copied().collect::<Option<Vec<i64>>>();
        self.memory_bytes = sum.filter(|sizes| !sizes.is_empty()).map(|sizes| sizes.iter().sum());
        self.memory_max_bytes = self.memory_max_bytes.max(self.memory_bytes);
    }

    /// The figures as far as they are known.
    #[allow(clippy::cast_precision_loss)]
    pub fn figures(&self) -> GpuFigures {
        if self.is_void {
            return GpuFigures::default();
        }
        let energy = self.first_energy.zip(self.last_energy).map(|((from_ns, first), (to_ns, last))| {
            Energy { joules: (last - first) as f64 / 1000.0, from_ns, to_ns }
        });
        GpuFigures {
            busy_fraction: (self.busy_weight > 0.0).then(|| self.busy_sum / self.busy_weight),
            memory_bytes: self.memory_bytes,
            memory_max_bytes: self.memory_max_bytes.filter(|_| !self.memory_is_hidden),
            energy,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn busy_is_the_mean_over_time_and_not_of_the_task_before() {
        let mut account = Account::new(SECOND);
        account.add_busy(SECOND + SECOND / 2, Some(1.0));
        assert_eq!(account.figures().busy_fraction, None);
        account.add_busy(2 * SECOND, Some(0.5));
        account.add_busy(3 * SECOND, None);
        account.add_busy(5 * SECOND, Some(0.9));
        let busy = account.figures().busy_fraction.unwrap();
        assert!((busy - 0.8).abs() < 1e-9, "{busy}");
    }

    #[test]
    fn memory_is_that_of_the_processes_that_were_seen() {
        let mut account = Account::new(0);
        account.add_memory(&[]);
        assert_eq!(account.figures().memory_max_bytes, None);
        account.add_memory(&[Some(5), Some(6)]);
        account.add_memory(&[Some(3)]);
        assert_eq!(account.figures().memory_max_bytes, Some(11));
        assert_eq!(account.figures().memory_bytes, Some(3));
        account.add_memory(&[Some(3), None]);
        assert_eq!((account.figures().memory_max_bytes, account.figures().memory_bytes), (None, None));
    }

    #[test]
    fn energy_is_a_difference_of_the_counters() {
        let mut account = Account::new(0);
        account.add_energy(1, None);
        assert_eq!(account.figures().energy, None);
        account.add_energy(2, Some(5_000));
        account.add_energy(9, Some(7_500));
        assert_eq!(account.figures().energy, Some(Energy { joules: 2.5, from_ns: 2, to_ns: 9 }));
        // Counting begins anew, and what was before is not known.
        account.add_energy(12, Some(100));
        assert_eq!(account.figures().energy, Some(Energy { joules: 0.0, from_ns: 12, to_ns: 12 }));
    }

    #[test]
    fn a_lost_device_leaves_nothing() {
        let mut account = Account::new(0);
        account.add_memory(&[Some(5)]);
        account.add_energy(2, Some(5_000));
        account.void();
        assert_eq!(account.figures(), GpuFigures::default());
    }
}
