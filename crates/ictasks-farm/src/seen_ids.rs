//! Which ids a stream has brought so far: it is read once, and an id may come once.

use std::collections::hash_map::RandomState;
use std::collections::{HashSet, VecDeque};
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
    /// Sixteen bytes an id, where directories tell nothing: they are from an earlier session, or go
    /// with the task.
    All { state: RandomState, hashes: HashSet<u64> },
}

impl SeenIds {
    /// For a fresh run in `run_dir` whose tasks keep their directories.
    pub fn of_directories(run_dir: PathBuf) -> Self {
        Self(Kept::Last { run_dir, recent: HashSet::new(), order: VecDeque::new() })
    }

    /// For any other.
    pub fn of_all() -> Self {
        Self(Kept::All { state: RandomState::new(), hashes: HashSet::new() })
    }

    /// Whether this id came before. It has come, now.
    pub fn is_repeated(&mut self, id: &str) -> bool {
        match &mut self.0 {
            Kept::All { state, hashes } => !hashes.insert(state.hash_one(id)),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_known_again() {
        for mut seen in [SeenIds::of_all(), SeenIds::of_directories(PathBuf::from("/no/such/run"))] {
            assert!(!seen.is_repeated("a"));
            assert!(!seen.is_repeated("b"));
            assert!(seen.is_repeated("a"));
        }
    }

    #[test]
    fn a_directory_tells_of_an_id_long_gone() {
        let dir = tempfile::tempdir().unwrap();
        let mut seen = SeenIds::of_directories(dir.path().to_owned());
        let file = layout::task_file(dir.path(), "a");
        std::fs::create_dir(file.parent().unwrap()).unwrap();
        std::fs::write(file, "{}").unwrap();
        assert!(seen.is_repeated("a"));
    }
}
