//! What the dispatcher takes tasks from.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::check::open_file;
use super::{Shard, TaskListFormat, TaskReader};
use crate::config::{Config, TaskItem};
use crate::error::{InputError, Place};
use crate::sweep::{Expanded, Expansion};
use crate::task::{Task, params_json};

/// Tasks of a configuration that are handed out at once.
const BATCH_TASKS: usize = 128;

/// Where the dispatcher takes tasks from.
pub struct TaskSource {
    tasks: Tasks,
    is_stream: bool,
    task_count: Option<u64>,
    shard: Option<Shard>,
}

enum Tasks {
    Listed(Box<TaskReader>),
    Configured(Configured),
    Swept(Box<Expanded>),
}

/// The tasks of a configuration, and how many of them were handed out.
#[derive(Default)]
struct Configured {
    items: Arc<Vec<TaskItem>>,
    handed_out: usize,
    submit_dir: String,
    /// Whether a sweep makes tasks of what is handed out: nothing is replaced then.
    is_for_sweep: bool,
    /// Where `launch_cmd:` stands, if it is that alone.
    place: Option<Place>,
}

impl Default for TaskSource {
    /// Without a task.
    fn default() -> Self {
        Self {
            tasks: Tasks::Configured(Configured::default()),
            is_stream: false,
            task_count: Some(0),
            shard: None,
        }
    }
}

impl TaskSource {
    /// The tasks of the configuration, or its command; `None` if it has none.
    pub fn from_config(config: &Config, submit_dir: &Path) -> Option<Self> {
        let (items, place) = match (&config.tasks, &config.launch_cmd) {
            (Some(tasks), _) => (Arc::clone(&tasks.0), None),
            (None, Some(command)) => {
                let item = TaskItem { launch_cmd: command.clone(), ..TaskItem::default() };
                (Arc::new(vec![item]), Some(config.places.launch_cmd.clone()))
            }
            (None, None) => return None,
        };
        Some(Self {
            is_stream: false,
            shard: None,
            task_count: Some(items.len() as u64),
            tasks: Tasks::Configured(Configured {
                items,
                handed_out: 0,
                submit_dir: submit_dir.to_string_lossy().into_owned(),
                is_for_sweep: false,
                place,
            }),
        })
    }

    /// With tasks as typed, of which a sweep makes others.
    #[must_use]
    pub fn for_sweep(mut self) -> Self {
        self.tasks = match self.tasks {
            Tasks::Listed(reader) => Tasks::Listed(Box::new(reader.for_sweep())),
            Tasks::Configured(configured) => {
                Tasks::Configured(Configured { is_for_sweep: true, ..configured })
            }
            swept @ Tasks::Swept(_) => swept,
        };
        self
    }

    /// With function calls among the tasks, if there is a server for them. Those of a configuration have
    /// been looked at with the rest of it.
    #[must_use]
    pub fn with_calls(mut self, has_server: bool) -> Self {
        self.tasks = match self.tasks {
            Tasks::Listed(reader) if has_server => Tasks::Listed(Box::new(reader.with_calls())),
            other => other,
        };
        self
    }

    /// A list that ends with the line `{}`: see [`TaskReader::with_last_line`].
    #[must_use]
    pub fn with_last_line(mut self) -> Self {
        if let Tasks::Listed(reader) = self.tasks {
            self.tasks = Tasks::Listed(Box::new(reader.with_last_line()));
        }
        self
    }

    /// The tasks that a sweep makes of these.
    #[must_use]
    pub fn swept(self, expansion: &Expansion) -> Self {
        let typed = self.for_sweep();
        let Self { is_stream, task_count, shard, .. } = typed;
        let task_count = task_count.and_then(|count| count.checked_mul(expansion.point_count()));
        let tasks = Tasks::Swept(Box::new(Expanded::new(expansion.clone(), Self { shard: None, ..typed })));
        Self { tasks, is_stream, task_count, shard }
    }

