//! What a resumed run knows of its tasks, and what it makes of it.
//!
//! [`History`] holds 24 bytes for each task of the record, the ids that were given, and which tasks waited for
//! another attempt. A [`Matcher`] takes the tasks of the list
//! one after the other, finds each in the history and decides whether it is run. A task whose id
//! was given is found by the id. Any other is found by its position as long as the list is that of the
//! record, and from there on by its command before placeholders, the nth occurrence in the list
//! being the nth in the record: it keeps the position and the id that it had, and commands that
//! are new get positions above all others.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::attempt::{Outcome, Reason};
use crate::task::{Task, fnv1a};

mod ids;

use ids::{GivenIds, NewIds};

/// What the record says of one task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past<'a> {
    /// Position in the task list.
    pub task_index: i64,
    /// The id.
    pub task_id: &'a str,
    /// Hash of the command before placeholders.
    pub command_hash: i64,
    /// Number of its last attempt; 0 if there was none.
    pub attempt: i32,
    /// How that ended; `pending` if there was none.
    pub outcome: Outcome,
}

/// The same without texts.
#[derive(Clone, Copy, Debug)]
struct Entry {
    id_hash: u64,
    command_hash: i64,
    task_index: u32,
    attempt: u16,
    outcome: Outcome,
    is_used: bool,
}

/// What the record says of all tasks.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// In the order of `task_index`.
    entries: Vec<Entry>,
    /// Positions in `entries` by id hash.
    by_id: Vec<u32>,
    /// Positions in `entries` by command hash, then by task index.
    by_command: Vec<u32>,
    /// Ids that are not positions.
    given_ids: GivenIds,
    /// Tasks of which another attempt was to follow, and its number.
    announced: HashMap<u32, i32>,
}

impl History {
    /// Collects what the record says; of a task that comes several times the last attempt counts.
    pub fn collect<'a>(pasts: impl IntoIterator<Item = Past<'a>>) -> Self {
        let mut history = Self::default();
        pasts.into_iter().for_each(|past| history.add(&past));
        history.finish()
    }

    /// Adds what a row of the record says; [`History::finish`] ends the adding.
    pub fn add(&mut self, past: &Past<'_>) {
        let task_index = u32::try_from(past.task_index).unwrap_or(u32::MAX);
        self.given_ids.add(task_index, past.task_id);
        self.entries.push(Entry {
            id_hash: fnv1a(past.task_id.as_bytes()),
            command_hash: past.command_hash,
            task_index,
            attempt: u16::try_from(past.attempt).unwrap_or(u16::MAX),
            outcome: past.outcome,
            is_used: false,
        });
    }

    /// Another attempt was to follow, with this number; of which the record may know more.
    pub fn announce(&mut self, task_index: i64, attempt: i32) {
        let task_index = u32::try_from(task_index).unwrap_or(u32::MAX);
        let announced = self.announced.entry(task_index).or_default();
        *announced = attempt.max(*announced);
    }

    /// Brings what was added into order.
    #[must_use]
    pub fn finish(mut self) -> Self {
        // Of each task the last attempt, and a row with an attempt before one without. Of two rows of
        // one attempt the success: it was found after the attempt had been given up.
        self.entries.sort_by_key(|entry| {
            let is_success = entry.outcome == Outcome::Succeeded;
            (entry.task_index, std::cmp::Reverse((entry.attempt, is_success)))
        });
        self.entries.dedup_by_key(|entry| entry.task_index);
        self.entries.shrink_to_fit();
        let entries = &self.entries;
        self.announced.retain(|task_index, next| {
            let at = entries.binary_search_by_key(task_index, |entry| entry.task_index);
            at.is_ok_and(|at| i32::from(entries[at].attempt) < *next)
        });
        self.announced.shrink_to_fit();
        self.given_ids.sort();
        let count = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        let entry = |position: &u32| &self.entries[*position as usize];
        let mut by_id: Vec<u32> = (0..count).collect();
        by_id.sort_unstable_by_key(|position| (entry(position).id_hash, *position));
        let mut by_command: Vec<u32> = (0..count).collect();
        by_command.sort_unstable_by_key(|position| (entry(position).command_hash, *position));
        Self { by_id, by_command, ..self }
    }

    /// Number of tasks.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The last outcome of each task, in the order of the list.
    pub fn outcomes(&self) -> impl Iterator<Item = Outcome> {
        self.entries.iter().map(|entry| entry.outcome)
    }

    /// The first position that no task of the record has.
    fn next_index(&self) -> i64 {
        self.entries.last().map_or(0, |entry| i64::from(entry.task_index) + 1)
    }

    fn find_id(&self, id: &str) -> Option<usize> {
        let hash = fnv1a(id.as_bytes());
        let first = self.by_id.partition_point(|at| self.entries[*at as usize].id_hash < hash);
        let at = *self.by_id.get(first)? as usize;
        (self.entries[at].id_hash == hash).then_some(at)
    }

    fn find_index(&self, task_index: i64) -> Option<usize> {
        self.entries.binary_search_by_key(&task_index, |entry| entry.task_index.into()).ok()
    }

    /// The first entry with this command that no task was matched with. `passed` says how many entries
    /// of a command that comes several times have been looked at for good.
    fn find_command(&self, command_hash: i64, passed: &mut BTreeMap<i64, usize>) -> Option<usize> {
        let hash_at = |at: &u32| self.entries[*at as usize].command_hash;
        let first = self.by_command.partition_point(|at| hash_at(at) < command_hash);
        let is_single = self.by_command.get(first + 1).is_none_or(|at| hash_at(at) != command_hash);
        let skip = if is_single { 0 } else { passed.get(&command_hash).copied().unwrap_or(0) };
        let group = self.by_command[first..].iter().take_while(|at| hash_at(at) == command_hash);
        let (place, at) =
            group.enumerate().skip(skip).find(|(_, at)| !self.entries[**at as usize].is_used)?;
        if !is_single {
            passed.insert(command_hash, place + 1);
        }
        Some(*at as usize)
    }
}

