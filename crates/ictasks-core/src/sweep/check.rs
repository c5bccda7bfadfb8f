//! The pass over all tasks of a sweep before anything runs.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use super::expanded::Expanded;
use super::expansion::Expansion;
use super::value::ParamValue;
use crate::error::{Fault, InputError, InputErrors};
use crate::task::{Task, fnv1a};
use crate::task_list::{Hashes, ListSummary, RUN_LENGTH, TaskSource};

/// Tasks that are kept for `--dry-run`.
const SHOWN_TASKS: usize = 10;
/// Equal hashes that are looked at again, at most.
const MAX_REPEATS: usize = 100;

impl Expansion {
    /// Goes through all tasks in bounded memory, and checks each and that no id comes twice. `open`
    /// gives the tasks as typed, from their beginning.
    ///
    /// # Errors
    /// What is wrong with the first bad task, or the first id that comes twice.
    pub fn validate(
        &self,
        open: impl Fn() -> Result<TaskSource, InputError>,
    ) -> Result<ListSummary, InputErrors> {
        self.validate_with(open, RUN_LENGTH)
    }

    fn validate_with(
        &self,
        open: impl Fn() -> Result<TaskSource, InputError>,
        run_length: usize,
    ) -> Result<ListSummary, InputErrors> {
        let no_room = |source| InputError::Unreadable { path: PathBuf::from("a temporary file"), source };
        let mut hashes = Hashes::new(run_length);
        let mut summary = ListSummary { task_count: 0, first: Vec::new(), warnings: Vec::new() };
        let mut expanded = Expanded::new(self.clone(), open()?);
        while let Some(read) = expanded.next_task(true) {
            let task = read?;
            hashes.push(fnv1a(task.id.as_bytes())).map_err(no_room)?;
            summary.task_count += 1;
            if summary.first.len() < SHOWN_TASKS {
                summary.first.push(task);
            }
        }
        if summary.task_count >= u64::from(u32::MAX) {
            let fault =
                Fault::Syntax("there are more tasks than a run can have (4294967294); leave some out".into());
            return Err(InputError::At { place: self.0.place.clone(), fault }.into());
        }
        let repeated = hashes.repeated(MAX_REPEATS).map_err(no_room)?;
        if let Some(error) = self.same_id(Expanded::new(self.clone(), open()?), &repeated)? {
            return Err(error.into());
        }
        summary.warnings = expanded.take_warnings();
        Ok(summary)
    }

    /// The first id, out of those with these hashes, that comes twice.
    fn same_id(
        &self,
        mut expanded: Expanded,
        hashes: &HashSet<u64>,
    ) -> Result<Option<InputError>, InputError> {
        let mut first: HashMap<String, (Task, Vec<ParamValue>)> = HashMap::new();
        if hashes.is_empty() {
            return Ok(None);
        }
        while let Some(read) = expanded.next_task(true) {
            let task = read?;
            if !hashes.contains(&fnv1a(task.id.as_bytes())) {
                continue;
            }
            let values = expanded.values().to_vec();
            if let Some((earlier, other)) = first.get(&task.id) {
                let fault = self.fault_of_same_id((earlier, other), (&task, &values));
                return Ok(Some(InputError::At { place: self.0.place.clone(), fault }));
            }
            first.insert(task.id.clone(), (task, values));
        }
        Ok(None)
    }

    fn fault_of_same_id(
        &self,
        (task, values): (&Task, &[ParamValue]),
        (other, other_values): (&Task, &[ParamValue]),
    ) -> Fault {
        let points = &self.0.points;
        let differing: Vec<String> = points
            .names()
            .iter()
            .zip(values.iter().zip(other_values))
            .filter(|(_, (value, other))| value != other)
            .map(|(name, _)| format!("`{{{name}}}`"))
            .collect();
        let is_short = task.id.len() < crate::task_id::MAX_LENGTH;
        let remedy = match (differing.as_slice(), &self.0.id) {
            ([], _) if task.command == other.command => "each point may come once; leave one out".to_owned(),
            ([], _) => "give each line an id of its own (JSON lines, `tasks:`)".to_owned(),
            (_, Some(_)) if is_short => {
                format!("put {} into the template `id:`", differing.join(" and "))
            }
            _ => "an id has only letters, digits and `. _ - = , + @ :`, all else becomes `_`; give a template `id:` \
                  with a parameter that differs in these, such as `id: \"{name}\"`"
                .to_owned(),
        };
        let told = |task: &Task, values| match task.line {
            0 => points.describe(values),
            line => format!("{} in line {line}", points.describe(values)),
        };
        Fault::SameId {
            id: task.id.clone(),
            points: format!("{} and {}", told(task, values), told(other, other_values)),
            remedy,
        }
    }
}

#[cfg(test)]
mod tests;