    /// What the user should know of what was read so far; each thing is told once.
    pub fn take_warnings(&mut self) -> Vec<String> {
        match &mut self.tasks {
            Tasks::Swept(expanded) => expanded.take_warnings(),
            Tasks::Listed(_) | Tasks::Configured(_) => Vec::new(),
        }
    }

    /// Whether it is the `launch_cmd:` of the configuration and nothing else.
    pub(crate) const fn is_single_command(&self) -> bool {
        matches!(&self.tasks, Tasks::Configured(Configured { place: Some(_), .. }))
    }

    /// A task list; `-` is standard input.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open(path: &Path, format: TaskListFormat, submit_dir: &Path) -> Result<Self, InputError> {
        let is_stream = Self::is_stream_at(path);
        let reader = if path == Path::new("-") {
            TaskReader::new(Box::new(io::stdin()), "<stdin>", format, submit_dir)
        } else {
            let file = open_file(path)?;
            let name = path.display().to_string();
            TaskReader::new(Box::new(file), &name, format, submit_dir)
        };
        Ok(Self { tasks: Tasks::Listed(Box::new(reader)), is_stream, task_count: None, shard: None })
    }

    #[cfg(test)]
    pub(crate) fn from_reader(reader: TaskReader) -> Self {
        Self { tasks: Tasks::Listed(Box::new(reader)), is_stream: true, task_count: None, shard: None }
    }

    /// Whether a task list can be read only once: standard input (`-`), a FIFO, a device.
    pub fn is_stream_at(path: &Path) -> bool {
        path == Path::new("-") || std::fs::metadata(path).is_ok_and(|data| !data.is_file() && !data.is_dir())
    }

    /// Whether it can be read only once (standard input, a FIFO): then there is no validating
    /// pass, and [`TaskSource::task_count`] is not known.
    pub const fn is_stream(&self) -> bool {
        self.is_stream
    }

    /// Number of tasks, if known: of the configuration, or as set by
    /// [`TaskSource::with_task_count`].
    pub fn task_count(&self) -> Option<u64> {
        self.task_count.map(|count| self.shard.map_or(count, |shard| shard.share_of(count)))
    }

    /// Of these tasks those of the shard.
    #[must_use]
    pub fn of_shard(self, shard: Shard) -> Self {
        Self { shard: Some(shard), ..self }
    }

    /// The source with the number of tasks, those of other shards included, that the validating pass counted.
    #[must_use]
    pub fn with_task_count(self, task_count: u64) -> Self {
        Self { task_count: Some(task_count), ..self }
    }

    /// Where the task with this id and line stands, for messages.
    pub fn place_of(&self, task_id: &str, line: u64) -> Place {
        let (file, line) = match &self.tasks {
            Tasks::Listed(reader) => (reader.name().to_owned(), line),
            Tasks::Configured(Configured { place: Some(place), .. }) => return place.clone(),
            Tasks::Configured(_) => (format!("task {task_id}"), 0),
            Tasks::Swept(expanded) => return expanded.typed().place_of(task_id, line),
        };
        Place { file, line, column: 0 }
    }

    /// As [`TaskReader::next_batch`].
    pub fn next_batch(&mut self) -> Option<Result<Vec<Task>, InputError>> {
        loop {
            let batch = self.next_of_all()?;
            let Some(shard) = self.shard else { return Some(batch) };
            match batch {
                Ok(mut tasks) => {
                    tasks.retain(|task| shard.has(task.index));
                    if !tasks.is_empty() {
                        return Some(Ok(tasks));
                    }
                }
                error => return Some(error),
            }
        }
    }

    fn next_of_all(&mut self) -> Option<Result<Vec<Task>, InputError>> {
        match &mut self.tasks {
            Tasks::Listed(reader) => reader.next_batch(),
            Tasks::Configured(configured) => configured.next_batch(),
            Tasks::Swept(expanded) => expanded.next_batch(),
        }
    }
}

