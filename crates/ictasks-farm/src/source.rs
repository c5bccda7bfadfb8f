//! Reads tasks ahead, in a thread of its own: standard input may make it wait.
//!
//! A few batches are in memory, never the list. On a stream this is also where an id that comes
//! twice is found: a task that has begun has its directory, and those that have not are among the
//! last [`REMEMBERED`] ids.

use std::collections::{HashSet, VecDeque};
use std::path::PathBuf;

use ictasks_core::error::{Fault, InputError, Place};
use ictasks_core::layout;
use ictasks_core::task::Task;
use ictasks_core::task_list::TaskSource;
use tokio::sync::mpsc;

/// More than can be between the source and the slots.
const REMEMBERED: usize = 64 * 1024;
/// Batches that wait for the dispatcher.
const BATCHES: usize = 4;

/// Tasks in the order of the list, or what is wrong with it.
pub type Batch = Result<Vec<Task>, InputError>;

/// Starts reading. The channel ends with the list or after the first error.
pub fn read_ahead(mut source: TaskSource, run_dir: PathBuf) -> mpsc::Receiver<Batch> {
    let (sender, receiver) = mpsc::channel(BATCHES);
    std::thread::spawn(move || {
        let mut seen = source.is_stream().then(|| SeenIds::new(run_dir));
        while let Some(batch) = source.next_batch() {
            for part in checked(batch, seen.as_mut()) {
                let is_error = part.is_err();
                if sender.blocking_send(part).is_err() || is_error {
                    return;
                }
            }
        }
    });
    receiver
}

/// The good tasks of a batch, and then what is wrong with the next one.
fn checked(batch: Batch, seen: Option<&mut SeenIds>) -> Vec<Batch> {
    let (Ok(tasks), Some(seen)) = (&batch, seen) else { return vec![batch] };
    let refused = tasks.iter().enumerate().find_map(|(position, task)| Some((position, seen.refuse(task)?)));
    match refused {
        None => vec![batch],
        Some((position, error)) => vec![Ok(tasks[..position].to_vec()), Err(error)],
    }
}

/// The ids that a stream has brought so far.
struct SeenIds {
    run_dir: PathBuf,
    recent: HashSet<String>,
    order: VecDeque<String>,
}

impl SeenIds {
    fn new(run_dir: PathBuf) -> Self {
        Self { run_dir, recent: HashSet::new(), order: VecDeque::new() }
    }

    /// What is wrong with a task whose id came before.
    fn refuse(&mut self, task: &Task) -> Option<InputError> {
        let is_known = self.recent.contains(&task.id) || layout::task_file(&self.run_dir, &task.id).exists();
        if is_known {
            let place = Place { file: "<stdin>".to_owned(), line: task.line, column: 0 };
            let fault = Fault::RepeatedId { id: task.id.clone() };
            return Some(InputError::At { place, fault });
        }
        if self.order.len() == REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.recent.remove(&oldest);
        }
        self.recent.insert(task.id.clone());
        self.order.push_back(task.id.clone());
        None
    }
}
