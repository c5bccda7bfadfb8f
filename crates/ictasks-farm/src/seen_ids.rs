//! Which ids a stream has brought so far: it is read once, and an id may come once.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::hash::BuildHasher;
use std::path::PathBuf;

use ictasks_core::layout;

/// More than can be between the source and the slots.
const REMEMBERED: usize = 64 * 1024;

/// The ids that a stream has brought so far.
pub struct SeenIds(Kept);

enum Kept {
    /// A task that has begun has its directory, and those that have not are among the last
    /// [`REMEMBERED`] ids.
    Last { run_dir: PathBuf, recent: HashSet<String>, order: VecDeque<String> },
    /// Where directories tell nothing: they are from an earlier session, or go with the task. Sixteen
    /// bytes for an id that was given, and next to nothing for those that are positions.
    All { state: RandomState, given: HashSet<u64>, positions: Positions },
}

impl SeenIds {
    /// For a fresh run in `run_dir` whose tasks keep their directories.
    pub fn of_directories(run_dir: PathBuf) -> Self {
        Self(Kept::Last { run_dir, recent: HashSet::new(), order: VecDeque::new() })
    }

    /// For any other.
    pub fn of_all() -> Self {
        Self(Kept::All { state: RandomState::new(), given: HashSet::new(), positions: Positions::default() })
    }

    /// Whether this id, given or a position, came before. It has come, now.
    pub fn is_repeated(&mut self, id: &str, is_given: bool) -> bool {
        match &mut self.0 {
            Kept::All { state, given, positions } => {
                let hash = state.hash_one(id);
                let position = id.parse().ok().filter(|position: &i64| position.to_string() == id);
                match position {
                    Some(position) if !is_given => !positions.insert(position) || given.contains(&hash),
                    Some(position) => positions.contains(position) || !given.insert(hash),
                    None => !given.insert(hash),
                }
            }
            Kept::Last { run_dir, recent, order } => {
                if recent.contains(id) || layout::task_file(run_dir, id).exists() {
                    return true;
                }
                if order.len() == REMEMBERED
                    && let Some(oldest) = order.pop_front()
                {
                    recent.remove(&oldest);
                }
                recent.insert(id.to_owned());
                order.push_back(id.to_owned());
                false
            }
        }
    }
}

/// Positions, which come nearly in order: ranges of them, by their first.
#[derive(Default)]
struct Positions(BTreeMap<i64, i64>);

impl Positions {
    fn contains(&self, position: i64) -> bool {
        self.0.range(..=position).next_back().is_some_and(|(_, last)| *last >= position)
    }

    /// False if it was there already.
    fn insert(&mut self, position: i64) -> bool {
        if self.contains(position) {
            return false;
        }
        let last = self.0.remove(&(position + 1)).unwrap_or(position);
        match self.0.range_mut(..position).next_back() {
            Some((_, before)) if *before == position - 1 => *before = last,
            _ => drop(self.0.insert(position, last)),
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_id_is_known_again() {
        for mut seen in [SeenIds::of_all(), SeenIds::of_directories(PathBuf::from("/no/such/run"))] {
            for (id, is_given, is_repeated) in [
                ("a", true, false),
                ("b", true, false),
                ("a", true, true),
                ("7", false, false),
                ("7", true, true),
                ("07", true, false),
                ("8", true, false),
                ("8", false, true),
            ] {
                assert_eq!(seen.is_repeated(id, is_given), is_repeated, "{id}");
            }
        }
    }

    #[test]
    fn a_directory_tells_of_an_id_long_gone() {
        let dir = tempfile::tempdir().unwrap();
        let mut seen = SeenIds::of_directories(dir.path().to_owned());
        let file = layout::task_file(dir.path(), "a");
        std::fs::create_dir(file.parent().unwrap()).unwrap();
        std::fs::write(file, "{}").unwrap();
        assert!(seen.is_repeated("a", true));
    }

    proptest! {
        #[test]
        fn positions_are_a_set(list in prop::collection::vec(0..40_i64, 0..80)) {
            let (mut positions, mut expected) = (Positions::default(), HashSet::new());
            for position in list {
                prop_assert_eq!(positions.insert(position), expected.insert(position));
                prop_assert!((-1..41).all(|one| positions.contains(one) == expected.contains(&one)));
            }
            let mut ends: Vec<_> = positions.0.into_iter().collect();
            ends.sort_unstable();
            prop_assert!(ends.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0), "neighbours are one range");
        }
    }
}