impl Configured {
    fn next_batch(&mut self) -> Option<Result<Vec<Task>, InputError>> {
        let begin = self.handed_out;
        let end = (begin + BATCH_TASKS).min(self.items.len());
        self.handed_out = end;
        let tasks = (begin..end).map(|position| self.task(position)).collect();
        (begin < end).then_some(tasks)
    }

    fn task(&self, position: usize) -> Result<Task, InputError> {
        let item = &self.items[position];
        let index = i64::try_from(position).unwrap_or(i64::MAX);
        let task = if self.is_for_sweep {
            Ok(Task::as_typed(index, item.id.clone(), &item.launch_cmd))
        } else {
            Task::new(index, item.id.clone(), &item.launch_cmd, &self.submit_dir)
        };
        task.map(|task| Task {
            environment: item.environment.clone(),
            params_json: params_json(&item.params),
            retries: item.retries,
            timeout_s: item.timeout_s,
            expected_time_s: item.expected_time_s,
            expected_outputs: item.expected_outputs.clone(),
            call: item.call.clone(),
            ..task
        })
        .map_err(|fault| InputError::At {
            place: Place {
                file: format!("task {}", item.id.as_deref().unwrap_or(&index.to_string())),
                line: 0,
                column: 0,
            },
            fault,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_of_a_configuration() {
        let text = "tasks:\n- launch_cmd: a %TASKID%\n- {id: x, launch_cmd: b %SUBMITDIR%, environment: {A: 1.10}, params: {n: 3}}\n";
        let config = Config::parse("c", text.as_bytes()).unwrap();
        let mut source = TaskSource::from_config(&config, Path::new("/s")).unwrap();
        assert_eq!((source.is_stream(), source.task_count()), (false, Some(2)));
        let tasks = source.next_batch().unwrap().unwrap();
        assert_eq!((tasks[0].id.as_str(), tasks[0].command.as_str()), ("0", "a 0"));
        assert_eq!((tasks[1].index, tasks[1].command.as_str()), (1, "b /s"));
        assert_eq!(tasks[1].environment["A"], "1.10");
        assert_eq!(tasks[1].params_json.as_deref(), Some("{\"n\":3}"));
        assert!(source.next_batch().is_none());
    }

    #[test]
    fn a_shard_has_its_tasks_with_their_own_positions_and_ids() {
        let text: String = (0..300).map(|number| format!("- launch_cmd: do {number}\n")).collect();
        let config = Config::parse("c", format!("tasks:\n{text}").as_bytes()).unwrap();
        let source = TaskSource::from_config(&config, Path::new("/s")).unwrap();
        let mut source = source.of_shard(Shard { number: 2, count: 200 });
        assert_eq!(source.task_count(), Some(2));
        let ids: Vec<String> = std::iter::from_fn(|| source.next_batch())
            .flat_map(|batch| batch.unwrap())
            .map(|task| task.id)
            .collect();
        assert_eq!(ids, ["1", "201"]);
    }

    #[test]
    fn a_source_can_go_to_another_thread() {
        fn is_send<T: Send>() {}
        is_send::<TaskSource>();
    }

    #[test]
    fn a_configuration_without_tasks_is_no_source() {
        assert!(TaskSource::from_config(&Config::default(), Path::new("/")).is_none());
    }

    #[test]
    fn directories_and_missing_files_are_refused() {
        for path in ["/", "/no/such/file"] {
            let opened = TaskSource::open(Path::new(path), TaskListFormat::Lines, Path::new("/"));
            assert_eq!(opened.err().unwrap().to_string(), format!("{path}: cannot be read"));
        }
        assert!(TaskSource::is_stream_at(Path::new("-")));
        assert!(TaskSource::is_stream_at(Path::new("/dev/null")));
        assert!(!TaskSource::is_stream_at(Path::new("/")));
    }
}