/// What the user wants of a resumed run.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// `--rerun-changed`: tasks that succeeded with another command run again.
    pub rerun_changed: bool,
    /// `--skip-failed`: only what never finished, or waited for another attempt, runs.
    pub skip_failed: bool,
    /// `--only`: the ids that run, whatever came of them before.
    pub only: Option<HashSet<String>>,
}

/// What becomes of a task of the list.
#[derive(Clone, Debug, PartialEq)]
#[allow(
    clippy::large_enum_variant,
    reason = "most tasks run, and a box would cost each of them an allocation"
)]
pub enum Decision {
    /// It runs.
    Run {
        /// The task, at the position that it has in the record.
        task: Task,
        /// The number of the attempt.
        attempt: i32,
        /// Why; `None` in a fresh run.
        reason: Option<Reason>,
    },
    /// It is left out.
    Skip {
        /// Its position in the list.
        task_index: i64,
        /// Its id.
        task_id: String,
        /// Why.
        reason: Reason,
    },
}

/// Why nothing can be decided about a task: the list is wrong.
#[derive(Clone, Debug, PartialEq)]
pub enum Refusal {
    /// It succeeded with another command, and nobody said what that means.
    Changed(Box<Task>),
    /// Its id is that of another task of the list, which was not given an id.
    IdTaken(Box<Task>),
}

/// Finds the tasks of a list in the history, and decides.
///
/// As long as every task is where the record has it, the list is taken to be the one that the record
/// is of: a task of which the record knows nothing at its position (the run was killed before it began)
/// keeps that position. From the first difference on, tasks are looked for.
#[derive(Clone, Debug)]
pub struct Matcher {
    history: Option<History>,
    rules: Rules,
    submit_dir: String,
    next_index: i64,
    /// Tasks that the list of the last start had.
    earlier_count: i64,
    is_same_list: bool,
    /// Ids of tasks that are not in the record.
    new_ids: NewIds,
    /// See [`History::find_command`].
    passed: BTreeMap<i64, usize>,
}

impl Matcher {
    /// For a fresh run, in which every task runs for the first time.
    pub fn fresh() -> Self {
        Self {
            history: None,
            rules: Rules::default(),
            submit_dir: String::new(),
            next_index: 0,
            earlier_count: 0,
            is_same_list: true,
            new_ids: NewIds::default(),
            passed: BTreeMap::new(),
        }
    }

    /// For a run that goes on.
    pub fn resumed(history: History, rules: Rules, submit_dir: &str) -> Self {
        Self {
            next_index: history.next_index(),
            earlier_count: history.next_index(),
            history: Some(history),
            rules,
            submit_dir: submit_dir.to_owned(),
            ..Self::fresh()
        }
    }

    /// With the number of tasks that the list of the last start had: those that it did not get to are
    /// not new.
    #[must_use]
    pub fn with_earlier_count(self, count: i64) -> Self {
        Self { earlier_count: self.earlier_count.max(count), ..self }
    }

