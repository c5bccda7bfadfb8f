//! Nodes that take tasks only to fail them: what fails at once makes room for the next, so one broken node
//! could empty a list while all others work.
//!
//! A node is one if its last attempts all failed at once, many in a row, and in the same time most
//! attempts elsewhere succeeded.

use ictasks_core::attempt::Outcome;

/// An attempt that fails within this has failed at once, seconds.
const AT_ONCE_S: f64 = 5.0;
/// So many failures in a row, and so many for each worker, are many.
const MANY: i64 = 10;
const MANY_PER_WORKER: i64 = 2;

/// How attempts of the whole run have ended so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Elsewhere {
    succeeded: i64,
    failed: i64,
}

impl Elsewhere {
    pub(super) const fn new() -> Self {
        Self { succeeded: 0, failed: 0 }
    }

    pub(super) fn note(&mut self, outcome: Outcome) {
        self.succeeded += i64::from(outcome == Outcome::Succeeded);
        self.failed += i64::from(outcome.is_failure());
    }
}

/// The failures at once of a node since its last other end.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Row {
    length: i64,
    /// What had ended anywhere when it began.
    began: Elsewhere,
}

impl Row {
    /// An attempt has ended on this node, and is counted in `all` already.
    pub(super) fn note(&mut self, outcome: Outcome, wall_s: Option<f64>, all: Elsewhere) {
        if !(outcome.is_failure() && wall_s.unwrap_or(0.0) < AT_ONCE_S) {
            *self = Self { length: 0, began: all };
            return;
        }
        if self.length == 0 {
            self.began = Elsewhere { failed: all.failed - 1, ..all };
        }
        self.length += 1;
    }

    /// Why a node with so many workers should get no more tasks.
    pub(super) fn verdict(&self, workers: usize, all: Elsewhere) -> Option<String> {
        let many = MANY.max(MANY_PER_WORKER * i64::try_from(workers).unwrap_or(i64::MAX / MANY_PER_WORKER));
        if self.length < many {
            return None;
        }
        let succeeded = all.succeeded - self.began.succeeded;
        let failed = all.failed - self.began.failed - self.length;
        (succeeded > failed && succeeded >= MANY).then(|| {
            format!(
                "its last {} attempts failed at once, while elsewhere {succeeded} of {} succeeded",
                self.length,
                succeeded + failed
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many failures at once here, and after each of them these ends elsewhere.
    fn verdict(failures: usize, elsewhere: &[Outcome]) -> Option<String> {
        let (mut all, mut row) = (Elsewhere::new(), Row::default());
        for _ in 0..failures {
            all.note(Outcome::Failed);
            row.note(Outcome::Failed, Some(0.01), all);
            elsewhere.iter().for_each(|outcome| all.note(*outcome));
        }
        row.verdict(4, all)
    }

    #[test]
    fn a_node_that_fails_alone_is_a_black_hole() {
        let why = verdict(10, &[Outcome::Succeeded]).unwrap();
        assert_eq!(why, "its last 10 attempts failed at once, while elsewhere 10 of 10 succeeded");
        assert_eq!(verdict(9, &[Outcome::Succeeded]), None);
    }

    #[test]
    fn a_node_that_fails_with_all_others_is_none() {
        assert_eq!(verdict(100, &[]), None);
        assert_eq!(verdict(100, &[Outcome::Failed]), None);
        assert_eq!(verdict(100, &[Outcome::Failed, Outcome::Succeeded]), None);
    }

    #[test]
    fn a_success_or_a_late_failure_ends_the_row() {
        for (outcome, wall_s) in [(Outcome::Succeeded, 0.01), (Outcome::Failed, 60.0)] {
            let (mut all, mut row) = (Elsewhere::new(), Row::default());
            for number in 0..40 {
                let (outcome, wall_s) =
                    if number % 8 == 7 { (outcome, wall_s) } else { (Outcome::Failed, 0.01) };
                all.note(outcome);
                row.note(outcome, Some(wall_s), all);
                all.note(Outcome::Succeeded);
                assert_eq!(row.verdict(2, all), None);
            }
        }
    }
}
