//! Busy workers and cores over time, from the begin and end of each attempt.

use crate::moment::Moment;

/// Steps of a counter, at most about this many: more cannot be seen.
const STEPS: i64 = 100_000;

/// Begins and ends; 16 bytes each.
#[derive(Default)]
pub(super) struct Busy {
    /// When, and how many cores more.
    changes: Vec<(Moment, i32)>,
}

impl Busy {
    /// An attempt that held so many cores.
    pub(super) fn add(&mut self, start: Moment, end: Moment, cores: i64) {
        let cores = i32::try_from(cores).unwrap_or(i32::MAX).max(1);
        self.changes.extend([(start, cores), (end, -cores)]);
    }

    /// Hands out the number of busy workers and cores from each instant on. Of a long run with many
    /// tasks not each change: the figures are right for their instants.
    pub(super) fn steps<E>(
        mut self,
        mut take: impl FnMut(Moment, i64, i64) -> Result<(), E>,
    ) -> Result<(), E> {
        self.changes.sort_unstable();
        let (Some(first), Some(last)) = (self.changes.first(), self.changes.last()) else { return Ok(()) };
        let step = (last.0.0 - first.0.0) / STEPS;
        let mut told_at = None;
        let (mut workers, mut cores) = (0, 0);
        let count = self.changes.len();
        for (place, (at, change)) in self.changes.iter().enumerate() {
            workers += i64::from(change.signum());
            cores += i64::from(*change);
            let next = self.changes.get(place + 1).map(|(next, _)| *next);
            let is_due = told_at.is_none_or(|told: Moment| at.0 - told.0 >= step);
            if (is_due && next != Some(*at)) || place + 1 == count {
                take(*at, workers, cores)?;
                told_at = Some(*at);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(busy: Busy) -> Vec<(i64, i64, i64)> {
        let mut steps = Vec::new();
        let taken: Result<(), ()> = busy.steps(|at, workers, cores| {
            steps.push((at.0, workers, cores));
            Ok(())
        });
        taken.unwrap();
        steps
    }

    #[test]
    fn counts_at_each_change() {
        let mut busy = Busy::default();
        busy.add(Moment(0), Moment(10), 2);
        busy.add(Moment(5), Moment(10), 4);
        busy.add(Moment(10), Moment(12), 2);
        assert_eq!(steps(busy), [(0, 1, 2), (5, 2, 6), (10, 1, 2), (12, 0, 0)]);
        assert_eq!(steps(Busy::default()), []);
    }

    #[test]
    fn many_changes_become_few_steps_that_end_at_zero() {
        let mut busy = Busy::default();
        for number in 0..300_000 {
            busy.add(Moment(number * 1000), Moment(number * 1000 + 999), 1);
        }
        let steps = steps(busy);
        assert!((50_000..=100_002).contains(&steps.len()), "{}", steps.len());
        assert_eq!(steps.last(), Some(&(299_999_999, 0, 0)));
    }
}
