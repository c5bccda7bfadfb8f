//! From what was typed to tasks: configuration, task list, and what was found out about them.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ictasks_core::config::Config;
use ictasks_core::error::InputError;
use ictasks_core::sweep::{Expansion, SweepFiles};
use ictasks_core::task::Task;
use ictasks_core::task_list::{ListSummary, Shard, TaskListFormat, TaskSource, validate};

use crate::cli::taskfarm::{ListFormat, TaskfarmArguments};
use crate::exit::{Failure, chain};
use crate::points::Files;

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
    /// What makes tasks of each task as typed, if there are parameters.
    pub sweep: Option<Expansion>,
    /// What the user should know of the tasks.
    pub warnings: Vec<String>,
    /// The part of the tasks that is to be run, if not all of them.
    shard: Option<Shard>,
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
        let files: Arc<dyn SweepFiles> = Arc::new(Files { submit_dir: submit_dir.to_owned() });
        let sweep =
            Expansion::of(&config, &files, submit_dir).map_err(|error| Failure::input(chain(&error)))?;
        let input = match &arguments.tasklist {
            Some(list) => Self::of_list(config, list, arguments, submit_dir)?,
            None => Self::of_config(config, arguments, submit_dir)?,
        };
        let input = match sweep {
            Some(sweep) => input.swept(sweep, submit_dir)?,
            None => input,
        };
        Ok(match arguments.shard {
            Some(shard) => input.of_shard(shard),
            None => input,
        })
    }

    /// With the tasks of a shard alone.
    fn of_shard(mut self, shard: Shard) -> Self {
        self.first.retain(|task| shard.has(task.index));
        Self { source: self.source.of_shard(shard), shard: Some(shard), ..self }
    }

    /// With the tasks that a sweep makes of those as typed.
    fn swept(self, sweep: Expansion, submit_dir: &Path) -> Result<Self, Failure> {
        if self.source.is_stream() {
            return Ok(Self { source: self.source.swept(&sweep), sweep: Some(sweep), ..self });
        }
        let summary = sweep.validate(|| self.typed_again(submit_dir).map(TaskSource::for_sweep));
        let ListSummary { task_count, first, warnings } =
            summary.map_err(|errors| Failure::input(errors.to_string()))?;
        let source = self.source.swept(&sweep).with_task_count(task_count);
        Ok(Self { source, first, warnings, sweep: Some(sweep), ..self })
    }

    fn of_list(
        config: Config,
        list: &Path,
        arguments: &TaskfarmArguments,
        submit_dir: &Path,
    ) -> Result<Self, Failure> {
        let has_last_line = arguments.attended_by.is_some() && list == Path::new("-");
        let format = match arguments.tasklist_format {
            Some(ListFormat::Lines) => TaskListFormat::Lines,
            Some(ListFormat::Jsonl) => TaskListFormat::JsonLines,
            None => TaskListFormat::of(list),
        };
        let list_wins = config.tasks.is_some() || config.launch_cmd.is_some();
        let open = || open(&config, list, format, submit_dir).map_err(|error| Failure::input(chain(&error)));
        if TaskSource::is_stream_at(list) {
            let source = if has_last_line { open()?.with_last_line() } else { open()? };
            return Ok(Self { list_wins, ..Self::of_source(config, source) });
        }
        let summary = validate(list, format, submit_dir, &config)
            .map_err(|errors| Failure::input(errors.to_string()))?;
        let source = open()?.with_task_count(summary.task_count);
        let list = Some((list.to_owned(), format));
        Ok(Self { first: summary.first, list_wins, list, ..Self::of_source(config, source) })
    }

    const fn of_source(config: Config, source: TaskSource) -> Self {
        Self {
            config,
            source,
            first: Vec::new(),
            list_wins: false,
            sweep: None,
            warnings: Vec::new(),
            shard: None,
            list: None,
        }
    }

    fn of_config(config: Config, arguments: &TaskfarmArguments, submit_dir: &Path) -> Result<Self, Failure> {
        let Some(source) = TaskSource::from_config(&config, submit_dir) else {
            let message = match &arguments.config {
                Some(file) if config.sweep.is_some() => format!(
                    "{}: the sweep has nothing to run; give `launch_cmd:`, `tasks:` or a list with --tasklist FILE",
                    file.display()
                ),
                Some(file) => format!("{}: there are no tasks; give `tasks:` there or a list with --tasklist FILE", file.display()),
                None => "there is nothing to run; give --tasklist FILE or --config FILE (see `ictasks taskfarm --help`)".to_owned(),
            };
            return Err(Failure::input(message));
        };
        if config.sweep.is_some() {
            return Ok(Self::of_source(config, source));
        }
        let mut peek = TaskSource::from_config(&config, submit_dir);
        let first = peek.as_mut().and_then(TaskSource::next_batch).and_then(Result::ok).unwrap_or_default();
        Ok(Self { first, ..Self::of_source(config, source) })
    }

    /// The tasks from the beginning; `None` where they come from a stream.
    ///
    /// # Errors
    /// The list cannot be opened any more.
    pub fn tasks_again(&self, submit_dir: &Path) -> Result<Option<TaskSource>, Failure> {
        if self.source.is_stream() {
            return Ok(None);
        }
        let typed = self.typed_again(submit_dir).map_err(|error| Failure::input(chain(&error)))?;
        let all = match &self.sweep {
            Some(sweep) => typed.swept(sweep),
            None => typed,
        };
        Ok(Some(match self.shard {
            Some(shard) => all.of_shard(shard),
            None => all,
        }))
    }

    /// The tasks as typed, from the beginning.
    fn typed_again(&self, submit_dir: &Path) -> Result<TaskSource, InputError> {
        match &self.list {
            Some((list, format)) => open(&self.config, list, *format, submit_dir),
            None => Ok(TaskSource::from_config(&self.config, submit_dir).unwrap_or_default()),
        }
    }
}

fn open(
    config: &Config,
    list: &Path,
    format: TaskListFormat,
    submit_dir: &Path,
) -> Result<TaskSource, InputError> {
    Ok(TaskSource::open(list, format, submit_dir)?.with_calls(config.call_server.is_some()))
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
