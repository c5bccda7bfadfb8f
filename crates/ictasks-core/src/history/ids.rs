//! Ids of tasks: those that the record has, and those that come to be in a resumed run.

use std::collections::HashSet;

/// The ids of the record that are not the positions of their tasks.
#[derive(Clone, Debug, Default)]
pub(super) struct GivenIds {
    text: String,
    /// Position of the task, where its id begins in `text`, and its length.
    places: Vec<(u32, u32, u32)>,
}

impl GivenIds {
    /// Takes note of the id of a task, unless it is its position.
    pub(super) fn add(&mut self, task_index: u32, id: &str) {
        if position(id) == Some(task_index.into()) {
            return;
        }
        if let (Ok(start), Ok(length)) = (u32::try_from(self.text.len()), u32::try_from(id.len())) {
            self.text.push_str(id);
            self.places.push((task_index, start, length));
        }
    }

    /// To be called once all have been added.
    pub(super) fn sort(&mut self) {
        self.places.sort_unstable();
        self.places.dedup_by_key(|(task_index, ..)| *task_index);
    }

    /// The id of a task; `None` if that is its position.
    pub(super) fn of(&self, task_index: u32) -> Option<&str> {
        let place = self.places.binary_search_by_key(&task_index, |(task_index, ..)| *task_index).ok()?;
        let (_, start, length) = self.places[place];
        self.text.get(start as usize..start as usize + length as usize)
    }
}

/// The ids of tasks that are not in the record. Positions as ids and ids that were given must not
/// be the same: two tasks would share a directory.
#[derive(Clone, Debug, Default)]
pub(super) struct NewIds {
    /// Given ids that are positions which no task had when they came.
    given: HashSet<i64>,
    /// Positions that are ids, as ranges in order: from, to and without.
    placed: Vec<(i64, i64)>,
}

impl NewIds {
    /// Takes note of a given id; `next_index` is the first position that no task has. False if it
    /// is the id of another task.
    pub(super) fn give(&mut self, id: &str, next_index: i64) -> bool {
        let Some(position) = position(id) else { return true };
        if position >= next_index {
            self.given.insert(position);
        }
        let after = self.placed.partition_point(|(from, _)| *from <= position);
        let range = after.checked_sub(1).map(|before| self.placed[before]);
        range.is_none_or(|(_, to)| position >= to)
    }

    /// The first position from `next_index` on that is nobody's id.
    pub(super) fn free(&self, next_index: i64) -> i64 {
        (next_index..).find(|index| !self.given.contains(index)).unwrap_or(next_index)
    }

    /// Takes note of the position of a task that was given no id; they come in order.
    pub(super) fn place(&mut self, index: i64) {
        match self.placed.last_mut() {
            Some((_, to)) if *to == index => *to += 1,
            _ => self.placed.push((index, index + 1)),
        }
    }
}

/// The position that an id could be mistaken for.
fn position(id: &str) -> Option<i64> {
    id.parse::<i64>().ok().filter(|position| *position >= 0 && position.to_string() == id)
}
