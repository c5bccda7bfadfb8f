//! Which attempts are known, a bit for each.

use std::collections::{BTreeMap, HashMap};

use ictasks_core::attempt::Outcome;

/// Tasks that a block of bits stands for.
const BLOCK: i64 = 4096;

type Blocks = BTreeMap<i64, Box<[u64; 64]>>;

/// A set of attempts. Most tasks have one, so there is a set of tasks for each number of attempt.
#[derive(Clone, Debug, Default)]
pub(crate) struct AttemptSet(HashMap<i32, Blocks>);

impl AttemptSet {
    pub(crate) fn insert(&mut self, task: i64, attempt: i32) {
        let blocks = self.0.entry(attempt).or_default();
        let block = blocks.entry(task.div_euclid(BLOCK)).or_insert_with(|| Box::new([0; 64]));
        let (word, bit) = place(task);
        block[word] |= bit;
    }

    pub(crate) fn contains(&self, task: i64, attempt: i32) -> bool {
        let (word, bit) = place(task);
        let block = self.0.get(&attempt).and_then(|blocks| blocks.get(&task.div_euclid(BLOCK)));
        block.is_some_and(|block| block[word] & bit != 0)
    }

    /// The attempts that are in this set and not in the other, as task and attempt.
    pub(crate) fn without<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = (i64, i32)> + 'a {
        let all = self.0.iter().flat_map(|(attempt, blocks)| {
            blocks.iter().flat_map(move |(block, words)| {
                let bits = (0..BLOCK).filter(move |place_in| {
                    let (word, bit) = place(*place_in);
                    words[word] & bit != 0
                });
                bits.map(move |place_in| (block * BLOCK + place_in, *attempt))
            })
        });
        all.filter(|(task, attempt)| !other.contains(*task, *attempt))
    }
}

fn place(task: i64) -> (usize, u64) {
    let place = usize::try_from(task.rem_euclid(BLOCK)).unwrap_or(0);
    (place / 64, 1 << (place % 64))
}

/// What is known of attempts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    pub(crate) started: AttemptSet,
    /// Attempts with an end, and attempt 0 of tasks that are known to be pending.
    pub(crate) ended: AttemptSet,
    /// Of those, the ones of which the record says that their node was lost.
    lost: AttemptSet,
    succeeded: AttemptSet,
}

impl Known {
    /// Takes note of a row that tells how an attempt ended.
    pub(crate) fn ended(&mut self, task: i64, attempt: i32, outcome: Outcome) {
        self.ended.insert(task, attempt);
        match outcome {
            Outcome::NodeLost => self.lost.insert(task, attempt),
            Outcome::Succeeded => self.succeeded.insert(task, attempt),
            _ => {}
        }
    }

    /// Whether an end of an attempt tells something new: there was none, or the node was
    /// given up before its log could be read, and the log knows of a success.
    pub(crate) fn is_news(&self, task: i64, attempt: i32, outcome: Outcome) -> bool {
        let of_a_lost_node = outcome == Outcome::Succeeded
            && self.lost.contains(task, attempt)
            && !self.succeeded.contains(task, attempt);
        of_a_lost_node || !self.ended.contains(task, attempt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_of_far_tasks_are_told_apart() {
        let (mut all, mut some) = (AttemptSet::default(), AttemptSet::default());
        let attempts = [(0, 1), (63, 1), (64, 1), (64, 2), (4095, 1), (4096, 1), (1 << 40, 3), (-1, 1)];
        for (task, attempt) in attempts {
            assert!(!all.contains(task, attempt));
            all.insert(task, attempt);
            assert!(all.contains(task, attempt));
        }
        some.insert(64, 2);
        let mut left: Vec<_> = all.without(&some).collect();
        left.sort_unstable();
        assert_eq!(left, [(-1, 1), (0, 1), (63, 1), (64, 1), (4095, 1), (4096, 1), (1 << 40, 3)]);
    }

    #[test]
    fn a_success_is_news_of_a_lost_node_once() {
        let mut known = Known::default();
        assert!(known.is_news(1, 1, Outcome::NodeLost));
        known.ended(1, 1, Outcome::NodeLost);
        assert!(!known.is_news(1, 1, Outcome::Failed));
        assert!(known.is_news(1, 1, Outcome::Succeeded));
        known.ended(1, 1, Outcome::Succeeded);
        assert!(!known.is_news(1, 1, Outcome::Succeeded));
    }
}
