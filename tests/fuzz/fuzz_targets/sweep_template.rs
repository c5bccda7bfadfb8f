//! A command, a value and a text of anything: tasks are made of them, the same each time, or they are refused.

#![no_main]

use std::path::Path;
use std::sync::Arc;

use ictasks_core::config::Config;
use ictasks_core::error::InputError;
use ictasks_core::sweep::{Expansion, PointTable, SweepFiles};
use ictasks_core::task::Task;
use ictasks_core::task_list::TaskSource;
use libfuzzer_sys::fuzz_target;

struct NoFiles;

impl SweepFiles for NoFiles {
    fn matching(&self, _: &str) -> Result<Vec<String>, String> {
        Ok(Vec::new())
    }

    fn open(&self, path: &Path) -> Result<Box<dyn PointTable>, InputError> {
        Err(InputError::Unreadable { path: path.to_owned(), source: std::io::ErrorKind::NotFound.into() })
    }
}

fn tasks(config: &Config, expansion: &Expansion) -> Result<Vec<Task>, String> {
    let typed = TaskSource::from_config(config, Path::new("/submit")).unwrap_or_default();
    let mut source = typed.swept(expansion);
    let mut tasks = Vec::new();
    while let Some(batch) = source.next_batch() {
        tasks.extend(batch.map_err(|error| error.to_string())?);
    }
    Ok(tasks)
}

fuzz_target!(|input: (&str, &str, &str)| {
    let (command, value, text) = input;
    // JSON is YAML.
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let yaml = format!(
        "launch_cmd: {}\nenvironment: {{A: {}}}\nexpected_outputs: [{}]\nsweep: {{grid: {{x: [plain, {}]}}}}\n",
        quoted(command),
        quoted(text),
        quoted(text),
        quoted(value),
    );
    let Ok(config) = Config::parse("config", yaml.as_bytes()) else { return };
    let files: Arc<dyn SweepFiles> = Arc::new(NoFiles);
    let Ok(Some(expansion)) = Expansion::of(&config, &files, Path::new("/submit")) else { return };
    let made = tasks(&config, &expansion);
    assert_eq!(made, tasks(&config, &expansion));
    let Ok(made) = made else { return };
    assert_eq!(made.len(), 2);
    for task in made {
        assert!(!task.command.trim_ascii().is_empty() && !task.command.contains('\0'));
        assert!(task.params_json.is_some_and(|params| params.starts_with("{\"x\":")));
    }
});
