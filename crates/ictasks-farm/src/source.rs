//! Reads tasks ahead, in a thread of its own: standard input may make it wait.
//!
//! A few batches are in memory, never the list. Here each task is looked up in the record, so that
//! the dispatcher gets only decisions; and here a list that has become wrong ends.

use ictasks_core::error::{Fault, InputError};
use ictasks_core::history::{Decision, Matcher, Refusal};
use ictasks_core::task::Task;
use ictasks_core::task_list::TaskSource;
use tokio::sync::mpsc;

use crate::error::FarmError;
use crate::seen_ids::SeenIds;

/// Batches that wait for the dispatcher.
const BATCHES: usize = 4;

/// Tasks in the order of the list, or what is wrong with it.
pub type Batch = Result<Read, InputError>;

/// What was read at once.
pub struct Read {
    /// What becomes of the tasks.
    pub decisions: Vec<Decision>,
    /// What the user should know of them, where nobody has told it before the run.
    pub warnings: Vec<String>,
}

/// A list, and what is known of its tasks.
pub struct Reading {
    /// The list.
    pub source: TaskSource,
    /// The record of earlier sessions.
    pub matcher: Matcher,
    /// Of a stream: the ids that came before.
    pub seen: Option<SeenIds>,
}

/// Starts reading. The channel ends with the list or after the first error.
///
/// # Errors
/// The system has no more threads.
pub fn read_ahead(mut reading: Reading) -> Result<mpsc::Receiver<Batch>, FarmError> {
    let (sender, receiver) = mpsc::channel(BATCHES);
    crate::threads::start("reader", move || {
        while let Some(tasks) = reading.source.next_batch() {
            let (decisions, error) = match tasks {
                Ok(tasks) => reading.decide_all(tasks),
                Err(error) => (Vec::new(), Some(error)),
            };
            let mut warnings = reading.source.take_warnings();
            if !reading.source.is_stream() {
                warnings.clear();
            }
            if !decisions.is_empty() && sender.blocking_send(Ok(Read { decisions, warnings })).is_err() {
                return;
            }
            if let Some(error) = error {
                // Without a listener nobody needs it.
                let _ = sender.blocking_send(Err(error));
                return;
            }
        }
    })?;
    Ok(receiver)
}

impl Reading {
    /// What becomes of the tasks, up to the first with which the list is wrong.
    fn decide_all(&mut self, tasks: Vec<Task>) -> (Vec<Decision>, Option<InputError>) {
        let mut decisions = Vec::with_capacity(tasks.len());
        for task in tasks {
            let line = task.line;
            match self.decide(task) {
                Ok(decision) => decisions.push(decision),
                Err((task_id, fault)) => {
                    let place = self.source.place_of(&task_id, line);
                    return (decisions, Some(InputError::At { place, fault }));
                }
            }
        }
        (decisions, None)
    }

    fn decide(&mut self, task: Task) -> Result<Decision, (String, Fault)> {
        let is_given = task.id_is_given;
        let decision = self.matcher.decide(task).map_err(|refusal| match refusal {
            Refusal::Changed(task) => (task.id.clone(), Fault::CommandChanged { id: task.id }),
            Refusal::IdTaken(task) => (task.id.clone(), Fault::IdTaken { id: task.id }),
        })?;
        let (Decision::Run { task: Task { id, .. }, .. } | Decision::Skip { task_id: id, .. }) = &decision;
        if self.seen.as_mut().is_some_and(|seen| seen.is_repeated(id, is_given)) {
            return Err((id.clone(), Fault::RepeatedId { id: id.clone() }));
        }
        Ok(decision)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::path::Path;

    use ictasks_core::attempt::Outcome;
    use ictasks_core::history::{History, Past, Rules};
    use ictasks_core::task::command_hash;
    use ictasks_core::task_list::TaskListFormat;

    use super::*;

    /// What a resumed run makes of a list, where `a` and `b` have succeeded with these commands.
    fn resumed(list: &str, is_stream: bool) -> Vec<String> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(list.as_bytes()).unwrap();
        let source = TaskSource::open(file.path(), TaskListFormat::JsonLines, Path::new("/s")).unwrap();
        let past = |task_index, task_id, command| Past {
            task_index,
            task_id,
            command_hash: command_hash(command),
            attempt: 1,
            outcome: Outcome::Succeeded,
        };
        let history = History::collect([past(0, "a", "do a"), past(1, "b", "do b")]);
        let matcher = Matcher::resumed(history, Rules::default(), "/s");
        let seen = is_stream.then(SeenIds::of_all);
        let mut batches = read_ahead(Reading { source, matcher, seen }).unwrap();
        let mut told = Vec::new();
        while let Some(batch) = batches.blocking_recv() {
            match batch {
                Ok(read) => told.extend(read.decisions.into_iter().map(|decision| match decision {
                    Decision::Run { task, attempt, reason } => {
                        format!("run {} {attempt} {}", task.id, reason.unwrap())
                    }
                    Decision::Skip { task_id, reason, .. } => format!("skip {task_id} {reason}"),
                })),
                Err(InputError::At { place, fault }) => told.push(format!("line {}: {fault}", place.line)),
                Err(error) => told.push(error.to_string()),
            }
        }
        told
    }

    fn line(id: &str, command: &str) -> String {
        format!("{{\"id\": \"{id}\", \"launch_cmd\": \"{command}\"}}\n")
    }

    #[test]
    fn what_succeeded_is_left_out_and_what_is_new_runs() {
        let list = [line("b", "do b"), line("c", "do c"), line("a", "do a")].concat();
        let expected = ["skip b succeeded_before", "run c 1 new_in_list", "skip a succeeded_before"];
        assert_eq!(resumed(&list, true), expected);
        assert_eq!(resumed(&list, false), expected);
    }

    #[test]
    fn a_list_ends_where_a_command_changed() {
        let list = [line("a", "do a"), line("b", "do it"), line("c", "do c")].concat();
        assert_eq!(
            resumed(&list, true),
            [
                "skip a succeeded_before",
                "line 2: the task `b` succeeded with another command; give `--rerun-changed` to run it \
                 again, or give this command another id"
            ]
        );
    }

    #[test]
    fn an_id_may_come_once_whether_the_record_has_it_or_not() {
        let told = resumed(&[line("a", "do a"), line("a", "do a")].concat(), true);
        assert_eq!(
            told[1],
            "line 2: the id `a` belongs to another task of this list; each task needs its own"
        );
        let told = resumed(&[line("c", "do c"), line("c", "do c")].concat(), true);
        assert_eq!(told[1], "line 2: the id `c` was given before; each task needs its own");
    }

    #[test]
    fn a_command_may_come_very_often() {
        let tasks =
            (0..200_000).map(|index| Task { index, command_hash: 1, ..Task::default() }).collect::<Vec<_>>();
        let past = |task_index| Past {
            task_index,
            task_id: "",
            command_hash: 1,
            attempt: 1,
            outcome: Outcome::Succeeded,
        };
        let matcher = Matcher::resumed(History::collect((0..200_000).map(past)), Rules::default(), "/s");
        let file = tempfile::NamedTempFile::new().unwrap();
        let source = TaskSource::open(file.path(), TaskListFormat::Lines, Path::new("/s")).unwrap();
        let (decisions, error) = Reading { source, matcher, seen: None }.decide_all(tasks);
        assert!(error.is_none());
        assert!(decisions.iter().all(|decision| matches!(decision, Decision::Skip { .. })));
    }
}
