//! From what was typed to tasks: configuration, task list, and what was found out about them.

use std::io::Read;
use std::path::{Path, PathBuf};

use ictasks_core::config::Config;
use ictasks_core::task::Task;
use ictasks_core::task_list::{TaskListFormat, TaskSource, validate};

use crate::cli::{ListFormat, TaskfarmArguments};
use crate::exit::{Failure, chain};

/// What is to be run, checked as far as it can be before the run.
pub struct Input {
    /// The configuration, empty if there is none.
    pub config: Config,
    /// The tasks.
    pub source: TaskSource,
    /// The first tasks; none of a stream.
    pub first: Vec<Task>,
    /// Whether tasks of the configuration give way to a list.
    pub list_wins: bool,
    /// The task list and how it is written, where it is a file.
    list: Option<(PathBuf, TaskListFormat)>,
}

impl Input {
    /// Reads the configuration and checks the task list.
    ///
    /// # Errors
    /// What is wrong with them, with its place.
    pub fn read(arguments: &TaskfarmArguments, submit_dir: &Path) -> Result<Self, Failure> {
        let config = read_config(arguments)?;
        match &arguments.tasklist {
            Some(list) => Self::of_list(config, list, arguments.tasklist_format, submit_dir),
            None => Self::of_config(config, arguments, submit_dir),
        }
    }

    fn of_list(
        config: Config,
        list: &Path,
        format: Option<ListFormat>,
        submit_dir: &Path,
    ) -> Result<Self, Failure> {
        let format = match format {
            Some(ListFormat::Lines) => TaskListFormat::Lines,
            Some(ListFormat::Jsonl) => TaskListFormat::JsonLines,
            None => TaskListFormat::of(list),
        };
        let list_wins = config.tasks.is_some();
        let open =
            || TaskSource::open(list, format, submit_dir).map_err(|error| Failure::input(chain(&error)));
        if TaskSource::is_stream_at(list) {
            return Ok(Self { config, source: open()?, first: Vec::new(), list_wins, list: None });
        }
        let summary =
            validate(list, format, submit_dir).map_err(|errors| Failure::input(errors.to_string()))?;
        let source = open()?.with_task_count(summary.task_count);
        let list = Some((list.to_owned(), format));
        Ok(Self { config, source, first: summary.first, list_wins, list })
    }

    fn of_config(config: Config, arguments: &TaskfarmArguments, submit_dir: &Path) -> Result<Self, Failure> {
        let Some(source) = TaskSource::from_config(&config, submit_dir) else {
            let message = match &arguments.config {
                Some(file) => format!("{}: there are no tasks; give `tasks:` there or a list with --tasklist FILE", file.display()),
                None => "there is nothing to run; give --tasklist FILE or --config FILE (see `ictasks taskfarm --help`)".to_owned(),
            };
            return Err(Failure::input(message));
        };
        let mut peek = TaskSource::from_config(&config, submit_dir);
        let first = peek.as_mut().and_then(TaskSource::next_batch).and_then(Result::ok).unwrap_or_default();
        Ok(Self { config, source, first, list_wins: false, list: None })
    }

    /// The tasks from the beginning; `None` where they come from a stream.
    ///
    /// # Errors
    /// The list cannot be opened any more.
    pub fn tasks_again(&self, submit_dir: &Path) -> Result<Option<TaskSource>, Failure> {
        if self.source.is_stream() {
            return Ok(None);
        }
        let Some((list, format)) = &self.list else {
            return Ok(TaskSource::from_config(&self.config, submit_dir));
        };
        let opened = TaskSource::open(list, *format, submit_dir);
        opened.map(Some).map_err(|error| Failure::input(chain(&error)))
    }
}

fn read_config(arguments: &TaskfarmArguments) -> Result<Config, Failure> {
    let Some(path) = &arguments.config else { return Ok(Config::default()) };
    let is_stdin = |path: &Path| path.as_os_str() == "-";
    let config = if is_stdin(path) {
        if arguments.tasklist.as_deref().is_some_and(is_stdin) {
            return Err(Failure::input("--config and --tasklist cannot both be read from standard input"));
        }
        let mut bytes = Vec::new();
        std::io::stdin()
            .read_to_end(&mut bytes)
            .map_err(|error| Failure::input(format!("<stdin>: cannot be read: {error}")))?;
        Config::parse("<stdin>", &bytes)
    } else {
        Config::read(path)
    };
    config.map_err(|error| Failure::input(chain(&error)))
}