    /// As at the beginning of the list.
    #[must_use]
    pub fn at_the_beginning(mut self) -> Self {
        if let Some(history) = &mut self.history {
            history.entries.iter_mut().for_each(|entry| entry.is_used = false);
            self.next_index = history.next_index();
        }
        self.is_same_list = true;
        self.new_ids = NewIds::default();
        self.passed.clear();
        self
    }

    /// Whether there is no record that tasks could be found in.
    pub const fn is_fresh(&self) -> bool {
        self.history.is_none()
    }

    /// Decides about the next task of the list.
    ///
    /// # Errors
    /// With this task the list is wrong.
    pub fn decide(&mut self, task: Task) -> Result<Decision, Refusal> {
        let Some(history) = &mut self.history else {
            return Ok(Decision::Run { task, attempt: 1, reason: None });
        };
        let here = history.find_index(task.index);
        let is_here = here.is_some_and(|at| {
            let entry = &history.entries[at];
            match task.id_is_given {
                true => entry.id_hash == fnv1a(task.id.as_bytes()),
                false => entry.command_hash == task.command_hash,
            }
        });
        self.is_same_list &= is_here || here.is_none();
        let found = match (task.id_is_given, self.is_same_list) {
            (true, _) => history.find_id(&task.id),
            (false, true) => here,
            (false, false) => history.find_command(task.command_hash, &mut self.passed),
        };
        let Some(at) = found else { return self.decide_untold(task) };
        let entry = &mut history.entries[at];
        let was_used = std::mem::replace(&mut entry.is_used, true);
        let entry = *entry;
        if was_used {
            return Err(Refusal::IdTaken(Box::new(task)));
        }
        // An id that was given may be known from another position.
        self.is_same_list &= i64::from(entry.task_index) == task.index;
        let index = i64::from(entry.task_index);
        let task = match history.given_ids.of(entry.task_index) {
            Some(id) => task.in_place_of(index, id, &self.submit_dir),
            None => task.at_position(index, &self.submit_dir),
        };
        self.judge(task, Some(entry), Reason::NeverRan)
    }

    /// Decides about a task that is not in the record.
    fn decide_untold(&mut self, task: Task) -> Result<Decision, Refusal> {
        if task.id_is_given && !self.new_ids.give(&task.id, self.next_index) {
            return Err(Refusal::IdTaken(Box::new(task)));
        }
        let index = match (self.is_same_list, task.id_is_given) {
            (true, _) => task.index,
            (false, true) => self.next_index,
            (false, false) => self.new_ids.free(self.next_index),
        };
        if !task.id_is_given {
            self.new_ids.place(index);
        }
        self.next_index = self.next_index.max(index + 1);
        let is_new = !self.is_same_list || index >= self.earlier_count;
        let task = task.at_position(index, &self.submit_dir);
        self.judge(task, None, if is_new { Reason::NewInList } else { Reason::NeverRan })
    }

    /// Whether the run ended while the task waited for another attempt.
    fn was_to_run_again(&self, past: Entry) -> bool {
        self.history.as_ref().is_some_and(|history| history.announced.contains_key(&past.task_index))
    }

    /// `untold` is the reason where the record tells nothing.
    fn judge(&self, task: Task, past: Option<Entry>, untold: Reason) -> Result<Decision, Refusal> {
        let skip =
            |task: Task, reason| Ok(Decision::Skip { task_index: task.index, task_id: task.id, reason });
        let attempt = past.map_or(0, |past| i32::from(past.attempt)) + 1;
        let run = |task, reason| Ok(Decision::Run { task, attempt, reason: Some(reason) });
        if let Some(only) = &self.rules.only {
            return match only.contains(&task.id) {
                true => run(task, Reason::Listed),
                false => skip(task, Reason::NotListed),
            };
        }
        let Some(past) = past else { return run(task, untold) };
        let is_changed = past.command_hash != task.command_hash;
        match past.outcome {
            Outcome::Pending => run(task, Reason::NeverRan),
            Outcome::Cancelled | Outcome::NodeLost => run(task, Reason::InterruptedBefore),
            outcome if outcome.is_failure() && !is_changed && self.was_to_run_again(past) => {
                run(task, Reason::InterruptedBefore)
            }
            Outcome::Succeeded if !is_changed => skip(task, Reason::SucceededBefore),
            Outcome::Succeeded if !self.rules.rerun_changed => Err(Refusal::Changed(Box::new(task))),
            _ if is_changed => run(task, Reason::CommandChanged),
            _ if self.rules.skip_failed => skip(task, Reason::FailedBefore),
            _ => run(task, Reason::FailedBefore),
        }
    }
}

#[cfg(test)]
mod tests;
